//! The emulator: `ts/emulator.ts` on this side, and the command line of `bin/agb-emulator.js`.

use std::ffi::OsString;
use std::str::FromStr;
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};
use std::time::Duration;

use agb_client::lifecycle::registry::service_ended;
use agb_client::lifecycle::{Clock, keep_alive};
use agb_client::{Error, ErrorKind};
use agb_emulator::{
    AgentAnswer, ClockFollower, Emulator, EmulatorOptions, Fault, FaultHandle, FaultUse, JournalEntry, LastCall,
    SessionView, cli,
};
use futures_util::future::BoxFuture;
use napi::bindgen_prelude::PromiseRaw;
use napi::{Env, Result};
use napi_derive::napi;
use tokio::sync::oneshot;

use crate::support::{NativeFailure, Outcome, json_object, outcome, promise, to_json};

/// How an emulator is started.
#[napi(object, object_to_js = false)]
pub struct NativeEmulatorOptions {
    /// Port on 127.0.0.1.
    pub port: Option<f64>,
    /// The key that clients must send.
    pub api_key: Option<String>,
    /// Makes ids and tokens the same in every run.
    pub seed: Option<f64>,
    /// How many sessions may be alive at once.
    pub max_sessions: Option<f64>,
    /// The longest request body, in bytes.
    pub max_body_bytes: Option<f64>,
    /// The longest answer of a tool, in bytes.
    pub max_output_bytes: Option<f64>,
    /// `namespace` or `plain`.
    pub isolation: Option<String>,
    /// The Python interpreter.
    pub python: Option<String>,
    /// The Node.js interpreter.
    pub node: Option<String>,
    /// The Chromium.
    pub chromium: Option<String>,
    /// Further images to accept.
    pub images: Option<Vec<String>>,
    /// Do sessions get a link URL?
    pub link_url: Option<bool>,
    /// Faults that strike from the start: a JSON object each.
    pub faults: Option<Vec<String>>,
}

impl NativeEmulatorOptions {
    fn into_options(self) -> agb_client::Result<EmulatorOptions> {
        let defaults = EmulatorOptions::default();
        let described = self.faults.unwrap_or_default();
        let faults = described.iter().map(|json| fault(json));
        Ok(EmulatorOptions {
            port: self.port.map_or(defaults.port, |port| port as u16),
            api_key: self.api_key,
            seed: self.seed.map(|seed| seed as u64),
            max_sessions: self.max_sessions.map(|count| count as usize),
            max_body_bytes: self.max_body_bytes.map_or(defaults.max_body_bytes, |bytes| bytes as usize),
            max_output_bytes: self.max_output_bytes.map_or(defaults.max_output_bytes, |bytes| bytes as usize),
            isolation: self.isolation.map(|name| named("isolation", &name)).transpose()?,
            python: self.python.map(Into::into),
            node: self.node.map(Into::into),
            chromium: self.chromium.map(Into::into),
            images: self.images.unwrap_or_default(),
            link_url: self.link_url,
            faults: faults.collect::<agb_client::Result<_>>()?,
            ..defaults
        })
    }
}

fn fault(json: &str) -> agb_client::Result<Fault> {
    serde_json::from_str(json)
        .map_err(|why| why.to_string())
        .and_then(Fault::from_json)
        .map_err(|why| Error::new(ErrorKind::InvalidArgument, why))
}

/// Reads what has a name; an error begins with the name of the member.
fn named<T: FromStr<Err = String>>(member: &str, name: &str) -> agb_client::Result<T> {
    name.parse().map_err(|problem| Error::new(ErrorKind::InvalidArgument, format!("{member} {problem}")))
}

/// Starts an emulator.
#[napi]
pub fn start_emulator(env: &Env, options: NativeEmulatorOptions) -> Result<PromiseRaw<'_, Outcome<NativeEmulator>>> {
    promise(env, async move { outcome(start(options).await) })
}

