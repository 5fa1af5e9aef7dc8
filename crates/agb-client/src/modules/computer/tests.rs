//! The desktop's operations against tools that answer as they are told.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use serde_json::json;

use super::super::fake::{FakeTools, assert_send, refused};
use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

async fn sent_by<F: AsyncFnOnce(&FakeTools)>(operation: F) -> (String, String) {
    let tools = FakeTools::saying("true");
    operation(&tools).await;
    let calls = tools.calls();
    assert_eq!(calls.len(), 1);
    (calls[0].tool.clone(), calls[0].args.to_string())
}

macro_rules! sends {
    ($operation:expr, $tool:literal, $args:literal) => {
        let (tool, args) = sent_by($operation).await;
        assert_eq!((tool.as_str(), args.as_str()), ($tool, $args));
    };
}

#[tokio::test]
async fn mouse_and_keyboard_send_their_arguments() {
    sends!(
        async |t| assert_eq!(click(t, 10.0, 20.5, "double_left").await.unwrap(), ("r-1".into(), true)),
        "click_mouse",
        r#"{"x":10,"y":20.5,"button":"double_left"}"#
    );
    sends!(async |t| assert!(move_mouse(t, -1.0, 0.0).await.unwrap().1), "move_mouse", r#"{"x":-1,"y":0}"#);
    sends!(
        async |t| assert!(drag(t, (1.0, 2.0), (3.0, 4.0), "left").await.unwrap().1),
        "drag_mouse",
        r#"{"from_x":1,"from_y":2,"to_x":3,"to_y":4,"button":"left"}"#
    );
    sends!(
        async |t| assert!(scroll(t, 1.0, 2.0, "down", 3.0).await.unwrap().1),
        "scroll",
        r#"{"x":1,"y":2,"direction":"down","amount":3}"#
    );
    sends!(async |t| assert!(type_text(t, "ä\n").await.unwrap().1), "input_text", r#"{"text":"ä\n"}"#);
    let keys = ["Ctrl".to_owned(), "a".to_owned()];
    sends!(
        async |t| assert!(press(t, &keys, true).await.unwrap().1),
        "press_keys",
        r#"{"keys":["Ctrl","a"],"hold":true}"#
    );
    sends!(async |t| assert!(release(t, &keys).await.unwrap().1), "release_keys", r#"{"keys":["Ctrl","a"]}"#);
}

#[tokio::test]
async fn windows_send_their_number() {
    for (action, tool) in [
        (WindowAction::Activate, "activate_window"),
        (WindowAction::Close, "close_window"),
        (WindowAction::Maximize, "maximize_window"),
        (WindowAction::Minimize, "minimize_window"),
        (WindowAction::Restore, "restore_window"),
        (WindowAction::Fullscreen, "fullscreen_window"),
    ] {
        let sent = sent_by(async |t| assert!(change_window(t, action, 42.0).await.unwrap().1)).await;
        assert_eq!(sent, (tool.to_owned(), r#"{"window_id":42}"#.to_owned()));
    }
    sends!(
        async |t| assert!(resize_window(t, 42.0, 300.0, 500.0).await.unwrap().1),
        "resize_window",
        r#"{"window_id":42,"width":300,"height":500}"#
    );
    sends!(async |t| assert!(focus_mode(t, false).await.unwrap().1), "focus_mode", r#"{"on":false}"#);
}

#[tokio::test]
async fn applications_send_what_was_given() {
    sends!(async |t| _ = app_start(t, "xterm", "", "").await, "start_app", r#"{"start_cmd":"xterm"}"#);
    sends!(
        async |t| _ = app_start(t, "xterm", "/tmp", "main").await,
        "start_app",
        r#"{"start_cmd":"xterm","work_directory":"/tmp","activity":"main"}"#
    );
    sends!(
        async |t| _ = installed_apps(t, true, false, true).await,
        "get_installed_apps",
        r#"{"start_menu":true,"desktop":false,"ignore_system_app":true,"ignore_system_apps":true}"#
    );
    sends!(
        async |t| assert_eq!(app_stop_by_name(t, "xterm").await.unwrap(), "r-1"),
        "stop_app_by_pname",
        r#"{"pname":"xterm"}"#
    );
    sends!(async |t| assert_eq!(app_stop_by_pid(t, 7.0).await.unwrap(), "r-1"), "stop_app_by_pid", r#"{"pid":7}"#);
    sends!(
        async |t| assert_eq!(app_stop_by_command(t, "kill -9 7").await.unwrap(), "r-1"),
        "stop_app_by_cmd",
        r#"{"stop_cmd":"kill -9 7"}"#
    );
}

#[tokio::test]
async fn bad_arguments_are_refused_before_anything_is_sent() {
    let tools = FakeTools::saying("true");
    let words = [
        click(&tools, f64::NAN, 1.0, "left").await.unwrap_err(),
        click(&tools, 1.0, 1.0, "thumb").await.unwrap_err(),
        move_mouse(&tools, 1.0, f64::INFINITY).await.unwrap_err(),
        drag(&tools, (1.0, 1.0), (1.0, 1.0), "double_left").await.unwrap_err(),
        scroll(&tools, 1.0, 1.0, "in", 1.0).await.unwrap_err(),
        scroll(&tools, 1.0, 1.0, "up", 0.0).await.unwrap_err(),
        press(&tools, &[], false).await.unwrap_err(),
        release(&tools, &[String::new()]).await.unwrap_err(),
        change_window(&tools, WindowAction::Close, 1.5).await.unwrap_err(),
        resize_window(&tools, 1.0, -1.0, 5.0).await.unwrap_err(),
        resize_window(&tools, 1.0, 5.0, f64::NAN).await.unwrap_err(),
        app_stop_by_pid(&tools, 0.0).await.unwrap_err(),
        list_root_windows(&tools, 0.0).await.unwrap_err(),
        take_screenshot(&tools, "gif").await.unwrap_err(),
    ]
    .map(|error| {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{}", error.message());
        error.message().to_owned()
    });
    assert_eq!(
        words,
        [
            "Invalid x: NaN. Must be a finite number of pixels",
            "Invalid button 'thumb'. Must be one of ['left', 'right', 'middle', 'double_left']",
            "Invalid y: inf. Must be a finite number of pixels",
            "Invalid button 'double_left'. Must be one of ['left', 'right', 'middle']",
            "Invalid direction 'in'. Must be one of ['up', 'down', 'left', 'right']",
            "Invalid amount: 0. Must be a whole number of at least 1",
            "Invalid keys: there must be at least one, and none may be empty",
            "Invalid keys: there must be at least one, and none may be empty",
            "Invalid window_id: 1.5. Must be a whole number of at least 0",
            "Invalid width: -1. Must be a whole number of at least 1",
            "Invalid height: NaN. Must be a whole number of at least 1",
            "Invalid pid: 0. Must be a whole number of at least 1",
            "Invalid timeout: 0. Must be a positive, finite number of milliseconds",
            "Invalid format: must be 'png', 'jpeg', or 'jpg'",
        ]
    );
    assert!(tools.calls().is_empty());
}

#[tokio::test]
async fn true_and_false_are_answers_and_anything_else_is_a_failure() {
    for (text, flag) in [("true", true), (" TRUE\n", true), ("false", false), ("False", false)] {
        assert_eq!(move_mouse(&FakeTools::saying(text), 1.0, 1.0).await.unwrap(), ("r-1".into(), flag));
    }
    for text in ["", "ok", "1"] {
        let error = assert_send(move_mouse(&FakeTools::saying(text), 1.0, 1.0)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(error.message(), format!("Failed to move mouse: the answer is neither true nor false: {text:?}"));
        assert_eq!(error.request_id(), "r-1");
    }
}

#[tokio::test]
async fn failures_keep_their_words_or_get_those_of_the_operation() {
    for (said, words) in [("no screen", "no screen"), ("", "Failed to click mouse")] {
        let tools = FakeTools::new(move |_, _| Err(refused(said)));
        let error = click(&tools, 1.0, 1.0, "left").await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Tool, words));
    }
}

#[tokio::test]
async fn the_cursor_has_two_numbers() {
    let at = cursor_position(&FakeTools::saying(r#"{"x":3,"y":"4"}"#)).await.unwrap();
    assert_eq!(at, CursorPosition { request_id: "r-1".into(), x: 3.0, y: 4.0 });
    for text in ["", "{}", r#"{"x":1}"#, "[1,2]", "nowhere"] {
        let error = cursor_position(&FakeTools::saying(text)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{text}");
    }
}

#[tokio::test]
async fn the_screen_has_a_size_and_a_scale() {
    for (text, width, height, scale) in [
        (r#"{"width":1920,"height":1080,"dpiScalingFactor":1.25}"#, 1920.0, 1080.0, 1.25),
        (r#"{"width":"800","height":"600","dpi_scaling_factor":2}"#, 800.0, 600.0, 2.0),
        (r#"{"width":1,"height":2,"dpiScalingFactor":"wide"}"#, 1.0, 2.0, 1.0),
    ] {
        let size = screen_size(&FakeTools::saying(text)).await.unwrap();
        assert_eq!((size.width, size.height, size.dpi_scaling_factor), (width, height, scale));
    }
    for text in ["", "{}", r#"{"width":1}"#, "big"] {
        assert_eq!(screen_size(&FakeTools::saying(text)).await.unwrap_err().kind(), ErrorKind::Protocol, "{text}");
    }
}

#[tokio::test]
async fn lists_give_their_objects_as_they_came() {
    let text = r#"[{"window_id":1,"b":2,"a":[3]},"{\"window_id\":2}","nonsense",5,null]"#;
    let tools = FakeTools::saying(text);
    let (request_id, windows) = list_root_windows(&tools, 1500.0).await.unwrap();
    assert_eq!(request_id, "r-1");
    assert_eq!(
        serde_json::Value::Array(windows).to_string(),
        r#"[{"window_id":1,"b":2,"a":[3]},{"window_id":2},{},{},{}]"#
    );
    let calls = tools.calls();
    assert_eq!(calls[0].args.to_string(), r#"{"timeout_ms":1500}"#);
    assert_eq!(calls[0].limits.work, Some(Duration::from_millis(1500)));
    for text in ["", " ", "{}", "7"] {
        assert_eq!(visible_apps(&FakeTools::saying(text)).await.unwrap().1, Vec::<Value>::new(), "{text}");
    }
}

#[tokio::test]
async fn malformed_lists_say_which() {
    let tools = FakeTools::saying("[{");
    let words = [
        list_root_windows(&tools, 1.0).await.unwrap_err(),
        app_start(&tools, "a", "", "").await.unwrap_err(),
        visible_apps(&tools).await.unwrap_err(),
        installed_apps(&tools, true, true, true).await.unwrap_err(),
    ];
    let starts = [
        "Failed to parse windows JSON: ",
        "Failed to parse processes JSON: ",
        "Failed to parse visible apps JSON: ",
        "Failed to parse applications JSON: ",
    ];
    for (error, start) in words.iter().zip(starts) {
        assert!(error.message().starts_with(start) && error.message().len() > start.len(), "{}", error.message());
    }
}

#[tokio::test]
async fn the_active_window_may_be_unknown() {
    let known = active_window(&FakeTools::saying(r#"{"window_id":5}"#)).await.unwrap();
    assert_eq!(known.1.unwrap().get("window_id"), Some(&json!(5)));
    for text in ["", "[]", "{", "null"] {
        assert_eq!(active_window(&FakeTools::saying(text)).await.unwrap(), ("r-1".into(), None), "{text}");
    }
}

#[tokio::test]
async fn a_capture_is_a_url() {
    let url = capture(&FakeTools::saying(" https://x/y.png\n")).await.unwrap();
    assert_eq!(url, ("r-1".into(), "https://x/y.png".into()));
    assert_eq!(capture(&FakeTools::silent()).await.unwrap_err().kind(), ErrorKind::Protocol);
}

fn picture(data: &[u8]) -> Value {
    json!({
        "type": "screenshot", "mime_type": "image/png", "data": BASE64_STANDARD.encode(data), "width": 4, "height": 3,
    })
}

#[tokio::test]
async fn a_screenshot_is_decoded() {
    let tools = FakeTools::saying(&picture(PNG).to_string());
    let shot = assert_send(take_screenshot(&tools, " PNG ")).await.unwrap();
    assert_eq!(tools.calls()[0].args.to_string(), r#"{"format":"png"}"#);
    assert_eq!(
        shot,
        Screenshot {
            request_id: "r-1".into(),
            kind: "screenshot".into(),
            data: PNG.to_vec(),
            mime_type: "image/png".into(),
            width: Some(4.0),
            height: Some(3.0),
        }
    );

    let jpeg = json!({"type": "t", "mime_type": "IMAGE/JPEG", "data": BASE64_STANDARD.encode(b"\xFF\xD8\xFFx")});
    let tools = FakeTools::saying(&jpeg.to_string());
    let shot = take_screenshot(&tools, "jpg").await.unwrap();
    assert_eq!(tools.calls()[0].args.to_string(), r#"{"format":"jpeg"}"#);
    assert_eq!((shot.mime_type.as_str(), shot.width), ("image/jpeg", None));
}

#[tokio::test]
async fn a_screenshot_that_is_none_says_why() {
    let with = |name: &str, value: Value| {
        let mut answer = picture(PNG);
        answer[name] = value;
        answer.to_string()
    };
    for (text, words) in [
        (" ".to_owned(), "Screenshot tool returned empty data"),
        ("iVBOR".to_owned(), "Screenshot tool returned non-JSON data"),
        ("{".to_owned(), "Invalid screenshot JSON: "),
        (with("data", json!(" ")), "Screenshot JSON missing base64 field"),
        (with("type", json!("")), "Invalid screenshot JSON: expected non-empty string 'type'"),
        (with("mime_type", json!(1)), "Invalid screenshot JSON: expected non-empty string 'mime_type'"),
        (with("width", json!("4")), "Invalid screenshot JSON: expected integer 'width'"),
        (with("height", json!(1.5)), "Invalid screenshot JSON: expected integer 'height'"),
        (with("data", json!("not base64!")), "Failed to decode screenshot data: "),
        (with("data", json!("aGVsbG8=")), "Screenshot data does not match expected format 'png'"),
        (
            with("mime_type", json!("image/gif")),
            "Screenshot JSON mime_type does not match expected format: expected 'image/png', got 'image/gif'",
        ),
    ] {
        let error = take_screenshot(&FakeTools::saying(&text), "png").await.unwrap_err();
        assert!(error.message().starts_with(words), "{text}: {}", error.message());
        assert_eq!((error.kind(), error.request_id()), (ErrorKind::Protocol, "r-1"));
    }
    let error = take_screenshot(&FakeTools::new(|_, _| Err(refused("no display"))), "png").await.unwrap_err();
    assert_eq!(error.message(), "Failed to take screenshot via MCP tool 'screenshot': no display");
}

proptest! {
    #[test]
    fn no_answer_panics(text in r#"(\{|\}|\[|\]|"|:|,|x|y|width|data|type|mime_type|[0-9.]|é| ){0,20}"#) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let tools = FakeTools::saying(&text);
            _ = cursor_position(&tools).await;
            _ = screen_size(&tools).await;
            _ = active_window(&tools).await;
            _ = visible_apps(&tools).await;
            _ = take_screenshot(&tools, "png").await;
        });
    }
}
