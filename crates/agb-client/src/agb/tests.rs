//! Making, finding and listing sessions; configuration.

use std::sync::OnceLock;

use serde_json::json;

use super::*;
use crate::testing::{CLOSED_URL, Seen, Server, agb, not_found, ok, options, owned_by, refuse, reply};

fn params() -> CreateParams {
    CreateParams { image_id: "img 1".into(), ..CreateParams::default() }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn creating_sends_what_was_given_and_reads_what_came() {
    let data = json!({
        "sessionId": "s-9", "resourceUrl": "u", "appInstanceId": "a", "resourceId": "r", "linkUrl": "l", "wsUrl": "w",
        "token": "t", "toolList": [{"name": "shell", "server": "x"}]
    });
    let server = Server::start(move |_| ok(&data)).await;
    let params = CreateParams {
        labels: Some(object(json!({"a": "b"}))),
        policy_id: Some("pol".into()),
        idle_release_timeout_s: Some(Some(300.0)),
        ..params()
    };
    let session = server.agb().create(params).await.unwrap();
    assert_eq!(session.id(), "s-9");
    let details = session.details();
    assert_eq!((details.image_id.as_str(), details.request_id.as_str()), ("img 1", "r-1"));
    assert_eq!(
        (details.tool_list.text.as_str(), details.tool_list.tools.len()),
        (r#"[{"name":"shell","server":"x"}]"#, 1)
    );
    assert!(session.age().is_some() && session.mount_report().is_none());

    let seen = &server.seen()[0];
    assert_eq!(seen.path, "/mcp/createSession");
    assert!(seen.raw_query.starts_with("imageId=img+1&sdkStats=%7B%22source%22:%22sdk%22,"), "{}", seen.raw_query);
    assert_eq!(
        seen.query["sdkStats"],
        r#"{"source":"sdk","sdk_language":"typescript","sdk_version":"0.1.0","is_release":false}"#
    );
    assert_eq!(seen.body, r#"{"labels":"{\"a\":\"b\"}","mcpPolicyId":"pol","timeout":300}"#);
    assert_eq!(seen.header("authorization"), "Bearer ako-SECRET");
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("accept"), "application/json, text/plain, */*");
    assert!(seen.header("user-agent").starts_with("agbcloud-native/"));
}

#[tokio::test]
async fn an_absent_time_out_is_left_out_and_null_is_sent() {
    let server = Server::start(|_| ok(&json!({"sessionId": "s-9"}))).await;
    server.agb().create(params()).await.unwrap();
    server.agb().create(CreateParams { idle_release_timeout_s: Some(None), ..params() }).await.unwrap();
    server.agb().create(CreateParams { idle_release_timeout_s: Some(Some(0.0)), ..params() }).await.unwrap();
    let bodies: Vec<String> = server.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, ["{}", r#"{"timeout":null}"#, r#"{"timeout":0}"#]);
}

#[tokio::test]
async fn a_blank_image_is_refused_here() {
    let error = agb("http://127.0.0.1:1", &[]).create(CreateParams::default()).await.unwrap_err();
    assert_eq!(error.message(), "imageId is required and cannot be empty or null");
    assert_eq!(error.attempts(), 0);
}

#[tokio::test]
async fn a_refused_creation_says_why() {
    let say = async |status: u16, body: Value| {
        let server = Server::start(move |_| reply(status, body.to_string())).await;
        server.agb().create(params()).await.unwrap_err()
    };
    let suspended = json!({"success": true, "data": {"success": false, "errMsg": "account status is invalid: CEASED"}});
    assert_eq!(say(200, suspended).await.message(), "account status is invalid: CEASED");
    assert_eq!(say(200, json!({"success": true, "data": {"success": false}})).await.message(), "Unknown error");
    let contradiction = json!({"success": true, "message": "Success", "data": {"success": false}});
    assert_eq!(say(200, contradiction).await.message(), "Unknown error");
    assert_eq!(say(400, json!({"success": false, "message": "quota exceeded"})).await.message(), "quota exceeded");
    assert_eq!(say(200, json!({"success": true})).await.message(), "Session ID not found in response");
    let refused = say(401, json!({"success": false, "code": "AccessDenied", "message": "bad key"})).await;
    assert_eq!((refused.kind(), refused.message()), (ErrorKind::Authentication, "bad key"));
}

#[tokio::test]
async fn a_session_that_nobody_will_hold_is_released_and_named() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/mcp/createSession" => reply(
            200,
            json!({"success": true, "data": {"sessionId": "s-9", "success": false, "errMsg": "no"}}).to_string(),
        ),
        _ => ok(&Value::Null),
    })
    .await;
    let error = server.agb().create(params()).await.unwrap_err();
    assert_eq!(error.message(), "no (session s-9 was released)");
    assert_eq!(server.seen_at("/mcp/releaseSessionAsync")[0].json(), json!({"sessionId": "s-9"}));

    let stuck = Server::start(|_| reply(400, json!({"message": "no", "data": {"sessionId": "s-9"}}).to_string())).await;
    let error = stuck.agb().create(params()).await.unwrap_err();
    assert!(error.message().starts_with("no (session s-9 could not be released"), "{error}");
}

