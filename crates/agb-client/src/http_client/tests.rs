use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::testing::{CLOSED_URL, RawServer, Server, agb, not_found, ok, reply};

const KEY: &str = "ako-SECRET";

fn client(url: &str) -> HttpClient {
    agb(url, &[]).http_client()
}

fn get(endpoint: &str) -> HttpRequest {
    HttpRequest { method: Some("get".into()), endpoint: endpoint.into(), ..HttpRequest::default() }
}

fn post(endpoint: &str, body: &'static str) -> HttpRequest {
    HttpRequest { method: Some("POST".into()), body: Bytes::from_static(body.as_bytes()), ..get(endpoint) }
}

/// A request to one of the service's own endpoints.
fn own(endpoint: &str, body: &'static str) -> HttpRequest {
    HttpRequest { method: None, authorization: KEY.into(), ..post(endpoint, body) }
}

#[tokio::test]
async fn the_whole_answer_comes_back() {
    let server = Server::start(|_| {
        let mut response = ok(&json!({"a": 1}));
        response.headers_mut().append("x-two", "1".parse().unwrap());
        response.headers_mut().append("X-Two", "2".parse().unwrap());
        response
    })
    .await;
    let record = client(&server.url).send(get("/a/b")).await.unwrap();
    assert_eq!((record.status, record.success, record.attempts, record.retryable), (200, true, 1, false));
    assert_eq!((record.url, record.request_id.as_str()), (format!("{}/a/b", server.url), "r-1"));
    assert!(record.headers.contains(&("x-two".to_owned(), "1, 2".to_owned())), "{:?}", record.headers);
    assert!(matches!(record.body, HttpBody::Json(text) if text.contains(r#""data":{"a":1}"#)));
}

#[tokio::test]
async fn the_header_names_the_request_where_the_body_does_not() {
    let server = Server::start(|_| {
        let mut response = reply(404, "<html>");
        response.headers_mut().insert("x-request-id", "r-9".parse().unwrap());
        response
    })
    .await;
    let record = client(&server.url).send(get("x")).await.unwrap();
    assert_eq!((record.status, record.success, record.request_id.as_str()), (404, false, "r-9"));
    assert_eq!(record.body, HttpBody::Text("<html>".into()));
}

#[tokio::test]
async fn query_and_headers_go_out_as_they_are_meant() {
    let server = Server::start(|_| ok(&json!({}))).await;
    let request = HttpRequest {
        params: vec![("a b".into(), "x&=+ü".into()), ("c".into(), "1:2,3".into()), ("e".into(), String::new())],
        headers: vec![("Accept".into(), "text/plain".into()), ("X-Mine".into(), "yes".into())],
        authorization: KEY.into(),
        ..get("x?first=1")
    };
    client(&server.url).send(request).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.raw_query, "first=1&a+b=x%26%3D%2B%C3%BC&c=1:2,3&e=");
    assert_eq!((seen.header("accept"), seen.header("x-mine")), ("text/plain", "yes"));
    assert_eq!((seen.header("authorization"), seen.header("content-type")), ("Bearer ako-SECRET", "application/json"));
}

#[tokio::test]
async fn what_has_a_scheme_is_sent_as_it_is_and_nothing_without_a_key() {
    let server = Server::start(|_| ok(&json!({}))).await;
    let client = client(&server.url);
    client.send(HttpRequest { authorization: "Basic dTpw".into(), ..get("x") }).await.unwrap();
    client.send(get("x")).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].header("authorization"), "Basic dTpw");
    assert!(!seen[1].headers.contains_key("authorization"));
}

#[tokio::test]
async fn the_services_own_endpoints_know_their_method_and_whether_they_take_a_body() {
    let server = Server::start(|_| ok(&json!({}))).await;
    let client = client(&server.url);
    for path in ["sdk/GetLabel", "/sdk/SetLabel", "mcp/getSession"] {
        client.send(own(path, "{\"a\":1}")).await.unwrap();
    }
    let seen = server.seen();
    let sent: Vec<_> = seen.iter().map(|seen| (seen.method.as_str(), seen.body.as_str())).collect();
    assert_eq!(sent, [("GET", ""), ("POST", ""), ("POST", "{\"a\":1}")]);
    assert_eq!(seen[1].header("content-length"), "0");
}

