//! The one WebSocket of a session: opened when something wants it, shared by all streams, closed when nothing does.
//!
//! Streams are never resumed: what is lost with the connection may have been executed. The connection itself is made
//! again by the next stream, or for those who listen for pushes. See docs/protocol.md, section "WebSocket".

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::transport::ws::Opened;
use crate::transport::{Deadline, Reply, Transport, redact};
use crate::wire::envelope::{Answer, Fallback};

mod link;

pub(crate) use link::Invocation;
use link::Link;

const OPERATION: &str = "webSocket";

/// How long things may take. One set for all but the tests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Opening the connection, attempts included.
    pub(crate) open: Duration,
    /// Between two pings.
    pub(crate) ping_every: Duration,
    /// From a ping to any sign of life.
    pub(crate) pong_within: Duration,
    /// How long a connection that nothing wants is kept for the next stream.
    pub(crate) idle: Duration,
    /// The first wait before the connection is made again for listeners; each failure makes the next longer.
    pub(crate) reconnect_first: Duration,
    /// The longest such wait.
    pub(crate) reconnect_last: Duration,
    /// How often it is tried in a row: until a connection carries a frame, or lives as long as `steady`.
    pub(crate) reconnect_attempts: u32,
    /// How long a connection without frames must live to count as a good one.
    pub(crate) steady: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open: Duration::from_secs(30),
            ping_every: Duration::from_secs(20),
            pong_within: Duration::from_secs(20),
            idle: Duration::from_secs(30),
            reconnect_first: Duration::from_millis(500),
            reconnect_last: Duration::from_secs(5),
            reconnect_attempts: 10,
            steady: Duration::from_secs(60),
        }
    }
}

/// Where a session's WebSocket is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Address {
    /// Something that can be connected to, or what is missing.
    fn check(&self) -> Result<()> {
        for (name, value) in [("wsUrl", &self.url), ("token", &self.token)] {
            if value.is_empty() {
                let text = format!(
                    "{name} is not set on this session. Ensure the session was created with WebSocket support enabled."
                );
                return Err(Error::new(ErrorKind::InvalidArgument, text).with_operation(OPERATION));
            }
        }
        Ok(())
    }
}

/// A message that belongs to no stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// The message's own id.
    pub request_id: String,
    /// Who it is for; for messages to all clients, who sent it.
    pub target: String,
    /// What it says.
    pub data: Map<String, Value>,
}

type Listener = Arc<dyn Fn(Push) + Send + Sync>;

/// Hears pushes until it is dropped; while it lives, the connection is kept, and made again when it breaks, even if
/// nobody holds the session any more.
#[must_use = "dropping it ends it"]
pub struct PushSubscription {
    id: u64,
    channel: Arc<Inner>,
}

impl fmt::Debug for PushSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushSubscription").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for PushSubscription {
    fn drop(&mut self) {
        self.channel.unsubscribe(self.id);
    }
}

/// The WebSocket of one session. Clones are the same.
#[derive(Clone)]
pub(crate) struct Channel {
    inner: Arc<Inner>,
}

struct Inner {
    limits: Limits,
    link: Mutex<Option<Arc<Link>>>,
    /// Held by the one that opens the connection; the others wait and find it open.
    opening: tokio::sync::Mutex<()>,
    listeners: Mutex<Listeners>,
    /// How often the connection was made again since it last was a good one.
    attempts: AtomicU32,
}

#[derive(Default)]
struct Listeners {
    last_id: u64,
    all: Vec<(u64, String, Listener)>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(link) = self.link.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            link.retire();
        }
    }
}

impl Default for Channel {
    fn default() -> Self {
        Self::with_limits(Limits::default())
    }
}

impl Channel {
    pub(crate) fn with_limits(limits: Limits) -> Self {
        let (link, opening, listeners, attempts) = Default::default();
        Self { inner: Arc::new(Inner { limits, link, opening, listeners, attempts }) }
    }

