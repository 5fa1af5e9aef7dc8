//! The desktop of a session: mouse, keyboard, windows, applications, screen.
//!
//! Every argument is checked before anything is sent, because the service's answer to a button or a size that doesn't
//! exist isn't defined. Source of tools and answers: docs/protocol.md, section "Desktop".

mod lists;
mod screenshot;

use serde_json::Value;

pub use self::lists::{Items, active_window, app_start, installed_apps, list_root_windows, visible_apps};
pub use self::screenshot::{Screenshot, take_screenshot};
use super::Wording;
use super::loose_json::{number_of, parse};
use crate::error::{Error, ErrorKind, Result};
use crate::tool::{CallTool, ToolArgs, ToolLimits, ToolReply};
use crate::wire::js::number;

/// The buttons of a mouse; the last is a double click.
pub const MOUSE_BUTTONS: [&str; 4] = ["left", "right", "middle", "double_left"];
/// The directions to scroll to.
pub const SCROLL_DIRECTIONS: [&str; 4] = ["up", "down", "left", "right"];
/// A double click can't be held while the mouse moves.
const DRAG_BUTTONS: &[&str] = &["left", "right", "middle"];

/// The scale of a screen that says none.
const USUAL_SCALE: f64 = 1.0;

/// Where the mouse is.
#[derive(Debug, Clone, PartialEq)]
pub struct CursorPosition {
    /// The service's request id.
    pub request_id: String,
    /// Pixels from the left.
    pub x: f64,
    /// Pixels from the top.
    pub y: f64,
}

/// How large the screen is.
#[derive(Debug, Clone, PartialEq)]
pub struct ScreenSize {
    /// The service's request id.
    pub request_id: String,
    /// Pixels.
    pub width: f64,
    /// Pixels.
    pub height: f64,
    /// Physical pixels per logical pixel; 1 where the service says nothing.
    pub dpi_scaling_factor: f64,
}

/// Request id and answer of a tool that says whether it did what it was asked.
pub type Flag = (String, bool);

// ---- mouse

/// Clicks at a place.
///
/// # Errors
///
/// [`InvalidArgument`](ErrorKind::InvalidArgument) for a coordinate that isn't finite or an unknown button, before
/// anything is sent; else the failure of the call.
pub async fn click<T: CallTool>(tools: &T, x: f64, y: f64, button: &str) -> Result<Flag> {
    const TOOL: &str = "click_mouse";
    let mut args = place(TOOL, x, y)?;
    args.insert("button".into(), one_of(TOOL, "button", button, &MOUSE_BUTTONS)?);
    flag(tools, TOOL, args, Wording::same("Failed to click mouse")).await
}

/// Moves the mouse.
///
/// # Errors
///
/// As of [`click`].
pub async fn move_mouse<T: CallTool>(tools: &T, x: f64, y: f64) -> Result<Flag> {
    const TOOL: &str = "move_mouse";
    flag(tools, TOOL, place(TOOL, x, y)?, Wording::same("Failed to move mouse")).await
}

/// Moves the mouse from one place to another while a button is down.
///
/// # Errors
///
/// As of [`click`]; `double_left` is refused, too.
pub async fn drag<T: CallTool>(tools: &T, from: (f64, f64), to: (f64, f64), button: &str) -> Result<Flag> {
    const TOOL: &str = "drag_mouse";
    let mut args = ToolArgs::new();
    for (name, value) in [("from_x", from.0), ("from_y", from.1), ("to_x", to.0), ("to_y", to.1)] {
        args.insert(name.into(), coordinate(TOOL, name, value)?);
    }
    args.insert("button".into(), one_of(TOOL, "button", button, DRAG_BUTTONS)?);
    flag(tools, TOOL, args, Wording::same("Failed to drag mouse")).await
}

