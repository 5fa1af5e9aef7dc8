//! One live interpreter.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Sender;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::frames::{Event, Frame, Frames};
use super::{command_line, is_interrupted_by_signal, preamble};
use crate::sandbox::{self, Invocation, Language, OutputPipe, Process, Running, Sandbox};
use crate::tools::ToolLimits;

/// Many may start at once on a small machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long an interrupted run may take to stop (docs/emulator.md, section Code).
const INTERRUPT_GRACE: Duration = Duration::from_secs(2);
const BETWEEN_INTERRUPTS: Duration = Duration::from_millis(600);
/// What an item of the results has beside its data.
const ITEM_OVERHEAD_BYTES: usize = ",\"isMainResult\":false,".len();
/// How often a run says that a result was dropped.
const MOST_NOTES: usize = 10;
/// The longest piece of output that is told at once: with its frame it stays below what some clients take.
const PIECE_BYTES: usize = 256 << 10;
const REQUESTS_FD: i32 = 3;
const EVENTS_FD: i32 = 4;

/// A running interpreter with the state that earlier runs left in it.
#[derive(Debug)]
pub(crate) struct Kernel {
    language: Language,
    process: Process,
    stdout: Arc<OutputPipe>,
    stderr: Arc<OutputPipe>,
    requests: Sender,
    frames: Frames,
    last_run: u64,
}

/// What to run.
#[derive(Debug)]
pub(crate) struct RunRequest {
    pub(crate) code: String,
    /// As it was asked for.
    pub(crate) limit: Duration,
    /// How long it waited for other runs, if that has left it less time than its limit, and what it has left.
    pub(crate) shortened: Option<(Duration, Duration)>,
    pub(crate) limits: ToolLimits,
    /// Who is told of the output as it comes, instead of at the end.
    pub(crate) live: Option<mpsc::Sender<Piece>>,
    /// Interrupts the run when it is cancelled.
    pub(crate) cancel: CancellationToken,
}

impl RunRequest {
    fn overtime(&self) -> String {
        let limit = format!("Execution timeout after {} s", self.limit.as_secs_f64());
        let Some((waited, left)) = self.shortened else { return limit };
        let (waited, left) = (in_tenths(waited), in_tenths(left));
        format!("{limit} (it had waited for other runs of this session for {waited} s, and had {left} s left)")
    }
}

/// Seconds, to be read.
pub(crate) fn in_tenths(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// Something that a run printed or showed.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    Stdout(String),
    Stderr(String),
    /// A shown object by MIME type, with `isMainResult`.
    Result(Value),
}

/// What a run gave.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Shown objects by MIME type, with `isMainResult`.
    pub(crate) results: Vec<Value>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) count: Option<u64>,
    pub(crate) seconds: f64,
    pub(crate) error: Option<String>,
    /// Whether the interpreter is gone, and with it the state.
    pub(crate) is_lost: bool,
    /// Whether the session was released meanwhile.
    pub(crate) is_released: bool,
}

enum Ended {
    Finished(Event),
    Died(io::Result<ExitStatus>),
    Broken(io::Error),
    TimedOut,
    Cancelled,
    Released,
}

impl Kernel {
    /// Starts an interpreter and waits until it takes requests.
    pub(crate) async fn start(sandbox: &Sandbox, language: Language, output_bytes: usize) -> Result<Kernel, String> {
        let running = sandbox.running().await.map_err(|error| error.to_string())?;
        let host = sandbox.host();
        let interpreter = host.interpreter(language).map_err(|reason| format!("{language} can't be run: {reason}"))?;
        let argv = command_line(language, &interpreter.executable);
        let mut kernel = Kernel::spawn(running, language, argv, output_bytes)
            .map_err(|error| format!("the {language} interpreter could not be started: {error}"))?;
        let is_ready = tokio::select! {
            biased;
            () = sandbox.released() => Err(sandbox.released_error().to_string()),
            answer = tokio::time::timeout(START_LIMIT, kernel.greet()) => match answer {
                Ok(Ok(Frame::Event(event))) if event.ready => Ok(()),
                Ok(_) => Err(String::new()),
                Err(_) => Err(format!("it was not ready after {} s", START_LIMIT.as_secs())),
            },
        };
        match is_ready {
            Ok(()) => Ok(kernel),
            Err(reason) => {
                kernel.kill().await;
                let errors = kernel.stderr.take().text;
                Err(format!("the {language} interpreter did not start: {reason} {}", errors.trim()))
            }
        }
    }

