//! What every request has in common: the key, the envelope, limits, and a journal.

use std::sync::{Arc, Mutex};

use agb_emulator::EmulatorOptions;
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{CODE_IMAGE, Peer, encoded};

#[tokio::test]
async fn a_request_without_the_key_or_with_another_is_denied() {
    let peer = Peer::start().await;
    let url = peer.url("/mcp/getSessionInfo");
    let key = peer.emulator.api_key();
    for header in [None, Some("Bearer".to_owned()), Some("Bearer ".to_owned()), Some("Bearer other".to_owned())]
        .into_iter()
        .chain([Some(key.to_owned()), Some(format!("Basic {key}")), Some(format!("Bearer {key}x"))])
    {
        let headers: Vec<(&str, String)> = header.map(|value| ("authorization", value)).into_iter().collect();
        let reply = peer.send(Method::POST, &url, b"{}".to_vec(), &headers).await;
        assert!(reply.failed(401, "AccessDenied").contains("access denied"));
        assert!(!reply.body.to_string().contains(key), "an answer never tells the key");
    }
}

#[tokio::test]
async fn the_key_is_the_given_one_or_a_random_one() {
    let given = Peer::with(EmulatorOptions { api_key: Some("ako-mine".to_owned()), ..Default::default() }).await;
    assert_eq!(given.emulator.api_key(), "ako-mine");
    given.get("/sdk/ListSession").await.data();
    let (one, two) = (Peer::start().await, Peer::start().await);
    assert!(one.emulator.api_key().starts_with("ako-"));
    assert_ne!(one.emulator.api_key(), two.emulator.api_key());
    let token = one.create(json!({})).await["token"].as_str().unwrap().to_owned();
    let debug = format!("{:?}", one.emulator);
    assert!(!debug.contains(one.emulator.api_key()) && !debug.contains(&token), "{debug}");
}

