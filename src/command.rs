//! Running shell commands: `ts/modules/command.ts` on this side.

use agb_client::modules::command;
use napi::Env;
use napi::Result;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;

use crate::session::{NativeRoute, NativeSession};
use crate::support::{Outcome, outcome, promise};

/// A variable of a command's environment.
#[napi(object, object_to_js = false)]
pub struct NativeVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What a command gave.
#[napi(object, object_from_js = false)]
pub struct NativeCommandOutput {
    /// The service's request id.
    pub request_id: String,
    /// Did it end with exit code 0?
    pub success: bool,
    /// Standard output, then standard error.
    pub output: String,
    /// Its exit code.
    pub exit_code: f64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The service's id for finding the call in its logs.
    pub trace_id: String,
    /// Why it failed, where the service says more than the exit code.
    pub error_message: Option<String>,
}

impl From<command::CommandOutput> for NativeCommandOutput {
    fn from(output: command::CommandOutput) -> Self {
        Self {
            request_id: output.request_id,
            success: output.success,
            output: output.output,
            exit_code: output.exit_code,
            stdout: output.stdout,
            stderr: output.stderr,
            trace_id: output.trace_id,
            error_message: output.error_message,
        }
    }
}

#[napi]
impl NativeSession {
    /// Runs a command; the time limit is in milliseconds.
    #[napi]
    pub fn command_execute<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        command: String,
        timeout_ms: f64,
        cwd: Option<String>,
        envs: Option<Vec<NativeVariable>>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeCommandOutput>>> {
        let tools = self.tools(route);
        let envs = envs.map(|envs| envs.into_iter().map(|variable| (variable.name, variable.value)).collect());
        promise(env, async move { outcome(command::execute(&tools, &command, timeout_ms, cwd.as_deref(), envs).await) })
    }
}
