//! What every noun of the binding uses: the promise seam, failures, conversions, logging.

mod callback;
mod cancel;
mod failure;
mod fatal;
mod json;
mod logging;
mod owner;
mod promise;
mod runtime;

pub(crate) use callback::{Callback, Emitter, call};
pub(crate) use cancel::NativeCancel;
pub(crate) use failure::{NativeFailure, Outcome, outcome};
pub(crate) use fatal::{arm_signals, watch_ends};
pub(crate) use json::{json_object, to_json};
pub(crate) use owner::owner;
pub(crate) use promise::promise;
pub(crate) use runtime::{handle as runtime, spawn};
