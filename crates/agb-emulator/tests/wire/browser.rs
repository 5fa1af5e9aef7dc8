//! A session's browser and its tools, as far as no Chromium is needed.

use agb_emulator::{AgentAnswer, AgentTool, EmulatorOptions};
use serde_json::{Value, json};

use crate::support::{NO_SESSION, Peer};

const BROWSER_IMAGE: &str = "agb-browser-use-1";

async fn without_chromium() -> Peer {
    Peer::with(EmulatorOptions { chromium: Some("/no/such/chromium".into()), ..EmulatorOptions::default() }).await
}

async fn browser_session(peer: &Peer) -> String {
    let reply = peer.post(&format!("/mcp/createSession?imageId={BROWSER_IMAGE}"), json!({})).await;
    reply.data()["sessionId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_chromium_the_answer_names_what_was_looked_for() {
    let peer = without_chromium().await;
    let id = browser_session(&peer).await;
    let reply = peer.post(&format!("/browser/init?sessionId={id}"), json!({})).await;
    assert!(reply.failed(501, "NotImplemented").contains("/no/such/chromium"));
    let reply = peer.post(&format!("/internet/getCdpLink?sessionId={id}"), json!({})).await;
    assert!(reply.failed(400, "InvalidAction.NotFound").contains("not running"));
    let reply = peer.get(&format!("/internet/getLink?sessionId={id}")).await;
    assert!(reply.failed(400, "InvalidAction.NotFound").contains("not running"));
    let (is_error, text) = peer.tool(&id, "screenshot", json!({})).await.tool();
    assert!(is_error && text.contains("/no/such/chromium"), "{text}");
    for (tool, args) in [("page_use_navigate", json!({"url": "about:blank"})), ("page_use_screenshot", json!({}))] {
        let (is_error, text) = peer.tool(&id, tool, args).await.tool();
        assert!(is_error && text.contains("initialize it first"), "{text}");
    }
    assert_eq!(peer.tool(&id, "stopChrome", json!({})).await.tool(), (false, "No browser was running".to_owned()));
}

#[tokio::test]
async fn bad_requests_are_refused_by_what_is_wrong() {
    let peer = without_chromium().await;
    for path in ["/browser/init", "/internet/getCdpLink"] {
        assert!(peer.post(path, json!({})).await.failed(400, "InvalidParameter").contains("sessionId"));
        peer.post(&format!("{path}?sessionId=none"), json!({})).await.failed(400, NO_SESSION);
    }
    let id = browser_session(&peer).await;
    let reply = peer.post(&format!("/browser/init?sessionId={id}&browserOption=%5B%5D"), json!({})).await;
    assert!(reply.failed(400, "InvalidParameter").contains("browserOption"));
    let code = peer.session(300).await;
    let reply = peer.post(&format!("/browser/init?sessionId={code}"), json!({})).await;
    assert!(reply.failed(400, "InvalidParameter").contains("has no browser"));
    assert!(peer.tool(&code, "page_use_act", json!({"action": "x"})).await.tool().0);
    assert!(peer.tool(&id, "page_use_act", json!({})).await.tool().1.contains("action is required"));
}

#[tokio::test]
async fn there_is_no_way_to_a_browser_that_is_not_there() {
    let peer = without_chromium().await;
    peer.get("/cdp/none?token=x").await.failed(400, NO_SESSION);
    let id = browser_session(&peer).await;
    assert!(
        peer.get(&format!("/cdp/{id}?token=x")).await.failed(400, "InvalidAction.NotFound").contains("not running")
    );
    let entry = peer.emulator.journal().pop().unwrap();
    assert_eq!((entry.operation.as_str(), entry.session_id, entry.resets_idle_timer), ("cdp", Some(id), false));
    assert_eq!(entry.query["token"], "***");
}

#[tokio::test]
async fn the_agent_answers_its_script_at_once_and_as_a_task() {
    let peer = without_chromium().await;
    let id = browser_session(&peer).await;
    let asked = json!({"instruction": "x", "action": "x"});
    for tool in ["page_use_act", "page_use_observe", "page_use_observe_async"] {
        let (is_error, text) = peer.tool(&id, tool, asked.clone()).await.tool();
        assert!(is_error && text.contains("needs a model"), "{tool}: {text}");
    }
    let answer = AgentAnswer {
        tool: AgentTool::Extract,
        containing: None,
        answer: Ok(json!({"n": 1})),
        pending_looks: 1,
        times: None,
    };
    peer.emulator.script_browser_agent(vec![answer]);
    let args = json!({"instruction": "x", "field_schema": "schema: {}"});
    let data = (false, r#"{"n":1}"#.to_owned());
    assert_eq!(peer.tool(&id, "page_use_extract", args.clone()).await.tool(), data);
    let started: Value = serde_json::from_str(&peer.tool(&id, "page_use_extract_async", args).await.tool().1).unwrap();
    assert_eq!(peer.tool(&id, "page_use_get_extract_result", started.clone()).await.tool(), (false, String::new()));
    assert_eq!(peer.tool(&id, "page_use_get_extract_result", started.clone()).await.tool(), data);
    // Tasks belong to their session.
    let other = browser_session(&peer).await;
    assert!(peer.tool(&other, "page_use_get_extract_result", started).await.tool().0);
}
