//! Tool calls on both routes.

use agb_emulator::{EmulatorOptions, SessionState};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Peer, Reply};

/// Calls a tool on the link route.
async fn on_link(peer: &Peer, session: &Value, body: Value, token: Option<&str>) -> Reply {
    let url = format!("{}/callTool", session["linkUrl"].as_str().unwrap());
    let headers: Vec<(&str, String)> = token.map(|token| ("x-access-token", token.to_owned())).into_iter().collect();
    peer.send(Method::POST, &url, body.to_string().into(), &headers).await
}

#[tokio::test]
async fn a_tool_works_on_the_api_route() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    let reply = peer.shell(&id, "echo hi").await;
    let (is_error, text) = reply.tool();
    let output: Value = serde_json::from_str(&text).unwrap();
    assert!(!is_error, "{text}");
    assert_eq!((&output["stdout"], &output["exit_code"]), (&json!("hi\n"), &json!(0)));
    assert_eq!(peer.view(&id).last_call.unwrap().operation, "shell");
}

#[tokio::test]
async fn a_tool_that_fails_is_a_success_of_the_envelope_with_an_empty_message() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    let reply = peer.shell(&id, "exit 3").await;
    assert!(reply.tool().0);
    assert_eq!(reply.body["message"], "");
    let entry = peer.emulator.journal().pop().unwrap();
    assert_eq!((entry.status, entry.code.as_str(), entry.success), (200, "ok", false));
    assert_eq!((entry.operation.as_str(), entry.tool.as_deref()), ("callTool", Some("shell")));
}

#[tokio::test]
async fn a_tool_works_on_the_link_route_under_the_request_id_of_the_client() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let token = session["token"].as_str().unwrap();
    let request = json!({
        "args": {"command": "echo hi", "timeout_ms": 60_000},
        "server": "wuying_shell",
        "requestId": "link-1764000000000-000123456",
        "tool": "shell",
        "token": token,
    });
    let reply = on_link(&peer, &session, request, Some(token)).await;
    let (is_error, text) = reply.tool();
    assert!(!is_error && text.contains("hi"), "{text}");
    assert_eq!(reply.body["requestId"], "link-1764000000000-000123456");
    let entry = peer.emulator.journal().pop().unwrap();
    assert_eq!(entry.request_id, "link-1764000000000-000123456");
    assert_eq!(entry.session_id.as_deref(), session["sessionId"].as_str());
    assert!(entry.resets_idle_timer);
    assert_eq!(entry.body.unwrap()["token"], "***");
}

#[tokio::test]
async fn the_link_route_wants_the_token_of_its_session() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let other = peer.create(json!({})).await;
    let request = json!({"args": {"command": "true"}, "server": "wuying_shell", "tool": "shell"});
    for token in [None, Some(""), Some("wrong"), other["token"].as_str(), Some(peer.emulator.api_key())] {
        on_link(&peer, &session, request.clone(), token).await.failed(401, "AccessDenied");
    }
    assert_eq!(peer.view(session["sessionId"].as_str().unwrap()).state, SessionState::Created);
}

#[tokio::test]
async fn a_tool_that_does_not_exist_fails_by_name_on_both_routes() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let api = peer.tool(session["sessionId"].as_str().unwrap(), "non_existent_tool_12345", json!({})).await;
    let request = json!({"args": {}, "tool": "non_existent_tool_12345"});
    let link = on_link(&peer, &session, request, session["token"].as_str()).await;
    for reply in [api, link] {
        let (is_error, text) = reply.tool();
        assert!(is_error && text.contains("non_existent_tool_12345"), "{text}");
    }
}

#[tokio::test]
async fn missing_arguments_are_a_failure_of_the_tool() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    for name in ["shell", "run_code", "read_file", "write_file"] {
        let (is_error, text) = peer.tool(&id, name, json!({})).await.tool();
        assert!(is_error && !text.is_empty(), "{name}: {text}");
    }
    let none = peer.post("/mcp", json!({"sessionId": id, "name": "shell"})).await;
    assert!(none.tool().0);
}

#[tokio::test]
async fn calls_of_the_wrong_shape_are_refused_and_say_why() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let id = &session["sessionId"];
    for (body, says) in [
        (json!({"sessionId": id}), "name is required"),
        (json!({"sessionId": id, "name": ["shell"]}), "name must be a string, not an array"),
        (json!({"name": "shell"}), "sessionId is required"),
        (json!({"sessionId": id, "name": "shell", "args": {}}), "args must be a string that holds JSON"),
        (json!({"sessionId": id, "name": "shell", "args": "{"}), "args is not valid JSON"),
        (json!({"sessionId": id, "name": "shell", "args": "[]"}), "args must hold a JSON object, not an array"),
    ] {
        let reply = peer.post("/mcp", body).await;
        assert!(reply.failed(400, "InvalidParameter").contains(says), "{}", reply.body);
    }
    for (body, says) in [
        (json!({"args": {}}), "tool is required"),
        (json!({"tool": 1, "args": {}}), "tool must be a string"),
        (json!({"tool": "shell", "args": "{}"}), "args must be an object, not a string"),
    ] {
        let reply = on_link(&peer, &session, body, session["token"].as_str()).await;
        assert!(reply.failed(400, "InvalidParameter").contains(says), "{}", reply.body);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_does_not_leave_the_emulator() {
    let peer = Peer::with(EmulatorOptions { max_output_bytes: 2_000, ..Default::default() }).await;
    let id = peer.session(300).await;
    let reply = peer.shell(&id, "head -c 100000 /dev/zero | tr '\\0' x").await;
    let (_, text) = reply.tool();
    assert!(text.len() <= 2_000, "{} bytes", text.len());
    let small: Value = serde_json::from_str(&peer.shell(&id, "echo small").await.tool().1).unwrap();
    assert_eq!(small["stdout"], "small\n", "the session lives on");
}
