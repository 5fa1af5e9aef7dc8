//! Sessions: creating, finding, listing, status, labels, resource (docs/protocol.md, section "Session endpoints").

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::js;
use super::tool::ToolList;

/// Body of `createSession`, in the order of the service's own clients.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateBody {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) persistence_data_list: Vec<Persistence>,
    /// JSON text of an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) labels: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mcp_policy_id: Option<String>,
    /// Seconds, or `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Persistence {
    pub(crate) context_id: String,
    pub(crate) path: String,
    /// JSON text.
    pub(crate) policy: String,
}

/// The `sdkStats` parameter, in the order of the service's own clients.
#[derive(Debug, Serialize)]
pub(crate) struct SdkStats<'a> {
    pub(crate) source: &'static str,
    pub(crate) sdk_language: &'a str,
    pub(crate) sdk_version: &'a str,
    pub(crate) is_release: bool,
}

/// Body of the calls that name nothing but the session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionIdBody<'a> {
    pub(crate) session_id: &'a str,
}

/// The session data of `createSession` and `getSession`; every text is empty where the service sent none.
#[derive(Clone, Default, PartialEq)]
pub struct SessionData {
    /// The session's id.
    pub session_id: String,
    /// Id of the application instance.
    pub app_instance_id: String,
    /// Id of the resource.
    pub resource_id: String,
    /// A page that shows the session's desktop. Whoever has it has access.
    pub resource_url: String,
    /// `RUNNING` and so on; empty when the session was just created.
    pub status: String,
    /// Base of the link route.
    pub link_url: String,
    /// Address of the session's WebSocket.
    pub ws_url: String,
    /// Access token of link route and WebSocket.
    pub token: String,
    /// Its tools.
    pub tool_list: Arc<ToolList>,
}

impl fmt::Debug for SessionData {
    /// Neither URLs nor token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionData")
            .field("session_id", &self.session_id)
            .field("app_instance_id", &self.app_instance_id)
            .field("resource_id", &self.resource_id)
            .field("status", &self.status)
            .field("tools", &self.tool_list.tools.len())
            .finish_non_exhaustive()
    }
}

impl SessionData {
    /// Reads the `data` member; both spellings of every key are understood.
    pub(crate) fn read(data: &Map<String, Value>) -> Self {
        let text = |key: &str| js::text(data, key).to_owned();
        Self {
            session_id: text("sessionId"),
            app_instance_id: text("appInstanceId"),
            resource_id: text("resourceId"),
            resource_url: text("resourceUrl"),
            status: text("status"),
            link_url: text("linkUrl"),
            ws_url: text("wsUrl"),
            token: text("token"),
            tool_list: ToolList::read(js::either_case(data, "toolList")),
        }
    }
}

/// One page of `ListSession`: the members beside the envelope's own.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ListedSessions {
    pub(crate) session_ids: Vec<String>,
    pub(crate) next_token: String,
    pub(crate) max_results: Option<f64>,
    pub(crate) count: Option<f64>,
}

impl ListedSessions {
    /// Elements that are no objects, or have no id, are skipped.
    pub(crate) fn read(envelope: &Map<String, Value>) -> Self {
        let elements = envelope.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let id = |element: &Value| element.as_object().map(|session| js::text(session, "sessionId").to_owned());
        Self {
            session_ids: elements.iter().filter_map(id).filter(|id| !id.is_empty()).collect(),
            next_token: js::text(envelope, "nextToken").to_owned(),
            max_results: envelope.get("maxResults").and_then(Value::as_f64),
            count: envelope.get("count").and_then(Value::as_f64),
        }
    }
}

/// The `data.labels` of `GetLabel`.
///
/// # Errors
/// Why labels that are there can't be read.
pub(crate) fn read_labels(data: Option<&Map<String, Value>>) -> Result<Map<String, Value>, String> {
    let labels = data.and_then(|data| js::either_case(data, "labels"));
    match labels {
        Some(Value::Object(labels)) => Ok(labels.clone()),
        Some(Value::String(text)) if !text.is_empty() => match serde_json::from_str(text) {
            Ok(Value::Object(labels)) => Ok(labels),
            Ok(_) => Err("they are no JSON object".to_owned()),
            Err(error) => Err(error.to_string()),
        },
        value if !js::is_truthy(value) => Ok(Map::new()),
        _ => Err("they are no JSON object".to_owned()),
    }
}

/// What `getMcpResource` answered.
#[derive(Clone, Default, PartialEq)]
pub struct SessionInfo {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The session's id, as the service sent it.
    pub session_id: String,
    /// A page that shows the session's desktop, valid for 30 minutes. Whoever has it has access.
    pub resource_url: String,
    /// What a desktop client needs; `None` for sessions without desktop.
    pub desktop: Option<DesktopInfo>,
}

impl fmt::Debug for SessionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionInfo")
            .field("request_id", &self.request_id)
            .field("session_id", &self.session_id)
            .field("desktop", &self.desktop)
            .finish_non_exhaustive()
    }
}

