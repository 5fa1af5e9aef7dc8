use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::testing::{Seen, Server, ok, refuse, reply};

fn query_of(server: &Server, path: &str) -> String {
    server.seen_at(path).last().unwrap().raw_query.clone()
}

async fn answering(data: Value) -> Server {
    Server::start(move |_| ok(&data)).await
}

#[tokio::test]
async fn a_list_has_its_paging_beside_the_data() {
    let body = json!({"success": true, "requestId": "r", "nextToken": "n2", "maxResults": 2, "totalCount": 5,
        "data": [{"id": "c", "name": "n", "createTime": "t1", "lastUsedTime": "t2"}, null]});
    let server = Server::start(move |_| reply(200, body.to_string())).await;
    let contexts = server.agb().contexts();
    let page = contexts.list(None, None).await.unwrap();
    assert_eq!((page.next_token.as_str(), page.max_results, page.total_count), ("n2", Some(2.0), Some(5.0)));
    assert_eq!(page.contexts.len(), 1);
    assert_eq!(page.contexts[0].last_used_at.as_deref(), Some("t2"));
    assert_eq!(query_of(&server, "/sdk/ListContexts"), "maxResults=10");
    contexts.list(Some(2.0), Some("n2")).await.unwrap();
    assert_eq!(query_of(&server, "/sdk/ListContexts"), "maxResults=2&nextToken=n2");
}

