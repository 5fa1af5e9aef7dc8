//! Sessions: create, look up, keep alive, release, list, labels, links.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Call, browser, context, kind, object_in_text, resource_url};
use crate::{
    app::Service,
    contexts::mount::{Mount, read_mounts},
    envelope::Answer,
    state::{DEFAULT_IDLE_TIMEOUT, EndReason, NewSession, Refusal, Session},
    tools::catalog,
};

/// The images that exist (docs/protocol.md, section Images).
const IMAGES: [&str; 5] =
    ["agb-code-space-1", "agb-code-space-2", "agb-browser-use-1", "agb-computer-use-1", "agb-computer-use-ubuntu-2204"];
/// Whose tools a custom image gets.
const IMAGE_OF_CUSTOM: &str = "agb-code-space-1";
/// The image whose sessions have a link to their browser.
const IMAGE_OF_BROWSER: &str = "agb-browser-use-1";
/// The image whose sessions have no link unless the options say so.
const IMAGE_WITHOUT_LINK: &str = "agb-computer-use-1";
/// Longer timeouts are cut to this; no session lives nearly as long.
const LONGEST_TIMEOUT_S: f64 = 1e9;
/// The page length of a list that asks for none.
const DEFAULT_PAGE: usize = 10;
/// The ports of a session that a link may lead to (docs/protocol.md, section Links).
const LINK_PORTS: std::ops::RangeInclusive<u16> = 30_100..=30_199;

pub(crate) async fn create(call: Call) -> Result<Answer, Answer> {
    let image_id = call.query("imageId").ok_or_else(|| Answer::invalid("imageId is required"))?;
    known_image(&call.service, image_id)?;
    let mounts = mounts(&call)?;
    let labels = match call.text("labels")? {
        Some(text) => object_in_text("labels", text)?,
        None => Map::new(),
    };
    let new = NewSession {
        image_id: image_id.to_owned(),
        idle_timeout: idle_timeout(call.member("timeout"))?,
        labels,
        has_link: call.service.link_url.unwrap_or(image_id != IMAGE_WITHOUT_LINK),
        mounts,
    };
    let session = call.service.sessions.create(new).map_err(refused)?;
    call.trace.note().session_id = Some(session.id.clone());
    context::mount(&call, &session).await?;
    let mut data = connection(&call.service, &session);
    data.insert("success".to_owned(), true.into());
    data.insert("errMsg".to_owned(), "".into());
    data.insert("taskId".to_owned(), "".into());
    data.insert("networkInterfaceIp".to_owned(), "".into());
    Ok(Answer::data(Value::Object(data)))
}

pub(crate) async fn get(call: Call) -> Result<Answer, Answer> {
    let in_use = call.use_session()?;
    let mut data = connection(&call.service, &in_use.session);
    data.insert("status".to_owned(), "RUNNING".into());
    Ok(Answer::data(Value::Object(data)))
}

/// Status only. Does not use the session: a client that polls it keeps nothing alive.
pub(crate) async fn info(call: Call) -> Result<Answer, Answer> {
    let id = call.session_id()?;
    let status = call.service.sessions.wire_status(id).ok_or_else(Answer::no_session)?;
    Ok(Answer::data(json!({"sessionId": id, "status": status})))
}

/// Releases and waits until the teardown is done.
pub(crate) async fn release(call: Call) -> Result<Answer, Answer> {
    let id = call.session_id()?;
    let released = call.service.sessions.release(id, EndReason::ApiCall).ok_or_else(Answer::no_session)?;
    released.finished().await;
    Ok(Answer::ok())
}

/// Only starts the release.
pub(crate) async fn release_async(call: Call) -> Result<Answer, Answer> {
    let id = call.session_id()?;
    call.service.sessions.release(id, EndReason::ApiCall).ok_or_else(Answer::no_session)?;
    Ok(Answer::ok())
}

pub(crate) async fn keep_alive(call: Call) -> Result<Answer, Answer> {
    call.use_session()?;
    Ok(Answer::ok())
}

