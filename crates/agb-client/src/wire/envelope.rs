//! The envelope that every endpoint answers with, the one rule of success, and how a refusal becomes an error
//! (docs/protocol.md, section "Envelope").

use serde_json::{Map, Value};

use super::js;
use super::tool::ToolOutput;
use crate::error::{Error, ErrorKind};

/// How many characters of an answer that is no JSON an error shows.
const EXCERPT_CHARS: usize = 200;

/// An HTTP answer, read.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) http_status: u16,
    /// The service's request id, from the envelope or the header; else empty.
    pub(crate) request_id: String,
    /// How often the request was sent.
    pub(crate) attempts: u32,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    /// An object, as the protocol has it.
    Object(Map<String, Value>),
    /// JSON text whose content is not JSON: the service's way to say one sentence.
    Text(String),
    /// Something else: the beginning of it, on one line.
    Foreign(String),
}

/// What an error says when the service said nothing, and where the service may have said it. One per kind of endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// The envelope's message, else `Unknown error`.
    Plain,
    /// The envelope's message, else `HTTP <status> error`.
    Status,
    /// `data.errMsg`, then the envelope's message, else `Unknown error`.
    DataFirst,
    /// The tool's own text or `data.errMsg` where it failed, then the envelope's message, else these words.
    Tool(&'static str),
}

impl Answer {
    /// Reads an HTTP answer. `header_request_id` counts where the envelope names none.
    pub(crate) fn read(http_status: u16, header_request_id: &str, attempts: u32, bytes: &[u8]) -> Self {
        let body = Body::read(bytes);
        let mut request_id = match &body {
            Body::Object(envelope) => request_id_of(envelope),
            _ => String::new(),
        };
        if request_id.is_empty() {
            header_request_id.clone_into(&mut request_id);
        }
        Self { http_status, request_id, attempts, body }
    }

    /// This answer, in which a foreign text that repeats the API key doesn't show it.
    pub(crate) fn without_secret(mut self, secret: &str) -> Self {
        if let Body::Text(text) | Body::Foreign(text) = &mut self.body
            && secret.len() >= 6
        {
            *text = text.replace(secret, "****");
        }
        self
    }

    /// The envelope's own object, for members beside `data`.
    pub(crate) fn object(&self) -> Option<&Map<String, Value>> {
        match &self.body {
            Body::Object(envelope) => Some(envelope),
            _ => None,
        }
    }

    /// The members of the envelope: those of its `body`, where it has one.
    fn fields(&self) -> Option<&Map<String, Value>> {
        self.object().map(fields)
    }

    fn field(&self, key: &str) -> Option<&Value> {
        self.fields().and_then(|fields| js::either_case(fields, key))
    }

    /// The `data` member; `None` for `null`.
    pub(crate) fn data(&self) -> Option<&Value> {
        self.field("data").filter(|data| !data.is_null())
    }

    /// The `data` member where it is an object.
    pub(crate) fn data_object(&self) -> Option<&Map<String, Value>> {
        self.data().and_then(Value::as_object)
    }

    /// The envelope's code, or an empty text.
    pub(crate) fn code(&self) -> String {
        match self.field("code") {
            Some(Value::String(code)) => code.clone(),
            Some(Value::Number(code)) => code.to_string(),
            _ => String::new(),
        }
    }

    /// The envelope's message, or an empty text.
    pub(crate) fn message(&self) -> &str {
        self.field("message").and_then(Value::as_str).unwrap_or_default()
    }

