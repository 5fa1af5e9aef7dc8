//! The life of one session as this process knows it: when it was last used, what holds it, what keeps it alive, and
//! whether it is gone. A state machine without I/O: [`step`](Life::step) says what is due, `keep_alive.rs` does it.
//!
//! The service's idle timer starts anew at the end of: tool calls, `keepAlive`, `getSession`, labels, session info and
//! links. It does not for: the status (`getSessionInfo`), the session list, the tool list of an image (docs/protocol.md,
//! section "Idle timer").

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use super::beat::{Beating, KeepAliveOptions, KeepAliveStatus, StopReason};
use super::clock::Moment;
use super::events::{Expiring, LifecycleEvent, Listener, ReleaseReason, Subscription};
use super::{Clock, beat, keep_alive};
use crate::error::{Error, ErrorKind, Result};

/// Seconds without activity after which the service releases a session that was created without a time-out.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// No session lives longer than this.
pub const MAXIMUM_LIFETIME: Duration = Duration::from_secs(1_800);
/// How long a session whose time is over may still answer before it counts as released.
const RELEASE_GRACE: Duration = Duration::from_secs(5);
/// After so long nobody has to reckon any more with a session whose times are over.
const CERTAINTY: Duration = Duration::from_secs(60);
/// When `expiring` is told of the end of a session's longest life.
pub(super) const LIFETIME_NOTICE: Duration = Duration::from_secs(120);
/// How long a service may take to say that it does not know a session.
const REFUSAL_LIMIT: Duration = Duration::from_secs(10);
/// What is left of the idle time-out when `expiring` is told of it.
const IDLE_NOTICE: f64 = 0.2;

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Created, and not used yet.
    Created,
    /// A call is under way.
    Active,
    /// Nothing has been asked of it for a while.
    Idle,
    /// Gone for good.
    Released,
}

impl SessionState {
    /// The name that users see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Active => "active",
            Self::Idle => "idle",
            Self::Released => "released",
        }
    }
}

/// A session's release, as far as it is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Why it was released.
    pub reason: ReleaseReason,
    /// Did the service say so? Otherwise only its time is over.
    pub confirmed: bool,
}

/// What is known of a session's life without asking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LifecycleView {
    /// Where it is.
    pub state: SessionState,
    /// After how long without activity it is released; `None`: unknown, as for sessions that were found.
    pub idle_release_timeout: Option<Duration>,
    /// What is left of that: all of it while a call runs; `None`: unknown.
    pub idle_remaining: Option<Duration>,
    /// What is left of the longest life; `None`: unknown.
    pub lifetime_remaining: Option<Duration>,
    /// When it was created; `None`: unknown.
    pub created_at: Option<SystemTime>,
    /// When the last call that started the idle timer anew ended; `None`: there was none.
    pub last_activity_at: Option<SystemTime>,
    /// How it ended, if it has.
    pub release: Option<Release>,
}

/// The life of one session. Clones share it.
#[derive(Clone)]
pub struct Life {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
    watch: keep_alive::Watch,
    /// What else ends with the session.
    end: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Has the service said that the session is gone?
    is_over: watch::Sender<bool>,
}

struct State {
    idle_timeout: Option<Duration>,
    /// Has the program said so, and not the creation?
    is_timeout_given: bool,
    /// When it was created, at the earliest; `None`: unknown.
    created: Option<(Instant, SystemTime)>,
    /// Since when this process knows of it.
    known_since: Instant,
    /// When the last call that starts the timer anew began.
    last_start: Instant,
    /// When the last such call ended.
    last_end: Instant,
    last_end_at: Option<SystemTime>,
    in_flight: usize,
    /// Has a call failed since the last one that did its work?
    has_failed: bool,
    /// Until then it may have been alive, whatever its times say: a call that failed ended then, which may have held the timer
    /// at the service, or the service has said so.
    maybe_alive: Option<Instant>,
    /// Has the call under way been told of?
    has_told_of_call: bool,
    /// Calls that did their work.
    finished: u64,
    held: usize,
    /// Deletions from here that are under way.
    deletions: usize,
    release: Option<Release>,
    beating: Option<Beating>,
    /// Is a beat under way, or waiting to be sent? Whatever keep-alive wanted it: another may have taken its place.
    is_beat_under_way: bool,
    /// The end of activity whose idle time was announced to be running out.
    told_of_idle: Option<Instant>,
    has_told_of_lifetime: bool,
    listeners: Vec<(u64, Listener)>,
    last_listener: u64,
}

