//! The tools of a desktop: mouse, keyboard, windows, applications, screen (docs/protocol.md, section Desktop).
//!
//! ```text
//! mod.rs      reads the arguments, writes the answers
//! desktop.rs  the X server and window manager of a session, started at the first use
//! input.rs    mouse and keyboard      windows.rs  apps.rs  screen.rs
//! ```

mod apps;
mod desktop;
mod input;
mod screen;
mod windows;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use self::desktop::DesktopSlot;
use self::desktop::{Desktop, HEIGHT, WIDTH};
use self::input::Place;
pub(crate) use self::screen::{Screenshots, described};
use super::{ToolArgs, ToolOutput};
use crate::sandbox::Sandbox;

/// Where to look for windows, unless the caller says how long.
const LIST_LIMIT_MS: f64 = 3000.0;

/// Calls a tool of the desktop; `None`: there is none of this name. The arguments fit the tool's schema.
pub(crate) async fn call(
    sandbox: &Sandbox,
    screenshots: &Screenshots,
    name: &str,
    args: &ToolArgs,
) -> Option<ToolOutput> {
    let tool = Tool::of(name)?;
    let answer = match sandbox.desktop().get(sandbox).await {
        Ok(desktop) => tool.call(&desktop, screenshots, &Arguments(args)).await,
        Err(problem) => Err(problem),
    };
    Some(match answer {
        Ok(text) => ToolOutput::ok(text),
        Err(problem) if sandbox.is_released() => ToolOutput::error(format!("{}; {problem}", sandbox.released_error())),
        Err(problem) => ToolOutput::error(problem),
    })
}

#[derive(Debug, Clone, Copy)]
enum Tool {
    ClickMouse,
    MoveMouse,
    DragMouse,
    Scroll,
    CursorPosition,
    InputText,
    PressKeys,
    ReleaseKeys,
    ListWindows,
    ActiveWindow,
    ActivateWindow,
    CloseWindow,
    MaximizeWindow,
    MinimizeWindow,
    RestoreWindow,
    ResizeWindow,
    FullscreenWindow,
    FocusMode,
    StartApp,
    InstalledApps,
    VisibleApps,
    StopAppByName,
    StopAppByPid,
    StopAppByCommand,
    SystemScreenshot,
    ScreenSize,
    Screenshot,
}

impl Tool {
    fn of(name: &str) -> Option<Tool> {
        Some(match name {
            "click_mouse" => Tool::ClickMouse,
            "move_mouse" => Tool::MoveMouse,
            "drag_mouse" => Tool::DragMouse,
            "scroll" => Tool::Scroll,
            "get_cursor_position" => Tool::CursorPosition,
            "input_text" => Tool::InputText,
            "press_keys" => Tool::PressKeys,
            "release_keys" => Tool::ReleaseKeys,
            "list_root_windows" => Tool::ListWindows,
            "get_active_window" => Tool::ActiveWindow,
            "activate_window" => Tool::ActivateWindow,
            "close_window" => Tool::CloseWindow,
            "maximize_window" => Tool::MaximizeWindow,
            "minimize_window" => Tool::MinimizeWindow,
            "restore_window" => Tool::RestoreWindow,
            "resize_window" => Tool::ResizeWindow,
            "fullscreen_window" => Tool::FullscreenWindow,
            "focus_mode" => Tool::FocusMode,
            "start_app" => Tool::StartApp,
            "get_installed_apps" => Tool::InstalledApps,
            "list_visible_apps" => Tool::VisibleApps,
            "stop_app_by_pname" => Tool::StopAppByName,
            "stop_app_by_pid" => Tool::StopAppByPid,
            "stop_app_by_cmd" => Tool::StopAppByCommand,
            "system_screenshot" => Tool::SystemScreenshot,
            "get_screen_size" => Tool::ScreenSize,
            "screenshot" => Tool::Screenshot,
            _ => return None,
        })
    }

