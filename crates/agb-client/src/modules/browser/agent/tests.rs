//! The agent against tools that answer by a closure; time is paused, so that looks cost none.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::super::super::fake::{FakeTools, assert_send, refused};
use super::*;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn page() -> Page {
    Page { context_id: 0.0, page_id: Some("P".into()) }
}

type Look = std::result::Result<&'static str, &'static str>;

/// Starts a task, and gives `looks` in their order, the last one again and again.
fn tasks(looks: &'static [Look]) -> FakeTools {
    let count = AtomicUsize::new(0);
    FakeTools::new(move |tool, args| {
        if tool.ends_with("_async") {
            return Ok(Some(r#"{"task_id":"t-1"}"#.into()));
        }
        assert_eq!(args, &json!({"task_id": "t-1"}));
        let look = looks[count.fetch_add(1, Ordering::SeqCst).min(looks.len() - 1)];
        look.map(|text| Some(text.to_owned())).map_err(refused)
    })
}

#[tokio::test]
async fn navigating_gives_the_tools_words_or_fails_with_them() {
    let tools = FakeTools::saying("there");
    assert_eq!(assert_send(navigate(&tools, "http://x")).await.unwrap().text, "there");
    let call = &tools.calls()[0];
    assert_eq!((call.tool.as_str(), &call.args), ("page_use_navigate", &json!({"url": "http://x"})));
    assert_eq!((call.limits.read, call.limits.connect), (Some(CALL_LIMIT), Some(CALL_LIMIT)));

    for (tools, text) in [
        (FakeTools::failing(ErrorKind::Tool, "no such host"), "Navigation failed: no such host"),
        (FakeTools::failing(ErrorKind::Tool, ""), "Navigation failed: Unknown error"),
        (FakeTools::saying(""), "Navigation failed: Unknown error"),
    ] {
        assert_eq!(navigate(&tools, "x").await.unwrap_err().message(), text);
    }
}

#[tokio::test]
async fn a_screenshot_sends_what_was_given_in_order() {
    let tools = FakeTools::saying("aGk=");
    let plain = PageScreenshot { page: Page::default(), full_page: true, quality: 80.0, clip: None, timeout_ms: None };
    assert_eq!(screenshot(&tools, &plain).await.unwrap().text, "aGk=");
    let clip = object(json!({"x": 1, "y": 2, "width": 3, "height": 4}));
    let all = PageScreenshot { page: page(), full_page: false, quality: 50.5, clip: Some(clip), timeout_ms: Some(9e4) };
    screenshot(&tools, &all).await.unwrap();
    let calls = tools.calls();
    assert_eq!(calls[0].args.to_string(), r#"{"context_id":0,"full_page":true,"quality":80}"#);
    assert_eq!(
        calls[1].args.to_string(),
        r#"{"context_id":0,"page_id":"P","full_page":false,"quality":50.5,"clip":{"x":1,"y":2,"width":3,"height":4},"timeout":90000}"#
    );
    assert_eq!(calls[1].limits.work, Some(Duration::from_secs(90)));
    let error = screenshot(&FakeTools::failing(ErrorKind::Tool, "no page"), &plain).await.unwrap_err();
    assert_eq!(error.message(), "Screenshot failed: no page");
}

#[tokio::test]
async fn closing_is_confirmed_by_words() {
    assert!(close(&FakeTools::saying("closed")).await.unwrap());
    assert!(!close(&FakeTools::saying("")).await.unwrap());
    assert!(close(&FakeTools::failing(ErrorKind::Tool, "x")).await.is_err());
}

#[tokio::test]
async fn an_action_takes_options_or_an_observed_element() {
    let tools = FakeTools::saying("done");
    let options = json!({
        "domSettleTimeoutMs": 5, "action": "click", "timeout": 7, "variables": {"a": "b"}, "useVision": false,
        "iframes": null,
    });
    let acted = act(&tools, &object(options), &page()).await.unwrap();
    assert_eq!((acted.success, acted.message.as_str(), acted.request_id.as_str()), (true, "done", "r-1"));
    let element = json!({"selector": "#a", "description": "d", "method": "click", "arguments": {"n": 1}});
    act(&tools, &object(element), &Page::default()).await.unwrap();
    let calls = tools.calls();
    assert_eq!(
        calls[0].args.to_string(),
        r#"{"context_id":0,"page_id":"P","action":"click","variables":{"a":"b"},"timeout":7,"use_vision":false,"dom_settle_timeout_ms":5}"#
    );
    assert_eq!(calls[1].args, json!({"context_id": 0, "action": r#"{"method":"click","arguments":{"n":1}}"#}));

    let silent = act(&FakeTools::silent(), &object(json!({"action": "x"})), &Page::default()).await.unwrap();
    assert_eq!((silent.success, silent.message.as_str()), (false, ""));
    let failed = act(&FakeTools::failing(ErrorKind::Tool, "no model"), &Map::new(), &Page::default()).await;
    assert_eq!(failed.unwrap_err().message(), "no model");
}

#[tokio::test(start_paused = true)]
async fn an_action_as_a_task_is_looked_at_until_it_is_done() {
    let tools = tasks(&[
        Err("not yet"),
        Ok(""),
        Ok(r#"{"is_done":false}"#),
        Ok(r#"{"is_done":true,"success":true,"steps":["s"]}"#),
    ]);
    let acted = act_async(&tools, &object(json!({"action": "buy"})), &Page::default()).await.unwrap();
    assert_eq!((acted.success, acted.message.as_str()), (true, r#"["s"]"#));
    assert_eq!(tools.tools().len(), 5);
    assert_eq!(tools.tools()[..2], ["page_use_act_async", "page_use_get_act_result"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_not_done_in_time_fails_by_its_name() {
    let started = Instant::now();
    let tools = tasks(&[Ok(r#"{"is_done":false}"#)]);
    let error =
        act_async(&tools, &object(json!({"action": "buy", "timeout": 20})), &Page::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Timeout, "Task t-1:buy timeout after 20s"));
    assert_eq!(started.elapsed().as_secs(), 20);

    let tools = tasks(&[Err("busy")]);
    let error = observe_async(&tools, &object(json!({"timeout": 1})), &Page::default()).await.unwrap_err();
    assert_eq!(error.message(), "Task t-1: Observe timeout after 1s (the last look failed: busy)");
    let error = extract_async(&tasks(&[Ok("")]), &object(json!({"timeout": 0})), &Page::default()).await.unwrap_err();
    assert_eq!(error.message(), "Task t-1: Extract timeout after 0s");
}

#[tokio::test(start_paused = true)]
async fn the_wait_may_have_a_limit_of_its_own_which_the_tool_does_not_get() {
    let tools = tasks(&[Ok(r#"{"is_done":false}"#)]);
    let options = object(json!({"action": "buy", "timeout": 20, "waitTimeoutS": 7}));
    let error = act_async(&tools, &options, &Page::default()).await.unwrap_err();
    assert_eq!(error.message(), "Task t-1:buy timeout after 7s");
    assert_eq!(tools.calls()[0].args.to_string(), r#"{"context_id":0,"action":"buy","timeout":20}"#);
}

#[tokio::test(start_paused = true)]
async fn an_observed_element_has_the_default_limit_and_is_named_by_its_method() {
    let element = object(json!({"method": "click", "arguments": {}, "timeout": 1}));
    let error = act_async(&tasks(&[Ok("")]), &element, &Page::default()).await.unwrap_err();
    assert_eq!(error.message(), "Task t-1:click timeout after 300s");
}

#[tokio::test(start_paused = true)]
async fn looks_come_quickly_at_first_and_never_closer_than_the_interval_later() {
    let tools = tasks(&[Ok("")]);
    let _ = observe_async(&tools, &object(json!({"timeout": 60})), &Page::default()).await;
    // 0.05, 0.1, … 3.2, then every 5 s: some 18 looks in a minute.
    let looks = tools.tools().len() - 1;
    assert!((15..=20).contains(&looks), "{looks} looks");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_cannot_pass_ends_the_looks() {
    let tools = FakeTools::new(|tool, _| match tool {
        "page_use_extract_async" => Ok(Some(r#"{"task_id":1}"#.into())),
        _ => Err(Error::new(ErrorKind::SessionNotFound, "gone")),
    });
    let error = extract_async(&tools, &Map::new(), &Page::default()).await.unwrap_err();
    assert_eq!((error.kind(), tools.tools().len()), (ErrorKind::SessionNotFound, 2));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_did_not_start_is_not_looked_at() {
    for (tools, text) in [
        (FakeTools::failing(ErrorKind::Tool, "no model"), "Failed to start act task: no model"),
        (FakeTools::failing(ErrorKind::Tool, ""), "Failed to start act task"),
        (FakeTools::silent(), "Failed to start act task: the answer has no task id"),
        (FakeTools::saying("{}"), "Failed to start act task: the answer has no task id"),
        (FakeTools::saying("not json"), "Failed to start act task: the answer has no task id"),
    ] {
        let error = act_async(&tools, &object(json!({"action": "x"})), &Page::default()).await.unwrap_err();
        assert_eq!((error.message(), tools.tools().len()), (text, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn observing_and_extracting_read_their_json() {
    let list = r##"[{"selector":"#a","description":"d","method":"click","arguments":"{\"n\":1}"},5]"##;
    let options = json!({"instruction": "find", "timeout": 5, "selector": "s", "useVision": true, "iframes": true, "domSettleTimeoutMs": 1});
    let tools = FakeTools::saying(list);
    let seen = observe(&tools, &object(options), &page()).await.unwrap().unwrap();
    assert_eq!((seen.len(), &seen[0].arguments), (1, &object(json!({"n": 1}))));
    assert_eq!(
        tools.calls()[0].args.to_string(),
        r#"{"context_id":0,"page_id":"P","instruction":"find","use_vision":true,"selector":"s","iframes":true,"dom_settle_timeout_ms":1}"#
    );

    let options = json!({"instruction": "read", "schema": {"type": "object"}, "timeout": 5, "maxPage": 2, "iframe": false,
        "useTextExtract": true});
    let tools = FakeTools::saying(r#"{"title":"T"}"#);
    assert_eq!(extract(&tools, &object(options), &Page::default()).await.unwrap().unwrap(), json!({"title": "T"}));
    assert_eq!(
        tools.calls()[0].args.to_string(),
        r#"{"context_id":0,"instruction":"read","field_schema":"schema: {\"type\":\"object\"}","use_text_extract":true,"iframe":false,"max_page":2}"#
    );

    let seen = observe_async(&tasks(&[Err("x"), Ok("[]")]), &Map::new(), &Page::default()).await.unwrap();
    assert!(seen.is_empty());
    let data = extract_async(&tasks(&[Ok(""), Ok("null")]), &Map::new(), &Page::default()).await.unwrap();
    assert_eq!(data, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn broken_json_is_named() {
    let page = Page::default();
    for error in [
        observe(&FakeTools::saying("[{"), &Map::new(), &page).await.unwrap_err(),
        observe_async(&tasks(&[Ok("[{")]), &Map::new(), &page).await.unwrap_err(),
    ] {
        assert_eq!(error.message(), "Failed to parse the observe result: it is not valid JSON");
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
    assert!(act_async(&tasks(&[Ok("{")]), &Map::new(), &page).await.is_err());
    assert!(extract(&FakeTools::saying("{"), &Map::new(), &page).await.is_err());
}

#[tokio::test]
async fn a_failed_tool_observes_and_extracts_nothing() {
    let page = Page::default();
    for tools in [FakeTools::failing(ErrorKind::Tool, "no model"), FakeTools::silent(), FakeTools::saying("")] {
        assert_eq!(observe(&tools, &Map::new(), &page).await.unwrap(), None);
        assert_eq!(extract(&tools, &Map::new(), &page).await.unwrap(), None);
    }
}
