//! The beats of one client: how many are under way at once, and which goes first.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::lifecycle::Clock;

/// Beats under way at once: what ten thousand sessions with a time-out of a minute need where an answer takes 400 ms.
/// More would only take descriptors and make each of them slower.
pub(super) const BEATS_AT_ONCE: usize = 128;

pub(super) struct Lane {
    clock: Clock,
    under_way: usize,
    /// By when they have to be answered, and who they are.
    waiting: BTreeSet<(Instant, u64)>,
}

impl Lane {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, under_way: 0, waiting: BTreeSet::new() }
    }

    pub(super) fn wait(&mut self, end: Instant, number: u64) {
        self.waiting.insert((end, number));
    }

    /// Who begins now, if there is room: whoever has the least time left, and last those for whom it is over.
    pub(super) fn next(&mut self) -> Option<u64> {
        if self.under_way >= BEATS_AT_ONCE {
            return None;
        }
        let now = self.clock.now();
        let in_time = self.waiting.range((now, 0)..).next();
        let first = in_time.or_else(|| self.waiting.first()).copied()?;
        self.waiting.remove(&first);
        self.under_way += 1;
        Some(first.1)
    }

    /// One that began makes room.
    pub(super) fn leave(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way == 0 && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_least_time_left_goes_first_and_what_is_over_last() {
        let clock = Clock::manual();
        let mut lane = Lane::new(clock.clone());
        let now = clock.now();
        lane.wait(now, 1);
        lane.wait(now + Duration::from_secs(300), 2);
        lane.wait(now + Duration::from_secs(200), 3);
        clock.advance(Duration::from_secs(1));
        assert_eq!([lane.next(), lane.next(), lane.next(), lane.next()], [Some(3), Some(2), Some(1), None]);
    }

    #[test]
    fn a_lane_is_full_until_one_leaves() {
        let clock = Clock::manual();
        let mut lane = Lane::new(clock.clone());
        let end = clock.now() + Duration::from_secs(60);
        for number in 0..=BEATS_AT_ONCE as u64 {
            lane.wait(end, number);
        }
        assert_eq!(std::iter::from_fn(|| lane.next()).count(), BEATS_AT_ONCE);
        lane.leave();
        assert_eq!((lane.next(), lane.next()), (Some(BEATS_AT_ONCE as u64), None));
        assert!(!lane.is_empty());
    }
}
