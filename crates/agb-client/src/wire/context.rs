//! The state of context synchronisation (docs/protocol.md, section "Context synchronisation").

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::js;

/// The synchronisation of one mount.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContextStatus {
    /// The context's id.
    pub context_id: String,
    /// Where it is mounted.
    pub path: String,
    /// Why it failed, if it did.
    pub error_message: String,
    /// `Success`, `Failed`, or a word for "under way".
    pub status: String,
    /// When it started, as the service counts.
    pub start_time: f64,
    /// When it ended, as the service counts.
    pub finish_time: f64,
    /// `upload` or `download`.
    pub task_type: String,
}

impl Eq for ContextStatus {}

impl ContextStatus {
    /// Has it come to its end, good or bad?
    pub fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "Success" | "Failed")
    }

    fn read(item: &Map<String, Value>) -> Self {
        let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |key: &str| item.get(key).and_then(Value::as_f64).unwrap_or_default();
        Self {
            context_id: text("contextId"),
            path: text("path"),
            error_message: text("errorMessage"),
            status: text("status"),
            start_time: number("startTime"),
            finish_time: number("finishTime"),
            task_type: text("taskType"),
        }
    }
}

/// Reads `data.contextStatus`: JSON text of an array, whose entries of type `data` hold JSON text of an array again.
///
/// # Errors
/// Why it can't be read, as the surface says it.
pub(crate) fn read_status(data: Option<&Map<String, Value>>) -> Result<Vec<ContextStatus>, String> {
    let status = data.and_then(|data| data.get("contextStatus"));
    if !js::is_truthy(status) {
        return Ok(Vec::new());
    }
    let mut items = Vec::new();
    for entry in array(status)?.iter().filter_map(Value::as_object) {
        if entry.get("type").and_then(Value::as_str) != Some("data") || !js::is_truthy(entry.get("data")) {
            continue;
        }
        for item in array(entry.get("data"))?.iter() {
            let item = item.as_object().ok_or("Failed to parse data item: it is no object")?;
            items.push(ContextStatus::read(item));
        }
    }
    Ok(items)
}

fn array(value: Option<&Value>) -> Result<Cow<'_, [Value]>, String> {
    let unreadable = |why: &str| format!("Unexpected error parsing context status: {why}");
    match value {
        Some(Value::Array(items)) => Ok(Cow::Borrowed(items)),
        Some(Value::String(text)) => {
            serde_json::from_str(text).map(Cow::Owned).map_err(|error| unreadable(&error.to_string()))
        }
        _ => Err(unreadable("it is neither text nor a list")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(status: Value) -> Result<Vec<ContextStatus>, String> {
        read_status(json!({ "contextStatus": status }).as_object())
    }

    #[test]
    fn the_doubly_encoded_list_is_read() {
        let inner =
            json!([{"contextId": "c", "path": "/p", "status": "Success", "startTime": 1}, {"status": "Failed"}]);
        let outer =
            json!([{"type": "data", "data": inner.to_string()}, {"type": "other", "data": "x"}, {"type": "data"}]);
        let items = read(json!(outer.to_string())).unwrap();
        assert_eq!(items.len(), 2);
        assert_eq!((items[0].context_id.as_str(), items[0].start_time), ("c", 1.0));
        assert!(items.iter().all(ContextStatus::is_final));
        assert_eq!(read(outer).unwrap(), items);
    }

    #[test]
    fn nothing_is_no_item_and_garbage_is_an_error() {
        assert!(read(json!("")).unwrap().is_empty());
        assert!(read_status(None).unwrap().is_empty());
        assert!(read(json!("[")).unwrap_err().starts_with("Unexpected error parsing context status: "));
        assert!(
            read(json!([{"type": "data", "data": "[null]"}])).unwrap_err().starts_with("Failed to parse data item: ")
        );
        assert!(read(json!(7)).is_err());
    }
}
