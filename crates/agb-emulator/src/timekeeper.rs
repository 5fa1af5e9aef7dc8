//! The sessions of an emulator as time alone has them: for simulations that live through a day in seconds.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Map;

use crate::{
    browser::Browsers,
    clock::Clock,
    sandbox::{Host, HostOptions, Isolation},
    state::{EndReason, FINISH_VISIBLE, MAXIMUM_LIFETIME, NewSession, SessionView, Sessions},
};

/// The shortest time, on its clock, between two looks for what is due.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The service without a wire, and without anything that would run in its sessions. The same state as behind an
/// [`Emulator`](crate::Emulator); but its owner alone moves its clock and makes what is due happen, by
/// [`advance`](Self::advance), so that a simulation may ask it often and nothing depends on how quick the machine is.
#[derive(Debug)]
pub struct Timekeeper {
    sessions: Arc<Sessions>,
    host: Arc<Host>,
    /// Until then nothing is due, so that there is nothing to look for.
    quiet_until: Mutex<Duration>,
}

impl Timekeeper {
    /// A service without sessions.
    ///
    /// # Errors
    ///
    /// As [`Emulator::start`](crate::Emulator::start).
    pub async fn start(seed: u64) -> io::Result<Self> {
        let options = HostOptions { isolation: Some(Isolation::Plain), ..HostOptions::default() };
        let host = Host::probe(options).await?;
        let browsers = Arc::new(Browsers::new(None));
        let sessions =
            Arc::new(Sessions::new(Clock::manual(), host.clone(), browsers, Arc::default(), Some(seed), None));
        Ok(Self { sessions, host, quiet_until: Mutex::default() })
    }

    /// Makes a session and gives its id; `None` once it was closed.
    pub fn create(&self, idle_timeout: Duration) -> Option<String> {
        let new = NewSession {
            image_id: "agb-code-space-1".to_owned(),
            idle_timeout,
            labels: Map::new(),
            has_link: false,
            mounts: Vec::new(),
        };
        self.look_in(idle_timeout.min(MAXIMUM_LIFETIME));
        self.sessions.create(new).ok().map(|session| session.id.clone())
    }

    /// A call that uses a session and is over at once. Is the session there?
    pub fn call(&self, id: &str) -> bool {
        self.sessions.use_session(id, "keepAlive").is_some()
    }

    /// Releases a session. Was it there?
    pub fn release(&self, id: &str) -> bool {
        self.look_in(FINISH_VISIBLE);
        self.sessions.release(id, EndReason::ApiCall).is_some()
    }

    /// Is the session alive?
    pub fn is_alive(&self, id: &str) -> bool {
        self.sessions.alive(id).is_some()
    }

    /// What is known of a session, until it is forgotten.
    pub fn session(&self, id: &str) -> Option<SessionView> {
        self.sessions.view(id)
    }

    /// The ids of the sessions that are alive.
    pub fn alive(&self) -> Vec<String> {
        self.sessions.page(&Map::new(), None, usize::MAX).ids
    }

    /// Moves the clock, and has everything done that is due then.
    pub async fn advance(&self, by: Duration) {
        self.sessions.clock.skip(by);
        if self.sessions.clock.now() < *self.quiet_until() {
            return;
        }
        self.sessions.fire_due();
        self.sessions.settled().await;
        // Calls only move later what is due. A service may be late, and a look takes time where there are many sessions.
        let next_due = self.sessions.next_due().unwrap_or(Duration::MAX);
        *self.quiet_until() = next_due.max(self.sessions.clock.now().saturating_add(SHORTEST_PAUSE));
    }

    /// Something may be due then that nobody knew of.
    fn look_in(&self, time: Duration) {
        let at = self.sessions.clock.now().saturating_add(time);
        let mut quiet_until = self.quiet_until();
        *quiet_until = at.min(*quiet_until);
    }

    fn quiet_until(&self) -> MutexGuard<'_, Duration> {
        self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases every session and removes what is left of them.
    pub async fn close(&self) {
        self.sessions.close().await;
        self.host.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_ends_at_its_maximum_lifetime_however_long_it_may_be_idle() {
        let keeper = Timekeeper::start(1).await.unwrap();
        // Nothing is due from here on.
        keeper.advance(Duration::from_secs(1)).await;
        let id = keeper.create(Duration::from_secs(7_200)).unwrap();
        keeper.advance(MAXIMUM_LIFETIME - Duration::from_millis(1)).await;
        assert!(keeper.is_alive(&id));
        keeper.advance(Duration::from_millis(1)).await;
        assert!(!keeper.is_alive(&id));
        keeper.close().await;
    }
}
