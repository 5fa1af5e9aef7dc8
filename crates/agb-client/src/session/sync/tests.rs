use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::testing::{Seen, Server, endless, not_found, ok, refuse, reply};

fn item(task_type: &str, status: &str, error: &str) -> Value {
    json!({"contextId": "c", "path": "/p", "taskType": task_type, "status": status, "errorMessage": error})
}

fn status(items: &[Value]) -> Value {
    let outer = json!([{"type": "data", "data": json!(items).to_string()}]);
    json!({"contextStatus": outer.to_string()})
}

/// A service that starts every synchronisation, and answers the looks at it in turn; the last answer stays.
async fn looks(answers: Vec<Value>) -> Server {
    Server::start(move |seen: &Seen| match seen.path.as_str() {
        "/sdk/GetContextInfo" => ok(&answers[seen.nth.min(answers.len() - 1)]),
        "/mcp/getSessionInfo" => not_found(),
        _ => ok(&json!({})),
    })
    .await
}

fn within(milliseconds: u64) -> SyncLimits {
    SyncLimits { rounds: 1, interval: Duration::from_millis(milliseconds) }
}

fn one(mode: &str) -> SyncTarget {
    SyncTarget { context_id: "c".into(), path: "/p".into(), mode: mode.into() }
}

/// One that was started when there were no tasks.
fn started() -> StartedSync {
    StartedSync { request_id: "r-1".into(), target: SyncTarget::all(), earlier: Vec::new() }
}

/// A task with its times, of the direction that was asked for.
fn timed(start: f64, finish: f64, status: &str) -> ContextStatus {
    ContextStatus {
        task_type: "upload".into(),
        start_time: start,
        finish_time: finish,
        status: status.into(),
        ..ContextStatus::default()
    }
}

#[tokio::test]
async fn a_synchronisation_is_over_when_all_of_its_tasks_are() {
    let answers = vec![
        status(&[]),
        status(&[item("upload", "InProgress", ""), item("upload", "Success", "")]),
        status(&[item("upload", "Success", ""), item("upload", "Success", "")]),
    ];
    let server = looks(answers).await;
    assert_eq!(server.session().sync_contexts(&one("upload"), SyncLimits::default()).await.unwrap(), "r-1");
    let started = &server.seen_at("/sdk/SyncContext")[0];
    assert_eq!(
        (started.raw_query.as_str(), started.body.as_str()),
        ("sessionId=s-1&contextId=c&path=%2Fp&mode=upload", "")
    );
    let looks = server.seen_at("/sdk/GetContextInfo");
    assert_eq!(looks.len(), 3);
    assert_eq!(looks[2].raw_query, "sessionId=s-1&contextId=c&path=%2Fp");
}

#[tokio::test]
async fn an_earlier_completion_is_not_taken_for_this_one() {
    let dated = |start: u32, status: &str| {
        let mut item = item("upload", status, "");
        item["startTime"] = start.into();
        item["finishTime"] = if status == "Success" { start + 1 } else { 0 }.into();
        item
    };
    let looks = looks(vec![
        status(&[dated(1, "Success")]),
        status(&[dated(1, "Success")]),
        status(&[dated(5, "InProgress")]),
        status(&[dated(5, "Success")]),
    ]);
    let server = looks.await;
    server.session().sync_contexts(&one("upload"), SyncLimits::default()).await.unwrap();
    assert_eq!(server.seen_at("/sdk/GetContextInfo").len(), 4);
}

#[tokio::test]
async fn where_no_new_task_shows_up_the_earlier_ones_count_after_a_while() {
    let dated = |start: u32, status: &str, error: &str| {
        let mut item = item("upload", status, error);
        item["startTime"] = start.into();
        item
    };
    let limits = SyncLimits { rounds: 150, interval: Duration::from_millis(100) };
    let stored = looks(vec![status(&[dated(1, "Success", "")])]).await;
    let failed = looks(vec![status(&[dated(1, "Failed", "disk full")])]).await;
    let (stored, failed) = (stored.session(), failed.session());
    let target = one("upload");
    let (stored, failed) = tokio::join!(stored.sync_contexts(&target, limits), failed.sync_contexts(&target, limits));
    stored.unwrap();
    let error = failed.unwrap_err();
    assert!(error.message().ends_with("disk full"), "{error}");
}

