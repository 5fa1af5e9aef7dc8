//! The command line `agb-emulator`.

use std::{
    ffi::OsString,
    fmt, io,
    io::Write,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::json;

use crate::{Emulator, EmulatorOptions, Fault, Isolation, JournalEntry};

/// The port when none is given: one that a person can remember and paste.
pub const DEFAULT_PORT: u16 = 8931;

const HELP: &str = "\
agb-emulator: the AGB cloud session service on this machine

Usage: agb-emulator [options]

  --port N            listen on 127.0.0.1:N (default 8931; 0: any free port)
  --api-key KEY       the key that clients must send (default: a random one)
  --isolation MODE    namespace or plain (default: namespace where it works)
  --max-sessions N    how many sessions may be alive at once (default: no limit)
  --image ID          accept a further image id; may be given several times
  --fault FAULT       let requests fail; may be given several times (see below)
  --json              print one line of JSON with url, apiKey and isolation
  --help              print this and exit
  --version           print the version and exit

FAULT is a JSON object, or OPERATION[+OPERATION...]:KIND[=VALUE][,KEY=VALUE...]

  OPERATION   as the request log names it: createSession, callTool, getObject, webSocket, ...; * for all
  KIND        status=HTTP-STATUS    another answer; with code=, message=, body=, header=NAME:VALUE, retry-after=SECONDS
              delay=500ms           the work is done later, or with when=after answered later
              reset[=after]         the connection is reset before the work is done, or after
              truncate[=BYTES]      the answer breaks off; with framed=true it seems whole
              garbage[=TEXT]        the answer has another body
              half-open[=after]     no answer ever, and the connection stays open; streams: with after-chunks=N
              slow=BYTES            so many bytes a second; with direction=request the request is read slowly
              close[=CHUNKS]        a stream's WebSocket is closed after so many pieces; with code=, reason=
  KEY         count=N or always (default 1), from=N (from the Nth request on), tool=NAME, session=ID,
              label=NAME:VALUE, probability=0..1, when=before or after the work

  agb-emulator --fault callTool:status=503,count=2,retry-after=1 --fault createSession:reset=after
  agb-emulator --fault '{\"operation\":\"callTool\",\"kind\":\"status\",\"status\":500,\"body\":\"a, b\"}'

Ctrl-C or SIGTERM stops every session and exits.
";

/// What the command line asks for.
#[derive(Debug)]
enum Command {
    Serve { options: Box<EmulatorOptions>, json: bool },
    Help,
    Version,
}

/// Runs the command line on the standard streams until `stop` is done; returns the exit code.
///
/// 0: stopped as asked. 1: it could not start. 2: a wrong option. `args` are without the program's name.
pub async fn run(args: impl IntoIterator<Item = OsString>, stop: impl Future<Output = ()>) -> u8 {
    run_on(args, stop, io::stdout(), io::stderr()).await
}

/// The same on given streams: `out` gets what programs read, `err` the request log and the complaints.
pub async fn run_on(
    args: impl IntoIterator<Item = OsString>,
    stop: impl Future<Output = ()>,
    out: impl Write,
    err: impl Write + Send + 'static,
) -> u8 {
    let mut out = Stream(out);
    let err = Arc::new(Mutex::new(Stream(err)));
    let complain = |text: &str| locked(&err).line(format_args!("agb-emulator: {text}"));
    match parse(args) {
        Ok(Command::Help) => out.text(HELP),
        Ok(Command::Version) => out.line(format_args!("agb-emulator {}", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Serve { mut options, json }) => {
            let log = err.clone();
            options.log = Some(Arc::new(move |entry| locked(&log).line(format_args!("{}", LogLine(entry)))));
            let port = options.port;
            let mut stop = pin!(stop);
            let started = tokio::select! {
                () = &mut stop => return 0,
                started = Emulator::start(*options) => started,
            };
            let emulator = match started {
                Ok(emulator) => emulator,
                Err(error) => {
                    complain(&not_started(port, &error));
                    return 1;
                }
            };
            announce(&emulator, json, &mut out);
            stop.await;
            let alive = emulator.sessions().iter().filter(|session| session.end_reason.is_none()).count();
            emulator.close().await;
            complain(&format!("stopped, and released {alive} {}", if alive == 1 { "session" } else { "sessions" }));
        }
        Err(error) => {
            complain(&format!("{error} (--help lists the options)"));
            return 2;
        }
    }
    0
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    use lexopt::prelude::*;

    let mut options = EmulatorOptions { port: DEFAULT_PORT, ..EmulatorOptions::default() };
    let mut json = false;
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => options.port = number(&mut parser, "--port", "a number from 0 to 65535")?,
            Long("api-key") => options.api_key = Some(parser.value()?.string()?),
            Long("isolation") => options.isolation = Some(isolation(&parser.value()?.string()?)?),
            Long("max-sessions") => {
                options.max_sessions = Some(number(&mut parser, "--max-sessions", "a whole number")?);
            }
            Long("image") => options.images.push(parser.value()?.string()?),
            Long("fault") => options.faults.push(fault(&parser.value()?.string()?)?),
            Long("json") => json = true,
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("version") | Short('V') => return Ok(Command::Version),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Serve { options: Box::new(options), json })
}

fn number<T: std::str::FromStr>(parser: &mut lexopt::Parser, option: &str, wanted: &str) -> Result<T, lexopt::Error> {
    let text = lexopt::ValueExt::string(parser.value()?)?;
    text.parse().map_err(|_| format!("{option} must be {wanted}, not '{text}'").into())
}

fn isolation(text: &str) -> Result<Isolation, lexopt::Error> {
    text.parse().map_err(|problem| format!("--isolation {problem}").into())
}

fn fault(text: &str) -> Result<Fault, lexopt::Error> {
    Fault::parse(text).map_err(|error| format!("--fault '{text}': {error}").into())
}

fn not_started(port: u16, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::AddrInUse {
        return format!("port {port} is taken; choose another with --port, or --port 0 for any free one");
    }
    format!("cannot start: {error}")
}

fn announce(emulator: &Emulator, json: bool, out: &mut Stream<impl Write>) {
    let (url, key) = (emulator.url(), emulator.api_key());
    if json {
        let isolation = emulator.isolation().to_string();
        return out.line(format_args!("{}", json!({"url": url, "apiKey": key, "isolation": isolation})));
    }
    let (version, summary) = (env!("CARGO_PKG_VERSION"), emulator.summary());
    out.text(&format!(
        "agb-emulator {version} listens on {url}\n{summary}\n\nFor the shell that your program runs in:\n\n  \
         export AGB_ENDPOINT={url}\n  export AGB_API_KEY={}\n\nCtrl-C stops it and every session.\n",
        quoted(key)
    ));
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    if word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte)) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// One request in one readable line.
struct LogLine<'a>(&'a JournalEntry);