#[tokio::test]
async fn every_method_is_sent_and_only_its_own_body_is_framed() {
    let server = Server::start(|_| ok(&json!({}))).await;
    let client = client(&server.url);
    for method in ["GET", "options", "Put", "PATCH", "DELETE", "HEAD"] {
        let headers = vec![("content-length".into(), "99".into()), ("transfer-encoding".into(), "chunked".into())];
        let request = HttpRequest { method: Some(method.into()), headers, ..get("x") };
        assert_eq!(client.send(request).await.unwrap().status, 200, "{method}");
    }
    let methods: Vec<_> = server.seen().iter().map(|seen| seen.method.to_string()).collect();
    assert_eq!(methods, ["GET", "OPTIONS", "PUT", "PATCH", "DELETE", "HEAD"]);
}

#[tokio::test]
async fn only_what_is_safe_is_sent_again() {
    let server = Server::start(|_| reply(503, "busy")).await;
    let client = client(&server.url);
    let attempts = async |request| {
        let record = client.send(request).await.unwrap();
        assert!(record.retryable);
        record.attempts
    };
    assert_eq!(attempts(get("x")).await, 4);
    assert_eq!(attempts(own("mcp/getSession", "{}")).await, 4);
    assert_eq!(attempts(post("mcp/getSession", "{}")).await, 4);
    assert_eq!(attempts(post("x", "{}")).await, 1);
    assert_eq!(attempts(own("mcp", "{}")).await, 1);
    assert_eq!(attempts(HttpRequest { method: Some("DELETE".into()), ..post("mcp/getSession", "") }).await, 1);
}

#[tokio::test]
async fn where_there_is_no_answer_the_record_says_why() {
    let record = client(CLOSED_URL).send(post("x", "{}")).await.unwrap();
    assert_eq!((record.status, record.success, record.attempts), (0, false, 4));
    assert!(matches!(&record.body, HttpBody::Text(text) if text.starts_with("could not connect to 127.0.0.1:")));

    let broken = RawServer::start(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", false).await;
    let record = client(&broken.url).send(post("x", "{}")).await.unwrap();
    assert_eq!((record.status, record.attempts, record.retryable), (0, 1, true));

    let moved = RawServer::start(b"HTTP/1.1 302 Found\r\nlocation: /y\r\ncontent-length: 0\r\n\r\n", false).await;
    let record = client(&moved.url).send(get("x")).await.unwrap();
    assert_eq!((record.status, record.success, record.attempts), (302, false, 1));

    let silent = RawServer::start(b"", true).await;
    let limited = HttpRequest { read_limit: Some(Duration::from_millis(100)), ..post("x", "{}") };
    let record = client(&silent.url).send(limited).await.unwrap();
    assert!(matches!(&record.body, HttpBody::Text(text) if text.starts_with("timeout of 100ms exceeded")));
}

#[tokio::test]
async fn a_refusal_of_the_service_is_a_record_like_any_other() {
    let server = Server::start(|_| not_found()).await;
    let record = client(&server.url).send(own("mcp/getSession", "{}")).await.unwrap();
    assert_eq!((record.status, record.success, record.request_id.as_str()), (400, false, "r-1"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_and_nothing_leaves() {
    let server = Server::start(|_| ok(&json!({}))).await;
    let client = client(&server.url);
    let header = |name: &str, value: &str| HttpRequest { headers: vec![(name.into(), value.into())], ..get("x") };
    let requests = [
        (HttpRequest { method: Some("FETCH ME".into()), ..get("x") }, "FETCH ME"),
        (HttpRequest { method: None, ..get("no/endpoint") }, "no/endpoint"),
        (header("a b", "x"), "a b"),
        (header("x-mine", "SECRET\nline"), "x-mine"),
        (HttpRequest { authorization: "SECRET\nline".into(), ..get("x") }, "authorization"),
    ];
    for (request, named) in requests {
        let error = client.send(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains(named) && !error.message().contains("SECRET"), "{error}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn neither_records_nor_debug_texts_show_the_key() {
    let server = Server::start(|seen| reply(500, seen.header("authorization").to_owned())).await;
    let client = client(&server.url);
    let request = HttpRequest { authorization: format!("Bearer {KEY}"), ..get("x") };
    assert!(!format!("{request:?} {client:?}").contains(KEY));
    assert_eq!(client.send(request).await.unwrap().body, HttpBody::Text("Bearer ****".into()));
}

#[test]
fn an_endpoint_that_is_no_address_is_refused() {
    let config = Config { endpoint: "ftp://x".into(), timeout_ms: 1.0 };
    assert_eq!(HttpClient::open(&config, &BTreeMap::new()).unwrap_err().kind(), ErrorKind::Config);
}
