//! The peer of the modules' tests: answers tool calls by a closure and keeps a journal of them.

use std::sync::Mutex;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::tool::{CallTool, ToolArgs, ToolLimits, ToolReply};

/// One call that was made.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) tool: String,
    pub(super) args: Value,
    pub(super) limits: ToolLimits,
}

type Answer = Box<dyn Fn(&str, &Value) -> Result<Option<String>> + Send + Sync>;

/// Answers with the request ids `r-1`, `r-2` … in the order of the calls.
pub(super) struct FakeTools {
    answer: Answer,
    journal: Mutex<Vec<Call>>,
}

impl FakeTools {
    /// Answers each call by what `answer` makes of the tool's name and arguments.
    pub(super) fn new(answer: impl Fn(&str, &Value) -> Result<Option<String>> + Send + Sync + 'static) -> Self {
        Self { answer: Box::new(answer), journal: Mutex::default() }
    }

    /// Answers each call with the same text.
    pub(super) fn saying(text: &str) -> Self {
        let text = text.to_owned();
        Self::new(move |_, _| Ok(Some(text.clone())))
    }

    /// Answers each call without any text.
    pub(super) fn silent() -> Self {
        Self::new(|_, _| Ok(None))
    }

    /// Fails each call.
    pub(super) fn failing(kind: ErrorKind, text: &str) -> Self {
        let text = text.to_owned();
        Self::new(move |_, _| Err(Error::new(kind, text.clone())))
    }

    /// The calls so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.journal.lock().unwrap().clone()
    }

    /// The names of the tools called so far.
    pub(super) fn tools(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.tool).collect()
    }
}

impl CallTool for FakeTools {
    async fn call_tool(&self, name: &str, args: ToolArgs, limits: ToolLimits) -> Result<ToolReply> {
        let args = Value::Object(args);
        let request_id = {
            let mut journal = self.journal.lock().unwrap();
            journal.push(Call { tool: name.to_owned(), args: args.clone(), limits });
            format!("r-{}", journal.len())
        };
        // Concurrent calls take turns, so that their order is tested and not assumed.
        tokio::task::yield_now().await;
        match (self.answer)(name, &args) {
            Ok(text) => Ok(ToolReply { request_id, text }),
            Err(error) => Err(error.with_request_id(request_id)),
        }
    }
}

/// A refusal by the tool itself.
pub(super) fn refused(text: &str) -> Error {
    Error::new(ErrorKind::Tool, text)
}

/// Only compiles for a future that may move between threads.
pub(super) fn assert_send<F: Future + Send>(future: F) -> F {
    future
}