fn mounted() -> CreateParams {
    let mount = ContextMount { context_id: "c".into(), path: "/p".into(), policy_json: "{}".into() };
    CreateParams { persistence: vec![mount], ..params() }
}

fn mount_status(statuses: &[&str]) -> Value {
    let items: Vec<Value> = statuses.iter().map(|status| json!({"path": "/p", "status": status})).collect();
    let outer = json!([{"type": "data", "data": Value::from(items).to_string()}]);
    json!({"contextStatus": outer.to_string()})
}

#[tokio::test]
async fn mounts_are_waited_for_past_failing_looks_and_their_outcome_is_told() {
    let server = Server::start(|seen| match (seen.path.as_str(), seen.nth) {
        ("/mcp/createSession", _) => ok(&json!({"sessionId": "s-9"})),
        (_, 0) => refuse(500, "", "not yet"),
        (_, 1) => ok(&mount_status(&["Running", "Success"])),
        _ => ok(&mount_status(&["Failed", "Success"])),
    })
    .await;
    let session = server.agb().create(mounted()).await.unwrap();
    let report = session.mount_report().unwrap();
    assert!(report.finished && report.error.is_none());
    assert_eq!((report.items.len(), report.failed().count()), (2, 1));
    let looks = server.seen_at("/sdk/GetContextInfo");
    assert_eq!((looks.len(), looks[0].raw_query.as_str()), (3, "sessionId=s-9"));
}

#[tokio::test]
async fn a_session_that_vanishes_while_its_mounts_are_awaited_is_an_error() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/mcp/createSession" => ok(&json!({"sessionId": "s-9"})),
        _ => not_found(),
    })
    .await;
    let error = server.agb().create(mounted()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionNotFound);
    assert_eq!(
        error.message(),
        "Failed to create session: Resource [McpSession] is not found (session s-9 was released)"
    );
}

#[tokio::test]
async fn a_session_is_found_with_its_link() {
    let server = Server::start(|_| ok(&json!({"LinkUrl": "l", "Token": "t", "status": "RUNNING"}))).await;
    let record = server.agb().get_session("s-9").await.unwrap();
    assert_eq!((record.http_status, record.code.as_str()), (200, "ok"));
    assert_eq!(record.data.unwrap().session_id, "s-9");
    let session = server.agb().get("s-9").await.unwrap();
    assert_eq!((session.details().link_url.as_str(), session.details().token.as_str()), ("l", "t"));
    assert_eq!((session.details().image_id.as_str(), session.age()), ("", None));
}

#[tokio::test]
async fn a_session_that_is_not_found_is_named() {
    let server = Server::start(|_| not_found()).await;
    let error = server.agb().get("s-9").await.unwrap_err();
    assert_eq!(error.message(), "Failed to get session s-9: Resource [McpSession] is not found");
    assert_eq!(error.kind(), ErrorKind::SessionNotFound);
    assert_eq!(server.agb().get(" ").await.unwrap_err().message(), "sessionId is required");
    assert_eq!(server.seen().len(), 1);
}