    /// Begins a stream: connects if need be, and sends its first frame.
    ///
    /// # Errors
    /// What `Address` lacks, why there is no connection, or that the frame could not be sent.
    pub(crate) async fn invoke(
        &self,
        transport: &Transport,
        address: &Address,
        target: &str,
        data: &Map<String, Value>,
        deadline: Deadline,
    ) -> Result<Invocation> {
        address.check()?;
        loop {
            let link = self.inner.link(transport, address, deadline).await?;
            // It may have been closed in between, before anything was sent.
            if let Some(invocation) = link.invoke(target, data)? {
                return Ok(invocation);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Hears what is pushed to `target`. Connects first.
    ///
    /// # Errors
    /// As [`Channel::invoke`]; InvalidArgument for an empty target.
    pub(crate) async fn subscribe(
        &self,
        transport: &Transport,
        address: &Address,
        target: &str,
        listener: Listener,
    ) -> Result<PushSubscription> {
        if target.is_empty() {
            let error = Error::new(ErrorKind::InvalidArgument, "target must be a non-empty string");
            return Err(error.with_operation(OPERATION));
        }
        address.check()?;
        self.inner.attempts.store(0, Ordering::Relaxed);
        // Before the connection: what comes first must not be missed.
        let subscription = self.listen(target, listener);
        self.inner.link(transport, address, Deadline::after(self.inner.limits.open)).await?;
        Ok(subscription)
    }

    /// Hears what is pushed to `target` while there is a connection; makes none.
    pub(crate) fn listen(&self, target: &str, listener: Listener) -> PushSubscription {
        self.inner.add_listener(target, listener)
    }

    /// Connects for those who listen, if any. A connection that can't be made is as one that broke: it is tried again.
    ///
    /// # Errors
    /// Why there is no connection yet, or won't be.
    pub(crate) async fn connect_listeners(&self, transport: &Transport, address: &Address) -> Result<()> {
        let inner = &self.inner;
        if !inner.has_listeners() {
            return Ok(());
        }
        let outcome = match address.check() {
            Ok(()) => inner.link(transport, address, Deadline::after(inner.limits.open)).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome {
            tracing::debug!(target: "agb::stream", error = error.message(), "connection not made");
            if error.is_temporary() {
                tokio::spawn(reconnect(Arc::downgrade(inner), transport.clone(), address.clone()));
            } else {
                inner.give_up();
            }
        }
        outcome
    }

    /// Ends the connection and all that waits for it, saying why.
    pub(crate) fn close(&self, kind: ErrorKind, why: &str) {
        self.inner.listeners().all.clear();
        let link = self.inner.current().take();
        if let Some(link) = link {
            link.close(kind, why);
        }
    }
}

impl Inner {
    fn current(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_link(&self, address: &Address) -> Option<Arc<Link>> {
        self.current().as_ref().filter(|link| link.is_open() && link.address() == address).cloned()
    }

    /// The open connection to `address`; a new one where there is none.
    async fn link(self: &Arc<Self>, transport: &Transport, address: &Address, deadline: Deadline) -> Result<Arc<Link>> {
        if let Some(link) = self.open_link(address) {
            return Ok(link);
        }
        let deadline = Deadline::after(self.limits.open).min(deadline);
        let _turn = tokio::time::timeout_at(deadline.at, self.opening.lock()).await.map_err(|_| not_open(deadline))?;
        if let Some(link) = self.open_link(address) {
            return Ok(link);
        }
        let socket = match transport.open_socket(&address.url, &address.token, deadline).await? {
            Opened::Socket(socket) => socket,
            Opened::Refused(reply) => return Err(refused(&reply, address)),
        };
        let link = Link::start(socket, address.clone(), transport.clone(), Arc::downgrade(self), self.limits);
        // One to another address goes on for its streams, and ends with them.
        if let Some(former) = self.current().replace(link.clone()) {
            former.retire();
        }
        Ok(link)
    }

    fn add_listener(self: &Arc<Self>, target: &str, listener: Listener) -> PushSubscription {
        let mut listeners = self.listeners();
        listeners.last_id += 1;
        let id = listeners.last_id;
        listeners.all.push((id, target.to_owned(), listener));
        PushSubscription { id, channel: self.clone() }
    }

    fn unsubscribe(&self, id: u64) {
        let mut listeners = self.listeners();
        listeners.all.retain(|(known, ..)| *known != id);
        drop(listeners);
        if let Some(link) = self.current().as_ref() {
            link.wake();
        }
    }

    fn has_listeners(&self) -> bool {
        !self.listeners().all.is_empty()
    }

    /// How long to wait before the next attempt to connect again; `None` after the last one.
    fn next_attempt(&self) -> Option<Duration> {
        let made = self.attempts.fetch_add(1, Ordering::Relaxed);
        let Limits { reconnect_first, reconnect_last, reconnect_attempts, .. } = self.limits;
        if made >= reconnect_attempts {
            return None;
        }
        let growth = 1.5_f64.powi(i32::try_from(made).unwrap_or(i32::MAX));
        let pause = Duration::try_from_secs_f64(reconnect_first.as_secs_f64() * growth).unwrap_or(reconnect_last);
        Some(pause.min(reconnect_last).mul_f64(1.0 + 0.2 * fastrand::f64()))
    }

    /// A connection did what it is for.
    fn did_well(&self) {
        self.attempts.store(0, Ordering::Relaxed);
    }

    /// The connection is not made again.
    fn give_up(&self) {
        if self.has_listeners() {
            tracing::warn!(target: "agb::stream", "the WebSocket is lost; pushes are no longer heard");
        }
    }

    /// Tells everyone who listens for the target; what nobody listens for is dropped.
    fn push(&self, push: &Push) {
        let heard: Vec<Listener> = {
            let listeners = self.listeners();
            let wanted = listeners.all.iter().filter(|(_, target, _)| *target == push.target);
            wanted.map(|(.., listener)| listener.clone()).collect()
        };
        if heard.is_empty() {
            tracing::debug!(target: "agb::stream", to = push.target, "push that nobody listens for");
        }
        for listener in heard {
            listener(push.clone());
        }
    }
}

/// Makes the connection again for those who listen, a limited number of times and only while there are any. A server
/// that refuses is not asked again.
async fn reconnect(channel: Weak<Inner>, transport: Transport, address: Address) {
    while let Some(pause) = channel.upgrade().and_then(|inner| inner.next_attempt()) {
        tokio::time::sleep(pause).await;
        let Some(inner) = channel.upgrade().filter(|inner| inner.has_listeners()) else { return };
        match inner.link(&transport, &address, Deadline::after(inner.limits.open)).await {
            Ok(_) => return,
            Err(error) => {
                tracing::debug!(target: "agb::stream", error = error.message(), "connection not made again");
                if !error.is_temporary() {
                    break;
                }
            }
        }
    }
    if let Some(inner) = channel.upgrade() {
        inner.give_up();
    }
}

fn not_open(deadline: Deadline) -> Error {
    let text = format!("timeout of {}ms exceeded: the WebSocket is not open", deadline.limit.as_millis());
    Error::new(ErrorKind::Timeout, text).with_operation(OPERATION).with_temporary(true)
}

fn refused(reply: &Reply, address: &Address) -> Error {
    let answer = Answer::read(reply.status, &reply.request_id, reply.attempts, &reply.body);
    let kind = answer.refusal(OPERATION, Fallback::Tool("")).kind();
    let text = format!("Unexpected server response: {}", reply.status);
    let said = redact::without(answer.message(), &[&address.token]);
    let text = if said.is_empty() { text } else { format!("{text}: {said}") };
    answer.error(kind, text, OPERATION)
}

#[cfg(test)]
mod tests;
