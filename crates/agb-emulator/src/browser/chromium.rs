//! One running Chromium.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::cdp::Cdp;
use super::launch::Plan;
use crate::sandbox::{Invocation, Process, Sandbox};

const START: &str = include_str!("start.sh");
/// Chromium reads requests here and writes answers there.
const REQUESTS_FD: i32 = 3;
const ANSWERS_FD: i32 = 4;
/// Several may start at once on a small machine.
const START_LIMIT: Duration = Duration::from_secs(45);
/// It may be busy with a page.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// How long it may take to write its data at the end.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// What precedes its address in its log.
const LISTENING: &str = "DevTools listening on ";
/// How much of its log an error shows.
const LOG_LINES: usize = 5;

/// A connection of the debugging protocol.
pub(crate) type BrowserSocket = WebSocketStream<TcpStream>;

/// A browser that is running, or was.
#[derive(Debug)]
pub(crate) struct Chromium {
    pub(super) cdp: Cdp,
    process: Mutex<Process>,
    url: String,
    port: u16,
}

impl Chromium {
    /// Starts the program inside the session and waits until it answers.
    pub(super) async fn start(sandbox: &Sandbox, program: &Path, plan: &Plan) -> Result<Self, String> {
        let running = sandbox.running().await.map_err(|error| error.to_string())?;
        let script = ["/bin/sh", "-c", START, "sh", &plan.extensions, &plan.data];
        let mut argv: Vec<OsString> = script.map(OsString::from).to_vec();
        argv.push(program.into());
        argv.extend(plan.arguments.iter().map(OsString::from));
        let mut command = running.command(&Invocation::of(argv));
        let pipes = Pipes::new(&mut command).map_err(|error| error.to_string())?;
        let mut process = Process::start(running, command).map_err(|error| error.to_string())?;
        match pipes.wait_until_ready().await {
            Ok((cdp, url, port)) => Ok(Self { cdp, process: Mutex::new(process), url, port }),
            Err(reason) => {
                process.kill().await;
                Err(reason)
            }
        }
    }

    /// Its port, for the emulator alone.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The random id in its address, without which nobody gets in.
    pub(crate) fn token(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Connects to it as a client of the debugging protocol.
    pub(crate) async fn connect(&self, max_message_bytes: usize) -> Result<BrowserSocket, String> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(max_message_bytes))
            .max_frame_size(Some(max_message_bytes));
        let connecting = async {
            let stream =
                TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.map_err(|error| error.to_string())?;
            // Only costs speed when it fails.
            let _ = stream.set_nodelay(true);
            let connected = client_async_with_config(self.url.as_str(), stream, Some(config)).await;
            connected.map(|(socket, _)| socket).map_err(|error| error.to_string())
        };
        let connected = tokio::time::timeout(CONNECT_LIMIT, connecting).await;
        connected.unwrap_or_else(|_| Err(format!("nothing for {} s", CONNECT_LIMIT.as_secs())))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.cdp.has_ended()
    }

    /// Asks it to end, so that its data are written, and makes it end when it does not.
    pub(super) async fn stop(&self) {
        let mut process = self.process.lock().await;
        let in_good_order = async {
            // It may end before it has answered.
            let _ = self.cdp.call(None, "Browser.close", json!({}), STOP_LIMIT).await;
            self.cdp.close().await;
            process.wait().await
        };
        if tokio::time::timeout(STOP_LIMIT, in_good_order).await.is_err() {
            tracing::debug!("a browser was killed, as it did not end by itself");
        }
        process.kill().await;
    }
}

/// Our ends of the pipes to a Chromium that is starting.
struct Pipes {
    requests: OwnedFd,
    answers: OwnedFd,
    log: Lines<BufReader<Receiver>>,
}

impl Pipes {
    fn new(command: &mut tokio::process::Command) -> io::Result<Self> {
        let (their_requests, requests) = io::pipe()?;
        let (answers, their_answers) = io::pipe()?;
        let (log, their_log) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(their_log));
        command
            .fd_mappings(vec![
                FdMapping { parent_fd: their_requests.into(), child_fd: REQUESTS_FD },
                FdMapping { parent_fd: their_answers.into(), child_fd: ANSWERS_FD },
            ])
            .map_err(io::Error::other)?;
        let log = BufReader::new(Receiver::from_owned_fd(log.into())?).lines();
        Ok(Self { requests: requests.into(), answers: answers.into(), log })
    }

    async fn wait_until_ready(mut self) -> Result<(Cdp, String, u16), String> {
        let mut last = VecDeque::new();
        let found = tokio::time::timeout(START_LIMIT, find_address(&mut self.log, &mut last)).await;
        let said = Vec::from(last).join("; ");
        let url = match found {
            Ok(Some(url)) => url,
            Ok(None) => return Err(format!("it ended: {said}")),
            Err(_) => return Err(format!("it was not ready after {} s: {said}", START_LIMIT.as_secs())),
        };
        let port = port_of(&url).ok_or_else(|| format!("its address {url} has no port"))?;
        let cdp = Cdp::open(self.requests, self.answers).map_err(|error| error.to_string())?;
        cdp.call(None, "Browser.getVersion", json!({}), START_LIMIT).await?;
        // It blocks when nobody reads what it says.
        tokio::spawn(async move { while let Ok(Some(_)) = self.log.next_line().await {} });
        Ok((cdp, url, port))
    }
}

async fn find_address(log: &mut Lines<BufReader<Receiver>>, last: &mut VecDeque<String>) -> Option<String> {
    // A line that can't be read is as good as none: it is foreign text.
    while let Ok(Some(line)) = log.next_line().await {
        if let Some(url) = line.trim().strip_prefix(LISTENING) {
            return Some(url.to_owned());
        }
        if last.len() == LOG_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    None
}

fn port_of(url: &str) -> Option<u16> {
    let address = url.strip_prefix("ws://")?.split('/').next()?;
    address.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_address() {
        assert_eq!(port_of("ws://127.0.0.1:38231/devtools/browser/x"), Some(38231));
        assert_eq!(port_of("ws://127.0.0.1/x"), None);
        assert_eq!(port_of("http://x"), None);
    }
}
