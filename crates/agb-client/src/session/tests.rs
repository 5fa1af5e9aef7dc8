//! One session against a server.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::*;
use crate::error::ErrorKind;
use crate::lifecycle::{ReleaseReason, StopReason};
use crate::testing::{Server, not_found, ok, refuse, reply};
use crate::transport::Deadline;

const MINUTE: Duration = Duration::from_secs(60);

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn the_status_is_read_in_both_spellings_with_the_http_status() {
    for key in ["status", "Status"] {
        let server = Server::start(move |_| ok(&json!({ key: "RUNNING" }))).await;
        let record = server.session().status().await.unwrap();
        let expected =
            StatusRecord { request_id: "r-1".into(), http_status: 200, code: "ok".into(), status: "RUNNING".into() };
        assert_eq!(record, expected);
        let seen = &server.seen()[0];
        assert_eq!((seen.path.as_str(), seen.body.as_str()), ("/mcp/getSessionInfo", r#"{"sessionId":"s-1"}"#));
    }
}

#[tokio::test]
async fn a_released_session_is_not_found() {
    let server = Server::start(|_| not_found()).await;
    let session = server.session();
    for error in [
        session.status().await.unwrap_err(),
        session.keep_alive().await.unwrap_err(),
        session.info().await.unwrap_err(),
        session.labels().await.unwrap_err(),
        session.link(None, None).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.message()), (ErrorKind::SessionNotFound, "Resource [McpSession] is not found"));
        assert_eq!((error.code(), error.http_status()), ("InvalidMcpSession.NotFound", Some(400)));
    }
}

#[tokio::test]
async fn keep_alive_names_the_session_in_the_query_and_is_understood_in_both_spellings() {
    let server = Server::start(|_| reply(200, r#"{"body":{"Success":true,"RequestId":"r-9"}}"#)).await;
    assert_eq!(server.session().keep_alive().await.unwrap(), "r-9");
    let seen = &server.seen()[0];
    assert_eq!((seen.raw_query.as_str(), seen.body.as_str()), ("sessionId=s-1", "{}"));
}

#[tokio::test]
async fn only_some_calls_start_the_idle_timer_anew() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/mcp/getSession" => ok(&json!({"sessionId": "s-1"})),
        "/internet/getLink" => ok(&json!({"url": "https://x"})),
        "/mcp/listTools" => ok(&json!("[]")),
        _ => ok(&json!({"status": "RUNNING"})),
    })
    .await;
    let session = server.session();
    let clock = session.agb().clock().clone();
    clock.advance(MINUTE);
    session.status().await.unwrap();
    session.agb().list(Map::new(), None, None).await.unwrap();
    session.list_tools(Some("i")).await.unwrap();
    assert!(session.idle_for() >= MINUTE);

    let is_reset = || {
        let reset = session.idle_for() < MINUTE;
        clock.advance(MINUTE);
        reset
    };
    session.keep_alive().await.unwrap();
    assert!(is_reset());
    session.info().await.unwrap();
    assert!(is_reset());
    session.labels().await.unwrap();
    assert!(is_reset());
    session.set_labels(object(json!({"a": "b"}))).await.unwrap();
    assert!(is_reset());
    session.link(None, None).await.unwrap();
    assert!(is_reset());
    let same = session.agb().get("s-1").await.unwrap();
    assert!(is_reset());
    assert!(same.life().is_same(session.life()));
}

#[tokio::test]
async fn deleting_looks_until_the_service_says_that_the_session_is_gone() {
    for last in ["FINISH", "DELETED", "error"] {
        let server = Server::start(move |seen| match (seen.path.as_str(), seen.nth) {
            ("/mcp/releaseSessionAsync", _) => ok(&Value::Null),
            (_, 0) => ok(&json!({"status": "RUNNING"})),
            (_, 1) => ok(&json!({"status": "DELETING"})),
            (_, 2) => reply(404, "<html>page not found</html>"),
            _ if last == "error" => not_found(),
            _ => ok(&json!({ "status": last })),
        })
        .await;
        assert_eq!(server.session().delete().await.unwrap(), "r-1");
        assert_eq!(server.seen_at("/mcp/getSessionInfo").len(), 4);
    }
}

#[tokio::test]
async fn a_refused_release_says_code_and_message() {
    let server = Server::start(|_| refuse(400, "X.Busy", "try later")).await;
    assert_eq!(server.session().delete().await.unwrap_err().message(), "[X.Busy] try later");
    let silent = Server::start(|_| reply(400, "{}")).await;
    assert_eq!(silent.session().delete().await.unwrap_err().message(), "[Unknown] Failed to delete session");
    let page = Server::start(|_| reply(404, "<html>page not found</html>")).await;
    assert_eq!(page.session().delete().await.unwrap_err().message(), "[Unknown] HTTP 404 error: page not found");
    assert_eq!(page.seen().len(), 1);
}