fn page(ids: &[&str], next: &str) -> axum::response::Response {
    let data: Vec<Value> = ids.iter().map(|id| json!({ "sessionId": id })).collect();
    let body =
        json!({"success": true, "requestId": "r-1", "data": data, "nextToken": next, "maxResults": 2, "count": 3});
    reply(200, body.to_string())
}

#[tokio::test]
async fn pages_are_walked_by_token() {
    let server = Server::start(|seen| match seen.query.get("nextToken") {
        None => page(&["a", "b"], "t"),
        Some(_) => page(&["c"], ""),
    })
    .await;
    let second = server.agb().list(object(json!({"k": "v"})), Some(2.0), Some(2.0)).await.unwrap();
    assert_eq!((second.session_ids, second.next_token.as_str()), (vec!["c".to_owned()], ""));
    assert_eq!((second.max_results, second.total_count), (2.0, 3.0));
    let seen = server.seen();
    assert_eq!(seen[0].raw_query, "maxResults=2&labels=%7B%22k%22:%22v%22%7D");
    assert_eq!(seen[1].query["nextToken"], "t");

    let beyond = server.agb().list(Map::new(), Some(3.0), None).await.unwrap_err();
    assert_eq!(beyond.error.message(), "Cannot reach page 3: No more pages available");
    assert_eq!((beyond.max_results, beyond.total_count, beyond.error.request_id()), (10.0, 3.0, "r-1"));
    let below = server.agb().list(Map::new(), Some(0.0), Some(5.0)).await.unwrap_err();
    assert_eq!(below.error.message(), "Cannot reach page 0: Page number must be >= 1");
    assert_eq!(below.max_results, 5.0);
}

#[tokio::test]
async fn a_list_that_fails_says_why() {
    let server = Server::start(|_| reply(400, "{}")).await;
    let failure = server.agb().list(Map::new(), Some(2.0), None).await.unwrap_err();
    assert_eq!(failure.error.message(), "Cannot reach page 2: HTTP 400 error");
    let failure = agb(CLOSED_URL, &[]).list(Map::new(), None, None).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Connect);
    assert!(failure.error.message().starts_with("could not connect to "));
}

#[test]
fn values_come_from_code_then_environment_then_file_then_default() {
    let directory = tempfile::tempdir().unwrap();
    let file = "AGB_API_KEY=file-key\nAGB_ENDPOINT=file.example\nAGB_TIMEOUT_MS=3000\n";
    std::fs::write(directory.path().join(".env"), file).unwrap();
    let mut options = options("");
    options.api_key = None;
    options.directory = Some(directory.path().to_owned());
    let show = |options: &AgbOptions| {
        let agb = Agb::new(options.clone()).unwrap();
        (agb.api_key().to_owned(), agb.endpoint().to_owned(), agb.timeout_ms())
    };
    assert_eq!(show(&options), ("file-key".into(), "file.example".into(), 3000.0));
    options.env.insert("AGB_TIMEOUT_MS".into(), "2000".into());
    options.env.insert("AGB_API_KEY".into(), "env-key".into());
    assert_eq!(show(&options), ("env-key".into(), "file.example".into(), 2000.0));
    options.timeout_ms = Some(1000.0);
    options.endpoint = Some("code.example".into());
    options.api_key = Some("code-key".into());
    assert_eq!(show(&options), ("code-key".into(), "code.example".into(), 1000.0));
}

