//! Both routes to a tool.

use std::time::Duration;

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::*;
use crate::session::{RouteOverride, SessionDetails};
use crate::testing::{CLOSED_URL, RawServer, Server, ok, refuse, reply, with_timeout};
use crate::tool::CallTool;
use crate::wire::tool::ToolList;

fn args() -> ToolArgs {
    let args = json!({"command": "ls", "b": 1});
    args.as_object().unwrap().clone()
}

fn text_data(text: &str, is_error: bool) -> Value {
    json!({"isError": is_error, "content": [{"type": "text", "text": text}]})
}

fn link_reply(result: &Value) -> Response {
    reply(200, json!({"code": 0, "data": {"result": result}}).to_string())
}

/// A session whose `shell` has a server, and whose link is at `link_url`.
fn linked(server: &Server, link_url: &str) -> Session {
    let tools = json!([{"name": "shell", "server": "sh-server"}, {"name": "read_file", "server": "fs-server"}]);
    let details = SessionDetails {
        link_url: link_url.into(),
        token: "tok-SECRET".into(),
        tool_list: ToolList::read(Some(&tools)),
        ..SessionDetails::default()
    };
    server.agb().attach("s-1", details)
}

async fn shell(session: &impl CallTool) -> Result<ToolReply> {
    session.call_tool("shell", args(), ToolLimits::default()).await
}

#[tokio::test]
async fn the_api_route_sends_arguments_as_text() {
    let server = Server::start(|_| ok(&text_data("hi", false))).await;
    let reply = shell(&server.session()).await.unwrap();
    assert_eq!((reply.request_id.as_str(), reply.text.as_deref()), ("r-1", Some("hi")));
    let seen = &server.seen()[0];
    assert_eq!((seen.path.as_str(), seen.raw_query.as_str()), ("/mcp", "autoGenSession=false"));
    assert_eq!(seen.body, r#"{"args":"{\"command\":\"ls\",\"b\":1}","sessionId":"s-1","name":"shell"}"#);
}

#[tokio::test]
async fn the_link_route_sends_arguments_as_object_and_no_api_key() {
    let server = Server::start(|_| link_reply(&text_data("hi", false))).await;
    let session = linked(&server, &format!("{}/link/", server.url));
    let reply = shell(&session).await.unwrap();
    assert_eq!(reply.text.as_deref(), Some("hi"));
    let seen = &server.seen()[0];
    assert_eq!(seen.path, "/link/callTool");
    assert_eq!(seen.header("x-access-token"), "tok-SECRET");
    assert_eq!(seen.header("authorization"), "");
    let body = seen.json();
    assert_eq!(body["args"], json!({"command": "ls", "b": 1}));
    assert_eq!(
        (&body["server"], &body["tool"], &body["token"]),
        (&json!("sh-server"), &json!("shell"), &json!("tok-SECRET"))
    );
    assert_eq!(body["requestId"].as_str(), Some(reply.request_id.as_str()));
    let parts: Vec<&str> = reply.request_id.split('-').collect();
    assert_eq!((parts[0], parts[2].len()), ("link", 9));
}

#[tokio::test]
async fn a_tool_without_a_server_goes_by_the_api_route() {
    let server = Server::start(|_| ok(&text_data("hi", false))).await;
    let session = linked(&server, &server.url);
    session.call_tool("other", Map::new(), ToolLimits::default()).await.unwrap();
    assert_eq!(server.seen()[0].path, "/mcp");
}

#[tokio::test]
async fn an_unreachable_link_gives_way_to_the_api_route() {
    let server = Server::start(|_| ok(&text_data("by api", false))).await;
    let session = linked(&server, CLOSED_URL);
    assert_eq!(shell(&session).await.unwrap().text.as_deref(), Some("by api"));
}

#[tokio::test]
async fn a_tool_that_only_looks_goes_on_by_the_api_route_after_a_passing_failure() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/mcp" => ok(&text_data("by api", false)),
        _ => reply(503, r#"{"message": "busy"}"#),
    })
    .await;
    let session = linked(&server, &server.url);
    let read = session.call_tool("read_file", args(), ToolLimits::default()).await.unwrap();
    assert_eq!(read.text.as_deref(), Some("by api"));
    assert_eq!(server.seen().iter().map(|seen| seen.path.as_str()).collect::<Vec<_>>(), ["/callTool", "/mcp"]);

    let broken = RawServer::start(b"", false).await;
    let session = linked(&server, &broken.url);
    let read = session.call_tool("read_file", args(), ToolLimits::default()).await.unwrap();
    assert_eq!(read.text.as_deref(), Some("by api"));
    assert_eq!(shell(&session).await.unwrap_err().kind(), ErrorKind::Network);

    let refusing = Server::start(|_| reply(403, r#"{"message": "no"}"#)).await;
    session.call_tool("read_file", args(), ToolLimits::default()).await.unwrap();
    let session = linked(&refusing, &refusing.url);
    session.call_tool("read_file", args(), ToolLimits::default()).await.unwrap_err();
    assert_eq!(refusing.seen().len(), 1, "a refusal is final");
}

#[tokio::test]
async fn a_link_that_answered_badly_does_not_give_way() {
    let server = Server::start(|_| reply(500, json!({"message": "broken tok-SECRET"}).to_string())).await;
    let error = shell(&linked(&server, &server.url)).await.unwrap_err();
    assert_eq!(error.message(), "HTTP request failed with code: 500: broken ****");
    assert_eq!(error.http_status(), Some(500));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_servers_request_id_counts_on_the_link_route() {
    let body = json!({"requestId": "srv-1", "data": {"result": {}}}).to_string();
    let server = Server::start(move |_| reply(200, body.clone())).await;
    let reply = shell(&linked(&server, &server.url)).await.unwrap();
    assert_eq!((reply.request_id.as_str(), reply.text), ("srv-1", None));
}

#[tokio::test]
async fn a_refusal_by_link_says_what_the_service_said() {
    let server = Server::start(|_| refuse(200, "InvalidSession.NotFound", "Resource [Session] is not found")).await;
    let error = shell(&linked(&server, &server.url)).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::SessionNotFound, "Resource [Session] is not found"));
    let silent = Server::start(|_| reply(200, "{}")).await;
    let error = shell(&linked(&silent, &silent.url)).await.unwrap_err();
    assert_eq!(error.message(), "No data field in LinkUrl response");
    assert!(error.request_id().starts_with("link-"));
}

