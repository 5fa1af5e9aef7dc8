//! The AGB cloud session service on this machine: for trying, testing and working offline.
//!
//! [`Emulator::start`] listens on 127.0.0.1. Sessions live and die as on the service, and do real work: a shell,
//! interpreters, files. Time can be skipped with [`Emulator::advance`].
//!
//! The path of a request: [`app`] → `routes/` → [`state`] and [`tools`] → [`sandbox`]; [`lifecycle`] is what time does.

#![forbid(unsafe_code)]

use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

mod app;
mod browser;
pub mod cli;
mod clock;
mod connections;
mod contexts;
mod envelope;
mod fault;
mod ids;
mod journal;
mod lifecycle;
mod options;
mod routes;
pub mod sandbox;
mod state;
mod timekeeper;
pub mod tools;

use crate::{
    app::Service,
    browser::Browsers,
    clock::Clock,
    connections::{Connections, Wire},
    fault::Faults,
    ids::{Ids, Secret},
    journal::Journal,
    lifecycle::Advance,
    sandbox::{Host, HostOptions},
    state::{Push, Sessions},
    tools::{ToolLimits, computer::Screenshots},
};
pub use crate::{
    browser::{AgentAnswer, AgentTool},
    fault::{Direction, Effect, Fault, FaultHandle, FaultUse, When},
    journal::JournalEntry,
    options::{ClockFollower, EmulatorOptions, RequestLog},
    sandbox::Isolation,
    state::{EndReason, LastCall, SessionState, SessionView},
    timekeeper::Timekeeper,
};

/// How long connections get to send their last answer when the emulator is closed.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A running emulator. Dropping it closes it in the background, as far as its runtime still runs.
#[derive(Debug)]
pub struct Emulator {
    service: Arc<Service>,
    host: Arc<Host>,
    advances: mpsc::UnboundedSender<Advance>,
    /// Cancelled when nothing of the emulator is left.
    closed: CancellationToken,
    /// Begins the end when the emulator is dropped.
    _closing: DropGuard,
}

impl Emulator {
    /// Looks at the machine, listens, and returns. The emulator runs on the tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when the port is taken, with a text that names the port; `InvalidInput` for an API key that no header can
    /// carry; and what the look at the machine finds: a forced isolation that does not work, an interpreter that is not
    /// there.
    pub async fn start(options: EmulatorOptions) -> io::Result<Emulator> {
        let api_key = options.api_key.unwrap_or_else(ids::random_api_key);
        check_api_key(&api_key)?;
        let listener = listen(options.port).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let host = Host::probe(HostOptions {
            isolation: options.isolation,
            python: options.python,
            node: options.node,
            base_directory: options.base_directory,
        })
        .await?;
        let faults = Arc::new(Faults::new(options.seed));
        for fault in options.faults {
            faults.add(fault);
        }
        let screenshots = Arc::new(Screenshots::new(&base_url));
        let service = Arc::new(Service {
            base_url,
            api_key: Secret::new(api_key),
            images: options.images,
            link_url: options.link_url,
            max_body_bytes: options.max_body_bytes,
            tool_limits: ToolLimits { output_bytes: options.max_output_bytes, time: options.max_tool_time },
            sessions: Arc::new(Sessions::new(
                Clock::start(),
                host.clone(),
                Arc::new(Browsers::new(options.chromium)),
                screenshots,
                options.seed,
                options.max_sessions,
            )),
            journal: Journal::new(options.log),
            faults,
            request_ids: Ids::new(options.seed, 1),
            closing: CancellationToken::new(),
        });
        let (advances, wishes) = mpsc::unbounded_channel();
        let closing = service.closing.clone();
        let lifecycle =
            tokio::spawn(lifecycle::run(service.sessions.clone(), wishes, options.follower, closing.clone()));
        let severed = CancellationToken::new();
        let routes = app::app(service.clone()).into_make_service_with_connect_info::<Wire>();
        let server = tokio::spawn(
            axum::serve(Connections { listener, severed: severed.clone() }, routes)
                .with_graceful_shutdown(closing.clone().cancelled_owned())
                .into_future(),
        );
        let closed = CancellationToken::new();
        let server = Server { task: server, severed: severed.drop_guard() };
        tokio::spawn(supervise(service.clone(), host.clone(), server, lifecycle, closed.clone().drop_guard()));
        Ok(Emulator { service, host, advances, closed, _closing: closing.drop_guard() })
    }