impl fmt::Display for LogLine<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self.0;
        // The time of day of 2024-01-01T12:00:00.000Z.
        formatter.write_str(entry.at.get(11..23).unwrap_or(&entry.at))?;
        // A route that does not exist has no name to go by.
        let name = if entry.operation == "unknown" { &entry.path } else { &entry.operation };
        write!(formatter, " {}", printable(name))?;
        if let Some(tool) = &entry.tool {
            write!(formatter, " {}", printable(tool))?;
        }
        if let Some(id) = &entry.session_id {
            write!(formatter, " {}", printable(short(id)))?;
        }
        write!(formatter, " {}", entry.status)?;
        match entry.success {
            true => {}
            false if entry.code == "ok" => formatter.write_str(" tool failed")?,
            false => write!(formatter, " {}", entry.code)?,
        }
        if let Some(fault) = &entry.fault {
            let done = if fault.worked { "work done" } else { "work not done" };
            write!(formatter, " (fault {}, {done})", fault.kind)?;
        }
        write!(formatter, " {:.1} ms", entry.duration_ms)
    }
}

/// Enough of a session id to tell it from others.
fn short(id: &str) -> &str {
    let tail = id.strip_prefix("session-").unwrap_or(id);
    tail.get(..8).unwrap_or(tail)
}

/// What a client sent, on one line and of bounded length.
fn printable(text: &str) -> String {
    text.chars().take(80).map(|char| if char.is_control() { '?' } else { char }).collect()
}

/// A stream whose reader may have gone: nothing to be done about it, and no reason to stop.
struct Stream<W>(W);

impl<W: Write> Stream<W> {
    fn line(&mut self, text: fmt::Arguments<'_>) {
        let _ = writeln!(self.0, "{text}").and_then(|()| self.0.flush());
    }

    fn text(&mut self, text: &str) {
        let _ = self.0.write_all(text.as_bytes()).and_then(|()| self.0.flush());
    }
}

fn locked<W>(stream: &Mutex<Stream<W>>) -> std::sync::MutexGuard<'_, Stream<W>> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}
