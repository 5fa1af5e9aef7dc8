//! Faults that a test or a person asks for: which requests they strike, how often, and what they do to them.
//!
//! They are applied around the route table ([`http`]) and where a WebSocket's streams begin and speak
//! ([`crate::routes::ws`]); no handler knows of them. A request is struck by at most one: the first that fits, in the
//! order in which they were added.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use fastrand::Rng;
use serde_json::{Map, Value};

pub(crate) mod http;
mod spec;

/// What a fault can be for: the operations of the journal.
pub(crate) const OPERATIONS: [&str; 31] = [
    "createSession",
    "getSession",
    "getSessionInfo",
    "releaseSession",
    "releaseSessionAsync",
    "refreshSessionIdleTime",
    "getMcpResource",
    "ListSession",
    "SetLabel",
    "GetLabel",
    "getLink",
    "init",
    "getCdpLink",
    "callTool",
    "listTools",
    "ListContexts",
    "GetContext",
    "ModifyContext",
    "DeleteContext",
    "ClearContext",
    "SyncContext",
    "GetContextInfo",
    "GetContextFileDownloadUrl",
    "GetContextFileUploadUrl",
    "DeleteContextFile",
    "DescribeContextFiles",
    "GetAndLoadInternalContext",
    "getObject",
    "putObject",
    "webSocket",
    ALL,
];
/// Every operation.
pub(crate) const ALL: &str = "*";
const CALL_TOOL: &str = "callTool";
const WEB_SOCKET: &str = "webSocket";

/// Which requests are struck, how often, and what happens to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The operations, by their names in the journal ([`crate::JournalEntry::operation`]); `*` for all. Code that is
    /// streamed on a WebSocket is a `callTool` of the tool `run_code`; `webSocket` is the handshake.
    pub operations: Vec<String>,
    /// Only calls of these tools. Empty: whatever the tool.
    pub tools: Vec<String>,
    /// Only requests for this session.
    pub session_id: Option<String>,
    /// Only requests for sessions that carry all of these labels, and the creation of such sessions. Empty: any.
    pub labels: Map<String, Value>,
    /// From which of the requests that fit on, counted from 1. Default 1.
    pub from: u64,
    /// How many are struck. `None`: all. Default 1.
    pub count: Option<u64>,
    /// How likely a request that fits is struck; drawn from the emulator's seed. `None`: for sure.
    pub probability: Option<f64>,
    /// What happens to it.
    pub effect: Effect,
}

/// Before the service does its work, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The work is not done, or not yet.
    Before,
    /// The work is done; only its answer suffers.
    After,
}

/// Which body is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The answer is sent slowly.
    Answer,
    /// The request is read slowly.
    Request,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Another answer. A stream gets an error frame with `code` and `message`.
    Status {
        /// 200 to 599.
        status: StatusCode,
        /// Further headers, which replace those of the same name.
        headers: HeaderMap,
        /// The body; `None`: an envelope with `code` and `message`.
        body: Option<Bytes>,
        /// The error code in the envelope.
        code: String,
        /// The message in the envelope.
        message: String,
        /// `Before`: the work is not done.
        when: When,
    },
    /// The request waits before the work is done, or its answer does.
    Delay {
        /// In real time.
        by: Duration,
        /// What waits.
        when: When,
    },
    /// The connection is reset, without an answer.
    Reset {
        /// Was the work done?
        when: When,
    },
    /// The answer breaks off. On a stream its last frame does.
    Truncate {
        /// How much of the body is sent at most; `None`: half of it.
        bytes: Option<u64>,
        /// The announced length is that of what is sent, so that only the content tells.
        framed: bool,
    },
    /// The answer has its status and headers, and another body. On a stream its last frame is replaced.
    Garbage {
        /// What is sent instead.
        body: Bytes,
    },
    /// The request is read, and never answered; the connection stays open. On a WebSocket nothing is written any more,
    /// not even an answer to a ping, while frames are read on.
    HalfOpen {
        /// Is the work done? For the handshake of a WebSocket, `After` answers it, and is silent from there on.
        when: When,
        /// On a stream, how many pieces of output are sent before the silence; with `After` only.
        after_chunks: u64,
    },
    /// A body at a limited speed.
    Slow {
        /// At least 1.
        bytes_per_second: u64,
        /// Which body.
        direction: Direction,
    },
    /// The WebSocket of a stream is closed before its end.
    Close {
        /// How many pieces of output are sent before; at the latest when the program has ended.
        after_chunks: u64,
        /// The code of the close frame.
        code: u16,
        /// The reason in the close frame.
        reason: String,
    },
}

