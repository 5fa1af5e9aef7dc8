//! The tools of a session: one function a tool, dispatched by name.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{sandbox::Sandbox, state::Session};

pub(crate) mod browser;
pub mod catalog;
pub(crate) mod computer;
pub mod filesystem;
pub(crate) mod kernels;
pub mod metrics;
pub mod run_code;
pub mod shell;

/// What a call may take longer than [`ToolLimits::time`] before it is cut off from outside: a tool that keeps its own
/// limit reports it better.
const OVERTIME: Duration = Duration::from_secs(5);

/// The argument object of a tool call.
pub type ToolArgs = Map<String, Value>;

/// What an answer needs beside the texts that a tool cuts to its room: names, numbers, notes of what was dropped.
const ENVELOPE_BYTES: usize = 2 << 10;

/// What a tool may use up, whatever its caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolLimits {
    /// The longest text a tool may answer, in bytes.
    pub output_bytes: usize,
    /// The longest a tool may take, in real time.
    pub time: Duration,
}

impl ToolLimits {
    /// The room that an answer in JSON has for texts of any length, in bytes of JSON: never none, as most answers need less
    /// beside them than is set aside for it.
    pub(crate) fn room(&self) -> usize {
        self.output_bytes.saturating_sub(ENVELOPE_BYTES).max(self.output_bytes / 2)
    }
}

/// What a tool answers: one text item, and whether it is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolOutput {
    /// Becomes `isError` of the tool result.
    pub is_error: bool,
    /// The text of its only content item.
    pub text: String,
}

impl ToolOutput {
    /// A success.
    pub fn ok(text: impl Into<String>) -> Self {
        Self { is_error: false, text: text.into() }
    }

    /// A failure that names its reason.
    pub fn error(text: impl Into<String>) -> Self {
        Self { is_error: true, text: text.into() }
    }
}

/// Runs the tool called `name` of an image, within the limits.
///
/// A tool that the image lacks, one that takes too long and one that answers too much are failures of the tool: the
/// result says so, and the session lives on.
pub(crate) async fn call(
    session: &Session,
    image_id: &str,
    name: &str,
    args: &ToolArgs,
    limits: &ToolLimits,
) -> ToolOutput {
    let missing = || ToolOutput::error(format!("Tool {name} is not available in image {image_id}"));
    if !catalog::knows(image_id, name) {
        return missing();
    }
    if let Err(fault) = catalog::check_args(name, args) {
        return ToolOutput::error(fault);
    }
    match tokio::time::timeout(limits.time + OVERTIME, dispatch(session, image_id, name, args, limits)).await {
        Ok(Some(output)) => within(output, name, limits),
        Ok(None) => missing(),
        Err(_) => ToolOutput::error(format!(
            "Tool {name} was cut off after {} s, the limit of one call",
            limits.time.as_secs_f64()
        )),
    }
}

async fn dispatch(
    session: &Session,
    image_id: &str,
    name: &str,
    args: &ToolArgs,
    limits: &ToolLimits,
) -> Option<ToolOutput> {
    let sandbox: &Sandbox = &session.sandbox;
    Some(match name {
        "shell" => shell::call(sandbox, args, limits).await,
        "run_code" => run_code::call(sandbox, args, limits).await,
        "get_metrics" => metrics::call(sandbox).await,
        "screenshot" if !catalog::has_desktop(image_id) => browser::view(&session.browser, args).await,
        _ => {
            if let Some(output) = filesystem::call(sandbox, &session.files, name, args, limits).await {
                return Some(output);
            }
            if let Some(output) = browser::call(&session.browser, name, args, limits).await {
                return Some(output);
            }
            return computer::call(sandbox, &session.screenshots, name, args).await;
        }
    })
}

fn within(output: ToolOutput, name: &str, limits: &ToolLimits) -> ToolOutput {
    if output.text.len() <= limits.output_bytes {
        return output;
    }
    ToolOutput::error(format!(
        "Tool {name} answered {} bytes, more than the {} bytes that one answer may have",
        output.text.len(),
        limits.output_bytes
    ))
}

/// A time limit among the arguments, in units of which `per_second` make a second.
fn read_time(args: &ToolArgs, name: &str, default: f64, per_second: f64) -> Result<Duration, String> {
    let amount = match args.get(name) {
        None | Some(Value::Null) => default,
        Some(Value::Number(number)) => number.as_f64().unwrap_or(f64::NAN),
        Some(other) => return Err(format!("`{name}` must be a number, not {}", type_name(other))),
    };
    if amount.is_nan() || amount <= 0.0 {
        return Err(format!("`{name}` must be more than 0, not {amount}"));
    }
    Ok(Duration::try_from_secs_f64(amount / per_second).unwrap_or(Duration::MAX))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ToolLimits = ToolLimits { output_bytes: 8, time: Duration::from_secs(1) };

    #[test]
    fn an_answer_at_the_limit_passes_and_one_byte_more_says_what_the_limit_is() {
        assert_eq!(within(ToolOutput::ok("12345678"), "t", &LIMITS), ToolOutput::ok("12345678"));
        let cut = within(ToolOutput::ok("123456789"), "t", &LIMITS);
        assert!(cut.is_error && cut.text.contains("9 bytes") && cut.text.contains("8 bytes"), "{}", cut.text);
    }
}
