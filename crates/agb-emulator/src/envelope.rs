//! The one form that every answer has (docs/protocol.md, section Envelope).

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

/// Code of a session endpoint for a session that is unknown or no longer alive.
pub(crate) const NO_SESSION: &str = "InvalidMcpSession.NotFound";
/// Code of the tool endpoint for the same.
pub(crate) const NO_SESSION_FOR_TOOL: &str = "InvalidSession.NotFound";

/// An answer before it has its request id.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) code: Cow<'static, str>,
    message: String,
    /// Absent, not `null`, when there is none: a client that reads into `null` fails in its own way.
    content: Option<Box<Content>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Content {
    data: Value,
    /// Members beside `data`: those of a list's pages.
    beside: Map<String, Value>,
}

impl Answer {
    /// A success without data.
    pub(crate) fn ok() -> Self {
        Self { status: StatusCode::OK, code: Cow::Borrowed("ok"), message: String::new(), content: None }
    }

    /// A success with data.
    pub(crate) fn data(data: Value) -> Self {
        Self { content: Some(Box::new(Content { data, beside: Map::new() })), ..Self::ok() }
    }

    /// A success with one page of a list. `next_token` is empty on the last page.
    pub(crate) fn page(data: Value, next_token: String, max_results: usize, count: usize) -> Self {
        let mut beside = Map::new();
        beside.insert("nextToken".to_owned(), next_token.into());
        beside.insert("maxResults".to_owned(), max_results.into());
        beside.insert("count".to_owned(), count.into());
        Self { content: Some(Box::new(Content { data, beside })), ..Self::ok() }
    }

    /// The same answer with one more member beside its data.
    pub(crate) fn beside(mut self, name: &str, value: impl Into<Value>) -> Self {
        let content = self.content.get_or_insert_default();
        content.beside.insert(name.to_owned(), value.into());
        self
    }

    /// A failure. `message` must not be empty.
    pub(crate) fn failure(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), content: None }
    }

    /// The caller's mistake in a parameter.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::failure(StatusCode::BAD_REQUEST, "InvalidParameter", message)
    }

    /// A wrong or missing key or token.
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::failure(StatusCode::UNAUTHORIZED, "AccessDenied", message)
    }

    /// A session endpoint's answer for a session that is unknown or no longer alive.
    pub(crate) fn no_session() -> Self {
        Self::failure(StatusCode::BAD_REQUEST, NO_SESSION, "Resource [McpSession] is not found")
    }

    /// The tool endpoint's answer for the same: HTTP 200, as the service does.
    pub(crate) fn no_session_for_tool() -> Self {
        Self::failure(StatusCode::OK, NO_SESSION_FOR_TOOL, "Resource [Session] is not found")
    }

    /// A part of the service that this version of the emulator lacks.
    pub(crate) fn not_here(message: impl Into<String>) -> Self {
        Self::failure(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    /// The emulator is being closed.
    pub(crate) fn closing() -> Self {
        Self::failure(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "the emulator is being closed")
    }

    /// A fault of the emulator itself.
    pub(crate) fn internal() -> Self {
        Self::failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "the emulator failed on this request")
    }

    /// Why it failed; empty on success.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn is_success(&self) -> bool {
        self.code == "ok"
    }

    /// The response that carries this answer.
    pub(crate) fn render(self, request_id: &str) -> Response {
        let mut envelope = Map::new();
        envelope.insert("success".to_owned(), self.is_success().into());
        envelope.insert("code".to_owned(), self.code.as_ref().into());
        envelope.insert("message".to_owned(), self.message.into());
        envelope.insert("httpStatusCode".to_owned(), self.status.as_u16().into());
        envelope.insert("requestId".to_owned(), request_id.into());
        if let Some(content) = self.content {
            envelope.insert("data".to_owned(), content.data);
            envelope.extend(content.beside);
        }
        let mut response = Response::new(Body::from(Value::Object(envelope).to_string()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(value) = HeaderValue::from_str(request_id) {
            response.headers_mut().insert("x-request-id", value);
        }
        response
    }
}

/// Marks a response that is sent as it is, without the envelope: the bytes of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsIs;

impl IntoResponse for Answer {
    /// An empty response that carries the answer; [`crate::app`] gives it its request id and renders it.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The result of a tool, in the form in which both routes send it.
pub(crate) fn tool_result(is_error: bool, text: String) -> Value {
    json!({"isError": is_error, "content": [{"type": "text", "text": text}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rendered(answer: Answer) -> (StatusCode, Value) {
        let response = answer.render("r-1");
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_failure_has_a_message_its_status_in_the_body_and_no_data() {
        let (status, body) = rendered(Answer::no_session()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(
            body,
            json!({
                "success": false,
                "code": "InvalidMcpSession.NotFound",
                "message": "Resource [McpSession] is not found",
                "httpStatusCode": 400,
                "requestId": "r-1",
            })
        );
    }

    #[tokio::test]
    async fn a_page_has_its_members_beside_the_data() {
        let (status, body) = rendered(Answer::page(json!([]), String::new(), 10, 0)).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            body,
            json!({
                "success": true,
                "code": "ok",
                "message": "",
                "httpStatusCode": 200,
                "requestId": "r-1",
                "data": [],
                "nextToken": "",
                "maxResults": 10,
                "count": 0,
            })
        );
    }
}
