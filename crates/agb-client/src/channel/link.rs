//! One open WebSocket, and the streams on it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::{Map, Value};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::{Address, Inner, Limits, OPERATION, Push, reconnect};
use crate::error::{Error, ErrorKind, Result};
use crate::modules::loose_json;
use crate::transport::Transport;
use crate::transport::ws::{Received, Socket, SocketReader, SocketWriter};
use crate::wire::frame::{self, Fault, Frame};

/// Streams that are over, whose late frames are no pushes.
const REMEMBERED: usize = 1024;
/// How long a goodbye may take.
const GOODBYE: std::time::Duration = std::time::Duration::from_secs(1);

/// One connection.
pub(super) struct Link {
    address: Address,
    shared: Arc<Shared>,
}

struct Shared {
    channel: Weak<Inner>,
    limits: Limits,
    outgoing: mpsc::UnboundedSender<String>,
    table: Mutex<Table>,
    /// Something changed that the watch must look at.
    changed: Notify,
}

struct Table {
    streams: HashMap<String, mpsc::UnboundedSender<Result<Map<String, Value>>>>,
    over: VecDeque<String>,
    heard: Instant,
    /// When it was opened.
    opened: Instant,
    /// Did a frame come?
    is_proven: bool,
    /// Since when no stream needs the connection.
    idle_since: Instant,
    /// Nothing new may begin here.
    is_retired: bool,
    /// Why it shall end.
    wish: Option<End>,
    is_over: bool,
}

/// Why a connection ends.
#[derive(Debug, Clone)]
enum End {
    /// Nobody needs it.
    Idle,
    /// It can't be used any more; a new one may do better.
    Lost { kind: ErrorKind, why: String, is_temporary: bool },
    /// The service has closed it and would close a new one, too.
    Refused { why: String },
    /// Its owner is done with it.
    Closed { kind: ErrorKind, why: String },
}

impl End {
    fn lost(error: &Error) -> Self {
        Self::Lost { kind: error.kind(), why: error.message().to_owned(), is_temporary: error.is_temporary() }
    }

    fn error(&self) -> Error {
        let (kind, why, is_temporary) = match self {
            Self::Idle => (ErrorKind::Network, "connection closed: it was idle", true),
            Self::Lost { kind, why, is_temporary } => (*kind, why.as_str(), *is_temporary),
            Self::Refused { why } => (ErrorKind::Network, why.as_str(), false),
            Self::Closed { kind, why } => (*kind, why.as_str(), false),
        };
        Error::new(kind, why).with_operation(OPERATION).with_temporary(is_temporary)
    }
}

impl Link {
    /// Serves the connection in a task of its own, which ends with it.
    pub(super) fn start(
        socket: Socket,
        address: Address,
        transport: Transport,
        channel: Weak<Inner>,
        limits: Limits,
    ) -> Arc<Self> {
        let (outgoing, queue) = mpsc::unbounded_channel();
        let now = Instant::now();
        let table = Table {
            streams: HashMap::new(),
            over: VecDeque::new(),
            heard: now,
            opened: now,
            is_proven: false,
            idle_since: now,
            is_retired: false,
            wish: None,
            is_over: false,
        };
        let shared = Arc::new(Shared { channel, limits, outgoing, table: Mutex::new(table), changed: Notify::new() });
        tokio::spawn(serve(shared.clone(), socket, queue, transport, address.clone()));
        Arc::new(Self { address, shared })
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn is_open(&self) -> bool {
        let table = self.shared.table();
        !table.is_over && !table.is_retired && table.wish.is_none()
    }

    /// Begins a stream; `None` when the connection has ended before.
    pub(super) fn invoke(&self, target: &str, data: &Map<String, Value>) -> Result<Option<Invocation>> {
        let id = new_id();
        let text = frame::write(&id, target, data)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("the frame can't be written: {error}")))?;
        let (sender, frames) = mpsc::unbounded_channel();
        {
            let mut table = self.shared.table();
            if table.is_over || table.is_retired || table.wish.is_some() {
                return Ok(None);
            }
            table.streams.insert(id.clone(), sender);
        }
        // The queue ends with the connection, and then so has the stream.
        let _ = self.shared.outgoing.send(text);
        Ok(Some(Invocation { id, frames, shared: self.shared.clone(), is_settled: false }))
    }

    /// Goes on for its streams only.
    pub(super) fn retire(&self) {
        self.shared.table().is_retired = true;
        self.wake();
    }

    pub(super) fn close(&self, kind: ErrorKind, why: &str) {
        self.shared.wish(End::Closed { kind, why: why.to_owned() });
    }

    pub(super) fn wake(&self) {
        self.shared.changed.notify_one();
    }
}

