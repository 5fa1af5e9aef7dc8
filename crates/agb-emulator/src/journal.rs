//! What was asked, and what was answered.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
};

use serde_json::{Map, Value};

use crate::{fault::FaultUse, options::RequestLog};

/// Older entries are forgotten.
const KEPT: usize = 10_000;

/// One finished request.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalEntry {
    /// Counts from 1, in the order in which requests finished; clearing the journal does not start it again.
    pub seq: u64,
    /// When the request arrived, by the emulator's clock (ISO 8601, UTC).
    pub at: String,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The operation: the last part of the path (`createSession`), `callTool` for a tool on either route, `unknown` for
    /// a route that does not exist.
    pub operation: String,
    /// The tool, for a tool call.
    pub tool: Option<String>,
    /// The session that the request names.
    pub session_id: Option<String>,
    /// The id in the answer.
    pub request_id: String,
    /// The HTTP status of the answer; 0 when a fault let none out.
    pub status: u16,
    /// The code of the answer: `ok`, or an error code; `unanswered` or `unreadable` when a fault made it so.
    pub code: String,
    /// Whether the answer says that the request did what it should; a tool that failed is a failure.
    pub success: bool,
    /// The fault that struck the request, and what was done all the same.
    pub fault: Option<FaultUse>,
    /// How long it took, in milliseconds of real time.
    pub duration_ms: f64,
    /// Whether the request used its session, and so restarted the session's idle timer.
    pub resets_idle_timer: bool,
    /// The query parameters.
    pub query: Map<String, Value>,
    /// The JSON object of the body; `None` when there was none, when it was long, or when it held the API key. A token
    /// in it is replaced by `***`.
    pub body: Option<Value>,
}

/// The last requests.
pub(crate) struct Journal {
    log: Option<RequestLog>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    last_seq: u64,
    entries: VecDeque<JournalEntry>,
}

impl Journal {
    pub(crate) fn new(log: Option<RequestLog>) -> Self {
        Self { log, kept: Mutex::default() }
    }

    /// Keeps an entry, numbers it, and tells the log.
    pub(crate) fn record(&self, mut entry: JournalEntry) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last_seq += 1;
        entry.seq = kept.last_seq;
        if kept.entries.len() == KEPT {
            kept.entries.pop_front();
        }
        kept.entries.push_back(entry.clone());
        drop(kept);
        if let Some(log) = &self.log {
            log(&entry);
        }
    }

    pub(crate) fn entries(&self) -> Vec<JournalEntry> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).entries.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).entries.clear();
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Journal").field("kept", &self.kept).finish_non_exhaustive()
    }
}
