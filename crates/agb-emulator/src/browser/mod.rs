//! The browser of a session: a headless Chromium of this machine, started inside the session's sandbox
//! (docs/emulator.md, section Browser).
//!
//! ```text
//! Browsers ─ which Chromium, what the agent answers      one per emulator
//!  └ SessionBrowser ─ nothing until it is initialised    one per session
//!     └ Chromium ─ the process, the port for the emulator ends with its session and with the emulator
//!        └ Cdp ─ a pipe of our own to it, for the tools
//! ```

mod agent;
mod cdp;
mod chromium;
mod launch;
mod pages;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::Mutex;

pub use self::agent::{AgentAnswer, AgentTool};
use self::agent::{Script, Tasks};
pub(crate) use self::chromium::BrowserSocket;
use self::chromium::Chromium;
pub(crate) use self::pages::Shot;
use crate::sandbox::{Isolation, Sandbox};

/// What all browsers of an emulator share.
#[derive(Debug)]
pub(crate) struct Browsers {
    /// The Chromium that the options name.
    named: Option<PathBuf>,
    pub(crate) script: Script,
}

impl Browsers {
    pub(crate) fn new(named: Option<PathBuf>) -> Self {
        Self { named, script: Script::default() }
    }
}

/// The browser of one session, or the place for one.
#[derive(Debug)]
pub(crate) struct SessionBrowser {
    sandbox: Sandbox,
    pub(crate) browsers: Arc<Browsers>,
    pub(crate) tasks: Tasks,
    running: Mutex<Option<Arc<Chromium>>>,
}

/// Why there is no browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoBrowser {
    /// This machine has none; says what to do.
    Missing(String),
    /// It did not start; says why.
    Failed(String),
    /// Nobody has started it, or it has ended.
    Stopped,
}

impl std::fmt::Display for NoBrowser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(what_to_do) => f.write_str(what_to_do),
            Self::Failed(why) => write!(f, "the browser did not start: {why}"),
            Self::Stopped => f.write_str("the browser is not running; initialize it first"),
        }
    }
}

impl SessionBrowser {
    pub(crate) fn new(sandbox: Sandbox, browsers: Arc<Browsers>) -> Self {
        Self { sandbox, browsers, tasks: Tasks::default(), running: Mutex::default() }
    }

    /// Starts the browser with an option map, if none is running, and gives its port. `data` is where a context for its
    /// data is mounted, if one is.
    pub(crate) async fn start(&self, option: &Map<String, Value>, data: Option<&str>) -> Result<u16, NoBrowser> {
        let mut running = self.running.lock().await;
        if let Some(chromium) = running.as_ref().filter(|chromium| !chromium.has_ended()) {
            return Ok(chromium.port());
        }
        let program = launch::find_program(self.browsers.named.as_deref()).map_err(NoBrowser::Missing)?;
        let host = self.sandbox.host();
        let is_confined = host.isolation() == Isolation::Namespace;
        let mut plan = launch::Plan::new(option, is_confined || host.is_root());
        data.unwrap_or_default().clone_into(&mut plan.data);
        let started = tokio::select! {
            biased;
            () = self.sandbox.released() => Err(self.sandbox.released_error().to_string()),
            started = Chromium::start(&self.sandbox, &program, &plan) => started,
        };
        let chromium = started.map_err(NoBrowser::Failed)?;
        let port = chromium.port();
        *running = Some(Arc::new(chromium));
        Ok(port)
    }

    /// The running browser.
    pub(crate) async fn running(&self) -> Result<Arc<Chromium>, NoBrowser> {
        let running = self.running.lock().await;
        running.as_ref().filter(|chromium| !chromium.has_ended()).cloned().ok_or(NoBrowser::Stopped)
    }

    /// Ends the browser, letting it write its data first. Says whether one was there.
    pub(crate) async fn stop(&self) -> bool {
        let Some(chromium) = self.running.lock().await.take() else { return false };
        chromium.stop().await;
        true
    }
}
