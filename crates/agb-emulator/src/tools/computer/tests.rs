//! Real desktops, in both kinds of isolation, where the machine has the programs.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::sandbox::testing::{Session, eventually, in_both_modes};

/// A session with a desktop; `None`, said on standard error, where the machine has none.
async fn on_desktop<F: Future<Output = ()>>(test: impl Fn(User) -> F) {
    let programs = ["Xvfb", "xkbcomp", "openbox", "xdotool", "wmctrl", "import", "xterm", "xprop"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &&str| std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if let Some(missing) = programs.iter().find(|program| !is_there(program)) {
        eprintln!("skipped: needs x-tools: {missing} was not found");
        return;
    }
    in_both_modes(|session| test(User { session, screenshots: Arc::new(Screenshots::new("http://here")) })).await;
}

#[derive(Clone)]
struct User {
    session: Session,
    screenshots: Arc<Screenshots>,
}

impl User {
    async fn try_to(&self, tool: &str, args: Value) -> ToolOutput {
        call(&self.session.sandbox, &self.screenshots, tool, args.as_object().unwrap()).await.unwrap()
    }

    async fn ask(&self, tool: &str, args: Value) -> Value {
        let output = self.try_to(tool, args.clone()).await;
        assert!(!output.is_error, "{tool} {args}: {}", output.text);
        serde_json::from_str(&output.text).unwrap_or(Value::String(output.text))
    }

    async fn act(&self, tool: &str, args: Value) {
        assert_eq!(self.ask(tool, args).await, json!(true), "{tool}");
    }

    async fn windows(&self) -> Vec<Value> {
        self.ask("list_root_windows", json!({"timeout_ms": 20_000})).await.as_array().unwrap().clone()
    }

    /// The active window; null if none is.
    async fn active(&self) -> Value {
        let output = self.try_to("get_active_window", json!({})).await;
        serde_json::from_str(&output.text).unwrap_or_default()
    }

    /// A terminal that is ready to be typed into: its process and its window.
    async fn terminal(&self, command: &str) -> (Value, u64) {
        let started = self.ask("start_app", json!({"start_cmd": command})).await;
        let process = started[0].clone();
        let mut id = 0;
        eventually("the terminal is active", async || {
            let window = self.active().await;
            eprintln!("{started}: {window}");
            id = window["window_id"].as_u64().unwrap_or_default();
            window["pid"] == process["pid"]
        })
        .await;
        (process, id)
    }
}

#[tokio::test]
async fn the_mouse_goes_where_it_is_told() {
    on_desktop(|user| async move {
        user.act("move_mouse", json!({"x": 100, "y": 200.4})).await;
        assert_eq!(user.ask("get_cursor_position", json!({})).await, json!({"x": 100, "y": 200}));
        for button in ["left", "middle", "double_left"] {
            user.act("click_mouse", json!({"x": 300, "y": 310, "button": button})).await;
        }
        assert_eq!(user.ask("get_cursor_position", json!({})).await, json!({"x": 300, "y": 310}));
        user.act("drag_mouse", json!({"from_x": 10, "from_y": 20, "to_x": 700, "to_y": 600})).await;
        assert_eq!(user.ask("get_cursor_position", json!({})).await, json!({"x": 700, "y": 600}));
        user.act("scroll", json!({"x": 50, "y": 60, "direction": "down", "amount": 3})).await;
        assert_eq!(user.ask("get_cursor_position", json!({})).await, json!({"x": 50, "y": 60}));
        let outside = user.try_to("click_mouse", json!({"x": 5000, "y": 1})).await;
        assert!(outside.is_error && outside.text.contains("outside of the screen"), "{}", outside.text);
        assert_eq!(
            user.ask("get_screen_size", json!({})).await,
            json!({"width": 1920, "height": 1080, "dpiScalingFactor": 1.0})
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_typed_arrives_in_the_active_window() {
    on_desktop(|user| async move {
        let text = "Grüße, \"q\" {}~|\\@#^& ß日本 😀 привет мир, как дела?";
        user.terminal("xterm -e sh -c 'IFS= read -r line; printf %s \"$line\" >typed; mv typed done; cat'").await;
        user.act("input_text", json!({"text": format!("{text}\n")})).await;
        let session = user.session.clone();
        eventually("the line was read", async || session.shell("test -e done").await["exit_code"] == 0).await;
        assert_eq!(user.session.stdout("cat done").await, text);

        user.act("input_text", json!({"text": "x"})).await;
        user.act("press_keys", json!({"keys": ["Ctrl", "c"]})).await;
        eventually("the terminal has ended", async || user.windows().await.is_empty()).await;
        user.act("press_keys", json!({"keys": ["Shift"], "hold": true})).await;
        user.act("release_keys", json!({"keys": ["Shift"]})).await;
        user.act("release_keys", json!({"keys": ["Shift"]})).await;
        let unknown = user.try_to("press_keys", json!({"keys": ["Ctrl", "NoSuchKey"]})).await;
        assert!(unknown.is_error && unknown.text.contains("NoSuchKey"), "{}", unknown.text);
    })
    .await;
}

#[tokio::test]
async fn windows_do_what_they_are_asked() {
    on_desktop(|user| async move {
        let nobody = user.try_to("get_active_window", json!({})).await;
        assert!(nobody.is_error && nobody.text.contains("no window is active"), "{}", nobody.text);
        assert!(user.windows().await.is_empty());
        let (_, first) = user.terminal("xterm -T first").await;
        let (process, second) = user.terminal("xterm -T second").await;
        let windows = user.windows().await;
        assert_eq!(
            windows.iter().map(|window| window["title"].as_str().unwrap()).collect::<Vec<_>>(),
            ["first", "second"]
        );
        assert_eq!((&windows[1]["pname"], &windows[1]["pid"]), (&json!("xterm"), &process["pid"]));

        user.act("activate_window", json!({"window_id": first})).await;
        assert_eq!(user.ask("get_active_window", json!({})).await["window_id"], json!(first));
        let size = async |id: u64| {
            let windows = user.windows().await;
            let window = windows.iter().find(|window| window["window_id"] == id).unwrap().clone();
            (window["width"].as_i64().unwrap(), window["height"].as_i64().unwrap())
        };
        let own = size(first).await;
        let place = async |id: u64| {
            let windows = user.windows().await;
            let window = windows.iter().find(|window| window["window_id"] == id).unwrap().clone();
            (window["absolute_upper_left_x"].as_i64().unwrap(), window["absolute_upper_left_y"].as_i64().unwrap())
        };
        user.act("maximize_window", json!({"window_id": first})).await;
        // Where it is is told without its frame, which is inside the screen, too.
        eventually("it fills the screen", async || {
            let ((x, y), (width, height)) = (place(first).await, size(first).await);
            eprintln!("{x} {y} {width} {height}");
            width > 1800 && height > 900 && x >= 0 && x + width <= 1920 && y > 0 && y + height <= 1080
        })
        .await;
        user.act("fullscreen_window", json!({"window_id": first})).await;
        eventually("it is the whole screen", async || size(first).await == (1920, 1080)).await;
        user.act("restore_window", json!({"window_id": first})).await;
        eventually("it has its own size", async || size(first).await == own).await;
        user.act("resize_window", json!({"window_id": first, "width": 300, "height": 500})).await;
        eventually("it has the size that was asked for", async || {
            let (width, height) = size(first).await;
            eprintln!("{width} {height}");
            (285..=300).contains(&width) && (480..=500).contains(&height)
        })
        .await;
        user.act("minimize_window", json!({"window_id": first})).await;
        eventually("the other one is active", async || user.active().await["window_id"] == second).await;
        user.act("restore_window", json!({"window_id": first})).await;
        eventually("it is active again", async || user.active().await["window_id"] == first).await;
        user.act("focus_mode", json!({"on": true})).await;
        user.act("focus_mode", json!({"on": false})).await;
        user.act("close_window", json!({"window_id": first})).await;
        assert_eq!(user.windows().await.len(), 1);
        let gone = user.try_to("close_window", json!({"window_id": first})).await;
        assert!(gone.is_error && gone.text.contains("no window with the number"), "{}", gone.text);
    })
    .await;
}

#[tokio::test]
async fn applications_start_and_stop() {
    on_desktop(|user| async move {
        let apps = user.ask("get_installed_apps", json!({"start_menu": true, "desktop": false})).await;
        assert!(apps.as_array().unwrap().len() >= 4, "{apps}");
        assert_eq!(user.ask("get_installed_apps", json!({"start_menu": false})).await, json!([]));

        let visible = async || {
            let visible = user.ask("list_visible_apps", json!({})).await;
            visible.as_array().unwrap().iter().map(|process| process["pid"].clone()).collect::<Vec<_>>()
        };
        assert!(visible().await.is_empty());
        for (tool, argument) in
            [("stop_app_by_pid", "pid"), ("stop_app_by_pname", "pname"), ("stop_app_by_cmd", "stop_cmd")]
        {
            let (process, _) = user.terminal(apps[0]["start_cmd"].as_str().unwrap()).await;
            assert_eq!(visible().await, [process["pid"].clone()]);
            assert!(process["cmdline"].as_str().unwrap().contains("xterm"), "{process}");
            let value = if tool == "stop_app_by_cmd" {
                json!(format!("kill -9 {}", process["pid"]))
            } else {
                process[argument].clone()
            };
            user.act(tool, json!({argument: value})).await;
            eventually("it is gone", async || visible().await.is_empty()).await;
        }
        for (tool, args) in [
            ("stop_app_by_pname", json!({"pname": "Xvfb"})),
            ("stop_app_by_pid", json!({"pid": 999_999})),
            ("stop_app_by_cmd", json!({"stop_cmd": "false"})),
            ("start_app", json!({"start_cmd": "no-such-program"})),
            ("start_app", json!({"start_cmd": "xterm", "work_directory": "/no/such"})),
        ] {
            assert!(user.try_to(tool, args.clone()).await.is_error, "{tool} {args}");
        }
        let failed = user.try_to("start_app", json!({"start_cmd": "no-such-program"})).await;
        assert!(failed.text.contains("not found"), "{}", failed.text);
    })
    .await;
}

#[tokio::test]
async fn pictures_show_what_was_typed() {
    on_desktop(|user| async move {
        let shot = async || user.ask("screenshot", json!({"format": "png"})).await;
        let empty = shot().await;
        assert_eq!((&empty["type"], &empty["mime_type"]), (&json!("screenshot"), &json!("image/png")));
        assert_eq!((&empty["width"], &empty["height"]), (&json!(1920), &json!(1080)));
        user.terminal("xterm -e cat").await;
        let before = shot().await;
        assert_ne!(before["data"], empty["data"]);
        user.act("input_text", json!({"text": "Hello"})).await;
        eventually("the text is to be seen", async || shot().await["data"] != before["data"]).await;
        let png = BASE64_STANDARD.decode(shot().await["data"].as_str().unwrap()).unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
        let jpeg = user.ask("screenshot", json!({"format": "jpeg"})).await;
        assert_eq!(jpeg["mime_type"], "image/jpeg");
        assert!(BASE64_STANDARD.decode(jpeg["data"].as_str().unwrap()).unwrap().starts_with(b"\xFF\xD8\xFF"));

        let url = user.ask("system_screenshot", json!({})).await;
        let name = url.as_str().unwrap().strip_prefix("http://here/screenshot/").unwrap().to_owned();
        assert!(user.screenshots.find(&name).unwrap().starts_with(b"\x89PNG"));
    })
    .await;
}

#[tokio::test]
async fn sessions_have_desktops_of_their_own_that_end_with_them() {
    on_desktop(|user| async move {
        let other = Sandbox::new(Arc::clone(&user.session.host), "s-other");
        let other_user = User { session: Session { sandbox: other.clone(), ..user.session.clone() }, ..user.clone() };
        user.act("move_mouse", json!({"x": 10, "y": 10})).await;
        other_user.act("move_mouse", json!({"x": 900, "y": 800})).await;
        assert_eq!(user.ask("get_cursor_position", json!({})).await, json!({"x": 10, "y": 10}));
        // The shell of a session finds its desktop; that of another is closed to it.
        let display = other_user.session.stdout("echo $DISPLAY").await;
        assert_eq!(user.session.stdout("xdotool getmouselocation --shell | head -1").await, "X=10");
        let foreign = user.session.shell(&format!("DISPLAY={display} xdotool getmouselocation")).await;
        assert_ne!(foreign["exit_code"], 0, "{foreign}");

        let number = display.trim_start_matches(':').to_owned();
        // In a namespace it is nowhere on the machine. Otherwise somebody else may take the number as soon as it is free:
        // then the socket is another one.
        let is_on_machine = user.session.host.isolation() == crate::sandbox::Isolation::Plain;
        let socket = || {
            let path = format!("/tmp/.X11-unix/X{number}");
            // Its number alone may be given to the next one.
            std::fs::metadata(path).ok().map(|file| (file.ino(), file.ctime(), file.ctime_nsec()))
        };
        let before = socket();
        assert!(before.is_some() || !is_on_machine);
        other.stop().await;
        let late = other_user.try_to("move_mouse", json!({"x": 1, "y": 1})).await;
        assert!(late.is_error && late.text.contains("released"), "{}", late.text);
        assert!(socket() != before || !is_on_machine);
    })
    .await;
}

#[tokio::test]
async fn a_desktop_that_was_killed_is_started_anew() {
    on_desktop(|user| async move {
        user.act("move_mouse", json!({"x": 10, "y": 10})).await;
        user.session.shell("pid=$(cat /tmp/.X${DISPLAY#:}-lock); kill -9 $pid").await;
        tokio::time::timeout(Duration::from_secs(90), async {
            while user.try_to("move_mouse", json!({"x": 20, "y": 20})).await.is_error {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        assert_eq!(user.ask("get_cursor_position", json!({})).await, json!({"x": 20, "y": 20}));
    })
    .await;
}
