//! The session endpoints: what each answers, and what it refuses.

use std::collections::HashSet;

use agb_emulator::{EmulatorOptions, EndReason, SessionState};
use serde_json::{Value, json};

use crate::support::{CODE_IMAGE, NO_SESSION, Peer, encoded};

#[tokio::test]
async fn creation_answers_everything_that_a_client_needs_to_reach_the_session() {
    let peer = Peer::start().await;
    let stats = encoded(r#"{"source":"sdk","sdk_language":"typescript","sdk_version":"0.1.0","is_release":false}"#);
    let reply = peer
        .post(
            &format!("/mcp/createSession?imageId={CODE_IMAGE}&sdkStats={stats}"),
            json!({"labels": r#"{"team":"a"}"#, "timeout": 600, "mcpPolicyId": "p", "persistenceDataList": []}),
        )
        .await;
    let data = reply.data();
    let id = data["sessionId"].as_str().unwrap();
    let tail = id.strip_prefix("session-").unwrap();
    assert_eq!(tail.len(), 25);
    assert!(tail.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit()), "{id}");
    assert_eq!(data["success"], true);
    assert_eq!(data["errMsg"], "");
    for member in ["appInstanceId", "resourceId", "token"] {
        assert!(data[member].as_str().is_some_and(|value| !value.is_empty()), "{member} in {data}");
    }
    assert!(data["resourceUrl"].as_str().unwrap().contains("resourceId="));
    assert_eq!(data["linkUrl"], format!("{}/link/{id}", peer.emulator.url()));
    assert_eq!(data["wsUrl"], format!("{}/ws/{id}", peer.emulator.url().replace("http", "ws")));
    let tools: Value = serde_json::from_str(data["toolList"].as_str().unwrap()).unwrap();
    assert!(tools.as_array().unwrap().iter().any(|tool| tool["name"] == "shell" && tool["server"] != ""), "{tools}");

    let view = peer.view(id);
    assert_eq!(view.state, SessionState::Created);
    assert_eq!(view.image_id, CODE_IMAGE);
    assert_eq!(view.idle_release_timeout_s, 600.0);
    assert_eq!(view.labels["team"], "a");
    assert_eq!((view.last_call, view.end_reason), (None, None));
}

#[tokio::test]
async fn creation_refuses_what_it_cannot_do_and_says_why() {
    let peer = Peer::start().await;
    let good = format!("/mcp/createSession?imageId={CODE_IMAGE}");
    for (path, body, says) in [
        ("/mcp/createSession", json!({}), "imageId is required"),
        ("/mcp/createSession?imageId=", json!({}), "imageId is required"),
        ("/mcp/createSession?imageId=no-such-image", json!({}), "no-such-image"),
        (&good, json!({"timeout": "60"}), "timeout must be a number"),
        (&good, json!({"labels": {"a": "b"}}), "labels must be a string"),
        (&good, json!({"labels": "{"}), "labels is not valid JSON"),
        (&good, json!({"labels": "[1]"}), "labels must hold a JSON object"),
        (&good, json!({"persistenceDataList": "x"}), "persistenceDataList must be an array"),
    ] {
        let reply = peer.post(path, body).await;
        assert!(reply.failed(400, "InvalidParameter").contains(says), "{}", reply.body);
    }
    let mounts = peer.post(&good, json!({"persistenceDataList": [{"contextId": "c", "path": "/p"}]})).await;
    mounts.failed(400, "InvalidContext.NotFound");
    assert_eq!(peer.emulator.sessions(), []);
}

#[tokio::test]
async fn a_null_timeout_is_no_timeout_and_an_empty_label_object_no_labels() {
    let peer = Peer::start().await;
    let data = peer.create(json!({"timeout": null, "labels": "{}"})).await;
    let view = peer.view(data["sessionId"].as_str().unwrap());
    assert_eq!(view.idle_release_timeout_s, 300.0);
    assert!(view.labels.is_empty());
}

#[tokio::test]
async fn links_follow_the_image_or_the_option() {
    let peer = Peer::start().await;
    let of_image = async |peer: &Peer, image: &str| {
        let reply = peer.post(&format!("/mcp/createSession?imageId={image}"), json!({})).await;
        assert_ne!(reply.data()["token"], "");
        assert_ne!(reply.data()["wsUrl"], "");
        reply.data()["linkUrl"] != ""
    };
    assert!(of_image(&peer, "agb-code-space-2").await);
    assert!(of_image(&peer, "agb-browser-use-1").await);
    assert!(of_image(&peer, "agb-computer-use-ubuntu-2204").await);
    assert!(!of_image(&peer, "agb-computer-use-1").await);

    let options = EmulatorOptions { link_url: Some(false), images: vec!["mine".to_owned()], ..Default::default() };
    let without = Peer::with(options).await;
    assert!(!of_image(&without, "agb-code-space-1").await);
    assert!(!of_image(&without, "mine").await);
}

#[tokio::test]
async fn looking_a_session_up_gives_the_same_connection_and_a_fresh_resource_url() {
    let peer = Peer::start().await;
    let created = peer.create(json!({})).await;
    let reply = peer.post("/mcp/getSession", json!({"sessionId": created["sessionId"]})).await;
    let data = reply.data();
    for member in ["sessionId", "appInstanceId", "resourceId", "linkUrl", "wsUrl", "token", "toolList"] {
        assert_eq!(data[member], created[member], "{member}");
    }
    assert_eq!(data["status"], "RUNNING");
    assert_ne!(data["resourceUrl"], created["resourceUrl"]);
}

#[tokio::test]
async fn the_resource_of_a_session_has_its_desktop_information() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    let reply = peer.post("/mcp/getMcpResource", json!({"sessionId": id})).await;
    let data = reply.data();
    assert_eq!(data["sessionId"], id);
    assert!(data["resourceUrl"].as_str().unwrap().contains("resourceId="));
    for member in ["appId", "authCode", "connectionProperties", "resourceId", "resourceType", "ticket"] {
        assert!(data["desktopInfo"][member].is_string(), "{member} in {data}");
    }
}

#[tokio::test]
async fn a_release_is_accepted_at_once_and_ends_as_finish() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    peer.post("/mcp/releaseSessionAsync", json!({"sessionId": id})).await.data();
    let status = peer.status(&id).await;
    assert!(["DELETING", "FINISH"].contains(&status.as_str()), "{status}");
    peer.until(&id, SessionState::Released).await;
    assert_eq!(peer.status(&id).await, "FINISH");
    assert_eq!(peer.view(&id).end_reason, Some(EndReason::ApiCall));
}