#[tokio::test]
async fn a_release_whose_answer_was_lost_counts_when_the_next_one_finds_nothing() {
    let server = Server::start(|seen| match (seen.path.as_str(), seen.nth) {
        ("/mcp/releaseSessionAsync", 0) => reply(502, ""),
        _ => not_found(),
    })
    .await;
    assert!(server.session().delete().await.is_ok());
    let unknown = Server::start(|_| not_found()).await;
    let error = unknown.session().delete().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionNotFound);
}

#[tokio::test]
async fn waiting_for_the_end_of_a_session_ends() {
    let server = Server::start(|_| ok(&json!({"status": "DELETING"}))).await;
    let error = life::wait_until_gone(&server.session(), Deadline::after(Duration::from_millis(40))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().starts_with("Timeout waiting for session deletion after "));
}

#[tokio::test]
async fn labels_go_out_as_text_and_come_back_in_order() {
    let server = Server::start(|_| ok(&json!({"labels": r#"{"z":"1","a":"ü"}"#}))).await;
    let known = Created { reserved_labels: Some(Map::new()), ..Created::default() };
    let session = server.new_session(known);
    session.set_labels(object(json!({"z": "1 2", "a": "ü"}))).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.body.as_str(), seen.header("content-length")), ("POST", "", "0"));
    assert_eq!(seen.query["Labels"], r#"{"z":"1 2","a":"ü"}"#);
    assert!(seen.raw_query.contains("%22:%221+2%22,"), "{}", seen.raw_query);
    let labels = session.labels().await.unwrap().labels;
    assert_eq!(labels.keys().collect::<Vec<_>>(), ["z", "a"]);
}

#[tokio::test]
async fn a_session_that_was_found_keeps_the_labels_of_the_package_which_are_read_once() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/sdk/GetLabel" => ok(&json!({"labels": {"agbn.pid": "7", "team": "a"}})),
        _ => ok(&Value::Null),
    })
    .await;
    let session = server.session();
    session.set_labels(object(json!({"team": "b"}))).await.unwrap();
    session.another().set_labels(object(json!({"team": "c"}))).await.unwrap();
    let sent: Vec<_> = server.seen_at("/sdk/SetLabel").into_iter().map(|seen| seen.query["Labels"].clone()).collect();
    assert_eq!(sent, [r#"{"team":"b","agbn.pid":"7"}"#, r#"{"team":"c","agbn.pid":"7"}"#]);
    assert_eq!(server.seen_at("/sdk/GetLabel").len(), 1);
}

#[tokio::test]
async fn labels_are_not_set_where_those_that_have_to_stay_are_not_known() {
    let server = Server::start(|_| refuse(403, "AccessDenied", "no")).await;
    let error = server.session().set_labels(object(json!({"a": "b"}))).await.unwrap_err();
    assert_eq!(error.message(), "The labels were not set, as those that have to stay could not be read: no");
    assert!(server.seen_at("/sdk/SetLabel").is_empty());
}

#[tokio::test]
async fn what_nobody_needs_is_kept_alive_no_longer_and_released_with_several_attempts() {
    let server = Server::start(|seen| match (seen.path.as_str(), seen.nth) {
        ("/mcp/releaseSessionAsync", 0) => refuse(403, "AccessDenied", "no"),
        ("/mcp/releaseSessionAsync", _) => ok(&Value::Null),
        _ => ok(&json!({"status": "FINISH"})),
    })
    .await;
    let session = server.new_session(Created::default());
    session.start_keep_alive(KeepAliveOptions::default()).unwrap();
    session.abandon().await.unwrap();
    assert_eq!(server.seen_at("/mcp/releaseSessionAsync").len(), 2);
    assert_eq!(session.keep_alive_status().unwrap().stopped, Some(StopReason::Stopped));

    let stuck = Server::start(|_| refuse(403, "AccessDenied", "no")).await;
    let error = stuck.session().abandon().await.unwrap_err();
    assert_eq!((error.message(), stuck.seen().len()), ("[AccessDenied] no", 3));
    let gone = Server::start(|_| not_found()).await;
    gone.session().abandon().await.unwrap();
    assert_eq!(gone.seen().len(), 1);
}

#[tokio::test]
async fn labels_that_make_no_sense_are_not_sent() {
    let server = Server::start(|_| ok(&Value::Null)).await;
    for (labels, start) in [
        (json!({}), "Labels cannot be empty"),
        (json!({" ": "x"}), "Label keys"),
        (json!({"a": "x", "b": " "}), "Label values"),
        (json!({"a": null}), "Label values"),
    ] {
        let error = server.session().set_labels(object(labels)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().starts_with(start), "{error}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn malformed_labels_are_an_error() {
    let server = Server::start(|_| ok(&json!({"labels": "{"}))).await;
    let error = server.session().labels().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().starts_with("Failed to get labels for session s-1: "), "{error}");
}

#[tokio::test]
async fn a_link_needs_a_url() {
    let server = Server::start(|seen| ok(&if seen.nth == 0 { json!({"url": "https://x"}) } else { json!({}) })).await;
    let link = server.session().link(Some("https"), Some(30_100.0)).await.unwrap();
    assert_eq!(link.url, "https://x");
    assert_eq!(server.seen()[0].raw_query, "sessionId=s-1&protocolType=https&port=30100");
    assert_eq!(server.session().link(Some(""), None).await.unwrap_err().message(), "No URL found in response");
    assert_eq!(server.seen()[1].raw_query, "sessionId=s-1");
}

#[tokio::test]
async fn an_answer_without_resource_says_so() {
    let server = Server::start(|_| ok(&Value::Null)).await;
    assert_eq!(server.session().info().await.unwrap_err().message(), "No resource data found in response");
}

#[tokio::test]
async fn the_tool_list_needs_an_image() {
    let server = Server::start(|seen| ok(&json!(if seen.nth == 0 { r#"[{"name":"shell"}]"# } else { "[" }))).await;
    let session = server.session();
    let error = session.list_tools(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.message(), "imageId is required. Provide it as a parameter or set it on the session.");
    assert_eq!(session.list_tools(Some("img")).await.unwrap().tools[0].name, "shell");
    assert_eq!(server.seen()[0].raw_query, "imageId=img");
    assert!(session.list_tools(Some("img")).await.unwrap_err().message().starts_with("Failed to parse tools list: "));
}

#[tokio::test]
async fn metrics_are_figures_and_everything_else() {
    let server = Server::start(|seen| {
        let text = match seen.nth {
            0 => r#"{"cpu_count":4,"extra":1}"#,
            1 => "",
            2 => "[1]",
            _ => r#"{"mem_used":"n/a"}"#,
        };
        ok(&json!({"content": [{"type": "text", "text": text}]}))
    })
    .await;
    let session = server.session();
    let reply = session.metrics(None, None).await.unwrap();
    assert_eq!((reply.metrics.cpu_count, reply.raw["extra"].as_i64()), (4.0, Some(1)));
    for why in ["the answer is empty", "get_metrics returned non-object JSON", "mem_used is not a number"] {
        let error = session.metrics(None, None).await.unwrap_err();
        assert_eq!(error.message(), format!("Failed to parse get_metrics response: {why}"));
        assert_eq!(error.request_id(), "r-1");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let details = SessionDetails { token: "SECRET".into(), link_url: "SECRET".into(), ..SessionDetails::default() };
    let agb = crate::testing::agb("http://127.0.0.1:1", &[]);
    let session = agb.attach("s-1", details);
    let route = RouteOverride { token: "SECRET".into(), link_url: "SECRET".into(), ..RouteOverride::default() };
    let options = crate::testing::options("http://127.0.0.1:1");
    let shown = format!("{session:?}{:?}{agb:?}{options:?}", session.by_route(Some(route)));
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[tokio::test]
async fn a_session_was_deleted_from_here_also_when_a_call_beside_the_deletion_hears_of_it_first() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/mcp/releaseSessionAsync" => ok(&Value::Null),
        _ => not_found(),
    })
    .await;
    for round in 0..20 {
        let session = server.agb().attach(&format!("s-{round}"), SessionDetails::default());
        let (deleted, kept) = tokio::join!(session.delete(), session.keep_alive());
        assert!(deleted.is_ok() && kept.is_err());
        assert_eq!(session.lifecycle().release.unwrap().reason, ReleaseReason::Deleted, "round {round}");
    }
}

#[tokio::test]
async fn a_session_that_was_gone_before_its_deletion_was_not_deleted_from_here() {
    let server = Server::start(|_| not_found()).await;
    let session = server.session();
    session.delete().await.unwrap_err();
    assert_eq!(session.lifecycle().release.unwrap().reason, ReleaseReason::Unknown);
}
