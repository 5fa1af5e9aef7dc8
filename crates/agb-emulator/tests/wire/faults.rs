//! Faults: what each kind does to a request, and what the journal says of it.

use std::time::{Duration, Instant};

use agb_emulator::{EmulatorOptions, Fault, FaultHandle, JournalEntry};
use futures_util::{SinkExt, StreamExt};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    support::{CODE_IMAGE, Peer, eventually, http, until},
    ws::{Client, text},
};

/// How long nothing must be heard on a connection that is mute. Too short can only make the test see less.
const SILENCE: Duration = Duration::from_millis(300);

impl Peer {
    fn fault(&self, text: &str) -> FaultHandle {
        self.emulator.add_fault(Fault::parse(text).unwrap())
    }

    /// The last request of an operation.
    fn last(&self, operation: &str) -> JournalEntry {
        self.emulator.journal().into_iter().rfind(|entry| entry.operation == operation).unwrap()
    }

    /// Sends a request with the key, whatever comes.
    async fn try_post(&self, path: &str, body: Value) -> reqwest::Result<Response> {
        let (name, key) = self.bearer()[0].clone();
        http().post(self.url(path)).header(name, key).body(body.to_string()).send().await
    }

    async fn try_shell(&self, session: &str, command: &str) -> reqwest::Result<Response> {
        let args = json!({"command": command, "timeout_ms": 60_000}).to_string();
        self.try_post("/mcp", json!({"sessionId": session, "name": "shell", "args": args})).await
    }

    async fn file_is_there(&self, session: &str, path: &str) -> bool {
        !self.shell(session, &format!("test -e {path}")).await.tool().0
    }

    /// The bytes that come back for a request, up to the end of the connection.
    async fn raw(&self, path: &str, body: &str) -> (Vec<u8>, std::io::Result<usize>) {
        let mut stream = self.sent(path, body).await;
        let mut bytes = Vec::new();
        let end = stream.read_to_end(&mut bytes).await;
        (bytes, end)
    }

    async fn sent(&self, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.emulator.url().strip_prefix("http://").unwrap()).await.unwrap();
        let key = self.emulator.api_key();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

fn header<'a>(reply: &'a Response, name: &str) -> &'a str {
    reply.headers()[name].to_str().unwrap()
}

/// What the journal says of a fault: its kind, whether the work was done, and what it gave.
fn used(entry: &JournalEntry) -> (&'static str, bool, Option<u16>, Option<&str>) {
    let fault = entry.fault.as_ref().unwrap();
    (fault.kind, fault.worked, fault.status, fault.code.as_deref())
}

#[tokio::test]
async fn a_status_replaces_the_answer_and_the_work_or_only_the_answer() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    let fault = peer.fault("callTool:status=429,retry-after=2,header=X-Edge:e1");
    let reply = peer.try_shell(&id, "touch one").await.unwrap();
    assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!((header(&reply, "retry-after"), header(&reply, "x-edge")), ("2", "e1"));
    let body: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
    assert_eq!((&body["success"], &body["code"]), (&json!(false), &json!("TooManyRequests")));
    assert_eq!(fault.hits(), 1);
    let entry = peer.last("callTool");
    assert_eq!((entry.status, entry.code.as_str(), entry.success), (429, "TooManyRequests", false));
    assert_eq!((entry.tool.as_deref(), entry.session_id.as_deref()), (Some("shell"), Some(id.as_str())));
    assert_eq!(used(&entry), ("status", false, None, None));
    assert!(!peer.file_is_there(&id, "one").await, "the work was not to be done");

    peer.fault("callTool:status=503,when=after,code=Busy,message=too busy");
    let reply = peer.shell(&id, "touch two").await;
    assert_eq!(reply.failed(503, "Busy"), "too busy");
    assert_eq!(used(&peer.last("callTool")), ("status", true, Some(200), Some("ok")));
    assert!(peer.file_is_there(&id, "two").await, "the work was to be done");

    peer.fault(r#"{"operation": "getSession", "kind": "status", "status": 500, "body": "<html>a, b</html>"}"#);
    let reply = peer.try_post("/mcp/getSession", json!({"sessionId": id})).await.unwrap();
    assert_eq!((reply.status().as_u16(), header(&reply, "content-type")), (500, "text/plain; charset=utf-8"));
    assert_eq!(reply.text().await.unwrap(), "<html>a, b</html>");
    assert_eq!(peer.status(&id).await, "RUNNING");
}

