//! The time that session timers run on: monotonic, plus an offset that an emulator in this process may advance.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use url::Url;

use crate::transport::is_loopback;

/// Clocks by the origin of their service. Weak, so that a port that is used again starts with a fresh clock.
static OF_SERVICE: LazyLock<Mutex<BTreeMap<String, Weak<Hands>>>> = LazyLock::new(Mutex::default);

/// A monotonic clock with an offset. Clones share the offset.
///
/// Only what the service counts in its own time (idle time-out, maximum lifetime) is measured with it. Limits of real work,
/// such as request deadlines, stay on real time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    hands: Arc<Hands>,
}

#[derive(Debug, Default)]
struct Hands {
    /// Nanoseconds that this clock is ahead of its base.
    offset_ns: AtomicU64,
    /// When it was made, for one that goes only when it is advanced; `None`: it goes as the machine's.
    manual_since: Option<Moment>,
}

impl Clock {
    /// A clock of its own, without offset.
    pub fn new() -> Self {
        Self::default()
    }

    /// The clock that everything in this process shares that talks to, or is, the service at `base_url`: whatever has
    /// the same [`origin`].
    pub fn of_service(base_url: &str) -> Self {
        Self::of_service_or(base_url, Self::new)
    }

    fn of_service_or(base_url: &str, make: impl FnOnce() -> Self) -> Self {
        let origin = origin(base_url);
        let mut clocks = OF_SERVICE.lock().unwrap_or_else(PoisonError::into_inner);
        clocks.retain(|_, hands| hands.strong_count() > 0);
        if let Some(hands) = clocks.get(&origin).and_then(Weak::upgrade) {
            return Self { hands };
        }
        let clock = make();
        clocks.insert(origin, Arc::downgrade(&clock.hands));
        clock
    }

    /// The present time of this clock. Never goes back.
    pub fn now(&self) -> Instant {
        let now = self.hands.manual_since.map_or_else(Instant::now, |since| since.at);
        now.checked_add(self.offset()).unwrap_or(now)
    }

    /// The present moment, as this clock and as its dates have it.
    pub(crate) fn moment(&self) -> Moment {
        Moment { at: self.now(), date: self.wall() }
    }

    /// Moves this clock and all its clones forward.
    pub fn advance(&self, by: Duration) {
        let by_ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let add = |offset: u64| Some(offset.saturating_add(by_ns).min(MAX_OFFSET_NS));
        // The closure always gives a value, so the update can't fail.
        let _ = self.hands.offset_ns.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        super::keep_alive::clock_moved();
    }

    /// The date and time that this clock shows.
    pub(crate) fn wall(&self) -> SystemTime {
        let now = self.hands.manual_since.map_or_else(SystemTime::now, |since| since.date);
        now.checked_add(self.offset()).unwrap_or(now)
    }

    /// The same for all clones, and for nothing else.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.hands).addr()
    }

    fn offset(&self) -> Duration {
        Duration::from_nanos(self.hands.offset_ns.load(Ordering::Acquire))
    }
}

/// For tests, which a machine that stands still for a second must not decide.
#[cfg(test)]
impl Clock {
    /// One that goes only when it is advanced.
    pub(crate) fn manual() -> Self {
        let manual_since = Some(Self::new().moment());
        Self { hands: Arc::new(Hands { manual_since, ..Hands::default() }) }
    }

    /// The same, for everything in this process that talks to the service at `base_url`. Asked for before anything else
    /// is.
    pub(crate) fn manual_of_service(base_url: &str) -> Self {
        let clock = Self::of_service_or(base_url, Self::manual);
        assert!(clock.hands.manual_since.is_some(), "{base_url} has another clock already");
        clock
    }
}

/// A moment of some clock.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub(crate) at: Instant,
    pub(crate) date: SystemTime,
}

/// What two URLs of one service have in common: scheme, host and port, where all names of this machine's loopback are one
/// host. A text that is no URL is its own origin.
pub(super) fn origin(base_url: &str) -> String {
    let Ok(mut url) = Url::parse(base_url) else { return base_url.to_owned() };
    if is_loopback(&url) {
        // Any URL with a host takes another one.
        let _ = url.set_host(Some("localhost"));
    }
    url.origin().ascii_serialization()
}

/// A hundred years: far beyond any test, and far from the end of what an `Instant` can hold.
const MAX_OFFSET_NS: u64 = 100 * 365 * 24 * 3_600 * 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_advanced_together() {
        let clock = Clock::new();
        let clone = clock.clone();
        let before = clone.now();
        clock.advance(Duration::from_secs(300));
        assert!(clone.now() - before >= Duration::from_secs(300));
    }

    #[test]
    fn a_manual_clock_stands_still_until_it_is_advanced() {
        let clock = Clock::manual_of_service("http://127.0.0.1:46");
        let before = clock.moment();
        while Instant::now() <= before.at || SystemTime::now() <= before.date {
            std::thread::yield_now();
        }
        let same = Clock::of_service("http://127.0.0.1:46");
        assert_eq!((same.now(), same.wall()), (before.at, before.date));
        clock.advance(Duration::from_secs(60));
        assert_eq!(same.now() - before.at, Duration::from_secs(60));
        assert_eq!(same.wall().duration_since(before.date).unwrap(), Duration::from_secs(60));
    }

    #[test]
    fn one_service_has_one_clock_whatever_the_path() {
        let client = Clock::of_service("http://127.0.0.1:41/pre/");
        let emulator = Clock::of_service("http://127.0.0.1:41");
        let other = Clock::of_service("http://127.0.0.1:42");
        let before = client.now();
        emulator.advance(Duration::from_secs(60));
        assert!(client.now() - before >= Duration::from_secs(60));
        assert!(other.now() - before < Duration::from_secs(60));
    }

    #[test]
    fn all_names_of_the_loopback_are_one_service() {
        let emulator = Clock::of_service("http://127.0.0.1:44");
        let names = ["localhost", "LocalHost", "localhost.", "127.0.0.9", "[::1]", "[::ffff:127.0.0.1]"];
        for name in names {
            assert_eq!(Clock::of_service(&format!("http://{name}:44/x")).id(), emulator.id(), "{name}");
        }
        for other in
            ["http://localhost:45", "https://localhost:44", "http://192.168.0.1:44", "http://localhost.example:44"]
        {
            assert_ne!(Clock::of_service(other).id(), emulator.id(), "{other}");
        }
    }

    #[test]
    fn a_clock_that_nobody_holds_is_forgotten() {
        Clock::of_service("http://127.0.0.1:43").advance(Duration::from_secs(3600));
        let fresh = Clock::of_service("http://127.0.0.1:43");
        assert!(fresh.now() - Instant::now() < Duration::from_secs(60));
    }

    #[test]
    fn an_endless_jump_neither_panics_nor_goes_back() {
        let clock = Clock::new();
        let before = clock.now();
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert!(clock.now() > before);
    }
}
