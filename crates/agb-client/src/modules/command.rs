//! Shell commands. Each one runs in a fresh shell: nothing but files and background processes outlives it.

use serde_json::{Map, Value};

use super::loose_json::{number_arg, number_of, optional_text, parse};
use super::{Wording, is_refusal, time_limit};
use crate::error::{Error, Result};
use crate::tool::{CallTool, ToolArgs, ToolLimits};

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
    args.insert("timeout_ms".into(), number_arg(timeout_ms));
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