async fn start(options: NativeEmulatorOptions) -> agb_client::Result<NativeEmulator> {
    let clients = Arc::new(Clients::default());
    let options = EmulatorOptions { follower: Some(clients.clone()), ..options.into_options()? };
    let started = Emulator::start(options).await;
    let inner = started.map_err(|error| Error::new(ErrorKind::Config, error.to_string()).with_source(error))?;
    clients.clock.get_or_init(|| Clock::of_service(inner.url()));
    Ok(NativeEmulator { inner: Arc::new(inner), end: Arc::new(Once::new()) })
}

/// The clients of this process that use an emulator: they are moved with it, and their keep-alives come in time.
#[derive(Default)]
struct Clients {
    /// Known once the emulator has an address.
    clock: OnceLock<Clock>,
}

impl ClockFollower for Clients {
    fn next_due(&self) -> Option<Duration> {
        keep_alive::next_due(self.clock.get()?)
    }

    fn advanced(&self, step: Duration) -> BoxFuture<'static, ()> {
        let Some(clock) = self.clock.get().cloned() else { return Box::pin(std::future::ready(())) };
        clock.advance(step);
        Box::pin(async move { keep_alive::settled(&clock).await })
    }
}

/// A session as the emulator sees it.
#[napi(object, object_from_js = false)]
pub struct NativeEmulatorSession {
    /// Its id.
    pub id: String,
    /// Its image.
    pub image_id: String,
    /// Where it is in its life.
    pub state: String,
    /// What `getStatus` answers.
    pub wire_status: String,
    /// ISO 8601.
    pub created_at: String,
    /// Seconds.
    pub idle_release_timeout: f64,
    /// Seconds.
    pub time_left: f64,
    /// Seconds.
    pub lifetime_left: f64,
    /// The last request that used it.
    pub last_call: Option<NativeLastCall>,
    /// Why it ended.
    pub end_reason: Option<String>,
    /// Its labels: a JSON object.
    pub labels: String,
}

/// The last request that used a session.
#[napi(object, object_from_js = false)]
pub struct NativeLastCall {
    /// What was asked.
    pub operation: String,
    /// ISO 8601.
    pub at: String,
}

impl From<LastCall> for NativeLastCall {
    fn from(call: LastCall) -> Self {
        Self { operation: call.operation, at: call.at }
    }
}

impl From<SessionView> for NativeEmulatorSession {
    fn from(view: SessionView) -> Self {
        Self {
            labels: to_json(&view.labels),
            id: view.id,
            image_id: view.image_id,
            state: view.state.to_string(),
            wire_status: view.wire_status.to_owned(),
            created_at: view.created_at,
            idle_release_timeout: view.idle_release_timeout_s,
            time_left: view.time_left_s,
            lifetime_left: view.lifetime_left_s,
            last_call: view.last_call.map(Into::into),
            end_reason: view.end_reason.map(|reason| reason.to_string()),
        }
    }
}

/// A request that the emulator has answered.
#[napi(object, object_from_js = false)]
pub struct NativeEmulatorRequest {
    /// Counts from 1.
    pub seq: f64,
    /// ISO 8601.
    pub at: String,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The operation.
    pub operation: String,
    /// The tool, for a tool call.
    pub tool: Option<String>,
    /// The session it was for.
    pub session_id: Option<String>,
    /// The id in the answer.
    pub request_id: String,
    /// Status of the HTTP answer.
    pub status: u32,
    /// The code of the answer.
    pub code: String,
    /// Did it do what it should?
    pub success: bool,
    /// Milliseconds of real time.
    pub duration_ms: f64,
    /// Did it set the session's idle timer back?
    pub resets_idle_timer: bool,
    /// A JSON object.
    pub query: String,
    /// JSON.
    pub body: Option<String>,
    /// The fault that struck it.
    pub fault: Option<NativeFaultUse>,
}

/// What a fault did to a request.
#[napi(object, object_from_js = false)]
pub struct NativeFaultUse {
    /// The number of the fault.
    pub id: f64,
    /// What it does.
    pub kind: String,
    /// Was the work done?
    pub worked: bool,
    /// The status of the answer that the work gave.
    pub status: Option<u32>,
    /// The code of that answer.
    pub code: Option<String>,
}

