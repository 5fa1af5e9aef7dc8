//! What faults do to a request and its answer, around the route table.

use std::{io, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::Body as _;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{CALL_TOOL, Channel, Direction, Effect, FaultUse, Seen, Strike};
use crate::{
    app::Service,
    connections::Wire,
    envelope::Answer,
    routes::{Traced, object_in_text, operation_of},
};

/// A slow body moves in this many steps a second.
const STEPS_A_SECOND: u64 = 10;

/// Looks at a request and finds the fault that strikes it. What was read of the body is put back.
pub(crate) async fn meet(service: &Service, request: Request) -> (Request, Option<(Strike, Traced)>) {
    let operation = operation_of(request.method(), request.uri().path()).unwrap_or("unknown");
    if !service.faults.concern(operation, Channel::Http) {
        return (request, None);
    }
    let mut known = Traced { operation: Some(operation.to_owned()), ..Traced::default() };
    let (mut request, body) = peek(request, service.max_body_bytes).await;
    let member = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    known.session_id = session_in(request.uri()).or_else(|| member("sessionId"));
    if operation == CALL_TOOL {
        known.tool = member("name").or_else(|| member("tool"));
    }
    let labels = match (&known.session_id, member("labels")) {
        (Some(id), _) => service.sessions.labels(id).unwrap_or_default(),
        (None, Some(text)) => object_in_text("labels", &text).unwrap_or_default(),
        (None, None) => Map::new(),
    };
    let strike = service.faults.strike(&Seen {
        operation,
        channel: Channel::Http,
        tool: known.tool.as_deref(),
        session_id: known.session_id.as_deref(),
        labels: &labels,
    });
    if let Some(strike) = &strike {
        // The WebSocket goes on where its handshake ends.
        request.extensions_mut().insert(strike.clone());
    }
    (request, strike.map(|strike| (strike, known)))
}

/// The session that an address names: `/link/<id>/callTool`, `/ws/<id>`, or the query.
fn session_in(uri: &axum::http::Uri) -> Option<String> {
    let mut parts = uri.path().split('/').skip(1);
    if matches!(parts.next(), Some("link" | "ws")) {
        return parts.next().map(str::to_owned);
    }
    let query = axum::extract::Query::<std::collections::HashMap<String, String>>::try_from_uri(uri).ok()?;
    query.0.get("sessionId").filter(|id| !id.is_empty()).cloned()
}

/// The JSON object in a body; empty when there is none, when it is too long, or when it is an object of the store.
async fn peek(request: Request, limit: usize) -> (Request, Map<String, Value>) {
    if *request.method() == Method::PUT || *request.method() == Method::GET {
        return (request, Map::new());
    }
    let (parts, body) = request.into_parts();
    let mut pieces = body.into_data_stream();
    let mut read = Vec::new();
    let mut last = None;
    while read.len() <= limit {
        match pieces.next().await {
            Some(Ok(piece)) => read.extend_from_slice(&piece),
            // The handler shall see that it ended too early.
            Some(Err(error)) => {
                last = Some(Err(error));
                break;
            }
            None => break,
        }
    }
    let object = match serde_json::from_slice(&read) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    let again = stream::iter([Ok(Bytes::from(read))]).chain(stream::iter(last)).chain(pieces);
    (Request::from_parts(parts, Body::from_stream(again)), object)
}

/// Lets the work be done as far as the fault allows; `None`: it is not done.
pub(crate) async fn work(strike: Option<Strike>, request: Request, next: Next) -> Option<Response> {
    let Some(effect) = strike.map(|strike| strike.effect) else { return Some(next.run(request).await) };
    if effect.prevents_work() {
        if !matches!(*effect, Effect::Reset { .. }) {
            read_all(request.into_body()).await;
        }
        return None;
    }
    if let Some(by) = effect.delay_of_work() {
        tokio::time::sleep(by).await;
    }
    match *effect {
        Effect::Slow { bytes_per_second, direction: Direction::Request } => {
            Some(next.run(request.map(|body| slowed(body, bytes_per_second))).await)
        }
        _ => Some(next.run(request).await),
    }
}

/// A client that still sends would see a broken connection instead of what the fault is about.
async fn read_all(body: Body) {
    let mut pieces = body.into_data_stream();
    while let Some(Ok(_)) = pieces.next().await {}
}

/// What the journal says of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) success: bool,
}

impl Shown {
    /// Nothing was sent.
    fn nothing() -> Self {
        Self { status: 0, code: "unanswered".to_owned(), success: false }
    }
}

impl Strike {
    /// What the journal says: what was sent, and what the fault had to do with it. `done` is what the work gave.
    pub(crate) fn shown(&self, done: Option<Shown>) -> (Shown, FaultUse) {
        let used = FaultUse {
            id: self.id,
            kind: self.effect.kind(),
            worked: done.is_some(),
            status: done.as_ref().map(|done| done.status),
            code: done.as_ref().map(|done| done.code.clone()),
        };
        let sent = match &*self.effect {
            Effect::Status { status, code, .. } => {
                Shown { status: status.as_u16(), code: code.clone(), success: false }
            }
            Effect::Truncate { .. } | Effect::Garbage { .. } => {
                done.map_or_else(Shown::nothing, |done| Shown { code: "unreadable".to_owned(), success: false, ..done })
            }
            Effect::Reset { .. } => Shown::nothing(),
            // The handshake of a WebSocket is answered, and what follows is not.
            Effect::HalfOpen { .. } => done.filter(is_switched).unwrap_or_else(Shown::nothing),
            Effect::Delay { .. } | Effect::Slow { .. } | Effect::Close { .. } => done.unwrap_or_else(Shown::nothing),
        };
        (sent, used)
    }