#[tokio::test]
async fn the_older_release_answers_when_the_teardown_is_done() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    peer.post("/mcp/releaseSession", json!({"sessionId": id})).await.data();
    assert_eq!(peer.status(&id).await, "FINISH");
}

#[tokio::test]
async fn every_call_on_a_released_and_on_an_unknown_session_fails_as_the_service_does() {
    let peer = Peer::start().await;
    let created = peer.create(json!({})).await;
    let released = created["sessionId"].as_str().unwrap().to_owned();
    peer.post("/mcp/releaseSession", json!({"sessionId": released})).await.data();
    peer.advance(31).await;
    for id in [released.as_str(), "session-unknown"] {
        let body = json!({"sessionId": id});
        for path in [
            "/mcp/getSession",
            "/mcp/getSessionInfo",
            "/mcp/getMcpResource",
            "/mcp/releaseSession",
            "/mcp/releaseSessionAsync",
        ] {
            let reply = peer.post(path, body.clone()).await;
            assert_eq!(reply.failed(400, NO_SESSION), "Resource [McpSession] is not found", "{path}");
        }
        for path in ["/mcp/refreshSessionIdleTime?", "/sdk/SetLabel?Labels=%7B%22a%22%3A1%7D&", "/sdk/SyncContext?"] {
            peer.post(&format!("{path}sessionId={id}"), json!({})).await.failed(400, NO_SESSION);
        }
        for path in ["/sdk/GetLabel", "/internet/getLink", "/mcp/getLink", "/sdk/GetContextInfo"] {
            peer.get(&format!("{path}?sessionId={id}&port=30100")).await.failed(400, NO_SESSION);
        }
        let tool = peer.shell(id, "true").await;
        assert_eq!(tool.failed(200, "InvalidSession.NotFound"), "Resource [Session] is not found");
        let headers = [("x-access-token", created["token"].as_str().unwrap().to_owned())];
        let url = peer.url(&format!("/link/{id}/callTool"));
        let link = peer.send(reqwest::Method::POST, &url, br#"{"tool":"shell","args":{}}"#.into(), &headers).await;
        let (is_error, text) = link.tool();
        assert!(is_error && text.contains(id) && text.contains("expired"), "{text}");
        let entry = peer.emulator.journal().pop().unwrap();
        assert_eq!((entry.tool.as_deref(), entry.success), (Some("shell"), false));
    }
    assert_eq!(peer.get("/sdk/ListSession").await.body["count"], 0);
}

#[tokio::test]
async fn a_call_without_a_session_id_or_with_one_of_another_type_says_so() {
    let peer = Peer::start().await;
    for path in [
        "/mcp/getSession",
        "/mcp/getSessionInfo",
        "/mcp/getMcpResource",
        "/mcp/releaseSession",
        "/mcp/releaseSessionAsync",
        "/mcp/refreshSessionIdleTime",
        "/sdk/SetLabel",
    ] {
        let missing = peer.post(path, json!({})).await;
        assert_eq!(missing.failed(400, "InvalidParameter"), "sessionId is required", "{path}");
        let number = peer.post(path, json!({"sessionId": 7})).await;
        assert_eq!(number.failed(400, "InvalidParameter"), "sessionId must be a string, not a number", "{path}");
    }
    for path in ["/sdk/GetLabel", "/internet/getLink?sessionId="] {
        assert_eq!(peer.get(path).await.failed(400, "InvalidParameter"), "sessionId is required");
    }
}

#[tokio::test]
async fn keeping_alive_takes_the_id_from_the_query_with_and_without_a_body() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    let url = peer.url(&format!("/mcp/refreshSessionIdleTime?sessionId={id}"));
    for body in ["", "{}", " \n"] {
        peer.send(reqwest::Method::POST, &url, body.into(), &peer.bearer()).await.data();
    }
    let view = peer.view(&id);
    assert_eq!(view.state, SessionState::Idle);
    assert_eq!(view.last_call.unwrap().operation, "refreshSessionIdleTime");
}