    /// The one rule of success: a 2xx status and an envelope that says `true`.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.http_status) && self.field("success") == Some(&Value::Bool(true))
    }

    /// This answer if it is a success.
    ///
    /// # Errors
    /// The refusal, with everything that the service said.
    pub(crate) fn accept(self, operation: &'static str, fallback: Fallback) -> Result<Self, Error> {
        if self.is_success() { Ok(self) } else { Err(self.refusal(operation, fallback)) }
    }

    /// The error that this answer is.
    pub(crate) fn refusal(&self, operation: &'static str, fallback: Fallback) -> Error {
        self.error(self.refusal_kind(), self.refusal_text(fallback), operation)
    }

    /// An error about this answer. The code of an answer that says that all went well (`ok`) is none of an error.
    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>, operation: &'static str) -> Error {
        let code = if self.is_success() { String::new() } else { self.code() };
        Error::new(kind, message)
            .with_operation(operation)
            .with_request_id(self.request_id.clone())
            .with_code(code)
            .with_http_status(self.http_status)
            .with_attempts(self.attempts)
            .with_temporary(is_temporary_status(self.http_status))
    }

    fn refusal_kind(&self) -> ErrorKind {
        let code = self.code();
        if is_session_not_found(&code) {
            return ErrorKind::SessionNotFound;
        }
        if matches!(self.http_status, 401 | 403) || code.starts_with("AccessDenied") {
            return ErrorKind::Authentication;
        }
        match &self.body {
            Body::Object(_) => ErrorKind::Api,
            _ if self.http_status >= 400 => ErrorKind::Http,
            _ => ErrorKind::Protocol,
        }
    }

    fn refusal_text(&self, fallback: Fallback) -> String {
        let status = self.http_status;
        match &self.body {
            Body::Text(text) => text.clone(),
            Body::Foreign(excerpt) if status < 400 && excerpt.is_empty() => {
                format!("The answer is empty (HTTP {status})")
            }
            Body::Foreign(excerpt) if status < 400 => format!("The answer is not JSON (HTTP {status}): {excerpt}"),
            Body::Foreign(excerpt) if excerpt.is_empty() => format!("HTTP {status} error"),
            Body::Foreign(excerpt) => format!("HTTP {status} error: {excerpt}"),
            Body::Object(_) => self.spoken(fallback).unwrap_or_else(|| match fallback {
                Fallback::Plain | Fallback::DataFirst => "Unknown error".to_owned(),
                Fallback::Status => format!("HTTP {status} error"),
                Fallback::Tool(words) => words.to_owned(),
            }),
        }
    }

    /// What the service itself said went wrong.
    fn spoken(&self, fallback: Fallback) -> Option<String> {
        let from_data = match fallback {
            Fallback::Plain | Fallback::Status => None,
            Fallback::DataFirst => self.data_object().map(|data| js::text(data, "errMsg").to_owned()),
            Fallback::Tool(_) => {
                let output = ToolOutput::read(self.data());
                if output.is_error {
                    output.text.filter(|text| !text.is_empty()).or(output.error_message)
                } else {
                    None
                }
            }
        };
        // What an envelope says that tells of success is no reason of a failure.
        let message = (!self.is_success()).then(|| self.message().to_owned());
        [from_data, message].into_iter().flatten().find(|text| !text.is_empty())
    }
}

/// Some answers of the service wrap the envelope in `body`.
fn fields(envelope: &Map<String, Value>) -> &Map<String, Value> {
    envelope.get("body").and_then(Value::as_object).unwrap_or(envelope)
}

fn request_id_of(envelope: &Map<String, Value>) -> String {
    let outer = js::text(envelope, "requestId");
    if outer.is_empty() { js::text(fields(envelope), "requestId").to_owned() } else { outer.to_owned() }
}

impl Body {
    fn read(bytes: &[u8]) -> Self {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(envelope)) => Self::Object(envelope),
            Ok(Value::String(text)) => match serde_json::from_str(&text) {
                Ok(Value::Object(envelope)) => Self::Object(envelope),
                _ => Self::Text(excerpt(&text)).or_foreign(),
            },
            _ => Self::Foreign(excerpt(&String::from_utf8_lossy(bytes.get(..MAX_LOOK_BYTES).unwrap_or(bytes)))),
        }
    }

    /// An empty sentence says nothing.
    fn or_foreign(self) -> Self {
        match self {
            Self::Text(text) if text.is_empty() => Self::Foreign(text),
            other => other,
        }
    }
}

/// How much of an answer that is no JSON is looked at.
const MAX_LOOK_BYTES: usize = 8192;