/// Is a synchronisation over with these tasks, where those were there before?
fn is_over(mode: &str, items: &[&ContextStatus], earlier: &[&ContextStatus]) -> bool {
    let owned = |items: &[&ContextStatus]| items.iter().map(|item| (*item).clone()).collect::<Vec<_>>();
    verdict(&owned(items), &owned(earlier), mode).is_some()
}

#[test]
fn tasks_are_told_from_earlier_ones_by_their_times() {
    let over = |items: &[&ContextStatus], earlier: &[&ContextStatus]| is_over("upload", items, earlier);
    let (old, new) = (&timed(1.0, 2.0, "Success"), &timed(3.0, 4.0, "Success"));
    assert!(!over(&[old], &[old]));
    assert!(over(&[old, new], &[old]));
    assert!(!over(&[old, &timed(3.0, 0.0, "InProgress")], &[old]));
    // It was under way before, and has ended meanwhile.
    assert!(!over(&[old], &[&timed(1.0, 0.0, "InProgress")]));
    // Both within the same moment.
    assert!(over(&[&timed(1.0, 3.0, "Success")], &[old]));
    let undated = &timed(0.0, 0.0, "Success");
    assert!(over(&[undated], &[undated]));
    assert!(over(&[], &[new]));
}

#[test]
fn the_default_direction_does_not_wait_for_the_other() {
    let brought = ContextStatus { task_type: "download".into(), ..timed(1.0, 2.0, "Success") };
    assert!(is_over("", &[&brought], &[&brought]));
    assert!(!is_over("download", &[&brought], &[&brought]));
    let failed = ContextStatus { status: "Failed".into(), ..brought };
    assert!(verdict(&[failed], &[], "").unwrap().is_err());
}

#[tokio::test]
async fn without_tasks_there_is_nothing_to_wait_for() {
    let server = looks(vec![json!({"contextStatus": "[]"})]).await;
    server.session().sync_contexts(&SyncTarget::all(), SyncLimits::default()).await.unwrap();
    assert_eq!(server.seen_at("/sdk/SyncContext")[0].raw_query, "sessionId=s-1");
}

#[tokio::test]
async fn a_failed_task_is_a_failure_with_its_reason_and_the_request_id_of_the_start() {
    let server = looks(vec![status(&[item("upload", "Failed", "disk full")])]).await;
    let error = server.session().sync_contexts(&SyncTarget::all(), SyncLimits::default()).await.unwrap_err();
    assert_eq!(error.message(), "Context synchronisation failed for c at /p: disk full");
    assert_eq!(error.request_id(), "r-1");
}

#[tokio::test]
async fn a_failed_task_of_the_other_direction_says_nothing() {
    let server = looks(vec![status(&[item("download", "Failed", "x"), item("upload", "Success", "")])]).await;
    let session = server.session();
    for mode in ["", "upload"] {
        session.sync_contexts(&one(mode), SyncLimits::default()).await.unwrap();
    }
    assert!(session.sync_contexts(&one("download"), SyncLimits::default()).await.is_err());
}

#[tokio::test]
async fn a_look_that_fails_is_repeated_and_is_no_success() {
    let server = Server::start(|seen: &Seen| match (seen.path.as_str(), seen.nth) {
        ("/sdk/GetContextInfo", 0 | 1) => refuse(400, "X", "not now"),
        ("/sdk/GetContextInfo", 2) => ok(&json!({"contextStatus": "["})),
        ("/sdk/GetContextInfo", _) => ok(&status(&[item("upload", "Success", "")])),
        _ => ok(&json!({})),
    })
    .await;
    server.session().sync_contexts(&SyncTarget::all(), SyncLimits::default()).await.unwrap();
    assert_eq!(server.seen_at("/sdk/GetContextInfo").len(), 4);
}

