//! Windows, through the window manager.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::desktop::{Desktop, USUAL_LIMIT};

const LIST: &str = include_str!("windows.sh");
/// What a window may take to do what it was asked.
const EFFECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a change of size is waited for that may not come, as the window has that size already.
const CHANGE_LIMIT: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(30);

/// A window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) id: u64,
    x: i64,
    y: i64,
    width: i64,
    height: i64,
    /// 0: the window doesn't say.
    pub(super) pid: u32,
    process_name: String,
    title: String,
}

impl Window {
    fn read(line: &str) -> Option<Window> {
        let mut fields = line.splitn(5, '\t');
        let id = fields.next()?.parse().ok()?;
        let geometry = fields.next()?;
        let number = |name: &str| -> Option<i64> {
            geometry.split(' ').find_map(|part| part.strip_prefix(name)).and_then(|value| value.parse().ok())
        };
        Some(Window {
            id,
            x: number("X=")?,
            y: number("Y=")?,
            width: number("WIDTH=")?,
            height: number("HEIGHT=")?,
            pid: fields.next()?.parse().unwrap_or_default(),
            process_name: fields.next()?.to_owned(),
            title: fields.next()?.trim_end().to_owned(),
        })
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "window_id": self.id,
            "title": self.title,
            "absolute_upper_left_x": self.x,
            "absolute_upper_left_y": self.y,
            "width": self.width,
            "height": self.height,
            "pid": self.pid,
            "pname": self.process_name,
            "child_windows": [],
        })
    }

    fn geometry(&self) -> (i64, i64, i64, i64) {
        (self.x, self.y, self.width, self.height)
    }
}

/// The managed windows, oldest first.
pub(super) async fn list(desktop: &Desktop) -> Result<Vec<Window>, String> {
    let text = desktop.script(LIST, &[]).await?;
    Ok(text.lines().filter_map(Window::read).collect())
}

/// The window with the keyboard.
pub(super) async fn active(desktop: &Desktop) -> Result<Window, String> {
    let id = active_id(desktop).await.ok_or("no window is active")?;
    list(desktop).await?.into_iter().find(|window| window.id == id).ok_or_else(|| "no window is active".to_owned())
}

async fn active_id(desktop: &Desktop) -> Option<u64> {
    let id = desktop.run(&["xdotool", "getactivewindow"], USUAL_LIMIT).await.ok()?;
    String::from_utf8_lossy(&id).trim().parse().ok()
}

async fn find(desktop: &Desktop, id: u64) -> Result<Window, String> {
    let found = list(desktop).await?.into_iter().find(|window| window.id == id);
    found.ok_or_else(|| format!("there is no window with the number {id}"))
}

pub(super) async fn activate(desktop: &Desktop, id: u64) -> Result<(), String> {
    find(desktop, id).await?;
    manage(desktop, id, &["-a"]).await?;
    wait_for(desktop, Effect::Active(id)).await
}

pub(super) async fn close(desktop: &Desktop, id: u64) -> Result<(), String> {
    find(desktop, id).await?;
    manage(desktop, id, &["-c"]).await?;
    wait_for(desktop, Effect::Closed(id)).await
}

pub(super) async fn maximize(desktop: &Desktop, id: u64) -> Result<(), String> {
    let before = find(desktop, id).await?;
    manage(desktop, id, &["-r", "-b", "add,maximized_vert,maximized_horz"]).await?;
    settle(desktop, &before).await
}

pub(super) async fn fullscreen(desktop: &Desktop, id: u64) -> Result<(), String> {
    let before = find(desktop, id).await?;
    manage(desktop, id, &["-r", "-b", "add,fullscreen"]).await?;
    settle(desktop, &before).await
}

pub(super) async fn minimize(desktop: &Desktop, id: u64) -> Result<(), String> {
    find(desktop, id).await?;
    desktop.run(&["xdotool", "windowminimize", &id.to_string()], USUAL_LIMIT).await?;
    wait_for(desktop, Effect::Inactive(id)).await
}

/// Also brings a window back that was put away.
pub(super) async fn restore(desktop: &Desktop, id: u64) -> Result<(), String> {
    let before = find(desktop, id).await?;
    back_to_own_size(desktop, id).await?;
    manage(desktop, id, &["-a"]).await?;
    settle(desktop, &before).await
}

