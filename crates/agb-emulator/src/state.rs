//! The sessions, behind one lock that is never held across an await.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::sync::{Notify, broadcast};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    browser::{Browsers, SessionBrowser},
    clock::Clock,
    contexts::{
        Contexts,
        mount::Mount,
        sync::{self, SessionContexts},
    },
    ids::{Ids, Secret},
    sandbox::{Host, Isolation, Sandbox},
    tools::{computer::Screenshots, filesystem::SessionFiles},
};

/// The idle timeout of a session that asks for none (docs/protocol.md, section Session lifecycle).
pub(crate) const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// No session lives longer, whatever it does (same section).
pub(crate) const MAXIMUM_LIFETIME: Duration = Duration::from_secs(1_800);
/// An idle session is released this long after its time is up: never early, as on the service.
pub(crate) const RELEASE_DELAY: Duration = Duration::from_secs(1);
/// How long `FINISH` can be seen before the session is not found any more.
pub(crate) const FINISH_VISIBLE: Duration = Duration::from_secs(30);
/// Released sessions beyond this number are forgotten, oldest first.
const TOMBSTONES: usize = 1_000;
/// Pushes that a WebSocket may lag behind.
const PUSHES: usize = 256;
/// The status of a session that `getSessionInfo` does not find any more.
const NOT_FOUND: &str = "NOT_FOUND";

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// No call has used it yet.
    Created,
    /// A call is being processed; the idle timer is held.
    Active,
    /// The idle timer runs.
    Idle,
    /// Being torn down.
    Releasing,
    /// Gone for good.
    Released,
}

impl fmt::Display for SessionState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            SessionState::Created => "created",
            SessionState::Active => "active",
            SessionState::Idle => "idle",
            SessionState::Releasing => "releasing",
            SessionState::Released => "released",
        })
    }
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// A client released it.
    ApiCall,
    /// Nobody used it for its idle timeout.
    IdleTimeout,
    /// It reached the maximum lifetime.
    MaximumLifetime,
    /// The emulator was closed.
    EmulatorClosed,
}

impl fmt::Display for EndReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            EndReason::ApiCall => "api call",
            EndReason::IdleTimeout => "idle timeout",
            EndReason::MaximumLifetime => "maximum lifetime",
            EndReason::EmulatorClosed => "emulator closed",
        })
    }
}

/// The last call that used a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCall {
    /// The operation, as in [`crate::JournalEntry::operation`]; for a tool call the tool's name.
    pub operation: String,
    /// When it ended, or began if it is still running (ISO 8601, UTC, by the emulator's clock).
    pub at: String,
}

/// What the emulator knows of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionView {
    /// The session id.
    pub id: String,
    /// The image it was created from.
    pub image_id: String,
    /// Where it is in its life.
    pub state: SessionState,
    /// The status that `getSessionInfo` answers; `NOT_FOUND` when it answers that the session is not found.
    pub wire_status: &'static str,
    /// When it was created (ISO 8601, UTC, by the emulator's clock).
    pub created_at: String,
    /// Its idle timeout, in seconds.
    pub idle_release_timeout_s: f64,
    /// Seconds until it is released if nothing more happens: the whole timeout while a call is being processed, never
    /// more than the lifetime left; 0 when it is no longer alive.
    pub time_left_s: f64,
    /// Seconds until the maximum lifetime ends it; 0 when it is no longer alive.
    pub lifetime_left_s: f64,
    /// The last call that used it.
    pub last_call: Option<LastCall>,
    /// Why it ended; `None` while it is alive.
    pub end_reason: Option<EndReason>,
    /// Its labels.
    pub labels: Map<String, Value>,
}

/// A message to the clients of a session that is no part of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) source: String,
    pub(crate) data: Map<String, Value>,
}

