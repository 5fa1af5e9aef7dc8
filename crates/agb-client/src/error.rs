//! The one error of the client: what kind of failure, in which operation, what the service said, and whether the same
//! request may be tried again.

use std::error::Error as StdError;
use std::fmt;

/// Result of every operation of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. The set is closed: the facade has one table from these names to its error classes and codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The configuration can't be used (endpoint, time-out, `.env` file).
    Config,
    /// No API key was given, or the service refused it.
    Authentication,
    /// The caller's argument was refused before anything was sent.
    InvalidArgument,
    /// No connection could be made: nothing was executed.
    Connect,
    /// A deadline passed. The service may have done the work.
    Timeout,
    /// The connection broke after the request was sent. The service may have done the work.
    Network,
    /// The answer was not what the protocol allows (no JSON, wrong shape, too large).
    Protocol,
    /// The service answered with an error status and no usable envelope.
    Http,
    /// The service refused: an envelope with `success: false`.
    Api,
    /// The session is unknown, was deleted, or was released after its idle time-out or its maximum lifetime.
    SessionNotFound,
    /// The tool ran and reported a failure.
    Tool,
    /// A file of this machine, or a stream that the caller gave, could not be read or written.
    Local,
    /// This version does not have the feature yet; nothing was sent.
    Unavailable,
    /// The pool was drained: it hands out no more sessions.
    Drained,
    /// A bug in this library.
    Internal,
}

impl ErrorKind {
    /// Every kind, for the spec that compares this list with the facade's table.
    pub const ALL: [Self; 15] = [
        Self::Config,
        Self::Authentication,
        Self::InvalidArgument,
        Self::Connect,
        Self::Timeout,
        Self::Network,
        Self::Protocol,
        Self::Http,
        Self::Api,
        Self::SessionNotFound,
        Self::Tool,
        Self::Local,
        Self::Unavailable,
        Self::Drained,
        Self::Internal,
    ];

    /// The kind's stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "Config",
            Self::Authentication => "Authentication",
            Self::InvalidArgument => "InvalidArgument",
            Self::Connect => "Connect",
            Self::Timeout => "Timeout",
            Self::Network => "Network",
            Self::Protocol => "Protocol",
            Self::Http => "Http",
            Self::Api => "Api",
            Self::SessionNotFound => "SessionNotFound",
            Self::Tool => "Tool",
            Self::Local => "Local",
            Self::Unavailable => "Unavailable",
            Self::Drained => "Drained",
            Self::Internal => "Internal",
        }
    }
}

/// A failed operation.
///
/// [`message`](Self::message) is what the public surface shows as `errorMessage`: one readable text that never holds a
/// secret.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    operation: &'static str,
    request_id: String,
    code: String,
    http_status: Option<u16>,
    temporary: bool,
    attempts: u32,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure of `kind` with the text that a person reads.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                operation: "",
                request_id: String::new(),
                code: String::new(),
                http_status: None,
                temporary: false,
                attempts: 0,
                source: None,
            }),
        }
    }

    /// Says that it is of another kind, once more is known.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.inner.kind = kind;
        self
    }

    /// Names the operation that failed (`createSession`, `shell` …).
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.inner.operation = operation;
        self
    }

    /// Adds the request id that the service sent.
    #[must_use]
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.inner.request_id = request_id.into();
        self
    }

    /// Adds the service's own error code, such as `InvalidMcpSession.NotFound`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.inner.code = code.into();
        self
    }

    /// Adds the status of the HTTP answer.
    #[must_use]
    pub fn with_http_status(mut self, status: u16) -> Self {
        self.inner.http_status = Some(status);
        self
    }

    /// Says that the same request may succeed when it is sent again.
    #[must_use]
    pub fn with_temporary(mut self, temporary: bool) -> Self {
        self.inner.temporary = temporary;
        self
    }

    /// Says how often the request was sent.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.inner.attempts = attempts;
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Puts words before the message, as the surface does for some operations: `Failed to get session s-1: …`.
    #[must_use]
    pub fn prefixed(mut self, prefix: impl fmt::Display) -> Self {
        self.inner.message = format!("{prefix}: {}", self.inner.message);
        self
    }

    /// Says it in the surface's words; what was said before becomes the cause.
    #[must_use]
    pub fn retold(mut self, message: impl Into<String>) -> Self {
        let said = std::mem::replace(&mut self.inner.message, message.into());
        self.with_source(said)
    }

    /// Puts a remark behind the message, in brackets.
    #[must_use]
    pub fn noted(mut self, note: impl fmt::Display) -> Self {
        self.inner.message = format!("{} ({note})", self.inner.message);
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The text for `errorMessage`; never empty, never with a secret.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The operation that failed, or an empty text.
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// The service's request id, or an empty text where it sent none.
    pub fn request_id(&self) -> &str {
        &self.inner.request_id
    }

    /// The service's error code, or an empty text.
    pub fn code(&self) -> &str {
        &self.inner.code
    }

    /// The status of the HTTP answer, if there was one.
    pub fn http_status(&self) -> Option<u16> {
        self.inner.http_status
    }

    /// May the same request succeed when it is sent again? The only question that retry asks.
    pub fn is_temporary(&self) -> bool {
        self.inner.temporary
    }

    /// How often the request was sent; 0 when it was refused before.
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }
}

impl fmt::Display for Error {
    /// One line, without secrets: `createSession: the text (Api, request id r-1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.operation().is_empty() {
            write!(f, "{}: ", self.operation())?;
        }
        f.write_str(&self.message().replace(['\r', '\n'], " "))?;
        write!(f, " ({}", self.kind().name())?;
        if !self.request_id().is_empty() {
            write!(f, ", request id {}", self.request_id())?;
        }
        f.write_str(")")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