    /// Says what has to be said first, and waits for the answer.
    async fn greet(&mut self) -> io::Result<Frame> {
        self.requests.write_all(preamble(self.language).as_bytes()).await?;
        self.frames.next().await
    }

    fn spawn(
        running: Arc<Running>,
        language: Language,
        argv: Vec<std::ffi::OsString>,
        output_bytes: usize,
    ) -> io::Result<Kernel> {
        let (stdout, stdout_writer) = OutputPipe::new(output_bytes)?;
        let (stderr, stderr_writer) = OutputPipe::new(output_bytes)?;
        let (requests_reader, requests_writer) = io::pipe()?;
        let (events_reader, events_writer) = io::pipe()?;
        running.give(&requests_reader)?;
        running.give(&events_writer)?;
        let mut command = running.command(&Invocation { interruptible: true, ..Invocation::of(argv) });
        command.stdin(Stdio::null()).stdout(Stdio::from(stdout_writer)).stderr(Stdio::from(stderr_writer));
        command
            .fd_mappings(vec![
                FdMapping { parent_fd: OwnedFd::from(requests_reader), child_fd: REQUESTS_FD },
                FdMapping { parent_fd: OwnedFd::from(events_writer), child_fd: EVENTS_FD },
            ])
            .map_err(io::Error::other)?;
        let requests = Sender::from_owned_fd(OwnedFd::from(requests_writer))?;
        let frames = Frames::new(OwnedFd::from(events_reader))?;
        let process = Process::start(running, command)?;
        for pipe in [&stdout, &stderr] {
            tokio::spawn(Arc::clone(pipe).read_to_end());
        }
        Ok(Kernel { language, process, stdout, stderr, requests, frames, last_run: 0 })
    }

    /// Runs code to its end, to its time limit, or to the end of the session. What was printed since the last run by
    /// what that one left behind comes first in the output.
    pub(crate) async fn run(&mut self, request: &RunRequest, sandbox: &Sandbox) -> Outcome {
        self.last_run += 1;
        let output_bytes = request.limits.output_bytes;
        self.frames.set_limit(output_bytes);
        self.stdout.set_limit(output_bytes);
        self.stderr.set_limit(output_bytes);
        let started = std::time::Instant::now();
        let mut results = Results::of(request);

        let ended = self.run_to_end(request, sandbox, &mut results).await;
        let mut outcome = self.outcome(ended, request, sandbox, &mut results).await;
        tokio::select! {
            biased;
            () = sandbox.released() => {}
            () = request.cancel.cancelled() => {}
            () = results.tell_output(&self.stdout, &self.stderr) => {}
        }
        if request.live.is_none() {
            outcome.cut_error(request.limits.room() / 4);
        }
        let room = results.room_for_output(&outcome, request);
        (outcome.stdout, outcome.stderr) = sandbox::share(self.stdout.take(), self.stderr.take(), room);
        outcome.results = results.items;
        if outcome.seconds == 0.0 {
            outcome.seconds = started.elapsed().as_secs_f64();
        }
        outcome
    }

    async fn run_to_end(&mut self, request: &RunRequest, sandbox: &Sandbox, results: &mut Results) -> Ended {
        let line = json!({ "run": self.last_run, "code": request.code });
        let limit = tokio::time::sleep(request.shortened.map_or(request.limit, |(_, left)| left));
        tokio::pin!(limit);
        tokio::select! {
            biased;
            () = sandbox.released() => Ended::Released,
            () = request.cancel.cancelled() => Ended::Cancelled,
            ended = self.send_and_wait(line, results) => ended,
            () = &mut limit => Ended::TimedOut,
        }
    }