/// What is on its way when a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// A request and its answer.
    Http,
    /// A stream on a WebSocket.
    Stream,
}

impl Effect {
    /// Its name, as descriptions spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Effect::Status { .. } => "status",
            Effect::Delay { .. } => "delay",
            Effect::Reset { .. } => "reset",
            Effect::Truncate { .. } => "truncate",
            Effect::Garbage { .. } => "garbage",
            Effect::HalfOpen { .. } => "halfOpen",
            Effect::Slow { .. } => "slow",
            Effect::Close { .. } => "close",
        }
    }

    /// Is the work left undone?
    pub(crate) fn prevents_work(&self) -> bool {
        matches!(
            self,
            Effect::Status { when: When::Before, .. }
                | Effect::Reset { when: When::Before }
                | Effect::HalfOpen { when: When::Before, .. }
        )
    }

    /// How long the work has to wait.
    pub(crate) fn delay_of_work(&self) -> Option<Duration> {
        match self {
            Effect::Delay { by, when: When::Before } => Some(*by),
            _ => None,
        }
    }

    /// How long the answer has to wait.
    pub(crate) fn delay_of_answer(&self) -> Option<Duration> {
        match self {
            Effect::Delay { by, when: When::After } => Some(*by),
            _ => None,
        }
    }
}

/// The use of a fault, in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultUse {
    /// The number of the fault, counted from 1 in the order in which faults were added.
    pub id: u64,
    /// [`Effect::kind`].
    pub kind: &'static str,
    /// Was the work of the request done?
    pub worked: bool,
    /// The status that the answer of the work had, or would have had; `None` when it was not done.
    pub status: Option<u16>,
    /// The code of that answer.
    pub code: Option<String>,
}

/// What is known of a request when it is looked at.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) operation: &'a str,
    pub(crate) channel: Channel,
    pub(crate) tool: Option<&'a str>,
    pub(crate) session_id: Option<&'a str>,
    pub(crate) labels: &'a Map<String, Value>,
}

impl Fault {
    /// Could it strike a request for an operation, as far as that alone tells?
    fn concerns(&self, operation: &str, channel: Channel) -> bool {
        let names = |name: &str| self.operations.iter().any(|known| known == ALL || known == name);
        let stays = operation != WEB_SOCKET;
        match (&self.effect, channel) {
            // A frame has neither speed nor status line, and a request no WebSocket that could be closed.
            (Effect::Close { .. }, Channel::Http) | (Effect::Slow { .. }, Channel::Stream) => false,
            // Whose WebSocket it is, is the handshake's; when it is closed, the stream's.
            (Effect::Close { .. }, Channel::Stream) => names(operation) || names(WEB_SOCKET),
            // What became a WebSocket has no body.
            (Effect::Slow { .. } | Effect::Truncate { .. } | Effect::Garbage { .. }, Channel::Http) => {
                stays && names(operation)
            }
            _ => names(operation),
        }
    }

    fn fits(&self, seen: &Seen<'_>) -> bool {
        self.concerns(seen.operation, seen.channel)
            && (self.tools.is_empty() || seen.tool.is_some_and(|tool| self.tools.iter().any(|known| known == tool)))
            && self.session_id.as_deref().is_none_or(|id| seen.session_id == Some(id))
            && self.labels.iter().all(|(key, value)| seen.labels.get(key) == Some(value))
    }
}

