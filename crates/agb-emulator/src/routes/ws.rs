//! The WebSocket of a session: code that runs while its output is sent, and pushes (docs/protocol.md, section
//! "WebSocket").

use std::{borrow::Cow, collections::HashSet, sync::Arc, time::Duration};

use axum::{
    extract::{
        ConnectInfo, FromRequestParts, Path, Request, State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    response::Response,
};
use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use serde_json::{Map, Value, json};
use tokio::{
    sync::{broadcast, mpsc},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{Trace, link::check_token, tool::why_ended};
use crate::{
    app::Service,
    connections::Wire,
    envelope::{Answer, NO_SESSION_FOR_TOOL},
    fault::{Channel, Effect, Seen, Strike, When, http::Shown},
    journal::JournalEntry,
    state::{InUse, Push, Session},
    tools::run_code::{self, Outcome, Piece},
};

/// The server that runs code, as the tool lists name it.
const SERVER: &str = "wuying_codespace";
const CLIENT: &str = "SDK";
/// What a stream does, as the journal names it.
const OPERATION: &str = "callTool";
const TOOL: &str = "run_code";
/// Frames that wait for a slow client; then the code's output waits, up to its limit.
const QUEUED_FRAMES: usize = 64;
/// Pieces of output between the interpreter and their frames.
const QUEUED_PIECES: usize = 16;
/// Streams that run or wait on one WebSocket.
const MAX_STREAMS: usize = 256;
/// How long streams may take to end when their session has.
const LAST_STREAMS: Duration = Duration::from_secs(10);
/// How long the last frames may take to be sent.
const LAST_FRAMES: Duration = Duration::from_secs(3);

/// Opens the WebSocket of a session for whoever has its token.
pub(crate) async fn open(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Answer> {
    let trace = request.extensions().get::<Trace>().cloned().unwrap_or_default();
    {
        let mut note = trace.note();
        note.operation = Some("webSocket".to_owned());
        note.session_id = Some(id.clone());
    }
    let session = service.sessions.alive(&id).ok_or_else(Answer::no_session)?;
    check_token(request.headers(), None, &session)?;
    let wire = request.extensions().get::<ConnectInfo<Wire>>().map(|info| info.0.clone()).unwrap_or_default();
    let is_mute = request.extensions().get::<Strike>().is_some_and(Strike::is_half_open);
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Answer::invalid(format!("this is a WebSocket: {}", rejection.body_text())))?;
    // Opening it is a use of the session, which ends at once.
    drop(service.sessions.use_session(&id, "webSocket").ok_or_else(Answer::no_session)?);
    trace.note().resets_idle_timer = true;
    // Whoever finds it open hears what is pushed from then on.
    let pushes = session.pushes.subscribe();
    let limit_bytes = service.max_body_bytes;
    let upgrade = upgrade.max_message_size(limit_bytes).max_frame_size(limit_bytes);
    Ok(upgrade.on_upgrade(move |socket| {
        if is_mute {
            wire.mute();
        }
        serve(service, session, socket, wire, pushes)
    }))
}

/// What the streams of one WebSocket share.
#[derive(Clone)]
struct Line {
    service: Arc<Service>,
    session: Arc<Session>,
    outgoing: mpsc::Sender<Outgoing>,
    /// Cancelled when the client is gone, which ends its streams.
    gone: CancellationToken,
}

/// What the writer does, in the order in which it was asked to.
enum Outgoing {
    Frame(Message),
    /// Break the connection off.
    Break,
    /// Write nothing any more.
    Mute,
}

/// Why the emulator stops listening.
enum End {
    /// The session ended, or the emulator did.
    Over,
    /// The client went away, or sent what can't be read.
    Gone(Option<CloseFrame>),
}

async fn serve(
    service: Arc<Service>,
    session: Arc<Session>,
    socket: WebSocket,
    wire: Wire,
    mut pushes: broadcast::Receiver<Push>,
) {
    let (sink, mut incoming) = socket.split();
    let (outgoing, queue) = mpsc::channel(QUEUED_FRAMES);
    let gone = CancellationToken::new();
    let writer = tokio::spawn(write(sink, queue, gone.clone(), wire.clone()));
    let line = Line { service, session, outgoing, gone };
    let mut streams = JoinSet::new();
    let mut ids = HashSet::new();

    let end = loop {
        tokio::select! {
            biased;
            // Whom nothing is told any more, is not told of this end either.
            () = line.session.ended.cancelled(), if !wire.is_mute() => {
                if !wire.is_mute() {
                    break End::Over;
                }
            }
            () = line.service.closing.cancelled() => break End::Over,
            () = line.gone.cancelled() => break End::Gone(None),
            Some(ended) = streams.join_next() => {
                // A panic costs one stream; its client hears nothing more of it.
                if let Ok(id) = ended {
                    ids.remove::<String>(&id);
                }
            }
            push = pushes.recv() => match push {
                Ok(push) => line.push(push).await,
                Err(broadcast::error::RecvError::Lagged(missed)) => tracing::warn!("{missed} pushes were missed"),
                Err(broadcast::error::RecvError::Closed) => break End::Over,
            },
            message = incoming.next() => match message {
                Some(Ok(Message::Text(text))) => line.take(text.as_str(), &mut ids, &mut streams).await,
                Some(Ok(Message::Binary(bytes))) => {
                    line.take(&String::from_utf8_lossy(&bytes), &mut ids, &mut streams).await;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_))) | None => break End::Gone(None),
                Some(Err(error)) => {
                    let reason = error.to_string().chars().take(60).collect::<String>();
                    break End::Gone(Some(CloseFrame { code: close_code::UNSUPPORTED, reason: reason.into() }));
                }
            },
        }
    };
    let goodbye = match end {
        End::Over => {
            let finish = async { while streams.join_next().await.is_some() {} };
            // What is late then can't be told any more.
            let _ = tokio::time::timeout(LAST_STREAMS, finish).await;
            Some(CloseFrame { code: close_code::NORMAL, reason: "the session has ended".into() })
        }
        End::Gone(frame) => frame,
    };
    line.gone.cancel();
    if let Some(frame) = goodbye {
        // Fails when the writer has ended, and then nobody hears.
        let _ = line.outgoing.try_send(Outgoing::Frame(Message::Close(Some(frame))));
    }
    drop(line);
    // Each ends by itself, as it has been cancelled.
    while streams.join_next().await.is_some() {}
    let _ = writer.await;
}

