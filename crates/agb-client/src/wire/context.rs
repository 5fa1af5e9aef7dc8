//! Contexts, their files, and the state of their synchronisation (docs/protocol.md, sections "Contexts" and "Context
//! synchronisation").

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

    /// Was it among those that were `known` before? A task is known by its times; a service that tells none can't be seen
    /// through.
    pub(crate) fn is_among(&self, known: &[Self]) -> bool {
        let is_dated = self.start_time != 0.0 || self.finish_time != 0.0;
        // One that was under way may have ended meanwhile.
        let may_end_like = |known: &Self| known.finish_time == 0.0 || known.finish_time == self.finish_time;
        let is_same =
            |known: &Self| known.is_about_the_same(self) && known.start_time == self.start_time && may_end_like(known);
        is_dated && known.iter().any(is_same)
    }

    fn is_about_the_same(&self, other: &Self) -> bool {
        self.context_id == other.context_id && self.path == other.path && self.task_type == other.task_type
    }

    fn read(item: &Map<String, Value>) -> Self {
        let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |key: &str| number(item, key).unwrap_or_default();
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

/// A context, as the service describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, as the service writes it.
    pub created_at: Option<String>,
    /// When a session last used it, as the service writes it.
    pub last_used_at: Option<String>,
    /// `available`, `clearing` or `pre-available`; only a single context is described with it.
    pub state: Option<String>,
}

impl Context {
    pub(crate) fn read(context: &Map<String, Value>) -> Self {
        Self {
            id: js::text(context, "id").to_owned(),
            name: js::text(context, "name").to_owned(),
            created_at: text(context, "createTime"),
            last_used_at: text(context, "lastUsedTime"),
            state: text(context, "state"),
        }
    }
}

/// A file or folder of a context.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContextFile {
    /// Its id.
    pub file_id: Option<String>,
    /// Its name in its folder.
    pub name: String,
    /// Its whole path.
    pub path: String,
    /// What it is, in the service's words.
    pub kind: String,
    /// When it was made, as the service writes it.
    pub created_time: Option<String>,
    /// When it was stored, as the service writes it.
    pub modified_time: Option<String>,
    /// Bytes.
    pub size: Option<f64>,
    /// In the service's words.
    pub status: Option<String>,
}

impl ContextFile {
    fn read(file: &Map<String, Value>) -> Self {
        Self {
            file_id: text(file, "fileId"),
            name: js::text(file, "fileName").to_owned(),
            path: js::text(file, "filePath").to_owned(),
            kind: js::text(file, "fileType").to_owned(),
            created_time: text(file, "gmtCreate"),
            modified_time: text(file, "gmtModified"),
            size: number(file, "size"),
            status: text(file, "status"),
        }
    }
}

/// What stands beside the data of a list; some services put it into the data.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Paging {
    pub(crate) next_token: String,
    pub(crate) max_results: Option<f64>,
    pub(crate) count: Option<f64>,
}

impl Paging {
    pub(crate) fn read(envelope: &Map<String, Value>) -> Self {
        Self {
            next_token: js::text(envelope, "nextToken").to_owned(),
            max_results: number(envelope, "maxResults"),
            count: number(envelope, "totalCount").or_else(|| number(envelope, "count")),
        }
    }
}

/// The contexts of a list; entries that are no objects are left out.
pub(crate) fn read_contexts(data: Option<&Value>) -> Vec<Context> {
    objects(data).map(Context::read).collect()
}

/// The files of a list; entries that are no objects are left out.
pub(crate) fn read_files(data: Option<&Value>) -> Vec<ContextFile> {
    objects(data).map(ContextFile::read).collect()
}

fn objects(data: Option<&Value>) -> impl Iterator<Item = &Map<String, Value>> {
    data.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// A number, which some services write as text.
pub(crate) fn number(object: &Map<String, Value>, key: &str) -> Option<f64> {
    match object.get(key)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
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
    fn lists_leave_out_what_is_no_object_and_numbers_may_be_text() {
        let data = json!([null, {"id": "c", "name": "n", "createTime": "t"}, 7]);
        let contexts = read_contexts(Some(&data));
        assert_eq!(contexts.len(), 1);
        assert_eq!((contexts[0].id.as_str(), contexts[0].created_at.as_deref()), ("c", Some("t")));
        assert!(read_contexts(Some(&json!({}))).is_empty());
        let files = read_files(Some(&json!([{"fileName": "a", "filePath": "/d/a", "fileType": "FILE", "size": "3"}])));
        assert_eq!((files[0].path.as_str(), files[0].size, &files[0].status), ("/d/a", Some(3.0), &None));
        let paging = json!({"nextToken": "n", "maxResults": 2, "count": 5});
        let expected = Paging { next_token: "n".into(), max_results: Some(2.0), count: Some(5.0) };
        assert_eq!(Paging::read(paging.as_object().unwrap()), expected);
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
