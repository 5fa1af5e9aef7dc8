//! Running code while its output arrives, over the session's WebSocket (docs/protocol.md, section "Streamed code").

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::loose_json::{number_of, text_of};
use super::super::time_limit;
use super::{Execution, ExecutionError, ExecutionResult, TOOL, canonical_language};
use crate::error::{Error, ErrorKind, Result};
use crate::session::RoutedSession;
use crate::transport::{Deadline, MAX_ANSWER_BYTES, MAY_HAVE_RUN, redact};
use crate::wire::envelope::is_session_not_found;
use crate::wire::js::{is_truthy, number};

/// The server that runs code where the session's tool list names none.
const DEFAULT_SERVER: &str = "wuying_codespace";
/// What a stream may take beyond the code's own limit: the way there and back, and the start of the interpreter.
const MARGIN: Duration = Duration::from_secs(15);
/// How much of a frame an error shows.
const EXCERPT_CHARS: usize = 2_000;
/// How much of one of its members.
const MEMBER_CHARS: usize = 100;
/// Whole numbers up to this have no neighbours that read the same.
const LARGEST_EXACT: f64 = 9_007_199_254_740_991.0;

/// What happens while code runs.
#[derive(Debug, Clone, PartialEq)]
pub enum CodeEvent {
    /// A piece of standard output, as the code printed it.
    Stdout(String),
    /// A piece of standard error.
    Stderr(String),
    /// A displayed object, or the value of the last expression.
    Result(ExecutionResult),
    /// The code failed: what the service says about it, and how it reads.
    Error {
        /// As the service sent it.
        payload: Value,
        /// The same, read.
        error: ExecutionError,
    },
}

/// A stream that did not come to its end.
#[derive(Debug)]
pub struct StreamFailure {
    /// Why.
    pub error: Error,
    /// What had arrived until then; never a success.
    pub partial: Box<Execution>,
}

impl fmt::Display for StreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for StreamFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

impl From<Error> for StreamFailure {
    fn from(error: Error) -> Self {
        let error = if error.operation().is_empty() { error.with_operation(TOOL) } else { error };
        let partial = Execution { error_message: error.message().to_owned(), ..Execution::default() };
        Self { error, partial: Box::new(partial) }
    }
}

/// Runs `code` as [`run`](super::run) does, and tells what happens as it happens. `on_event` runs on a thread of the
/// runtime and must not block; the last event is told before the future is done.
///
/// Dropping the future gives the run up. If nothing else uses the session's WebSocket it is closed, by which a server
/// can tell that the code should stop; the protocol has no other word for that.
///
/// # Errors
///
/// [`InvalidArgument`](ErrorKind::InvalidArgument) as [`run`](super::run), and for a session without WebSocket, before
/// anything is sent; why there is no connection; [`Network`](ErrorKind::Network) when it is lost;
/// [`Protocol`](ErrorKind::Protocol) when something is missing or can't be read; [`Tool`](ErrorKind::Tool) when the
/// service ends the stream with an error, [`SessionNotFound`](ErrorKind::SessionNotFound) when it does so because the
/// session is gone; [`Timeout`](ErrorKind::Timeout) when it has not ended `timeout_s` and 15 seconds after it began. What
/// had arrived is in the failure.
pub async fn stream(
    session: &RoutedSession,
    code: &str,
    language: &str,
    timeout_s: f64,
    on_event: impl FnMut(CodeEvent) + Send,
) -> std::result::Result<Execution, StreamFailure> {
    let canonical = canonical_language(language)?;
    let limit = time_limit(TOOL, "timeout", timeout_s, "seconds", 1.0)?;
    let params = json!({ "language": canonical, "timeoutS": number(timeout_s), "code": code });
    let mut data = Map::new();
    data.insert("method".into(), TOOL.into());
    data.insert("mode".into(), "stream".into());
    data.insert("params".into(), params);
    let outcome = run_within(session, &data, Deadline::after(limit.saturating_add(MARGIN)), on_event).await;
    if outcome.as_ref().is_err_and(|failure| failure.error.kind() == ErrorKind::SessionNotFound) {
        session.session().life().gone();
    }
    outcome
}