#[tokio::test]
async fn setting_labels_replaces_all_of_them_and_keeps_their_order() {
    let peer = Peer::start().await;
    let id = peer.create(json!({"labels": r#"{"old":"1"}"#})).await["sessionId"].as_str().unwrap().to_owned();
    let labels = r#"{"z":"1","a b":"ä+&,:$","m":"3"}"#;
    peer.post(&format!("/sdk/SetLabel?sessionId={id}&Labels={}", encoded(labels)), json!({})).await.data();
    let reply = peer.get(&format!("/sdk/GetLabel?sessionId={id}")).await;
    assert_eq!(reply.data()["labels"], labels);
}

#[tokio::test]
async fn labels_that_are_no_object_are_refused_and_the_old_ones_stay() {
    let peer = Peer::start().await;
    let id = peer.create(json!({"labels": r#"{"old":"1"}"#})).await["sessionId"].as_str().unwrap().to_owned();
    for (labels, says) in
        [("", "Labels is required"), ("[]", "must hold a JSON object, not an array"), ("{a", "not valid JSON")]
    {
        let reply = peer.post(&format!("/sdk/SetLabel?sessionId={id}&Labels={}", encoded(labels)), json!({})).await;
        assert!(reply.failed(400, "InvalidParameter").contains(says), "{}", reply.body);
    }
    assert_eq!(peer.get(&format!("/sdk/GetLabel?sessionId={id}")).await.data()["labels"], r#"{"old":"1"}"#);
}

#[tokio::test]
async fn a_session_without_labels_has_an_empty_object_of_them() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    assert_eq!(peer.get(&format!("/sdk/GetLabel?sessionId={id}")).await.data()["labels"], "{}");
}

/// Walks all pages; returns the ids and the page lengths.
async fn walk(peer: &Peer, filter: &str, limit: usize) -> (Vec<String>, Vec<usize>) {
    let (mut ids, mut lengths, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let path =
            format!("/sdk/ListSession?maxResults={limit}&nextToken={}&labels={}", encoded(&token), encoded(filter));
        let reply = peer.get(&path).await;
        let page = reply.data().as_array().unwrap();
        assert!(page.iter().all(|entry| entry["sessionStatus"] == "RUNNING"));
        assert_eq!(reply.body["maxResults"], limit);
        lengths.push(page.len());
        ids.extend(page.iter().map(|entry| entry["sessionId"].as_str().unwrap().to_owned()));
        token = reply.body["nextToken"].as_str().unwrap().to_owned();
        if token.is_empty() {
            assert_eq!(reply.body["count"], ids.len());
            return (ids, lengths);
        }
    }
}

#[tokio::test]
async fn twenty_five_sessions_are_listed_newest_first_page_by_page_and_by_their_labels() {
    let peer = Peer::start().await;
    let mut created = Vec::new();
    for number in 0..25 {
        let team = if number % 2 == 0 { "even" } else { "odd" };
        let labels = json!({"team": team, "third": (number % 3 == 0).to_string()}).to_string();
        created.push(peer.create(json!({"labels": labels})).await["sessionId"].as_str().unwrap().to_owned());
    }
    created.reverse();
    assert_eq!(walk(&peer, "{}", 10).await, (created.clone(), vec![10, 10, 5]));
    assert_eq!(walk(&peer, "{}", 5).await.1, [5; 5], "no empty page at the end");
    assert_eq!(walk(&peer, "{}", 100).await.1, [25]);
    assert_eq!(walk(&peer, r#"{"team":"even"}"#, 5).await.1, [5, 5, 3]);
    assert_eq!(walk(&peer, r#"{"team": "even", "third": "true"}"#, 5).await.1, [5]);
    assert_eq!(walk(&peer, r#"{"team":"none"}"#, 5).await.1, [0]);
    assert_eq!(created.iter().collect::<HashSet<_>>().len(), 25);
    assert_eq!(peer.get("/sdk/ListSession").await.data().as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn a_page_stays_in_place_when_sessions_come_and_go_between_pages() {
    let peer = Peer::start().await;
    let mut created = Vec::new();
    for _ in 0..4 {
        created.push(peer.session(300).await);
    }
    let first = peer.get("/sdk/ListSession?maxResults=2").await;
    peer.session(300).await;
    peer.post("/mcp/releaseSession", json!({"sessionId": created[2]})).await.data();
    let token = first.body["nextToken"].as_str().unwrap();
    let second = peer.get(&format!("/sdk/ListSession?maxResults=2&nextToken={token}")).await;
    let ids: Vec<&str> =
        second.data().as_array().unwrap().iter().map(|entry| entry["sessionId"].as_str().unwrap()).collect();
    assert_eq!(ids, [&created[1], &created[0]]);
}

#[tokio::test]
async fn a_list_refuses_page_lengths_tokens_and_filters_that_make_no_sense() {
    let peer = Peer::start().await;
    for query in ["maxResults=0", "maxResults=-1", "maxResults=ten", "nextToken=x", "labels=%7B", "labels=%5B%5D"] {
        peer.get(&format!("/sdk/ListSession?{query}")).await.failed(400, "InvalidParameter");
    }
}

#[tokio::test]
async fn the_tools_of_an_image_come_as_json_in_a_string() {
    let peer = Peer::start().await;
    let reply = peer.post(&format!("/mcp/listTools?imageId={CODE_IMAGE}"), json!({})).await;
    let tools: Vec<Value> = serde_json::from_str(reply.data().as_str().unwrap()).unwrap();
    for wanted in ["shell", "run_code", "write_file", "read_file"] {
        let tool = tools.iter().find(|tool| tool["name"] == wanted).unwrap_or_else(|| panic!("{wanted}"));
        assert!(tool["description"].is_string() && tool["inputSchema"].is_object(), "{tool}");
    }
    peer.post("/mcp/listTools?imageId=", json!({})).await.failed(400, "InvalidParameter");
    peer.post("/mcp/listTools?imageId=nope", json!({})).await.failed(400, "InvalidParameter");
}

#[tokio::test]
async fn a_link_leads_to_a_port_of_the_session_and_says_what_is_wrong_with_others() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    let link = async |query: &str| peer.get(&format!("/internet/getLink?sessionId={id}{query}")).await;
    assert_eq!(link("&protocolType=https&port=30100").await.data()["url"], "http://127.0.0.1:30100/");
    assert_eq!(link("&protocolType=wss&port=30199").await.data()["url"], "ws://127.0.0.1:30199/");
    assert_eq!(link("&port=30150").await.data()["url"], "http://127.0.0.1:30150/");
    for (query, says) in [
        ("", "only BrowserUse images"),
        ("&protocolType=https", "port is not valid: null"),
        ("&port=30099", "port is not valid: 30099"),
        ("&port=30200", "30199"),
        ("&port=x", "port is not valid: x"),
        ("&protocolType=ftp&port=30100", "No enum constant ProtocolTypeEnum.ftp"),
    ] {
        let reply = link(query).await;
        assert!(reply.failed(400, "InvalidParameter").contains(says), "{}", reply.body);
    }
    let same = peer.get(&format!("/mcp/getLink?sessionId={id}&port=30100")).await;
    assert_eq!(same.data()["url"], "http://127.0.0.1:30100/");
}

#[tokio::test]
async fn deleting_with_a_context_sync_works_when_there_are_no_contexts() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    peer.post(&format!("/sdk/SyncContext?sessionId={id}"), json!({})).await.data();
    assert_eq!(peer.get(&format!("/sdk/GetContextInfo?sessionId={id}")).await.data()["contextStatus"], "[]");
    peer.post(&format!("/sdk/SyncContext?sessionId={id}&contextId=c&path=/p"), json!({}))
        .await
        .failed(400, "InvalidContext.NotFound");
}

#[tokio::test]
async fn a_limit_of_sessions_refuses_one_more_until_one_is_released() {
    let peer = Peer::with(EmulatorOptions { max_sessions: Some(2), ..Default::default() }).await;
    let first = peer.session(300).await;
    peer.session(300).await;
    let create = async || peer.post(&format!("/mcp/createSession?imageId={CODE_IMAGE}"), json!({})).await;
    let refused = create().await;
    let message = refused.failed(400, "QuotaExceeded");
    assert!(message.contains("quota exceeded") && message.contains("2 sessions"), "{message}");
    peer.post("/mcp/releaseSession", json!({"sessionId": first})).await.data();
    create().await.data();
}

#[tokio::test]
async fn a_seed_makes_the_ids_of_two_runs_equal() {
    let ids = async |seed| {
        let peer = Peer::with(EmulatorOptions { seed: Some(seed), ..Default::default() }).await;
        let first = peer.create(json!({})).await;
        peer.get("/sdk/ListSession").await;
        [first, peer.create(json!({})).await].map(|data| (data["sessionId"].clone(), data["token"].clone()))
    };
    let first = ids(1).await;
    assert_eq!(first, ids(1).await);
    assert_ne!(first, ids(2).await);
    assert_ne!(first[0], first[1]);
}