    async fn call(
        self,
        desktop: &Arc<Desktop>,
        screenshots: &Screenshots,
        args: &Arguments<'_>,
    ) -> Result<String, String> {
        match self {
            Tool::ClickMouse => done(input::click(desktop, args.place("x", "y")?, args.text("button", "left")).await),
            Tool::MoveMouse => done(input::move_to(desktop, args.place("x", "y")?).await),
            Tool::DragMouse => {
                let (from, to) = (args.place("from_x", "from_y")?, args.place("to_x", "to_y")?);
                done(input::drag(desktop, from, to, args.text("button", "left")).await)
            }
            Tool::Scroll => {
                let (at, amount) = (args.place("x", "y")?, args.whole("amount", 1)?);
                done(input::scroll(desktop, at, args.text("direction", "up"), amount).await)
            }
            Tool::CursorPosition => {
                let (x, y) = input::position(desktop).await?;
                Ok(json!({"x": x, "y": y}).to_string())
            }
            Tool::InputText => done(input::type_text(desktop, args.text("text", "")).await),
            Tool::PressKeys => done(input::press(desktop, &args.texts("keys")?, args.flag("hold", false)).await),
            Tool::ReleaseKeys => done(input::release(desktop, &args.texts("keys")?).await),
            Tool::ListWindows => {
                let limit = Duration::try_from_secs_f64(args.number("timeout_ms", LIST_LIMIT_MS) / 1000.0)
                    .map_err(|_| "timeout_ms must be a positive number".to_owned())?;
                let windows = tokio::time::timeout(limit, windows::list(desktop))
                    .await
                    .map_err(|_| format!("the windows were not listed within {} ms", limit.as_millis()))??;
                Ok(Value::from_iter(windows.iter().map(windows::Window::to_json)).to_string())
            }
            Tool::ActiveWindow => Ok(windows::active(desktop).await?.to_json().to_string()),
            Tool::ActivateWindow => done(windows::activate(desktop, args.window()?).await),
            Tool::CloseWindow => done(windows::close(desktop, args.window()?).await),
            Tool::MaximizeWindow => done(windows::maximize(desktop, args.window()?).await),
            Tool::MinimizeWindow => done(windows::minimize(desktop, args.window()?).await),
            Tool::RestoreWindow => done(windows::restore(desktop, args.window()?).await),
            Tool::ResizeWindow => {
                let (width, height) = (args.whole("width", 1)?, args.whole("height", 1)?);
                done(windows::resize(desktop, args.window()?, width, height).await)
            }
            Tool::FullscreenWindow => done(windows::fullscreen(desktop, args.window()?).await),
            Tool::FocusMode => done(windows::focus_mode(desktop, args.flag("on", false)).await),
            Tool::StartApp => {
                let directory = Some(args.text("work_directory", "")).filter(|directory| !directory.is_empty());
                processes(apps::start(desktop, args.words("start_cmd")?, directory).await)
            }
            Tool::InstalledApps => {
                // Clients disagree on the spelling.
                let ignore_system = args.flag("ignore_system_app", args.flag("ignore_system_apps", true));
                let (start_menu, on_desktop) = (args.flag("start_menu", true), args.flag("desktop", false));
                let apps = apps::installed(desktop, start_menu, on_desktop, ignore_system).await?;
                Ok(Value::Array(apps).to_string())
            }
            Tool::VisibleApps => processes(apps::visible(desktop).await),
            Tool::StopAppByName => done(apps::stop_by_name(desktop, args.words("pname")?).await),
            Tool::StopAppByPid => done(apps::stop_by_pid(desktop, args.whole("pid", 0)?).await),
            Tool::StopAppByCommand => done(apps::stop_by_command(desktop, args.words("stop_cmd")?).await),
            Tool::SystemScreenshot => Ok(screenshots.add(screen::picture(desktop, "png").await?)),
            Tool::ScreenSize => Ok(json!({"width": WIDTH, "height": HEIGHT, "dpiScalingFactor": 1.0}).to_string()),
            Tool::Screenshot => screen::screenshot(desktop, args.text("format", "png")).await,
        }
    }
}

/// What a tool that only does something answers.
fn done(outcome: Result<(), String>) -> Result<String, String> {
    outcome.map(|()| "true".to_owned())
}

fn processes(outcome: Result<Vec<apps::ProcessInfo>, String>) -> Result<String, String> {
    Ok(Value::from_iter(outcome?.iter().map(apps::ProcessInfo::to_json)).to_string())
}

/// Arguments whose types were checked.
struct Arguments<'a>(&'a ToolArgs);

impl Arguments<'_> {
    fn text(&self, name: &str, default: &'static str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or(default)
    }

    /// A text that must say something.
    fn words(&self, name: &str) -> Result<&str, String> {
        Some(self.text(name, "")).filter(|text| !text.trim().is_empty()).ok_or_else(|| format!("{name} is empty"))
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    fn number(&self, name: &str, default: f64) -> f64 {
        self.0.get(name).and_then(Value::as_f64).unwrap_or(default)
    }

    fn whole(&self, name: &str, default: u32) -> Result<u32, String> {
        let value = self.number(name, f64::from(default));
        if value.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&value) {
            return Err(format!("{name} must be a whole number, not {value}"));
        }
        // Whole and within the bounds just checked, so the conversion is exact.
        Ok(value as u32)
    }

    fn window(&self) -> Result<u64, String> {
        self.whole("window_id", 0).map(u64::from)
    }

    fn place(&self, x: &str, y: &str) -> Result<Place, String> {
        Place::on_screen(self.number(x, f64::NAN), self.number(y, f64::NAN))
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let items = self.0.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let texts: Vec<String> = items.filter(|text| !text.is_empty()).map(str::to_owned).collect();
        if texts.is_empty() { Err(format!("{name} names none")) } else { Ok(texts) }
    }
}

#[cfg(test)]
mod tests;