async fn run_within(
    session: &RoutedSession,
    data: &Map<String, Value>,
    deadline: Deadline,
    mut on_event: impl FnMut(CodeEvent) + Send,
) -> std::result::Result<Execution, StreamFailure> {
    let begun = tokio::time::timeout_at(deadline.at, session.invoke(TOOL, DEFAULT_SERVER, data, deadline));
    let (mut invocation, in_flight) = begun.await.unwrap_or_else(|_| Err(not_ended(deadline)))?;
    let mut collector = Collector { id: invocation.id().to_owned(), ..Collector::default() };
    let end = loop {
        let frame = match tokio::time::timeout_at(deadline.at, invocation.next()).await {
            Ok(frame) => frame,
            Err(_) => Err(not_ended(deadline)),
        };
        match frame.and_then(|data| collector.take(data)) {
            Ok(Step::Told(event)) => on_event(*event),
            Ok(Step::Nothing) => {}
            Ok(Step::End(end)) => break end,
            Err(error) => return Err(collector.failed(doubtful(error))),
        }
    };
    let request_id = invocation.id().to_owned();
    invocation.settle();
    in_flight.finished();
    Ok(collector.finished(&end, request_id))
}

/// What is lost with its connection, or too late, may run on: whoever calls decides whether to call again.
fn doubtful(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Network | ErrorKind::Timeout => error.noted(MAY_HAVE_RUN),
        _ => error,
    }
}

fn not_ended(deadline: Deadline) -> Error {
    let text = format!("timeout of {}ms exceeded: the stream did not end", deadline.limit.as_millis());
    Error::new(ErrorKind::Timeout, text).with_temporary(true)
}

/// What a frame means.
#[derive(Debug, PartialEq)]
enum Step {
    Told(Box<CodeEvent>),
    /// Nothing that this client knows.
    Nothing,
    End(Map<String, Value>),
}

/// Gathers the frames of one run.
#[derive(Debug, Default)]
struct Collector {
    /// The invocation's.
    id: String,
    stdout: Vec<String>,
    stderr: Vec<String>,
    results: Vec<ExecutionResult>,
    error: Option<ExecutionError>,
    last_number: Option<i64>,
    bytes: usize,
}

impl Collector {
    fn take(&mut self, data: Map<String, Value>) -> Result<Step> {
        self.check_order(&data)?;
        match data.get("phase").and_then(Value::as_str) {
            Some("event") => self.take_event(&data),
            Some("error") => Err(remote(data)),
            _ if has_error_text(&data) => Err(remote(data)),
            Some("end") => Ok(Step::End(data)),
            None if !data.contains_key("phase") => Err(self.unreadable("missing required data.phase", None, data)),
            _ => Err(self.unreadable("has unsupported data.phase", Some("phase"), data)),
        }
    }

    /// Frames may carry numbers. Where the numbers begin is not known, but a step that isn't one means that something
    /// is missing, or out of its order.
    fn check_order(&mut self, data: &Map<String, Value>) -> Result<()> {
        let Some(number) = data.get("seq").filter(|number| !number.is_null()) else { return Ok(()) };
        let Some(number) = whole_number(number) else {
            return Err(self.unreadable("has a data.seq that is no whole number", Some("seq"), data.clone()));
        };
        let last = self.last_number.replace(number);
        match last.and_then(|last| last.checked_add(1)) {
            Some(expected) if expected != number => {
                let text = format!("the stream has a gap: frame {expected} was expected, frame {number} came");
                Err(Error::new(ErrorKind::Protocol, text))
            }
            _ => Ok(()),
        }
    }

    /// Of a frame that says `what`; `member` is what is wrong in it.
    fn unreadable(&self, what: &str, member: Option<&str>, data: Map<String, Value>) -> Error {
        let member = member.map(|name| {
            let value = data.get(name).cloned().unwrap_or_default();
            format!(" {name}={},", redact::excerpt(value, MEMBER_CHARS))
        });
        let text = format!(
            "WS message {what}; invocationId={},{} data={}",
            self.id,
            member.unwrap_or_default(),
            redact::excerpt(Value::Object(data), EXCERPT_CHARS)
        );
        Error::new(ErrorKind::Protocol, text)
    }

    fn take_event(&mut self, data: &Map<String, Value>) -> Result<Step> {
        let kind = data.get("eventType").and_then(Value::as_str).unwrap_or_default();
        let chunk = data.get("chunk").and_then(Value::as_str);
        let event = match (kind, chunk) {
            ("stdout", Some(chunk)) => {
                self.count(chunk.len())?;
                self.stdout.push(chunk.to_owned());
                CodeEvent::Stdout(chunk.to_owned())
            }
            ("stderr", Some(chunk)) => {
                self.count(chunk.len())?;
                self.stderr.push(chunk.to_owned());
                CodeEvent::Stderr(chunk.to_owned())
            }
            ("result", _) => {
                let payload = data.get("result").unwrap_or(&Value::Null);
                self.count(size_of(payload))?;
                let result = read_result(payload);
                self.results.push(result.clone());
                CodeEvent::Result(result)
            }
            ("error", _) => self.error_event(data)?,
            _ if has_error_text(data) => self.error_event(data)?,
            _ => return Ok(Step::Nothing),
        };
        Ok(Step::Told(Box::new(event)))
    }

