//! The tools `page_use_*` and `stopChrome` (docs/protocol.md, section Tools).

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{ToolArgs, ToolLimits, ToolOutput, computer, read_time};
use crate::browser::{AgentTool, SessionBrowser, Shot};

const DEFAULT_QUALITY: u64 = 80;
const DEFAULT_SHOT_MS: f64 = 30_000.0;

/// Runs a browser tool; `None`: it is none.
pub(crate) async fn call(
    browser: &Arc<SessionBrowser>,
    name: &str,
    args: &ToolArgs,
    limits: &ToolLimits,
) -> Option<ToolOutput> {
    Some(match name {
        "stopChrome" => stop(browser).await,
        "page_use_navigate" => output(navigate(browser, args).await),
        "page_use_screenshot" => output(screenshot(browser, args, limits).await),
        "page_use_close_session" => ToolOutput::ok("Session closed"),
        "page_use_act" => browser.browsers.script.call(AgentTool::Act, text(args, "action")),
        "page_use_act_async" => start(browser, AgentTool::Act, text(args, "action")),
        "page_use_get_act_result" => browser.tasks.look(AgentTool::Act, text(args, "task_id")),
        "page_use_observe" => browser.browsers.script.call(AgentTool::Observe, text(args, "instruction")),
        "page_use_observe_async" => start(browser, AgentTool::Observe, text(args, "instruction")),
        "page_use_get_observe_result" => browser.tasks.look(AgentTool::Observe, text(args, "task_id")),
        "page_use_extract" => browser.browsers.script.call(AgentTool::Extract, text(args, "instruction")),
        "page_use_extract_async" => start(browser, AgentTool::Extract, text(args, "instruction")),
        "page_use_get_extract_result" => browser.tasks.look(AgentTool::Extract, text(args, "task_id")),
        _ => return None,
    })
}

async fn stop(browser: &Arc<SessionBrowser>) -> ToolOutput {
    ToolOutput::ok(if browser.stop().await { "The browser was stopped" } else { "No browser was running" })
}

fn start(browser: &SessionBrowser, tool: AgentTool, words: &str) -> ToolOutput {
    browser.tasks.start(&browser.browsers.script, tool, words)
}

async fn navigate(browser: &SessionBrowser, args: &ToolArgs) -> Result<String, String> {
    let chromium = browser.running().await.map_err(|reason| reason.to_string())?;
    chromium.navigate(text(args, "url")).await
}

async fn screenshot(browser: &SessionBrowser, args: &ToolArgs, limits: &ToolLimits) -> Result<String, String> {
    let shot = read_shot(args, limits.time)?;
    let chromium = browser.running().await.map_err(|reason| reason.to_string())?;
    chromium.screenshot(&shot).await
}

/// The answer of `screenshot` on images without a desktop: what the browser shows.
pub(super) async fn view(browser: &Arc<SessionBrowser>, args: &ToolArgs) -> ToolOutput {
    let format = args.get("format").and_then(Value::as_str).unwrap_or("png");
    let view = browser.view(format).await;
    output(view.map(|view| computer::described(format, view.width, view.height, &view.data)))
}

fn read_shot(args: &ToolArgs, longest: Duration) -> Result<Shot, String> {
    Ok(Shot {
        page_id: args.get("page_id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned),
        full_page: args.get("full_page").and_then(Value::as_bool).unwrap_or(true),
        quality: args.get("quality").and_then(Value::as_f64).map_or(DEFAULT_QUALITY, |quality| quality as u64),
        clip: args.get("clip").filter(|clip| clip.is_object()).cloned(),
        limit: read_time(args, "timeout", DEFAULT_SHOT_MS, 1_000.0)?.min(longest),
    })
}

fn output(outcome: Result<String, String>) -> ToolOutput {
    outcome.map_or_else(ToolOutput::error, ToolOutput::ok)
}

/// A text argument, which the catalogue has checked; empty where it is optional and absent.
fn text<'a>(args: &'a ToolArgs, name: &str) -> &'a str {
    args.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn shot(args: Value) -> Result<Shot, String> {
        read_shot(args.as_object().unwrap(), MINUTE)
    }

    #[test]
    fn a_picture_shows_the_whole_page_unless_it_says_otherwise() {
        let plain = shot(json!({"context_id": 0})).unwrap();
        let limit = Duration::from_secs(30);
        assert_eq!(plain, Shot { page_id: None, full_page: true, quality: 80, clip: None, limit });
        let clip = json!({"x": 0, "y": 0, "width": 1, "height": 1});
        let all = json!({"page_id": "P", "full_page": false, "quality": 12.0, "clip": clip, "timeout": 1e9});
        assert_eq!(
            shot(all).unwrap(),
            Shot { page_id: Some("P".into()), full_page: false, quality: 12, clip: Some(clip), limit: MINUTE }
        );
        assert!(shot(json!({"timeout": 0})).is_err());
    }
}
