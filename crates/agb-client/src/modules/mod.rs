//! What a program does inside a session: run code and commands, work with files, use the desktop.
//!
//! Every operation is a free function over [`CallTool`](crate::CallTool): one call of the function, one or more calls
//! of tools, one owned result. A failed operation is an [`Error`] whose message is ready to be shown.

pub mod browser;
pub mod code;
pub mod command;
pub mod computer;
pub mod file_transfer;
pub mod filesystem;
pub mod watch;

pub(crate) mod loose_json;

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// What an operation says when the failure itself has no words, and what it puts before a failure of this library.
#[derive(Debug, Clone, Copy)]
struct Wording {
    default: &'static str,
    prefix: Option<&'static str>,
}

impl Wording {
    /// The usual case: the same words serve both.
    const fn same(text: &'static str) -> Self {
        Self { default: text, prefix: Some(text) }
    }

    /// Gives `error` the words of the operation. What the service said is never changed.
    fn explain(self, error: Error) -> Error {
        if error.message().is_empty() {
            return with_message(&error, self.default);
        }
        match self.prefix {
            Some(prefix) if error.kind() == ErrorKind::Internal => error.prefixed(prefix),
            _ => error,
        }
    }
}

/// The same failure with another text.
fn with_message(error: &Error, message: impl Into<String>) -> Error {
    let mut copy = Error::new(error.kind(), message)
        .with_operation(error.operation())
        .with_request_id(error.request_id())
        .with_code(error.code())
        .with_temporary(error.is_temporary())
        .with_attempts(error.attempts());
    if let Some(status) = error.http_status() {
        copy = copy.with_http_status(status);
    }
    copy
}

/// Did the service get the call and refuse it? Then nothing is in doubt: the tool's work was not done. One that had no
/// time for the call says nothing of what was asked.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Tool | ErrorKind::Api) && !error.is_temporary()
}

/// A caller's time limit as a duration. Zero, negative, infinite and not-a-number limits are refused, because the
/// service's answer to them isn't defined.
fn time_limit(operation: &'static str, name: &str, value: f64, unit: &str, per_second: f64) -> Result<Duration, Error> {
    let limit = if value > 0.0 { Duration::try_from_secs_f64(value / per_second).ok() } else { None };
    limit.ok_or_else(|| {
        let text = format!("Invalid {name}: {value}. Must be a positive, finite number of {unit}");
        Error::new(ErrorKind::InvalidArgument, text).with_operation(operation)
    })
}

#[cfg(test)]
mod fake;