/// Turns the wheel at a place; `amount` counts its steps.
///
/// # Errors
///
/// As of [`click`]; also for an unknown direction, and an amount that isn't a whole number of at least 1.
pub async fn scroll<T: CallTool>(tools: &T, x: f64, y: f64, direction: &str, amount: f64) -> Result<Flag> {
    const TOOL: &str = "scroll";
    let mut args = place(TOOL, x, y)?;
    args.insert("direction".into(), one_of(TOOL, "direction", direction, &SCROLL_DIRECTIONS)?);
    args.insert("amount".into(), whole(TOOL, "amount", amount, 1.0)?);
    flag(tools, TOOL, args, Wording::same("Failed to scroll")).await
}

/// Where the mouse is.
///
/// # Errors
///
/// The failure of the call; [`Protocol`](ErrorKind::Protocol) for an answer that names no place.
pub async fn cursor_position<T: CallTool>(tools: &T) -> Result<CursorPosition> {
    const TOOL: &str = "get_cursor_position";
    let reply = call(tools, TOOL, ToolArgs::new(), Wording::same("Failed to get cursor position")).await?;
    let answer = parse(reply.text.as_deref().unwrap_or_default());
    let member = |name: &str| answer.as_ref().and_then(|answer| answer.get(name)).and_then(number_of);
    match (member("x"), member("y")) {
        (Some(x), Some(y)) => Ok(CursorPosition { request_id: reply.request_id, x, y }),
        _ => Err(misread(TOOL, &reply, "Failed to get cursor position: the answer has no numbers x and y")),
    }
}

// ---- keyboard

/// Types a text where the keyboard's focus is.
///
/// # Errors
///
/// The failure of the call.
pub async fn type_text<T: CallTool>(tools: &T, text: &str) -> Result<Flag> {
    let mut args = ToolArgs::new();
    args.insert("text".into(), text.into());
    flag(tools, "input_text", args, Wording::same("Failed to input text")).await
}

/// Presses keys together, and lets go of them unless `hold` says that they stay down.
///
/// # Errors
///
/// [`InvalidArgument`](ErrorKind::InvalidArgument) for no key at all, before anything is sent; else the failure of the
/// call.
pub async fn press<T: CallTool>(tools: &T, keys: &[String], hold: bool) -> Result<Flag> {
    const TOOL: &str = "press_keys";
    let mut args = keys_args(TOOL, keys)?;
    args.insert("hold".into(), hold.into());
    flag(tools, TOOL, args, Wording::same("Failed to press keys")).await
}

/// Lets go of keys.
///
/// # Errors
///
/// As of [`press`].
pub async fn release<T: CallTool>(tools: &T, keys: &[String]) -> Result<Flag> {
    const TOOL: &str = "release_keys";
    flag(tools, TOOL, keys_args(TOOL, keys)?, Wording::same("Failed to release keys")).await
}

// ---- windows

/// What a window is asked for by its number alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowAction {
    /// Bring it to the front and give it the keyboard.
    Activate,
    /// Close it.
    Close,
    /// Fill the screen but for its panels.
    Maximize,
    /// Put it away.
    Minimize,
    /// Back to its own size and place.
    Restore,
    /// Fill the whole screen.
    Fullscreen,
}

impl WindowAction {
    fn tool(self) -> &'static str {
        match self {
            Self::Activate => "activate_window",
            Self::Close => "close_window",
            Self::Maximize => "maximize_window",
            Self::Minimize => "minimize_window",
            Self::Restore => "restore_window",
            Self::Fullscreen => "fullscreen_window",
        }
    }

    fn wording(self) -> Wording {
        Wording::same(match self {
            Self::Activate => "Failed to activate window",
            Self::Close => "Failed to close window",
            Self::Maximize => "Failed to maximize window",
            Self::Minimize => "Failed to minimize window",
            Self::Restore => "Failed to restore window",
            Self::Fullscreen => "Failed to fullscreen window",
        })
    }
}

