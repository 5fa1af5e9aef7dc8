//! How an emulator is started.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use crate::{fault::Fault, journal::JournalEntry, sandbox::Isolation};

/// Called once for each finished request.
pub type RequestLog = Arc<dyn Fn(&JournalEntry) + Send + Sync>;

/// What lives on the emulator's clock beside its sessions: clients that keep them alive. It must not advance the emulator
/// and wait for it.
pub trait ClockFollower: Send + Sync {
    /// Time until it has something to do; `None`: nothing. The clock is not moved beyond it in one step.
    fn next_due(&self) -> Option<Duration>;

    /// The clock was moved by a step, which may be none at all; the emulator goes on when the future is done.
    fn advanced(&self, step: Duration) -> BoxFuture<'static, ()>;
}

/// Options of [`crate::Emulator::start`].
#[derive(Clone)]
pub struct EmulatorOptions {
    /// The port on 127.0.0.1. Default 0: any free one.
    pub port: u16,
    /// The key that clients must send. Default: a random one, `ako-…`.
    pub api_key: Option<String>,
    /// Makes session ids, tokens and request ids the same in every run. Default: random ones.
    pub seed: Option<u64>,
    /// How many sessions may be alive at once. Default: no limit.
    pub max_sessions: Option<usize>,
    /// The longest request body, in bytes. Default 16 MiB.
    pub max_body_bytes: usize,
    /// The longest answer of a tool, in bytes. Default 16 MiB.
    pub max_output_bytes: usize,
    /// The longest a tool call may take, in real time, whatever its caller asks for. Default 1,800 s, the life of a
    /// session.
    pub max_tool_time: Duration,
    /// How sessions are kept apart. Default: chosen by trial.
    pub isolation: Option<Isolation>,
    /// The Python interpreter. Default: found on `PATH`.
    pub python: Option<PathBuf>,
    /// The Node.js interpreter. Default: found on `PATH`.
    pub node: Option<PathBuf>,
    /// The Chromium that browser images start. Default: the one that `CHROMIUM_PATH` names, else found on `PATH`.
    pub chromium: Option<PathBuf>,
    /// Where the directories of sessions are made. Default: the system's directory for temporary files.
    pub base_directory: Option<PathBuf>,
    /// Further image ids to accept (custom images), with the tools of `agb-code-space-1`. Default: none.
    pub images: Vec<String>,
    /// Whether sessions get a `linkUrl`, on which clients call tools directly. Default: all images but
    /// `agb-computer-use-1` do (docs/protocol.md, section Tool routes).
    pub link_url: Option<bool>,
    /// Faults that strike from the start. Default: none.
    pub faults: Vec<Fault>,
    /// Told of each finished request. Default: nobody.
    pub log: Option<RequestLog>,
    /// Moved with [`crate::Emulator::advance`]. Default: nobody.
    pub follower: Option<Arc<dyn ClockFollower>>,
}

impl Default for EmulatorOptions {
    fn default() -> Self {
        Self {
            port: 0,
            api_key: None,
            seed: None,
            max_sessions: None,
            max_body_bytes: 16 << 20,
            max_output_bytes: 16 << 20,
            max_tool_time: Duration::from_secs(1_800),
            isolation: None,
            python: None,
            node: None,
            chromium: None,
            base_directory: None,
            images: Vec::new(),
            link_url: None,
            faults: Vec::new(),
            log: None,
            follower: None,
        }
    }
}

impl fmt::Debug for EmulatorOptions {
    /// Leaves out the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EmulatorOptions")
            .field("port", &self.port)
            .field("seed", &self.seed)
            .field("max_sessions", &self.max_sessions)
            .field("max_body_bytes", &self.max_body_bytes)
            .field("max_output_bytes", &self.max_output_bytes)
            .field("max_tool_time", &self.max_tool_time)
            .field("isolation", &self.isolation)
            .field("images", &self.images)
            .field("link_url", &self.link_url)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}