#[test]
fn without_a_key_nothing_starts() {
    let mut options = options("");
    options.api_key = Some(String::new());
    let error = Agb::new(options.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(
        error
            .message()
            .starts_with("API key is required. Provide it as a parameter or set the AGB_API_KEY environment variable")
    );
    options.api_key = Some("key\nmore".into());
    let error = Agb::new(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(!error.message().contains("more"));
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let load = |endpoint: &str, timeout: &str| {
        let env = BTreeMap::from([("AGB_TIMEOUT_MS".to_owned(), timeout.to_owned())]);
        config::load(Some(endpoint), None, None, None, &env)
    };
    for bad in ["abc", "NaN", "-1", "0", "inf", "1e300", "60s"] {
        let error = load("h", bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("AGB_TIMEOUT_MS") && error.message().contains(bad), "{error}");
    }
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = config::load(None, Some(bad), None, None, &BTreeMap::new()).unwrap_err();
        assert!(error.message().contains("timeoutMs"), "{error}");
    }
    for bad in ["ftp://h", "http://", "http://u:SECRET@h", "http://h?x=SECRET", "a b"] {
        let error = load(bad, "1").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
        assert!(!error.message().contains("SECRET"), "{error}");
    }
    assert_eq!(config::load(None, None, None, None, &BTreeMap::new()).unwrap(), config::default_config());
}

#[test]
fn a_bare_host_means_https_and_a_path_is_kept() {
    assert_eq!(config::base_url("sdk-api.agb.cloud").unwrap(), "https://sdk-api.agb.cloud");
    assert_eq!(config::base_url("localhost:8931").unwrap(), "https://localhost:8931");
    let base = config::base_url("http://h/pre/").unwrap();
    assert_eq!(
        url_of(&base, "mcp", &[("a", "x&=+ü".into()), ("b", String::new())]),
        "http://h/pre/mcp?a=x%26%3D%2B%C3%BC&b="
    );
}

#[tokio::test]
async fn a_session_whose_owner_is_not_told_is_left_alone() {
    let server = Server::start(|seen| match (seen.path.as_str(), seen.query.get("sessionId").map(String::as_str)) {
        ("/sdk/ListSession", _) if seen.query["labels"].contains("agbn.pid\"") => page(&[], ""),
        ("/sdk/ListSession", _) => page(&["s-1", "s-2", "s-3", "s-4"], ""),
        (_, Some("s-1")) => refuse(400, "Refused", "not now"),
        (_, Some("s-2")) => ok(&json!({"labels": {"agbn.pid": "1"}})),
        (_, Some("s-3")) => not_found(),
        // Of another run of the machine, whatever the list was asked for.
        _ => ok(&json!({"labels": {"agbn.boot": "b", "agbn.pidns": "1", "agbn.pid": "1", "agbn.start": "1"}})),
    })
    .await;
    let deletions = server.agb().reap_orphans(2).await.unwrap();
    let [Deletion { session_id, outcome: Err(error) }] = &deletions[..] else { panic!("{deletions:?}") };
    assert_eq!((session_id.as_str(), error.message()), ("s-1", "not now"));
    assert_eq!(server.seen_at("/sdk/GetLabel").len(), 4);
    assert!(server.seen_at("/mcp/releaseSessionAsync").is_empty());
}

#[tokio::test]
async fn a_lease_is_a_short_time_out_with_labels_of_the_process() {
    let server = Server::start(|_| ok(&json!({"sessionId": "s-9"}))).await;
    let leased = CreateParams { lease: Some(Lease { ttl_s: Some(45.0) }), ..params() };
    let session = server.agb().create(leased.clone()).await.unwrap();
    assert_eq!(session.lifecycle().idle_release_timeout, Some(Duration::from_secs(45)));
    assert!(session.keep_alive_status().is_some_and(|status| status.stopped.is_none()));
    // It would go on after this test, and meet whatever has the server's port then.
    session.stop_keep_alive();
    let body = server.seen()[0].json();
    let labels: Value = serde_json::from_str(body["labels"].as_str().unwrap()).unwrap();
    assert_eq!(
        (body["timeout"].as_f64(), labels["agbn.pid"].as_str()),
        (Some(45.0), Some(&*std::process::id().to_string()))
    );
    assert!(labels["agbn.create"].is_string());

    let refused = CreateParams { idle_release_timeout_s: Some(Some(60.0)), ..leased };
    assert_eq!(server.agb().create(refused).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_session_that_its_owner_does_not_take_is_released_wherever_it_was_on_its_way() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/mcp/createSession" => ok(&json!({"sessionId": "s-9"})),
        "/mcp/releaseSessionAsync" => ok(&Value::Null),
        _ => ok(&json!({"status": "FINISH"})),
    })
    .await;
    let mut creation = Box::pin(server.agb().create(CreateParams { recover: true, ..params() }));
    assert!(futures_util::poll!(&mut creation).is_pending());
    let until = async |path: &str| {
        while server.seen_at(path).is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    until("/mcp/createSession").await;
    // Time for the answer to come as near as it can.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(server.seen_at("/mcp/releaseSessionAsync").is_empty());
    drop(creation);
    until("/mcp/releaseSessionAsync").await;
}

#[tokio::test]
async fn a_session_that_was_named_and_released_is_not_found_again() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/mcp/createSession" => {
            reply(500, json!({"success": false, "message": "broke", "data": {"sessionId": "s-9"}}).to_string())
        }
        "/sdk/ListSession" => page(&["s-9"], ""),
        _ => ok(&json!({"sessionId": "s-9"})),
    })
    .await;
    let error = server.agb().create(CreateParams { recover: true, ..params() }).await.unwrap_err();
    assert_eq!(error.message(), "broke (session s-9 was released)");
    assert!(server.seen_at("/sdk/ListSession").is_empty());
}