/// Asks a window for something.
///
/// # Errors
///
/// [`InvalidArgument`](ErrorKind::InvalidArgument) for a number that no window has (not whole, or negative), before
/// anything is sent; else the failure of the call.
pub async fn change_window<T: CallTool>(tools: &T, action: WindowAction, window_id: f64) -> Result<Flag> {
    let args = window_args(action.tool(), window_id)?;
    flag(tools, action.tool(), args, action.wording()).await
}

/// Gives a window another size, in pixels.
///
/// # Errors
///
/// As of [`change_window`]; also for a size that isn't a whole number of at least 1.
pub async fn resize_window<T: CallTool>(tools: &T, window_id: f64, width: f64, height: f64) -> Result<Flag> {
    const TOOL: &str = "resize_window";
    let mut args = window_args(TOOL, window_id)?;
    args.insert("width".into(), whole(TOOL, "width", width, 1.0)?);
    args.insert("height".into(), whole(TOOL, "height", height, 1.0)?);
    flag(tools, TOOL, args, Wording::same("Failed to resize window")).await
}

/// Keeps other windows from taking the focus, or lets them again.
///
/// # Errors
///
/// The failure of the call.
pub async fn focus_mode<T: CallTool>(tools: &T, on: bool) -> Result<Flag> {
    let mut args = ToolArgs::new();
    args.insert("on".into(), on.into());
    flag(tools, "focus_mode", args, Wording::same("Failed to toggle focus mode")).await
}

// ---- applications

/// Ends applications by the name of their processes; the request id.
///
/// # Errors
///
/// The failure of the call.
pub async fn app_stop_by_name<T: CallTool>(tools: &T, process_name: &str) -> Result<String> {
    let mut args = ToolArgs::new();
    args.insert("pname".into(), process_name.into());
    stop(tools, "stop_app_by_pname", args, "Failed to stop app by pname").await
}

/// Ends an application by the number of a process; the request id.
///
/// # Errors
///
/// [`InvalidArgument`](ErrorKind::InvalidArgument) for a number that isn't whole and at least 1, before anything is
/// sent; else the failure of the call.
pub async fn app_stop_by_pid<T: CallTool>(tools: &T, pid: f64) -> Result<String> {
    const TOOL: &str = "stop_app_by_pid";
    let mut args = ToolArgs::new();
    args.insert("pid".into(), whole(TOOL, "pid", pid, 1.0)?);
    stop(tools, TOOL, args, "Failed to stop app by pid").await
}

/// Ends an application by a command that does it; the request id.
///
/// # Errors
///
/// The failure of the call.
pub async fn app_stop_by_command<T: CallTool>(tools: &T, stop_command: &str) -> Result<String> {
    let mut args = ToolArgs::new();
    args.insert("stop_cmd".into(), stop_command.into());
    stop(tools, "stop_app_by_cmd", args, "Failed to stop app by cmd").await
}

async fn stop<T: CallTool>(tools: &T, tool: &'static str, args: ToolArgs, words: &'static str) -> Result<String> {
    // What the tool says beyond having done it differs from service to service, and nobody reads it.
    call(tools, tool, args, Wording::same(words)).await.map(|reply| reply.request_id)
}

// ---- screen

/// Takes a picture that the service puts into its storage: request id and URL. For sessions without a link.
///
/// # Errors
///
/// The failure of the call; [`Protocol`](ErrorKind::Protocol) for an answer without a URL.
pub async fn capture<T: CallTool>(tools: &T) -> Result<(String, String)> {
    const TOOL: &str = "system_screenshot";
    const WORDING: Wording = Wording::same("Failed to capture screen");
    let reply = call(tools, TOOL, ToolArgs::new(), WORDING).await?;
    match reply.text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Some(url) => Ok((reply.request_id.clone(), url.to_owned())),
        None => Err(misread(TOOL, &reply, "Failed to capture screen: the answer is empty")),
    }
}

