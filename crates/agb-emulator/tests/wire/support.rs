//! A client for the tests. It checks of every answer that it has the envelope.

use std::{sync::Once, time::Duration};

use agb_emulator::{Emulator, EmulatorOptions, SessionState, SessionView};
use reqwest::{Method, Url};
use serde_json::{Value, json};

pub const CODE_IMAGE: &str = "agb-code-space-1";
pub const NO_SESSION: &str = "InvalidMcpSession.NotFound";

/// An emulator and a client of it.
pub struct Peer {
    pub emulator: Emulator,
    http: reqwest::Client,
}

/// An answer, checked.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

impl Reply {
    pub fn data(&self) -> &Value {
        assert_eq!(self.body["success"], true, "{}", self.body);
        assert_eq!(self.status, 200, "{}", self.body);
        &self.body["data"]
    }

    /// Asserts that it failed, and returns the message.
    pub fn failed(&self, status: u16, code: &str) -> &str {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.body["success"], false, "{}", self.body);
        self.body["message"].as_str().unwrap()
    }

    /// The failure flag and the text of a tool's result, on either route.
    pub fn tool(&self) -> (bool, String) {
        let parsed: Value;
        let result = match self.data() {
            Value::String(text) => {
                parsed = serde_json::from_str(text).unwrap();
                &parsed["result"]
            }
            data => data,
        };
        (result["isError"].as_bool().unwrap(), result["content"][0]["text"].as_str().unwrap().to_owned())
    }
}

impl Peer {
    pub async fn start() -> Self {
        Self::with(EmulatorOptions::default()).await
    }

    pub async fn with(options: EmulatorOptions) -> Self {
        Self { emulator: Emulator::start(options).await.unwrap(), http: http() }
    }

    pub async fn post(&self, path_and_query: &str, body: Value) -> Reply {
        self.send(Method::POST, &self.url(path_and_query), body.to_string().into(), &self.bearer()).await
    }

    pub async fn get(&self, path_and_query: &str) -> Reply {
        self.send(Method::GET, &self.url(path_and_query), Vec::new(), &self.bearer()).await
    }

    pub async fn send(&self, method: Method, url: &str, body: Vec<u8>, headers: &[(&str, String)]) -> Reply {
        send(&self.http, method, url, body, headers).await
    }

    pub fn url(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.emulator.url())
    }

    pub fn bearer(&self) -> [(&'static str, String); 1] {
        [("authorization", format!("Bearer {}", self.emulator.api_key()))]
    }

    /// Creates a session and returns the data of the answer.
    pub async fn create(&self, body: Value) -> Value {
        self.post(&format!("/mcp/createSession?imageId={CODE_IMAGE}"), body).await.data().clone()
    }

    /// Creates a session with an idle timeout and returns its id.
    pub async fn session(&self, timeout_s: u64) -> String {
        self.create(json!({"timeout": timeout_s})).await["sessionId"].as_str().unwrap().to_owned()
    }

    pub async fn tool(&self, session: &str, name: &str, args: Value) -> Reply {
        let body = json!({"args": args.to_string(), "sessionId": session, "name": name});
        self.post("/mcp?autoGenSession=false", body).await
    }

    pub async fn shell(&self, session: &str, command: &str) -> Reply {
        self.tool(session, "shell", json!({"command": command, "timeout_ms": 1_800_000})).await
    }

    /// The status of a session, or the code of the error.
    pub async fn status(&self, session: &str) -> String {
        let reply = self.post("/mcp/getSessionInfo", json!({"sessionId": session})).await;
        let shown = if reply.status == 200 { &reply.body["data"]["status"] } else { &reply.body["code"] };
        shown.as_str().unwrap().to_owned()
    }

    pub fn view(&self, session: &str) -> SessionView {
        self.emulator.sessions().into_iter().find(|view| view.id == session).unwrap()
    }

    /// Waits until a session is in a state.
    pub async fn until(&self, session: &str, state: SessionState) {
        until(&format!("{session} is {state}"), || self.view(session).state == state).await;
    }

    pub async fn advance(&self, seconds: u64) {
        self.emulator.advance(Duration::from_secs(seconds)).await;
    }
}

pub fn http() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub async fn send(
    http: &reqwest::Client,
    method: Method,
    url: &str,
    body: Vec<u8>,
    headers: &[(&str, String)],
) -> Reply {
    let mut request = http.request(method, Url::parse(url).unwrap()).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response = request.body(body).send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON in the answer {status}: {text}"));
    let reply = Reply { status, body };
    assert_envelope(&reply);
    reply
}

fn assert_envelope(reply: &Reply) {
    let body = &reply.body;
    let success = body["success"].as_bool().unwrap_or_else(|| panic!("success in {body}"));
    assert!(body["code"].as_str().is_some_and(|code| !code.is_empty()), "code in {body}");
    assert!(body["requestId"].as_str().is_some_and(|id| !id.is_empty()), "requestId in {body}");
    assert_eq!(body["httpStatusCode"], reply.status, "{body}");
    let message = body["message"].as_str().unwrap_or_else(|| panic!("message in {body}"));
    assert_eq!(message.is_empty(), success, "a message on failures only: {body}");
    assert!(success || body.get("data").is_none(), "no data on failures: {body}");
}

/// Waits until a condition holds; fails after 20 s, naming it.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, async || holds()).await;
}

pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..4_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within 20 s: {what}");
}

/// A value as a query carries it.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// How many processes have a word in their command line.
#[cfg(target_os = "linux")]
pub fn processes_with(word: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap();
    let commands = entries.filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    commands.filter(|command| String::from_utf8_lossy(command).split('\0').any(|part| part == word)).count()
}
