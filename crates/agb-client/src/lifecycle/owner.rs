//! Which process a session belongs to, and whether that process still runs: what a short lease sends as labels, and what
//! the search for orphans reads.
//!
//! A pid alone names no process: it is given again, after a restart of the machine and in every PID namespace. Boot,
//! namespace, pid and start time together name one.

use std::fs;

use rustix::io::Errno;
use rustix::process::Pid;
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};

const BOOT: &str = "agbn.boot";
const PID_NAMESPACE: &str = "agbn.pidns";
const PID: &str = "agbn.pid";
const START: &str = "agbn.start";
/// For people; nothing reads it.
const HOST: &str = "agbn.host";

const DEFAULT_TTL_S: f64 = 60.0;
const LONGEST_TTL_S: f64 = 1_800.0;

/// A session that ends soon after its process: a short idle time-out, a keep-alive, and labels that name the process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Lease {
    /// The idle time-out in seconds; `None`: 60.
    pub ttl_s: Option<f64>,
}

impl Lease {
    /// The idle time-out, in seconds.
    pub(crate) fn ttl_s(self) -> f64 {
        self.ttl_s.unwrap_or(DEFAULT_TTL_S)
    }

    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a time-out out of range.
    pub(crate) fn check(self) -> Result<()> {
        let ttl_s = self.ttl_s();
        if (1.0..=LONGEST_TTL_S).contains(&ttl_s) {
            return Ok(());
        }
        let text = format!("lease.ttlS must be a number of seconds from 1 to {LONGEST_TTL_S}, got {ttl_s}");
        Err(Error::new(ErrorKind::InvalidArgument, text).with_operation("createSession"))
    }
}

/// A process of some machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    /// The run of the machine since it was started.
    boot: String,
    pid_namespace: String,
    pid: i32,
    /// When it was started: clock ticks since the start of the machine.
    start: u64,
}

impl Owner {
    /// This process; `None` where the system does not tell all of it, as outside of Linux.
    pub(crate) fn this_process() -> Option<Self> {
        let pid = i32::try_from(std::process::id()).ok()?;
        // A /proc of another PID namespace would tell of other processes.
        if fs::read_link("/proc/self").ok()?.to_str()? != pid.to_string() {
            return None;
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
        let pid_namespace: String = namespace.to_str()?.chars().filter(char::is_ascii_digit).collect();
        if boot.is_empty() || pid_namespace.is_empty() {
            return None;
        }
        Some(Self { boot, pid_namespace, pid, start: Stat::of(pid)?.start })
    }

    /// The process that labels name, if they do.
    pub(crate) fn of_labels(labels: &Map<String, Value>) -> Option<Self> {
        let text = |key: &str| labels.get(key).and_then(Value::as_str);
        Some(Self {
            boot: text(BOOT)?.to_owned(),
            pid_namespace: text(PID_NAMESPACE)?.to_owned(),
            pid: text(PID)?.parse().ok()?,
            start: text(START)?.parse().ok()?,
        })
    }

    /// The labels of all sessions of this process.
    pub(crate) fn labels(&self) -> Map<String, Value> {
        let mut labels = self.home_labels();
        labels.insert(PID.to_owned(), self.pid.to_string().into());
        labels.insert(START.to_owned(), self.start.to_string().into());
        labels
    }

    /// The labels of the sessions of all processes that this one can look at.
    pub(crate) fn home_labels(&self) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert(BOOT.to_owned(), self.boot.clone().into());
        labels.insert(PID_NAMESPACE.to_owned(), self.pid_namespace.clone().into());
        labels
    }

    /// Does it run, or did it, on the same run of the same machine, in the same PID namespace?
    pub(crate) fn is_at_home_with(&self, other: &Self) -> bool {
        self.boot == other.boot && self.pid_namespace == other.pid_namespace
    }

    /// Has this process ended? Only for one that [is at home](Self::is_at_home_with) here. In doubt it has not.
    pub(crate) fn is_gone(&self) -> bool {
        let Some(pid) = Some(self.pid).filter(|pid| *pid > 0).and_then(Pid::from_raw) else { return false };
        // Not by /proc alone: other users' processes may be hidden there.
        if rustix::process::test_kill_process(pid) == Err(Errno::SRCH) {
            return true;
        }
        Stat::of(self.pid).is_some_and(|now| now.start != self.start || now.has_ended(self.pid))
    }
}

