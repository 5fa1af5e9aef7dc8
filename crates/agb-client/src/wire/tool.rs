//! MCP tools: the tool list, the bodies of both routes, and what a tool's answer says (docs/protocol.md, section "Tool
//! calls").

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::Serialize;
use serde_json::{Map, Value};

use super::js;

/// One tool of a session or an image. Every text is empty where the service sent none.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct McpTool {
    /// The tool's name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON schema of its arguments.
    pub input_schema: Map<String, Value>,
    /// The MCP server that runs it.
    pub server: String,
    /// The service's own name of it.
    pub tool: String,
}

impl McpTool {
    fn read(entry: &Map<String, Value>) -> Self {
        let first = |keys: &[&str]| {
            keys.iter().find_map(|key| entry.get(*key).and_then(Value::as_str)).unwrap_or_default().to_owned()
        };
        Self {
            name: first(&["name", "Name"]),
            description: first(&["description"]),
            input_schema: entry.get("inputSchema").and_then(Value::as_object).cloned().unwrap_or_default(),
            server: first(&["server", "serverName", "Server"]),
            tool: first(&["tool"]),
        }
    }
}

/// Lists that are shared at once: a program uses few images.
const SHARED_LISTS: usize = 16;

static SHARED: Mutex<Vec<Weak<ToolList>>> = Mutex::new(Vec::new());

/// The tools of a session.
#[derive(Debug, Default, PartialEq)]
pub struct ToolList {
    /// As the service sent them: JSON text.
    pub text: String,
    /// The same, read; malformed text has none.
    pub tools: Vec<McpTool>,
}

impl ToolList {
    /// Reads a tool list, which is an array or JSON text of one; anything else is an empty list.
    pub(crate) fn read(value: Option<&Value>) -> Arc<Self> {
        match value {
            Some(Value::String(text)) => Self::shared(text),
            Some(list @ Value::Array(_)) => Self::shared(&js::json_text(list)),
            _ => Arc::default(),
        }
    }

    /// The list of this text. All sessions of an image have the same one, so that it is kept, and read, once: with its
    /// schemas it takes far more memory than everything else that is known of a session.
    pub(crate) fn shared(text: &str) -> Arc<Self> {
        let mut lists = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        lists.retain(|list| list.strong_count() > 0);
        if let Some(known) = lists.iter().filter_map(Weak::upgrade).find(|list| list.text == text) {
            return known;
        }
        let list = Arc::new(Self { text: text.to_owned(), tools: parse_tools(text) });
        if lists.len() == SHARED_LISTS {
            lists.remove(0);
        }
        lists.push(Arc::downgrade(&list));
        list
    }

    /// The server of the first tool of this name.
    pub(crate) fn server_of(&self, name: &str) -> Option<&str> {
        self.tools.iter().find(|tool| tool.name == name).map(|tool| tool.server.as_str())
    }
}

fn parse_tools(text: &str) -> Vec<McpTool> {
    match serde_json::from_str::<Vec<Value>>(text) {
        Ok(entries) => entries.iter().filter_map(Value::as_object).map(McpTool::read).collect(),
        Err(_) => Vec::new(),
    }
}

/// Reads the answer of `listTools`: JSON text of an array. No text, and JSON that is no array, are an empty list.
///
/// # Errors
/// Why the text can't be read.
pub(crate) fn parse_catalogue(data: Option<&Value>) -> Result<Vec<McpTool>, String> {
    let entries = match data {
        Some(Value::Array(entries)) => entries.clone(),
        Some(Value::String(text)) if !text.is_empty() => match serde_json::from_str(text) {
            Ok(Value::Array(entries)) => entries,
            Ok(_) => return Ok(Vec::new()),
            Err(error) => return Err(error.to_string()),
        },
        _ => return Ok(Vec::new()),
    };
    entries
        .iter()
        .map(|entry| entry.as_object().map(McpTool::read).ok_or_else(|| "an entry is no object".to_owned()))
        .collect()
}

/// Body of a call by the API route.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiCall<'a> {
    /// JSON text of the argument object.
    pub(crate) args: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) session_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) name: &'a str,
}

/// Body of a call by the link route.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LinkCall<'a> {
    pub(crate) args: &'a Map<String, Value>,
    pub(crate) server: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) tool: &'a str,
    pub(crate) token: &'a str,
}

/// What a tool said: its `{ isError, content }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ToolOutput {
    pub(crate) is_error: bool,
    pub(crate) text: Option<String>,
    /// `errMsg`, which some failures carry instead of content.
    pub(crate) error_message: Option<String>,
}

