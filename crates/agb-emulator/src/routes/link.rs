//! Tool calls on the link route: straight to the session, with its token instead of the API key.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Path, Request},
    http::HeaderMap,
};
use serde_json::{Map, Value, json};

use super::{Call, kind, same_secret, tool};
use crate::{
    app::Service,
    envelope::{Answer, tool_result},
    state::Session,
};

/// A request without the API key, read, and the token in its header.
#[derive(Debug)]
pub(crate) struct LinkCall {
    call: Call,
    headers: HeaderMap,
}

impl FromRequest<Arc<Service>> for LinkCall {
    type Rejection = Answer;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Answer> {
        let headers = request.headers().clone();
        Ok(Self { call: Call::read(request, service).await?, headers })
    }
}

pub(crate) async fn call(Path(id): Path<String>, LinkCall { call, headers }: LinkCall) -> Result<Answer, Answer> {
    call.trace.note().session_id = Some(id.clone());
    answer_with_their_id(&call);
    let Some(session) = call.service.sessions.alive(&id) else {
        return Ok(gone_result(&call, &id));
    };
    check_token(&headers, call.member("token").and_then(Value::as_str), &session)?;
    let name = tool::tool_name(&call, "tool")?;
    let args = match call.member("args") {
        None => Map::new(),
        Some(Value::Object(args)) => args.clone(),
        Some(other) => return Err(Answer::invalid(format!("args must be an object, not {}", kind(other)))),
    };
    let Some(in_use) = call.use_session_for(&id, name) else {
        return Ok(gone_result(&call, &id));
    };
    Ok(match tool::run(&call, &in_use, name, &args).await {
        Ok(output) => result(output.is_error, output.text),
        Err(ended) => {
            call.trace.note().tool_failed = true;
            result(true, format!("{}: {ended}", gone(&id)))
        }
    })
}

/// The client makes the request id on this route, and looks for no other.
fn answer_with_their_id(call: &Call) {
    if let Some(id) = call.member("requestId").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        call.trace.note().request_id = Some(id.to_owned());
    }
}

/// The token of the header, else that of the body.
pub(crate) fn check_token(headers: &HeaderMap, in_body: Option<&str>, session: &Session) -> Result<(), Answer> {
    let header = headers.get("x-access-token").map(|value| value.as_bytes());
    let Some(sent) = header.or_else(|| in_body.map(str::as_bytes)) else {
        return Err(Answer::denied("access denied: the header X-Access-Token is missing"));
    };
    if same_secret(sent, session.token.reveal().as_bytes()) {
        return Ok(());
    }
    Err(Answer::denied("access denied: this is not the token of this session"))
}

fn gone_result(call: &Call, id: &str) -> Answer {
    let mut note = call.trace.note();
    note.tool = call.member("tool").and_then(Value::as_str).map(str::to_owned);
    note.tool_failed = true;
    result(true, gone(id))
}

/// Names the session and says "expired": the words by which a client's directory watcher knows that it can stop.
fn gone(id: &str) -> String {
    format!("session {id} is not found: it is invalid or has expired")
}

/// On this route `data` is JSON in a string, as the service sends it.
fn result(is_error: bool, text: String) -> Answer {
    Answer::data(json!({"result": tool_result(is_error, text)}).to_string().into())
}