#[tokio::test]
async fn getting_sends_what_was_given_trimmed_and_fills_in_what_the_answer_lacks() {
    let server = answering(json!({"state": "available"})).await;
    let contexts = server.agb().contexts();
    let wanted = ContextQuery { name: Some(" n ".into()), create: true, region: Some("eu".into()), id: None };
    let record = contexts.get(&wanted).await.unwrap();
    assert_eq!((record.context.id.as_str(), record.context.name.as_str()), ("", "n"));
    assert_eq!(query_of(&server, "/sdk/GetContext"), "name=n&loginRegionId=eu&allowCreate=true");
    let record = contexts.get(&ContextQuery { id: Some(" c ".into()), ..ContextQuery::default() }).await.unwrap();
    assert_eq!(record.context.id, "c");
    assert_eq!(query_of(&server, "/sdk/GetContext"), "id=c&allowCreate=false");
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_sent() {
    let server = answering(json!({})).await;
    let contexts = server.agb().contexts();
    let neither = contexts.get(&ContextQuery { name: Some("  ".into()), ..ContextQuery::default() }).await;
    let both = ContextQuery { id: Some("c".into()), name: Some("n".into()), create: true, region: None };
    let faults = [
        (neither.unwrap_err(), "Either context_id or name must be provided (cannot both be empty)"),
        (
            contexts.get(&both).await.unwrap_err(),
            "context_id cannot be provided when create=True (only name is allowed when creating)",
        ),
        (contexts.create(" ").await.unwrap_err(), "name cannot be empty or None"),
        (contexts.rename(" ", "n").await.unwrap_err(), "context.id cannot be empty or None"),
        (contexts.rename("c", " ").await.unwrap_err(), "context.name cannot be empty or None"),
        (contexts.delete("").await.unwrap_err(), "context.id cannot be empty or None"),
        (contexts.upload_url("", "/a").await.unwrap_err(), "context_id cannot be empty or None"),
        (contexts.download_url("c", " ").await.unwrap_err(), "file_path cannot be empty or None"),
        (contexts.delete_file("c", "").await.unwrap_err(), "file_path cannot be empty or None"),
        (contexts.list_files(" ", "", None, None).await.unwrap_err(), "context_id cannot be empty or None"),
    ];
    for (fault, text) in faults {
        assert_eq!((fault.kind(), fault.message()), (ErrorKind::InvalidArgument, text));
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_answer_without_data_is_no_context_and_a_refusal_keeps_the_services_words() {
    let server = Server::start(|seen: &Seen| match seen.path.as_str() {
        "/sdk/GetContext" => reply(200, r#"{"success":true,"requestId":"r-1"}"#),
        "/sdk/ListContexts" => reply(404, r#"{"success":false}"#),
        _ => refuse(400, "InvalidContext.NotFound", "Context not found"),
    })
    .await;
    let contexts = server.agb().contexts();
    let error = contexts.create("n").await.unwrap_err();
    assert_eq!((error.message(), error.request_id()), ("No context data in response", "r-1"));
    assert_eq!(contexts.list(None, None).await.unwrap_err().message(), "HTTP 404 error");
    let error = contexts.delete("c").await.unwrap_err();
    assert_eq!((error.message(), error.code()), ("Context not found", "InvalidContext.NotFound"));
    assert_eq!(contexts.start_clearing("c").await.unwrap_err().http_status(), Some(400));
}

#[tokio::test]
async fn files_are_addressed_by_context_and_path() {
    let server = Server::start(|seen: &Seen| match seen.path.as_str() {
        "/sdk/DescribeContextFiles" => reply(
            200,
            json!({"success": true, "requestId": "r", "count": 7, "data": [{"fileName": "a", "filePath": "/d/a",
                "fileType": "FILE", "gmtCreate": "t", "size": 3}]})
            .to_string(),
        ),
        _ => ok(&json!({"url": "http://h/x?token=t", "expireTime": 1_700_000_000})),
    })
    .await;
    let contexts = server.agb().contexts();
    let url = contexts.upload_url(" c ", " /d/a b ").await.unwrap();
    assert_eq!((url.url.as_str(), url.expire_time), ("http://h/x?token=t", Some(1_700_000_000.0)));
    assert!(!format!("{url:?}").contains("token"), "{url:?}");
    assert_eq!(query_of(&server, "/sdk/GetContextFileUploadUrl"), "contextId=c&filePath=%2Fd%2Fa+b");
    assert!(server.seen()[0].body.is_empty());
    contexts.download_url("c", "/d/a").await.unwrap();
    contexts.delete_file("c", "/d/a").await.unwrap();
    let page = contexts.list_files("c", " /d ", None, Some(5.0)).await.unwrap();
    assert_eq!((page.count, page.files[0].name.as_str(), page.files[0].size), (Some(7.0), "a", Some(3.0)));
    let query = "contextId=c&parentFolderPath=%2Fd&pageNumber=1&pageSize=5";
    assert_eq!(query_of(&server, "/sdk/DescribeContextFiles"), query);
    contexts.list_files("c", "", None, None).await.unwrap();
    assert!(query_of(&server, "/sdk/DescribeContextFiles").contains("parentFolderPath=&"));
}

/// A service whose context is available from the `nth` look on.
async fn clearing(nth: usize) -> Server {
    Server::start(move |seen: &Seen| match seen.path.as_str() {
        "/sdk/ClearContext" => ok(&json!({})),
        _ => ok(&json!({"state": if seen.nth >= nth { "available" } else { "clearing" }})),
    })
    .await
}

#[tokio::test]
async fn clearing_looks_until_the_context_is_available() {
    let server = clearing(2).await;
    let state = server.agb().contexts().clear("c", Duration::from_secs(60), Duration::from_secs(2)).await.unwrap();
    assert_eq!(state.state, "available");
    assert_eq!(server.seen_at("/sdk/GetContext").len(), 3);
    assert_eq!(query_of(&server, "/sdk/GetContext"), "id=c&allowCreate=false");
}

#[tokio::test]
async fn clearing_gives_up_after_its_time_and_at_once_when_that_is_shorter_than_the_interval() {
    let server = clearing(usize::MAX).await;
    let contexts = server.agb().contexts();
    let error = contexts.clear("c", Duration::from_millis(80), Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().starts_with("Context clearing timed out after "), "{}", error.message());
    let looks = server.seen_at("/sdk/GetContext").len();
    assert!((1..=81).contains(&looks), "{looks}");
    let error = contexts.clear("c", Duration::from_secs(1), Duration::from_secs(2)).await.unwrap_err();
    assert!(error.message().ends_with(" seconds"), "{}", error.message());
    assert_eq!(server.seen_at("/sdk/GetContext").len(), looks);
}
