//! The seam to the network: one request in, one whole answer out. Deadlines, attempts, proxies, TLS, limits and what may
//! be logged are settled here, and only here.

mod http;
pub(crate) mod redact;
mod retry;
mod transfer;
pub(crate) mod ws;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName};
use tokio::time::Instant;
use url::{Host, Url};

use crate::error::{ErrorKind, Result};
use crate::wire::endpoint::Verb;
use crate::wire::envelope::is_temporary_status;

pub(crate) use retry::RetryPolicy;
pub(crate) use transfer::{Get, Piece, Pieces, Put, PutReply};

/// The largest answer that is taken, after decompression: 64 MiB.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// What an error says of a request that was sent once and not answered.
pub(crate) const MAY_HAVE_RUN: &str = "it may have been executed all the same";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Options,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// The method of that name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "GET" => Some(Self::Get),
            "HEAD" => Some(Self::Head),
            "OPTIONS" => Some(Self::Options),
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            "PATCH" => Some(Self::Patch),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// Does it only look?
    pub(crate) fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options)
    }

    /// Does a request without a body say so?
    fn announces_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

impl From<Verb> for Method {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Get => Self::Get,
            Verb::PostJson | Verb::PostEmpty => Self::Post,
        }
    }
}

/// Names and values; of two with the same name the later one counts. A value may be secret.
pub(crate) type Headers = Vec<(Cow<'static, str>, String)>;

/// When may a request be sent again?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resend {
    /// Executing it twice is executing it once: also after it may have reached the service.
    Freely,
    /// Only when no connection could be made, so that nothing was executed.
    IfNotSent,
    /// The caller has something better to try.
    Never,
}

/// By when all attempts and the whole answer must be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    /// The limit as it was asked for, for the error's words.
    pub(crate) limit: Duration,
}

impl Deadline {
    /// `limit` from now.
    pub(crate) fn after(limit: Duration) -> Self {
        let now = Instant::now();
        // A century is as good as for ever, and within what the timer can hold.
        let limit = limit.min(Duration::from_secs(100 * 365 * 24 * 3600));
        Self { at: now.checked_add(limit).unwrap_or(now), limit }
    }

    /// The earlier of both.
    pub(crate) fn min(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }

    pub(crate) fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

/// One request, from which every attempt is built anew.
pub(crate) struct Request {
    /// For errors and logs.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    /// With its query, fully encoded.
    pub(crate) url: String,
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
    pub(crate) resend: Resend,
    pub(crate) deadline: Deadline,
    /// Limit of one attempt to connect; `None`: 10 s.
    pub(crate) connect_limit: Option<Duration>,
}

/// A whole answer, whatever its status (but no redirect: that is an error).
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The `x-request-id` header, or an empty text.
    pub(crate) request_id: String,
    pub(crate) body: Bytes,
    /// How often the request was sent.
    pub(crate) attempts: u32,
    headers: HeaderMap,
}

impl Reply {
    fn of(raw: http::RawReply, attempts: u32) -> Self {
        let http::RawReply { status, request_id, body, headers, retry_after: _ } = raw;
        Self { status, request_id, body, attempts, headers }
    }

    /// The headers, each name once and in lower case.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let joined = |name: &HeaderName| {
            let values = self.headers.get_all(name).iter();
            values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect::<Vec<_>>().join(", ")
        };
        self.headers.keys().map(|name| (name.as_str().to_owned(), joined(name))).collect()
    }

    /// Does the service say "not now"?
    pub(crate) fn is_temporary(&self) -> bool {
        is_temporary_status(self.status)
    }
}

/// The one pooled HTTP client. Clones share it.
#[derive(Clone)]
pub(crate) struct Transport {
    http: Arc<http::Http>,
    retry: Arc<retry::Retry>,
}

impl Transport {
    /// Nothing is set up before the first request. `env` holds the proxy variables and `NODE_EXTRA_CA_CERTS`.
    pub(crate) fn new(env: &BTreeMap<String, String>, policy: RetryPolicy) -> Self {
        Self { http: Arc::new(http::Http::new(env)), retry: Arc::new(retry::Retry::new(policy)) }
    }

    /// A transport with the same settings, and connections of its own.
    pub(crate) fn with_new_connections(&self) -> Self {
        Self { http: Arc::new(self.http.without_connections()), retry: Arc::clone(&self.retry) }
    }

    /// Sends the request, again where that is allowed and of use, until an answer is there or the deadline passes.
    ///
    /// # Errors
    /// Connect, Network, Timeout, Protocol (answer too large), Http (redirect) or Config (TLS, proxy) with the number of
    /// attempts.
    pub(crate) async fn send(&self, request: &Request) -> Result<Reply> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let outcome = self.http.attempt(request).await;
            let Some(delay) = self.retry.delay(request, attempt, &outcome) else {
                return finish(outcome, attempt, request);
            };
            tracing::debug!(
                target: "agb::transport",
                operation = request.operation,
                attempt,
                delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                "sending again"
            );
            tokio::time::sleep(delay).await;
        }
    }
}

fn finish(outcome: http::Outcome, attempts: u32, request: &Request) -> Result<Reply> {
    match outcome {
        Ok(raw) => Ok(Reply::of(raw, attempts)),
        Err(error) => {
            let was_sent = matches!(error.kind(), ErrorKind::Network | ErrorKind::Timeout);
            // Whoever calls has to decide whether to call again, which is why it was not sent again here.
            let is_doubtful = was_sent && request.resend != Resend::Freely;
            let error = if is_doubtful { error.noted(MAY_HAVE_RUN) } else { error };
            Err(error.with_operation(request.operation).with_attempts(attempts))
        }
    }
}

/// Is the host this machine, by any name of its loopback?
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
