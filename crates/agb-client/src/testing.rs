//! A server for tests: it answers as the test says, and remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Handshake, Response as HandshakeAnswer};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::agb::{Agb, AgbOptions, SdkIdentity};
use crate::lifecycle::ExitPolicy;
use crate::session::{Created, Session, SessionDetails};
use crate::transport::RetryPolicy;

/// A request that the server got.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) raw_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// How many requests to this path came before.
    pub(crate) nth: usize,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The server; it ends with this value.
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let journal = seen.clone();
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let request = note(&journal, method, &uri, headers, &body);
            std::future::ready(answer(&request))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(handler);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen, task }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests to one path.
    pub(crate) fn seen_at(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.path == path).collect()
    }

    pub(crate) fn agb(&self) -> Agb {
        agb(&self.url, &[])
    }

    pub(crate) fn session(&self) -> Session {
        self.agb().attach("s-1", SessionDetails::default())
    }

    /// One that was made now, with an idle time-out of a minute.
    pub(crate) fn new_session(&self, created: Created) -> Session {
        let agb = self.agb();
        let life = agb.life_of_new("s-1", Some(Duration::from_secs(60)), agb.clock().moment());
        Session::created(agb, "s-1", life, created)
    }
}

fn note(journal: &Mutex<Vec<Seen>>, method: Method, uri: &Uri, headers: HeaderMap, body: &[u8]) -> Seen {
    let mut journal = journal.lock().unwrap();
    let raw_query = uri.query().unwrap_or_default().to_owned();
    let query = url::form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect();
    let path = uri.path().to_owned();
    let nth = journal.iter().filter(|seen| seen.path == path).count();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let seen = Seen { method, path, query, raw_query, headers, body, nth };
    journal.push(seen.clone());
    seen
}

pub(crate) fn options(endpoint: &str) -> AgbOptions {
    let sdk = SdkIdentity { language: "typescript".into(), version: "0.1.0".into(), release: false };
    AgbOptions { api_key: Some("ako-SECRET".into()), endpoint: Some(endpoint.into()), ..AgbOptions::new(sdk) }
}

/// The limit of [`owned_by`].
pub(crate) const EXIT_LIMIT: Duration = Duration::from_secs(20);

/// A client whose sessions are released when `owner` ends.
pub(crate) fn owned_by(endpoint: &str, owner: u64) -> Agb {
    with_exit(endpoint, ExitPolicy { limit: EXIT_LIMIT, owner })
}

pub(crate) fn with_exit(endpoint: &str, policy: ExitPolicy) -> Agb {
    let mut options = options(endpoint);
    options.exit = Some(policy);
    Agb::with_retry(options, RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() }).unwrap()
}

/// A client that waits next to nothing between attempts.
pub(crate) fn agb(endpoint: &str, env: &[(&str, &str)]) -> Agb {
    with_timeout(endpoint, env, 20_000.0)
}

pub(crate) fn with_timeout(endpoint: &str, env: &[(&str, &str)], timeout_ms: f64) -> Agb {
    let mut options = options(endpoint);
    options.timeout_ms = Some(timeout_ms);
    options.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Agb::with_retry(options, RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() }).unwrap()
}

/// Does `work` while a runtime of one thread does nothing.
pub(crate) fn while_stuck<T>(runtime: &Runtime, work: impl FnOnce() -> T) -> T {
    let (stuck, is_stuck) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let task = runtime.spawn(async move {
        stuck.send(()).unwrap();
        let _ = may_go_on.recv();
    });
    is_stuck.recv().unwrap();
    let result = work();
    drop(go_on);
    runtime.block_on(task).unwrap();
    result
}

