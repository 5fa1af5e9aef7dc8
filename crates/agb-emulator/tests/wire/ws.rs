//! The WebSocket of a session.

use agb_emulator::{EmulatorOptions, SessionState};
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::support::{Peer, until};

/// A client of one session.
pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
    last_id: usize,
}

impl Client {
    pub async fn of(session: &Value) -> Self {
        let url = session["wsUrl"].as_str().unwrap();
        let mut request = url.into_client_request().unwrap();
        let token = session["token"].as_str().unwrap();
        request.headers_mut().insert("x-access-token", token.parse().unwrap());
        let address = url.strip_prefix("ws://").unwrap().split('/').next().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = client_async(request, stream).await.unwrap();
        Self { socket, last_id: 0 }
    }

    async fn say(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Begins a stream; gives its id.
    pub async fn begin(&mut self, data: Value) -> String {
        self.last_id += 1;
        let id = format!("{:032x}", self.last_id);
        let target = "wuying_codespace";
        self.say(json!({"invocationId": id, "source": "SDK", "target": target, "data": data}).to_string()).await;
        id
    }

    pub async fn run(&mut self, language: &str, code: &str) -> String {
        self.begin(run_code(language, code, 60.0)).await
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn hear(&mut self) -> Option<Value> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(text.as_str()).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next frame's data, which must belong to a stream.
    pub async fn next(&mut self, id: &str) -> Value {
        let frame = self.hear().await.unwrap();
        assert_eq!((frame["invocationId"].as_str(), frame["target"].as_str()), (Some(id), Some("SDK")), "{frame}");
        assert_eq!(frame["source"], "wuying_codespace");
        frame["data"].clone()
    }

    /// All data of a stream up to its last.
    pub async fn rest(&mut self, id: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            all.push(self.next(id).await);
            if all.last().unwrap()["phase"] != "event" {
                return all;
            }
        }
    }
}

fn run_code(language: &str, code: &str, timeout_s: f64) -> Value {
    let params = json!({"language": language, "timeoutS": timeout_s, "code": code});
    json!({"method": "run_code", "mode": "stream", "params": params})
}

pub fn text(frames: &[Value], kind: &str) -> String {
    let chunks = frames.iter().filter(|data| data["eventType"] == kind);
    chunks.map(|data| data["chunk"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_chunk_arrives_while_its_program_still_runs() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let id = session["sessionId"].as_str().unwrap();
    let mut client = Client::of(&session).await;
    for (language, code) in [
        (
            "python",
            "import os, time\nprint('one')\nwhile not os.path.exists('go'): time.sleep(0.01)\nos.remove('go')\nprint('two')\n42",
        ),
        (
            "javascript",
            "const fs = require('fs'); console.log('one'); while (!fs.existsSync('go')) {}; fs.unlinkSync('go'); console.log('two'); 42",
        ),
    ] {
        let stream = client.run(language, code).await;
        let first = client.next(&stream).await;
        assert_eq!(
            (&first["phase"], &first["eventType"], &first["chunk"]),
            (&json!("event"), &json!("stdout"), &json!("one\n"))
        );
        assert_eq!(
            (&first["method"], &first["mode"], &first["seq"]),
            (&json!("run_code"), &json!("stream"), &json!(1))
        );
        // Only now the program may go on.
        assert!(!peer.shell(id, "touch go").await.tool().0);
        let rest = client.rest(&stream).await;
        assert_eq!(text(&rest, "stdout"), "two\n");
        let result = &rest[rest.len() - 2];
        assert_eq!((&result["eventType"], &result["result"]["isMainResult"]), (&json!("result"), &json!(true)));
        assert_eq!(result["result"]["mime"]["text/plain"], "42");
        let end = rest.last().unwrap();
        assert_eq!(
            (&end["phase"], &end["status"], &end["executionError"]),
            (&json!("end"), &json!("finished"), &json!(null))
        );
        assert_eq!(end["executionCount"], 1);
        assert!(end["executionTime"].as_f64().unwrap() > 0.0);
        let numbers: Vec<u64> = rest.iter().map(|data| data["seq"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (2..2 + rest.len() as u64).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn streamed_and_other_runs_share_the_interpreter_and_its_rules() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let mut client = Client::of(&session).await;
    let stream = client.run("python", "import sys\nx = 42\nsys.stderr.write('w\\n')\n1 / 0").await;
    let frames = client.rest(&stream).await;
    assert!(text(&frames, "stderr").starts_with("w\nTraceback"), "{frames:?}");
    let error = &frames[frames.len() - 2];
    assert_eq!(
        (&error["eventType"], &error["error"]["message"]),
        (&json!("error"), &json!("ZeroDivisionError: division by zero"))
    );
    let end = frames.last().unwrap();
    assert_eq!((&end["status"], &end["executionError"]), (&json!("failed"), &error["error"]["message"]));

    let id = session["sessionId"].as_str().unwrap();
    let args = json!({"code": "print(x)", "language": "python"});
    assert!(peer.tool(id, "run_code", args).await.tool().1.contains("42"));

    let stream = client.begin(run_code("python", "print('so far', flush=True)\nwhile True: pass", 5.0)).await;
    let frames = client.rest(&stream).await;
    assert_eq!(text(&frames, "stdout"), "so far\n");
    assert_eq!(frames.last().unwrap()["executionError"], "Execution timeout after 5 s");
    let stream = client.run("python", "x").await;
    assert_eq!(client.next(&stream).await["result"]["mime"]["text/plain"], "42", "the state is still there");
}

#[tokio::test]
async fn long_output_comes_in_frames_that_clients_take_and_no_character_is_cut() {
    let peer = Peer::start().await;
    let mut client = Client::of(&peer.create(json!({})).await).await;
    let stream = client.run("python", "print('a' + '😀' * 500_000)\nprint('end')").await;
    let frames = client.rest(&stream).await;
    assert_eq!(text(&frames, "stdout"), format!("a{}\nend\n", "😀".repeat(500_000)));
    assert!(frames.iter().all(|frame| frame.to_string().len() < 1 << 20));
}

#[tokio::test]
async fn output_over_the_limit_is_cut_and_says_so() {
    let peer = Peer::with(EmulatorOptions { max_output_bytes: 1_000, ..Default::default() }).await;
    let mut client = Client::of(&peer.create(json!({})).await).await;
    let stream = client.run("python", "for i in range(50): print('x' * 99, flush=True)").await;
    let printed = text(&client.rest(&stream).await, "stdout");
    assert!(printed.len() < 1_200 && printed.contains("cut at the limit of 1000 bytes"), "{printed}");
}

#[tokio::test]
async fn the_handshake_wants_a_living_session_its_token_and_an_upgrade() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let other = peer.create(json!({})).await;
    let url = session["wsUrl"].as_str().unwrap().replacen("ws", "http", 1);
    for token in [None, Some("wrong"), other["token"].as_str(), Some(peer.emulator.api_key())] {
        let headers: Vec<(&str, String)> =
            token.map(|token| ("x-access-token", token.to_owned())).into_iter().collect();
        peer.send(Method::GET, &url, Vec::new(), &headers).await.failed(401, "AccessDenied");
    }
    let header = [("x-access-token", session["token"].as_str().unwrap().to_owned())];
    let plain = peer.send(Method::GET, &url, Vec::new(), &header).await;
    assert!(plain.failed(400, "InvalidParameter").contains("WebSocket"));
    let nowhere = peer.send(Method::GET, &peer.url("/ws/session-none"), Vec::new(), &header).await;
    nowhere.failed(400, "InvalidMcpSession.NotFound");
    assert_eq!(peer.view(session["sessionId"].as_str().unwrap()).state, SessionState::Created);
}

#[tokio::test]
async fn what_is_no_request_is_answered_where_it_can_be_and_ignored_elsewhere() {
    let peer = Peer::start().await;
    let mut client = Client::of(&peer.create(json!({})).await).await;
    for nonsense in ["", "hello", "[]", "{\"type\":\"ping\"}", "{\"invocationId\":7}", "{\"invoc"] {
        client.say(nonsense.to_owned()).await;
    }
    client.socket.send(Message::Ping("are you there".into())).await.unwrap();
    for (data, part) in [
        (json!(7), "data is required"),
        (json!("{"), "data is not valid JSON"),
        (json!({}), "method is required"),
        (json!({"method": "dance"}), "method dance is not available"),
        (json!({"method": "run_code", "mode": "once"}), "mode must be"),
        (json!({"method": "run_code", "mode": "stream"}), "params is required"),
        (run_code("ruby", "1", 1.0), "Unsupported language: ruby"),
        (run_code("python", " ", 1.0), "`code` is empty"),
        (run_code("python", "1", 0.0), "`timeoutS` must be more than 0"),
    ] {
        let id = client.begin(data).await;
        let frame = client.next(&id).await;
        assert_eq!(frame["phase"], "error", "{frame}");
        assert!(frame["error"]["message"].as_str().unwrap().contains(part), "{frame}");
    }
    let mut held = run_code("python", "print('as text')", 60.0).to_string();
    held = client.begin(json!(held)).await;
    assert_eq!(client.next(&held).await["chunk"], "as text\n");
}

#[tokio::test]
async fn a_control_ping_is_answered_while_code_runs() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let mut client = Client::of(&session).await;
    client.run("python", "import time\ntime.sleep(100)").await;
    client.socket.send(Message::Ping("x".into())).await.unwrap();
    loop {
        match client.socket.next().await.unwrap().unwrap() {
            Message::Pong(bytes) => return assert_eq!(&bytes[..], b"x"),
            other => assert!(other.is_text(), "{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_closed_connection_interrupts_its_code_and_the_state_stays() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let id = session["sessionId"].as_str().unwrap();
    let mut client = Client::of(&session).await;
    let running = client.run("python", "x = 42\nprint('on')\nimport time\ntime.sleep(300)").await;
    assert_eq!(client.next(&running).await["chunk"], "on\n");
    let waiting = client.run("python", "x = 'the second run must not begin'").await;
    assert_ne!(running, waiting);
    drop(client);
    // Waits for the interpreter, which the sleep would hold for minutes.
    let args = json!({"code": "print(x)", "language": "python"});
    let (is_error, answer) = peer.tool(id, "run_code", args).await.tool();
    assert!(!is_error && answer.contains("42"), "{answer}");
}

#[tokio::test]
async fn a_release_ends_streams_by_name_and_closes_the_connection() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let id = session["sessionId"].as_str().unwrap();
    let mut client = Client::of(&session).await;
    let stream = client.run("python", "print('on')\nimport time\ntime.sleep(300)").await;
    assert_eq!(client.next(&stream).await["chunk"], "on\n");
    peer.post("/mcp/releaseSession", json!({"sessionId": id})).await.data();
    let frames = client.rest(&stream).await;
    let error = &frames.last().unwrap()["error"];
    assert_eq!(error["code"], "InvalidSession.NotFound");
    assert!(error["message"].as_str().unwrap().contains("was released by another call"), "{error}");
    assert_eq!(client.hear().await, None);
}

#[tokio::test]
async fn a_stream_holds_the_idle_timer_and_its_end_starts_it_anew() {
    let peer = Peer::start().await;
    let session = peer.create(json!({"timeout": 60})).await;
    let id = session["sessionId"].as_str().unwrap();
    let mut client = Client::of(&session).await;
    // The code ends when this test hangs up: a call that told it to would set the idle timer itself.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let code = format!("import socket\nprint('on')\nsocket.create_connection(('127.0.0.1', {port})).recv(1)");
    let stream = client.run("python", &code).await;
    assert_eq!(client.next(&stream).await["chunk"], "on\n");
    let (held, _) = listener.accept().await.unwrap();
    peer.advance(600).await;
    assert_eq!(peer.view(id).state, SessionState::Active);
    drop(held);
    client.rest(&stream).await;
    let view = peer.view(id);
    assert_eq!((view.state, view.last_call.unwrap().operation.as_str()), (SessionState::Idle, "run_code"));
    assert!(view.time_left_s > 50.0, "{}", view.time_left_s);
    // An open connection alone, and signs of life on it, keep nothing alive.
    client.say("{\"type\":\"ping\"}".to_owned()).await;
    client.socket.send(Message::Ping("x".into())).await.unwrap();
    peer.advance(62).await;
    assert_eq!(client.hear().await, None);
    assert_eq!(peer.status(id).await, "FINISH");
}

#[tokio::test]
async fn a_push_reaches_every_client_of_the_session() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let id = session["sessionId"].as_str().unwrap();
    let (mut one, mut two) = (Client::of(&session).await, Client::of(&session).await);
    let data: Map<String, Value> = json!({"word": 1}).as_object().unwrap().clone();
    // A handshake is answered before its socket is served.
    until("both are there", || peer.emulator.push(id, "news", data.clone()) == 2).await;
    for client in [&mut one, &mut two] {
        let frame = client.hear().await.unwrap();
        assert_eq!(
            (&frame["source"], &frame["target"], &frame["data"]["word"]),
            (&json!("news"), &json!("SDK"), &json!(1))
        );
        assert!(!frame["invocationId"].as_str().unwrap().is_empty());
    }
    assert_eq!(peer.emulator.push("session-none", "news", data), 0);
}

#[tokio::test]
async fn a_request_over_the_limit_ends_its_connection_and_not_the_session() {
    let peer = Peer::with(EmulatorOptions { max_body_bytes: 10_000, ..Default::default() }).await;
    let session = peer.create(json!({})).await;
    let mut client = Client::of(&session).await;
    client.run("python", &"#".repeat(20_000)).await;
    assert_eq!(client.hear().await, None);
    let mut next = Client::of(&session).await;
    let stream = next.run("python", "print(1)").await;
    assert_eq!(next.next(&stream).await["chunk"], "1\n");
}

#[tokio::test]
async fn the_journal_has_handshakes_and_streams() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let mut client = Client::of(&session).await;
    let stream = client.run("python", "nope").await;
    client.rest(&stream).await;
    let journal = peer.emulator.journal();
    let [_, handshake, run] = journal.as_slice() else { panic!("{journal:?}") };
    assert_eq!((handshake.operation.as_str(), handshake.status, handshake.success), ("webSocket", 101, true));
    assert_eq!((run.method.as_str(), run.tool.as_deref(), run.success), ("WS", Some("run_code"), false));
    assert_eq!(run.request_id, stream);
    assert!(run.resets_idle_timer && handshake.resets_idle_timer);
    assert_eq!(run.body.as_ref().unwrap()["code"], "nope");
}

#[tokio::test]
async fn closing_the_emulator_ends_open_connections_and_their_code() {
    let peer = Peer::start().await;
    let session = peer.create(json!({})).await;
    let mut client = Client::of(&session).await;
    let stream = client.run("python", "print('on')\nimport time\ntime.sleep(300)").await;
    assert_eq!(client.next(&stream).await["chunk"], "on\n");
    peer.emulator.close().await;
    while client.hear().await.is_some() {}
}
