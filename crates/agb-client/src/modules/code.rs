//! Running code in the live interpreters of a session.

use serde_json::{Map, Value};

use super::loose_json::{is_set, number_arg, number_of, optional_text, parse, text_of, texts_of};
use super::{Wording, time_limit};
use crate::error::{Error, ErrorKind, Result};
use crate::tool::{CallTool, ToolArgs, ToolLimits};

const TOOL: &str = "run_code";
const WORDING: Wording = Wording::same("Failed to run code");

/// What a run gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Execution {
    /// The service's request id.
    pub request_id: String,
    /// The code ran to its end without an error.
    pub success: bool,
    /// The how-manieth run of this interpreter it was, where the service says it.
    pub execution_count: Option<f64>,
    /// How long the code ran, in seconds; 0 where the service doesn't say it.
    pub execution_time: f64,
    /// Pieces of standard output, with their line ends.
    pub stdout: Vec<String>,
    /// Pieces of standard error, with their line ends.
    pub stderr: Vec<String>,
    /// Displayed objects and the value of the last expression.
    pub results: Vec<ExecutionResult>,
    /// The error that ended the code.
    pub error: Option<ExecutionError>,
    /// The error's text; empty on success.
    pub error_message: String,
}

/// One displayed object, in every form in which the interpreter rendered it. Images are base64 text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExecutionResult {
    /// Plain text.
    pub text: Option<String>,
    /// HTML.
    pub html: Option<String>,
    /// Markdown.
    pub markdown: Option<String>,
    /// A PNG image.
    pub png: Option<String>,
    /// A JPEG image.
    pub jpeg: Option<String>,
    /// An SVG image.
    pub svg: Option<String>,
    /// LaTeX.
    pub latex: Option<String>,
    /// JSON data.
    pub json: Option<Value>,
    /// A chart's description.
    pub chart: Option<Value>,
    /// It is the value of the last expression.
    pub is_main_result: bool,
}

/// The error that ended the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionError {
    /// The error's class; `ExecutionError` where the service sends only a text.
    pub name: String,
    /// The error's text.
    pub value: String,
    /// The trace, or an empty text.
    pub traceback: String,
}

/// Runs `code` in the session's interpreter of `language` (`python`, `javascript`, `java` or `r`, or one of their usual
/// other names, in any case), for at most `timeout_s` seconds.
///
/// Code that fails is a result with `success: false`. Source: docs/protocol.md, section "Tools".
///
/// # Errors
///
/// [`InvalidArgument`](ErrorKind::InvalidArgument) for an unknown language or a limit that isn't a positive, finite
/// number, before anything is sent; the failure of the call, with the text `Failed to run code` where it had none;
/// [`Protocol`](ErrorKind::Protocol) for an answer without content; [`Tool`](ErrorKind::Tool) for an answer that is
/// marked as an error.
pub async fn run<T: CallTool>(tools: &T, code: &str, language: &str, timeout_s: f64) -> Result<Execution> {
    let canonical = canonical_language(language)?;
    let work = time_limit(TOOL, "timeout", timeout_s, "seconds", 1.0)?;

    let mut args = ToolArgs::new();
    args.insert("code".into(), code.into());
    args.insert("language".into(), canonical.into());
    args.insert("timeout_s".into(), number_arg(timeout_s));
    let limits = ToolLimits { work: Some(work), ..ToolLimits::default() };

    let reply = tools.call_tool(TOOL, args, limits).await.map_err(|error| WORDING.explain(error))?;
    match read(reply.text.as_deref().unwrap_or_default()) {
        Ok(execution) => Ok(Execution { request_id: reply.request_id, ..execution }),
        Err(error) => Err(error.with_operation(TOOL).with_request_id(reply.request_id)),
    }
}