#[tokio::test]
async fn a_delay_holds_the_work_or_the_answer() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    for (when, is_done_at_once) in [("before", false), ("after", true)] {
        // Long enough that it can't be over when the test looks, and never waited for.
        let fault = peer.fault(&format!("releaseSession:delay=600s,when={when}"));
        let other = peer.session(300).await;
        let body = json!({"sessionId": other}).to_string();
        let waiting = peer.sent("/mcp/releaseSession", &body).await;
        if is_done_at_once {
            until("it is released", || peer.view(&other).end_reason.is_some()).await;
            until("it is noted", || {
                peer.emulator.journal().iter().any(|entry| entry.operation == "releaseSession" && entry.fault.is_some())
            })
            .await;
            assert_eq!(used(&peer.last("releaseSession")), ("delay", true, Some(200), Some("ok")));
        } else {
            until("it has arrived", || fault.hits() == 1).await;
            peer.shell(&id, "true").await.data();
            assert!(peer.view(&other).end_reason.is_none());
        }
        drop(waiting);
    }
    let started = Instant::now();
    peer.fault("getSession:delay=200ms");
    peer.post("/mcp/getSession", json!({"sessionId": id})).await.data();
    assert!(started.elapsed() >= Duration::from_millis(200));
    peer.emulator.close().await;
}

#[tokio::test]
async fn a_reset_breaks_the_connection_before_or_after_the_work() {
    let peer = Peer::start().await;
    peer.fault("createSession:reset");
    let create = format!("/mcp/createSession?imageId={CODE_IMAGE}");
    let error = peer.raw(&create, "{}").await.1.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(peer.emulator.sessions().is_empty());
    let entry = peer.last("createSession");
    assert_eq!((entry.status, entry.code.as_str(), entry.success), (0, "unanswered", false));
    assert_eq!(used(&entry), ("reset", false, None, None));

    peer.fault("createSession:reset=after");
    let (bytes, end) = peer.raw(&create, "{}").await;
    assert_eq!((bytes.len(), end.unwrap_err().kind()), (0, std::io::ErrorKind::ConnectionReset));
    assert_eq!(peer.emulator.sessions().len(), 1, "a lost answer leaves a session behind");
    let entry = peer.last("createSession");
    assert_eq!(used(&entry), ("reset", true, Some(200), Some("ok")));
    assert_eq!(entry.session_id, Some(peer.emulator.sessions()[0].id.clone()));
    peer.session(300).await;
}

#[tokio::test]
async fn an_answer_breaks_off_or_seems_whole_without_its_end() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    let body = json!({"sessionId": id}).to_string();
    peer.fault("getSession:truncate=10");
    let (bytes, _) = peer.raw("/mcp/getSession", &body).await;
    let answer = String::from_utf8(bytes).unwrap();
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(rest, r#"{"success""#);
    let announced = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(announced.parse::<usize>().unwrap() > 100, "the length of the whole: {announced}");
    assert_eq!(used(&peer.last("getSession")), ("truncate", true, Some(200), Some("ok")));
    assert_eq!(peer.last("getSession").code, "unreadable");

    peer.fault("getSession:truncate,framed=true");
    let reply = peer.try_post("/mcp/getSession", json!({"sessionId": id})).await.unwrap();
    let text = reply.text().await.unwrap();
    assert!(text.starts_with(r#"{"success":true"#) && serde_json::from_str::<Value>(&text).is_err(), "{text}");
}

#[tokio::test]
async fn garbage_has_the_status_and_the_headers_of_the_answer() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    peer.fault("getSession:garbage");
    peer.fault("getSession:garbage=not JSON");
    for expected in [None, Some("not JSON")] {
        let reply = peer.try_post("/mcp/getSession", json!({"sessionId": id})).await.unwrap();
        assert_eq!((reply.status().as_u16(), header(&reply, "content-type")), (200, "application/json"));
        let bytes = reply.bytes().await.unwrap();
        match expected {
            Some(text) => assert_eq!(bytes, text.as_bytes()),
            None => assert!(!bytes.is_empty() && std::str::from_utf8(&bytes).is_err()),
        }
    }
}

#[tokio::test]
async fn a_half_open_connection_says_nothing_until_the_emulator_ends() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    let body = json!({"sessionId": id}).to_string();
    peer.fault("releaseSession:half-open");
    let mut silent = peer.sent("/mcp/releaseSession", &body).await;
    until("it is read", || peer.emulator.journal().iter().any(|entry| entry.operation == "releaseSession")).await;
    let entry = peer.last("releaseSession");
    assert_eq!((entry.status, entry.code.as_str()), (0, "unanswered"));
    assert_eq!(used(&entry), ("halfOpen", false, None, None));
    assert_eq!(peer.status(&id).await, "RUNNING");
    let mut byte = [0];
    assert!(tokio::time::timeout(SILENCE, silent.read(&mut byte)).await.is_err(), "nothing is written or closed");

    peer.fault("releaseSession:half-open=after");
    let also_silent = peer.sent("/mcp/releaseSession", &body).await;
    until("the work is done", || peer.view(&id).end_reason.is_some()).await;
    peer.emulator.close().await;
    assert!(!matches!(silent.read(&mut byte).await, Ok(1)));
    drop(also_silent);
}

