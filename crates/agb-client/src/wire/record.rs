//! An HTTP answer as it is, without a look at what it means (docs/protocol.md, section "Low-level requests").

use serde_json::Value;

/// What an answer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpBody {
    /// JSON text of an object or an array.
    Json(String),
    /// What is no JSON, or the text that a JSON string holds; may be empty.
    Text(String),
    /// A number, a boolean or `null`.
    Nothing,
}

/// Reads a body, and the request id where it names one. JSON within a JSON string counts as JSON.
pub(crate) fn read(bytes: &[u8]) -> (HttpBody, Option<String>) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    match serde_json::from_str(&text) {
        Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => json(&value, inner),
            _ => (HttpBody::Text(inner), None),
        },
        Ok(value @ (Value::Object(_) | Value::Array(_))) => json(&value, text),
        Ok(_) => (HttpBody::Nothing, None),
        Err(_) => (HttpBody::Text(text), None),
    }
}

fn json(value: &Value, text: String) -> (HttpBody, Option<String>) {
    let request_id = value.get("requestId").and_then(Value::as_str).filter(|id| !id.is_empty());
    (HttpBody::Json(text), request_id.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(bytes: &[u8]) -> HttpBody {
        read(bytes).0
    }

    #[test]
    fn objects_and_arrays_are_json_and_stay_as_they_came() {
        assert_eq!(body(br#"{ "a": 1 }"#), HttpBody::Json(r#"{ "a": 1 }"#.into()));
        assert_eq!(body(b"[1, 2]"), HttpBody::Json("[1, 2]".into()));
        assert_eq!(body(br#""{\"a\":1}""#), HttpBody::Json(r#"{"a":1}"#.into()));
    }

    #[test]
    fn texts_are_texts_and_other_values_are_nothing() {
        assert_eq!(body(b"<html>"), HttpBody::Text("<html>".into()));
        assert_eq!(body(br#""str""#), HttpBody::Text("str".into()));
        assert_eq!(body(br#""7""#), HttpBody::Text("7".into()));
        assert_eq!(body(b""), HttpBody::Text(String::new()));
        for other in [&b"7"[..], b"true", b"null"] {
            assert_eq!(body(other), HttpBody::Nothing);
        }
    }

    #[test]
    fn only_a_text_is_a_request_id() {
        assert_eq!(read(br#"{"requestId":"r"}"#).1.as_deref(), Some("r"));
        for other in [r#"{"requestId":""}"#, r#"{"requestId":7}"#, "{}", "[]", "oops"] {
            assert_eq!(read(other.as_bytes()).1, None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }
    }
}
