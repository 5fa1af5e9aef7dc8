//! Requests as the caller has them: `ts/http-client.ts` and `ts/client.ts` on this side.

use std::collections::BTreeMap;

use agb_client::config;
use agb_client::{HttpBody, HttpClient, HttpRecord, HttpRequest};
use napi::bindgen_prelude::{PromiseRaw, Uint8Array};
use napi::{Either, Env, Result};
use napi_derive::napi;

use crate::agb::NativeSources;
use crate::session::milliseconds;
use crate::support::{Outcome, outcome, promise};

/// A header, or a parameter of a query.
#[napi(object)]
pub struct NativeField {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// One request.
#[napi(object, object_to_js = false)]
pub struct NativeHttpRequest {
    /// GET, POST and so on; absent for one of the service's own endpoints, whose method is known.
    pub method: Option<String>,
    /// The path below the base URL.
    pub endpoint: String,
    /// The value of the header `authorization`, or a bare key; empty: none is sent.
    pub authorization: String,
    /// These replace the headers that are sent otherwise.
    pub headers: Vec<NativeField>,
    /// The query, not yet encoded.
    pub params: Vec<NativeField>,
    /// The body.
    pub body: Option<Either<String, Uint8Array>>,
    /// How long the call may take, in milliseconds.
    pub read_timeout: Option<f64>,
    /// How long connecting may take, in milliseconds.
    pub connect_timeout: Option<f64>,
}

impl From<NativeHttpRequest> for HttpRequest {
    fn from(request: NativeHttpRequest) -> Self {
        Self {
            method: request.method,
            endpoint: request.endpoint,
            authorization: request.authorization,
            headers: pairs(request.headers),
            params: pairs(request.params),
            body: match request.body {
                // A copy: the program may write to its buffer while the request is on its way.
                Some(Either::B(bytes)) => bytes.to_vec().into(),
                Some(Either::A(text)) => text.into(),
                None => Default::default(),
            },
            read_limit: milliseconds(request.read_timeout),
            connect_limit: milliseconds(request.connect_timeout),
        }
    }
}

fn pairs(fields: Vec<NativeField>) -> Vec<(String, String)> {
    fields.into_iter().map(|NativeField { name, value }| (name, value)).collect()
}

/// What came of a request.
#[napi(object, object_from_js = false)]
pub struct NativeHttpRecord {
    /// Status of the answer; 0 where there was none.
    pub status_code: u32,
    /// Where the request went.
    pub url: String,
    /// The headers of the answer.
    pub headers: Vec<NativeField>,
    /// Is there a whole answer with a status below 400?
    pub success: bool,
    /// What the answer holds, where that is an object or an array: JSON text.
    pub json: Option<String>,
    /// What the answer holds, where that is no JSON; or why there is none.
    pub text: Option<String>,
    /// The service's request id.
    pub request_id: String,
    /// How often the request was sent.
    pub attempts: u32,
    /// May the same request succeed when it is sent again?
    pub retryable: bool,
}

impl From<HttpRecord> for NativeHttpRecord {
    fn from(record: HttpRecord) -> Self {
        let (json, text) = match record.body {
            HttpBody::Json(json) => (Some(json), None),
            HttpBody::Text(text) => (None, Some(text)),
            HttpBody::Nothing => (None, None),
        };
        Self {
            status_code: record.status.into(),
            url: record.url,
            headers: record.headers.into_iter().map(|(name, value)| NativeField { name, value }).collect(),
            success: record.success,
            json,
            text,
            request_id: record.request_id,
            attempts: record.attempts,
            retryable: record.retryable,
        }
    }
}

/// Sends requests to one base URL.
#[napi]
pub struct NativeHttpClient {
    inner: HttpClient,
}

impl From<HttpClient> for NativeHttpClient {
    fn from(inner: HttpClient) -> Self {
        Self { inner }
    }
}

/// Opens a client with connections of its own. Nothing is sent.
#[napi]
pub fn open_http_client(sources: NativeSources) -> Outcome<NativeHttpClient> {
    let environment: BTreeMap<_, _> = sources.environment.into_iter().collect();
    let config = config::load(
        sources.endpoint.as_deref(),
        sources.timeout_ms,
        sources.env_file.as_deref().map(AsRef::as_ref),
        Some(sources.directory.as_ref()),
        &environment,
    );
    outcome(config.and_then(|config| HttpClient::open(&config, &environment)))
}

#[napi]
impl NativeHttpClient {
    /// Sends a request and takes the whole answer.
    #[napi]
    pub fn send<'env>(
        &self,
        env: &'env Env,
        request: NativeHttpRequest,
    ) -> Result<PromiseRaw<'env, Outcome<NativeHttpRecord>>> {
        let client = self.inner.clone();
        let request = HttpRequest::from(request);
        promise(env, async move { outcome(client.send(request).await) })
    }
}