/// What never changes in a session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) image_id: String,
    pub(crate) idle_timeout: Duration,
    pub(crate) app_instance_id: String,
    pub(crate) resource_id: String,
    pub(crate) token: Secret,
    pub(crate) has_link: bool,
    pub(crate) sandbox: Sandbox,
    pub(crate) browser: Arc<SessionBrowser>,
    /// What the file tools remember of it.
    pub(crate) files: SessionFiles,
    pub(crate) contexts: SessionContexts,
    /// Where its pictures go that are answered as URLs.
    pub(crate) screenshots: Arc<Screenshots>,
    /// Messages to every WebSocket of the session.
    pub(crate) pushes: broadcast::Sender<Push>,
    /// Cancelled when the session's release begins.
    pub(crate) ended: CancellationToken,
    /// Cancelled when its teardown is done.
    finished: CancellationToken,
}

/// What changes in it.
#[derive(Debug)]
struct Record {
    session: Arc<Session>,
    /// Counts sessions in the order of their creation.
    number: u64,
    created: Duration,
    /// The end of the last call that used it.
    idle_since: Duration,
    calls_in_flight: usize,
    last_call: Option<(String, Duration)>,
    labels: Map<String, Value>,
    phase: Phase,
    end_reason: Option<EndReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Alive,
    Releasing,
    Finished { at: Duration },
}

/// Something that time alone makes happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Release(EndReason),
    Forget,
}

impl Record {
    fn due(&self) -> Option<(Duration, Event)> {
        match self.phase {
            Phase::Releasing => None,
            Phase::Finished { at } => Some((at.saturating_add(FINISH_VISIBLE), Event::Forget)),
            Phase::Alive => {
                let cap = self.lifetime_end();
                let idle = self.idle_end().saturating_add(RELEASE_DELAY);
                if self.calls_in_flight == 0 && idle < cap {
                    Some((idle, Event::Release(EndReason::IdleTimeout)))
                } else {
                    Some((cap, Event::Release(EndReason::MaximumLifetime)))
                }
            }
        }
    }

    fn idle_end(&self) -> Duration {
        self.idle_since.saturating_add(self.session.idle_timeout)
    }

    fn lifetime_end(&self) -> Duration {
        self.created.saturating_add(MAXIMUM_LIFETIME)
    }

    fn wire_status(&self) -> &'static str {
        match self.phase {
            Phase::Alive => "RUNNING",
            Phase::Releasing => "DELETING",
            Phase::Finished { .. } => "FINISH",
        }
    }

    fn state(&self) -> SessionState {
        match self.phase {
            Phase::Releasing => SessionState::Releasing,
            Phase::Finished { .. } => SessionState::Released,
            Phase::Alive if self.calls_in_flight > 0 => SessionState::Active,
            Phase::Alive if self.last_call.is_some() => SessionState::Idle,
            Phase::Alive => SessionState::Created,
        }
    }

    fn view(&self, clock: &Clock) -> SessionView {
        let now = clock.now();
        let (idle_left, lifetime_left) = match self.phase {
            Phase::Alive if self.calls_in_flight > 0 => {
                (self.session.idle_timeout, self.lifetime_end().saturating_sub(now))
            }
            Phase::Alive => (self.idle_end().saturating_sub(now), self.lifetime_end().saturating_sub(now)),
            Phase::Releasing | Phase::Finished { .. } => (Duration::ZERO, Duration::ZERO),
        };
        SessionView {
            id: self.session.id.clone(),
            image_id: self.session.image_id.clone(),
            state: self.state(),
            wire_status: self.wire_status(),
            created_at: clock.wall(self.created),
            idle_release_timeout_s: self.session.idle_timeout.as_secs_f64(),
            time_left_s: idle_left.min(lifetime_left).as_secs_f64(),
            lifetime_left_s: lifetime_left.as_secs_f64(),
            last_call: self
                .last_call
                .as_ref()
                .map(|(operation, at)| LastCall { operation: operation.clone(), at: clock.wall(*at) }),
            end_reason: self.end_reason,
            labels: self.labels.clone(),
        }
    }
}

/// What a client asks for when it creates a session.
#[derive(Debug)]
pub(crate) struct NewSession {
    pub(crate) image_id: String,
    pub(crate) idle_timeout: Duration,
    pub(crate) labels: Map<String, Value>,
    pub(crate) has_link: bool,
    pub(crate) mounts: Vec<Mount>,
}

/// Why a session cannot be created.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooMany { limit: usize },
    Closing,
}

