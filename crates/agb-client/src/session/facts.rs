//! What can be asked of a session, or written on it: resource, labels, links, tools, metrics.

use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::agb::is_reserved_label;
use crate::agb::recover::check_labels_of_user;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Labels, MetricsReply, Session, SessionInfo, SessionLink, ToolCatalogue};
use crate::tool::{CallTool, ToolLimits, ToolReply};
use crate::wire::endpoint::{self, Endpoint};
use crate::wire::envelope::{Answer, Fallback};
use crate::wire::metrics::Metrics;
use crate::wire::session::{SessionIdBody, read_labels};
use crate::wire::tool::parse_catalogue;
use crate::wire::{Query, js};

pub(super) async fn info(session: &Session) -> Result<SessionInfo> {
    let agb = session.agb();
    let body = SessionIdBody { session_id: session.id() };
    let call = async {
        let answer = agb.post(&endpoint::SESSION_RESOURCE, &Vec::new(), &body, agb.deadline()).await?;
        answer.accept(endpoint::SESSION_RESOURCE.operation, Fallback::Plain)
    };
    let answer = session.life().using(call).await?;
    match answer.data_object() {
        Some(data) => Ok(SessionInfo::read(answer.request_id.clone(), data)),
        None => Err(protocol(&answer, &endpoint::SESSION_RESOURCE, "No resource data found in response")),
    }
}

pub(super) async fn set_labels(
    session: &Session,
    mut labels: Map<String, Value>,
    reserved: &OnceCell<Map<String, Value>>,
) -> Result<String> {
    check_labels(&labels)?;
    let reserved = reserved.get_or_try_init(|| reserved_labels(session)).await.map_err(not_set)?;
    labels.extend(reserved.iter().map(|(key, value)| (key.clone(), value.clone())));
    let query = vec![("sessionId", session.id().to_owned()), ("Labels", js::object_text(&labels))];
    Ok(exchange(session, &endpoint::SET_LABELS, &query).await?.request_id)
}

/// Nothing was set, as those labels could not be read that have to stay. Where the session is gone it says so itself.
fn not_set(error: Error) -> Error {
    match error.kind() {
        ErrorKind::SessionNotFound => error,
        _ => error.prefixed("The labels were not set, as those that have to stay could not be read"),
    }
}

fn check_labels(labels: &Map<String, Value>) -> Result<()> {
    let refuse = |text: &str| Err(Error::new(ErrorKind::InvalidArgument, text).with_operation("setLabels"));
    if labels.is_empty() {
        return refuse("Labels cannot be empty. Please provide at least one label.");
    }
    for (key, value) in labels {
        if key.trim().is_empty() {
            return refuse("Label keys cannot be empty. Please provide valid keys.");
        }
        if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
            return refuse("Label values cannot be empty. Please provide valid values.");
        }
    }
    check_labels_of_user(labels, "setLabels")
}

pub(super) async fn labels(session: &Session) -> Result<Labels> {
    let mut labels = all_labels(session).await?;
    labels.labels.retain(|key, _| !is_reserved_label(key));
    Ok(labels)
}

/// The package's own among the labels.
pub(super) async fn reserved_labels(session: &Session) -> Result<Map<String, Value>> {
    let mut labels = all_labels(session).await?.labels;
    labels.retain(|key, _| is_reserved_label(key));
    Ok(labels)
}

async fn all_labels(session: &Session) -> Result<Labels> {
    let query = vec![("sessionId", session.id().to_owned())];
    let answer = exchange(session, &endpoint::GET_LABELS, &query).await?;
    match read_labels(answer.data_object()) {
        Ok(labels) => Ok(Labels { request_id: answer.request_id, labels }),
        Err(why) => {
            let text = format!("Failed to get labels for session {}: {why}", session.id());
            Err(protocol(&answer, &endpoint::GET_LABELS, text))
        }
    }
}

pub(super) async fn link(session: &Session, protocol_type: Option<&str>, port: Option<f64>) -> Result<SessionLink> {
    let mut query = vec![("sessionId", session.id().to_owned())];
    query.extend(protocol_type.filter(|name| !name.is_empty()).map(|name| ("protocolType", name.to_owned())));
    query.extend(port.map(|port| ("port", js::number_text(port))));
    let answer = exchange(session, &endpoint::GET_LINK, &query).await?;
    let url = answer.data_object().map(|data| js::text(data, "url")).unwrap_or_default();
    if url.is_empty() {
        return Err(protocol(&answer, &endpoint::GET_LINK, "No URL found in response"));
    }
    Ok(SessionLink { url: url.to_owned(), request_id: answer.request_id.clone() })
}

/// A call without body that starts the idle timer anew.
async fn exchange(session: &Session, endpoint: &Endpoint, query: &Query) -> Result<Answer> {
    let agb = session.agb();
    let call = async { agb.call(endpoint, query, agb.deadline()).await?.accept(endpoint.operation, Fallback::Plain) };
    session.life().using(call).await
}

pub(super) async fn list_tools(session: &Session, image_id: Option<&str>) -> Result<ToolCatalogue> {
    let own = session.details().image_id.as_str();
    let image_id = image_id.filter(|id| !id.is_empty()).unwrap_or(own);
    if image_id.is_empty() {
        let text = "imageId is required. Provide it as a parameter or set it on the session.";
        return Err(Error::new(ErrorKind::InvalidArgument, text).with_operation(endpoint::LIST_TOOLS.operation));
    }
    let agb = session.agb();
    let query = vec![("imageId", image_id.to_owned())];
    let answer = agb.post_empty_object(&endpoint::LIST_TOOLS, &query, agb.deadline()).await?;
    let answer = answer.accept(endpoint::LIST_TOOLS.operation, Fallback::Tool("API request failed"))?;
    if js::is_truthy(answer.data_object().and_then(|data| data.get("isError"))) {
        return Err(answer.refusal(endpoint::LIST_TOOLS.operation, Fallback::Tool("Tool execution failed")));
    }
    match parse_catalogue(answer.data()) {
        Ok(tools) => Ok(ToolCatalogue { request_id: answer.request_id, tools }),
        Err(why) => Err(protocol(&answer, &endpoint::LIST_TOOLS, format!("Failed to parse tools list: {why}"))),
    }
}

pub(super) async fn metrics(session: &impl CallTool, limits: ToolLimits) -> Result<MetricsReply> {
    let reply = session.call_tool("get_metrics", Map::new(), limits).await?;
    match read_metrics(&reply) {
        Ok((metrics, raw)) => Ok(MetricsReply { request_id: reply.request_id, metrics, raw }),
        Err(why) => {
            let text = format!("Failed to parse get_metrics response: {why}");
            Err(Error::new(ErrorKind::Protocol, text).with_operation("getMetrics").with_request_id(reply.request_id))
        }
    }
}

fn read_metrics(reply: &ToolReply) -> std::result::Result<(Metrics, Map<String, Value>), String> {
    let text = reply.text.as_deref().filter(|text| !text.trim().is_empty()).ok_or("the answer is empty")?;
    match serde_json::from_str(text) {
        Ok(Value::Object(raw)) => Ok((Metrics::read(&raw)?, raw)),
        Ok(_) => Err("get_metrics returned non-object JSON".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn protocol(answer: &Answer, endpoint: &Endpoint, text: impl Into<String>) -> Error {
    answer.error(ErrorKind::Protocol, text, endpoint.operation)
}