/// The beginning of a text on one line, without markup.
pub(crate) fn excerpt(text: &str) -> String {
    let mut out = String::new();
    let mut in_tag = false;
    let looks_like_markup = text.trim_start().starts_with('<');
    for c in text.chars() {
        match c {
            '<' if looks_like_markup => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                out.push(' ');
            }
            _ if in_tag => {}
            _ => out.push(if c.is_control() { ' ' } else { c }),
        }
    }
    let line = out.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// The codes of a session that is unknown, deleted or released.
pub(crate) fn is_session_not_found(code: &str) -> bool {
    matches!(code, "InvalidMcpSession.NotFound" | "InvalidSession.NotFound")
}

/// Statuses with which a service says "not now".
pub(crate) fn is_temporary_status(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: Value) -> Answer {
        Answer::read(status, "", 1, body.to_string().as_bytes())
    }

    fn refusal(status: u16, body: Value, fallback: Fallback) -> String {
        answer(status, body).refusal("op", fallback).message().to_owned()
    }

    #[test]
    fn success_needs_a_2xx_status_and_a_true_flag() {
        assert!(answer(200, json!({"success": true})).is_success());
        assert!(answer(201, json!({"success": true})).is_success());
        assert!(!answer(400, json!({"success": true})).is_success());
        assert!(!answer(200, json!({"success": "true"})).is_success());
        assert!(!answer(200, json!({})).is_success());
    }

    #[test]
    fn both_spellings_and_the_wrapped_form_are_understood() {
        let pascal = answer(200, json!({"Success": true, "RequestId": "r", "Code": "c", "Message": "m"}));
        let wrapped = answer(200, json!({"body": {"Success": true, "requestId": "r", "code": "c", "Message": "m"}}));
        for answer in [pascal, wrapped] {
            assert!(answer.is_success());
            assert_eq!((answer.request_id.as_str(), answer.code().as_str(), answer.message()), ("r", "c", "m"));
        }
    }

    #[test]
    fn the_request_id_comes_from_the_header_where_the_envelope_has_none() {
        assert_eq!(Answer::read(200, "h", 1, b"{\"requestId\":7}").request_id, "h");
        assert_eq!(Answer::read(200, "h", 1, b"{\"requestId\":\"r\"}").request_id, "r");
        assert_eq!(Answer::read(200, "h", 1, b"oops").request_id, "h");
    }

    #[test]
    fn a_refusal_keeps_code_status_and_request_id() {
        let error = answer(400, json!({"success": false, "code": "X.Y", "message": "no", "requestId": "r"}))
            .accept("op", Fallback::Plain)
            .unwrap_err();
        assert_eq!((error.kind(), error.message(), error.code()), (ErrorKind::Api, "no", "X.Y"));
        assert_eq!((error.http_status(), error.request_id(), error.operation()), (Some(400), "r", "op"));
        assert!(!error.is_temporary());
        assert!(answer(503, json!({})).refusal("op", Fallback::Plain).is_temporary());
    }

    #[test]
    fn the_kind_follows_code_and_status() {
        let kind = |status, code: &str| answer(status, json!({ "code": code })).refusal("op", Fallback::Plain).kind();
        assert_eq!(kind(400, "InvalidMcpSession.NotFound"), ErrorKind::SessionNotFound);
        assert_eq!(kind(200, "InvalidSession.NotFound"), ErrorKind::SessionNotFound);
        assert_eq!(kind(401, ""), ErrorKind::Authentication);
        assert_eq!(kind(400, "AccessDenied.Key"), ErrorKind::Authentication);
        assert_eq!(kind(404, "NotFound"), ErrorKind::Api);
    }

    #[test]
    fn each_fallback_looks_in_its_own_places() {
        let silent = json!({"success": false});
        assert_eq!(refusal(400, silent.clone(), Fallback::Plain), "Unknown error");
        assert_eq!(refusal(404, silent.clone(), Fallback::Status), "HTTP 404 error");
        assert_eq!(refusal(400, silent.clone(), Fallback::DataFirst), "Unknown error");
        assert_eq!(refusal(400, silent, Fallback::Tool("Tool execution failed")), "Tool execution failed");
        let both = json!({"message": "m", "data": {"errMsg": "d"}});
        assert_eq!(refusal(400, both.clone(), Fallback::Plain), "m");
        assert_eq!(refusal(400, both, Fallback::DataFirst), "d");
        assert_eq!(refusal(400, json!({"message": "m", "data": {"errMsg": ""}}), Fallback::DataFirst), "m");
    }

    #[test]
    fn the_message_of_a_successful_envelope_explains_no_failure() {
        let body = json!({"success": true, "message": "Success", "data": {"isError": true}});
        for (fallback, words) in
            [(Fallback::Plain, "Unknown error"), (Fallback::DataFirst, "Unknown error"), (Fallback::Tool("x"), "x")]
        {
            assert_eq!(refusal(200, body.clone(), fallback), words);
        }
    }

    #[test]
    fn a_failed_tools_own_text_comes_before_the_envelopes() {
        let body = json!({"success": true, "message": "ok", "data": {"isError": true, "content": [{"type": "text", "text": "boom"}]}});
        assert_eq!(refusal(200, body, Fallback::Tool("x")), "boom");
        assert_eq!(
            refusal(200, json!({"message": "m", "data": {"isError": true, "errMsg": "e"}}), Fallback::Tool("x")),
            "e"
        );
        assert_eq!(refusal(200, json!({"message": "m", "data": null}), Fallback::Tool("x")), "m");
    }

    #[test]
    fn an_error_page_becomes_status_and_a_bounded_excerpt() {
        let page =
            format!("<html><head><title>502</title></head>\n<body>Bad   gateway {}</body></html>", "x".repeat(5000));
        let error = Answer::read(502, "", 1, page.as_bytes()).refusal("op", Fallback::Status);
        assert_eq!(error.kind(), ErrorKind::Http);
        assert!(error.message().starts_with("HTTP 502 error: 502 Bad gateway xxx"), "{}", error.message());
        assert!(error.message().chars().count() < EXCERPT_CHARS + 30);
    }

    #[test]
    fn answers_that_are_no_envelope_say_what_they_are() {
        let text = |status, bytes: &[u8]| Answer::read(status, "", 1, bytes).refusal("op", Fallback::Plain);
        assert_eq!(text(200, b"").message(), "The answer is empty (HTTP 200)");
        assert_eq!(text(200, b"").kind(), ErrorKind::Protocol);
        assert_eq!(text(200, b"a < b").message(), "The answer is not JSON (HTTP 200): a < b");
        assert_eq!(text(500, b"").message(), "HTTP 500 error");
        assert_eq!(text(500, b"\"go away\"").message(), "go away");
        assert_eq!(text(500, b"\"\"").message(), "HTTP 500 error");
        assert_eq!(text(500, b"[1]").message(), "HTTP 500 error: [1]");
    }

    #[test]
    fn json_text_of_an_envelope_is_an_envelope() {
        assert!(Answer::read(200, "", 1, b"\"{\\\"success\\\":true}\"").is_success());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), status in any::<u16>()) {
            let answer = Answer::read(status, "", 1, &bytes);
            for fallback in [Fallback::Plain, Fallback::Status, Fallback::DataFirst, Fallback::Tool("x")] {
                prop_assert!(!answer.refusal("op", fallback).message().is_empty());
            }
        }

        #[test]
        fn no_broken_json_panics(cut in 0usize..120, noise in any::<u8>()) {
            let mut bytes = br#"{"success":false,"code":"c","data":{"isError":true,"content":[{"type":"text","text":"\u00e9"}]},"body":{"Code":7}}"#.to_vec();
            if let Some(byte) = bytes.get_mut(cut) { *byte = noise; }
            bytes.truncate(cut.max(1) + 3);
            let answer = Answer::read(200, "", 1, &bytes);
            prop_assert!(!answer.refusal("op", Fallback::Tool("x")).message().is_empty());
        }
    }
}