async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Outgoing>,
    gone: CancellationToken,
    wire: Wire,
) {
    while let Some(outgoing) = queue.recv().await {
        let message = match outgoing {
            Outgoing::Frame(message) => message,
            Outgoing::Mute => {
                wire.mute();
                continue;
            }
            Outgoing::Break => {
                wire.break_off();
                break;
            }
        };
        let sent = tokio::select! {
            biased;
            sent = sink.send(message) => sent.is_ok(),
            // Whoever does not read must not hold up the end.
            () = late(&gone) => false,
        };
        if !sent {
            break;
        }
    }
    gone.cancel();
    // The client may be gone already.
    let _ = tokio::time::timeout(LAST_FRAMES, sink.close()).await;
}

async fn late(gone: &CancellationToken) {
    gone.cancelled().await;
    tokio::time::sleep(LAST_FRAMES).await;
}

impl Line {
    /// Takes what a client says. What names no stream can't be answered.
    async fn take(&self, text: &str, ids: &mut HashSet<String>, streams: &mut JoinSet<String>) {
        let Ok(Value::Object(frame)) = serde_json::from_str::<Value>(text) else {
            tracing::debug!("a text that is no frame was ignored");
            return;
        };
        let id = ["invocationId", "requestId"].iter().find_map(|name| frame.get(*name)?.as_str());
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            // Some clients say {"type":"ping"} now and then, and want no answer.
            return;
        };
        if ids.contains(id) {
            tracing::debug!("a further frame to a stream was ignored");
            return;
        }
        let in_use = self.service.sessions.use_session(&self.session.id, TOOL);
        let mut stream =
            Stream { line: self.clone(), id: id.to_owned(), last_number: 0, chunks: 0, strike: None, is_cut: false };
        let refusal = match (read_request(&frame), in_use) {
            (Err(why), _) => Refusal::new("InvalidParameter", why),
            (Ok(_), _) if ids.len() >= MAX_STREAMS => Refusal::new(
                "TooManyStreams",
                format!("there are {MAX_STREAMS} streams on this WebSocket, and no more are taken"),
            ),
            (Ok(_), None) => self.no_session(),
            (Ok(params), Some(in_use)) => {
                ids.insert(id.to_owned());
                stream.strike = self.strike();
                streams.spawn(stream.run(params, in_use));
                return;
            }
        };
        stream.refuse(refusal).await;
    }

    async fn push(&self, push: Push) {
        let id = self.service.request_ids.uuid();
        self.send(&id, &push.source, push.data).await;
    }

    async fn send(&self, id: &str, source: &str, data: Map<String, Value>) {
        self.text(frame(id, source, data).to_string()).await;
    }

    async fn text(&self, text: String) {
        self.put(Outgoing::Frame(Message::Text(text.into()))).await;
    }

    async fn put(&self, outgoing: Outgoing) {
        // Fails when the client is gone.
        let _ = self.outgoing.send(outgoing).await;
    }

    /// The fault that strikes the stream which begins.
    fn strike(&self) -> Option<Strike> {
        let faults = &self.service.faults;
        if !faults.concern(OPERATION, Channel::Stream) {
            return None;
        }
        faults.strike(&Seen {
            operation: OPERATION,
            channel: Channel::Stream,
            tool: Some(TOOL),
            session_id: Some(&self.session.id),
            labels: &self.service.sessions.labels(&self.session.id).unwrap_or_default(),
        })
    }

    fn no_session(&self) -> Refusal {
        let why = why_ended(&self.service, &self.session.id);
        Refusal::new(NO_SESSION_FOR_TOOL, format!("Resource [Session] is not found: {why}"))
    }
}