    async fn send_and_wait(&mut self, request: Value, results: &mut Results) -> Ended {
        let line = format!("{request}\n");
        if let Err(error) = self.requests.write_all(line.as_bytes()).await {
            tracing::debug!("the {} interpreter takes no requests: {error}", self.language);
            return Ended::Died(self.process.wait().await);
        }
        self.wait_for_end(results).await
    }

    async fn wait_for_end(&mut self, results: &mut Results) -> Ended {
        let mut is_open = true;
        loop {
            let frame = tokio::select! {
                biased;
                frame = self.frames.next(), if is_open => frame,
                () = results.output_to_tell(&self.stdout, &self.stderr) => {
                    results.tell_output(&self.stdout, &self.stderr).await;
                    continue;
                }
                status = self.process.wait() => return Ended::Died(status),
            };
            // What was printed before an object was shown comes before it.
            results.tell_output(&self.stdout, &self.stderr).await;
            match frame {
                Ok(Frame::Event(event)) if event.run != Some(self.last_run) => {}
                Ok(Frame::Event(event)) if event.end => return Ended::Finished(event),
                Ok(Frame::Event(event)) => results.add(event).await,
                Ok(Frame::TooLong(bytes)) => results.add_too_long(bytes, false).await,
                Ok(Frame::Odd(error)) => results.add_note(format!("could not be read: {error}"), false).await,
                // It is dying, or its code has closed what it must not close: then nothing more can be learned.
                Ok(Frame::End) => is_open = false,
                Err(error) => return Ended::Broken(error),
            }
        }
    }

    async fn outcome(
        &mut self,
        ended: Ended,
        request: &RunRequest,
        sandbox: &Sandbox,
        results: &mut Results,
    ) -> Outcome {
        let language = self.language;
        match ended {
            Ended::Finished(event) => Outcome::finished(event),
            Ended::Died(status) => {
                self.process.kill_group();
                let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                Outcome::lost(format!("the {language} interpreter ended during the run ({how})"))
            }
            Ended::Broken(error) => {
                self.kill().await;
                Outcome::lost(format!("the {language} interpreter was killed, as it could not be understood ({error})"))
            }
            Ended::TimedOut => self.interrupt(request.overtime(), sandbox, results).await,
            Ended::Cancelled => self.interrupt("the run was cancelled".to_owned(), sandbox, results).await,
            Ended::Released => self.end_with_session().await,
        }
    }

    async fn end_with_session(&mut self) -> Outcome {
        self.kill().await;
        Outcome { is_lost: true, is_released: true, ..Outcome::default() }
    }

    /// Interrupts the run; the interpreter lives on if it obeys in time.
    async fn interrupt(&mut self, text: String, sandbox: &Sandbox, results: &mut Results) -> Outcome {
        let obeyed = tokio::select! {
            biased;
            () = sandbox.released() => return self.end_with_session().await,
            obeyed = tokio::time::timeout(INTERRUPT_GRACE, self.interrupt_and_wait(results)) => obeyed,
        };
        match obeyed {
            Ok(Ended::Finished(event)) => Outcome { error: Some(text), ..Outcome::finished(event) },
            Ok(_) => {
                self.kill().await;
                Outcome::lost(format!("{text}; the interpreter did not survive the interruption"))
            }
            Err(_) => {
                self.kill().await;
                let grace = INTERRUPT_GRACE.as_secs();
                Outcome::lost(format!("{text}; the interpreter did not stop within {grace} s more and was killed"))
            }
        }
    }

    /// A signal is repeated, as a program that the run waits for may have swallowed it.
    async fn interrupt_and_wait(&mut self, results: &mut Results) -> Ended {
        if !is_interrupted_by_signal(self.language) {
            return self.send_and_wait(json!({ "interrupt": self.last_run }), results).await;
        }
        loop {
            self.process.interrupt();
            if let Ok(ended) = tokio::time::timeout(BETWEEN_INTERRUPTS, self.wait_for_end(results)).await {
                return ended;
            }
        }
    }

