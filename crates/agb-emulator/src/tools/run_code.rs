//! The tool `run_code`: code in the session's live interpreter (docs/protocol.md, section Code).

use std::time::Duration;

use serde_json::{Value, json};

use super::kernels::{Kernel, Outcome, RunRequest};
use super::{ToolArgs, ToolLimits, ToolOutput};
use crate::sandbox::{Language, Sandbox};

/// The service's own default.
const DEFAULT_TIMEOUT_S: f64 = 60.0;

/// Runs `code` in the interpreter of `language`, which keeps its state between the calls of a session.
///
/// Answers `{"result","stdout","stderr","execution_count","execution_time","executionError"}` as JSON text, also when the
/// code fails. Over its time limit (`timeout_s`, default 60, at most that of `limits`) a run is interrupted; an
/// interpreter that does not stop within 2 s more is killed, and the answer says that its state is lost.
pub async fn call(sandbox: &Sandbox, args: &ToolArgs, limits: &ToolLimits) -> ToolOutput {
    let (language, request) = match read(args, limits) {
        Ok(request) => request,
        Err(problem) => return ToolOutput::error(problem),
    };
    let sandbox = sandbox.clone();
    // In a task of its own: a caller that goes away must not leave the interpreter in the middle of a run.
    let work = tokio::spawn(async move { run(&sandbox, language, &request).await });
    work.await.unwrap_or_else(|error| ToolOutput::error(format!("the code could not be run: {error}")))
}

fn read(args: &ToolArgs, limits: &ToolLimits) -> Result<(Language, RunRequest), String> {
    let code = read_string(args, "code")?;
    if code.trim().is_empty() {
        return Err("`code` is empty: there is nothing to run".to_owned());
    }
    let language = read_language(read_string(args, "language")?)?;
    let limit: Duration = super::read_time(args, "timeout_s", DEFAULT_TIMEOUT_S, 1.0)?.min(limits.time);
    Ok((language, RunRequest { code: code.to_owned(), limit, output_bytes: limits.output_bytes }))
}

fn read_string<'a>(args: &'a ToolArgs, name: &str) -> Result<&'a str, String> {
    match args.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("`{name}` must be a string, not {}", super::type_name(other))),
        None => Err(format!("`{name}` is missing")),
    }
}

fn read_language(given: &str) -> Result<Language, String> {
    match given.trim().to_lowercase().as_str() {
        "python" | "python3" | "py" => Ok(Language::Python),
        "javascript" | "js" | "node" | "nodejs" => Ok(Language::JavaScript),
        "java" | "r" => Err(format!(
            "the emulator does not run {given} in version {}; it runs python and javascript",
            env!("CARGO_PKG_VERSION")
        )),
        _ => Err(format!("Unsupported language: {given}. Supported: java, javascript, python, r")),
    }
}

async fn run(sandbox: &Sandbox, language: Language, request: &RunRequest) -> ToolOutput {
    let slot = sandbox.kernels().slot(language);
    let mut slot = slot.lock().await;
    if sandbox.is_released() {
        return ToolOutput::error(sandbox.released_error().to_string());
    }
    let kernel = match slot.as_mut() {
        Some(kernel) => kernel,
        None => match Kernel::start(sandbox, language, request.output_bytes).await {
            Ok(kernel) => slot.insert(kernel),
            Err(reason) => return ToolOutput::error(reason),
        },
    };
    let outcome = kernel.run(request, sandbox).await;
    if outcome.is_lost {
        *slot = None;
    }
    if outcome.is_released || (outcome.is_lost && sandbox.is_released()) {
        return ToolOutput::error(format!("{}; the run was ended", sandbox.released_error()));
    }
    ToolOutput::ok(answer(outcome).to_string())
}

fn answer(outcome: Outcome) -> Value {
    json!({
        "result": outcome.results,
        "stdout": chunks(outcome.stdout),
        "stderr": chunks(outcome.stderr),
        "execution_count": outcome.count,
        "execution_time": outcome.seconds,
        "executionError": outcome.error,
    })
}

/// Clients join the chunks with or without a line break between them: one chunk for everything suits both.
fn chunks(text: String) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { vec![text] }
}
