//! The endpoints, by noun; and what all of them read from a request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{FromRequest, Query, Request},
    http::{Method, StatusCode, Uri, header},
};
use futures_util::StreamExt;
use serde_json::{Map, Value};

use crate::{
    app::Service,
    envelope::Answer,
    fault,
    state::{InUse, Session},
};

pub(crate) mod browser;
pub(crate) mod cdp;
pub(crate) mod context;
pub(crate) mod link;
pub(crate) mod object_store;
pub(crate) mod screenshot;
pub(crate) mod session;
pub(crate) mod tool;
pub(crate) mod ws;

/// Longer bodies are left out of the journal.
const JOURNAL_BODY_BYTES: usize = 8 << 10;
/// How much of a body that is too long is read all the same, and for how long: a client that is still sending would
/// see a broken connection instead of the answer.
const DRAIN_BYTES: usize = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// What the journal learns of a request while it is handled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Traced>>);

#[derive(Debug, Default)]
pub(crate) struct Traced {
    pub(crate) operation: Option<String>,
    pub(crate) tool: Option<String>,
    pub(crate) tool_failed: bool,
    pub(crate) session_id: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) resets_idle_timer: bool,
    pub(crate) query: Map<String, Value>,
    pub(crate) body: Option<Value>,
}

impl Trace {
    pub(crate) fn note(&self) -> MutexGuard<'_, Traced> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request with the API key, read.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) service: Arc<Service>,
    pub(crate) trace: Trace,
    query: HashMap<String, String>,
    body: Map<String, Value>,
}

impl FromRequest<Arc<Service>> for Call {
    type Rejection = Answer;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Answer> {
        check_key(&request, service.api_key.reveal())?;
        Self::read(request, service).await
    }
}

impl Call {
    /// Reads a request without looking at its key.
    pub(crate) async fn read(request: Request, service: &Arc<Service>) -> Result<Self, Answer> {
        let trace = request.extensions().get::<Trace>().cloned().unwrap_or_default();
        trace.note().operation = Some(operation(request.uri().path()).to_owned());
        let query = read_query(request.uri())?;
        trace.note().query = query.iter().map(|(key, value)| (key.clone(), harmless(key, value, service))).collect();
        let body = match *request.method() {
            Method::GET | Method::HEAD => Map::new(),
            _ => read_object(request, service, &trace).await?,
        };
        Ok(Self { service: service.clone(), trace, query, body })
    }

    pub(crate) fn operation(&self) -> String {
        self.trace.note().operation.clone().unwrap_or_default()
    }

    /// A query parameter; an empty one counts as absent (docs/protocol.md, section Query strings).
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A member of the body; `null` counts as absent.
    pub(crate) fn member(&self, name: &str) -> Option<&Value> {
        self.body.get(name).filter(|value| !value.is_null())
    }

    /// A member of the body that must be text; empty text counts as absent.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Answer> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Answer::invalid(format!("{name} must be a string, not {}", kind(other)))),
        }
    }

    /// The session id, which some endpoints have in the body and others in the query.
    pub(crate) fn session_id(&self) -> Result<&str, Answer> {
        let id = match self.text("sessionId")? {
            Some(id) => Some(id),
            None => self.query("sessionId"),
        };
        let id = id.ok_or_else(|| Answer::invalid("sessionId is required"))?;
        self.trace.note().session_id = Some(id.to_owned());
        Ok(id)
    }

    /// A session that is alive, held in use until the guard is dropped, which restarts its idle timer.
    pub(crate) fn use_session(&self) -> Result<InUse, Answer> {
        let id = self.session_id()?;
        self.use_session_for(id, &self.operation()).ok_or_else(Answer::no_session)
    }

    /// The same for a given id and the name that the call goes by in [`crate::SessionView::last_call`].
    pub(crate) fn use_session_for(&self, id: &str, operation: &str) -> Option<InUse> {
        let in_use = self.service.sessions.use_session(id, operation)?;
        self.trace.note().resets_idle_timer = true;
        Some(in_use)
    }
}

/// The operation of a request, by its name in the journal and in faults; `None` for what is no route.
pub(crate) fn operation_of(method: &Method, path: &str) -> Option<&'static str> {
    let name = match (path.starts_with("/object/"), method) {
        (true, &Method::PUT) => "putObject",
        (true, _) => "getObject",
        (false, _) => operation(path),
    };
    fault::OPERATIONS.iter().find(|known| **known == name).copied()
}