/// The size without the frame, as near as the window allows: a terminal's is a multiple of its letters'.
pub(super) async fn resize(desktop: &Desktop, id: u64, width: u32, height: u32) -> Result<(), String> {
    let before = find(desktop, id).await?;
    back_to_own_size(desktop, id).await?;
    manage(desktop, id, &["-r", "-e", &format!("0,-1,-1,{width},{height}")]).await?;
    settle(desktop, &before).await
}

async fn back_to_own_size(desktop: &Desktop, id: u64) -> Result<(), String> {
    manage(desktop, id, &["-r", "-b", "remove,fullscreen"]).await?;
    manage(desktop, id, &["-r", "-b", "remove,maximized_vert,maximized_horz"]).await
}

/// Keeps the active window above all others, until it is switched off.
pub(super) async fn focus_mode(desktop: &Desktop, on: bool) -> Result<(), String> {
    let mut kept = desktop.kept_in_front.lock().await;
    if let Some(id) = kept.take() {
        // It may have been closed meanwhile.
        let _ = manage(desktop, id, &["-r", "-b", "remove,above"]).await;
    }
    if on && let Some(id) = active_id(desktop).await {
        manage(desktop, id, &["-r", "-b", "add,above"]).await?;
        *kept = Some(id);
    }
    Ok(())
}

/// Tells the window manager: the first word is what for, the others say more.
async fn manage(desktop: &Desktop, id: u64, words: &[&str]) -> Result<(), String> {
    let id = format!("0x{id:08x}");
    let mut words = words.iter().copied();
    let action = words.next().unwrap_or_default();
    let words: Vec<&str> = ["wmctrl", "-i", action, &id].into_iter().chain(words).collect();
    desktop.run(&words, USUAL_LIMIT).await.map(|_| ())
}

/// Waits until the window has another place or size, or long enough to say that it stays.
async fn settle(desktop: &Desktop, before: &Window) -> Result<(), String> {
    let started = Instant::now();
    while started.elapsed() < CHANGE_LIMIT {
        let now = list(desktop).await?.into_iter().find(|window| window.id == before.id);
        if now.is_none_or(|now| now.geometry() != before.geometry()) {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// What a window was asked for.
#[derive(Debug, Clone, Copy)]
enum Effect {
    Active(u64),
    Inactive(u64),
    Closed(u64),
}

impl Effect {
    async fn is_there(self, desktop: &Desktop) -> Result<bool, String> {
        Ok(match self {
            Effect::Active(id) => active_id(desktop).await == Some(id),
            Effect::Inactive(id) => active_id(desktop).await != Some(id),
            Effect::Closed(id) => list(desktop).await?.iter().all(|window| window.id != id),
        })
    }

    fn problem(self) -> &'static str {
        match self {
            Effect::Active(_) => "the window did not become active",
            Effect::Inactive(_) => "the window is still active",
            Effect::Closed(_) => "the window was asked to close, but is still open",
        }
    }
}

async fn wait_for(desktop: &Desktop, effect: Effect) -> Result<(), String> {
    let started = Instant::now();
    while !effect.is_there(desktop).await? {
        if started.elapsed() > EFFECT_LIMIT {
            return Err(effect.problem().to_owned());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_window() {
        let line = "42\tWINDOW=42 X=-3 Y=4 WIDTH=100 HEIGHT=50 SCREEN=0\t7\txterm\ta title \t with a tab ";
        let window = Window::read(line).unwrap();
        assert_eq!((window.id, window.pid, window.title.as_str()), (42, 7, "a title \t with a tab"));
        assert_eq!(
            window.to_json().to_string(),
            "{\"window_id\":42,\"title\":\"a title \\t with a tab\",\"absolute_upper_left_x\":-3,\
             \"absolute_upper_left_y\":4,\"width\":100,\"height\":50,\"pid\":7,\"pname\":\"xterm\",\"child_windows\":[]}"
        );
        for line in ["", "x\tX=1", "42\tX=1 Y=2\t1\ta\tb"] {
            assert_eq!(Window::read(line), None, "{line}");
        }
    }
}
