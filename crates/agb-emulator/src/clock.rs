//! The emulator's time: real time plus what was skipped.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

/// Counts from the start of the emulator, as the system's monotonic clock does, and can be moved forward.
///
/// Only the lifecycle of sessions follows it. Limits of real work (commands, sockets) stay on real time: skipping them
/// would not make the work any quicker.
#[derive(Debug)]
pub(crate) struct Clock {
    /// `None` for a clock that only goes when it is moved.
    started: Option<Instant>,
    started_wall: Timestamp,
    skipped: Mutex<Duration>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Some(Instant::now()), ..Self::manual() }
    }

    /// One that only goes when it is moved.
    pub(crate) fn manual() -> Self {
        Self { started: None, started_wall: Timestamp::now(), skipped: Mutex::new(Duration::ZERO) }
    }

    /// Time since the emulator's start.
    pub(crate) fn now(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |started| started.elapsed()).saturating_add(self.skipped())
    }

    /// Moves the clock forward.
    pub(crate) fn skip(&self, by: Duration) {
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        *skipped = skipped.saturating_add(by);
    }

    /// How long a sleeper has to wait in real time until the clock shows `at`.
    pub(crate) fn until(&self, at: Duration) -> Duration {
        at.saturating_sub(self.now())
    }

    /// The date and time that the clock shows at `at`, in UTC with milliseconds.
    pub(crate) fn wall(&self, at: Duration) -> String {
        let wall = self.started_wall.checked_add(at).unwrap_or(Timestamp::MAX);
        format!("{wall:.3}")
    }

    /// The same date in milliseconds since 1970.
    pub(crate) fn unix_ms(&self, at: Duration) -> i64 {
        self.started_wall.checked_add(at).unwrap_or(Timestamp::MAX).as_millisecond()
    }

    fn skipped(&self) -> Duration {
        *self.skipped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn shows_real_time_plus_what_was_skipped() {
        let clock = Clock::start();
        tokio::time::advance(Duration::from_secs(2)).await;
        clock.skip(Duration::from_secs(60));
        assert_eq!(clock.now(), Duration::from_secs(62));
        assert_eq!(clock.until(Duration::from_secs(70)), Duration::from_secs(8));
        assert_eq!(clock.until(Duration::from_secs(1)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_manual_clock_shows_only_what_was_skipped() {
        let clock = Clock::manual();
        tokio::time::advance(Duration::from_secs(2)).await;
        clock.skip(Duration::from_secs(60));
        assert_eq!(clock.now(), Duration::from_secs(60));
    }

    #[test]
    fn a_skip_beyond_all_dates_neither_panics_nor_goes_back() {
        let clock = Clock::start();
        clock.skip(Duration::MAX);
        clock.skip(Duration::MAX);
        assert!(clock.wall(clock.now()).starts_with("9999-12-30"), "{}", clock.wall(clock.now()));
    }

    #[test]
    fn dates_are_utc_with_milliseconds() {
        let clock = Clock::start();
        let wall = clock.wall(Duration::ZERO);
        assert_eq!(wall.len(), "2024-01-01T12:00:00.000Z".len(), "{wall}");
    }
}