fn canonical_language(given: &str) -> Result<&'static str> {
    match given.trim().to_lowercase().as_str() {
        "python" | "python3" | "py" => Ok("python"),
        "javascript" | "js" | "node" | "nodejs" => Ok("javascript"),
        "java" => Ok("java"),
        "r" => Ok("r"),
        _ => {
            let text = format!("Unsupported language: {given}. Supported: java, javascript, python, r");
            Err(Error::new(ErrorKind::InvalidArgument, text).with_operation(TOOL))
        }
    }
}

/// Reads the tool's text in whichever of its forms it came: the present one (`result`), the two before it (`logs` and
/// `results`; `content`), or just what the code printed.
fn read(text: &str) -> Result<Execution> {
    if text.is_empty() {
        return Err(Error::new(ErrorKind::Protocol, "No data returned"));
    }
    let Some(Value::Object(outer)) = parse(text) else {
        return Ok(plain(text));
    };
    let answer = unwrap(outer);
    if is_set(answer.get("isError")) {
        return Err(Error::new(ErrorKind::Tool, format!("Error in response: {}", error_texts(&answer))));
    }
    if answer.get("result").is_some_and(Value::is_array) {
        return Ok(read_present(&answer));
    }
    if answer.contains_key("logs") || answer.contains_key("results") {
        return Ok(read_rich(&answer));
    }
    if answer.contains_key("content") {
        return read_legacy(&answer);
    }
    if is_set(answer.get("executionError")) {
        return Ok(read_present(&answer));
    }
    // Of an unknown form, the text as it came tells more than anything made of it.
    Ok(plain(text))
}

fn plain(text: &str) -> Execution {
    Execution {
        success: true,
        stdout: vec![text.to_owned()],
        results: vec![ExecutionResult { text: Some(text.to_owned()), is_main_result: true, ..Default::default() }],
        ..Default::default()
    }
}

/// Takes the answer out of a content list, where the service wrapped it once more.
fn unwrap(outer: Map<String, Value>) -> Map<String, Value> {
    let inner = first_content(&outer).and_then(|item| item.get("text")).and_then(Value::as_str).and_then(parse);
    match inner {
        Some(Value::Object(inner)) if inner.contains_key("result") || inner.contains_key("executionError") => inner,
        _ => outer,
    }
}

fn first_content(answer: &Map<String, Value>) -> Option<&Value> {
    answer.get("content")?.as_array()?.first()
}

/// What an answer marked as an error says: the texts of its content, or at least its execution error.
fn error_texts(answer: &Map<String, Value>) -> String {
    let items = answer.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<_> = items
        .iter()
        .filter(|item| item.is_object() || item.is_array())
        .map(|item| optional_text(item.get("text")).unwrap_or_else(|| "Unknown error".to_owned()))
        .collect();
    if texts.is_empty() {
        return optional_text(answer.get("executionError")).unwrap_or_default();
    }
    texts.join("; ")
}

fn read_present(answer: &Map<String, Value>) -> Execution {
    Execution {
        execution_count: answer.get("execution_count").and_then(number_of),
        execution_time: execution_time(answer),
        stdout: texts_of(answer.get("stdout")),
        stderr: texts_of(answer.get("stderr")),
        results: read_items(answer.get("result")),
        ..outcome(error_text(answer).or_else(|| error_object(answer)))
    }
}

fn read_rich(answer: &Map<String, Value>) -> Execution {
    let logs = answer.get("logs");
    Execution {
        execution_count: answer.get("execution_count").and_then(number_of),
        execution_time: execution_time(answer),
        stdout: texts_of(logs.and_then(|logs| logs.get("stdout"))),
        stderr: texts_of(logs.and_then(|logs| logs.get("stderr"))),
        results: read_items(answer.get("results")),
        ..outcome(error_object(answer).or_else(|| error_text(answer)))
    }
}

