//! Where a session's processes run (placeholder of the file tools' branch: the merge replaces this file).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fd::OwnedFd;

/// How file tools reach the files of a session.
#[derive(Debug, Clone)]
pub enum SandboxFiles {
    /// A session with a mount namespace of its own.
    Namespace {
        /// The root directory of the session, opened as a directory.
        root: Arc<OwnedFd>,
        /// Host ids that file work must be done as; `Some` when the emulator runs as root.
        user: Option<(u32, u32)>,
        /// The session's home, as the session names it.
        home: PathBuf,
    },
    /// A session on the host's own paths.
    Plain {
        /// The session's home.
        home: PathBuf,
        /// The session's TMPDIR.
        tmp: PathBuf,
        /// Host ids that file work must be done as; `Some` when the emulator runs as root.
        user: Option<(u32, u32)>,
    },
}

/// Why a sandbox is not available.
#[derive(Debug)]
pub struct SandboxError(String);

impl fmt::Display for SandboxError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for SandboxError {}

/// The sandbox of one session.
#[derive(Debug)]
pub struct Sandbox {
    files: SandboxFiles,
}

impl Sandbox {
    /// The way to the session's files; starts the sandbox if need be.
    ///
    /// # Errors
    /// When the sandbox can't be started.
    pub async fn files(&self) -> Result<SandboxFiles, SandboxError> {
        Ok(self.files.clone())
    }
}
