//! The desktop: `ts/modules/computer/` on this side, in the order of its files.

use agb_client::modules::computer::{self, WindowAction};
use napi::bindgen_prelude::{Buffer, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;

use crate::session::{NativeDone, NativeRoute, NativeSession, NativeText};
use crate::support::{Outcome, outcome, promise, to_json};

/// Answer of an operation that says whether it was done.
#[napi(object, object_from_js = false)]
pub struct NativeFlag {
    /// The service's request id.
    pub request_id: String,
    /// Was it done?
    pub data: bool,
}

impl From<computer::Flag> for NativeFlag {
    fn from((request_id, data): computer::Flag) -> Self {
        Self { request_id, data }
    }
}

/// Where the mouse is.
#[napi(object, object_from_js = false)]
pub struct NativeCursorPosition {
    /// The service's request id.
    pub request_id: String,
    /// Pixels from the left.
    pub x: f64,
    /// Pixels from the top.
    pub y: f64,
}

/// How large the screen is.
#[napi(object, object_from_js = false)]
pub struct NativeScreenSize {
    /// The service's request id.
    pub request_id: String,
    /// Pixels.
    pub width: f64,
    /// Pixels.
    pub height: f64,
    /// Physical pixels per logical pixel.
    pub dpi_scaling_factor: f64,
}

/// A picture of the screen.
#[napi(object, object_from_js = false)]
pub struct NativeScreenshot {
    /// The service's request id.
    pub request_id: String,
    /// What the service calls it.
    pub kind: String,
    /// The file's bytes.
    pub data: Buffer,
    /// Its MIME type.
    pub mime_type: String,
    /// Pixels.
    pub width: Option<f64>,
    /// Pixels.
    pub height: Option<f64>,
}

fn list((request_id, items): computer::Items) -> NativeText {
    NativeText { request_id, data: to_json(&items) }
}

#[napi]
impl NativeSession {
    /// Clicks at a place.
    #[napi]
    pub fn computer_click<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        x: f64,
        y: f64,
        button: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::click(&tools, x, y, &button).await) })
    }

    /// Moves the mouse.
    #[napi]
    pub fn computer_move<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        x: f64,
        y: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::move_mouse(&tools, x, y).await) })
    }

    /// Moves the mouse while a button is down.
    #[napi]
    #[allow(clippy::too_many_arguments, reason = "those of the public method, and where the call goes")]
    pub fn computer_drag<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        start_x: f64,
        start_y: f64,
        end_x: f64,
        end_y: f64,
        button: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::drag(&tools, (start_x, start_y), (end_x, end_y), &button).await) })
    }

    /// Turns the wheel.
    #[napi]
    pub fn computer_scroll<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        x: f64,
        y: f64,
        direction: String,
        amount: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::scroll(&tools, x, y, &direction, amount).await) })
    }

    /// Where the mouse is.
    #[napi]
    pub fn computer_cursor_position<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeCursorPosition>>> {
        let tools = self.tools(route);
        promise(env, async move {
            outcome(computer::cursor_position(&tools).await.map(|position| NativeCursorPosition {
                request_id: position.request_id,
                x: position.x,
                y: position.y,
            }))
        })
    }

    /// Types a text.
    #[napi]
    pub fn computer_type<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        text: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::type_text(&tools, &text).await) })
    }

    /// Presses keys together.
    #[napi]
    pub fn computer_press<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        keys: Vec<String>,
        hold: bool,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::press(&tools, &keys, hold).await) })
    }

    /// Lets go of keys.
    #[napi]
    pub fn computer_release<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        keys: Vec<String>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::release(&tools, &keys).await) })
    }

    /// The windows: a JSON array.
    #[napi]
    pub fn computer_windows<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        timeout_ms: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeText>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::list_root_windows(&tools, timeout_ms).await.map(list)) })
    }

    /// The window that has the keyboard: JSON, `null` where it is not known.
    #[napi]
    pub fn computer_active_window<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeText>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let active = computer::active_window(&tools).await;
            outcome(active.map(|(request_id, window)| NativeText { request_id, data: to_json(&window) }))
        })
    }

    /// Brings a window to the front.
    #[napi]
    pub fn computer_activate_window<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        window_id: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        self.change_window(env, route, WindowAction::Activate, window_id)
    }

    /// Closes a window.
    #[napi]
    pub fn computer_close_window<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        window_id: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        self.change_window(env, route, WindowAction::Close, window_id)
    }

    /// Makes a window as large as can be.
    #[napi]
    pub fn computer_maximize_window<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        window_id: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        self.change_window(env, route, WindowAction::Maximize, window_id)
    }

    /// Puts a window away.
    #[napi]
    pub fn computer_minimize_window<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        window_id: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        self.change_window(env, route, WindowAction::Minimize, window_id)
    }

    /// Gives a window its own size and place back.
    #[napi]
    pub fn computer_restore_window<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        window_id: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        self.change_window(env, route, WindowAction::Restore, window_id)
    }

    /// Lets a window fill the whole screen.
    #[napi]
    pub fn computer_fullscreen_window<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        window_id: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        self.change_window(env, route, WindowAction::Fullscreen, window_id)
    }

    /// Gives a window another size.
    #[napi]
    pub fn computer_resize_window<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        window_id: f64,
        width: f64,
        height: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::resize_window(&tools, window_id, width, height).await) })
    }

    /// Keeps the focus where it is, or frees it.
    #[napi]
    pub fn computer_focus_mode<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        on: bool,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::focus_mode(&tools, on).await) })
    }

    /// Starts an application; its processes as a JSON array.
    #[napi]
    pub fn computer_start_app<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        command: String,
        work_directory: String,
        activity: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeText>>> {
        let tools = self.tools(route);
        promise(env, async move {
            outcome(computer::app_start(&tools, &command, &work_directory, &activity).await.map(list))
        })
    }

    /// Applications that can be started: a JSON array.
    #[napi]
    pub fn computer_installed_apps<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        start_menu: bool,
        desktop: bool,
        ignore_system_apps: bool,
    ) -> Result<PromiseRaw<'env, Outcome<NativeText>>> {
        let tools = self.tools(route);
        promise(env, async move {
            outcome(computer::installed_apps(&tools, start_menu, desktop, ignore_system_apps).await.map(list))
        })
    }

    /// Processes that show a window: a JSON array.
    #[napi]
    pub fn computer_visible_apps<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeText>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::visible_apps(&tools).await.map(list)) })
    }

    /// Ends an application by its process name.
    #[napi]
    pub fn computer_stop_app_by_name<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        process_name: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::app_stop_by_name(&tools, &process_name).await) })
    }

    /// Ends an application by its process number.
    #[napi]
    pub fn computer_stop_app_by_pid<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        pid: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::app_stop_by_pid(&tools, pid).await) })
    }

    /// Ends an application by a command.
    #[napi]
    pub fn computer_stop_app_by_command<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        stop_command: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::app_stop_by_command(&tools, &stop_command).await) })
    }

    /// Takes a picture; its URL.
    #[napi]
    pub fn computer_capture<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeText>>> {
        let tools = self.tools(route);
        promise(env, async move {
            outcome(computer::capture(&tools).await.map(|(request_id, data)| NativeText { request_id, data }))
        })
    }

    /// How large the screen is.
    #[napi]
    pub fn computer_screen_size<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeScreenSize>>> {
        let tools = self.tools(route);
        promise(env, async move {
            outcome(computer::screen_size(&tools).await.map(|size| NativeScreenSize {
                request_id: size.request_id,
                width: size.width,
                height: size.height,
                dpi_scaling_factor: size.dpi_scaling_factor,
            }))
        })
    }

    /// Takes a picture; its bytes.
    #[napi]
    pub fn computer_take_screenshot<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        format: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeScreenshot>>> {
        let tools = self.tools(route);
        promise(env, async move {
            outcome(computer::take_screenshot(&tools, &format).await.map(|shot| NativeScreenshot {
                request_id: shot.request_id,
                kind: shot.kind,
                data: shot.data.into(),
                mime_type: shot.mime_type,
                width: shot.width,
                height: shot.height,
            }))
        })
    }
}

impl NativeSession {
    fn change_window<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        action: WindowAction,
        window_id: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFlag>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(computer::change_window(&tools, action, window_id).await) })
    }
}
