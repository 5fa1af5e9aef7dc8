//! One request as the caller has it, and the whole answer as it came: the way to endpoints that no other method knows.
//! See docs/protocol.md, section "Low-level requests".

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::agb::{rest_headers, url_of};
use crate::config::{self, Config};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Deadline, Method, Reply, Request, Resend, RetryPolicy, Transport, redact};
use crate::wire::endpoint::{self, Endpoint, Verb};
use crate::wire::record;

pub use crate::wire::record::HttpBody;

const OPERATION: &str = "makeRequest";

/// Sends requests to one base URL, over one pool of connections. Clones share it.
#[derive(Clone)]
pub struct HttpClient {
    base_url: String,
    timeout: Duration,
    transport: Transport,
}

/// One request.
#[derive(Clone, Default)]
pub struct HttpRequest {
    /// GET, POST and so on; `None`: what the service's own endpoint of this path takes.
    pub method: Option<String>,
    /// The path below the base URL, with or without a slash in front.
    pub endpoint: String,
    /// The value of the header `authorization`; a key without a scheme gets `Bearer` in front. Empty: none is sent.
    pub authorization: String,
    /// These replace the headers that are sent otherwise.
    pub headers: Vec<(String, String)>,
    /// The query, in this order, not yet encoded.
    pub params: Vec<(String, String)>,
    /// The body; empty: none. Left out where the path names one of the service's own endpoints that takes none.
    pub body: Bytes,
    /// By when the whole answer must be there; `None`: the configured time-out.
    pub read_limit: Option<Duration>,
    /// How long one attempt to connect may take; `None`: 10 s.
    pub connect_limit: Option<Duration>,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("endpoint", &redact::url(&self.endpoint))
            .finish_non_exhaustive()
    }
}

/// What came of a request. There is always one, whatever the status was.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRecord {
    /// The status of the answer; 0 where there was no whole answer.
    pub status: u16,
    /// Where the request went, with its query.
    pub url: String,
    /// The headers of the answer, names in lower case, each name once.
    pub headers: Vec<(String, String)>,
    /// Is there a whole answer with a status below 400?
    pub success: bool,
    /// What the answer holds; where there was none, a text that says why.
    pub body: HttpBody,
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// How often the request was sent.
    pub attempts: u32,
    /// May the same request succeed when it is sent again?
    pub retryable: bool,
}

impl fmt::Debug for HttpRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRecord")
            .field("status", &self.status)
            .field("url", &redact::url(&self.url))
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client with connections of its own. Nothing is sent, and TLS is set up at the first request. `env` holds the
    /// proxy variables and `NODE_EXTRA_CA_CERTS`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the endpoint is no http(s) URL or host.
    pub fn open(config: &Config, env: &BTreeMap<String, String>) -> Result<Self> {
        let transport = Transport::new(env, RetryPolicy::default());
        Ok(Self::sharing(config::base_url(&config.endpoint)?, config.timeout(), transport))
    }

    /// A client that uses the connections of another one.
    pub(crate) fn sharing(base_url: String, timeout: Duration, transport: Transport) -> Self {
        Self { base_url, timeout, transport }
    }

    /// Sends a request and takes the whole answer. It is sent again where that is safe: GET, HEAD and OPTIONS, the
    /// service's own endpoints of which twice is the same as once, and anything as long as no connection comes about.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for what can't be sent. Every other failure is a record; a redirect, which is not followed, has its status.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpRecord> {
        let http_request = self.http_request(&request)?;
        match self.transport.send(&http_request).await {
            Ok(reply) => Ok(record_of(reply, http_request.url, &request.authorization)),
            Err(error) if is_refusal(&error) => Err(error),
            Err(error) => Ok(record_of_failure(&error, http_request.url)),
        }
    }

    fn http_request(&self, request: &HttpRequest) -> Result<Request> {
        let path = request.endpoint.trim_start_matches('/');
        let endpoint = endpoint::find(path);
        let method = method_of(request, endpoint)?;
        let known = endpoint.filter(|endpoint| Method::from(endpoint.verb) == method);
        let takes_no_body = request.method.is_none() && known.is_some_and(|known| known.verb != Verb::PostJson);
        let authorization = (!request.authorization.is_empty()).then(|| with_scheme(&request.authorization));
        let mut headers = rest_headers(authorization);
        headers.extend(request.headers.iter().map(|(name, value)| (Cow::Owned(name.clone()), value.clone())));
        Ok(Request {
            operation: known.map_or(OPERATION, |known| known.operation),
            method,
            url: url_of(&self.base_url, path, &request.params),
            headers,
            body: if takes_no_body { Bytes::new() } else { request.body.clone() },
            resend: if method.is_safe() || known.is_some_and(|known| known.repeatable) {
                Resend::Freely
            } else {
                Resend::IfNotSent
            },
            deadline: Deadline::after(request.read_limit.unwrap_or(self.timeout)),
            connect_limit: request.connect_limit,
        })
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("base_url", &redact::url(&self.base_url)).finish_non_exhaustive()
    }
}

fn method_of(request: &HttpRequest, endpoint: Option<&Endpoint>) -> Result<Method> {
    let refused = |text: String| Error::new(ErrorKind::InvalidArgument, text).with_operation(OPERATION);
    match (&request.method, endpoint) {
        (Some(name), _) => Method::named(name).ok_or_else(|| refused(format!("{name:?} is not an HTTP method"))),
        (None, Some(endpoint)) => Ok(endpoint.verb.into()),
        (None, None) => Err(refused(format!("{:?} has no method of its own", redact::url(&request.endpoint)))),
    }
}

/// `Bearer <key>` for a bare key; what has a scheme stays as it is.
fn with_scheme(authorization: &str) -> String {
    if authorization.contains(' ') { authorization.to_owned() } else { format!("Bearer {authorization}") }
}

/// Is this about the request itself, so that nothing was sent?
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidArgument | ErrorKind::Internal)
}

fn record_of(reply: Reply, url: String, authorization: &str) -> HttpRecord {
    let (body, request_id) = record::read(&reply.body);
    let request_id = request_id.unwrap_or_else(|| reply.request_id.clone());
    HttpRecord {
        status: reply.status,
        url,
        headers: reply.headers(),
        success: reply.status < 400,
        body: without_key(body, authorization),
        request_id,
        attempts: reply.attempts,
        retryable: reply.is_temporary(),
    }
}

/// An answer that is no JSON and repeats the key doesn't show it.
fn without_key(body: HttpBody, authorization: &str) -> HttpBody {
    let key = authorization.rsplit(' ').next().unwrap_or_default();
    match body {
        HttpBody::Text(text) => HttpBody::Text(redact::without(&text, &[key]).into_owned()),
        other => other,
    }
}

fn record_of_failure(error: &Error, url: String) -> HttpRecord {
    // An answer that would send us elsewhere has a status; of what broke off only that it did counts.
    let status = error.http_status().filter(|_| error.kind() == ErrorKind::Http).unwrap_or_default();
    HttpRecord {
        status,
        url,
        headers: Vec::new(),
        success: false,
        body: HttpBody::Text(error.message().to_owned()),
        request_id: String::new(),
        attempts: error.attempts(),
        retryable: error.is_temporary(),
    }
}

#[cfg(test)]
mod tests;
