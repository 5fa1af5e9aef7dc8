//! The desktop of a session: an X server in memory with a window manager, inside the session's sandbox, and programs run
//! against it.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::input::Layout;
use crate::sandbox::{Invocation, OutputPipe, Process, Running, Sandbox};

/// Pixels.
pub(super) const WIDTH: u32 = 1920;
/// Pixels.
pub(super) const HEIGHT: u32 = 1080;

const START: &str = include_str!("desktop.sh");
/// Many may start at once on a small machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// What a program that only asks or tells the desktop something may take.
pub(super) const USUAL_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// The longest output of a program: a picture of the screen is far shorter.
const OUTPUT_BYTES: u64 = 64 << 20;
const ERROR_BYTES: usize = 4096;
/// Marks what belongs to the desktop itself, which nobody means who stops an application.
pub(super) const MARKER: &str = "AGB_DESKTOP_TOOL";

/// The place of a session's desktop: empty until the first use.
#[derive(Debug, Default)]
pub(crate) struct DesktopSlot(Mutex<Option<Arc<Desktop>>>);

impl DesktopSlot {
    /// The desktop; started if there is none, or if it has ended.
    pub(super) async fn get(&self, sandbox: &Sandbox) -> Result<Arc<Desktop>, String> {
        let mut slot = self.0.lock().await;
        if let Some(desktop) = slot.as_ref().filter(|desktop| !desktop.ended.is_cancelled()) {
            return Ok(Arc::clone(desktop));
        }
        let desktop = Arc::new(Desktop::start(sandbox).await?);
        Ok(Arc::clone(slot.insert(desktop)))
    }

    /// Ends the desktop in order, so that nothing of it is left on the machine. No other is started: its session is
    /// released.
    pub(crate) async fn close(&self) {
        let Some(desktop) = self.0.lock().await.take() else { return };
        desktop.stop.cancel();
        desktop.ended.cancelled().await;
    }
}