/// The labels of a session that belongs to this process, as far as the system tells what they say.
pub(crate) fn labels_of_this_process() -> Map<String, Value> {
    let mut labels = match Owner::this_process() {
        Some(owner) => owner.labels(),
        None => Map::from_iter([(PID.to_owned(), std::process::id().to_string().into())]),
    };
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if !host.trim().is_empty() {
        labels.insert(HOST.to_owned(), host.into());
    }
    labels
}

/// What `/proc/<pid>/stat` says.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    start: u64,
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        Self::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in the second field may hold anything, also brackets and spaces; it ends with the last bracket.
    fn read(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        // The 22nd of all.
        let start = fields.nth(18)?.parse().ok()?;
        Some(Self { state, start })
    }

    /// Ended, and only its parent has not noticed yet. A main thread that has ended before the others looks the same.
    fn has_ended(&self, pid: i32) -> bool {
        let is_last_thread = || fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|tasks| tasks.count() <= 1);
        matches!(self.state, 'Z' | 'X') && is_last_thread()
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn me() -> Owner {
        Owner::this_process().expect("these tests need Linux with its own /proc")
    }

    fn sleeper() -> Child {
        Command::new("sleep").arg("300").stdin(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn this_process_runs_and_is_what_its_labels_say() {
        let me = me();
        assert!(!me.is_gone());
        let labels = labels_of_this_process();
        assert_eq!(Owner::of_labels(&labels), Some(me.clone()));
        assert_eq!(labels[PID], std::process::id().to_string());
        assert!(labels.keys().all(|key| crate::agb::is_reserved_label(key)));
        assert!(labels.values().all(|value| value.as_str().is_some_and(|text| !text.trim().is_empty())));
        assert!(me.home_labels().iter().all(|(key, value)| labels[key] == *value));
    }

    #[test]
    fn a_process_with_another_start_time_is_gone() {
        let me = me();
        assert!(Owner { start: me.start + 1, ..me }.is_gone());
    }

    #[test]
    fn a_process_is_gone_once_it_has_ended_even_before_its_parent_notices() {
        let mut child = sleeper();
        let pid = i32::try_from(child.id()).unwrap();
        let owner = Owner { pid, start: Stat::of(pid).unwrap().start, ..me() };
        assert!(!owner.is_gone());
        child.kill().unwrap();
        // A kill takes effect at once, and is seen a little later.
        while Stat::of(pid).unwrap().state != 'Z' {
            std::thread::yield_now();
        }
        assert!(owner.is_gone());
        child.wait().unwrap();
        assert!(owner.is_gone());
    }

    #[test]
    fn a_pid_that_names_no_process_is_not_taken_for_one_that_ended() {
        for pid in [0, -1, i32::MIN] {
            assert!(!Owner { pid, ..me() }.is_gone());
        }
    }

    #[test]
    fn labels_that_name_no_process_are_none() {
        let labels = me().labels();
        for key in [BOOT, PID_NAMESPACE, PID, START] {
            let mut without = labels.clone();
            without.remove(key);
            assert_eq!(Owner::of_labels(&without), None);
        }
        let mut odd = labels.clone();
        odd.insert(PID.to_owned(), "12x".into());
        assert_eq!(Owner::of_labels(&odd), None);
        odd.insert(PID.to_owned(), 12.into());
        assert_eq!(Owner::of_labels(&odd), None);
    }

    #[test]
    fn a_name_with_brackets_does_not_mislead() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        let stat = Stat::read(&format!("17 (a) b (c) {fields}"));
        assert_eq!(stat, Some(Stat { state: 'S', start: 4_242 }));
        assert_eq!(Stat::read("17 (a"), None);
        assert_eq!(Stat::read("17 (a) S 1"), None);
    }

    #[test]
    fn a_time_out_out_of_range_is_refused() {
        assert_eq!(Lease::default().ttl_s(), 60.0);
        for ttl_s in [0.0, 0.5, -1.0, f64::NAN, f64::INFINITY, 1_801.0] {
            assert!(Lease { ttl_s: Some(ttl_s) }.check().is_err());
        }
        for ttl_s in [1.0, 2.5, 1_800.0] {
            assert!(Lease { ttl_s: Some(ttl_s) }.check().is_ok());
        }
    }
}