    /// The same for a stream, of which the end was not told, or not well; `done` is what came of the work.
    pub(crate) fn shown_on_stream(&self, done: Option<Shown>) -> (Shown, FaultUse) {
        let (shown, used) = self.shown(done);
        match &*self.effect {
            // There is no status on a stream.
            Effect::Status { .. } => (Shown { status: 200, ..shown }, used),
            Effect::Close { .. } => (Shown::nothing(), used),
            _ => (shown, used),
        }
    }

    /// Does it silence a WebSocket whose handshake it strikes?
    pub(crate) fn is_half_open(&self) -> bool {
        matches!(*self.effect, Effect::HalfOpen { .. })
    }

    /// What becomes of the answer; `None` where the work was not done.
    pub(crate) fn spoil(&self, answer: Option<Response>, request_id: &str) -> Delivery {
        match (&*self.effect, answer) {
            (Effect::Status { status, headers, body, code, message, .. }, _) => {
                let mut response = Answer::failure(*status, code.clone(), message.clone()).render(request_id);
                if let Some(body) = body {
                    let is_json = serde_json::from_slice::<Value>(body).is_ok();
                    let kind = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
                    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                    *response.body_mut() = body.clone().into();
                }
                // Replaces those of the same name.
                response.headers_mut().extend(headers.clone());
                Delivery::Now(response)
            }
            (Effect::HalfOpen { .. }, Some(response)) if response.status().as_u16() == SWITCHING => {
                Delivery::Now(response)
            }
            (Effect::Reset { .. }, _) => Delivery::Reset,
            (Effect::HalfOpen { .. }, _) | (_, None) => Delivery::Never,
            (Effect::Delay { .. }, Some(response)) => match self.effect.delay_of_answer() {
                Some(by) => Delivery::Late(by, response),
                None => Delivery::Now(response),
            },
            (Effect::Truncate { bytes, framed }, Some(response)) => Delivery::Now(truncated(response, *bytes, *framed)),
            (Effect::Garbage { body }, Some(mut response)) => {
                response.headers_mut().remove(header::CONTENT_LENGTH);
                *response.body_mut() = body.clone().into();
                Delivery::Now(response)
            }
            (Effect::Slow { bytes_per_second, direction: Direction::Answer }, Some(mut response)) => {
                keep_length(&mut response);
                Delivery::Now(response.map(|body| slowed(body, *bytes_per_second)))
            }
            (Effect::Slow { .. } | Effect::Close { .. }, Some(response)) => Delivery::Now(response),
        }
    }
}

const SWITCHING: u16 = 101;

fn is_switched(shown: &Shown) -> bool {
    shown.status == SWITCHING
}

/// How an answer goes out.
#[derive(Debug)]
pub(crate) enum Delivery {
    Now(Response),
    Late(Duration, Response),
    /// The connection is reset instead.
    Reset,
    /// The connection stays open, and nothing is said.
    Never,
}

impl Delivery {
    /// Sends it; gives up when the emulator is being closed.
    pub(crate) async fn send(self, wire: &Wire, closing: &CancellationToken) -> Response {
        match self {
            Delivery::Now(response) => return response,
            Delivery::Late(by, response) => {
                tokio::select! {
                    () = tokio::time::sleep(by) => {}
                    () = closing.cancelled() => {}
                }
                return response;
            }
            Delivery::Never => closing.cancelled().await,
            Delivery::Reset => {}
        }
        wire.break_off();
        // Nothing of it can be written any more; that it is tried makes the server notice.
        Response::new(Body::empty())
    }
}

/// The answer without its end.
fn truncated(mut response: Response, bytes: Option<u64>, framed: bool) -> Response {
    let length = keep_length(&mut response).unwrap_or(0);
    // Something has to be missing.
    let kept = bytes.unwrap_or(length / 2).min(length.saturating_sub(1));
    let announced = if framed { kept } else { length.max(1) };
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(announced));
    response.map(|body| cut(body, kept, framed))
}

/// Announces the length of a body as long as it is known.
fn keep_length(response: &mut Response) -> Option<u64> {
    let announced = response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let length = announced.or_else(|| response.body().size_hint().exact())?;
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Some(length)
}

/// The first bytes of a body; then it ends, or breaks.
fn cut(body: Body, bytes: u64, ends_well: bool) -> Body {
    Body::from_stream(stream::try_unfold((body.into_data_stream(), bytes), move |(mut pieces, left)| async move {
        if left > 0
            && let Some(piece) = pieces.next().await
        {
            let mut piece = piece.map_err(io::Error::other)?;
            let kept = piece.split_to(piece.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
            let left = left - kept.len() as u64;
            return Ok(Some((kept, (pieces, left))));
        }
        if ends_well {
            return Ok(None);
        }
        // While the body waits, what it gave is written; an error throws away what is not.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    }))
}

/// A body at a limited speed.
fn slowed(body: Body, bytes_per_second: u64) -> Body {
    let step = usize::try_from(bytes_per_second / STEPS_A_SECOND).unwrap_or(usize::MAX).max(1);
    let pieces = (body.into_data_stream(), Bytes::new());
    Body::from_stream(stream::try_unfold(pieces, move |(mut pieces, mut rest)| async move {
        while rest.is_empty() {
            match pieces.next().await {
                Some(piece) => rest = piece.map_err(io::Error::other)?,
                None => return Ok::<_, io::Error>(None),
            }
        }
        let sent = rest.split_to(rest.len().min(step));
        tokio::time::sleep(Duration::from_secs_f64(sent.len() as f64 / bytes_per_second as f64)).await;
        Ok(Some((sent, (pieces, rest))))
    }))
}