impl From<FaultUse> for NativeFaultUse {
    fn from(used: FaultUse) -> Self {
        Self {
            id: used.id as f64,
            kind: used.kind.to_owned(),
            worked: used.worked,
            status: used.status.map(u32::from),
            code: used.code,
        }
    }
}

impl From<JournalEntry> for NativeEmulatorRequest {
    fn from(entry: JournalEntry) -> Self {
        Self {
            seq: entry.seq as f64,
            at: entry.at,
            method: entry.method,
            path: entry.path,
            operation: entry.operation,
            tool: entry.tool,
            session_id: entry.session_id,
            request_id: entry.request_id,
            status: entry.status.into(),
            code: entry.code,
            success: entry.success,
            duration_ms: entry.duration_ms,
            resets_idle_timer: entry.resets_idle_timer,
            query: to_json(&entry.query),
            body: entry.body.as_ref().map(to_json),
            fault: entry.fault.map(Into::into),
        }
    }
}

/// What the browser agent answers to some of its calls.
#[napi(object, object_to_js = false)]
pub struct NativeAgentAnswer {
    /// `act`, `observe` or `extract`.
    pub tool: String,
    /// Only to those whose action or instruction contains this.
    pub containing: Option<String>,
    /// JSON.
    pub answer: Option<String>,
    /// It fails with this text.
    pub error: Option<String>,
    /// How often a task says "not yet" first.
    pub pending_looks: Option<f64>,
    /// How often it is given.
    pub times: Option<f64>,
}

impl NativeAgentAnswer {
    fn read(self) -> agb_client::Result<AgentAnswer> {
        Ok(AgentAnswer {
            tool: named("tool", &self.tool)?,
            containing: self.containing,
            answer: match self.error {
                Some(error) => Err(error),
                None => Ok(serde_json::from_str(self.answer.as_deref().unwrap_or("null")).map_err(|error| {
                    Error::new(ErrorKind::InvalidArgument, format!("answer must be JSON: {error}"))
                })?),
            },
            pending_looks: self.pending_looks.map_or(0, |looks| looks as u32),
            times: self.times.map(|times| times as u32),
        })
    }
}

/// A message that was pushed.
#[napi(object, object_from_js = false)]
pub struct NativePushed {
    /// How many clients it went to.
    pub clients: f64,
}

/// A fault of an emulator.
#[napi]
pub struct NativeEmulatorFault {
    inner: FaultHandle,
}

impl From<FaultHandle> for NativeEmulatorFault {
    fn from(inner: FaultHandle) -> Self {
        Self { inner }
    }
}

#[napi]
impl NativeEmulatorFault {
    /// Its number.
    #[napi(getter)]
    pub fn id(&self) -> f64 {
        self.inner.id() as f64
    }

    /// How many requests it has struck.
    #[napi(getter)]
    pub fn hits(&self) -> f64 {
        self.inner.hits() as f64
    }

    /// It strikes no more.
    #[napi]
    pub fn remove(&self) {
        self.inner.remove();
    }
}

/// A running emulator.
#[napi]
pub struct NativeEmulator {
    inner: Arc<Emulator>,
    /// Told of once: later, another emulator may have the address.
    end: Arc<Once>,
}

#[napi]
impl NativeEmulator {
    /// The address.
    #[napi(getter)]
    pub fn url(&self) -> &str {
        self.inner.url()
    }

    /// The key that clients must send.
    #[napi(getter)]
    pub fn api_key(&self) -> &str {
        self.inner.api_key()
    }

    /// `namespace` or `plain`.
    #[napi(getter)]
    pub fn isolation(&self) -> String {
        self.inner.isolation().to_string()
    }

    /// How sessions are kept apart and why, and the interpreters: lines for a person.
    #[napi(getter)]
    pub fn summary(&self) -> String {
        self.inner.summary()
    }

