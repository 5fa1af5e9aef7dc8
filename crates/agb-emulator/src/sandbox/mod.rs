//! Where a session's shell, code and files live: a namespace of its own where the machine allows it, else plain
//! processes under a directory of the emulator (docs/emulator.md, section Isolation).
//!
//! ```text
//! Host ─ base directory, interpreters, the isolation that works      one per emulator
//!  └ Sandbox ─ nothing until the first call                          one per session
//!     └ Running ─ Namespace | Plain                                  its processes
//!        └ Process ─ a shell or an interpreter                       one process group
//! ```

mod base;
mod host;
mod interpreters;
mod namespace;
mod pipes;
mod plain;
mod process;
mod running;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod written;

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub use self::host::{Host, HostOptions, Isolation};
pub(crate) use self::interpreters::Language;
pub(crate) use self::pipes::OutputPipe;
pub(crate) use self::process::{Invocation, Process};
pub(crate) use self::running::Running;
pub(crate) use self::written::{cut, json_len, share};
use crate::tools::computer::DesktopSlot;
use crate::tools::kernels::Kernels;

/// The name of the session's user, as the service has it.
const USER_NAME: &str = "wuying";
const NAMESPACE_HOME: &str = "/home/wuying";
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a sandbox can't do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxError {
    /// The session was released; holds its id.
    Released(String),
    /// The sandbox did not start; holds the reason.
    Start(String),
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SandboxError::Released(id) => write!(f, "Resource [Session] is not found: session {id} has been released"),
            SandboxError::Start(reason) => write!(f, "the session's sandbox could not be started: {reason}"),
        }
    }
}

impl std::error::Error for SandboxError {}

/// How the file tools reach what the session's shell sees.
#[derive(Debug, Clone)]
pub enum SandboxFiles {
    /// Paths are resolved below the root directory of the session's namespace.
    Namespace {
        /// `/proc/<pid>/root` of the namespace, opened as a path only.
        root: Arc<OwnedFd>,
        /// The host's user and group id that file work must be done as; `Some` when the emulator runs as root.
        user: Option<(u32, u32)>,
        /// The session's home, as the session sees it.
        home: PathBuf,
    },
    /// Paths are the host's.
    Plain {
        /// The session's home.
        home: PathBuf,
        /// The session's `TMPDIR`.
        tmp: PathBuf,
        /// The user and group id that file work must be done as; `Some` when the emulator runs as root.
        user: Option<(u32, u32)>,
    },
}

/// The sandbox of one session. Clones share it.
#[derive(Debug, Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    host: Arc<Host>,
    session_id: String,
    released: CancellationToken,
    running: Mutex<Option<Arc<Running>>>,
    kernels: Kernels,
    desktop: DesktopSlot,
}

impl Sandbox {
    /// A sandbox of which nothing is started yet.
    pub fn new(host: Arc<Host>, session_id: &str) -> Sandbox {
        let inner = Inner {
            host,
            session_id: session_id.to_owned(),
            released: CancellationToken::new(),
            running: Mutex::new(None),
            kernels: Kernels::default(),
            desktop: DesktopSlot::default(),
        };
        Sandbox { inner: Arc::new(inner) }
    }

    /// The files of the session; starts the sandbox if needed.
    ///
    /// # Errors
    ///
    /// When the session was released, or the sandbox can't be started.
    pub async fn files(&self) -> Result<SandboxFiles, SandboxError> {
        self.running().await.map(|running| running.files())
    }

    /// Ends every process of the session and removes its directory. Calls in flight end with an error that names the
    /// session, as does every later call. A second stop waits for the first.
    pub async fn stop(&self) {
        self.inner.released.cancel();
        self.inner.desktop.close().await;
        let mut running = self.inner.running.lock().await;
        if let Some(running) = running.take() {
            running.stop().await;
        }
        // After the end of their processes: an interpreter's call in flight needs a moment to see it.
        self.inner.kernels.close().await;
    }

    /// The started sandbox.
    pub(crate) async fn running(&self) -> Result<Arc<Running>, SandboxError> {
        let mut running = self.inner.running.lock().await;
        if self.inner.released.is_cancelled() {
            return Err(self.released_error());
        }
        if let Some(running) = &*running {
            return Ok(Arc::clone(running));
        }
        let started = Running::start(&self.inner.host, &self.inner.session_id)
            .await
            .map_err(|error| SandboxError::Start(error.to_string()))?;
        Ok(Arc::clone(running.insert(Arc::new(started))))
    }

    /// Resolves when the session is released.
    pub(crate) async fn released(&self) {
        self.inner.released.cancelled().await;
    }

    pub(crate) fn is_released(&self) -> bool {
        self.inner.released.is_cancelled()
    }

    pub(crate) fn released_error(&self) -> SandboxError {
        SandboxError::Released(self.inner.session_id.clone())
    }

    pub(crate) fn host(&self) -> &Host {
        &self.inner.host
    }

    pub(crate) fn kernels(&self) -> &Kernels {
        &self.inner.kernels
    }

    pub(crate) fn desktop(&self) -> &DesktopSlot {
        &self.inner.desktop
    }
}