/// The last part of the path, which is what the endpoint does; tool calls go by one name on both routes.
fn operation(path: &str) -> &str {
    if path == "/mcp" || path.starts_with("/link/") {
        return "callTool";
    }
    if path.starts_with("/ws/") {
        return "webSocket";
    }
    if path.starts_with("/cdp/") {
        return "cdp";
    }
    path.rsplit('/').next().unwrap_or(path)
}

fn check_key(request: &Request, key: &str) -> Result<(), Answer> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else {
        return Err(Answer::denied("access denied: the header authorization: Bearer <API key> is missing"));
    };
    let sent = value.as_bytes().strip_prefix(b"Bearer ");
    if sent.is_some_and(|sent| same_secret(sent, key.as_bytes())) {
        return Ok(());
    }
    Err(Answer::denied("access denied: this is not the API key of this emulator"))
}

/// Compares without telling by its duration where the first difference is.
pub(crate) fn same_secret(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

fn read_query(uri: &Uri) -> Result<HashMap<String, String>, Answer> {
    Query::<HashMap<String, String>>::try_from_uri(uri)
        .map(|Query(query)| query)
        .map_err(|error| Answer::invalid(format!("the query cannot be read: {}", error.body_text())))
}

async fn read_object(request: Request, service: &Service, trace: &Trace) -> Result<Map<String, Value>, Answer> {
    let bytes = read_bytes(request.into_body(), service.max_body_bytes).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Answer::invalid(format!("the request body is not valid JSON: {error}")))?;
    let Value::Object(object) = value else {
        return Err(Answer::invalid(format!("the request body must be a JSON object, not {}", kind(&value))));
    };
    if bytes.len() <= JOURNAL_BODY_BYTES {
        trace.note().body = journal_body(&object, &bytes, service);
    }
    Ok(object)
}

async fn read_bytes(body: Body, limit: usize) -> Result<Vec<u8>, Answer> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Answer::invalid("the request body ended before it was complete"))?;
        if bytes.len() + chunk.len() > limit {
            drop(bytes);
            let drain = async {
                let mut drained = 0;
                while let Some(Ok(chunk)) = stream.next().await {
                    drained += chunk.len();
                    if drained > DRAIN_BYTES {
                        return;
                    }
                }
            };
            // Whether the rest arrived in time or not, the answer is the same.
            let _ = tokio::time::timeout(DRAIN_TIME, drain).await;
            return Err(Answer::failure(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestTooLarge",
                format!("the request body is longer than the {limit} bytes that this emulator accepts"),
            ));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A query value as the journal may show it.
fn harmless(name: &str, value: &str, service: &Service) -> Value {
    if name == "token" || value.contains(service.api_key.reveal()) { "***".into() } else { value.into() }
}

/// What a stream asked for, as the journal may show it; `None` when it is long.
fn journal_body_of(object: Map<String, Value>, service: &Service) -> Option<Value> {
    let bytes = serde_json::to_vec(&object).ok().filter(|bytes| bytes.len() <= JOURNAL_BODY_BYTES)?;
    journal_body(&object, &bytes, service)
}

/// A body as the journal may show it.
fn journal_body(object: &Map<String, Value>, bytes: &[u8], service: &Service) -> Option<Value> {
    let key = service.api_key.reveal().as_bytes();
    if bytes.windows(key.len().max(1)).any(|window| window == key) {
        return None;
    }
    let mut shown = object.clone();
    if let Some(token) = shown.get_mut("token") {
        *token = "***".into();
    }
    Some(Value::Object(shown))
}

/// The name of a JSON value's type.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The object that a JSON string holds, as labels and tool arguments are sent.
pub(crate) fn object_in_text(name: &str, text: &str) -> Result<Map<String, Value>, Answer> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(Answer::invalid(format!("{name} must hold a JSON object, not {}", kind(&other)))),
        Err(error) => Err(Answer::invalid(format!("{name} is not valid JSON: {error}"))),
    }
}

/// What a client needs to reach a session.
pub(crate) fn resource_url(service: &Service, session: &Session) -> String {
    let code = service.request_ids.letters("", 24);
    format!("{}/resource?resourceId={}&authCode={code}", service.base_url, session.resource_id)
}
