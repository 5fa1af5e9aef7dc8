//! The browser's two endpoints, and the texts of the browser agent's tools (docs/protocol.md, section "Browser").

use serde_json::{Map, Value};

use super::{Query, js};

/// Where the service keeps a browser's data inside the session; what the options say is not sent.
const PERSISTENT_PATH: &str = "/tmp/agb_browser_data";

/// The query of `browser/init`.
pub(crate) fn init_query(session_id: &str, option: &Map<String, Value>) -> Query {
    let mut query = vec![("sessionId", session_id.to_owned()), ("persistentPath", PERSISTENT_PATH.to_owned())];
    if !option.is_empty() {
        query.push(("browserOption", js::object_text(option)));
    }
    query
}

/// The port of a browser that was started; `None` where the answer names none.
pub(crate) fn read_port(data: Option<&Map<String, Value>>) -> Option<f64> {
    match data.and_then(|data| js::either_case(data, "port"))? {
        Value::Number(port) => port.as_f64(),
        Value::String(port) => port.trim().parse().ok().filter(|port: &f64| port.is_finite()),
        _ => None,
    }
}

/// An element of a page that a task may act on.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Observed {
    /// How the element is found on the page.
    pub selector: String,
    /// What it is.
    pub description: String,
    /// What can be done with it.
    pub method: String,
    /// With which arguments.
    pub arguments: Map<String, Value>,
}

impl Observed {
    fn read(item: &Map<String, Value>) -> Self {
        let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            selector: text("selector"),
            description: text("description"),
            method: text("method"),
            arguments: read_arguments(item.get("arguments")),
        }
    }
}

/// An object, or JSON text of one; anything else counts as none.
fn read_arguments(arguments: Option<&Value>) -> Map<String, Value> {
    match arguments {
        Some(Value::Object(arguments)) => arguments.clone(),
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Map::new(),
    }
}

/// The elements in an answer; one that is no list names none.
pub(crate) fn read_observed(answer: &Value) -> Vec<Observed> {
    let items = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_object).map(Observed::read).collect()
}

/// The id of a task that was started.
pub(crate) fn read_task_id(answer: &Value) -> Option<String> {
    match answer.get("task_id")? {
        Value::String(id) if !id.is_empty() => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// How an action went: `None` while it goes on.
pub(crate) fn read_act(answer: &Value) -> Option<(bool, String)> {
    if !js::is_truthy(answer.get("is_done")) {
        return None;
    }
    let steps = answer.get("steps").filter(|steps| !is_empty(steps));
    let message = steps.map_or_else(|| "No actions have been executed.".to_owned(), js::json_text);
    Some((js::is_truthy(answer.get("success")), message))
}

fn is_empty(steps: &Value) -> bool {
    match steps {
        Value::Array(steps) => steps.is_empty(),
        Value::Object(_) => false,
        other => !js::is_truthy(Some(other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_option_map_is_sent_as_compact_json_and_an_empty_one_is_not() {
        let option = json!({"useStealth": false, "viewport": {"width": 1, "height": 2}});
        let query = init_query("s", option.as_object().unwrap());
        assert_eq!(query[1], ("persistentPath", "/tmp/agb_browser_data".to_owned()));
        assert_eq!(query[2].1, r#"{"useStealth":false,"viewport":{"width":1,"height":2}}"#);
        assert_eq!(init_query("s", &Map::new()).len(), 2);
    }

    #[test]
    fn a_port_is_a_number_or_the_text_of_one() {
        for (data, port) in [
            (json!({"port": 9333}), Some(9333.0)),
            (json!({"Port": "9333"}), Some(9333.0)),
            (json!({"port": 0}), Some(0.0)),
            (json!({"port": null}), None),
            (json!({"port": "x"}), None),
            (json!({}), None),
        ] {
            assert_eq!(read_port(data.as_object()), port, "{data}");
        }
        assert_eq!(read_port(None), None);
    }

    #[test]
    fn arguments_are_an_object_in_either_form_and_nothing_else() {
        for (arguments, read) in [
            (json!({"a": 1}), json!({"a": 1})),
            (json!(r#"{"a":1}"#), json!({"a": 1})),
            (json!("{broken"), json!({})),
            (json!("[1]"), json!({})),
            (json!(7), json!({})),
            (json!(null), json!({})),
        ] {
            let items = read_observed(&json!([{"selector": "#a", "arguments": arguments}]));
            assert_eq!(Value::Object(items[0].arguments.clone()), read);
            assert_eq!((items[0].selector.as_str(), items[0].method.as_str()), ("#a", ""));
        }
    }

    #[test]
    fn what_is_no_list_observes_nothing() {
        assert!(read_observed(&json!({"a": 1})).is_empty());
        assert!(read_observed(&json!(null)).is_empty());
        assert!(read_observed(&json!(["x", 1])).is_empty());
    }

    #[test]
    fn a_task_id_is_text_or_a_number() {
        assert_eq!(read_task_id(&json!({"task_id": "t"})).as_deref(), Some("t"));
        assert_eq!(read_task_id(&json!({"task_id": 7})).as_deref(), Some("7"));
        for without in [json!({}), json!({"task_id": ""}), json!({"task_id": null}), json!([])] {
            assert_eq!(read_task_id(&without), None);
        }
    }

    #[test]
    fn an_action_is_done_when_it_says_so() {
        assert_eq!(read_act(&json!({"steps": ["a"], "success": true})), None);
        let none = "No actions have been executed.".to_owned();
        for steps in [json!([]), json!(null), json!("")] {
            assert_eq!(read_act(&json!({"is_done": true, "steps": steps})), Some((false, none.clone())));
        }
        let done = json!({"is_done": true, "success": true, "steps": [{"step": 1}]});
        assert_eq!(read_act(&done), Some((true, r#"[{"step":1}]"#.to_owned())));
        assert_eq!(read_act(&json!({"is_done": 1, "steps": "x"})), Some((false, r#""x""#.to_owned())));
    }
}
