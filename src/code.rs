//! Running programs: `ts/modules/code.ts` on this side.

use agb_client::modules::code;
use napi::Env;
use napi::Result;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;

use crate::session::{NativeRoute, NativeSession};
use crate::support::{Outcome, outcome, promise};

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
            error: execution.error.map(|error| NativeExecutionError {
                name: error.name,
                value: error.value,
                traceback: error.traceback,
            }),
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
    /// Runs a program; the time limit is in seconds.
    #[napi]
    pub fn code_run<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        code: String,
        language: String,
        timeout_s: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeExecution>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(code::run(&tools, &code, &language, timeout_s).await) })
    }
}
