//! When a session's keep-alive beats: after a share of the idle time-out since the last activity, sooner after a failure.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::events::KeepAliveFailure;
use crate::error::{Error, ErrorKind, Result};

/// When a beat is due, as a share of the idle time-out.
pub const DEFAULT_AT: f64 = 0.6;
/// A beat comes this much earlier or later, so that sessions made together don't beat together.
const JITTER: f64 = 0.1;
/// The shares within which a beat stays, whatever is asked for: room for jitter before, and for repeats behind.
const EARLIEST: f64 = 0.05;
const LATEST: f64 = 0.9;
/// The longest that one beat may take.
const BEAT_LIMIT: Duration = Duration::from_secs(10);
/// What one beat may use of the time that is left, so that others can follow it.
const BEAT_SHARE: f64 = 0.4;
/// The shortest limit of a beat: less would fail for its own sake.
const BEAT_MINIMUM: Duration = Duration::from_millis(250);
/// The pause after the first failure, as a share of the idle time-out; it doubles.
const FIRST_PAUSE: f64 = 0.01;
/// What a pause may use of the time that is left.
const PAUSE_SHARE: f64 = 0.25;
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The pause once nothing is left: then only the service's word that the session is gone is missing.
const PAUSE_AFTER_END: Duration = Duration::from_secs(1);

/// When a session is to be kept alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeepAliveMode {
    /// Always.
    #[default]
    Always,
    /// While something holds it, or a call is in flight.
    WhileHeld,
}

impl KeepAliveMode {
    /// The mode of that name; the default one without a name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for any other name.
    pub fn named(name: Option<&str>) -> Result<Self> {
        match name {
            None => Ok(Self::default()),
            Some("always") => Ok(Self::Always),
            Some("whileHeld") => Ok(Self::WhileHeld),
            Some(other) => Err(invalid(format!("mode must be 'always' or 'whileHeld', got '{other}'"))),
        }
    }

    /// The name that users see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::WhileHeld => "whileHeld",
        }
    }
}

/// How long ago the program's event loop ran last.
pub type LoopWatch = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How a session is kept alive.
#[derive(Clone, Default)]
pub struct KeepAliveOptions {
    /// When.
    pub mode: KeepAliveMode,
    /// A beat comes after this share of the idle time-out; `None`: [`DEFAULT_AT`].
    pub at: Option<f64>,
    /// For how long, from the start; `None`: as long as the session may live.
    pub max_duration: Option<Duration>,
    /// Not longer than so long after the event loop ran last; `None`: whatever the event loop does.
    pub stop_if_stalled: Option<(Duration, LoopWatch)>,
    /// The session's idle time-out, where it is not known; else the known one.
    pub idle_release_timeout: Option<Duration>,
}

impl KeepAliveOptions {
    /// Can a session be kept alive like this?
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a share that is not between 0 and 1.
    pub fn check(&self) -> Result<()> {
        let at = self.share();
        if at > 0.0 && at < 1.0 {
            return Ok(());
        }
        Err(invalid(format!("`at` must be a share of the idle time-out between 0 and 1, got {at}")))
    }

    /// One of the options that are a time, given in seconds by users who know it as `name`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for what is no time, and for none at all.
    pub fn time(name: &str, seconds: Option<f64>) -> Result<Option<Duration>> {
        let Some(seconds) = seconds else { return Ok(None) };
        match Duration::try_from_secs_f64(seconds) {
            Ok(time) if !time.is_zero() => Ok(Some(time)),
            _ => Err(invalid(format!("{name} must be a number of seconds more than 0, got {seconds}"))),
        }
    }

    fn share(&self) -> f64 {
        self.at.unwrap_or(DEFAULT_AT)
    }
}

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, text).with_operation("startKeepAlive")
}