/// What [`Life::step`] wants done.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// Send one keep-alive as soon as one [can begin](Life::begin_beat): by then it has to be answered.
    pub(crate) beat: Option<Instant>,
    /// When to call again; `None`: only after a change.
    pub(crate) next: Option<Instant>,
}

impl Life {
    /// Of a session that was asked for at the moment `asked`. When exactly the service made it, its answer does not tell:
    /// taken for older than it is, it is used and kept alive rather too early than too late. The service takes its default
    /// where no time-out was asked for.
    pub(crate) fn of_new_session(clock: Clock, idle_timeout: Option<Duration>, asked: Moment) -> Self {
        let idle_timeout = idle_timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(DEFAULT_IDLE_TIMEOUT);
        let created = Some((asked.at, asked.date));
        Self::start(clock, State { idle_timeout: Some(idle_timeout), created, ..State::since(asked.at) })
    }

    /// Of a session that somebody made at an unknown time; it counts as used now.
    pub(crate) fn of_found_session(clock: Clock) -> Self {
        let now = clock.moment();
        Self::start(clock, State { last_end_at: Some(now.date), ..State::since(now.at) })
    }

    fn start(clock: Clock, state: State) -> Self {
        let shared = Shared {
            clock,
            state: Mutex::new(state),
            watch: keep_alive::Watch::default(),
            end: OnceLock::new(),
            is_over: watch::Sender::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The clock that this life runs on.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Marks the start of a call that holds the timer. Dropping the mark ends the call; only
    /// [`finished`](InFlight::finished) starts the timer anew.
    pub fn begin(&self) -> InFlight {
        let now = self.shared.clock.now();
        let mut state = self.lock();
        let may_be_alive = state.release.is_none() && state.reckoned_release(now).is_none();
        state.in_flight += 1;
        state.last_start = state.last_start.max(now);
        let is_wanted = state.wants_news_of_calls();
        let told = state.hearers_of_call();
        drop(state);
        tell(&told, &LifecycleEvent::Active);
        if is_wanted {
            self.changed();
        }
        InFlight { life: self.clone(), has_finished: false, may_hold_timer: may_be_alive }
    }

    /// Does a call that holds the timer, and takes from its outcome what it says of the session.
    pub(crate) async fn using<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let in_flight = self.begin();
        let outcome = call.await;
        self.learn(&outcome);
        match &outcome {
            Ok(_) => in_flight.finished(),
            // The tool ran, and failed.
            Err(error) if error.kind() == ErrorKind::Tool => in_flight.finished(),
            Err(error) if error.kind() == ErrorKind::Connect || error.attempts() == 0 => in_flight.unsent(),
            Err(_) => {}
        }
        outcome
    }

    /// Takes from the outcome of a call that does not count as activity what it says of the session.
    pub(crate) fn learn<T>(&self, outcome: &Result<T>) {
        if let Err(error) = outcome
            && error.kind() == ErrorKind::SessionNotFound
        {
            self.gone();
        }
    }

    /// Marks the end of a call that needs no start, because the session was not known before it.
    pub fn touch(&self) {
        let (now, now_at) = (self.shared.clock.now(), self.shared.clock.wall());
        let mut state = self.lock();
        state.last_end = state.last_end.max(now);
        state.last_end_at = Some(now_at);
        state.has_failed = false;
        state.finished += 1;
        self.answered(state, now);
    }

    /// The service has said that the session is alive, which does not start its timer anew.
    pub(crate) fn seen_alive(&self) {
        let now = self.shared.clock.now();
        let mut state = self.lock();
        state.maybe_alive = Some(now);
        self.answered(state, now);
    }

    /// It is alive: what was only reckoned has not come.
    fn answered(&self, mut state: MutexGuard<'_, State>, now: Instant) {
        // It is younger than it was taken for, or has another longest life.
        let has_outlived = state.is_past(state.lifetime_end(), now) && state.created.take().is_some();
        let was_released = state.release.take_if(|release| !release.confirmed).is_some();
        // Where nobody listened the release was not even noticed, but the keep-alive had ended.
        if !has_outlived && !was_released {
            return;
        }
        if let Some(beating) = &mut state.beating {
            beating.go_on();
        }
        // Also where no call is under way: who heard of the release has to hear that there is none.
        let (event, told) = if state.in_flight == 0 && was_released {
            (LifecycleEvent::Idle, state.hearers())
        } else {
            (LifecycleEvent::Active, state.hearers_of_call())
        };
        drop(state);
        tell(&told, &event);
        self.changed();
    }

    /// The service no longer knows the session: why, as far as its times tell.
    pub(crate) fn gone(&self) {
        let reason = self.lock().reason_of_end(self.shared.clock.now());
        self.released(reason);
    }

    /// Marks the start of a deletion from here, until the mark is dropped: nothing keeps the session alive meanwhile, and
    /// whoever learns that it is gone knows why.
    pub(crate) fn begin_deletion(&self) -> Deletion {
        self.lock().deletions += 1;
        self.changed();
        Deletion { life: self.clone() }
    }

    fn deleted(&self) {
        self.released(ReleaseReason::Deleted);
    }

    /// The service has said so. Its first word counts.
    fn released(&self, reason: ReleaseReason) {
        let release = Release { reason, confirmed: true };
        let mut state = self.lock();
        if state.is_gone() {
            return;
        }
        let was_told = state.release.is_some();
        state.release = Some(release);
        state.stop_beating(StopReason::Released);
        let told = if was_told { Vec::new() } else { state.hearers() };
        drop(state);
        tell(&told, &LifecycleEvent::Released(release));
        self.changed();
        self.shared.is_over.send_replace(true);
        if let Some(end) = self.shared.end.get() {
            end();
        }
    }

    /// Has the service said that the session is gone?
    pub(crate) fn is_gone(&self) -> bool {
        self.lock().is_gone()
    }

    /// Waits until the service has said that the session is gone.
    pub(crate) async fn over(&self) {
        // The sender lives as long as this does.
        let _ = self.shared.is_over.subscribe().wait_for(|is_over| *is_over).await;
    }

    /// Has `end` called when the service has said that the session is gone. The first one counts.
    pub(crate) fn ending_with(self, end: impl Fn() + Send + Sync + 'static) -> Self {
        // Refused only where there is one.
        let _ = self.shared.end.set(Box::new(end));
        self
    }

    /// What is known now.
    pub fn view(&self) -> LifecycleView {
        let now = self.shared.clock.now();
        self.lock().view(now)
    }

    /// Clock time since the end of the last call that started the idle timer anew; zero while such a call runs.
    pub fn idle_for(&self) -> Duration {
        let now = self.shared.clock.now();
        self.lock().idle_for(now)
    }

    /// Can the session not be alive any more, whatever is unknown of it? Only long after both its times are over.
    pub(crate) fn is_long_over(&self) -> bool {
        let now = self.shared.clock.now();
        self.lock().is_long_over(now)
    }

    /// Clock time since creation; `None` if this process did not create the session.
    pub fn age(&self) -> Option<Duration> {
        let now = self.shared.clock.now();
        self.lock().age(now)
    }

    /// Remembers this moment, to tell later whether the session may have done anything since.
    pub fn mark(&self) -> Mark {
        let now = self.shared.clock.now();
        Mark { life: self.clone(), finished: self.lock().finished, at: now, began: Instant::now() }
    }

    /// Holds the session until the mark is dropped: in mode "while held" it is kept alive meanwhile.
    pub fn hold(&self) -> Hold {
        self.lock().held += 1;
        self.changed();
        Hold { life: self.clone() }
    }

    /// Does something hold the session, or is a call under way?
    pub(crate) fn is_needed(&self) -> bool {
        self.lock().is_needed()
    }

    /// Begins to keep the session alive, or goes on with other options.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when the idle time-out is neither known nor given, or for an option out of range;
    /// [`ErrorKind::SessionNotFound`] for a session that is gone.
    pub(crate) fn start_beating(&self, options: KeepAliveOptions) -> Result<()> {
        let now = self.shared.clock.now();
        let mut state = self.lock();
        if state.is_gone() {
            return Err(refused(ErrorKind::SessionNotFound, "the session is released and can't be kept alive"));
        }
        let known = state.idle_timeout.filter(|_| !state.is_timeout_given);
        let Some(idle_timeout) = known.or(options.idle_release_timeout).or(state.idle_timeout) else {
            let text =
                "the idle time-out of a session that was found is not known: give `idleReleaseTimeout`, in seconds";
            return Err(refused(ErrorKind::InvalidArgument, text));
        };
        state.beating = Some(Beating::start(options, now)?);
        (state.idle_timeout, state.is_timeout_given) = (Some(idle_timeout), known.is_none());
        drop(state);
        self.changed();
        Ok(())
    }

    /// Has the keep-alive end when that of `other`, whose place this session takes, would have, or has, after its longest
    /// time.
    pub(crate) fn end_beating_with(&self, other: &Self) {
        let now = self.shared.clock.now();
        let Some(end) = other.lock().beating.as_ref().map(Beating::end) else { return };
        if let Some(beating) = &mut self.lock().beating {
            beating.end_at(end, now);
        }
        self.changed();
    }

    /// Ends the keep-alive, also one that would go on if the session were alive after all; nothing happens where there is
    /// none.
    pub fn stop_beating(&self) {
        let mut state = self.lock();
        if !state.is_gone() {
            state.stop_beating(StopReason::Stopped);
        }
        drop(state);
        self.changed();
    }

    /// How the keep-alive is doing; `None` where none was started.
    pub fn beating(&self) -> Option<KeepAliveStatus> {
        let now = self.shared.clock.now();
        let state = self.lock();
        let beating = state.beating.as_ref()?;
        let next = state.next_beat().map(|at| at.saturating_duration_since(now));
        Some(beating.status(state.idle_timeout.unwrap_or_default(), next))
    }

    /// The options that the keep-alive was started with, while it runs.
    pub fn running_options(&self) -> Option<KeepAliveOptions> {
        self.lock().beating.as_ref().filter(|beating| beating.is_running()).map(|beating| beating.options.clone())
    }

    /// Has `listener` called at every event, from any thread, until the subscription is dropped. It must not block.
    pub fn subscribe(&self, listener: Listener) -> Subscription {
        let mut state = self.lock();
        state.last_listener += 1;
        let id = state.last_listener;
        state.listeners.push((id, listener));
        drop(state);
        self.changed();
        Subscription::new(self.downgrade(), id)
    }

    pub(crate) fn unsubscribe(&self, id: u64) {
        self.lock().listeners.retain(|(known, _)| *known != id);
        self.changed();
    }

    /// Does the engine have to look after this life? Not after its release, which an answer may prove wrong: that is a
    /// change of which the engine is told.
    pub(crate) fn is_watched(&self) -> bool {
        let state = self.lock();
        state.release.is_none()
            && (!state.listeners.is_empty() || state.beating.as_ref().is_some_and(Beating::is_running))
    }

    /// Tells what is due at `now`, and says what is to be done.
    pub(crate) fn step(&self, now: Instant) -> Step {
        let mut events = Vec::new();
        let mut state = self.lock();
        state.notice_expiry(now, &mut events);
        let beat = state.take_beat(now, &mut events);
        let step = Step { beat, next: state.next_due() };
        let told = if events.is_empty() { Vec::new() } else { state.hearers() };
        drop(state);
        for event in &events {
            tell(&told, event);
        }
        step
    }

    /// How long a beat that [`step`](Self::step) wanted may take if it begins now. `None`: it is not wanted any more.
    pub(crate) fn begin_beat(&self) -> Option<Duration> {
        self.lock().begin_beat(self.shared.clock.now())
    }

    /// The outcome of a beat that [began](Self::begin_beat).
    pub(crate) fn beaten(&self, outcome: &Result<()>) {
        self.lock().is_beat_under_way = false;
        match outcome {
            Ok(()) => {
                self.touch();
                let mut state = self.lock();
                if let Some(beating) = &mut state.beating {
                    beating.succeeded(self.shared.clock.wall());
                }
            }
            Err(error) if error.kind() == ErrorKind::SessionNotFound => self.gone(),
            Err(error) => self.beat_failed(error),
        }
    }

    fn beat_failed(&self, error: &Error) {
        let now = self.shared.clock.now();
        let mut state = self.lock();
        let timeout = state.idle_timeout.unwrap_or_default();
        let left = state.left_to_beat(now);
        let Some(beating) = &mut state.beating else { return };
        let failed = beating.failed(error, now, timeout, left);
        let told = state.hearers();
        drop(state);
        tracing::debug!(target: "agb::lifecycle", error = error.message(), attempt = failed.attempt, "keep-alive failed");
        tell(&told, &LifecycleEvent::KeepAliveFailed(failed));
    }

    /// Has the engine look again, where something may be due sooner than it knows.
    pub(crate) fn changed(&self) {
        self.shared.watch.changed(self);
    }

    pub(crate) fn watch(&self) -> &keep_alive::Watch {
        &self.shared.watch
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is this the same life as `other`?
    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    pub(crate) fn downgrade(&self) -> WeakLife {
        WeakLife(Arc::downgrade(&self.shared))
    }
}

impl State {
    fn is_gone(&self) -> bool {
        self.release.is_some_and(|release| release.confirmed)
    }

    fn is_needed(&self) -> bool {
        self.held > 0 || self.in_flight > 0
    }

    fn since(known: Instant) -> Self {
        Self {
            idle_timeout: None,
            is_timeout_given: false,
            created: None,
            known_since: known,
            last_start: known,
            last_end: known,
            last_end_at: None,
            in_flight: 0,
            has_failed: false,
            maybe_alive: None,
            has_told_of_call: false,
            finished: 0,
            held: 0,
            deletions: 0,
            release: None,
            beating: None,
            is_beat_under_way: false,
            told_of_idle: None,
            has_told_of_lifetime: false,
            listeners: Vec::new(),
            last_listener: 0,
        }
    }

    fn view(&self, now: Instant) -> LifecycleView {
        let release = self.release.or_else(|| self.reckoned_release(now));
        let state = match () {
            () if release.is_some() => SessionState::Released,
            () if self.in_flight > 0 => SessionState::Active,
            () if self.last_end_at.is_some() => SessionState::Idle,
            () => SessionState::Created,
        };
        LifecycleView {
            state,
            idle_release_timeout: self.idle_timeout,
            idle_remaining: self.idle_timeout.map(|timeout| timeout.saturating_sub(self.idle_for(now))),
            lifetime_remaining: self.age(now).map(|age| MAXIMUM_LIFETIME.saturating_sub(age)),
            created_at: self.created.map(|(_, date)| date),
            last_activity_at: self.last_end_at,
            release,
        }
    }

    fn idle_for(&self, now: Instant) -> Duration {
        if self.in_flight > 0 { Duration::ZERO } else { now.saturating_duration_since(self.last_end) }
    }

    fn age(&self, now: Instant) -> Option<Duration> {
        self.created.map(|(at, _)| now.saturating_duration_since(at))
    }

    /// The activity that the next beat is counted from. While a call runs it is its start: the service holds the timer
    /// then, but a connection that broke unseen would look the same from here. After one that failed, only what did its
    /// work counts: calls that fail one upon the other must not put the beat off.
    fn basis(&self) -> Instant {
        if self.in_flight > 0 && !self.has_failed { self.last_start.max(self.last_end) } else { self.last_end }
    }

    fn idle_end(&self) -> Option<Instant> {
        if self.in_flight > 0 { None } else { self.last_end.checked_add(self.idle_timeout?) }
    }

    /// The end of its idle time, or until when it may have been alive nevertheless.
    fn last_sign(&self) -> Option<Instant> {
        self.idle_end().map(|end| self.maybe_alive.map_or(end, |at| at.max(end)))
    }

    fn lifetime_end(&self) -> Option<Instant> {
        self.created?.0.checked_add(MAXIMUM_LIFETIME)
    }

    /// Its time is over, and nothing was heard of it since.
    fn reckoned_release(&self, now: Instant) -> Option<Release> {
        let reason = match () {
            () if self.is_past(self.lifetime_end(), now) => ReleaseReason::LifetimeCap,
            () if self.is_past(self.last_sign(), now) => ReleaseReason::IdleTimeout,
            () => return None,
        };
        Some(Release { reason, confirmed: false })
    }

    /// Is it so long after `end` that a session would not answer any more?
    fn is_past(&self, end: Option<Instant>, now: Instant) -> bool {
        end.and_then(|end| end.checked_add(RELEASE_GRACE)).is_some_and(|end| now >= end)
    }

    fn is_long_over(&self, now: Instant) -> bool {
        let idle_timeout = self.idle_timeout.unwrap_or(MAXIMUM_LIFETIME);
        let ends = [self.known_since.checked_add(MAXIMUM_LIFETIME), self.last_end.checked_add(idle_timeout)];
        let is_long_past =
            |end: Option<Instant>| end.and_then(|end| end.checked_add(CERTAINTY)).is_some_and(|end| now >= end);
        self.in_flight == 0 && ends.into_iter().all(is_long_past)
    }

    fn reason_of_end(&self, now: Instant) -> ReleaseReason {
        let is_over = |end: Option<Instant>| end.is_some_and(|end| now + Duration::from_secs(1) >= end);
        match () {
            () if is_over(self.lifetime_end()) => ReleaseReason::LifetimeCap,
            () if is_over(self.idle_timeout.and_then(|timeout| self.last_end.checked_add(timeout))) => {
                ReleaseReason::IdleTimeout
            }
            () if self.deletions > 0 => ReleaseReason::Deleted,
            () => ReleaseReason::Unknown,
        }
    }

    fn notice_expiry(&mut self, now: Instant, events: &mut Vec<LifecycleEvent>) {
        if self.release.is_some() {
            return;
        }
        if let Some(release) = self.reckoned_release(now) {
            self.release = Some(release);
            self.stop_beating(StopReason::Released);
            events.push(LifecycleEvent::Released(release));
            return;
        }
        if let Some(end) = self.lifetime_end()
            && !self.has_told_of_lifetime
            && now + LIFETIME_NOTICE >= end
        {
            self.has_told_of_lifetime = true;
            let remaining = end.saturating_duration_since(now);
            events.push(LifecycleEvent::Expiring { what: Expiring::Lifetime, remaining });
        }
        if let (Some(end), Some(notice)) = (self.idle_end(), self.idle_notice())
            && self.told_of_idle != Some(self.last_end)
            && now >= notice
        {
            self.told_of_idle = Some(self.last_end);
            let remaining = end.saturating_duration_since(now);
            events.push(LifecycleEvent::Expiring { what: Expiring::Idle, remaining });
        }
    }

    fn idle_notice(&self) -> Option<Instant> {
        self.idle_end()?.checked_sub(self.idle_timeout?.mul_f64(IDLE_NOTICE))
    }

    /// Is a beat due? Then it is under way from now on.
    fn take_beat(&mut self, now: Instant, events: &mut Vec<LifecycleEvent>) -> Option<Instant> {
        let lifetime_end = self.lifetime_end();
        let is_due = self.next_beat().is_some_and(|due| now >= due);
        let left = self.left_to_beat(now);
        let beating = self.beating.as_mut()?;
        if let Some(reason) = beating.reason_to_stop(now, lifetime_end, is_due) {
            beating.stop(reason);
            if reason == StopReason::LoopStalled {
                events.push(LifecycleEvent::KeepAliveFailed(
                    beating.gave_up("the event loop has not run for too long", left),
                ));
            }
            return None;
        }
        if !is_due {
            return None;
        }
        self.is_beat_under_way = true;
        now.checked_add(left)
    }

    /// Other calls may have done its work while the beat waited, or the session may have ended.
    fn begin_beat(&mut self, now: Instant) -> Option<Duration> {
        self.is_beat_under_way = false;
        self.next_beat().filter(|due| now >= *due)?;
        self.is_beat_under_way = true;
        Some(beat::limit(self.left_to_beat(now)))
    }

    /// What is left of the time in which a beat has to be answered.
    fn left_to_beat(&self, now: Instant) -> Duration {
        self.idle_timeout.unwrap_or_default().saturating_sub(now.saturating_duration_since(self.basis()))
    }

    /// When the next beat is due, if one is wanted; none is while one is under way.
    fn next_beat(&self) -> Option<Instant> {
        let beating = self.beating.as_ref()?;
        let is_ending = self.release.is_some() || self.deletions > 0;
        if is_ending || self.is_beat_under_way || !beating.is_wanted(self.is_needed()) {
            return None;
        }
        beating.due(self.basis(), self.idle_timeout?)
    }

    fn next_due(&self) -> Option<Instant> {
        if self.release.is_some() {
            return None;
        }
        let idle_notice = self.idle_notice().filter(|_| self.told_of_idle != Some(self.last_end));
        let lifetime_notice = self.lifetime_end().filter(|_| !self.has_told_of_lifetime);
        [
            self.next_beat(),
            self.beating.as_ref().and_then(|beating| beating.last_moment(self.lifetime_end())),
            idle_notice,
            lifetime_notice.and_then(|end| end.checked_sub(LIFETIME_NOTICE)),
            self.last_sign().and_then(|end| end.checked_add(RELEASE_GRACE)),
            self.lifetime_end().and_then(|end| end.checked_add(RELEASE_GRACE)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn wants_news_of_calls(&self) -> bool {
        self.beating.as_ref().is_some_and(|beating| beating.is_running() && !beating.is_wanted(false))
    }

    fn stop_beating(&mut self, reason: StopReason) {
        if let Some(beating) = &mut self.beating {
            beating.stop(reason);
        }
    }

    /// Who is to be told now that a call is under way: everybody, once, unless the session is released.
    fn hearers_of_call(&mut self) -> Vec<Listener> {
        if self.in_flight == 0 || self.has_told_of_call || self.release.is_some() {
            return Vec::new();
        }
        self.has_told_of_call = true;
        self.hearers()
    }

    fn hearers(&self) -> Vec<Listener> {
        self.listeners.iter().map(|(_, listener)| listener.clone()).collect()
    }
}

/// Outside any lock: a listener may ask the session that it hears of.
fn tell(listeners: &[Listener], event: &LifecycleEvent) {
    for listener in listeners {
        listener(event);
    }
}

fn refused(kind: ErrorKind, text: &str) -> Error {
    Error::new(kind, text).with_operation("startKeepAlive")
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Life").field("view", &self.view()).finish_non_exhaustive()
    }
}

/// A life that does not keep itself alive, for the table by session id.
pub(crate) struct WeakLife(Weak<Shared>);

impl WeakLife {
    pub(crate) fn upgrade(&self) -> Option<Life> {
        self.0.upgrade().map(|shared| Life { shared })
    }

    pub(crate) fn is_held(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// A call that is under way.
#[derive(Debug)]
#[must_use]
pub struct InFlight {
    life: Life,
    has_finished: bool,
    /// May it hold the timer at the service, if that does not answer? Not of a session whose end was reckoned before.
    may_hold_timer: bool,
}

impl InFlight {
    /// The service did the work: the timer starts anew now.
    pub fn finished(mut self) {
        self.has_finished = true;
        self.life.touch();
    }

    /// The service never heard of it.
    fn unsent(mut self) {
        self.may_hold_timer = false;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let now = self.life.shared.clock.now();
        let mut state = self.life.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.has_failed |= !self.has_finished;
        if !self.has_finished && self.may_hold_timer {
            state.maybe_alive = Some(now);
        }
        let becomes_idle =
            state.in_flight == 0 && std::mem::take(&mut state.has_told_of_call) && state.release.is_none();
        let told = if becomes_idle { state.hearers() } else { Vec::new() };
        drop(state);
        tell(&told, &LifecycleEvent::Idle);
        // Sooner than the engine reckons, the next beat may be due after a call that failed, and the notice of the idle
        // time after any.
        if !self.has_finished || !told.is_empty() {
            self.life.changed();
        }
    }
}

/// A deletion that is under way.
#[derive(Debug)]
#[must_use]
pub(crate) struct Deletion {
    life: Life,
}

impl Deletion {
    /// The service has accepted it.
    pub(crate) fn done(self) {
        self.life.deleted();
    }
}

impl Drop for Deletion {
    fn drop(&mut self) {
        let mut state = self.life.lock();
        state.deletions = state.deletions.saturating_sub(1);
        drop(state);
        self.life.changed();
    }
}

/// A moment in the life of a session.
#[derive(Debug)]
pub struct Mark {
    life: Life,
    finished: u64,
    at: Instant,
    began: Instant,
}

impl Mark {
    /// Can a call that began here, and was answered just now that the session does not exist, not have run? A service
    /// refuses at once; a call that took long, saw the end of the longest life, or had others done beside it may have
    /// been under way when the session ended.
    pub fn is_untouched(&self) -> bool {
        let now = self.life.shared.clock.now();
        let state = self.life.lock();
        let saw_the_end = state.lifetime_end().is_some_and(|end| self.at < end && end <= now);
        state.finished == self.finished && !saw_the_end && self.began.elapsed() < REFUSAL_LIMIT
    }
}

/// Something that needs the session. Dropping it lets go.
#[derive(Debug)]
#[must_use]
pub struct Hold {
    life: Life,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.life.lock();
        state.held = state.held.saturating_sub(1);
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