#[tokio::test]
async fn a_slow_body_takes_its_time_and_is_whole() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    let whole = peer.post("/mcp/getSessionInfo", json!({"sessionId": id})).await.body.to_string().len();
    let rate = whole as u64 * 2;
    peer.fault(&format!("getSessionInfo:slow={rate}"));
    peer.fault(&format!("getSessionInfo:slow={rate},direction=request"));
    for direction in ["answer", "request"] {
        let started = Instant::now();
        assert_eq!(peer.status(&id).await, "RUNNING", "{direction}");
        // Half a second for the answer; the request is shorter.
        assert!(started.elapsed() >= Duration::from_millis(100), "{direction}");
        assert_eq!(used(&peer.last("getSessionInfo")), ("slow", true, Some(200), Some("ok")));
    }
}

#[tokio::test]
async fn a_fault_can_be_for_a_tool_a_session_or_a_label_on_either_route() {
    let peer = Peer::start().await;
    let labelled = peer.create(json!({"timeout": 300, "labels": r#"{"who":"me"}"#})).await;
    let (one, other) = (labelled["sessionId"].as_str().unwrap(), peer.session(300).await);
    let tool = peer.fault("callTool:status=500,tool=read_file,count=always");
    let session = peer.fault(&format!("callTool:status=501,session={other},count=always"));
    let label = peer.fault("callTool:status=502,label=who:me,count=always");
    peer.tool(&other, "read_file", json!({"path": "/x"})).await.failed(500, "InternalError");
    peer.shell(&other, "true").await.failed(501, "InjectedFault");
    peer.shell(one, "true").await.failed(502, "BadGateway");
    let link = format!("{}/callTool", labelled["linkUrl"].as_str().unwrap());
    let token = [("x-access-token", labelled["token"].as_str().unwrap().to_owned())];
    let call = |name: &str| json!({"args": {"command": "true"}, "tool": name}).to_string().into_bytes();
    peer.send(Method::POST, &link, call("shell"), &token).await.failed(502, "BadGateway");
    peer.send(Method::POST, &link, call("read_file"), &token).await.failed(500, "InternalError");
    assert_eq!((tool.hits(), session.hits(), label.hits()), (2, 1, 2));
    label.remove();
    peer.shell(one, "true").await.data();
    peer.emulator.clear_faults();
    peer.shell(&other, "true").await.data();

    peer.fault("createSession:status=500,label=who:me");
    peer.session(300).await;
    let create = format!("/mcp/createSession?imageId={CODE_IMAGE}");
    peer.post(&create, json!({"labels": r#"{"who":"me"}"#})).await.failed(500, "InternalError");
}

#[tokio::test]
async fn a_request_that_was_looked_at_reaches_its_handler_whole() {
    let faults = vec![Fault::parse("*:reset,session=of-nobody,count=always").unwrap()];
    let peer = Peer::with(EmulatorOptions { faults, max_body_bytes: 100_000, ..Default::default() }).await;
    let id = peer.session(300).await;
    let content = "x".repeat(50_000);
    let (is_error, text) = peer.tool(&id, "write_file", json!({"path": "f", "content": content})).await.tool();
    assert!(!is_error, "{text}");
    let size = peer.shell(&id, "wc -c < f").await.tool().1;
    assert!(size.contains("50000"), "{size}");
    let long = "x".repeat(200_000);
    peer.tool(&id, "write_file", json!({"path": "f", "content": long})).await.failed(413, "RequestTooLarge");
}

#[tokio::test]
async fn objects_are_struck_by_their_own_names() {
    let peer = Peer::start().await;
    let context =
        peer.get("/sdk/GetContext?name=faults&allowCreate=true").await.data()["id"].as_str().unwrap().to_owned();
    let url = async |kind: &str| {
        let path = format!("/sdk/GetContextFile{kind}Url?contextId={context}&filePath=%2Fa");
        peer.post(&path, json!({})).await.data()["url"].as_str().unwrap().to_owned()
    };
    let (up, down) = (url("Upload").await, url("Download").await);
    let content = "0123456789".repeat(50_000);
    peer.fault("putObject:reset=after");
    assert!(http().put(&up).body(content.clone()).send().await.is_err());
    assert_eq!(used(&peer.last("putObject")), ("reset", true, Some(200), Some("ok")));
    assert_eq!(http().get(&down).send().await.unwrap().text().await.unwrap(), content);
    peer.fault("getObject:truncate");
    let reply = http().get(&down).send().await.unwrap();
    assert_eq!(reply.content_length(), Some(500_000));
    reply.bytes().await.unwrap_err();
    peer.fault("getObject:status=503");
    assert_eq!(http().get(&down).send().await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_web_socket_is_closed_in_mid_stream() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let fault = peer.fault("callTool:close=2,code=1012,reason=restart");
    let mut client = Client::of(&session).await;
    // A call over HTTP leaves it alone.
    peer.shell(session["sessionId"].as_str().unwrap(), "true").await.data();
    let code = "import time\nfor i in range(1000):\n    print(i, flush=True)\n    time.sleep(0.02)";
    let stream = client.run("python", code).await;
    let first = [client.next(&stream).await, client.next(&stream).await];
    assert!(text(&first, "stdout").starts_with("0\n"), "{first:?}");
    match client.socket.next().await.unwrap().unwrap() {
        Message::Close(Some(frame)) => {
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1012, "restart"));
        }
        other => panic!("no close frame, but {other:?}"),
    }
    until("the run has ended", || peer.emulator.journal().iter().any(|entry| entry.method == "WS")).await;
    let entry = peer.last("callTool");
    assert_eq!((entry.status, entry.code.as_str(), entry.success), (0, "unanswered", false));
    assert_eq!((used(&entry).0, fault.hits()), ("close", 1));
    // The next one is served.
    let mut client = Client::of(&session).await;
    let stream = client.run("python", "print('again')").await;
    assert_eq!(text(&client.rest(&stream).await, "stdout"), "again\n");
}

#[tokio::test]
async fn a_stream_ends_in_an_error_in_garbage_half_or_not_at_all() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let mut client = Client::of(&session).await;
    peer.fault("callTool:status=503,tool=run_code,message=busy");
    let stream = client.run("python", "open('ran', 'w')").await;
    let refused = client.next(&stream).await;
    assert_eq!((&refused["phase"], &refused["error"]["code"]), (&json!("error"), &json!("ServiceUnavailable")));
    assert!(!peer.file_is_there(session["sessionId"].as_str().unwrap(), "ran").await);

    for (fault, expected) in [("garbage=rubbish", "rubbish"), ("truncate=20", r#"{"invocationId":"000"#)] {
        peer.fault(&format!("callTool:{fault}"));
        let stream = client.run("python", "print(1)").await;
        assert_eq!(text(&[client.next(&stream).await], "stdout"), "1\n");
        assert_eq!(client.socket.next().await.unwrap().unwrap().into_text().unwrap().as_str(), expected);
    }

    peer.fault("callTool:reset=after");
    let stream = client.run("python", "print(1)").await;
    assert_eq!(text(&[client.next(&stream).await], "stdout"), "1\n");
    assert!(client.socket.next().await.unwrap().is_err(), "no close frame");
    let entry = peer.last("callTool");
    assert_eq!(used(&entry), ("reset", true, Some(200), Some("ok")));
}

#[tokio::test]
async fn a_half_open_web_socket_reads_and_writes_nothing_not_even_a_pong() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let id = session["sessionId"].as_str().unwrap();
    for (fault, chunks) in [("webSocket:half-open=after", 0), ("callTool:half-open=after,after-chunks=1", 1)] {
        peer.fault(fault);
        let mut client = Client::of(&session).await;
        let code = "import os, time\nprint(1, flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)\n\
                    os.remove('go')\nprint(2, flush=True)\nopen('ran', 'w').close()";
        let stream = client.run("python", code).await;
        for _ in 0..chunks {
            assert_eq!(text(&[client.next(&stream).await], "stdout"), "1\n");
        }
        peer.shell(id, "touch go").await.data();
        // The frame was read: its code runs.
        eventually("the code has run", async || peer.file_is_there(id, "ran").await).await;
        peer.shell(id, "rm ran").await.data();
        client.socket.send(Message::Ping("are you there".into())).await.unwrap();
        let heard = tokio::time::timeout(SILENCE, client.socket.next()).await;
        assert!(heard.is_err(), "{fault}: {heard:?}");
    }
    assert_eq!(peer.last("webSocket").status, 101);
    // A client that is left in the dark does not hold up the end.
    peer.emulator.close().await;
}

#[tokio::test]
async fn the_handshake_of_a_web_socket_fails_as_any_request() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let url = session["wsUrl"].as_str().unwrap().replace("ws://", "http://");
    let open = || http().get(&url).header("x-access-token", session["token"].as_str().unwrap()).send();
    peer.fault("webSocket:status=503");
    assert_eq!(open().await.unwrap().status(), 503);
    peer.fault("webSocket:reset");
    open().await.unwrap_err();
    assert_eq!(used(&peer.last("webSocket")), ("reset", false, None, None));
}
