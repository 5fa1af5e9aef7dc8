//! What a language model does in the session's browser: act, observe, extract; each at once or as a task that is
//! polled until it is done.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::super::loose_json::parse;
use crate::error::{Error, ErrorKind, Result};
use crate::tool::{CallTool, ToolArgs, ToolLimits, ToolReply};
use crate::wire::browser::{self as wire, read_observed};
use crate::wire::js::number;

pub use crate::wire::browser::Observed;

/// How long one call of an agent's tool may take, and connecting for it.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// The total limit of a task whose caller gave none.
const TASK_LIMIT_S: f64 = 300.0;
/// The first look at a task; scripted and short ones are done by then.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Which page of which browser context a call is for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The browser context; the service knows 0 only.
    pub context_id: f64,
    /// The page: a CDP target id; `None`: the page in front.
    pub page_id: Option<String>,
}

/// A text that a tool gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageText {
    /// The service's request id.
    pub request_id: String,
    /// The text, not empty.
    pub text: String,
}

/// What a screenshot shows.
#[derive(Debug, Clone, PartialEq)]
pub struct PageScreenshot {
    /// The page.
    pub page: Page,
    /// The whole page, not only what is in view.
    pub full_page: bool,
    /// Quality of the picture, from 0 to 100.
    pub quality: f64,
    /// The part to show: `x`, `y`, `width`, `height`.
    pub clip: Option<Map<String, Value>>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: Option<f64>,
}

/// How an action went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// The service's request id.
    pub request_id: String,
    /// Did it reach its aim?
    pub success: bool,
    /// What was done, or why it failed.
    pub message: String,
}

/// Opens an address, and gives the tool's words on it.
///
/// # Errors
///
/// The failure of the call, as `Navigation failed: …`; also for a tool that says nothing.
pub async fn navigate<T: CallTool>(tools: &T, url: &str) -> Result<PageText> {
    let mut args = ToolArgs::new();
    args.insert("url".into(), url.into());
    said(tools.call_tool("page_use_navigate", args, limits(None)).await, "Navigation failed")
}

/// Takes a picture of a page: base64 or a data URL.
///
/// # Errors
///
/// The failure of the call, as `Screenshot failed: …`; also for a tool that says nothing.
pub async fn screenshot<T: CallTool>(tools: &T, wanted: &PageScreenshot) -> Result<PageText> {
    let mut args = page_args(&wanted.page);
    args.insert("full_page".into(), wanted.full_page.into());
    args.insert("quality".into(), number(wanted.quality));
    if let Some(clip) = &wanted.clip {
        args.insert("clip".into(), Value::Object(clip.clone()));
    }
    if let Some(timeout_ms) = wanted.timeout_ms {
        args.insert("timeout".into(), number(timeout_ms));
    }
    let limits = limits(wanted.timeout_ms);
    said(tools.call_tool("page_use_screenshot", args, limits).await, "Screenshot failed")
}

/// Ends the agent's work in the browser; `true` where the service confirms it.
///
/// # Errors
///
/// The failure of the call.
pub async fn close<T: CallTool>(tools: &T) -> Result<bool> {
    let reply = tools.call_tool("page_use_close_session", ToolArgs::new(), limits(None)).await?;
    Ok(text_of(&reply).is_some())
}

/// Does something on a page and waits for its end. `input` is what the caller gave: options, or an observed element
/// (one without `action`).
///
/// # Errors
///
/// The failure of the call, whose text is the message of the action that failed.
pub async fn act<T: CallTool>(tools: &T, input: &Map<String, Value>, page: &Page) -> Result<Acted> {
    let reply = tools.call_tool("page_use_act", act_args(input, page), limits(None)).await?;
    let text = text_of(&reply);
    Ok(Acted { success: text.is_some(), message: text.unwrap_or_default(), request_id: reply.request_id })
}

/// As [`act`], as a task of the service that is polled for at most `waitTimeoutS` of the options, else `timeout`, in
/// seconds (default 300). The tool gets `timeout` alone.
///
/// # Errors
///
/// `Failed to start act task`; [`Timeout`](ErrorKind::Timeout) when it was not done in time; what ends polling for good
/// (a released session, a refused key).
pub async fn act_async<T: CallTool>(tools: &T, input: &Map<String, Value>, page: &Page) -> Result<Acted> {
    let (name, limit_s) = match input.get("action") {
        Some(action) => (plain_text(action), task_limit_s(input)),
        None => (input.get("method").map(plain_text).unwrap_or_default(), TASK_LIMIT_S),
    };
    let id = start(tools, "page_use_act_async", act_args(input, page), "act").await?;
    let task = Task { tool: "page_use_get_act_result", words: format!("{name} timeout"), last_pause_s: 5, limit_s, id };
    task.poll(tools, "act", |reply, answer| {
        let (success, message) = wire::read_act(answer)?;
        Some(Acted { request_id: reply.request_id.clone(), success, message })
    })
    .await
}