impl ToolOutput {
    /// Reads an object, or JSON text of one; anything else has neither error nor text.
    pub(crate) fn read(value: Option<&Value>) -> Self {
        let Some(value) = value.and_then(decoded) else { return Self::default() };
        let Some(output) = value.as_object() else { return Self::default() };
        Self {
            is_error: js::is_truthy(output.get("isError")),
            text: content_text(output.get("content")),
            error_message: output.get("errMsg").and_then(Value::as_str).map(str::to_owned),
        }
    }
}

/// JSON text becomes what it says; `None` where it says nothing.
fn decoded(value: &Value) -> Option<Cow<'_, Value>> {
    match value {
        Value::String(text) => serde_json::from_str(text).ok().map(Cow::Owned),
        other => Some(Cow::Borrowed(other)),
    }
}

/// The text of a content list, the same by both routes: all text items joined by line feeds; where that gives nothing,
/// the first item's text, blob or data.
fn content_text(content: Option<&Value>) -> Option<String> {
    let items = content?.as_array()?;
    let texts: Vec<&str> = items.iter().filter_map(text_item).collect();
    let joined = (!texts.is_empty()).then(|| texts.join("\n"));
    if joined.as_ref().is_some_and(|text| !text.is_empty()) {
        return joined;
    }
    first_data(items.first()?).map(str::to_owned).or(joined)
}

fn text_item(item: &Value) -> Option<&str> {
    match item {
        Value::String(text) => Some(text),
        Value::Object(item) if item.get("type").and_then(Value::as_str) == Some("text") => {
            Some(item.get("text").and_then(Value::as_str).unwrap_or_default())
        }
        _ => None,
    }
}

fn first_data(item: &Value) -> Option<&str> {
    ["text", "blob", "data"].iter().find_map(|key| item.get(*key)?.as_str().filter(|text| !text.is_empty()))
}

/// Why an answer by the link route is no tool output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkProblem {
    NoData,
    BadDataType,
    Malformed(String),
    NoResult,
}

impl fmt::Display for LinkProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoData => f.write_str("No data field in LinkUrl response"),
            Self::BadDataType => f.write_str("Invalid data field type in LinkUrl response"),
            Self::Malformed(why) => {
                write!(f, "HTTP request failed: the data of the LinkUrl response is malformed: {why}")
            }
            Self::NoResult => f.write_str("No result field in LinkUrl response data"),
        }
    }
}

