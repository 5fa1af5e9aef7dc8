//! Windows, processes and applications: lists whose items go to the caller as the service sent them.

use serde_json::{Map, Value};

use super::super::loose_json::parse;
use super::super::{Wording, time_limit};
use super::{call, misread};
use crate::error::Result;
use crate::tool::{CallTool, ToolArgs, ToolLimits, ToolReply};
use crate::wire::js::number;

/// Request id and items of a list.
pub type Items = (String, Vec<Value>);

/// The windows of the desktop. The service looks for them for at most `timeout_ms` milliseconds.
///
/// # Errors
///
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a limit that isn't a positive, finite number, before
/// anything is sent; else the failure of the call, or [`Protocol`](crate::ErrorKind::Protocol) for an answer that is no
/// JSON.
pub async fn list_root_windows<T: CallTool>(tools: &T, timeout_ms: f64) -> Result<Items> {
    const TOOL: &str = "list_root_windows";
    const WORDING: Wording = Wording::same("Failed to list root windows");
    let work = time_limit(TOOL, "timeout", timeout_ms, "milliseconds", 1000.0)?;
    let mut args = ToolArgs::new();
    args.insert("timeout_ms".into(), number(timeout_ms));
    let limits = ToolLimits { work: Some(work), ..ToolLimits::default() };
    let reply = tools.call_tool(TOOL, args, limits).await.map_err(|error| WORDING.explain(error))?;
    items(TOOL, reply, "Failed to parse windows JSON")
}

/// The window that has the keyboard: request id, and the window where the answer names one.
///
/// # Errors
///
/// The failure of the call.
pub async fn active_window<T: CallTool>(tools: &T) -> Result<(String, Option<Map<String, Value>>)> {
    const WORDING: Wording = Wording::same("Failed to get active window");
    let reply = call(tools, "get_active_window", ToolArgs::new(), WORDING).await?;
    let window = match parse(reply.text.as_deref().unwrap_or_default()) {
        Some(Value::Object(window)) => Some(window),
        _ => None,
    };
    Ok((reply.request_id, window))
}

/// Starts an application; its processes. Empty `work_directory` and `activity` mean none.
///
/// # Errors
///
/// The failure of the call; [`Protocol`](crate::ErrorKind::Protocol) for an answer that is no JSON.
pub async fn app_start<T: CallTool>(tools: &T, command: &str, work_directory: &str, activity: &str) -> Result<Items> {
    const TOOL: &str = "start_app";
    let mut args = ToolArgs::new();
    args.insert("start_cmd".into(), command.into());
    for (name, value) in [("work_directory", work_directory), ("activity", activity)] {
        if !value.is_empty() {
            args.insert(name.into(), value.into());
        }
    }
    let reply = call(tools, TOOL, args, Wording::same("Failed to start app")).await?;
    items(TOOL, reply, "Failed to parse processes JSON")
}

/// The applications that can be started: those of the start menu, and those on the desktop.
///
/// # Errors
///
/// As of [`app_start`].
pub async fn installed_apps<T: CallTool>(
    tools: &T,
    start_menu: bool,
    desktop: bool,
    ignore_system_apps: bool,
) -> Result<Items> {
    const TOOL: &str = "get_installed_apps";
    let mut args = ToolArgs::new();
    args.insert("start_menu".into(), start_menu.into());
    args.insert("desktop".into(), desktop.into());
    // The service's own clients disagree on the spelling, and nobody knows which of the two it reads.
    args.insert("ignore_system_app".into(), ignore_system_apps.into());
    args.insert("ignore_system_apps".into(), ignore_system_apps.into());
    let reply = call(tools, TOOL, args, Wording::same("Failed to get installed apps")).await?;
    items(TOOL, reply, "Failed to parse applications JSON")
}

/// The processes that show a window.
///
/// # Errors
///
/// As of [`app_start`].
pub async fn visible_apps<T: CallTool>(tools: &T) -> Result<Items> {
    const TOOL: &str = "list_visible_apps";
    let reply = call(tools, TOOL, ToolArgs::new(), Wording::same("Failed to list visible apps")).await?;
    items(TOOL, reply, "Failed to parse visible apps JSON")
}

/// The objects of a list. An item may be JSON text of an object; what is neither becomes an empty object, and what is no
/// list has no items.
fn items(tool: &'static str, reply: ToolReply, words: &str) -> Result<Items> {
    let text = reply.text.as_deref().unwrap_or_default();
    if text.trim().is_empty() {
        return Ok((reply.request_id, Vec::new()));
    }
    let Some(answer) = parse(text) else {
        let reason = serde_json::from_str::<Value>(text).err().map(|error| error.to_string()).unwrap_or_default();
        return Err(misread(tool, &reply, format!("{words}: {reason}")));
    };
    let items = match answer {
        Value::Array(items) => items.into_iter().map(item).collect(),
        _ => Vec::new(),
    };
    Ok((reply.request_id, items))
}

fn item(value: Value) -> Value {
    let value = match value {
        Value::String(text) => parse(&text).unwrap_or_default(),
        other => other,
    };
    if value.is_object() { value } else { Value::Object(Map::new()) }
}
