//! One process group of a session.

use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use super::running::Running;

pub(super) const START: &str = include_str!("start.sh");

/// What to run in a session.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    pub(crate) argv: Vec<OsString>,
    /// Relative to the session's home, which is also the default.
    pub(crate) directory: Option<String>,
    /// Written to standard error, with exit code 125, when the directory can't be entered.
    pub(crate) no_directory: String,
    /// Whether what stands between the emulator and the process survives an interrupt of the whole group.
    pub(crate) interruptible: bool,
    /// For a program that would do as root does when it finds itself root, which it only is for the session: set groups,
    /// refuse to work.
    pub(crate) as_ordinary_user: bool,
}

impl Invocation {
    /// A command line in the session's home.
    pub(crate) fn of(argv: Vec<OsString>) -> Invocation {
        Invocation { argv, directory: None, no_directory: String::new(), interruptible: false, as_ordinary_user: false }
    }
}

/// A started process, the first of its group.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Option<Pid>,
    running: Arc<Running>,
}

impl Process {
    pub(crate) fn start(running: Arc<Running>, mut command: Command) -> io::Result<Process> {
        let child = command.spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            running.group_started(group);
        }
        Ok(Process { child, group, running })
    }

    /// The end of the first process of the group; others may go on.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.running.group_ended();
        status
    }

    /// Ends the whole group.
    pub(crate) async fn kill(&mut self) {
        self.kill_group();
        if let Err(error) = self.wait().await {
            tracing::warn!("a killed process can't be waited for: {error}");
        }
        // What the group was making while it was killed.
        self.kill_group();
    }

    /// Interrupts the group, as a terminal does.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Asks the group to end.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends the group without waiting.
    pub(crate) fn kill_group(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // Fails only when the group is empty.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}