#[tokio::test]
async fn a_failed_tool_says_its_own_text_by_either_route() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/mcp" => reply(
            200,
            json!({"success": true, "message": "ok", "data": text_data("boom", true).to_string()}).to_string(),
        ),
        _ => link_reply(&text_data("boom", true)),
    })
    .await;
    for session in [server.session(), linked(&server, &server.url)] {
        let error = shell(&session).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Tool, "boom"));
    }
}

#[tokio::test]
async fn null_data_keeps_the_services_message() {
    let body = json!({"success": false, "code": "X", "message": "no such tool", "data": null}).to_string();
    let server = Server::start(move |_| reply(200, body.clone())).await;
    let error = shell(&server.session()).await.unwrap_err();
    assert_eq!((error.message(), error.code()), ("no such tool", "X"));
}

#[tokio::test]
async fn an_override_decides_the_route() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/mcp" => ok(&text_data("api", false)),
        _ => link_reply(&text_data("link", false)),
    })
    .await;
    let session = linked(&server, &server.url);
    let route = |tools: Option<Vec<(String, String)>>, list: Option<&str>, link: &str| RouteOverride {
        link_url: link.into(),
        token: "t".into(),
        tools,
        tool_list: list.map(str::to_owned),
        ws_url: None,
    };
    let text = async |route: RouteOverride| shell(&session.by_route(Some(route))).await.unwrap().text.unwrap();
    assert_eq!(text(route(None, None, "")).await, "api");
    assert_eq!(text(route(None, None, &server.url)).await, "link");
    let none = Some(Vec::new());
    let list = r#"[{"name":"shell","server":"x"}]"#;
    assert_eq!(text(route(none.clone(), Some(list), &server.url)).await, "link");
    assert_eq!(text(route(none.clone(), Some("["), &server.url)).await, "api");
    let first_decides = Some(vec![("shell".to_owned(), String::new())]);
    assert_eq!(text(route(first_decides, Some(list), &server.url)).await, "api");
}

#[test]
fn the_deadline_is_the_longer_of_read_limit_and_work() {
    let agb = with_timeout("http://127.0.0.1:1", &[], 60_000.0);
    let session = agb.attach("s-1", SessionDetails::default());
    let limit = |work: Option<u64>, read: Option<u64>| {
        let limits =
            ToolLimits { work: work.map(Duration::from_secs), read: read.map(Duration::from_secs), connect: None };
        deadline(&session, limits).limit.as_secs()
    };
    assert_eq!(limit(None, None), 60);
    assert_eq!(limit(Some(1), None), 60);
    assert_eq!(limit(Some(300), None), 300 + MARGIN.as_secs());
    assert_eq!(limit(None, Some(5)), 5);
    assert_eq!(limit(Some(300), Some(5)), 300 + MARGIN.as_secs());
}

#[tokio::test]
async fn tools_start_the_idle_timer_anew_also_when_they_fail() {
    for is_error in [false, true] {
        let server = Server::start(move |_| ok(&text_data("x", is_error))).await;
        let session = server.session();
        session.agb().clock().advance(Duration::from_secs(60));
        assert!(session.idle_for() >= Duration::from_secs(60));
        let _ = shell(&session).await;
        assert!(session.idle_for() < Duration::from_secs(60));
    }
}

#[tokio::test]
async fn a_connect_limit_of_the_calls_own_is_obeyed() {
    let server = Server::start(|_| ok(&text_data("hi", false))).await;
    let session = server.session();
    let limit = |connect| ToolLimits { connect: Some(connect), ..ToolLimits::default() };
    for _ in 0..2 {
        assert!(session.call_tool("shell", args(), limit(Duration::from_secs(7))).await.is_ok());
    }
    // Takes connections, but never answers the greeting of TLS.
    let mute = RawServer::start(b"", true).await;
    let agb = with_timeout(&mute.url.replace("http:", "https:"), &[], 20_000.0);
    let session = agb.attach("s-1", SessionDetails::default());
    let error = session.call_tool("shell", args(), limit(Duration::from_millis(30))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(error.message().ends_with("no connection in time"), "{error}");
}

#[test]
fn futures_can_be_owned_and_sent() {
    fn owned(_: impl Future<Output = ()> + Send + 'static) {}
    let session = with_timeout("http://127.0.0.1:1", &[], 1.0).attach("s-1", SessionDetails::default());
    let routed = session.by_route(Some(RouteOverride::default()));
    let agb = session.agb().clone();
    owned(async move { drop(shell(&routed).await) });
    owned(async move { drop((session.delete().await, session.metrics(None, None).await, session.labels().await)) });
    owned(async move { drop((agb.create(Default::default()).await, agb.list(Map::new(), None, None).await)) });
}