/// A running desktop.
#[derive(Debug)]
pub(super) struct Desktop {
    running: Arc<Running>,
    /// Programs can make no sandbox of their own.
    pub(super) is_confined: bool,
    variables: [(&'static str, String); 2],
    /// Held while mouse or keyboard are used: the steps of two calls must not mix.
    pub(super) input: Mutex<Layout>,
    /// The window that focus mode keeps in front.
    pub(super) kept_in_front: Mutex<Option<u64>>,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Desktop {
    async fn start(sandbox: &Sandbox) -> Result<Desktop, String> {
        let running = sandbox.running().await.map_err(|error| error.to_string())?;
        let started = tokio::select! {
            biased;
            () = sandbox.released() => return Err(sandbox.released_error().to_string()),
            started = tokio::time::timeout(START_LIMIT, Starting::run(Arc::clone(&running))) => started,
        };
        let starting = started
            .map_err(|_| format!("the desktop was not ready after {} s", START_LIMIT.as_secs()))?
            .map_err(|error| format!("the desktop could not be started: {error}"))?;
        let (display, authority) = read_ready(&starting.line, &starting.errors.take().text)?;
        let variables = [("DISPLAY", display), ("XAUTHORITY", authority)];
        running.set_variables(variables.clone());
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(attend(starting, stop.clone(), ended.clone().drop_guard()));
        Ok(Desktop {
            running,
            is_confined: sandbox.host().confines(),
            variables,
            input: Mutex::default(),
            kept_in_front: Mutex::default(),
            stop,
            ended,
        })
    }

    /// The address of the X server.
    pub(super) fn display(&self) -> &str {
        let [(_, display), _] = &self.variables;
        display
    }

    /// What marks the session's processes in their environment.
    pub(super) fn session_marker(&self) -> String {
        self.running.marker()
    }

    /// The command line of an application.
    pub(super) fn application(&self, command_line: &str) -> Invocation {
        let words = ["/bin/sh", "-c", command_line].map(OsString::from).to_vec();
        Invocation { as_ordinary_user: true, ..Invocation::of(words) }
    }

    /// A program on the desktop, not started yet.
    pub(super) fn command(&self, invocation: &Invocation) -> tokio::process::Command {
        let mut command = self.running.command(invocation);
        command.envs(self.variables.clone());
        command
    }

    /// Starts a program that goes on.
    pub(super) fn spawn(&self, command: tokio::process::Command) -> io::Result<Process> {
        Process::start(Arc::clone(&self.running), command)
    }

    /// Runs a script with arguments and gives what it prints.
    pub(super) async fn script(&self, script: &str, args: &[&str]) -> Result<String, String> {
        let words = ["/bin/sh", "-c", script, "sh"].into_iter().chain(args.iter().copied());
        let output = self.run(&words.collect::<Vec<_>>(), USUAL_LIMIT).await?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Runs a program and gives what it prints.
    ///
    /// # Errors
    /// What the program says when it fails, or that it took too long.
    pub(super) async fn run(&self, words: &[&str], limit: Duration) -> Result<Vec<u8>, String> {
        let output = self.output_of(words, limit).await?;
        if output.success {
            return Ok(output.stdout);
        }
        let program = words.first().copied().unwrap_or_default();
        Err(match output.stderr.trim() {
            "" => format!("{program} failed without a reason"),
            reason => reason.to_owned(),
        })
    }

    /// Runs a program to its end.
    pub(super) async fn output_of(&self, words: &[&str], limit: Duration) -> Result<Output, String> {
        let program = words.first().copied().unwrap_or_default();
        let mut command = self.command(&Invocation::of(words.iter().map(OsString::from).collect()));
        command.env(MARKER, "1");
        capture(Arc::clone(&self.running), command, limit).await.map_err(|error| format!("{program}: {error}"))
    }
}

/// What a program gave.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) success: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

async fn capture(running: Arc<Running>, mut command: tokio::process::Command, limit: Duration) -> io::Result<Output> {
    let (reader, writer) = io::pipe()?;
    let (errors, error_writer) = OutputPipe::new(ERROR_BYTES)?;
    command.stdin(Stdio::null()).stdout(Stdio::from(writer)).stderr(Stdio::from(error_writer));
    let mut reader = Receiver::from_owned_fd(OwnedFd::from(reader))?.take(OUTPUT_BYTES);
    let mut process = Process::start(running, command)?;
    let mut stdout = Vec::new();
    let work = async {
        reader.read_to_end(&mut stdout).await?;
        process.wait().await
    };
    let Ok(status) = tokio::time::timeout(limit, work).await else {
        process.kill().await;
        return Err(io::Error::other(format!("no end within {} s", limit.as_secs_f64())));
    };
    Ok(Output { success: status?.success(), stdout, stderr: errors.take().into_text() })
}

/// A desktop's first process, and the line that it began with.
struct Starting {
    process: Process,
    line: String,
    errors: Arc<OutputPipe>,
}

impl Starting {
    async fn run(running: Arc<Running>) -> io::Result<Starting> {
        let script = format!("exec /bin/sh -c \"$1\" sh \"$TMPDIR/.agb-desktop\" {WIDTH}x{HEIGHT}");
        let words = ["/bin/sh", "-c", &script, "sh", START];
        let mut command = running.command(&Invocation::of(words.map(OsString::from).to_vec()));
        let (reader, writer) = io::pipe()?;
        let (errors, error_writer) = OutputPipe::new(ERROR_BYTES)?;
        command.stdin(Stdio::null()).stdout(Stdio::from(writer)).stderr(Stdio::from(error_writer)).env(MARKER, "1");
        let mut reader = BufReader::new(Receiver::from_owned_fd(OwnedFd::from(reader))?);
        let process = Process::start(running, command)?;
        tokio::spawn(Arc::clone(&errors).read_to_end());
        let mut line = String::new();
        reader.read_line(&mut line).await?;
        Ok(Starting { process, line, errors })
    }
}

/// Waits for the end of a desktop, or makes it.
async fn attend(mut starting: Starting, stop: CancellationToken, ended: DropGuard) {
    let process = &mut starting.process;
    tokio::select! {
        status = process.wait() => tracing::debug!("a session's desktop ended: {status:?}"),
        () = stop.cancelled() => {
            process.terminate();
            // What is left after that dies with the session.
            let _ = tokio::time::timeout(STOP_LIMIT, process.wait()).await;
        }
    }
    process.kill_group();
    drop(ended);
}

/// Display and authority file of a desktop that is ready, or why it is not.
fn read_ready(line: &str, errors: &str) -> Result<(String, String), String> {
    let line = line.trim();
    if let Some(programs) = line.strip_prefix("missing ") {
        return Err(missing_text(programs));
    }
    let ready = line.strip_prefix("ready ").and_then(|rest| rest.split_once(' '));
    match ready {
        Some((display, authority)) => Ok((display.to_owned(), authority.to_owned())),
        None => {
            let reason = line.strip_prefix("failed ").unwrap_or("it ended at its start");
            Err(format!("the desktop could not be started: {reason} ({})", errors.trim().replace('\n', "; ")))
        }
    }
}

fn missing_text(programs: &str) -> String {
    let programs: Vec<&str> = programs.split(' ').collect();
    format!(
        "the desktop needs programs that are not installed here: {}; on Debian and Ubuntu, \
         `apt-get install xvfb xdotool wmctrl openbox xterm imagemagick x11-utils` installs them",
        programs.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_line_names_display_and_authority() {
        assert_eq!(read_ready("ready :7 /tmp/a b\n", ""), Ok((":7".to_owned(), "/tmp/a b".to_owned())));
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_install() {
        let text = read_ready("missing Xvfb import\n", "").unwrap_err();
        assert!(text.contains("Xvfb, import") && text.contains("apt-get install xvfb"), "{text}");
    }

    #[test]
    fn a_desktop_that_fails_says_why() {
        let text = read_ready("failed the X server did not start\n", "no room\nat all\n").unwrap_err();
        assert_eq!(text, "the desktop could not be started: the X server did not start (no room; at all)");
        assert!(read_ready("", "").unwrap_err().contains("it ended at its start"));
    }
}