#[tokio::test]
async fn a_key_that_no_header_can_carry_is_refused_at_the_start() {
    for key in ["", "a b", "a\nb", "ä"] {
        let options = EmulatorOptions { api_key: Some(key.to_owned()), ..Default::default() };
        let error = agb_emulator::Emulator::start(options).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{key:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_and_says_why() {
    let peer = Peer::start().await;
    let url = peer.url("/mcp/getSession");
    for (body, says) in [
        (&b"{"[..], "not valid JSON"),
        (b"{\"a\":}", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[]", "must be a JSON object, not an array"),
        (b"\"x\"", "must be a JSON object, not a string"),
        (b"null", "must be a JSON object, not null"),
        (b"7", "must be a JSON object, not a number"),
    ] {
        let reply = peer.send(Method::POST, &url, body.to_vec(), &peer.bearer()).await;
        assert!(reply.failed(400, "InvalidParameter").contains(says), "{}", reply.body);
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    peer.send(Method::POST, &url, deep.into(), &peer.bearer()).await.failed(400, "InvalidParameter");
}

#[tokio::test]
async fn a_body_at_the_limit_is_read_and_one_byte_more_is_refused() {
    let peer = Peer::with(EmulatorOptions { max_body_bytes: 1_000, ..Default::default() }).await;
    let url = peer.url("/sdk/SyncContext");
    let padded = |length: usize| format!("{{}}{}", " ".repeat(length - 2)).into_bytes();
    let at_limit = peer.send(Method::POST, &url, padded(1_000), &peer.bearer()).await;
    assert_eq!(at_limit.failed(400, "InvalidParameter"), "sessionId is required");
    for length in [1_001, 5_000_000] {
        let over = peer.send(Method::POST, &url, padded(length), &peer.bearer()).await;
        assert!(over.failed(413, "RequestTooLarge").contains("1000 bytes"), "{}", over.body);
    }
}

#[tokio::test]
async fn an_unknown_route_is_named_in_the_answer() {
    let peer = Peer::start().await;
    let unknown = peer.post("/mcp/noSuchThing", json!({})).await;
    assert!(unknown.failed(501, "NotImplemented").contains("POST /mcp/noSuchThing is not a route"));
    for (method, path, allowed) in [
        (Method::GET, "/mcp/createSession", "POST"),
        (Method::PUT, "/mcp/getSession", "POST"),
        (Method::POST, "/sdk/ListSession", "GET"),
        (Method::DELETE, "/object/c/x", "GET or PUT"),
    ] {
        let reply = peer.send(method.clone(), &peer.url(path), Vec::new(), &peer.bearer()).await;
        let said = reply.failed(405, "MethodNotAllowed");
        assert_eq!(said, format!("{path} does not answer to {method}; try {allowed}"));
    }
}

#[tokio::test]
async fn the_journal_keeps_what_was_asked_and_no_secret() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let options = EmulatorOptions {
        log: Some(Arc::new(move |entry| log.lock().unwrap().push((entry.seq, entry.operation.clone())))),
        ..Default::default()
    };
    let peer = Peer::with(options).await;
    let id = peer.session(60).await;
    peer.status(&id).await;
    peer.post(&format!("/mcp/refreshSessionIdleTime?sessionId={id}"), json!({})).await;
    peer.get("/nowhere?a=1").await;
    let key = peer.emulator.api_key().to_owned();
    peer.post(&format!("/mcp/getSession?leak={}&token=t", encoded(&key)), json!({"leak": key})).await;

    let journal = peer.emulator.journal();
    let operations: Vec<&str> = journal.iter().map(|entry| entry.operation.as_str()).collect();
    assert_eq!(operations, ["createSession", "getSessionInfo", "refreshSessionIdleTime", "unknown", "getSession"]);
    assert_eq!(journal.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(
        journal.iter().map(|entry| entry.resets_idle_timer).collect::<Vec<_>>(),
        [false, false, true, false, false]
    );
    assert_eq!(journal[0].query["imageId"], CODE_IMAGE);
    assert_eq!(journal[0].body, Some(json!({"timeout": 60})));
    assert_eq!(journal[0].session_id.as_deref(), Some(id.as_str()));
    assert_eq!((journal[3].status, journal[3].path.as_str()), (501, "/nowhere"));
    assert!(!format!("{journal:?}").contains(&key), "{journal:?}");
    assert_eq!(journal[4].query["token"], "***");
    assert_eq!(seen.lock().unwrap().len(), 5);

    peer.emulator.clear_journal();
    assert_eq!(peer.emulator.journal(), []);
    peer.get("/sdk/ListSession").await;
    assert_eq!(peer.emulator.journal()[0].seq, 6);
}

/// Requests that make no sense, to routes that exist, with the right key.
fn hostile() -> impl Strategy<Value = (Method, String, Vec<u8>)> {
    let path = select(vec![
        "/mcp/createSession",
        "/mcp/getSession",
        "/mcp/getSessionInfo",
        "/mcp/releaseSession",
        "/mcp/releaseSessionAsync",
        "/mcp/refreshSessionIdleTime",
        "/mcp/getMcpResource",
        "/sdk/ListSession",
        "/sdk/SetLabel",
        "/sdk/GetLabel",
        "/internet/getLink",
        "/mcp",
        "/mcp/listTools",
        "/sdk/SyncContext",
        "/sdk/GetContextInfo",
        "/sdk/ListContexts",
        "/sdk/GetContext",
        "/sdk/ModifyContext",
        "/sdk/DeleteContext",
        "/sdk/ClearContext",
        "/sdk/GetContextFileDownloadUrl",
        "/sdk/GetContextFileUploadUrl",
        "/sdk/DeleteContextFile",
        "/sdk/DescribeContextFiles",
        "/sdk/GetAndLoadInternalContext",
        "/object/SESSION/a",
        "/link/SESSION/callTool",
        "/link/%ff/callTool",
        "/ws/SESSION",
        "/%2e%2e/%00",
        "/",
    ]);
    let method = select(vec![Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH]);
    let name = select(vec![
        "sessionId",
        "imageId",
        "labels",
        "Labels",
        "maxResults",
        "nextToken",
        "port",
        "protocolType",
        "args",
        "name",
        "tool",
        "timeout",
        "token",
        "requestId",
        "persistenceDataList",
        "id",
        "allowCreate",
        "contextId",
        "path",
        "filePath",
        "parentFolderPath",
        "pageNumber",
        "pageSize",
        "contextTypes",
        "expires",
    ]);
    let text = prop_oneof![
        Just("SESSION".to_owned()),
        Just(CODE_IMAGE.to_owned()),
        Just("{}".to_owned()),
        Just("[[[]]]".to_owned()),
        Just("99999999999999999999".to_owned()),
        any::<String>(),
    ];
    let value = prop_oneof![
        text.clone().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!({"a": [null]})),
    ];
    let query = proptest::collection::vec((name.clone(), text), 0..4).prop_map(|pairs| {
        pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
    });
    let raw_query = prop_oneof![query, Just("%".to_owned()), Just("a=%ff&&=&%zz".to_owned())];
    let object = proptest::collection::vec((name, value), 0..5).prop_map(|members| {
        let object: serde_json::Map<String, Value> =
            members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Value::Object(object).to_string().into_bytes()
    });
    let body = prop_oneof![4 => object, 1 => proptest::collection::vec(any::<u8>(), 0..64)];
    (method, path, raw_query, body).prop_map(|(method, path, query, body)| (method, format!("{path}?{query}"), body))
}

#[test]
fn no_request_is_answered_without_an_envelope_or_by_a_fault_of_the_emulator() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let peer = runtime.block_on(Peer::start());
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&hostile(), |(method, path, body)| {
        let id = runtime.block_on(peer.session(300));
        let body = String::from_utf8(body)
            .map_or_else(|bytes| bytes.into_bytes(), |text| text.replace("SESSION", &id).into_bytes());
        let url = peer.url(&path.replace("SESSION", &id));
        let reply = runtime.block_on(peer.send(method, &url, body, &peer.bearer()));
        prop_assert_ne!(reply.status, 500);
        Ok(())
    });
    runtime.block_on(peer.emulator.close());
    outcome.unwrap();
}
