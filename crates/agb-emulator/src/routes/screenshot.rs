//! Pictures of the screen that a tool answered as URLs.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::app::Service;

/// The file, for everybody who has its URL.
pub(crate) async fn get(State(service): State<Arc<Service>>, Path(name): Path<String>) -> Response {
    match service.sessions.screenshots.find(&name) {
        Some(png) => ([(header::CONTENT_TYPE, "image/png")], png.as_ref().clone()).into_response(),
        None => (StatusCode::NOT_FOUND, "this screenshot is not there, or not any more").into_response(),
    }
}