pub(crate) fn reply(status: u16, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// An answer that begins and never ends.
pub(crate) fn endless() -> Response {
    let never = futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>();
    reply(200, Body::from_stream(never))
}

/// An envelope of success around `data`.
pub(crate) fn ok(data: &Value) -> Response {
    reply(200, json!({"success": true, "code": "ok", "requestId": "r-1", "data": data}).to_string())
}

pub(crate) fn refuse(status: u16, code: &str, message: &str) -> Response {
    reply(status, json!({"success": false, "code": code, "message": message, "requestId": "r-1"}).to_string())
}

pub(crate) fn not_found() -> Response {
    refuse(400, "InvalidMcpSession.NotFound", "Resource [McpSession] is not found")
}

/// A server below HTTP: takes a whole request, sends these bytes, and closes. Counts its connections.
pub(crate) struct RawServer {
    pub(crate) url: String,
    pub(crate) connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RawServer {
    pub(crate) async fn start(answer: &'static [u8], hold: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(Mutex::new(0));
        let count = connections.clone();
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                *count.lock().unwrap() += 1;
                let mut buffer = vec![0; 65_536];
                let _ = socket.read(&mut buffer).await;
                let _ = socket.write_all(answer).await;
                if hold {
                    held.push(socket);
                }
            }
        });
        Self { url, connections, task }
    }
}

/// An address where nobody listens: no other test is ever given this port.
pub(crate) const CLOSED_URL: &str = "http://127.0.0.1:1";

/// A WebSocket as the server sees it.
pub(crate) struct Peer {
    socket: WebSocketStream<TcpStream>,
}

impl Peer {
    /// The next frame of the client; `None` at the end of the connection.
    pub(crate) async fn hear(&mut self) -> Option<Value> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(text.as_str()).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The id of the next stream.
    pub(crate) async fn next_id(&mut self) -> String {
        self.hear().await.unwrap()["invocationId"].as_str().unwrap().to_owned()
    }

    /// Waits for a ping, which is answered by itself.
    pub(crate) async fn pinged(&mut self) {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Ping(_))) => return self.socket.flush().await.unwrap(),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn say(&mut self, id: &str, data: Value) {
        self.say_text(&json!({"invocationId": id, "source": "server", "target": "SDK", "data": data}).to_string())
            .await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn print(&mut self, id: &str, chunk: &str) {
        self.say(id, json!({"phase": "event", "eventType": "stdout", "chunk": chunk})).await;
    }

    pub(crate) async fn end(&mut self, id: &str) {
        self.say(id, json!({"phase": "end", "status": "finished"})).await;
    }

    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: reason.to_owned().into() };
        self.socket.close(Some(frame)).await.unwrap();
        while self.socket.next().await.is_some() {}
    }

    /// Neither reads nor answers any more, and keeps the connection.
    pub(crate) async fn fall_silent(self) {
        let _held = self.socket;
        std::future::pending::<()>().await;
    }
}

/// A server of WebSockets for tests: each connection follows the script; it ends with this value.
pub(crate) struct WsServer {
    pub(crate) url: String,
    /// The headers of the handshakes.
    handshakes: Arc<Mutex<Vec<HeaderMap>>>,
    task: JoinHandle<()>,
}

impl Drop for WsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl WsServer {
    /// `script` gets each connection, and how many came before.
    pub(crate) async fn start<F>(script: impl Fn(usize, Peer) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap());
        let handshakes: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
        let seen = handshakes.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut headers = HeaderMap::new();
                #[expect(clippy::result_large_err, reason = "the library's own type")]
                let read = |request: &Handshake, response: HandshakeAnswer| {
                    headers = request.headers().clone();
                    Ok(response)
                };
                let Ok(socket) = accept_hdr_async(stream, read).await else { continue };
                let nth = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(headers);
                    seen.len() - 1
                };
                connections.spawn(script(nth, Peer { socket }));
            }
        });
        Self { url, handshakes, task }
    }

    pub(crate) fn handshakes(&self) -> Vec<HeaderMap> {
        self.handshakes.lock().unwrap().clone()
    }

    /// A session whose WebSocket this is.
    pub(crate) fn session(&self) -> Session {
        let details =
            SessionDetails { ws_url: self.url.clone(), token: "tk-SECRET".into(), ..SessionDetails::default() };
        agb(CLOSED_URL, &[]).attach("s-1", details)
    }
}