/// Reads `data.result` of an answer by the link route; `data` is an object or JSON text of one.
///
/// # Errors
/// What is missing.
pub(crate) fn read_link(envelope: &Map<String, Value>) -> Result<ToolOutput, LinkProblem> {
    let data = match envelope.get("data") {
        None | Some(Value::Null) => return Err(LinkProblem::NoData),
        Some(Value::String(text)) => {
            Cow::Owned(serde_json::from_str(text).map_err(|error| LinkProblem::Malformed(error.to_string()))?)
        }
        Some(data) => Cow::Borrowed(data),
    };
    match data.as_ref() {
        Value::Null => Err(LinkProblem::Malformed("it is null".to_owned())),
        Value::Object(data) => match data.get("result").and_then(decoded) {
            Some(result) if result.is_object() => Ok(ToolOutput::read(Some(result.as_ref()))),
            _ => Err(LinkProblem::NoResult),
        },
        _ => Err(LinkProblem::BadDataType),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(content: Value) -> Option<String> {
        ToolOutput::read(Some(&json!({ "content": content }))).text
    }

    #[test]
    fn all_text_items_are_joined() {
        assert_eq!(
            text(json!([{"type": "text", "text": "a"}, {"type": "image", "data": "x"}, {"type": "text", "text": "b"}])),
            Some("a\nb".into())
        );
        assert_eq!(text(json!(["a", {"type": "text"}])), Some("a\n".into()));
    }

    #[test]
    fn without_text_items_the_first_items_data_counts() {
        assert_eq!(text(json!([{"type": "image", "data": "x"}, {"type": "image", "data": "y"}])), Some("x".into()));
        assert_eq!(text(json!([{"type": "resource", "blob": "b", "data": "x"}])), Some("b".into()));
        assert_eq!(text(json!([{"text": "untyped"}])), Some("untyped".into()));
        assert_eq!(text(json!([{"type": "image"}, {"data": "y"}])), None);
        assert_eq!(text(json!([null])), None);
        assert_eq!(text(json!([])), None);
        assert_eq!(text(json!("x")), None);
    }

    #[test]
    fn an_empty_text_does_not_hide_a_blob() {
        assert_eq!(text(json!([{"type": "text", "text": "", "blob": "b"}])), Some("b".into()));
        assert_eq!(text(json!([{"type": "text", "text": ""}])), Some(String::new()));
    }

    #[test]
    fn output_may_be_an_object_or_json_text_or_null() {
        let object = json!({"isError": true, "content": [{"type": "text", "text": "no"}]});
        assert_eq!(ToolOutput::read(Some(&json!(object.to_string()))), ToolOutput::read(Some(&object)));
        assert!(ToolOutput::read(Some(&object)).is_error);
        assert_eq!(ToolOutput::read(Some(&Value::Null)), ToolOutput::default());
        assert_eq!(ToolOutput::read(None), ToolOutput::default());
        assert_eq!(ToolOutput::read(Some(&json!("not json"))), ToolOutput::default());
    }

    #[test]
    fn a_link_answer_tells_what_it_lacks() {
        let read = |value: Value| read_link(value.as_object().unwrap());
        let result = json!({"result": {"content": [{"type": "text", "text": "hi"}]}});
        assert_eq!(read(json!({"data": result})).unwrap().text.as_deref(), Some("hi"));
        assert_eq!(read(json!({"data": result.to_string()})).unwrap().text.as_deref(), Some("hi"));
        assert_eq!(read(json!({})), Err(LinkProblem::NoData));
        assert_eq!(read(json!({"data": null})), Err(LinkProblem::NoData));
        assert_eq!(read(json!({"data": 7})), Err(LinkProblem::BadDataType));
        assert_eq!(read(json!({"data": [1]})), Err(LinkProblem::BadDataType));
        assert_eq!(read(json!({"data": {}})), Err(LinkProblem::NoResult));
        assert!(matches!(read(json!({"data": "{"})), Err(LinkProblem::Malformed(_))));
        assert!(matches!(read(json!({"data": "null"})), Err(LinkProblem::Malformed(_))));
    }

    #[test]
    fn the_tool_list_takes_the_first_key_that_is_text() {
        let list = json!([{"name": 1, "Name": "shell", "serverName": "s", "Server": "t", "inputSchema": [], "tool": "x"}, null, "y"]);
        let read = ToolList::read(Some(&list));
        assert_eq!(read.tools.len(), 1);
        assert_eq!((read.tools[0].name.as_str(), read.server_of("shell")), ("shell", Some("s")));
        assert_eq!(ToolList::read(Some(&json!(list.to_string()))), read);
        assert!(ToolList::read(Some(&json!("["))).tools.is_empty());
        assert_eq!(*ToolList::read(None), ToolList::default());
    }

    #[test]
    fn sessions_of_one_image_share_their_tool_list() {
        let text = json!([{"name": "shared", "server": "s"}]).to_string();
        let one = ToolList::read(Some(&json!(text)));
        assert!(Arc::ptr_eq(&one, &ToolList::read(Some(&json!(text)))));
        for n in 0..2 * SHARED_LISTS {
            assert_eq!(ToolList::shared(&format!(r#"[{{"name":"{n}"}}]"#)).tools.len(), 1);
        }
        drop(one);
        assert_eq!(ToolList::shared(&text).server_of("shared"), Some("s"));
    }

    #[test]
    fn a_catalogue_that_is_malformed_says_so() {
        assert_eq!(parse_catalogue(Some(&json!("[{}]"))).unwrap(), [McpTool::default()]);
        assert!(parse_catalogue(Some(&json!("{}"))).unwrap().is_empty());
        assert!(parse_catalogue(None).unwrap().is_empty());
        assert!(parse_catalogue(Some(&json!("["))).is_err());
        assert!(parse_catalogue(Some(&json!("[null]"))).is_err());
    }

    /// Any JSON, biased to the member names that the readers know.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
            Just(json!("{\"isError\":1}")),
        ];
        let key = prop_oneof![
            Just("data".to_owned()),
            Just("result".to_owned()),
            Just("content".to_owned()),
            Just("isError".to_owned()),
            Just("type".to_owned()),
            Just("text".to_owned()),
            Just("toolList".to_owned()),
            ".{0,4}",
        ];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..4)
                    .prop_map(|members| members.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_a_reader_panic(value in any_json()) {
            let _ = ToolOutput::read(Some(&value));
            let _ = ToolList::read(Some(&value));
            let _ = parse_catalogue(Some(&value));
            if let Some(object) = value.as_object() {
                let _ = read_link(object);
                let _ = crate::wire::session::SessionData::read(object);
                let _ = crate::wire::session::ListedSessions::read(object);
                let _ = crate::wire::session::read_labels(Some(object));
                let _ = crate::wire::session::SessionInfo::read(String::new(), object);
                let _ = crate::wire::metrics::Metrics::read(object);
                let _ = crate::wire::context::read_status(Some(object));
            }
        }
    }
}