    /// Moves the time of session timers forward, here and in the clients of this process.
    #[napi]
    pub fn advance<'env>(&self, env: &'env Env, milliseconds: f64) -> Result<PromiseRaw<'env, ()>> {
        let emulator = Arc::clone(&self.inner);
        promise(env, async move {
            emulator.advance(Duration::try_from_secs_f64(milliseconds / 1_000.0).unwrap_or_default()).await;
        })
    }

    /// The sessions, also the released ones.
    #[napi]
    pub fn sessions(&self) -> Vec<NativeEmulatorSession> {
        self.inner.sessions().into_iter().map(Into::into).collect()
    }

    /// The requests answered so far.
    #[napi]
    pub fn journal(&self) -> Vec<NativeEmulatorRequest> {
        self.inner.journal().into_iter().map(Into::into).collect()
    }

    /// Forgets the requests answered so far.
    #[napi]
    pub fn clear_journal(&self) {
        self.inner.clear_journal();
    }

    /// What the browser agent answers from now on; a failure names what is wrong with the script.
    #[napi]
    pub fn script_browser_agent(&self, answers: Vec<NativeAgentAnswer>) -> Option<NativeFailure> {
        let answers: agb_client::Result<Vec<AgentAnswer>> = answers.into_iter().map(NativeAgentAnswer::read).collect();
        match answers {
            Ok(answers) => {
                self.inner.script_browser_agent(answers);
                None
            }
            Err(error) => Some(error.into()),
        }
    }

    /// Sends a message, a JSON object, to every client that has a WebSocket to the session open; gives their number.
    #[napi]
    pub fn push(&self, session_id: String, source: String, data: String) -> Outcome<NativePushed> {
        let data = json_object(&data);
        outcome(data.map(|data| NativePushed { clients: self.inner.push(&session_id, &source, data) as f64 }))
    }

    /// Lets a fault strike from now on: a JSON object.
    #[napi]
    pub fn add_fault(&self, json: String) -> Outcome<NativeEmulatorFault> {
        outcome(fault(&json).map(|fault| self.inner.add_fault(fault)))
    }

    /// Removes all faults.
    #[napi]
    pub fn clear_faults(&self) {
        self.inner.clear_faults();
    }

    /// Stops listening and ends all sessions.
    #[napi]
    pub fn close<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, ()>> {
        let (emulator, end) = (Arc::clone(&self.inner), Arc::clone(&self.end));
        promise(env, async move {
            emulator.close().await;
            end.call_once(|| service_ended(emulator.url()));
        })
    }
}

impl Drop for NativeEmulator {
    fn drop(&mut self) {
        self.end.call_once(|| service_ended(self.inner.url()));
    }
}

/// The command line `agb-emulator`.
#[napi]
pub struct NativeEmulatorCli {
    stop: Mutex<Option<oneshot::Sender<()>>>,
    stopped: Mutex<Option<oneshot::Receiver<()>>>,
}

#[napi]
impl NativeEmulatorCli {
    /// Nothing runs yet.
    #[napi(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript calls it")]
    pub fn new() -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop: Mutex::new(Some(stop)), stopped: Mutex::new(Some(stopped)) }
    }

    /// Runs the command line until `stop` is called; gives the exit code.
    #[napi]
    pub fn run<'env>(&self, env: &'env Env, arguments: Vec<String>) -> Result<PromiseRaw<'env, u32>> {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner).take();
        promise(env, async move {
            let stop = async move {
                match stopped {
                    // An error means that the object is gone, and nobody can ask any more.
                    Some(stopped) => drop(stopped.await),
                    None => std::future::pending().await,
                }
            };
            u32::from(cli::run(arguments.into_iter().map(OsString::from), stop).await)
        })
    }

    /// Ends it; calling twice is fine.
    #[napi]
    pub fn stop(&self) {
        if let Some(stop) = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Fails only when it has ended already.
            let _ = stop.send(());
        }
    }
}