/// How large the screen is.
///
/// # Errors
///
/// The failure of the call; [`Protocol`](ErrorKind::Protocol) for an answer that names no size.
pub async fn screen_size<T: CallTool>(tools: &T) -> Result<ScreenSize> {
    const TOOL: &str = "get_screen_size";
    let reply = call(tools, TOOL, ToolArgs::new(), Wording::same("Failed to get screen size")).await?;
    let answer = parse(reply.text.as_deref().unwrap_or_default());
    let member = |name: &str| answer.as_ref().and_then(|answer| answer.get(name)).and_then(number_of);
    let (Some(width), Some(height)) = (member("width"), member("height")) else {
        return Err(misread(TOOL, &reply, "Failed to get screen size: the answer has no numbers width and height"));
    };
    let scale = member("dpiScalingFactor").or_else(|| member("dpi_scaling_factor"));
    Ok(ScreenSize { request_id: reply.request_id, width, height, dpi_scaling_factor: scale.unwrap_or(USUAL_SCALE) })
}

// ---- what all of them share

async fn call<T: CallTool>(tools: &T, tool: &'static str, args: ToolArgs, wording: Wording) -> Result<ToolReply> {
    tools.call_tool(tool, args, ToolLimits::default()).await.map_err(|error| wording.explain(error))
}

/// A tool whose text is `true` or `false`.
async fn flag<T: CallTool>(tools: &T, tool: &'static str, args: ToolArgs, wording: Wording) -> Result<Flag> {
    let reply = call(tools, tool, args, wording).await?;
    let text = reply.text.as_deref().unwrap_or_default().trim();
    if text.eq_ignore_ascii_case("true") {
        return Ok((reply.request_id, true));
    }
    if text.eq_ignore_ascii_case("false") {
        return Ok((reply.request_id, false));
    }
    let said: String = text.chars().take(80).collect();
    let words = format!("{}: the answer is neither true nor false: {said:?}", wording.default);
    Err(misread(tool, &reply, words))
}

/// A success that says something else than it promised.
fn misread(tool: &'static str, reply: &ToolReply, words: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, words).with_operation(tool).with_request_id(&reply.request_id).with_attempts(1)
}

fn refuse(tool: &'static str, words: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, words).with_operation(tool)
}

fn place(tool: &'static str, x: f64, y: f64) -> Result<ToolArgs> {
    let mut args = ToolArgs::new();
    args.insert("x".into(), coordinate(tool, "x", x)?);
    args.insert("y".into(), coordinate(tool, "y", y)?);
    Ok(args)
}

fn coordinate(tool: &'static str, name: &str, value: f64) -> Result<Value> {
    if !value.is_finite() {
        return Err(refuse(tool, format!("Invalid {name}: {value}. Must be a finite number of pixels")));
    }
    Ok(number(value))
}

fn whole(tool: &'static str, name: &str, value: f64, least: f64) -> Result<Value> {
    if !value.is_finite() || value.fract() != 0.0 || value < least {
        return Err(refuse(tool, format!("Invalid {name}: {value}. Must be a whole number of at least {least}")));
    }
    Ok(number(value))
}

fn one_of(tool: &'static str, name: &str, value: &str, allowed: &[&str]) -> Result<Value> {
    if allowed.contains(&value) {
        return Ok(value.into());
    }
    let allowed: Vec<String> = allowed.iter().map(|word| format!("'{word}'")).collect();
    Err(refuse(tool, format!("Invalid {name} '{value}'. Must be one of [{}]", allowed.join(", "))))
}

fn keys_args(tool: &'static str, keys: &[String]) -> Result<ToolArgs> {
    if keys.is_empty() || keys.iter().any(String::is_empty) {
        return Err(refuse(tool, "Invalid keys: there must be at least one, and none may be empty".to_owned()));
    }
    let mut args = ToolArgs::new();
    args.insert("keys".into(), keys.into());
    Ok(args)
}

fn window_args(tool: &'static str, window_id: f64) -> Result<ToolArgs> {
    let mut args = ToolArgs::new();
    args.insert("window_id".into(), whole(tool, "window_id", window_id, 0.0)?);
    Ok(args)
}

#[cfg(test)]
mod tests;
