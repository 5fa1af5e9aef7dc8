//! Running code in the live interpreters of a session.

use serde_json::{Map, Value};

use super::loose_json::{number_of, optional_text, parse, text_of, texts_of};
use super::{Wording, time_limit};
use crate::error::{Error, ErrorKind, Result};
use crate::tool::{CallTool, ToolArgs, ToolLimits};
use crate::wire::js::{is_truthy, number};

pub mod stream;

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
    args.insert("timeout_s".into(), number(timeout_s));
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
    if is_truthy(answer.get("isError")) {
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
    if is_truthy(answer.get("executionError")) {
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
    let error = answer.get("error").filter(|error| is_truthy(Some(error)))?;
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
    let error = answer.get("executionError").filter(|error| is_truthy(Some(error)))?;
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
        is_main_result: is_truthy(first(&["isMainResult", "is_main_result"])),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::fake::{FakeTools, assert_send};
    use super::*;

    async fn run_saying(text: &str) -> Result<Execution> {
        run(&FakeTools::saying(text), "1", "python", 60.0).await
    }

    async fn execution(text: impl ToString) -> Execution {
        run_saying(&text.to_string()).await.unwrap()
    }

    fn plain_of(text: &str) -> Execution {
        Execution { request_id: "r-1".into(), ..plain(text) }
    }

    fn texts(execution: &Execution) -> Vec<&str> {
        execution.results.iter().map(|result| result.text.as_deref().unwrap_or("(none)")).collect()
    }

    fn error(name: &str, value: &str, traceback: &str) -> Option<ExecutionError> {
        Some(ExecutionError { name: name.into(), value: value.into(), traceback: traceback.into() })
    }

    #[tokio::test]
    async fn sends_the_canonical_language_and_the_limit() {
        for (given, sent) in [
            ("python", "python"),
            (" Python3 ", "python"),
            ("PY", "python"),
            ("javascript", "javascript"),
            ("js", "javascript"),
            ("node", "javascript"),
            ("NodeJS", "javascript"),
            ("java", "java"),
            ("R", "r"),
        ] {
            let tools = FakeTools::saying("x");
            assert_send(run(&tools, "1+1", given, 300.0)).await.unwrap();
            let call = tools.calls().remove(0);
            assert_eq!(call.tool, "run_code");
            assert_eq!(call.args.to_string(), format!(r#"{{"code":"1+1","language":"{sent}","timeout_s":300}}"#));
            assert_eq!(call.limits.work, Some(Duration::from_secs(300)));
        }
    }

    #[tokio::test]
    async fn refuses_an_unknown_language_before_sending() {
        for given in ["ruby", "", " Bash "] {
            let tools = FakeTools::silent();
            let error = run(&tools, "1", given, f64::NAN).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            let text = format!("Unsupported language: {given}. Supported: java, javascript, python, r");
            assert_eq!((error.message(), error.request_id()), (text.as_str(), ""));
            assert!(tools.calls().is_empty());
        }
    }

    #[tokio::test]
    async fn refuses_a_limit_that_is_none_before_sending() {
        for limit in [0.0, -0.0, -5.0, f64::NAN, f64::INFINITY, 1e300] {
            let tools = FakeTools::silent();
            let error = run(&tools, "1", "python", limit).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().starts_with("Invalid timeout: "), "{}", error.message());
            assert!(tools.calls().is_empty());
        }
    }

    #[tokio::test]
    async fn failures_of_the_call_have_words_and_the_request_id() {
        for (kind, said, message) in [
            (ErrorKind::Tool, "Execution timed out", "Execution timed out"),
            (ErrorKind::Tool, "", "Failed to run code"),
            (ErrorKind::Network, "broken", "broken"),
            (ErrorKind::Internal, "bug", "Failed to run code: bug"),
        ] {
            let error = run(&FakeTools::failing(kind, said), "1", "r", 1.0).await.unwrap_err();
            assert_eq!((error.kind(), error.message(), error.request_id()), (kind, message, "r-1"));
        }
    }

    #[tokio::test]
    async fn an_answer_without_text_is_a_failure() {
        for tools in [FakeTools::silent(), FakeTools::saying("")] {
            let error = run(&tools, "1", "python", 1.0).await.unwrap_err();
            assert_eq!((error.message(), error.request_id()), ("No data returned", "r-1"));
            assert_eq!((error.kind(), error.operation()), (ErrorKind::Protocol, "run_code"));
        }
    }

    #[tokio::test]
    async fn text_that_is_no_object_is_output_and_main_result() {
        for text in ["hello\n", "42", "null", "true", "\"quoted\"", " 1 ", "{broken"] {
            let execution = execution(text).await;
            assert_eq!(execution, plain_of(text));
            assert_eq!((execution.stdout.as_slice(), execution.success), ([text.to_owned()].as_slice(), true));
            assert!(execution.results[0].is_main_result);
        }
    }

    #[tokio::test]
    async fn an_unknown_form_gives_the_text_as_it_came() {
        for text in [r#"{"foo": 1}"#, "[1, 2]", "{}", r#"{"result": "no list"}"#, r#"{"executionError": ""}"#] {
            assert_eq!(execution(text).await, plain_of(text));
        }
    }

    #[tokio::test]
    async fn the_present_form_is_read_whole() {
        let text = json!({
            "result": ["{\"text/plain\":\"42\",\"isMainResult\":true}", { "text/html": "<b>" }],
            "stdout": ["a\n", "b\n"], "stderr": ["w\n"],
            "execution_count": 3, "execution_time": 0.25, "executionError": null, "isError": false,
        });
        let main = ExecutionResult { text: Some("42".into()), is_main_result: true, ..Default::default() };
        let html = ExecutionResult { html: Some("<b>".into()), ..Default::default() };
        let expected = Execution {
            request_id: "r-1".into(),
            success: true,
            execution_count: Some(3.0),
            execution_time: 0.25,
            stdout: vec!["a\n".into(), "b\n".into()],
            stderr: vec!["w\n".into()],
            results: vec![main, html],
            error: None,
            error_message: String::new(),
        };
        assert_eq!(execution(text).await, expected);
    }

    #[tokio::test]
    async fn the_present_form_without_its_other_fields_is_empty() {
        let expected = Execution { request_id: "r-1".into(), success: true, ..Default::default() };
        assert_eq!(execution(r#"{"result":[]}"#).await, expected);
    }

    #[tokio::test]
    async fn an_execution_error_is_a_failure_in_the_present_form() {
        let execution = execution(json!({ "result": [], "stderr": ["T"], "executionError": "division by zero" })).await;
        assert!(!execution.success);
        assert_eq!(execution.error, error("ExecutionError", "division by zero", ""));
        assert_eq!(
            (execution.error_message.as_str(), execution.stderr.as_slice()),
            ("division by zero", ["T".to_owned()].as_slice())
        );
    }

    #[tokio::test]
    async fn an_execution_error_is_a_failure_in_every_form() {
        for answer in [
            json!({ "executionError": "boom" }),
            json!({ "result": null, "executionError": "boom" }),
            json!({ "results": [], "executionError": "boom" }),
            json!({ "logs": {}, "executionError": "boom" }),
            json!({ "content": [], "executionError": "boom" }),
            json!({ "content": [{ "text": "partial" }], "executionError": "boom" }),
            json!({ "content": [{ "text": "{\"executionError\":\"boom\"}" }] }),
        ] {
            let execution = execution(&answer).await;
            assert!(!execution.success, "{answer}");
            assert_eq!(execution.error, error("ExecutionError", "boom", ""), "{answer}");
            assert_eq!(execution.error_message, "boom", "{answer}");
        }
    }

    #[tokio::test]
    async fn an_execution_error_that_is_no_text_is_told_as_json() {
        let execution = execution(json!({ "result": [], "executionError": { "code": 7 } })).await;
        assert_eq!((execution.success, execution.error_message.as_str()), (false, r#"{"code":7}"#));
    }

    #[tokio::test]
    async fn an_answer_inside_a_content_list_is_taken_out() {
        let wrap = |inner: &str| json!({ "content": [{ "type": "text", "text": inner }] });
        assert_eq!(texts(&execution(wrap(r#"{"result":["42"],"stdout":["x"]}"#)).await), ["42"]);
        assert_eq!(execution(wrap("just text")).await, plain_of("just text"));
        assert_eq!(execution(wrap(r#"{"other":1}"#)).await, plain_of(r#"{"other":1}"#));
        assert_eq!(execution(wrap("")).await, plain_of(""));
    }

    #[tokio::test]
    async fn an_answer_marked_as_an_error_says_what_its_content_says() {
        for (answer, message) in [
            (json!({ "isError": true }), "Error in response: "),
            (
                json!({ "isError": 1, "content": [{ "text": "a" }, {}, "skipped", { "text": 2 }] }),
                "Error in response: a; Unknown error; 2",
            ),
            (json!({ "isError": true, "result": [], "executionError": "boom" }), "Error in response: boom"),
        ] {
            let error = run_saying(&answer.to_string()).await.unwrap_err();
            assert_eq!((error.kind(), error.message(), error.request_id()), (ErrorKind::Tool, message, "r-1"));
        }
    }

    #[tokio::test]
    async fn a_content_list_without_text_is_a_failure() {
        for answer in [
            json!({ "content": [] }),
            json!({ "content": [{}] }),
            json!({ "content": "x" }),
            json!({ "content": [{ "text": null }] }),
        ] {
            let error = run_saying(&answer.to_string()).await.unwrap_err();
            assert_eq!((error.message(), error.request_id()), ("No content found in response", "r-1"));
        }
    }

    #[tokio::test]
    async fn the_rich_form_is_read_whole() {
        let execution = execution(json!({
            "logs": { "stdout": ["o"], "stderr": ["e"] },
            "results": [
                { "text": "t", "html": "h", "markdown": "m", "png": "p", "jpeg": "j", "svg": "s", "latex": "l",
                  "json": { "b": 1, "a": 2 }, "chart": [1], "is_main_result": true },
                { "text/plain": "mime", "isMainResult": true },
            ],
            "execution_count": 1, "execution_time": 2,
        }))
        .await;
        assert!(execution.success);
        assert_eq!((execution.execution_count, execution.execution_time), (Some(1.0), 2.0));
        assert_eq!((execution.stdout, execution.stderr), (vec!["o".to_owned()], vec!["e".to_owned()]));
        let full = ExecutionResult {
            text: Some("t".into()),
            html: Some("h".into()),
            markdown: Some("m".into()),
            png: Some("p".into()),
            jpeg: Some("j".into()),
            svg: Some("s".into()),
            latex: Some("l".into()),
            json: Some(json!({ "b": 1, "a": 2 })),
            chart: Some(json!([1])),
            is_main_result: true,
        };
        let mime = ExecutionResult { text: Some("mime".into()), is_main_result: true, ..Default::default() };
        assert_eq!(execution.results, [full, mime]);
    }

    #[tokio::test]
    async fn an_error_in_the_rich_form_is_a_failure() {
        for (sent, expected, message) in [
            (json!({ "name": "N", "value": "V", "traceback": "T" }), error("N", "V", "T"), "V"),
            (json!({ "name": "N", "traceback": ["a", "b"] }), error("N", "", "a\nb"), "N"),
            (json!({}), error("UnknownError", "", ""), "UnknownError"),
            (json!({ "name": "" }), error("", "", ""), "UnknownError"),
            (json!("text"), error("UnknownError", "text", ""), "text"),
        ] {
            let execution = execution(json!({ "results": [], "error": sent })).await;
            assert!(!execution.success);
            assert_eq!((execution.error, execution.error_message.as_str()), (expected, message));
        }
        let execution = execution(json!({ "results": [], "error": null })).await;
        assert!(execution.success);
        assert_eq!(execution.error, None);
    }

    #[tokio::test]
    async fn output_that_is_no_list_becomes_one() {
        let present = execution(json!({ "result": [], "stdout": "one", "stderr": [1, null, "x"] })).await;
        assert_eq!((present.stdout, present.stderr), (vec!["one".to_owned()], vec!["1".to_owned(), "x".to_owned()]));
        let rich = execution(json!({ "logs": { "stdout": "one", "stderr": null }, "results": "r" })).await;
        assert_eq!((rich.stdout, rich.stderr), (vec!["one".to_owned()], vec![]));
        let odd = execution(json!({ "logs": "nothing" })).await;
        assert!(odd.stdout.is_empty() && odd.results.is_empty() && odd.success);
    }

    #[tokio::test]
    async fn counts_and_times_that_are_no_numbers_are_none() {
        let odd = execution(json!({ "result": [], "execution_count": [1], "execution_time": null })).await;
        assert_eq!((odd.execution_count, odd.execution_time), (None, 0.0));
        let text = execution(json!({ "result": [], "execution_count": "4", "execution_time": "0.5" })).await;
        assert_eq!((text.execution_count, text.execution_time), (Some(4.0), 0.5));
    }

    #[tokio::test]
    async fn items_come_as_objects_as_json_text_and_twice_encoded() {
        let encoded = r#"{"text/plain":"t"}"#;
        let twice = Value::from(encoded).to_string();
        let execution = execution(json!({ "result": [
            "42", encoded, twice, null, 7, true, "plain", "\"inner\"", "1.0", "[1, 2]", [1, 2], "null", 1.0, "{\"a",
            "\"{broken\"",
        ] }))
        .await;
        assert_eq!(
            texts(&execution),
            [
                "42", "t", "t", "null", "7", "true", "plain", "inner", "1.0", "[1, 2]", "[1,2]", "null", "1", "{\"a",
                "{broken",
            ]
        );
        assert!(execution.results.iter().all(|result| !result.is_main_result));
    }

    #[test]
    fn the_first_key_that_is_not_null_wins() {
        let item = |value: Value| read_item(&value);
        assert_eq!(item(json!({ "text/plain": null, "text": "b" })).text.as_deref(), Some("b"));
        assert_eq!(item(json!({ "text/plain": "", "text": "b" })).text.as_deref(), Some(""));
        assert_eq!(item(json!({ "image/svg+xml": "s", "image/jpeg": "j" })).svg.as_deref(), Some("s"));
        let v4 = "application/vnd.vegalite.v4+json";
        let v5 = "application/vnd.vegalite.v5+json";
        assert_eq!(item(json!({ "chart": 1, v5: 5, v4: 4 })).chart, Some(json!(4)));
        assert_eq!(item(json!({ "chart": 1, v5: 5 })).chart, Some(json!(5)));
        assert_eq!(item(json!({ "application/json": false, "json": 1 })).json, Some(json!(false)));
        assert!(!item(json!({ "isMainResult": false, "is_main_result": true })).is_main_result);
        assert!(item(json!({ "isMainResult": null, "is_main_result": true })).is_main_result);
        assert_eq!(item(json!({ "text/plain": 5, "text/html": ["a"] })).text.as_deref(), Some("5"));
    }

    fn any_answer() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
            Just(json!("{\"result\":[]}")),
        ];
        let key = proptest::sample::select(vec![
            "result",
            "results",
            "logs",
            "content",
            "text",
            "text/plain",
            "error",
            "executionError",
            "isError",
            "stdout",
            "stderr",
            "execution_count",
            "execution_time",
            "name",
            "value",
            "traceback",
            "chart",
        ]);
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((key.clone(), inner), 0..5).prop_map(|fields| {
                    Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_failed_run_always_says_why(answer in any_answer()) {
            match read(&answer.to_string()) {
                Ok(execution) => {
                    prop_assert_eq!(execution.success, execution.error_message.is_empty());
                    prop_assert_eq!(execution.success, execution.error.is_none());
                }
                Err(error) => prop_assert!(!error.message().is_empty()),
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = read(&text);
        }
    }
}
