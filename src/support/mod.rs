//! What every noun of the binding uses: the promise seam, failures, conversions, logging.

mod failure;
mod json;
mod logging;
mod promise;
mod runtime;

pub(crate) use failure::{NativeFailure, Outcome, outcome};
pub(crate) use json::{json_object, to_json};
pub(crate) use promise::promise;