#[tokio::test]
async fn what_is_not_done_in_time_says_so_with_the_last_fault() {
    let server = looks(vec![status(&[item("upload", "Running", "")])]).await;
    let error = server.session().context_synced(&started(), within(2_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.message(), "Context synchronisation was not finished within 2 s");
    let server = Server::start(|_| refuse(400, "X", "not now")).await;
    let error = server.session().context_synced(&started(), within(2_000)).await.unwrap_err();
    assert!(error.message().ends_with("the last look at it failed: not now"), "{}", error.message());
    let none = SyncLimits { rounds: 0, interval: Duration::from_secs(1) };
    assert!(server.session().context_synced(&started(), none).await.is_err());
}

#[tokio::test]
async fn a_look_that_the_end_of_the_wait_cuts_off_tells_nothing() {
    let server = Server::start(|seen: &Seen| match seen.nth {
        0 => ok(&status(&[item("upload", "Running", "")])),
        _ => endless(),
    })
    .await;
    let error = server.session().context_synced(&started(), within(4_000)).await.unwrap_err();
    assert_eq!(error.message(), "Context synchronisation was not finished within 4 s");
    let server = Server::start(|_| endless()).await;
    let error = server.session().context_synced(&started(), within(200)).await.unwrap_err();
    assert!(error.message().contains("the last look at it failed: timeout of"), "{}", error.message());
}

#[tokio::test]
async fn a_session_that_is_gone_ends_the_wait() {
    let server = Server::start(|_| not_found()).await;
    let error = server.session().context_synced(&started(), SyncLimits::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionNotFound);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_context_and_its_path_go_together() {
    let server = looks(vec![json!({})]).await;
    let session = server.session();
    for (context_id, path) in [("c", " "), ("", "/p")] {
        let target = SyncTarget { context_id: context_id.into(), path: path.into(), mode: String::new() };
        let error = session.start_context_sync(&target).await.unwrap_err();
        assert!(error.message().starts_with("context_id and path must be provided together"), "{}", error.message());
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn info_asks_for_what_was_given_and_reads_the_tasks() {
    let server = looks(vec![status(&[item("upload", "Success", "")])]).await;
    let found = server.session().context_info(Some("c"), Some(""), Some("upload")).await.unwrap();
    assert_eq!((found.items.len(), found.request_id.as_str()), (1, "r-1"));
    assert_eq!(server.seen()[0].raw_query, "sessionId=s-1&contextId=c&taskType=upload");
    let server = looks(vec![json!({"contextStatus": "["})]).await;
    let error = server.session().context_info(None, None, None).await.unwrap_err();
    assert!(error.message().starts_with("Unexpected error parsing context status: "), "{}", error.message());
}

#[tokio::test]
async fn deleting_with_a_sync_stores_first_and_releases_in_any_case() {
    let server = looks(vec![status(&[item("upload", "Success", "")])]).await;
    server.session().delete_synced().await.unwrap();
    let paths: Vec<String> = server.seen().into_iter().map(|seen| seen.path).collect();
    let synced = ["/sdk/GetContextInfo", "/sdk/SyncContext", "/sdk/GetContextInfo"];
    assert_eq!(paths, [&synced[..], &["/mcp/releaseSessionAsync", "/mcp/getSessionInfo"]].concat());

    let server = looks(vec![status(&[item("upload", "Failed", "disk full")])]).await;
    let error = server.session().delete_synced().await.unwrap_err();
    assert!(error.message().starts_with("The session was released, but its contexts were not"), "{}", error.message());
    assert!(error.message().ends_with("disk full"), "{}", error.message());
    assert_eq!(server.seen_at("/mcp/releaseSessionAsync").len(), 1);

    let server = Server::start(|_| reply(500, "{}")).await;
    let error = server.session().delete_synced().await.unwrap_err();
    assert!(error.message().starts_with("[Unknown]"), "{}", error.message());
}
