//! What the page tools do, over the debugging protocol.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::chromium::Chromium;
use super::picture;

const CALL_LIMIT: Duration = Duration::from_secs(30);
/// How long a page may load before the answer says that it still does.
const LOAD_LIMIT: Duration = Duration::from_secs(30);

/// A picture to take.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shot {
    /// The page; `None`: the first one.
    pub(crate) page_id: Option<String>,
    pub(crate) full_page: bool,
    /// From 0 to 100.
    pub(crate) quality: u64,
    /// `x`, `y`, `width`, `height`.
    pub(crate) clip: Option<Value>,
    pub(crate) limit: Duration,
}

/// A picture of what a browser shows.
#[derive(Debug)]
pub(crate) struct View {
    /// In pixels of the picture.
    pub(crate) width: u64,
    pub(crate) height: u64,
    /// The file, in base64.
    pub(crate) data: String,
}

impl Chromium {
    /// Opens an address in the first page and waits until it has loaded.
    pub(crate) async fn navigate(&self, url: &str) -> Result<String, String> {
        let page = self.attach(None).await?;
        let outcome = self.open(&page, url).await;
        self.detach(&page).await;
        outcome
    }

    async fn open(&self, page: &str, url: &str) -> Result<String, String> {
        let mut events = self.cdp.events();
        self.call(page, "Page.enable", json!({})).await?;
        let answer = self.call(page, "Page.navigate", json!({ "url": url })).await?;
        if let Some(error) = answer.get("errorText").and_then(Value::as_str).filter(|error| !error.is_empty()) {
            return Err(format!("{error} at {url}"));
        }
        // Without a loader it was a jump inside the page.
        if answer.get("loaderId").is_none() {
            return Ok(format!("Navigated to {url}"));
        }
        let loaded = async {
            loop {
                match events.recv().await {
                    Ok(event) if is_loaded(&event, page) => return true,
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return false,
                    Ok(_) | Err(_) => {}
                }
            }
        };
        match tokio::time::timeout(LOAD_LIMIT, loaded).await {
            Ok(true) => Ok(format!("Navigated to {url}")),
            Ok(false) => Err("the browser has ended".to_owned()),
            Err(_) => Ok(format!("Navigated to {url}, which is still loading after {} s", LOAD_LIMIT.as_secs())),
        }
    }

    /// Takes a picture of a page: a JPEG file in base64.
    pub(crate) async fn screenshot(&self, shot: &Shot) -> Result<String, String> {
        let page = self.attach(shot.page_id.as_deref()).await?;
        let outcome = tokio::time::timeout(shot.limit, self.take(&page, shot)).await;
        self.detach(&page).await;
        outcome.unwrap_or_else(|_| Err(format!("the picture took longer than {} s", shot.limit.as_secs_f64())))
    }

    async fn take(&self, page: &str, shot: &Shot) -> Result<String, String> {
        let mut params = json!({ "format": "jpeg", "quality": shot.quality.min(100) });
        let clip = match &shot.clip {
            Some(clip) => Some(clip.clone()),
            None if shot.full_page => Some(self.whole_page(page).await?),
            None => None,
        };
        if let (Some(mut clip), Some(params)) = (clip, params.as_object_mut()) {
            if let Some(clip) = clip.as_object_mut() {
                clip.insert("scale".to_owned(), 1.into());
            }
            params.insert("clip".to_owned(), clip);
            params.insert("captureBeyondViewport".to_owned(), true.into());
        }
        self.capture(page, params).await
    }

    /// Takes a picture of the visible part of the first page, as `png` or `jpeg`.
    pub(crate) async fn view(&self, format: &str) -> Result<View, String> {
        let page = self.attach(None).await?;
        let outcome = self.take_view(&page, format).await;
        self.detach(&page).await;
        outcome
    }

    async fn take_view(&self, page: &str, format: &str) -> Result<View, String> {
        let data = self.capture(page, json!({ "format": format })).await?;
        let file = BASE64_STANDARD.decode(&data).map_err(|error| error.to_string())?;
        let (width, height) = picture::size(&file).ok_or_else(|| format!("the browser gave no {format} file"))?;
        Ok(View { width, height, data })
    }

    async fn capture(&self, page: &str, params: Value) -> Result<String, String> {
        let answer = self.call(page, "Page.captureScreenshot", params).await?;
        let data = answer.get("data").and_then(Value::as_str).filter(|data| !data.is_empty());
        data.map(str::to_owned).ok_or_else(|| "the browser gave no picture".to_owned())
    }

    async fn whole_page(&self, page: &str) -> Result<Value, String> {
        let metrics = self.call(page, "Page.getLayoutMetrics", json!({})).await?;
        let side = |name: &str| metrics.pointer(&format!("/cssContentSize/{name}")).and_then(Value::as_f64);
        let (width, height) = (side("width").unwrap_or(1.0).max(1.0), side("height").unwrap_or(1.0).max(1.0));
        Ok(json!({ "x": 0, "y": 0, "width": width, "height": height }))
    }

    /// The id of a connection to a page: the one named, else the first, else a new one.
    async fn attach(&self, page_id: Option<&str>) -> Result<String, String> {
        let targets = self.browser("Target.getTargets", json!({})).await?;
        let pages = targets.get("targetInfos").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter();
        let mut pages = pages.filter(|target| text(target, "type") == "page").map(|target| text(target, "targetId"));
        let target = match page_id {
            Some(id) => {
                pages.find(|page| *page == id).map(str::to_owned).ok_or_else(|| format!("there is no page {id}"))?
            }
            None => match pages.next() {
                Some(page) => page.to_owned(),
                None => {
                    let made = self.browser("Target.createTarget", json!({ "url": "about:blank" })).await?;
                    text(&made, "targetId").to_owned()
                }
            },
        };
        let attached = self.browser("Target.attachToTarget", json!({ "targetId": target, "flatten": true })).await?;
        Ok(text(&attached, "sessionId").to_owned())
    }

    async fn detach(&self, page: &str) {
        // A page that is gone needs it no more.
        let _ = self.browser("Target.detachFromTarget", json!({ "sessionId": page })).await;
    }

    async fn browser(&self, method: &str, params: Value) -> Result<Value, String> {
        self.cdp.call(None, method, params, CALL_LIMIT).await
    }

    async fn call(&self, page: &str, method: &str, params: Value) -> Result<Value, String> {
        self.cdp.call(Some(page), method, params, CALL_LIMIT).await
    }
}

fn is_loaded(event: &Value, page: &str) -> bool {
    text(event, "method") == "Page.loadEventFired" && text(event, "sessionId") == page
}

/// A text member; empty where there is none.
fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}
