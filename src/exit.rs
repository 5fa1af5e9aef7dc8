//! Release at exit: `ts/support/exit.ts` on this side.

use std::time::Duration;

use agb_client::ExitPolicy;
use napi::bindgen_prelude::{JsObjectValue, Object};
use napi::{Env, Error, Result, Status};
use napi_derive::napi;

use crate::support::{arm_signals, owner, watch_ends};

/// How the sessions of a client are released when the process ends.
#[napi(object, object_to_js = false)]
pub struct NativeExitOptions {
    /// How long it may take, in milliseconds.
    pub timeout_ms: f64,
    /// The numbers of the signals that it is done for.
    pub signals: Vec<i32>,
}

/// Makes the environment the owner of a client's sessions, and watches for the end of the process.
pub(crate) fn exit_policy(env: &Env, options: &NativeExitOptions) -> Result<ExitPolicy> {
    let limit = Duration::try_from_secs_f64(options.timeout_ms / 1000.0)
        .map_err(|error| Error::new(Status::InvalidArg, format!("timeoutMs: {error}")))?;
    watch_ends(limit, &options.signals).map_err(|error| {
        Error::new(Status::GenericFailure, format!("The end of the process can't be watched: {error}"))
    })?;
    Ok(ExitPolicy { limit, owner: owner(env)? })
}

/// The process object of this thread that has the real listeners. Code under test in jest sees a copy.
#[napi(ts_return_type = "NodeJS.Process")]
pub fn real_process(env: &Env) -> Result<Object<'_>> {
    env.get_global()?.get_named_property("process")
}

/// To be called when a listener of the real process was removed: the signals that nobody listens to are caught again.
#[napi]
pub fn signal_listener_removed() {
    arm_signals();
}
