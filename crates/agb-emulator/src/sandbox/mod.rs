//! Placeholder of the sandbox, until the real one is merged over this file.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// How sessions are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Own namespaces per session.
    Namespace,
    /// The host's real paths.
    Plain,
}

impl fmt::Display for Isolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Isolation::Namespace => "namespace",
            Isolation::Plain => "plain",
        })
    }
}

/// What the host is probed for.
#[derive(Debug, Clone, Default)]
pub struct HostOptions {
    /// Forced isolation; `None`: chosen by trial.
    pub isolation: Option<Isolation>,
    /// The Python interpreter.
    pub python: Option<PathBuf>,
    /// The Node.js interpreter.
    pub node: Option<PathBuf>,
    /// Where session directories go.
    pub base_directory: Option<PathBuf>,
}

/// The machine the emulator runs on.
#[derive(Debug)]
pub struct Host;

impl Host {
    /// Looks at the machine.
    pub async fn probe(_options: HostOptions) -> io::Result<Arc<Host>> {
        Ok(Arc::new(Host))
    }

    /// The isolation in use.
    pub fn isolation(&self) -> Isolation {
        Isolation::Plain
    }

    /// One line for the start-up print.
    pub fn summary(&self) -> String {
        "isolation: plain (placeholder)".to_owned()
    }

    /// Removes the emulator's base directory.
    pub async fn close(&self) {}
}

/// One session's place to work.
#[derive(Debug)]
pub struct Sandbox {
    home: Mutex<Option<tempfile::TempDir>>,
}

impl Sandbox {
    /// Starts nothing.
    pub fn new(_host: Arc<Host>, _session_id: &str) -> Sandbox {
        Sandbox { home: Mutex::new(None) }
    }

    /// The session's home, made at the first use.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        if home.is_none() {
            *home = tempfile::tempdir().ok();
        }
        home.as_ref().map(|dir| dir.path().to_owned())
    }

    /// Ends everything of the session.
    pub async fn stop(&self) {
        self.home.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
