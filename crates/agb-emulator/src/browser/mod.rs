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
mod fingerprint;
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
pub(crate) use self::pages::{Shot, View};
use crate::sandbox::Sandbox;
use crate::tools::filesystem::SessionFiles;

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
    files: SessionFiles,
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
    pub(crate) fn new(sandbox: Sandbox, files: SessionFiles, browsers: Arc<Browsers>) -> Self {
        Self { sandbox, files, browsers, tasks: Tasks::default(), running: Mutex::default() }
    }

    /// Starts the browser with an option map, if none is running, and gives its port. `data` is where a context for its
    /// data is mounted, if one is.
    pub(crate) async fn start(&self, option: &Map<String, Value>, data: Option<&str>) -> Result<u16, NoBrowser> {
        let mut running = self.running.lock().await;
        if let Some(chromium) = running.as_ref().filter(|chromium| !chromium.has_ended()) {
            return Ok(chromium.port());
        }
        let chromium = self.launch(option, data).await?;
        let port = chromium.port();
        *running = Some(Arc::new(chromium));
        Ok(port)
    }

    async fn launch(&self, option: &Map<String, Value>, data: Option<&str>) -> Result<Chromium, NoBrowser> {
        let program = launch::find_program(self.browsers.named.as_deref()).map_err(NoBrowser::Missing)?;
        let mut plan = launch::Plan::new(option, self.sandbox.host().confines());
        data.unwrap_or_default().clone_into(&mut plan.data);
        let starting = async {
            let agent = fingerprint::user_agent(option, &self.sandbox, &self.files).await?;
            plan.arguments.splice(0..0, agent.as_deref().map(launch::user_agent));
            Chromium::start(&self.sandbox, &program, &plan).await
        };
        let started = tokio::select! {
            biased;
            () = self.sandbox.released() => Err(self.sandbox.released_error().to_string()),
            started = starting => started,
        };
        started.map_err(NoBrowser::Failed)
    }

    /// A picture, `png` or `jpeg`, of what the browser shows. Where none is running, one is started for the picture alone:
    /// the next start may have other options.
    pub(crate) async fn view(&self, format: &str) -> Result<View, String> {
        if let Ok(chromium) = self.running().await {
            return chromium.view(format).await;
        }
        let _nothing_else_starts = self.running.lock().await;
        let chromium = self.launch(&Map::new(), None).await.map_err(|reason| reason.to_string())?;
        let view = chromium.view(format).await;
        chromium.stop().await;
        view
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