impl fmt::Debug for KeepAliveOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAliveOptions")
            .field("mode", &self.mode)
            .field("at", &self.at)
            .field("max_duration", &self.max_duration)
            .field("stop_if_stalled", &self.stop_if_stalled.as_ref().map(|(limit, _)| limit))
            .field("idle_release_timeout", &self.idle_release_timeout)
            .finish()
    }
}

/// Why a keep-alive stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// It was told to.
    Stopped,
    /// The session is gone.
    Released,
    /// The session can't live longer.
    LifetimeCap,
    /// Its longest time was over.
    MaxDuration,
    /// The event loop has not run for too long.
    LoopStalled,
}

impl StopReason {
    /// The name that users see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Released => "released",
            Self::LifetimeCap => "lifetimeCap",
            Self::MaxDuration => "maxDuration",
            Self::LoopStalled => "loopStalled",
        }
    }

    /// Can it turn out that the session has not ended?
    fn is_reckoned(self) -> bool {
        matches!(self, Self::Released | Self::LifetimeCap)
    }
}

/// How a keep-alive is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct KeepAliveStatus {
    /// Why it no longer runs; `None`: it does.
    pub stopped: Option<StopReason>,
    /// When it keeps alive.
    pub mode: KeepAliveMode,
    /// The share of the idle time-out after which it beats.
    pub at: f64,
    /// The idle time-out that it reckons with.
    pub idle_release_timeout: Duration,
    /// Beats that the service answered.
    pub beats: u64,
    /// Beats that failed.
    pub failures: u64,
    /// When the last one was answered.
    pub last_beat_at: Option<SystemTime>,
    /// Time until the next; `None`: none is wanted now.
    pub next_beat: Option<Duration>,
    /// What went wrong at the last one, if it failed.
    pub last_error: Option<String>,
}

/// A keep-alive that was started.
#[derive(Debug)]
pub(super) struct Beating {
    pub(super) options: KeepAliveOptions,
    /// When it ends at the latest; `None`: as late as it can.
    end: Option<Instant>,
    stopped: Option<StopReason>,
    /// The share of the time-out after which the next beat is due.
    share: f64,
    /// After a failure.
    retry_at: Option<Instant>,
    attempt: u32,
    beats: u64,
    failures: u64,
    last_beat_at: Option<SystemTime>,
    last_error: Option<String>,
}

impl Beating {
    pub(super) fn start(options: KeepAliveOptions, now: Instant) -> Result<Self> {
        options.check()?;
        Ok(Self {
            end: options.max_duration.and_then(|limit| now.checked_add(limit)),
            share: with_jitter(options.share()),
            options,
            stopped: None,
            retry_at: None,
            attempt: 0,
            beats: 0,
            failures: 0,
            last_beat_at: None,
            last_error: None,
        })
    }

    pub(super) fn end(&self) -> Option<Instant> {
        self.end
    }