/// One page of the list of sessions that are alive.
#[derive(Debug)]
pub(crate) struct Page {
    /// Newest first, with their numbers.
    pub(crate) ids: Vec<String>,
    /// Where the next page begins; `None` on the last.
    pub(crate) next: Option<u64>,
    /// Over all pages.
    pub(crate) count: usize,
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) clock: Arc<Clock>,
    pub(crate) contexts: Contexts,
    host: Arc<Host>,
    pub(crate) browsers: Arc<Browsers>,
    ids: Ids,
    pub(crate) screenshots: Arc<Screenshots>,
    max_sessions: Option<usize>,
    inner: Mutex<Inner>,
    /// Something became due earlier than the lifecycle task waits for.
    pub(crate) sooner: Notify,
    teardowns: TaskTracker,
}

#[derive(Debug, Default)]
struct Inner {
    last_number: u64,
    records: HashMap<String, Record>,
    /// Released sessions that are not found any more, with their numbers, in the order of their end.
    tombstones: VecDeque<(u64, SessionView)>,
    /// What the lifecycle task waits for; `None`: nothing.
    armed: Option<Duration>,
    closed: bool,
}

impl Sessions {
    pub(crate) fn new(
        clock: Clock,
        host: Arc<Host>,
        browsers: Arc<Browsers>,
        screenshots: Arc<Screenshots>,
        seed: Option<u64>,
        max_sessions: Option<usize>,
    ) -> Self {
        let clock = Arc::new(clock);
        Self {
            contexts: Contexts::new(clock.clone(), seed, host.contexts_directory()),
            clock,
            screenshots,
            host,
            browsers,
            ids: Ids::new(seed, 0),
            max_sessions,
            inner: Mutex::default(),
            sooner: Notify::new(),
            teardowns: TaskTracker::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn create(&self, new: NewSession) -> Result<Arc<Session>, Refusal> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Refusal::Closing);
        }
        // A session that is being torn down still has its processes.
        let there = inner.records.values().filter(|record| !matches!(record.phase, Phase::Finished { .. })).count();
        if let Some(limit) = self.max_sessions.filter(|limit| there >= *limit) {
            return Err(Refusal::TooMany { limit });
        }
        let id = self.ids.letters("session-", 25);
        let sandbox = Sandbox::new(self.host.clone(), &id);
        let files = SessionFiles::default();
        let session = Arc::new(Session {
            browser: Arc::new(SessionBrowser::new(sandbox.clone(), files.clone(), self.browsers.clone())),
            sandbox,
            files,
            contexts: SessionContexts::new(new.mounts),
            screenshots: self.screenshots.clone(),
            pushes: broadcast::channel(PUSHES).0,
            app_instance_id: self.ids.letters("ai-", 16),
            resource_id: self.ids.letters("p-", 17),
            token: Secret::new(self.ids.letters("tk-", 32)),
            id,
            image_id: new.image_id,
            idle_timeout: new.idle_timeout,
            has_link: new.has_link,
            ended: CancellationToken::new(),
            finished: CancellationToken::new(),
        });
        let now = self.clock.now();
        inner.last_number += 1;
        let record = Record {
            session: session.clone(),
            number: inner.last_number,
            created: now,
            idle_since: now,
            calls_in_flight: 0,
            last_call: None,
            labels: new.labels,
            phase: Phase::Alive,
            end_reason: None,
        };
        self.wake_if_sooner(&inner, &record);
        inner.records.insert(session.id.clone(), record);
        Ok(session)
    }

    /// Begins a call that uses a session; the idle timer is held until the guard is dropped, and starts anew then.
    /// `None`: there is no such session alive.
    pub(crate) fn use_session(self: &Arc<Self>, id: &str, operation: &str) -> Option<InUse> {
        let mut inner = self.lock();
        let record = inner.records.get_mut(id).filter(|record| record.phase == Phase::Alive)?;
        record.calls_in_flight += 1;
        record.last_call = Some((operation.to_owned(), self.clock.now()));
        Some(InUse { sessions: self.clone(), session: record.session.clone(), operation: operation.to_owned() })
    }

    fn end_use(&self, id: &str, operation: &str) {
        let mut inner = self.lock();
        let Some(record) = inner.records.get_mut(id) else { return };
        let now = self.clock.now();
        record.calls_in_flight = record.calls_in_flight.saturating_sub(1);
        if record.phase != Phase::Alive {
            return;
        }
        record.idle_since = now;
        record.last_call = Some((operation.to_owned(), now));
        let inner = &*inner;
        if let Some(record) = inner.records.get(id) {
            self.wake_if_sooner(inner, record);
        }
    }

    fn wake_if_sooner(&self, inner: &Inner, record: &Record) {
        let Some((due, _)) = record.due() else { return };
        if inner.armed.is_none_or(|armed| due < armed) {
            self.sooner.notify_one();
        }
    }

    /// How sessions are kept apart.
    pub(crate) fn isolation(&self) -> Isolation {
        self.host.isolation()
    }

    /// A session that is alive, without using it.
    pub(crate) fn alive(&self, id: &str) -> Option<Arc<Session>> {
        let inner = self.lock();
        inner.records.get(id).filter(|record| record.phase == Phase::Alive).map(|record| record.session.clone())
    }

    pub(crate) fn wire_status(&self, id: &str) -> Option<&'static str> {
        self.lock().records.get(id).map(Record::wire_status)
    }

    /// `None`: not alive.
    pub(crate) fn labels(&self, id: &str) -> Option<Map<String, Value>> {
        let inner = self.lock();
        inner.records.get(id).filter(|record| record.phase == Phase::Alive).map(|record| record.labels.clone())
    }

    /// Replaces all labels.
    pub(crate) fn set_labels(&self, id: &str, labels: Map<String, Value>) {
        if let Some(record) = self.lock().records.get_mut(id) {
            record.labels = labels;
        }
    }

    /// One page of at most `limit` sessions that are alive and carry every label of `filter`, created before the
    /// session number `before`.
    pub(crate) fn page(&self, filter: &Map<String, Value>, before: Option<u64>, limit: usize) -> Page {
        let inner = self.lock();
        let mut matching: Vec<&Record> = inner
            .records
            .values()
            .filter(|record| record.phase == Phase::Alive && carries(&record.labels, filter))
            .collect();
        matching.sort_unstable_by_key(|record| std::cmp::Reverse(record.number));
        let count = matching.len();
        let mut rest = matching.into_iter().filter(|record| before.is_none_or(|before| record.number < before));
        let shown: Vec<&Record> = rest.by_ref().take(limit).collect();
        let next = rest.next().and(shown.last()).map(|record| record.number);
        Page { ids: shown.iter().map(|record| record.session.id.clone()).collect(), next, count }
    }

    /// One session, until it is forgotten.
    pub(crate) fn view(&self, id: &str) -> Option<SessionView> {
        self.lock().records.get(id).map(|record| record.view(&self.clock))
    }

    /// Every session in the order of creation, released ones included.
    pub(crate) fn views(&self) -> Vec<SessionView> {
        let inner = self.lock();
        let present = inner.records.values().map(|record| (record.number, record.view(&self.clock)));
        let mut views: Vec<(u64, SessionView)> = inner.tombstones.iter().cloned().chain(present).collect();
        views.sort_unstable_by_key(|(number, _)| *number);
        views.into_iter().map(|(_, view)| view).collect()
    }

    pub(crate) fn end_reason(&self, id: &str) -> Option<EndReason> {
        self.lock().records.get(id).and_then(|record| record.end_reason)
    }

    /// Begins the release of a session: its calls end, its teardown runs on. `None`: there is no such session, or it
    /// is finished already.
    pub(crate) fn release(self: &Arc<Self>, id: &str, reason: EndReason) -> Option<Released> {
        let mut inner = self.lock();
        let record = inner.records.get_mut(id)?;
        match record.phase {
            Phase::Finished { .. } => return None,
            Phase::Releasing => return Some(Released { finished: record.session.finished.clone() }),
            Phase::Alive => {}
        }
        record.phase = Phase::Releasing;
        record.end_reason = Some(reason);
        let session = record.session.clone();
        drop(inner);
        session.ended.cancel();
        let teardown = Teardown { sessions: self.clone(), session: session.clone() };
        self.teardowns.spawn(async move {
            // First, so that it can write its data.
            teardown.session.browser.stop().await;
            if reason != EndReason::EmulatorClosed {
                sync::upload_before_release(&teardown.sessions.contexts, &teardown.session).await;
            }
            teardown.session.sandbox.stop().await;
            teardown.session.files.cleanup().await;
            teardown.sessions.contexts.session_ended(&teardown.session.id);
            drop(teardown);
        });
        Some(Released { finished: session.finished.clone() })
    }

    fn finish(&self, id: &str) {
        let mut inner = self.lock();
        let now = self.clock.now();
        let Some(record) = inner.records.get_mut(id) else { return };
        record.phase = Phase::Finished { at: now };
        let inner = &*inner;
        if let Some(record) = inner.records.get(id) {
            self.wake_if_sooner(inner, record);
        }
    }

    fn forget(&self, id: &str) {
        let mut inner = self.lock();
        let Some(record) = inner.records.remove(id) else { return };
        if inner.tombstones.len() == TOMBSTONES {
            inner.tombstones.pop_front();
        }
        let view = SessionView { wire_status: NOT_FOUND, ..record.view(&self.clock) };
        inner.tombstones.push_back((record.number, view));
    }

    /// Makes everything happen that is due.
    pub(crate) fn fire_due(self: &Arc<Self>) {
        let now = self.clock.now();
        let due: Vec<(String, Event)> = self
            .lock()
            .records
            .iter()
            .filter_map(|(id, record)| record.due().filter(|(at, _)| *at <= now).map(|(_, event)| (id.clone(), event)))
            .collect();
        for (id, event) in due {
            match event {
                Event::Release(reason) => drop(self.release(&id, reason)),
                Event::Forget => self.forget(&id),
            }
        }
    }

    /// When the next thing is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        earliest(&self.lock())
    }

    /// The same, and from now on [`Sessions::sooner`] is told of anything earlier.
    pub(crate) fn arm(&self) -> Option<Duration> {
        let mut inner = self.lock();
        inner.armed = earliest(&inner);
        inner.armed
    }

    /// Waits until no teardown is under way.
    pub(crate) async fn settled(&self) {
        let releasing: Vec<CancellationToken> = self
            .lock()
            .records
            .values()
            .filter(|record| record.phase == Phase::Releasing)
            .map(|record| record.session.finished.clone())
            .collect();
        for finished in releasing {
            finished.cancelled().await;
        }
    }

    /// Refuses new sessions and releases all others; done when their teardowns are.
    pub(crate) async fn close(self: &Arc<Self>) {
        let ids: Vec<String> = {
            let mut inner = self.lock();
            inner.closed = true;
            inner.records.keys().cloned().collect()
        };
        for id in ids {
            self.release(&id, EndReason::EmulatorClosed);
        }
        self.teardowns.close();
        self.teardowns.wait().await;
    }
}

fn earliest(inner: &Inner) -> Option<Duration> {
    inner.records.values().filter_map(Record::due).map(|(at, _)| at).min()
}

fn carries(labels: &Map<String, Value>, filter: &Map<String, Value>) -> bool {
    filter.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// A release that is under way.
#[derive(Debug)]
pub(crate) struct Released {
    finished: CancellationToken,
}

impl Released {
    /// Waits until the teardown is done.
    pub(crate) async fn finished(self) {
        self.finished.cancelled().await;
    }
}

/// Marks a session as finished even when its teardown panics or its runtime goes away.
struct Teardown {
    sessions: Arc<Sessions>,
    session: Arc<Session>,
}

impl Drop for Teardown {
    fn drop(&mut self) {
        self.sessions.finish(&self.session.id);
        self.session.finished.cancel();
    }
}

/// A session in use by a call.
#[derive(Debug)]
pub(crate) struct InUse {
    sessions: Arc<Sessions>,
    pub(crate) session: Arc<Session>,
    operation: String,
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.sessions.end_use(&self.session.id, &self.operation);
    }
}