    /// Ends the interpreter with all that it started in its process group.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await;
    }
}

impl Outcome {
    fn finished(event: Event) -> Outcome {
        Outcome {
            count: event.count,
            seconds: event.seconds.unwrap_or_default(),
            error: event.error,
            ..Outcome::default()
        }
    }

    fn lost(what: String) -> Outcome {
        let error = Some(format!("{what}: its state is lost, the next run starts a new one"));
        Outcome { error, is_lost: true, ..Outcome::default() }
    }

    fn cut_error(&mut self, json_bytes: usize) {
        if let Some(error) = &mut self.error {
            error.truncate(sandbox::cut(error, json_bytes).len());
        }
    }
}

/// What one run shows, up to a limit; its output too, where somebody is told of it as it comes.
#[derive(Debug, Default)]
struct Results {
    items: Vec<Value>,
    bytes: usize,
    limit_bytes: usize,
    dropped: usize,
    live: Option<mpsc::Sender<Piece>>,
}

impl Results {
    /// What is told as it comes may be as long as the output; in one answer with the output, half as long.
    fn of(request: &RunRequest) -> Self {
        let live = request.live.clone();
        let limit_bytes = if live.is_some() { request.limits.output_bytes } else { request.limits.room() / 2 };
        Self { limit_bytes, live, ..Self::default() }
    }

    /// What the results and the error leave of an answer's room.
    fn room_for_output(&self, outcome: &Outcome, request: &RunRequest) -> usize {
        if self.live.is_some() {
            return usize::MAX;
        }
        let error_bytes = outcome.error.as_deref().map_or(0, sandbox::json_len);
        request.limits.room().saturating_sub(self.bytes + error_bytes)
    }

    async fn add(&mut self, event: Event) {
        let Some(data) = event.result else { return };
        let size = Value::Object(data.clone()).to_string().len() + ITEM_OVERHEAD_BYTES;
        if self.bytes + size > self.limit_bytes {
            self.add_too_long(size, event.main).await;
            return;
        }
        self.bytes += size;
        self.push(data, event.main).await;
    }

    async fn add_too_long(&mut self, bytes: usize, is_main: bool) {
        let limit_bytes = self.limit_bytes;
        let note = format!("of {bytes} bytes was dropped: the limit of all results is {limit_bytes} bytes");
        self.add_note(note, is_main).await;
    }

    /// Says in a result's place why it is not there: of the main one always, of others until it was said too often.
    async fn add_note(&mut self, why: String, is_main: bool) {
        self.dropped += 1;
        if is_main || self.dropped <= MOST_NOTES {
            let text = format!("[a result {why}]");
            self.push(Map::from_iter([("text/plain".to_owned(), text.into())]), is_main).await;
        }
    }

    async fn push(&mut self, mut data: Map<String, Value>, is_main: bool) {
        data.insert("isMainResult".to_owned(), is_main.into());
        let item = Value::Object(data);
        match &self.live {
            // Fails when nobody hears any more.
            Some(live) => drop(live.send(Piece::Result(item)).await),
            None => self.items.push(item),
        }
    }

    /// Waits until there is output that somebody wants to hear.
    async fn output_to_tell(&self, stdout: &OutputPipe, stderr: &OutputPipe) {
        if self.live.is_none() {
            return std::future::pending().await;
        }
        tokio::select! {
            () = stdout.changed() => {}
            () = stderr.changed() => {}
        }
    }

    /// Tells what was printed so far. Giving up loses nothing: a piece is taken when there is room for it.
    async fn tell_output(&self, stdout: &OutputPipe, stderr: &OutputPipe) {
        let Some(live) = &self.live else { return };
        for (pipe, piece_of) in [(stdout, Piece::Stdout as fn(String) -> Piece), (stderr, Piece::Stderr)] {
            // Fails when nobody hears any more.
            while let Ok(room) = live.reserve().await {
                let text = pipe.take_piece(PIECE_BYTES);
                if text.is_empty() {
                    break;
                }
                room.send(piece_of(text));
            }
        }
    }
}
