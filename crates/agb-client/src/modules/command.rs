//! Shell commands. Each one runs in a fresh shell: nothing but files and background processes outlives it.

use serde_json::{Map, Value};

use super::loose_json::{number_of, optional_text, parse};
use super::{Wording, is_refusal, time_limit};
use crate::error::{Error, Result};
use crate::tool::{CallTool, ToolArgs, ToolLimits};
use crate::wire::js::number;

const TOOL: &str = "shell";
const WORDING: Wording = Wording::same("Failed to execute command");

/// What makes a JSON object the report of a command and not something that a command printed.
const REPORT_KEYS: [&str; 5] = ["stdout", "stderr", "exit_code", "errorCode", "traceId"];

/// What a finished command left, also when it failed.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandOutput {
    /// The service's request id.
    pub request_id: String,
    /// The command ended with exit code 0 and the tool reported no failure.
    pub success: bool,
    /// Standard output, followed by standard error.
    pub output: String,
    /// The exit code; 0 where the service sent none, -1 where it sent something else than a number.
    pub exit_code: f64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The service's id for tracing a failed command, or an empty text.
    pub trace_id: String,
    /// What went wrong, where the tool itself reported the failure. A command that merely ended with another exit code
    /// than 0 has none: its standard error says it.
    pub error_message: Option<String>,
}

/// Runs `command` in a fresh shell, for at most `timeout_ms` milliseconds, in `cwd` (default: the session's own working
/// directory) with `envs` added to its environment (a name given twice has the last value).
///
/// A tool failure that carries the report of the command is a result with `success: false`. Source: docs/protocol.md,
/// section "Tools".
///
/// # Errors
///
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a limit that isn't a positive, finite number, before
/// anything is sent; else the failure of the call, with the text `Failed to execute command` where it had none.
pub async fn execute<T: CallTool>(
    tools: &T,
    command: &str,
    timeout_ms: f64,
    cwd: Option<&str>,
    envs: Option<Vec<(String, String)>>,
) -> Result<CommandOutput> {
    let work = time_limit(TOOL, "timeout", timeout_ms, "milliseconds", 1000.0)?;
    let limits = ToolLimits { work: Some(work), ..ToolLimits::default() };
    match tools.call_tool(TOOL, arguments(command, timeout_ms, cwd, envs), limits).await {
        Ok(reply) => Ok(read_success(reply.request_id, reply.text.unwrap_or_default())),
        Err(error) => read_failure(error),
    }
}

fn arguments(command: &str, timeout_ms: f64, cwd: Option<&str>, envs: Option<Vec<(String, String)>>) -> ToolArgs {
    let mut args = ToolArgs::new();
    args.insert("command".into(), command.into());
    args.insert("timeout_ms".into(), number(timeout_ms));
    if let Some(cwd) = cwd {
        args.insert("cwd".into(), cwd.into());
    }
    if let Some(envs) = envs {
        let envs = envs.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
        args.insert("envs".into(), Value::Object(envs));
    }
    args
}

fn read_success(request_id: String, text: String) -> CommandOutput {
    let Some(report) = parse_object(&text).filter(is_report) else {
        return plain(request_id, text);
    };
    let output = from_report(request_id, &report, &["exit_code"]);
    CommandOutput { success: output.exit_code == 0.0, ..output }
}

/// An old form of the answer: just what the command printed.
fn plain(request_id: String, text: String) -> CommandOutput {
    CommandOutput {
        request_id,
        success: true,
        output: text.clone(),
        exit_code: 0.0,
        stdout: text,
        stderr: String::new(),
        trace_id: String::new(),
        error_message: None,
    }
}

fn read_failure(error: Error) -> Result<CommandOutput> {
    let report = if is_refusal(&error) { parse_object(error.message()) } else { None };
    let Some(report) = report else {
        return Err(WORDING.explain(error));
    };
    let output = from_report(error.request_id().to_owned(), &report, &["exit_code", "errorCode"]);
    let message = if output.stderr.is_empty() { error.message() } else { &output.stderr };
    Ok(CommandOutput { error_message: Some(message.to_owned()), ..output })
}

fn from_report(request_id: String, report: &Map<String, Value>, exit_code_keys: &[&str]) -> CommandOutput {
    let text = |key: &str| optional_text(report.get(key)).unwrap_or_default();
    let (stdout, stderr) = (text("stdout"), text("stderr"));
    let exit_code = exit_code_keys.iter().find_map(|key| report.get(*key).filter(|value| !value.is_null()));
    CommandOutput {
        request_id,
        success: false,
        output: format!("{stdout}{stderr}"),
        exit_code: exit_code.map_or(0.0, |value| number_of(value).unwrap_or(-1.0)),
        stdout,
        stderr,
        trace_id: text("traceId"),
        error_message: None,
    }
}

fn parse_object(text: &str) -> Option<Map<String, Value>> {
    match parse(text) {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    }
}