#[tokio::test]
async fn at_the_end_of_the_process_a_session_is_looked_for_all_the_time_from_the_beginning() {
    // More looks than there are while nothing ends.
    let server = Server::start(|seen| match seen.path.as_str() {
        "/mcp/createSession" => refuse(500, "", "lost"),
        "/sdk/ListSession" if seen.nth < 6 => page(&[], ""),
        "/sdk/ListSession" => page(&["s-9"], ""),
        _ => ok(&json!({"sessionId": "s-9"})),
    })
    .await;
    let agb = owned_by(&server.url, 1);
    let registry: &'static Registry = Box::leak(Box::default());
    let creating = registry.creating(&agb);
    registry.begin_end();
    let found = agb.create_recoverably(CreateParams { recover: true, ..params() }, creating).await.unwrap();
    assert_eq!(found.id(), "s-9");
}

/// A service that takes twenty seconds of its clock for each answer.
async fn slow_server(answer: impl Fn(&Seen) -> axum::response::Response + Clone + Send + Sync + 'static) -> Server {
    let clock = Arc::new(OnceLock::<Clock>::new());
    let moved = clock.clone();
    let server = Server::start(move |seen| {
        moved.get().unwrap().advance(Duration::from_secs(20));
        answer(seen)
    })
    .await;
    assert!(clock.set(Clock::of_service(&server.url)).is_ok());
    server
}

#[tokio::test]
async fn a_session_counts_as_created_when_it_was_asked_for_whatever_its_creation_waited_for() {
    let server = slow_server(|seen| match seen.path.as_str() {
        "/mcp/createSession" => ok(&json!({"sessionId": "s-9"})),
        _ if seen.nth < 2 => ok(&mount_status(&["Running"])),
        _ => ok(&mount_status(&["Success"])),
    })
    .await;
    let created = server.agb().create(mounted()).await.unwrap();
    assert!(created.age().unwrap() >= Duration::from_secs(80), "{created:?}");
    assert!(created.idle_for() >= Duration::from_secs(80), "{created:?}");
}

#[tokio::test]
async fn so_does_one_whose_answer_got_lost_and_finding_it_again_was_its_last_use() {
    let server = slow_server(|seen| match seen.path.as_str() {
        "/mcp/createSession" => refuse(500, "", "lost"),
        "/sdk/ListSession" => page(&["s-9"], ""),
        _ => ok(&json!({"sessionId": "s-9"})),
    })
    .await;
    let found = server.agb().create(CreateParams { recover: true, ..params() }).await.unwrap();
    assert!(found.age().unwrap() >= Duration::from_secs(60), "{found:?}");
    assert!(found.idle_for() < Duration::from_secs(20), "{found:?}");
}

#[test]
fn sessions_that_nobody_holds_are_forgotten_however_they_were_found() {
    let agb = crate::testing::agb("http://service.test", &[]);
    let held = agb.life_of_found("held");
    for number in 0..100 {
        agb.life_of_found(&format!("s-{number}"));
        agb.life_of_new(&format!("n-{number}"), None, agb.clock().moment());
    }
    assert!(agb.lock_lives().len() < 10);
    assert!(agb.life_of_found("held").is_same(&held));
}