fn frame(id: &str, source: &str, data: Map<String, Value>) -> Value {
    json!({ "invocationId": id, "source": source, "target": CLIENT, "data": data })
}

/// The beginning of a text: so many bytes, or half of it; never all.
fn cut_text(mut text: String, bytes: Option<u64>) -> String {
    let wanted = bytes.map_or(text.len() / 2, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let mut length = wanted.min(text.len().saturating_sub(1));
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    text.truncate(length);
    text
}

/// The parameters of the one thing that a stream can ask for.
fn read_request(frame: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let held;
    let data = match frame.get("data") {
        Some(Value::Object(data)) => data,
        Some(Value::String(text)) => {
            held = super::object_in_text("data", text).map_err(|answer| answer.message().to_owned())?;
            &held
        }
        _ => return Err("data is required and must be an object".to_owned()),
    };
    match (data.get("method").and_then(Value::as_str), data.get("mode").and_then(Value::as_str)) {
        (Some("run_code"), Some("stream")) => {}
        (Some("run_code"), _) => return Err("mode must be \"stream\"".to_owned()),
        (Some(other), _) => return Err(format!("method {other} is not available; this emulator knows run_code")),
        (None, _) => return Err("method is required".to_owned()),
    }
    match data.get("params") {
        Some(Value::Object(params)) => Ok(params.clone()),
        _ => Err("params is required and must be an object".to_owned()),
    }
}

/// Why a stream ends without having run.
struct Refusal {
    code: Cow<'static, str>,
    message: String,
}

impl Refusal {
    fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// One invocation.
struct Stream {
    line: Line,
    id: String,
    last_number: u64,
    /// Pieces of output that were sent.
    chunks: u64,
    strike: Option<Strike>,
    /// A fault has ended it: nothing more of it may be sent.
    is_cut: bool,
}

impl Stream {
    /// Runs code and sends what it prints and shows. Gives its id.
    async fn run(mut self, params: Map<String, Value>, in_use: InUse) -> String {
        let (started, at) = (Instant::now(), self.line.service.sessions.clock.now());
        if self.is_prevented().await {
            self.record(at, started, params, None);
            return self.id;
        }
        self.strike_between().await;
        let (live, mut pieces) = mpsc::channel(QUEUED_PIECES);
        let (line, asked) = (self.line.clone(), params.clone());
        // In a task of its own: the code runs on while its output waits for the client.
        let work = tokio::spawn(async move {
            let limits = &line.service.tool_limits;
            run_code::stream(&line.session.sandbox, &asked, limits, live, line.gone.clone()).await
        });
        while let Some(piece) = pieces.recv().await {
            self.tell(piece).await;
        }
        let outcome = work.await.unwrap_or_else(|error| Err(format!("the code could not be run: {error}")));
        // The client may look at the session as soon as it knows of the end.
        drop(in_use);
        let is_success = outcome.as_ref().is_ok_and(|outcome| outcome.error.is_none());
        self.record(at, started, params, Some(is_success));
        self.strike_at_the_end().await;
        match outcome {
            _ if self.is_cut => {}
            Ok(outcome) => self.finish(outcome).await,
            Err(_) if self.line.session.ended.is_cancelled() => self.refuse(self.line.no_session()).await,
            Err(message) => self.refuse(Refusal::new("InvalidParameter", message)).await,
        }
        self.id
    }

    /// Does a fault keep the work from being done? Then what it does instead is done.
    async fn is_prevented(&mut self) -> bool {
        let Some(effect) = self.effect() else { return false };
        if let Some(by) = effect.delay_of_work() {
            tokio::select! {
                () = tokio::time::sleep(by) => {}
                () = self.line.gone.cancelled() => {}
            }
        }
        if effect.prevents_work() {
            self.cut(&effect).await;
        }
        self.is_cut
    }

    /// What a fault does between two pieces of output.
    async fn strike_between(&mut self) {
        let Some(effect) = self.effect() else { return };
        match *effect {
            Effect::Close { after_chunks, .. } | Effect::HalfOpen { when: When::After, after_chunks }
                if self.chunks == after_chunks =>
            {
                self.cut(&effect).await;
            }
            _ => {}
        }
    }

    /// What a fault does when the code has run and its end has not been told.
    async fn strike_at_the_end(&mut self) {
        let Some(effect) = self.effect() else { return };
        match &*effect {
            Effect::Delay { .. } => {
                tokio::select! {
                    () = tokio::time::sleep(effect.delay_of_answer().unwrap_or_default()) => {}
                    () = self.line.gone.cancelled() => {}
                }
            }
            Effect::Truncate { .. } | Effect::Garbage { .. } | Effect::Slow { .. } => {}
            _ => self.cut(&effect).await,
        }
    }

    /// Ends what the client hears of the stream.
    async fn cut(&mut self, effect: &Effect) {
        if self.is_cut {
            return;
        }
        match effect {
            Effect::Status { code, message, .. } => self.refuse(Refusal::new(code.clone(), message.clone())).await,
            Effect::Reset { .. } => {
                self.line.put(Outgoing::Break).await;
            }
            Effect::HalfOpen { .. } => self.line.put(Outgoing::Mute).await,
            Effect::Close { code, reason, .. } => {
                let frame = CloseFrame { code: *code, reason: reason.clone().into() };
                self.line.put(Outgoing::Frame(Message::Close(Some(frame)))).await;
                self.line.gone.cancel();
            }
            Effect::Delay { .. } | Effect::Truncate { .. } | Effect::Garbage { .. } | Effect::Slow { .. } => return,
        }
        self.is_cut = true;
    }

    fn effect(&self) -> Option<Arc<Effect>> {
        self.strike.as_ref().map(|strike| strike.effect.clone())
    }

    async fn tell(&mut self, piece: Piece) {
        let event = match piece {
            Piece::Stdout(chunk) => json!({ "eventType": "stdout", "chunk": chunk }),
            Piece::Stderr(chunk) => json!({ "eventType": "stderr", "chunk": chunk }),
            Piece::Result(Value::Object(mut mime)) => {
                let is_main = mime.remove("isMainResult");
                json!({ "eventType": "result", "result": { "mime": mime, "isMainResult": is_main } })
            }
            Piece::Result(_) => return,
        };
        self.send("event", event).await;
        self.chunks += 1;
        self.strike_between().await;
    }

    async fn finish(&mut self, outcome: Outcome) {
        for (text, piece_of) in
            [(outcome.stdout, Piece::Stdout as fn(String) -> Piece), (outcome.stderr, Piece::Stderr)]
        {
            if !text.is_empty() {
                self.tell(piece_of(text)).await;
            }
        }
        if let Some(message) = &outcome.error {
            let error = json!({ "code": "ExecutionError", "message": message, "traceId": self.id });
            self.send("event", json!({ "eventType": "error", "error": error })).await;
        }
        let status = if outcome.error.is_some() { "failed" } else { "finished" };
        let end = json!({
            "status": status,
            "executionCount": outcome.count,
            "executionTime": outcome.seconds,
            "executionError": outcome.error,
        });
        self.send_last("end", end).await;
    }

    async fn refuse(&mut self, refusal: Refusal) {
        let error = json!({ "code": refusal.code, "message": refusal.message, "traceId": self.id });
        self.send_last("error", json!({ "error": error })).await;
    }

    async fn send(&mut self, phase: &str, members: Value) {
        if self.is_cut {
            return;
        }
        let data = self.data(phase, members);
        self.line.send(&self.id, SERVER, data).await;
    }

    /// The frame that ends the stream, or what a fault makes of it.
    async fn send_last(&mut self, phase: &str, members: Value) {
        let text = match self.effect().as_deref() {
            Some(Effect::Garbage { body }) => String::from_utf8_lossy(body).into_owned(),
            Some(Effect::Truncate { bytes, .. }) => {
                let data = self.data(phase, members);
                cut_text(frame(&self.id, SERVER, data).to_string(), *bytes)
            }
            _ => return self.send(phase, members).await,
        };
        self.line.text(text).await;
    }

    fn data(&mut self, phase: &str, members: Value) -> Map<String, Value> {
        self.last_number += 1;
        let mut data = Map::new();
        data.insert("method".to_owned(), "run_code".into());
        data.insert("mode".to_owned(), "stream".into());
        data.insert("seq".to_owned(), self.last_number.into());
        data.insert("phase".to_owned(), phase.into());
        if let Value::Object(members) = members {
            data.extend(members);
        }
        data
    }

    /// `is_success`: what came of the work; `None` when a fault kept it from being done.
    fn record(&self, at: Duration, started: Instant, body: Map<String, Value>, is_success: Option<bool>) {
        let Line { service, session, .. } = &self.line;
        let done = is_success.map(|success| Shown { status: 200, code: "ok".to_owned(), success });
        let (shown, fault) = match (&self.strike, done) {
            (Some(strike), done) => {
                let (shown, fault) = strike.shown_on_stream(done);
                (shown, Some(fault))
            }
            (None, Some(done)) => (done, None),
            // Only a fault prevents the work.
            (None, None) => return,
        };
        service.journal.record(JournalEntry {
            seq: 0,
            at: service.sessions.clock.wall(at),
            method: "WS".to_owned(),
            path: format!("/ws/{}", session.id),
            operation: OPERATION.to_owned(),
            tool: Some(TOOL.to_owned()),
            session_id: Some(session.id.clone()),
            request_id: self.id.clone(),
            status: shown.status,
            code: shown.code,
            success: shown.success,
            fault,
            duration_ms: started.elapsed().as_secs_f64() * 1e3,
            resets_idle_timer: true,
            query: Map::new(),
            body: super::journal_body_of(body, service),
        });
    }
}
