//! Failures cross as data: an error made here would have neither the caller's stack nor our fields.

use std::error::Error as _;

use agb_client::{Error, ErrorKind};
use napi::Either;
use napi_derive::napi;

/// A failed operation on its way to the facade, which puts it into a result or throws it.
#[napi(object, object_from_js = false)]
pub struct NativeFailure {
    /// One of the names of the client's `ErrorKind`; `ts/errors.ts` has the table from these to classes.
    pub kind: String,
    /// The text of `errorMessage`.
    pub error_message: String,
    /// The operation that failed, or an empty text.
    pub operation: String,
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The service's error code, or an empty text.
    pub code: String,
    /// The status of the HTTP answer, if there was one.
    pub http_status_code: Option<u32>,
    /// May the same request succeed when it is sent again?
    pub retryable: bool,
    /// How often the request was sent.
    pub attempts: u32,
    /// The text of the underlying error, if there was one.
    pub cause: Option<String>,
}

impl From<&Error> for NativeFailure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind().name().to_owned(),
            error_message: error.message().to_owned(),
            operation: error.operation().to_owned(),
            request_id: error.request_id().to_owned(),
            code: error.code().to_owned(),
            http_status_code: error.http_status().map(u32::from),
            retryable: error.is_temporary(),
            attempts: error.attempts(),
            cause: error.source().map(ToString::to_string),
        }
    }
}

impl From<Error> for NativeFailure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

/// The names that a failure's `kind` may have. A spec compares them with the facade's table.
#[napi]
pub fn failure_kinds() -> Vec<String> {
    ErrorKind::ALL.iter().map(|kind| kind.name().to_owned()).collect()
}

/// What a native method promises: its value, or the failure as data.
pub(crate) type Outcome<T> = Either<T, NativeFailure>;

/// Converts what an operation of the client gave.
pub(crate) fn outcome<T, N: From<T>>(result: Result<T, Error>) -> Outcome<N> {
    match result {
        Ok(value) => Either::A(value.into()),
        Err(error) => Either::B(error.into()),
    }
}
