//! When a session was last used, as far as the service's idle timer is concerned.
//!
//! The timer starts anew at the end of: tool calls, `keepAlive`, `getSession`, labels, session info and links. It does
//! not for: the status (`getSessionInfo`), the session list, the tool list of an image (docs/protocol.md, section
//! "Idle timer").

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Clock;

/// The activity clock of one session. Clones share it.
#[derive(Debug, Clone)]
pub struct Activity {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    created: Option<Instant>,
    last_end: Instant,
    in_flight: usize,
}

impl Activity {
    /// For a session that was created now.
    pub fn of_new_session(clock: Clock) -> Self {
        let now = clock.now();
        Self::start(clock, Some(now), now)
    }

    /// For a session that somebody made at an unknown time; it counts as used now.
    pub fn of_found_session(clock: Clock) -> Self {
        let now = clock.now();
        Self::start(clock, None, now)
    }

    fn start(clock: Clock, created: Option<Instant>, last_end: Instant) -> Self {
        Self { clock, state: Arc::new(Mutex::new(State { created, last_end, in_flight: 0 })) }
    }

    /// Marks the start of a call that holds the timer. Dropping the mark ends the call; only
    /// [`finished`](InFlight::finished) starts the timer anew.
    pub fn begin(&self) -> InFlight {
        self.lock().in_flight += 1;
        InFlight { activity: self.clone() }
    }

    /// Marks the end of a call that needs no start, because the session was not known before it.
    pub fn touch(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.last_end = state.last_end.max(now);
    }

    /// Clock time since the end of the last call that started the idle timer anew; zero while such a call runs.
    pub fn idle_for(&self) -> Duration {
        let now = self.clock.now();
        let state = self.lock();
        if state.in_flight > 0 { Duration::ZERO } else { now.saturating_duration_since(state.last_end) }
    }

    /// Clock time since creation; `None` if this process did not create the session.
    pub fn age(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.lock().created.map(|created| now.saturating_duration_since(created))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does this activity share its state with `other`?
    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    pub(crate) fn downgrade(&self) -> WeakActivity {
        WeakActivity { clock: self.clock.clone(), state: Arc::downgrade(&self.state) }
    }
}

/// An activity that does not keep itself alive, for the table by session id.
#[derive(Debug)]
pub(crate) struct WeakActivity {
    clock: Clock,
    state: std::sync::Weak<Mutex<State>>,
}

impl WeakActivity {
    pub(crate) fn upgrade(&self) -> Option<Activity> {
        self.state.upgrade().map(|state| Activity { clock: self.clock.clone(), state })
    }
}

/// A call that is under way.
#[derive(Debug)]
#[must_use]
pub struct InFlight {
    activity: Activity,
}

impl InFlight {
    /// The service did the work: the timer starts anew now.
    pub fn finished(self) {
        self.activity.touch();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.activity.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_new_session_is_idle_from_its_creation() {
        let clock = Clock::new();
        let activity = Activity::of_new_session(clock.clone());
        clock.advance(MINUTE);
        assert!(activity.idle_for() >= MINUTE);
        assert!(activity.age().unwrap() >= MINUTE);
    }

    #[test]
    fn the_age_of_a_found_session_is_unknown() {
        assert_eq!(Activity::of_found_session(Clock::new()).age(), None);
    }

    #[test]
    fn a_call_holds_the_timer_and_its_end_starts_it_anew() {
        let clock = Clock::new();
        let activity = Activity::of_new_session(clock.clone());
        let call = activity.begin();
        clock.advance(MINUTE);
        assert_eq!(activity.idle_for(), Duration::ZERO);
        call.finished();
        assert!(activity.idle_for() < MINUTE);
        assert!(activity.age().unwrap() >= MINUTE);
    }

    #[test]
    fn a_call_that_failed_or_was_dropped_leaves_the_timer_where_it_was() {
        let clock = Clock::new();
        let activity = Activity::of_new_session(clock.clone());
        let call = activity.begin();
        clock.advance(MINUTE);
        drop(call);
        assert!(activity.idle_for() >= MINUTE);
    }
}
