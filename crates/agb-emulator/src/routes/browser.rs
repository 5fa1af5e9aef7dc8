//! Starting a session's browser, and the address at which clients reach it.

use axum::http::StatusCode;
use serde_json::{Map, json};

use super::{Call, cdp, object_in_text, session::tools_image};
use crate::{app::Service, browser::NoBrowser, envelope::Answer, state::Session, tools::catalog};

/// Where clients mount the context of a browser's data (docs/protocol.md, section "Mounts").
const DATA: &str = "/tmp/agb_browser_data";

/// Starts the browser; one that runs already stays as it is.
pub(crate) async fn init(call: Call) -> Result<Answer, Answer> {
    let in_use = call.use_session()?;
    let option = match call.query("browserOption") {
        None => Map::new(),
        Some(text) => object_in_text("browserOption", text)?,
    };
    let session = &in_use.session;
    let image = tools_image(&session.image_id);
    if !catalog::knows(image, "stopChrome") {
        return Err(Answer::invalid(format!("image {image} has no browser; try agb-browser-use-1")));
    }
    let mounted = session.contexts.mounts.iter().map(|mount| mount.place.as_str()).find(|place| *place == DATA);
    let port = session.browser.start(&option, mounted).await.map_err(refusal)?;
    Ok(Answer::data(json!({ "port": port })))
}

/// Where the running browser is reached by the debugging protocol.
pub(crate) async fn cdp_link(call: Call) -> Result<Answer, Answer> {
    let in_use = call.use_session()?;
    link(&call.service, &in_use.session).await
}

/// The address of a session's browser, if one is running.
pub(super) async fn link(service: &Service, session: &Session) -> Result<Answer, Answer> {
    let chromium = session.browser.running().await.map_err(refusal)?;
    Ok(Answer::data(json!({ "url": cdp::url(service, session, chromium.token()) })))
}

pub(super) fn refusal(reason: NoBrowser) -> Answer {
    match &reason {
        NoBrowser::Missing(_) => Answer::not_here(reason.to_string()),
        NoBrowser::Stopped | NoBrowser::Ended => {
            Answer::failure(StatusCode::BAD_REQUEST, "InvalidAction.NotFound", reason.to_string())
        }
        NoBrowser::Failed(_) => {
            Answer::failure(StatusCode::INTERNAL_SERVER_ERROR, "BrowserNotStarted", reason.to_string())
        }
    }
}