    /// `http://127.0.0.1:<port>`, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.service.base_url
    }

    /// The key that clients must send.
    pub fn api_key(&self) -> &str {
        self.service.api_key.reveal()
    }

    /// How sessions are kept apart.
    pub fn isolation(&self) -> Isolation {
        self.host.isolation()
    }

    /// One line on the isolation, why it was chosen, and the interpreters found.
    pub fn summary(&self) -> String {
        self.host.summary()
    }

    /// Moves the emulator's clock forward, from one due event to the next (an idle timeout, a maximum lifetime, the end
    /// of `FINISH`), and returns when everything within the jump is done, teardowns included. Several at once happen
    /// one after the other. Limits of real work stay on real time. Returns early when the emulator is closed.
    pub async fn advance(&self, by: Duration) {
        let (done, wait) = oneshot::channel();
        if self.advances.send(Advance { by, done }).is_ok() {
            // An error says that the emulator was closed meanwhile.
            let _ = wait.await;
        }
    }

    /// All sessions in the order of creation, with the last 1,000 released ones.
    pub fn sessions(&self) -> Vec<SessionView> {
        self.service.sessions.views()
    }

    /// The last 10,000 finished requests, in the order in which they finished.
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.service.journal.entries()
    }

    /// What the browser agent answers from now on, in the order in which the answers are tried. Without any it needs a
    /// model, and says so.
    pub fn script_browser_agent(&self, answers: Vec<AgentAnswer>) {
        self.service.sessions.browsers.script.set(answers);
    }

    /// Lets a fault strike from now on.
    pub fn add_fault(&self, fault: Fault) -> FaultHandle {
        self.service.faults.add(fault)
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.service.faults.clear();
    }

    /// Forgets all journal entries.
    pub fn clear_journal(&self) {
        self.service.journal.clear();
    }

    /// Sends a message to every client that has a WebSocket to the session open, as `source`; gives their number.
    pub fn push(&self, session_id: &str, source: &str, data: Map<String, Value>) -> usize {
        let Some(session) = self.service.sessions.alive(session_id) else { return 0 };
        // Fails when nobody hears.
        session.pushes.send(Push { source: source.to_owned(), data }).unwrap_or_default()
    }

    /// Stops listening, ends the calls in flight, releases every session and removes all directories; done when it
    /// returns. May be called again, also at the same time.
    pub async fn close(&self) {
        self.service.closing.cancel();
        self.closed.cancelled().await;
    }
}

async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            let what_to_do = "choose another one, or none for any free one";
            io::Error::new(error.kind(), format!("port {port} is taken; {what_to_do}"))
        }
        _ => error,
    })
}

fn check_api_key(key: &str) -> io::Result<()> {
    if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "the API key must be visible ASCII characters, at least one"))
}

/// The task that serves connections.
struct Server {
    task: JoinHandle<io::Result<()>>,
    severed: DropGuard,
}

impl Server {
    /// Lets connections send their last answer, then ends those that are still there.
    async fn end(mut self) {
        if tokio::time::timeout(LAST_ANSWERS, &mut self.task).await.is_ok() {
            return;
        }
        drop(self.severed);
        if tokio::time::timeout(LAST_ANSWERS, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Waits for the end and puts everything away.
async fn supervise(
    service: Arc<Service>,
    host: Arc<Host>,
    server: Server,
    lifecycle: JoinHandle<()>,
    closed: DropGuard,
) {
    service.closing.cancelled().await;
    // The lifecycle task ends by itself, and a panic in it must not keep the rest from being put away.
    let _ = lifecycle.await;
    service.sessions.close().await;
    host.close().await;
    server.end().await;
    drop(closed);
}