pub(crate) async fn resource(call: Call) -> Result<Answer, Answer> {
    let in_use = call.use_session()?;
    let session = &in_use.session;
    Ok(Answer::data(json!({
        "sessionId": session.id,
        "resourceUrl": resource_url(&call.service, session),
        "desktopInfo": {
            "appId": session.app_instance_id,
            "authCode": call.service.request_ids.letters("", 24),
            "connectionProperties": "{}",
            "resourceId": session.resource_id,
            "resourceType": "AIAgent",
            "ticket": call.service.request_ids.letters("", 32),
        },
    })))
}

/// Does not use any session.
pub(crate) async fn list(call: Call) -> Result<Answer, Answer> {
    let limit =
        match call.query("maxResults") {
            None => DEFAULT_PAGE,
            Some(text) => text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| {
                Answer::invalid(format!("maxResults must be a whole number of at least 1, not {text}"))
            })?,
        };
    let before = match call.query("nextToken") {
        None => None,
        Some(token) => Some(page_of(token)?),
    };
    let filter = match call.query("labels") {
        Some(text) => object_in_text("labels", text)?,
        None => Map::new(),
    };
    let page = call.service.sessions.page(&filter, before, limit);
    let data = page.ids.iter().map(|id| json!({"sessionId": id, "sessionStatus": "RUNNING"})).collect();
    let next = page.next.map(|number| format!("page-{number}")).unwrap_or_default();
    Ok(Answer::page(data, next, limit, page.count))
}

fn page_of(token: &str) -> Result<u64, Answer> {
    token
        .strip_prefix("page-")
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Answer::invalid(format!("nextToken {token} is not one that a list gave")))
}

/// Replaces all labels of a session.
pub(crate) async fn set_label(call: Call) -> Result<Answer, Answer> {
    let in_use = call.use_session()?;
    let text = call.query("Labels").ok_or_else(|| Answer::invalid("Labels is required"))?;
    call.service.sessions.set_labels(&in_use.session.id, object_in_text("Labels", text)?);
    Ok(Answer::ok())
}

pub(crate) async fn get_label(call: Call) -> Result<Answer, Answer> {
    let in_use = call.use_session()?;
    let labels = call.service.sessions.labels(&in_use.session.id).ok_or_else(Answer::no_session)?;
    let count = labels.len();
    Ok(Answer::data(json!({"labels": Value::Object(labels).to_string(), "count": count, "nextToken": ""})))
}

/// A link to a port of the session. The emulator has no TLS: the link is the plain twin of what was asked for (`http`
/// for `https`, `ws` for `wss`) and leads straight to the port on this machine, which sessions share with it.
pub(crate) async fn link(call: Call) -> Result<Answer, Answer> {
    let in_use = call.use_session()?;
    let protocol = call.query("protocolType");
    let Some(port) = call.query("port") else {
        return link_without_port(&call.service, &in_use.session, protocol).await;
    };
    let scheme = match protocol {
        None | Some("https") => "http",
        Some("wss") => "ws",
        Some(other) => return Err(Answer::invalid(format!("No enum constant ProtocolTypeEnum.{other}"))),
    };
    let port = port.parse().ok().filter(|port| LINK_PORTS.contains(port)).ok_or_else(|| {
        let (first, last) = (LINK_PORTS.start(), LINK_PORTS.end());
        Answer::invalid(format!("port is not valid: {port}; it must be from {first} to {last}"))
    })?;
    Ok(Answer::data(json!({"url": format!("{scheme}://127.0.0.1:{port}/")})))
}

/// Without protocol and port, the link of a browser image leads to its browser.
async fn link_without_port(service: &Service, session: &Session, protocol: Option<&str>) -> Result<Answer, Answer> {
    if protocol.is_some() {
        return Err(Answer::invalid("port is not valid: null"));
    }
    let image_id = &session.image_id;
    if image_id != IMAGE_OF_BROWSER {
        let problem = format!("only BrowserUse images have a default CDP link, and {image_id} is none: give a port");
        return Err(Answer::invalid(problem));
    }
    browser::link(service, session).await
}

