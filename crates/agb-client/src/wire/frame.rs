//! The frames of a session's WebSocket (docs/protocol.md, section "WebSocket").

use serde::Serialize;
use serde_json::{Map, Value};

use super::js;

/// A frame to the service.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing<'a> {
    invocation_id: &'a str,
    source: &'static str,
    target: &'a str,
    data: &'a Map<String, Value>,
}

/// The text of a frame to the service.
pub(crate) fn write(invocation_id: &str, target: &str, data: &Map<String, Value>) -> serde_json::Result<String> {
    serde_json::to_string(&Outgoing { invocation_id, source: OURSELVES, target, data })
}

/// How the client calls itself, and is called.
const OURSELVES: &str = "SDK";

/// A frame from the service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    /// The stream that it belongs to, or its own id.
    pub(crate) id: String,
    /// For pushes: who they are for. That is the target, or the sender of what is addressed to all clients.
    pub(crate) route: Option<String>,
    pub(crate) data: Map<String, Value>,
}

/// Why a frame can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing says which stream it would belong to.
    Foreign(String),
    /// It names a stream, and the rest can't be read.
    OfStream(String, String),
}

/// Reads a frame.
pub(crate) fn read(value: Value) -> Result<Frame, Fault> {
    let Value::Object(mut frame) = value else {
        return Err(Fault::Foreign("Message must be a JSON object".to_owned()));
    };
    let id = read_id(&frame)?;
    let data = match frame.remove("data") {
        Some(Value::Object(data)) => data,
        Some(Value::String(text)) => match data_in_text(&text) {
            Ok(data) => data,
            Err(why) => return Err(Fault::OfStream(id, why)),
        },
        _ => return Err(Fault::OfStream(id, "data is required and must be an object".to_owned())),
    };
    let route = route_of(&frame);
    // Where a number stands beside the data, it is the data's.
    let data = with_outer_number(data, &frame);
    Ok(Frame { id, route, data })
}

fn read_id(frame: &Map<String, Value>) -> Result<String, Fault> {
    let named = frame.get("invocationId");
    let id = if js::is_truthy(named) { named } else { frame.get("requestId") };
    match id {
        Some(Value::String(id)) if !id.is_empty() => Ok(id.clone()),
        _ => Err(Fault::Foreign("invocationId is required and must be a non-empty string".to_owned())),
    }
}

fn data_in_text(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(data)) => Ok(data),
        Ok(_) => Err("data is a string but decoded JSON is not an object".to_owned()),
        Err(error) => Err(format!("data is a string but not valid JSON: {error}")),
    }
}

fn route_of(frame: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| frame.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let target = text("target")?;
    let sender = text("source").filter(|source| *source != OURSELVES);
    let route = if target == OURSELVES { sender.unwrap_or(target) } else { target };
    Some(route.to_owned())
}

fn with_outer_number(mut data: Map<String, Value>, frame: &Map<String, Value>) -> Map<String, Value> {
    if let Some(number) = frame.get("seq")
        && !data.contains_key("seq")
    {
        data.insert("seq".to_owned(), number.clone());
    }
    data
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_frame_to_the_service_has_its_members_in_order() {
        let text = write("0af1", "wuying_codespace", &object(json!({"method": "run_code"}))).unwrap();
        let expected =
            r#"{"invocationId":"0af1","source":"SDK","target":"wuying_codespace","data":{"method":"run_code"}}"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn data_is_an_object_or_the_text_of_one() {
        for data in [json!({"phase": "end"}), json!(r#"{"phase":"end"}"#)] {
            let frame = read(json!({"invocationId": "i", "data": data})).unwrap();
            assert_eq!((frame.id.as_str(), frame.data), ("i", object(json!({"phase": "end"}))));
        }
        for (data, why) in [
            (json!("[1]"), "data is a string but decoded JSON is not an object"),
            (json!("x"), "data is a string but not valid JSON"),
            (json!(1), "data is required and must be an object"),
            (Value::Null, "data is required and must be an object"),
        ] {
            match read(json!({"invocationId": "i", "data": data})) {
                Err(Fault::OfStream(id, text)) => assert!(id == "i" && text.starts_with(why), "{text}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_id_may_be_the_request_id_and_must_be_a_text() {
        assert_eq!(read(json!({"invocationId": "", "requestId": "r", "data": {}})).unwrap().id, "r");
        for frame in [json!({"data": {}}), json!({"invocationId": 7, "data": {}}), json!([1]), json!("x"), json!(null)]
        {
            assert!(matches!(read(frame.clone()), Err(Fault::Foreign(_))), "{frame}");
        }
    }

    #[test]
    fn a_push_goes_to_its_target_or_is_known_by_its_sender() {
        let route = |frame: Value| read(frame).unwrap().route;
        assert_eq!(route(json!({"requestId": "r", "target": "t", "source": "s", "data": {}})), Some("t".to_owned()));
        assert_eq!(route(json!({"requestId": "r", "target": "SDK", "source": "s", "data": {}})), Some("s".to_owned()));
        assert_eq!(
            route(json!({"requestId": "r", "target": "SDK", "source": "SDK", "data": {}})),
            Some("SDK".to_owned())
        );
        assert_eq!(route(json!({"requestId": "r", "source": "s", "data": {}})), None);
    }

    #[test]
    fn a_number_beside_the_data_counts_as_the_datas() {
        let seq = |frame: Value| read(frame).unwrap().data.get("seq").cloned();
        assert_eq!(seq(json!({"invocationId": "i", "seq": 3, "data": {}})), Some(json!(3)));
        assert_eq!(seq(json!({"invocationId": "i", "seq": 3, "data": {"seq": 4}})), Some(json!(4)));
    }

    proptest! {
        #[test]
        fn no_frame_panics(text in r#"\{("(invocationId|requestId|data|target|seq)":("i"|""|1|null|\{\}|\[\]|"\{\}"|"x"),?){0,4}\}"#) {
            if let Ok(value) = serde_json::from_str(&text) {
                let _ = read(value);
            }
        }
    }
}