/// A fault that strikes one request.
#[derive(Debug, Clone)]
pub(crate) struct Strike {
    pub(crate) id: u64,
    pub(crate) effect: Arc<Effect>,
}

/// The faults of an emulator.
pub(crate) struct Faults {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last_id: u64,
    armed: Vec<Armed>,
    rng: Rng,
}

#[derive(Debug)]
struct Armed {
    id: u64,
    fault: Fault,
    effect: Arc<Effect>,
    /// Requests that fitted.
    seen: u64,
    hits: Arc<AtomicU64>,
}

impl Armed {
    /// Counts a request that fits; is it struck?
    fn takes(&mut self, rng: &mut Rng, is_free: bool) -> bool {
        self.seen += 1;
        if !is_free || self.seen < self.fault.from || !self.has_strikes_left() {
            return false;
        }
        if self.fault.probability.is_some_and(|probability| rng.f64() >= probability) {
            return false;
        }
        self.hits.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn has_strikes_left(&self) -> bool {
        self.fault.count.is_none_or(|count| self.hits.load(Ordering::Relaxed) < count)
    }
}

impl Faults {
    /// The draws of `seed`, in a stream of their own.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let rng = seed.map_or_else(Rng::new, |seed| Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xFA));
        Self { state: Mutex::new(State { last_id: 0, armed: Vec::new(), rng }) }
    }

    pub(crate) fn add(self: &Arc<Self>, fault: Fault) -> FaultHandle {
        let mut state = self.state();
        state.last_id += 1;
        let (id, hits) = (state.last_id, Arc::<AtomicU64>::default());
        let effect = Arc::new(fault.effect.clone());
        state.armed.push(Armed { id, fault, effect, seen: 0, hits: hits.clone() });
        FaultHandle { id, hits, faults: self.clone() }
    }

    pub(crate) fn clear(&self) {
        self.state().armed.clear();
    }

    /// Could any strike a request for this operation? Then it has to be looked at.
    pub(crate) fn concern(&self, operation: &str, channel: Channel) -> bool {
        self.state().armed.iter().any(|armed| armed.has_strikes_left() && armed.fault.concerns(operation, channel))
    }

    /// The fault that strikes this request.
    pub(crate) fn strike(&self, seen: &Seen<'_>) -> Option<Strike> {
        let mut state = self.state();
        let State { armed, rng, .. } = &mut *state;
        let mut strike = None;
        for armed in armed.iter_mut().filter(|armed| armed.fault.fits(seen)) {
            if armed.takes(rng, strike.is_none()) {
                strike = Some(Strike { id: armed.id, effect: armed.effect.clone() });
            }
        }
        strike
    }

    fn remove(&self, id: u64) {
        self.state().armed.retain(|armed| armed.id != id);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Faults").field("state", &self.state).finish()
    }
}

/// A fault that was added. Dropping the handle leaves the fault.
#[derive(Debug, Clone)]
pub struct FaultHandle {
    id: u64,
    hits: Arc<AtomicU64>,
    faults: Arc<Faults>,
}

