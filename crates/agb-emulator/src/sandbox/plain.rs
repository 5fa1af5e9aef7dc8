//! A session of plain processes: a supervisor ends them with the session or with the emulator.

use std::io::{self, Write};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
use tokio::process::{Child, Command};

use super::SYSTEM_PATH;

const SUPERVISOR: &str = include_str!("supervisor.sh");
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// The environment variable that marks a session's processes, also those that left their process group. start.sh makes its
/// value a limit of theirs too, for those that left their environment.
const MARKER_NAME: &str = "AGB_SANDBOX";

/// The processes of one session.
#[derive(Debug)]
pub(super) struct Plain {
    marker: String,
    supervisor: tokio::sync::Mutex<Option<Child>>,
    /// Closed to make the supervisor end everything.
    reports: Mutex<Reports>,
}

#[derive(Debug)]
struct Reports {
    pipe: Option<io::PipeWriter>,
    groups: Vec<Pid>,
}

/// Long enough to be found nowhere else, and small enough for a limit.
fn new_marker() -> String {
    fastrand::u64(1_000_000_000_000_000_000..1 << 63).to_string()
}

impl Plain {
    pub(super) fn start() -> io::Result<Plain> {
        let marker = new_marker();
        let (reader, writer) = io::pipe()?;
        let supervisor = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "sh", &marker])
            .env_clear()
            .env("PATH", SYSTEM_PATH)
            .current_dir("/")
            // Away from the terminal's Ctrl-C, which it has to outlive.
            .process_group(0)
            .stdin(Stdio::from(reader))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let reports = Mutex::new(Reports { pipe: Some(writer), groups: Vec::new() });
        Ok(Plain { marker, supervisor: tokio::sync::Mutex::new(Some(supervisor)), reports })
    }

    pub(super) fn marker(&self) -> (&'static str, &str) {
        (MARKER_NAME, &self.marker)
    }

    /// Tells the supervisor of a new process group, and of those that are empty by now, as their ids may be reused.
    pub(super) fn started(&self, group: Pid) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.forget_empty_groups();
        reports.groups.push(group);
        reports.write('+', group);
    }

    /// To be called when the first process of a group has ended: its group may be empty.
    pub(super) fn ended(&self) {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).forget_empty_groups();
    }

    /// Ends every process of the session.
    pub(super) async fn stop(&self) {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).pipe = None;
        let Some(mut supervisor) = self.supervisor.lock().await.take() else { return };
        if tokio::time::timeout(STOP_LIMIT, supervisor.wait()).await.is_err() {
            tracing::warn!("the processes of a session did not end within {} s", STOP_LIMIT.as_secs());
            let _ = supervisor.kill().await;
        }
    }
}

impl Reports {
    fn forget_empty_groups(&mut self) {
        let (living, empty): (Vec<Pid>, Vec<Pid>) =
            self.groups.iter().partition(|group| rustix::process::test_kill_process_group(**group).is_ok());
        self.groups = living;
        for group in empty {
            self.write('-', group);
        }
    }

    fn write(&mut self, change: char, group: Pid) {
        let Some(pipe) = &mut self.pipe else { return };
        if let Err(error) = writeln!(pipe, "{change} {}", group.as_raw_pid()) {
            tracing::warn!("the supervisor of a session is gone: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{process::START, testing};

    /// Keeps a log of its calls.
    const GREP: &str = "#!/bin/sh\necho call >>\"${0%/*}/calls\"\nPATH=/usr/bin:/bin exec grep \"$@\"\n";

    #[tokio::test]
    async fn the_supervisor_does_not_wait_for_the_parents_of_those_it_killed() {
        if cfg!(not(target_os = "linux")) {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        testing::write_program(&place.path().join("grep"), GREP);
        let marker = new_marker();
        // Its parent, this test, does not wait for it before the supervisor has ended.
        let mut process = std::process::Command::new("/bin/sh")
            .args(["-c", START, "sh", "", "/", "/bin/sh", "-c", "echo started; exec sleep 1000"])
            .env(MARKER_NAME, &marker)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(process.stdout.take().unwrap()), &mut line).unwrap();
        assert_eq!(line, "started\n");

        let status = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "sh", &marker])
            .env("PATH", format!("{}:{SYSTEM_PATH}", place.path().display()))
            .stdin(Stdio::null())
            .status()
            .await
            .unwrap();

        assert!(status.success());
        let calls = std::fs::read_to_string(place.path().join("calls")).unwrap().lines().count();
        assert!(calls < 10, "{calls} looks");
        assert!(!process.wait().unwrap().success());
    }
}