/// 32 hexadecimal digits: a random UUID (version 4) without dashes.
fn new_id() -> String {
    let random = fastrand::u128(..) & !(0xf000_u128 << 64) & !(0xc000_u128 << 48);
    format!("{:032x}", random | (0x4000_u128 << 64) | (0x8000_u128 << 48))
}

/// A stream: what the service says to one invocation. Dropping it before its end cancels it.
pub(crate) struct Invocation {
    id: String,
    frames: mpsc::UnboundedReceiver<Result<Map<String, Value>>>,
    shared: Arc<Shared>,
    is_settled: bool,
}

impl Invocation {
    /// The id that the client made.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The data of the next frame. Giving up loses nothing.
    ///
    /// # Errors
    /// The connection is gone, or a frame of this stream can't be read.
    pub(crate) async fn next(&mut self) -> Result<Map<String, Value>> {
        match self.frames.recv().await {
            Some(frame) => frame,
            None => Err(Error::new(ErrorKind::Network, "connection closed").with_operation(OPERATION)),
        }
    }

    /// The stream came to its end.
    pub(crate) fn settle(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Invocation {
    /// The protocol has no word for "stop". A connection that nobody else needs is closed: that ends the program on a
    /// server that takes it as the end of the streams.
    fn drop(&mut self) {
        let is_alone = self.shared.forget(&self.id);
        if is_alone && !self.is_settled {
            let why = format!("stream {} was cancelled", self.id);
            self.shared.wish_unless_wanted(End::Closed { kind: ErrorKind::Network, why });
        }
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_listeners(&self) -> bool {
        self.channel.upgrade().is_some_and(|channel| channel.has_listeners())
    }

    /// Takes a stream out of the table; is it empty now?
    fn forget(&self, id: &str) -> bool {
        let mut table = self.table();
        if table.streams.remove(id).is_none() {
            return false;
        }
        if table.over.len() == REMEMBERED {
            table.over.pop_front();
        }
        table.over.push_back(id.to_owned());
        table.idle_since = Instant::now();
        self.changed.notify_one();
        table.streams.is_empty()
    }

    fn wish(&self, end: End) {
        self.table().wish.get_or_insert(end);
        self.changed.notify_one();
    }

    fn wish_unless_wanted(&self, end: End) {
        if self.has_listeners() {
            return;
        }
        let mut table = self.table();
        if table.streams.is_empty() {
            table.wish.get_or_insert(end);
            self.changed.notify_one();
        }
    }

    /// Waits for a reason to end that does not come from the connection itself.
    async fn watch(&self) -> End {
        let silence = self.limits.ping_every.saturating_add(self.limits.pong_within);
        loop {
            let is_wanted = self.has_listeners();
            let next = {
                let mut table = self.table();
                if let Some(wish) = table.wish.clone() {
                    return wish;
                }
                let now = Instant::now();
                let silent_at = table.heard + silence;
                if silent_at <= now {
                    let why = format!("connection closed: code=1006, no sign of life for {} s", silence.as_secs_f64());
                    return End::Lost { kind: ErrorKind::Network, why, is_temporary: true };
                }
                let spare = if table.is_retired { std::time::Duration::ZERO } else { self.limits.idle };
                let idle_at = table.idle_since + spare;
                let is_idle = table.streams.is_empty() && (!is_wanted || table.is_retired);
                if is_idle && idle_at <= now {
                    // Under the lock: no stream can begin in between.
                    table.wish = Some(End::Idle);
                    return End::Idle;
                }
                if is_idle { silent_at.min(idle_at) } else { silent_at }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Gives a text to whom it is for. An `Err` means that the connection can't be trusted any more.
    fn take(&self, text: &str) -> std::result::Result<(), End> {
        let Some(value) = loose_json::parse(text) else { return foreign(text) };
        match frame::read(value) {
            Ok(frame) => {
                self.table().is_proven = true;
                self.dispatch(frame);
            }
            Err(Fault::Foreign(why)) => tracing::debug!(target: "agb::stream", why, "frame ignored"),
            Err(Fault::OfStream(id, why)) => self.fail(&id, why),
        }
        Ok(())
    }

    fn dispatch(&self, frame: Frame) {
        let table = self.table();
        if let Some(stream) = table.streams.get(&frame.id) {
            // Fails when the stream is being given up.
            let _ = stream.send(Ok(frame.data));
            return;
        }
        if table.over.contains(&frame.id) {
            return;
        }
        drop(table);
        if let (Some(target), Some(channel)) = (frame.route, self.channel.upgrade()) {
            channel.push(&Push { request_id: frame.id, target, data: frame.data });
        }
    }

    fn fail(&self, id: &str, why: String) {
        if let Some(stream) = self.table().streams.get(id) {
            // As in `dispatch`.
            let _ = stream.send(Err(Error::new(ErrorKind::Protocol, why).with_operation(OPERATION)));
        }
    }

    fn hear(&self) {
        self.table().heard = Instant::now();
    }

    /// Sees to it that pushes are heard after this connection, if that makes sense.
    fn go_on_listening(&self, end: &End, transport: Transport, address: Address) {
        let Some(channel) = self.channel.upgrade() else { return };
        let did_well = {
            let table = self.table();
            table.is_proven || table.opened.elapsed() >= self.limits.steady
        };
        if did_well {
            channel.did_well();
        }
        match end {
            End::Refused { .. } => channel.give_up(),
            // Whoever listens to one that nobody wanted any more, or that was closed, came when its end was decided.
            End::Lost { .. } | End::Idle | End::Closed { .. } => {
                drop(tokio::spawn(reconnect(self.channel.clone(), transport, address)));
            }
        }
    }

    /// Ends all streams, each with the same reason.
    fn end(&self, end: &End) {
        let streams = {
            let mut table = self.table();
            table.is_over = true;
            std::mem::take(&mut table.streams)
        };
        for stream in streams.into_values() {
            // As in `dispatch`.
            let _ = stream.send(Err(end.error()));
        }
    }
}

/// Does the service say by this code that it won't serve this client, however often it comes? 1008 is a breach of its
/// policy; 4400 to 4499 stand for HTTP's 400 to 499, of which 408 and 429 pass.
fn is_refusal(code: u16) -> bool {
    code == 1008 || ((4400..4500).contains(&code) && !matches!(code, 4408 | 4429))
}

/// Words between the frames mean nothing; half a frame means that something was lost, and nobody knows whose it was.
fn foreign(text: &str) -> std::result::Result<(), End> {
    if !text.trim_start().starts_with('{') {
        tracing::debug!(target: "agb::stream", bytes = text.len(), "no frame, ignored");
        return Ok(());
    }
    let why = "Invalid JSON message: a frame can't be read, so that something is missing".to_owned();
    Err(End::Lost { kind: ErrorKind::Protocol, why, is_temporary: false })
}

async fn serve(
    shared: Arc<Shared>,
    socket: Socket,
    queue: mpsc::UnboundedReceiver<String>,
    transport: Transport,
    address: Address,
) {
    // Also when this task is dropped with its runtime, or panics, its streams end.
    let guard = EndGuard(shared);
    let shared = &guard.0;
    let (mut reader, mut writer) = socket.split();
    let end = tokio::select! {
        biased;
        end = shared.watch() => end,
        end = read(shared, &mut reader) => end,
        end = write(shared, &mut writer, queue) => end,
    };
    tracing::debug!(target: "agb::stream", ?end, "connection over");
    shared.end(&end);
    if shared.has_listeners() && !shared.table().is_retired {
        shared.go_on_listening(&end, transport, address);
    }
    // A peer that does not take it has been given its chance.
    let _ = tokio::time::timeout(GOODBYE, writer.close()).await;
}

struct EndGuard(Arc<Shared>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        let why = "connection closed".to_owned();
        self.0.end(&End::Lost { kind: ErrorKind::Network, why, is_temporary: true });
    }
}

async fn read(shared: &Shared, reader: &mut SocketReader) -> End {
    loop {
        let received = reader.next().await;
        shared.hear();
        match received {
            Ok(Received::Text(text)) => {
                if let Err(end) = shared.take(&text) {
                    return end;
                }
            }
            Ok(Received::SignOfLife) => {}
            Ok(Received::Close(code, reason)) => {
                let colon = if reason.is_empty() { "" } else { ": " };
                let why = format!("connection closed: code={code}{colon}{reason}");
                if is_refusal(code) {
                    return End::Refused { why };
                }
                return End::Lost { kind: ErrorKind::Network, why, is_temporary: true };
            }
            Err(error) => return End::lost(&error),
        }
    }
}

async fn write(shared: &Shared, writer: &mut SocketWriter, mut queue: mpsc::UnboundedReceiver<String>) -> End {
    let mut pings = tokio::time::interval_at(Instant::now() + shared.limits.ping_every, shared.limits.ping_every);
    pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let sent = tokio::select! {
            Some(text) = queue.recv() => writer.send(text).await,
            _ = pings.tick() => writer.ping().await,
        };
        if let Err(error) = sent {
            return End::lost(&error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_hexadecimal_digits_of_a_random_uuid() {
        let (one, other) = (new_id(), new_id());
        assert_ne!(one, other);
        for id in [one, other] {
            assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
            assert_eq!(&id[12..13], "4", "{id}");
            assert!("89ab".contains(&id[16..17]), "{id}");
        }
    }
}