impl FaultHandle {
    /// Its number, as [`FaultUse::id`] shows it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How many requests it has struck.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// It strikes no more; what it has struck stays so. Removing twice is fine.
    pub fn remove(&self) {
        self.faults.remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::http::Method;

    use super::*;
    use crate::routes::operation_of;

    fn fault(text: &str) -> Fault {
        Fault::parse(text).unwrap()
    }

    fn faults(seed: u64, texts: &[&str]) -> (Arc<Faults>, Vec<FaultHandle>) {
        let faults = Arc::new(Faults::new(Some(seed)));
        let handles = texts.iter().map(|text| faults.add(fault(text))).collect();
        (faults, handles)
    }

    /// The numbers of the faults that strike `count` calls.
    fn strikes(faults: &Faults, operation: &str, count: usize) -> Vec<Option<u64>> {
        let labels = Map::new();
        let seen =
            Seen { operation, channel: Channel::Http, tool: Some("shell"), session_id: Some("s-1"), labels: &labels };
        (0..count).map(|_| faults.strike(&seen).map(|strike| strike.id)).collect()
    }

    #[test]
    fn a_fault_strikes_once_unless_it_says_how_often_and_from_when_on() {
        let (faults, handles) = faults(1, &["callTool:reset", "callTool:delay=1,from=3,count=2"]);
        assert_eq!(strikes(&faults, "callTool", 6), [Some(1), None, Some(2), Some(2), None, None]);
        assert_eq!(handles.iter().map(FaultHandle::hits).collect::<Vec<_>>(), [1, 2]);
        assert!(!faults.concern("callTool", Channel::Http));
    }

    #[test]
    fn one_that_always_strikes_does_so_until_it_is_removed() {
        let (faults, handles) = faults(1, &["*:reset,count=always"]);
        assert_eq!(strikes(&faults, "getSession", 3), [Some(1); 3]);
        handles[0].remove();
        assert_eq!(strikes(&faults, "getSession", 1), [None]);
        assert_eq!(handles[0].hits(), 3);
        faults.add(fault("*:reset"));
        faults.clear();
        assert_eq!(strikes(&faults, "getSession", 1), [None]);
    }

    #[test]
    fn it_strikes_only_what_it_is_for() {
        for (text, strikes_it) in [
            ("callTool:reset", true),
            ("getSession+callTool:reset", true),
            ("getSession:reset", false),
            ("callTool:reset,tool=shell", true),
            ("callTool:reset,tool=run_code", false),
            ("callTool:reset,session=s-1", true),
            ("callTool:reset,session=s-2", false),
            ("callTool:reset,label=a:b", false),
            ("callTool:close", false),
        ] {
            let (faults, _) = faults(1, &[text]);
            assert_eq!(strikes(&faults, "callTool", 1), [strikes_it.then_some(1)], "{text}");
        }
        let labels = serde_json::json!({"a": "b", "c": "d"}).as_object().cloned().unwrap();
        let of_labels =
            Seen { operation: "callTool", channel: Channel::Stream, tool: None, session_id: None, labels: &labels };
        for (text, fits) in [
            ("callTool:reset,label=a:b", true),
            ("callTool:reset,label=a:b,label=c:x", false),
            ("callTool:close", true),
            ("webSocket:close", true),
            ("webSocket:half-open", false),
            ("callTool:slow=1", false),
        ] {
            assert_eq!(fault(text).fits(&of_labels), fits, "{text}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_strikes() {
        let of_seed = |seed| {
            let (faults, _) = faults(seed, &["callTool:reset,count=always,probability=0.5"]);
            strikes(&faults, "callTool", 64)
        };
        assert_eq!(of_seed(7), of_seed(7));
        assert_ne!(of_seed(7), of_seed(8));
        let struck = of_seed(7).iter().flatten().count();
        assert!((10..54).contains(&struck), "{struck}");
    }

    #[test]
    fn every_route_has_its_operation_and_every_operation_its_route() {
        let table = include_str!("../app.rs");
        let mut found = BTreeSet::from([ALL]);
        for line in table.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")) {
            let path = line.split('"').next().unwrap();
            for (method, word) in [(Method::GET, "get("), (Method::POST, "post("), (Method::PUT, "put(")] {
                if line.contains(word) || line.contains("any(") {
                    found.insert(operation_of(&method, path).unwrap_or_else(|| panic!("{method} {path} is unknown")));
                }
            }
        }
        assert_eq!(found, BTreeSet::from(OPERATIONS));
    }
}