    fn error_event(&mut self, data: &Map<String, Value>) -> Result<CodeEvent> {
        let payload = match data.get("error") {
            None | Some(Value::Null) => Value::Object(data.clone()),
            Some(payload) => payload.clone(),
        };
        self.count(size_of(&payload))?;
        let error = read_error(&payload);
        self.error = Some(error.clone());
        Ok(CodeEvent::Error { payload, error })
    }

    /// What is gathered must fit into memory, as every other answer.
    fn count(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= MAX_ANSWER_BYTES {
            return Ok(());
        }
        let limit_mib = MAX_ANSWER_BYTES / (1024 * 1024);
        Err(Error::new(ErrorKind::Protocol, format!("the code printed and displayed more than {limit_mib} MiB")))
    }

    fn finished(self, end: &Map<String, Value>, request_id: String) -> Execution {
        let said = end.get("executionError").filter(|error| is_truthy(Some(error))).map(text_of);
        let in_end = end.get("error").filter(|error| is_truthy(Some(error))).map(read_error);
        let error = self.error.or(in_end).or_else(|| said.clone().map(plain_error));
        let has_failed = end.get("status").and_then(Value::as_str) == Some("failed");
        let success = error.is_none() && !has_failed;
        let value = || error.as_ref().map(|error| error.value.clone()).filter(|value| !value.is_empty());
        let error_message = match success {
            true => String::new(),
            false => said.or_else(value).unwrap_or_else(|| "Failed to run code".to_owned()),
        };
        Execution {
            request_id,
            success,
            execution_count: end.get("executionCount").and_then(Value::as_f64),
            execution_time: end.get("executionTime").and_then(number_of).unwrap_or_default(),
            stdout: self.stdout,
            stderr: self.stderr,
            results: self.results,
            error,
            error_message,
        }
    }

    fn failed(self, error: Error) -> StreamFailure {
        let error = error.with_operation(TOOL);
        let partial = Execution {
            stdout: self.stdout,
            stderr: self.stderr,
            results: self.results,
            error: Some(self.error.unwrap_or_else(|| plain_error(error.message().to_owned()))),
            error_message: error.message().to_owned(),
            ..Execution::default()
        };
        StreamFailure { error, partial: Box::new(partial) }
    }
}

fn has_error_text(data: &Map<String, Value>) -> bool {
    matches!(data.get("error"), Some(Value::String(text)) if !text.is_empty())
}

fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size_of).sum(),
        Value::Object(members) => members.iter().map(|(name, member)| name.len() + size_of(member)).sum(),
        _ => 8,
    }
}

fn remote(data: Map<String, Value>) -> Error {
    let code = data.get("error").and_then(|error| error.get("code")).map(text_of).unwrap_or_default();
    let kind = if is_session_not_found(&code) { ErrorKind::SessionNotFound } else { ErrorKind::Tool };
    Error::new(kind, redact::excerpt(Value::Object(data), EXCERPT_CHARS)).with_code(code)
}

/// Also of `7.0` and `"7"`: services are written in many languages.
fn whole_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = number_of(value)?;
        (number.fract() == 0.0 && number.abs() <= LARGEST_EXACT).then_some(number as i64)
    })
}

fn read_result(payload: &Value) -> ExecutionResult {
    let Value::Object(fields) = payload else { return super::text_item(text_of(payload)) };
    let none = Map::new();
    let mime = fields.get("mime").and_then(Value::as_object).unwrap_or(&none);
    let is_main = first(fields, &["isMainResult", "is_main_result"]);
    ExecutionResult { is_main_result: is_truthy(is_main), ..super::read_fields(mime) }
}

fn read_error(payload: &Value) -> ExecutionError {
    let Value::Object(fields) = payload else { return plain_error(text_of(payload)) };
    let trace = fields.get("traceId").filter(|trace| is_truthy(Some(trace)));
    ExecutionError {
        name: first(fields, &["code"]).map_or_else(|| "ExecutionError".to_owned(), text_of),
        value: first(fields, &["message", "error"]).map(text_of).unwrap_or_default(),
        traceback: trace.map(|trace| format!("traceId={}", text_of(trace))).unwrap_or_default(),
    }
}

/// The first of these members that is there and not null.
fn first<'a>(fields: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| fields.get(*key).filter(|value| !value.is_null()))
}

fn plain_error(value: String) -> ExecutionError {
    ExecutionError { name: "ExecutionError".to_owned(), value, traceback: String::new() }
}

#[cfg(test)]
mod tests;