/// What a desktop client needs to connect. `None`: the service sent nothing of the kind.
#[derive(Clone, Default, PartialEq)]
pub struct DesktopInfo {
    /// Id of the application.
    pub app_id: Option<String>,
    /// A secret.
    pub auth_code: Option<String>,
    /// JSON text.
    pub connection_properties: Option<String>,
    /// Id of the resource.
    pub resource_id: Option<String>,
    /// Type of the resource.
    pub resource_type: Option<String>,
    /// A secret.
    pub ticket: Option<String>,
}

impl fmt::Debug for DesktopInfo {
    /// Neither ticket, code nor connection.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DesktopInfo")
            .field("app_id", &self.app_id)
            .field("resource_id", &self.resource_id)
            .field("resource_type", &self.resource_type)
            .finish_non_exhaustive()
    }
}

impl SessionInfo {
    pub(crate) fn read(request_id: String, data: &Map<String, Value>) -> Self {
        Self {
            request_id,
            session_id: js::text(data, "sessionId").to_owned(),
            resource_url: js::text(data, "resourceUrl").to_owned(),
            desktop: js::either_case(data, "desktopInfo").and_then(Value::as_object).map(DesktopInfo::read),
        }
    }
}

impl DesktopInfo {
    fn read(desktop: &Map<String, Value>) -> Self {
        let text = |key: &str| match js::either_case(desktop, key)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(js::json_text(other)),
        };
        Self {
            app_id: text("appId"),
            auth_code: text("authCode"),
            connection_properties: text("connectionProperties"),
            resource_id: text("resourceId"),
            resource_type: text("resourceType"),
            ticket: text("ticket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_create_body_leaves_out_what_was_not_given() {
        let text = |body: &CreateBody| serde_json::to_string(body).unwrap();
        assert_eq!(text(&CreateBody::default()), "{}");
        let body = CreateBody {
            persistence_data_list: vec![Persistence { context_id: "c".into(), path: "/p".into(), policy: "{}".into() }],
            labels: Some("{}".into()),
            mcp_policy_id: Some("pol".into()),
            timeout: Some(Value::Null),
        };
        assert_eq!(
            text(&body),
            r#"{"persistenceDataList":[{"contextId":"c","path":"/p","policy":"{}"}],"labels":"{}","mcpPolicyId":"pol","timeout":null}"#
        );
    }

    #[test]
    fn session_data_is_read_in_both_spellings() {
        let camel = SessionData::read(&object(json!({
            "sessionId": "s", "linkUrl": "l", "wsUrl": "w", "token": "t", "toolList": [{"name": "shell"}], "status": 7
        })));
        let pascal = SessionData::read(&object(json!({
            "SessionId": "s", "LinkUrl": "l", "WsUrl": "w", "Token": "t", "ToolList": "[{\"name\":\"shell\"}]"
        })));
        assert_eq!(camel, pascal);
        assert_eq!(camel.tool_list.text, r#"[{"name":"shell"}]"#);
        assert_eq!(camel.tool_list.tools.len(), 1);
    }

    #[test]
    fn a_list_skips_what_is_no_session() {
        let page = ListedSessions::read(&object(json!({
            "data": [{"sessionId": "a"}, null, {"sessionId": ""}, 7, {"sessionId": "b"}], "nextToken": "n", "count": 5
        })));
        assert_eq!(page.session_ids, ["a", "b"]);
        assert_eq!((page.next_token.as_str(), page.max_results, page.count), ("n", None, Some(5.0)));
        assert_eq!(ListedSessions::read(&object(json!({"data": "x"}))), ListedSessions::default());
    }

    #[test]
    fn labels_keep_their_order_and_garbage_is_an_error() {
        let read = |value: Value| read_labels(Some(&object(json!({ "labels": value }))));
        let labels = read(json!(r#"{"z":"1","a":"2"}"#)).unwrap();
        assert_eq!(labels.keys().collect::<Vec<_>>(), ["z", "a"]);
        assert_eq!(read(json!({"z": "1"})).unwrap().len(), 1);
        assert!(read(json!("")).unwrap().is_empty());
        assert!(read(json!(null)).unwrap().is_empty());
        assert!(read_labels(None).unwrap().is_empty());
        assert!(read(json!("{")).is_err());
        assert!(read(json!("[1]")).is_err());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let data = SessionData::read(&object(json!({"token": "SECRET", "linkUrl": "SECRET", "resourceUrl": "SECRET"})));
        let info = SessionInfo::read(
            String::new(),
            &object(json!({"resourceUrl": "SECRET", "desktopInfo": {"ticket": "SECRET", "authCode": "SECRET"}})),
        );
        assert!(!format!("{data:?}{info:?}").contains("SECRET"));
        assert_eq!(info.desktop.unwrap().ticket.as_deref(), Some("SECRET"));
    }
}