    pub(super) fn end_at(&mut self, end: Option<Instant>, now: Instant) {
        self.end = end;
        if end.is_some_and(|end| now >= end) {
            self.stop(StopReason::MaxDuration);
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.stopped.is_none()
    }

    /// The first reason counts, unless it is one that may turn out to be none.
    pub(super) fn stop(&mut self, reason: StopReason) {
        let known = self.stopped.filter(|known| !known.is_reckoned() || reason.is_reckoned());
        let reason = *self.stopped.insert(known.unwrap_or(reason));
        if !reason.is_reckoned() {
            self.options.stop_if_stalled = None;
        }
    }

    /// Shall the session be kept alive now?
    pub(super) fn is_wanted(&self, is_held: bool) -> bool {
        self.is_running() && (is_held || self.options.mode == KeepAliveMode::Always)
    }

    /// When the next beat is due.
    pub(super) fn due(&self, basis: Instant, timeout: Duration) -> Option<Instant> {
        let regular = basis.checked_add(timeout.mul_f64(self.share))?;
        // A call that came after the failed beat has done its work.
        Some(self.retry_at.map_or(regular, |retry| retry.max(regular)))
    }

    /// The session whose end stopped it is alive after all.
    pub(super) fn go_on(&mut self) {
        self.stopped.take_if(|reason| reason.is_reckoned());
    }

    /// When it ends without anybody's doing.
    pub(super) fn last_moment(&self, lifetime_end: Option<Instant>) -> Option<Instant> {
        self.end.into_iter().chain(lifetime_end).min().filter(|_| self.is_running())
    }

    pub(super) fn reason_to_stop(
        &self,
        now: Instant,
        lifetime_end: Option<Instant>,
        is_due: bool,
    ) -> Option<StopReason> {
        let is_over = |end: Option<Instant>| end.is_some_and(|end| now >= end);
        match () {
            () if !self.is_running() => None,
            () if is_over(lifetime_end) => Some(StopReason::LifetimeCap),
            () if is_over(self.end) => Some(StopReason::MaxDuration),
            () if is_due && self.is_loop_stalled() => Some(StopReason::LoopStalled),
            () => None,
        }
    }

    fn is_loop_stalled(&self) -> bool {
        self.options.stop_if_stalled.as_ref().is_some_and(|(limit, since_last_run)| since_last_run() > *limit)
    }

    pub(super) fn succeeded(&mut self, at: SystemTime) {
        self.retry_at = None;
        self.attempt = 0;
        self.beats += 1;
        self.last_beat_at = Some(at);
        self.last_error = None;
        self.share = with_jitter(self.options.share());
    }

    /// `left` is what is left of the time-out.
    pub(super) fn failed(
        &mut self,
        error: &Error,
        now: Instant,
        timeout: Duration,
        left: Duration,
    ) -> KeepAliveFailure {
        self.attempt += 1;
        self.failures += 1;
        self.last_error = Some(error.message().to_owned());
        self.retry_at = now.checked_add(pause(self.attempt, timeout, left));
        KeepAliveFailure {
            message: error.message().to_owned(),
            attempt: self.attempt,
            idle_remaining: left,
            will_retry: self.is_running(),
        }
    }

    /// It stopped by itself.
    pub(super) fn gave_up(&mut self, why: &str, left: Duration) -> KeepAliveFailure {
        self.last_error = Some(why.to_owned());
        KeepAliveFailure {
            message: format!("{why}; the session is no longer kept alive"),
            attempt: self.attempt,
            idle_remaining: left,
            will_retry: false,
        }
    }

    pub(super) fn status(&self, idle_release_timeout: Duration, next_beat: Option<Duration>) -> KeepAliveStatus {
        KeepAliveStatus {
            stopped: self.stopped,
            mode: self.options.mode,
            at: self.options.share(),
            idle_release_timeout,
            beats: self.beats,
            failures: self.failures,
            last_beat_at: self.last_beat_at,
            next_beat,
            last_error: self.last_error.clone(),
        }
    }
}

/// How long a beat may take, of what is left until the session's time is over.
pub(super) fn limit(left: Duration) -> Duration {
    left.mul_f64(BEAT_SHARE).clamp(BEAT_MINIMUM, BEAT_LIMIT)
}

fn with_jitter(at: f64) -> f64 {
    (at + JITTER * (2.0 * fastrand::f64() - 1.0)).clamp(EARLIEST.min(at), LATEST.max(at))
}

/// The pause before the beat after `attempt` failures, while so much is left of the time-out.
fn pause(attempt: u32, timeout: Duration, left: Duration) -> Duration {
    if left.is_zero() {
        return PAUSE_AFTER_END;
    }
    let first = timeout.mul_f64(FIRST_PAUSE);
    let doublings = attempt.saturating_sub(1).min(10);
    let pause = first.saturating_mul(1 << doublings).min(LONGEST_PAUSE).min(left.mul_f64(PAUSE_SHARE));
    let shortest = first.clamp(SHORTEST_PAUSE, PAUSE_AFTER_END);
    pause.mul_f64(0.75 + 0.25 * fastrand::f64()).max(shortest)
}