/// What can be acted on, on a page; `None` where the tool failed, or said nothing.
///
/// # Errors
///
/// [`Protocol`](ErrorKind::Protocol) for a text that is no JSON.
pub async fn observe<T: CallTool>(
    tools: &T,
    options: &Map<String, Value>,
    page: &Page,
) -> Result<Option<Vec<Observed>>> {
    let reply = tools.call_tool("page_use_observe", observe_args(options, page), limits(None)).await;
    Ok(answer_of(reply, "observe")?.as_ref().map(read_observed))
}

/// As [`observe`], as a task that is polled.
///
/// # Errors
///
/// As [`act_async`], with `Failed to start observe task`.
pub async fn observe_async<T: CallTool>(tools: &T, options: &Map<String, Value>, page: &Page) -> Result<Vec<Observed>> {
    let id = start(tools, "page_use_observe_async", observe_args(options, page), "observe").await?;
    let limit_s = task_limit_s(options);
    let words = " Observe timeout".to_owned();
    let task = Task { tool: "page_use_get_observe_result", words, last_pause_s: 5, limit_s, id };
    task.poll(tools, "observe", |_, answer| Some(read_observed(answer))).await
}

/// Reads data of the caller's schema from a page; `None` where the tool failed, or said nothing.
///
/// # Errors
///
/// [`Protocol`](ErrorKind::Protocol) for a text that is no JSON.
pub async fn extract<T: CallTool>(tools: &T, options: &Map<String, Value>, page: &Page) -> Result<Option<Value>> {
    let reply = tools.call_tool("page_use_extract", extract_args(options, page), limits(None)).await;
    answer_of(reply, "extract")
}

/// As [`extract`], as a task that is polled.
///
/// # Errors
///
/// As [`act_async`], with `Failed to start extract task`.
pub async fn extract_async<T: CallTool>(tools: &T, options: &Map<String, Value>, page: &Page) -> Result<Value> {
    let id = start(tools, "page_use_extract_async", extract_args(options, page), "extract").await?;
    let limit_s = task_limit_s(options);
    let words = " Extract timeout".to_owned();
    let task = Task { tool: "page_use_get_extract_result", words, last_pause_s: 8, limit_s, id };
    task.poll(tools, "extract", |_, answer| Some(answer.clone())).await
}

fn limits(work_ms: Option<f64>) -> ToolLimits {
    let work = work_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
    ToolLimits { work, read: Some(CALL_LIMIT), connect: Some(CALL_LIMIT) }
}

/// The tool's text; none and an empty one are the same.
fn text_of(reply: &ToolReply) -> Option<String> {
    reply.text.clone().filter(|text| !text.is_empty())
}

fn said(reply: Result<ToolReply>, failed: &str) -> Result<PageText> {
    let reply = reply.map_err(|error| worded(error).prefixed(failed))?;
    match text_of(&reply) {
        Some(text) => Ok(PageText { request_id: reply.request_id, text }),
        None => Err(nothing(&reply).prefixed(failed)),
    }
}

fn worded(error: Error) -> Error {
    if error.message().is_empty() { super::super::with_message(&error, "Unknown error") } else { error }
}

/// A tool that succeeded without a word.
fn nothing(reply: &ToolReply) -> Error {
    Error::new(ErrorKind::Protocol, "Unknown error").with_request_id(reply.request_id.clone())
}

/// The JSON of an answer. The callers of a failed tool learn only that it failed; why is in the log.
fn answer_of(reply: Result<ToolReply>, task: &str) -> Result<Option<Value>> {
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) => {
            tracing::warn!(target: "agb::browser", error = error.message(), "{task} failed");
            return Ok(None);
        }
    };
    text_of(&reply).map(|text| json_of(&reply, &text, task)).transpose()
}

fn json_of(reply: &ToolReply, text: &str, task: &str) -> Result<Value> {
    parse(text).ok_or_else(|| {
        let text = format!("Failed to parse the {task} result: it is not valid JSON");
        Error::new(ErrorKind::Protocol, text).with_request_id(reply.request_id.clone())
    })
}

fn page_args(page: &Page) -> ToolArgs {
    let mut args = ToolArgs::new();
    args.insert("context_id".into(), number(page.context_id));
    if let Some(page_id) = &page.page_id {
        args.insert("page_id".into(), page_id.as_str().into());
    }
    args
}

/// Adds the options under the tool's names, without those that were not given.
fn add_options(args: &mut ToolArgs, options: &Map<String, Value>, names: &[(&str, &str)]) {
    for (option, argument) in names {
        if let Some(value) = options.get(*option).filter(|value| !value.is_null()) {
            args.insert((*argument).to_owned(), value.clone());
        }
    }
}

