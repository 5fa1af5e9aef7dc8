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
mod picture;

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
    /// Nobody has started it.
    Stopped,
    /// It has ended by itself. Clients take it for running until they destroy it, and start no other.
    Ended,
}

impl std::fmt::Display for NoBrowser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(what_to_do) => f.write_str(what_to_do),
            Self::Failed(why) => write!(f, "the browser did not start: {why}"),
            Self::Stopped => f.write_str("the browser is not running; initialize it first"),
            Self::Ended => f.write_str(
                "the browser is not running: its Chromium has ended unexpectedly; destroy it, then initialize it again",
            ),
        }
    }
}

impl SessionBrowser {
    pub(crate) fn new(sandbox: Sandbox, files: SessionFiles, browsers: Arc<Browsers>) -> Self {
        Self { sandbox, files, browsers, tasks: Tasks::default(), running: Mutex::default() }
    }

    /// Starts the browser with an option map, if none is running, and gives its port. `data` is where a context for its
    /// data is mounted, if one is.
    pub(crate) async fn start(
        self: &Arc<Self>,
        option: &Map<String, Value>,
        data: Option<&str>,
    ) -> Result<u16, NoBrowser> {
        let (browser, option, data) = (Arc::clone(self), option.clone(), data.map(str::to_owned));
        let starting = async move {
            let mut running = browser.running.lock().await;
            if let Some(chromium) = alive(running.as_ref()) {
                return Ok(chromium.port());
            }
            let chromium = browser.launch(&option, data.as_deref()).await?;
            let port = chromium.port();
            *running = Some(Arc::new(chromium));
            Ok(port)
        };
        to_its_end(starting).await.unwrap_or_else(|reason| Err(NoBrowser::Failed(reason)))
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
    pub(crate) async fn view(self: &Arc<Self>, format: &str) -> Result<View, String> {
        let (browser, format) = (Arc::clone(self), format.to_owned());
        let viewing = async move {
            let running = browser.running.lock().await;
            if let Some(chromium) = alive(running.as_ref()) {
                drop(running);
                return chromium.view(&format).await;
            }
            let chromium = browser.launch(&Map::new(), None).await.map_err(|reason| reason.to_string())?;
            let view = chromium.view(&format).await;
            chromium.stop().await;
            drop(running);
            view
        };
        to_its_end(viewing).await?
    }

    /// The running browser.
    pub(crate) async fn running(&self) -> Result<Arc<Chromium>, NoBrowser> {
        let running = self.running.lock().await;
        let none = if running.is_some() { NoBrowser::Ended } else { NoBrowser::Stopped };
        alive(running.as_ref()).ok_or(none)
    }

    /// Ends the browser, letting it write its data first. Says whether one was there.
    pub(crate) async fn stop(self: &Arc<Self>) -> bool {
        let browser = Arc::clone(self);
        let stopping = async move {
            let mut running = browser.running.lock().await;
            let Some(chromium) = running.take() else { return false };
            chromium.stop().await;
            drop(running);
            true
        };
        to_its_end(stopping).await.unwrap_or(false)
    }
}

fn alive(running: Option<&Arc<Chromium>>) -> Option<Arc<Chromium>> {
    running.filter(|chromium| !chromium.has_ended()).cloned()
}

/// In a task of its own: a caller that goes away must not leave a browser half started or half stopped, as the next one
/// uses the same data.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    tokio::spawn(work).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::sandbox::testing::{self, eventually, in_session};
    use crate::sandbox::{HostOptions, Isolation};

    /// Speaks as much of the protocol as is needed here, and does not start while another one uses its data.
    const CHROMIUM: &str = r#"#!/usr/bin/env python3
import fcntl, json, os, sys, time
data = next(text for text in sys.argv if text.startswith("--user-data-dir=")).split("=", 1)[1]
lock = open(data + "/lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
open(data + "/in-use", "w").close()
open(data + "/pid", "w").write(str(os.getpid()))
print("DevTools listening on ws://127.0.0.1:1/x", file=sys.stderr, flush=True)
PNG = "iVBORw0KGgoAAAANSUhEUgAAABQAAAAeCAYAAADN"
ANSWER = {"targetInfos": [{"type": "page", "targetId": "p"}], "sessionId": "s", "data": PNG}
pending = b""
while chunk := os.read(3, 65536):
    *messages, pending = (pending + chunk).split(b"\0")
    for message in messages:
        os.write(4, json.dumps({"id": json.loads(message)["id"], "result": ANSWER}).encode() + b"\0")
time.sleep(0.3)
os.remove(data + "/in-use")
"#;

    /// Runs a test with a browser, and with a way to wait until one uses its data.
    async fn with_browser<F: Future<Output = ()>>(test: impl FnOnce(Arc<SessionBrowser>, testing::Session) -> F) {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("chromium");
        testing::write_program(&program, CHROMIUM);
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let host = testing::host(Isolation::Plain, HostOptions::default()).await.unwrap();
        in_session(host, |session| {
            let browsers = Arc::new(Browsers::new(Some(program)));
            test(Arc::new(SessionBrowser::new(session.sandbox.clone(), SessionFiles::default(), browsers)), session)
        })
        .await;
    }

    async fn in_use(session: &testing::Session) {
        let test = "test -e $TMPDIR/agb_browser_data/in-use";
        eventually("a browser runs", async || session.shell(test).await["exit_code"] == 0).await;
    }

    #[tokio::test]
    async fn there_is_one_browser_at_a_time() {
        with_browser(|browser, _| async move {
            let options = Map::new();
            let (one, two, port) =
                tokio::join!(browser.view("png"), browser.view("png"), browser.start(&options, None));
            let (one, two) = (one.unwrap(), two.unwrap());
            assert_eq!((one.width, one.height, port), (20, 30, Ok(1)));
            assert_eq!(two.data, one.data);
            let (was_there, port) = tokio::join!(browser.stop(), browser.start(&options, None));
            assert_eq!((was_there, port), (true, Ok(1)));
            assert!(browser.stop().await);
        })
        .await;
    }

    #[tokio::test]
    async fn one_that_was_not_started_and_one_that_has_ended_by_itself_ask_for_different_things() {
        with_browser(|browser, session| async move {
            let options = Map::new();
            let advice = browser.running().await.unwrap_err().to_string();
            assert!(advice.contains("initialize it first"), "{advice}");
            assert_eq!(browser.start(&options, None).await, Ok(1));
            let ended = session.shell("cd $TMPDIR/agb_browser_data && kill -9 $(cat pid) && rm in-use").await;
            assert_eq!(ended["exit_code"], 0, "{ended}");
            eventually("it has ended", async || browser.running().await.is_err()).await;
            let advice = browser.running().await.unwrap_err().to_string();
            assert!(advice.contains("destroy it, then initialize it again"), "{advice}");
            assert!(browser.stop().await);
            assert_eq!(browser.start(&options, None).await, Ok(1));
            assert!(browser.stop().await);
        })
        .await;
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_no_browser_to_the_next_one() {
        with_browser(|browser, session| async move {
            let options = Map::new();
            tokio::select! {
                biased;
                view = browser.view("png") => assert!(view.is_ok(), "{view:?}"),
                () = in_use(&session) => {}
            }
            assert_eq!(browser.start(&options, None).await, Ok(1));
            assert!(browser.running().await.is_ok());
            tokio::select! {
                biased;
                // Where it ends before anybody looks, nobody goes away.
                _ = browser.stop() => {}
                () = in_use(&session) => {}
            }
            assert_eq!(browser.start(&options, None).await, Ok(1));
            assert!(browser.stop().await);
        })
        .await;
    }
}