fn is_report(object: &Map<String, Value>) -> bool {
    REPORT_KEYS.iter().any(|key| object.contains_key(*key))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::fake::{FakeTools, assert_send, refused};
    use super::*;
    use crate::error::ErrorKind;

    async fn output_of(tools: &FakeTools) -> Result<CommandOutput> {
        assert_send(execute(tools, "ls", 1000.0, None, None)).await
    }

    fn expected(success: bool, stdout: &str, stderr: &str, exit_code: f64) -> CommandOutput {
        CommandOutput {
            request_id: "r-1".into(),
            success,
            output: format!("{stdout}{stderr}"),
            exit_code,
            stdout: stdout.into(),
            stderr: stderr.into(),
            trace_id: String::new(),
            error_message: None,
        }
    }

    #[tokio::test]
    async fn sends_only_what_was_given() {
        let tools = FakeTools::silent();
        execute(&tools, "ls", 1000.0, None, None).await.unwrap();
        let envs = vec![("A".into(), "1".into()), ("B".into(), "x; y".into()), ("A".into(), "2".into())];
        execute(&tools, "pwd", 1500.5, Some(""), Some(envs)).await.unwrap();
        execute(&tools, "pwd", 1.0, None, Some(Vec::new())).await.unwrap();

        let calls = tools.calls();
        assert_eq!(calls[0].tool, "shell");
        assert_eq!(calls[0].args.to_string(), r#"{"command":"ls","timeout_ms":1000}"#);
        assert_eq!(calls[0].limits, ToolLimits { work: Some(Duration::from_secs(1)), ..Default::default() });
        assert_eq!(
            calls[1].args.to_string(),
            r#"{"command":"pwd","timeout_ms":1500.5,"cwd":"","envs":{"A":"2","B":"x; y"}}"#
        );
        assert_eq!(calls[2].args, json!({ "command": "pwd", "timeout_ms": 1, "envs": {} }));
    }

    #[tokio::test]
    async fn refuses_a_limit_that_is_none_before_sending() {
        for limit in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
            let tools = FakeTools::silent();
            let error = execute(&tools, "ls", limit, None, None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert_eq!(
                error.message(),
                format!("Invalid timeout: {limit}. Must be a positive, finite number of milliseconds")
            );
            assert!(tools.calls().is_empty());
        }
    }

    #[tokio::test]
    async fn a_report_is_read_and_its_exit_code_decides() {
        let tools = FakeTools::saying(r#"{"stdout":"a\n","stderr":"b","exit_code":0}"#);
        assert_eq!(output_of(&tools).await.unwrap(), expected(true, "a\n", "b", 0.0));

        let tools = FakeTools::saying(r#"{"stdout":"","stderr":"no","exit_code":2,"traceId":"t"}"#);
        let output = output_of(&tools).await.unwrap();
        assert_eq!(output, CommandOutput { trace_id: "t".into(), ..expected(false, "", "no", 2.0) });
    }

    #[tokio::test]
    async fn absent_and_odd_fields_of_a_report_are_read_as_far_as_they_go() {
        for (text, output) in [
            (r#"{"stdout":"a"}"#, expected(true, "a", "", 0.0)),
            (r#"{"stdout":null,"exit_code":null}"#, expected(true, "", "", 0.0)),
            (r#"{"stdout":7,"exit_code":"3"}"#, expected(false, "7", "", 3.0)),
            (r#"{"exit_code":"broken"}"#, expected(false, "", "", -1.0)),
        ] {
            assert_eq!(output_of(&FakeTools::saying(text)).await.unwrap(), output, "{text}");
        }
    }

    #[tokio::test]
    async fn printed_json_that_is_no_report_is_output() {
        for text in ["plain\n", "123", "\"abc\"", "true", "null", "[1]", r#"{"name":"x"}"#, "{}"] {
            assert_eq!(output_of(&FakeTools::saying(text)).await.unwrap(), expected(true, text, "", 0.0));
        }
        assert_eq!(output_of(&FakeTools::silent()).await.unwrap(), expected(true, "", "", 0.0));
    }

    #[tokio::test]
    async fn a_failure_with_a_report_is_a_result() {
        let failed = |text: &str, output: CommandOutput, message: &str| {
            (text.to_owned(), CommandOutput { error_message: Some(message.to_owned()), ..output })
        };
        for (text, output) in [
            failed(r#"{"stdout":"o","stderr":"e","exit_code":1}"#, expected(false, "o", "e", 1.0), "e"),
            failed(r#"{"stderr":"e","errorCode":127}"#, expected(false, "", "e", 127.0), "e"),
            failed(r#"{"stdout":"o"}"#, expected(false, "o", "", 0.0), r#"{"stdout":"o"}"#),
            failed("{}", expected(false, "", "", 0.0), "{}"),
        ] {
            let tools = FakeTools::failing(ErrorKind::Tool, &text);
            assert_eq!(output_of(&tools).await.unwrap(), output, "{text}");
        }
    }

    #[tokio::test]
    async fn other_failures_stay_failures_with_words() {
        for (kind, said, message) in [
            (ErrorKind::Tool, "not found", "not found"),
            (ErrorKind::Tool, "", "Failed to execute command"),
            (ErrorKind::Tool, "42", "42"),
            (ErrorKind::Timeout, "{}", "{}"),
            (ErrorKind::SessionNotFound, "gone", "gone"),
            (ErrorKind::Internal, "bug", "Failed to execute command: bug"),
        ] {
            let error = output_of(&FakeTools::failing(kind, said)).await.unwrap_err();
            assert_eq!((error.kind(), error.message(), error.request_id()), (kind, message, "r-1"));
        }
    }

    #[tokio::test]
    async fn a_failure_given_words_keeps_all_else() {
        let tools = FakeTools::new(|_, _| {
            Err(refused("").with_code("C").with_http_status(400).with_attempts(2).with_temporary(true))
        });
        let error = output_of(&tools).await.unwrap_err();
        assert_eq!((error.code(), error.http_status(), error.attempts()), ("C", Some(400), 2));
        assert!(error.is_temporary());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r#"[\[\]{}:,"a-z0-9\\ud]{0,40}|\{"(stdout|exit_code|errorCode)":.{0,20}\}"#) {
            read_success(String::new(), text.clone());
            let _ = read_failure(refused(&text));
        }
    }
}
