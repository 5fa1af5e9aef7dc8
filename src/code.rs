//! Running programs: `ts/modules/code.ts` on this side.

use agb_client::modules::code;
use agb_client::modules::code::stream::{CodeEvent, StreamFailure};
use napi::Env;
use napi::Result;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;

use crate::session::{NativeRoute, NativeSession};
use crate::support::{Callback, Emitter, NativeCancel, NativeFailure, Outcome, outcome, promise, to_json};

/// What a program gave.
#[napi(object, object_from_js = false)]
pub struct NativeExecution {
    /// The service's request id.
    pub request_id: String,
    /// Did it end without an error?
    pub success: bool,
    /// How many programs the interpreter has run.
    pub execution_count: Option<f64>,
    /// Seconds.
    pub execution_time: f64,
    /// What it wrote to standard output.
    pub stdout: Vec<String>,
    /// What it wrote to standard error.
    pub stderr: Vec<String>,
    /// What it displayed.
    pub results: Vec<NativeExecutionResult>,
    /// How it failed.
    pub error: Option<NativeExecutionError>,
    /// Why it failed; empty on success.
    pub error_message: String,
}

/// One displayed value.
#[napi(object, object_from_js = false)]
pub struct NativeExecutionResult {
    /// Plain text.
    pub text: Option<String>,
    /// HTML.
    pub html: Option<String>,
    /// Markdown.
    pub markdown: Option<String>,
    /// Base64.
    pub png: Option<String>,
    /// Base64.
    pub jpeg: Option<String>,
    /// SVG.
    pub svg: Option<String>,
    /// JSON text.
    pub json: Option<String>,
    /// LaTeX.
    pub latex: Option<String>,
    /// JSON text.
    pub chart: Option<String>,
    /// Is it the value of the last expression?
    pub is_main_result: bool,
}

/// How a program failed.
#[napi(object, object_from_js = false)]
pub struct NativeExecutionError {
    /// Name of the error.
    pub name: String,
    /// Its message.
    pub value: String,
    /// Where it happened.
    pub traceback: String,
}

/// What happens while a program runs; one member beside the kind is there.
#[napi(object, object_from_js = false)]
pub struct NativeCodeEvent {
    /// `stdout`, `stderr`, `result` or `error`.
    pub kind: String,
    /// A piece of output.
    pub chunk: Option<String>,
    /// A displayed value.
    pub result: Option<NativeExecutionResult>,
    /// How the program failed.
    pub error: Option<NativeExecutionError>,
    /// The same as the service said it: JSON text.
    pub payload: Option<String>,
}

impl From<CodeEvent> for NativeCodeEvent {
    fn from(event: CodeEvent) -> Self {
        let of = |kind: &str| Self { kind: kind.to_owned(), chunk: None, result: None, error: None, payload: None };
        match event {
            CodeEvent::Stdout(chunk) => Self { chunk: Some(chunk), ..of("stdout") },
            CodeEvent::Stderr(chunk) => Self { chunk: Some(chunk), ..of("stderr") },
            CodeEvent::Result(result) => Self { result: Some(result.into()), ..of("result") },
            CodeEvent::Error { payload, error } => {
                Self { error: Some(error.into()), payload: Some(to_json(&payload)), ..of("error") }
            }
        }
    }
}

/// What a streamed program gave, and why its stream did not come to its end.
#[napi(object, object_from_js = false)]
pub struct NativeStreamed {
    /// What it gave, as far as it came.
    pub execution: NativeExecution,
    /// Why that is not all.
    pub failure: Option<NativeFailure>,
}

impl From<std::result::Result<code::Execution, StreamFailure>> for NativeStreamed {
    fn from(result: std::result::Result<code::Execution, StreamFailure>) -> Self {
        match result {
            Ok(execution) => Self { execution: execution.into(), failure: None },
            Err(failure) => Self { execution: (*failure.partial).into(), failure: Some(failure.error.into()) },
        }
    }
}

impl From<code::ExecutionError> for NativeExecutionError {
    fn from(error: code::ExecutionError) -> Self {
        Self { name: error.name, value: error.value, traceback: error.traceback }
    }
}

impl From<code::Execution> for NativeExecution {
    fn from(execution: code::Execution) -> Self {
        Self {
            request_id: execution.request_id,
            success: execution.success,
            execution_count: execution.execution_count,
            execution_time: execution.execution_time,
            stdout: execution.stdout,
            stderr: execution.stderr,
            results: execution.results.into_iter().map(Into::into).collect(),
            error: execution.error.map(Into::into),
            error_message: execution.error_message,
        }
    }
}

impl From<code::ExecutionResult> for NativeExecutionResult {
    fn from(result: code::ExecutionResult) -> Self {
        Self {
            text: result.text,
            html: result.html,
            markdown: result.markdown,
            png: result.png,
            jpeg: result.jpeg,
            svg: result.svg,
            json: result.json.map(|value| value.to_string()),
            latex: result.latex,
            chart: result.chart.map(|value| value.to_string()),
            is_main_result: result.is_main_result,
        }
    }
}

#[napi]
impl NativeSession {
    /// Runs a program; the time limit is in seconds. Gives nothing when `cancel` was used.
    #[napi]
    pub fn code_run<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        code: String,
        language: String,
        timeout_s: f64,
        cancel: &NativeCancel,
    ) -> Result<PromiseRaw<'env, Option<Outcome<NativeExecution>>>> {
        let tools = self.tools(route);
        let run = async move { outcome(code::run(&tools, &code, &language, timeout_s).await) };
        promise(env, cancel.unless_cancelled(run))
    }

    /// Runs a program and calls `on_event` for what happens; gives nothing when `cancel` was used. `on_event`
    /// must not throw.
    #[napi(ts_args_type = "route: NativeRoute | undefined | null, code: string, language: string, timeoutS: number, \
                           cancel: NativeCancel, onEvent: (event: NativeCodeEvent) => void")]
    #[allow(clippy::too_many_arguments, reason = "one call makes one crossing")]
    pub fn code_stream<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        code: String,
        language: String,
        timeout_s: f64,
        cancel: &NativeCancel,
        on_event: Callback<NativeCodeEvent, ()>,
    ) -> Result<PromiseRaw<'env, Option<NativeStreamed>>> {
        let tools = self.tools(route);
        let run = cancel.unless_cancelled(async move {
            let events = Emitter::new(on_event);
            let tell = |event: CodeEvent| events.emit(event.into());
            let streamed = code::stream::stream(&tools, &code, &language, timeout_s, tell).await.into();
            events.all_returned().await;
            streamed
        });
        promise(env, run)
    }
}