/// What an image offers. Names no session, so it uses none.
pub(crate) async fn list_tools(call: Call) -> Result<Answer, Answer> {
    let image_id = call.query("imageId").ok_or_else(|| Answer::invalid("imageId is required"))?;
    known_image(&call.service, image_id)?;
    Ok(Answer::data(tool_list(image_id).into()))
}

/// The image whose tools an image has.
pub(crate) fn tools_image(image_id: &str) -> &str {
    if IMAGES.contains(&image_id) { image_id } else { IMAGE_OF_CUSTOM }
}

fn tool_list(image_id: &str) -> String {
    Value::Array(catalog::tools_of_image(tools_image(image_id))).to_string()
}

fn known_image(service: &Service, image_id: &str) -> Result<(), Answer> {
    if IMAGES.contains(&image_id) || service.images.iter().any(|image| image == image_id) {
        return Ok(());
    }
    Err(Answer::invalid(format!("Invalid image_id: {image_id}; this emulator has {}", IMAGES.join(", "))))
}

/// The contexts that a new session mounts, all of which must exist.
fn mounts(call: &Call) -> Result<Vec<Mount>, Answer> {
    let mounts = match call.member("persistenceDataList") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => read_mounts(list).map_err(Answer::invalid)?,
        Some(other) => {
            return Err(Answer::invalid(format!("persistenceDataList must be an array, not {}", kind(other))));
        }
    };
    let contexts = &call.service.sessions.contexts;
    match mounts.iter().find(|mount| contexts.by_id(&mount.context_id).is_none()) {
        Some(mount) => Err(context::unknown(&mount.context_id)),
        None => Ok(mounts),
    }
}

fn idle_timeout(value: Option<&Value>) -> Result<Duration, Answer> {
    let Some(value) = value else { return Ok(DEFAULT_IDLE_TIMEOUT) };
    let seconds = value
        .as_f64()
        .ok_or_else(|| Answer::invalid(format!("timeout must be a number of seconds, not {}", kind(value))))?;
    if seconds <= 0.0 {
        return Ok(DEFAULT_IDLE_TIMEOUT);
    }
    Ok(Duration::from_secs_f64(seconds.min(LONGEST_TIMEOUT_S)))
}

fn refused(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::TooMany { limit } => Answer::failure(
            StatusCode::BAD_REQUEST,
            "QuotaExceeded",
            format!("quota exceeded: the resource limits allow {limit} sessions at once; release one first"),
        ),
        Refusal::Closing => Answer::closing(),
    }
}

/// What creation and lookup both answer: how to reach the session.
///
/// `wsUrl` is always there, as on the service.
fn connection(service: &Service, session: &Session) -> Map<String, Value> {
    let (base, id) = (&service.base_url, &session.id);
    let link_url = if session.has_link { format!("{base}/link/{id}") } else { String::new() };
    let ws_url = format!("{}/ws/{id}", base.replacen("http", "ws", 1));
    let members = [
        ("sessionId", id.clone()),
        ("appInstanceId", session.app_instance_id.clone()),
        ("resourceId", session.resource_id.clone()),
        ("resourceUrl", resource_url(service, session)),
        ("linkUrl", link_url),
        ("wsUrl", ws_url),
        ("token", session.token.reveal().to_owned()),
        ("toolList", tool_list(&session.image_id)),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_timeouts_are_seconds_with_300_for_none_and_for_nothing_positive() {
        let of = |value: Value| idle_timeout(Some(&value));
        assert_eq!(idle_timeout(None), Ok(Duration::from_secs(300)));
        assert_eq!(of(json!(0)), Ok(Duration::from_secs(300)));
        assert_eq!(of(json!(-5)), Ok(Duration::from_secs(300)));
        assert_eq!(of(json!(60)), Ok(Duration::from_secs(60)));
        assert_eq!(of(json!(7200)), Ok(Duration::from_secs(7200)));
        assert_eq!(of(json!(1e300)), Ok(Duration::from_secs(1_000_000_000)));
        assert!(of(json!("60")).is_err());
        assert!(of(json!([60])).is_err());
    }
}
