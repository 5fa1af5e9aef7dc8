//! The way to a session's browser by its debugging protocol: a WebSocket of the emulator, joined to Chromium's. So what a
//! client says is a use of the session, and nobody reaches the browser when the session has ended.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{
        FromRequestParts, Path, Query, Request, State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    http::StatusCode,
    response::Response,
};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message as BrowserMessage;

use super::{Trace, browser::refusal, same_secret};
use crate::{app::Service, browser::BrowserSocket, envelope::Answer, journal::JournalEntry, state::Session};

/// What using the browser is called.
const OPERATION: &str = "cdp";
/// The longest message; pictures of long pages are the longest there are.
const MAX_MESSAGE_BYTES: usize = 256 << 20;
/// How long a client may take to hear that it is over.
const GOODBYE: Duration = Duration::from_secs(3);

/// The address of a session's browser.
pub(crate) fn url(service: &Service, session: &Session, token: &str) -> String {
    let base = service.base_url.replacen("http", "ws", 1);
    format!("{base}/cdp/{}?token={token}", session.id)
}

#[derive(Debug, serde::Deserialize)]
pub(crate) struct Params {
    #[serde(default)]
    token: String,
}

/// Opens the way for whoever has the address.
pub(crate) async fn open(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Query(Params { token }): Query<Params>,
    request: Request,
) -> Result<Response, Answer> {
    let trace = request.extensions().get::<Trace>().cloned().unwrap_or_default();
    {
        let mut note = trace.note();
        note.operation = Some(OPERATION.to_owned());
        note.session_id = Some(id.clone());
        note.query.extend((!token.is_empty()).then(|| ("token".to_owned(), "***".into())));
    }
    let session = service.sessions.alive(&id).ok_or_else(Answer::no_session)?;
    let chromium = session.browser.running().await.map_err(refusal)?;
    if !same_secret(token.as_bytes(), chromium.token().as_bytes()) {
        return Err(Answer::denied("access denied: this is not the address that getCdpLink gives now"));
    }
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Answer::invalid(format!("this is a WebSocket: {}", rejection.body_text())))?;
    let browser = chromium.connect(MAX_MESSAGE_BYTES).await.map_err(|reason| {
        Answer::failure(StatusCode::BAD_GATEWAY, "BrowserNotReached", format!("the browser does not answer: {reason}"))
    })?;
    // Opening it is a use of the session, which ends at once.
    drop(service.sessions.use_session(&id, OPERATION).ok_or_else(Answer::no_session)?);
    trace.note().resets_idle_timer = true;
    let upgrade = upgrade.max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES);
    let tunnel = Tunnel { service, session, sent: AtomicU64::new(0), received: AtomicU64::new(0) };
    Ok(upgrade.on_upgrade(move |client| tunnel.run(client, browser)))
}

/// One client and its connection to the browser.
struct Tunnel {
    service: Arc<Service>,
    session: Arc<Session>,
    /// Messages of the client, and of the browser.
    sent: AtomicU64,
    received: AtomicU64,
}

impl Tunnel {
    async fn run(self, client: WebSocket, browser: BrowserSocket) {
        let (started, at) = (Instant::now(), self.service.sessions.clock.now());
        let (mut to_client, from_client) = client.split();
        let (mut to_browser, from_browser) = browser.split();
        let reason = tokio::select! {
            () = self.session.ended.cancelled() => "the session has ended",
            () = self.service.closing.cancelled() => "the emulator is being closed",
            () = self.to_browser(from_client, &mut to_browser) => "the client has gone",
            () = self.to_client(from_browser, &mut to_client) => "the browser has ended",
        };
        // Either may be gone already, or not read what it is told.
        let goodbye = async {
            let frame = CloseFrame { code: close_code::NORMAL, reason: reason.into() };
            let _ = tokio::join!(to_client.send(Message::Close(Some(frame))), to_browser.close());
        };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        self.record(at, started);
    }

    /// Each message of the client is a use of the session.
    async fn to_browser<S>(&self, mut client: S, browser: &mut (impl Sink<BrowserMessage> + Unpin))
    where
        S: Stream<Item = Result<Message, axum::Error>> + Unpin,
    {
        while let Some(Ok(message)) = client.next().await {
            let message = match message {
                Message::Text(text) => BrowserMessage::text(text.as_str()),
                Message::Binary(bytes) => BrowserMessage::binary(bytes),
                // They concern the connection, and are answered by themselves.
                Message::Ping(_) | Message::Pong(_) => continue,
                Message::Close(_) => return,
            };
            self.sent.fetch_add(1, Ordering::Relaxed);
            // It ends at once: what the browser makes of it may take for ever.
            let is_alive = self.service.sessions.use_session(&self.session.id, OPERATION).is_some();
            if !is_alive || browser.send(message).await.is_err() {
                return;
            }
        }
    }

    async fn to_client<S, E>(&self, mut browser: S, client: &mut (impl Sink<Message> + Unpin))
    where
        S: Stream<Item = Result<BrowserMessage, E>> + Unpin,
        E: fmt::Display,
    {
        while let Some(Ok(message)) = browser.next().await {
            let message = match message {
                BrowserMessage::Text(text) => Message::text(text.as_str()),
                BrowserMessage::Binary(bytes) => Message::Binary(bytes),
                BrowserMessage::Close(_) => return,
                _ => continue,
            };
            self.received.fetch_add(1, Ordering::Relaxed);
            if client.send(message).await.is_err() {
                return;
            }
        }
    }

    /// The whole conversation is one line of the journal, behind the one of its beginning.
    fn record(&self, at: Duration, started: Instant) {
        let Self { service, session, sent, received } = self;
        let count = |messages: &AtomicU64| Value::from(messages.load(Ordering::Relaxed));
        let body = json!({ "sent": count(sent), "received": count(received) });
        service.journal.record(JournalEntry {
            seq: 0,
            at: service.sessions.clock.wall(at),
            method: "WS".to_owned(),
            path: format!("/cdp/{}", session.id),
            operation: OPERATION.to_owned(),
            tool: None,
            session_id: Some(session.id.clone()),
            request_id: service.request_ids.uuid(),
            status: 200,
            code: "ok".to_owned(),
            success: true,
            duration_ms: started.elapsed().as_secs_f64() * 1e3,
            resets_idle_timer: sent.load(Ordering::Relaxed) > 0,
            query: serde_json::Map::new(),
            body: Some(body),
            fault: None,
        });
    }
}