fn read_legacy(answer: &Map<String, Value>) -> Result<Execution> {
    let text = first_content(answer).and_then(|item| optional_text(item.get("text")));
    let ended = outcome(error_object(answer).or_else(|| error_text(answer)));
    match text {
        Some(text) => Ok(Execution {
            success: ended.success,
            error: ended.error,
            error_message: ended.error_message,
            ..plain(&text)
        }),
        None if ended.success => Err(Error::new(ErrorKind::Protocol, "No content found in response")),
        None => Ok(ended),
    }
}

fn execution_time(answer: &Map<String, Value>) -> f64 {
    answer.get("execution_time").and_then(number_of).unwrap_or_default()
}

/// How the code ended, given the error that the form of the answer names. No error is ever lost.
fn outcome(error: Option<ExecutionError>) -> Execution {
    let Some(error) = error else {
        return Execution { success: true, ..Default::default() };
    };
    let message = [&error.value, &error.name].into_iter().find(|text| !text.is_empty());
    let message = message.map_or("UnknownError", String::as_str).to_owned();
    Execution { success: false, error_message: message, error: Some(error), ..Default::default() }
}

fn error_object(answer: &Map<String, Value>) -> Option<ExecutionError> {
    let error = answer.get("error").filter(|error| is_set(Some(error)))?;
    if !error.is_object() {
        return Some(ExecutionError { name: "UnknownError".into(), value: text_of(error), traceback: String::new() });
    }
    Some(ExecutionError {
        name: optional_text(error.get("name")).unwrap_or_else(|| "UnknownError".to_owned()),
        value: optional_text(error.get("value")).unwrap_or_default(),
        // Interpreters that follow Jupyter send the trace line by line.
        traceback: texts_of(error.get("traceback")).join("\n"),
    })
}

fn error_text(answer: &Map<String, Value>) -> Option<ExecutionError> {
    let error = answer.get("executionError").filter(|error| is_set(Some(error)))?;
    Some(ExecutionError { name: "ExecutionError".into(), value: text_of(error), traceback: String::new() })
}

fn read_items(value: Option<&Value>) -> Vec<ExecutionResult> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(read_item).collect(),
        Some(single) => vec![read_item(single)],
    }
}

fn read_item(item: &Value) -> ExecutionResult {
    match item {
        Value::Object(fields) => read_fields(fields),
        Value::String(text) => read_encoded_item(text),
        other => text_item(text_of(other)),
    }
}

/// An item may be JSON text of the object, and this text once more encoded as JSON. Text that turns out to be a number
/// or a list stays as it was written: `1.0` isn't `1`.
fn read_encoded_item(text: &str) -> ExecutionResult {
    match parse(text) {
        Some(Value::Object(fields)) => read_fields(&fields),
        Some(Value::String(inner)) => match parse(&inner) {
            Some(Value::Object(fields)) => read_fields(&fields),
            Some(Value::String(innermost)) => text_item(innermost),
            _ => text_item(inner),
        },
        _ => text_item(text.to_owned()),
    }
}

fn text_item(text: String) -> ExecutionResult {
    ExecutionResult { text: Some(text), ..Default::default() }
}

fn read_fields(fields: &Map<String, Value>) -> ExecutionResult {
    let first = |keys: &[&str]| keys.iter().find_map(|key| fields.get(*key).filter(|value| !value.is_null()));
    let text = |keys: &[&str]| first(keys).map(text_of);
    ExecutionResult {
        text: text(&["text/plain", "text"]),
        html: text(&["text/html", "html"]),
        markdown: text(&["text/markdown", "markdown"]),
        png: text(&["image/png", "png"]),
        jpeg: text(&["image/jpeg", "jpeg"]),
        svg: text(&["image/svg+xml", "svg"]),
        latex: text(&["text/latex", "latex"]),
        json: first(&["application/json", "json"]).cloned(),
        chart: first(&["application/vnd.vegalite.v4+json", "application/vnd.vegalite.v5+json", "chart"]).cloned(),
        is_main_result: is_set(first(&["isMainResult", "is_main_result"])),
    }
}