fn act_args(input: &Map<String, Value>, page: &Page) -> ToolArgs {
    let mut args = page_args(page);
    if !input.contains_key("action") {
        args.insert("action".into(), observed_action(input).into());
        return args;
    }
    add_options(
        &mut args,
        input,
        &[
            ("action", "action"),
            ("variables", "variables"),
            ("timeout", "timeout"),
            ("useVision", "use_vision"),
            ("iframes", "iframes"),
            ("domSettleTimeoutMs", "dom_settle_timeout_ms"),
        ],
    );
    args
}

/// An observed element as an action: its method and arguments.
fn observed_action(observed: &Map<String, Value>) -> String {
    let mut action = Map::new();
    for name in ["method", "arguments"] {
        if let Some(value) = observed.get(name) {
            action.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(action).to_string()
}

fn observe_args(options: &Map<String, Value>, page: &Page) -> ToolArgs {
    let mut args = page_args(page);
    add_options(
        &mut args,
        options,
        &[
            ("instruction", "instruction"),
            ("useVision", "use_vision"),
            ("selector", "selector"),
            ("iframes", "iframes"),
            ("domSettleTimeoutMs", "dom_settle_timeout_ms"),
        ],
    );
    args
}

fn extract_args(options: &Map<String, Value>, page: &Page) -> ToolArgs {
    let mut args = page_args(page);
    add_options(&mut args, options, &[("instruction", "instruction")]);
    if let Some(schema) = options.get("schema") {
        args.insert("field_schema".into(), format!("schema: {schema}").into());
    }
    add_options(
        &mut args,
        options,
        &[
            ("useTextExtract", "use_text_extract"),
            ("useVision", "use_vision"),
            ("selector", "selector"),
            ("iframe", "iframe"),
            ("domSettleTimeoutMs", "dom_settle_timeout_ms"),
            ("maxPage", "max_page"),
        ],
    );
    args
}

fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn task_limit_s(options: &Map<String, Value>) -> f64 {
    let number = |name: &str| options.get(name).and_then(Value::as_f64);
    number("waitTimeoutS").or_else(|| number("timeout")).unwrap_or(TASK_LIMIT_S)
}

/// Starts a task and gives its id.
async fn start<T: CallTool>(tools: &T, tool: &str, args: ToolArgs, task: &str) -> Result<String> {
    let failed = format!("Failed to start {task} task");
    let reply = tools.call_tool(tool, args, limits(None)).await.map_err(|error| {
        if error.message().is_empty() {
            super::super::with_message(&error, failed.clone())
        } else {
            error.prefixed(&failed)
        }
    })?;
    let id = text_of(&reply).and_then(|text| parse(&text)).as_ref().and_then(wire::read_task_id);
    id.ok_or_else(|| {
        let text = format!("{failed}: the answer has no task id");
        Error::new(ErrorKind::Protocol, text).with_request_id(reply.request_id.clone())
    })
}

/// A task of the service.
struct Task {
    id: String,
    /// The tool that tells how it stands.
    tool: &'static str,
    /// What stands between its id and the limit when the limit has passed.
    words: String,
    /// The interval of the looks once the quick first ones are over.
    last_pause_s: u64,
    limit_s: f64,
}

impl Task {
    /// Looks, quickly first, until `read` finds a result. A look that fails is "not ready yet", unless its failure can't
    /// pass.
    async fn poll<T: CallTool, R>(
        &self,
        tools: &T,
        task: &str,
        read: impl Fn(&ToolReply, &Value) -> Option<R>,
    ) -> Result<R> {
        let started = Instant::now();
        let limit = Duration::try_from_secs_f64(self.limit_s.max(0.0)).unwrap_or(Duration::MAX);
        let last_pause = Duration::from_secs(self.last_pause_s);
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::time::sleep(pause.min(limit.saturating_sub(started.elapsed()))).await;
            pause = (pause * 2).min(last_pause);
            let mut args = ToolArgs::new();
            args.insert("task_id".into(), self.id.as_str().into());
            let failure = match tools.call_tool(self.tool, args, limits(None)).await {
                Ok(reply) => match text_of(&reply) {
                    Some(text) => match read(&reply, &json_of(&reply, &text, task)?) {
                        Some(result) => return Ok(result),
                        None => None,
                    },
                    None => None,
                },
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => Some(error),
            };
            if started.elapsed() >= limit {
                return Err(self.timed_out(failure));
            }
        }
    }

    fn timed_out(&self, failure: Option<Error>) -> Error {
        let text = format!("Task {}:{} after {}s", self.id, self.words, self.limit_s);
        let error = Error::new(ErrorKind::Timeout, text).with_operation(self.tool);
        match failure {
            Some(failure) if !failure.message().is_empty() => error
                .with_request_id(failure.request_id())
                .noted(format!("the last look failed: {}", failure.message())),
            _ => error,
        }
    }
}

/// Will every further look fail in the same way?
fn is_final(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::SessionNotFound
            | ErrorKind::Authentication
            | ErrorKind::Config
            | ErrorKind::InvalidArgument
            | ErrorKind::Unavailable
            | ErrorKind::Internal
    )
}

#[cfg(test)]
mod tests;
