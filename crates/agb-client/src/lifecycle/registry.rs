//! The sessions that are to be released when the process, or the part of it that made them, ends.
//!
//! One table for the process, behind one lock that is never held across a wait; it sends nothing
//! ([`release`](super::release) does). It keeps a session until the service has said that it is gone, the program has
//! detached it, or it can't be alive any more: nobody has to hold the session for that, as the forgotten ones are those
//! that matter.

use std::collections::{BTreeMap, btree_map};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fmt, mem};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

use crate::agb::Agb;
use crate::lifecycle::Life;
use crate::lifecycle::clock::origin;

static OF_PROCESS: LazyLock<Registry> = LazyLock::new(Registry::default);

/// How the sessions of a client are released when their time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitPolicy {
    /// How long releasing may take in all.
    pub limit: Duration,
    /// The part of the process that makes the sessions: a number that the caller chose. They are released when it ends,
    /// at the latest with the process.
    pub owner: u64,
}

/// A session of the registry, as others may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// Its id.
    pub session_id: String,
    /// The image that was asked for; empty for sessions that were found.
    pub image_id: String,
    /// When it was created; `None` for sessions that were found.
    pub created_at: Option<SystemTime>,
    /// Was it taken over by [`Session::adopt`](crate::Session::adopt), and not created here?
    pub adopted: bool,
}

/// A service that ran in this process has ended, and its sessions with it.
pub fn service_ended(url: &str) {
    Registry::of_process().remove_service(url);
}

/// Which sessions are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All: the process ends.
    Everything,
    /// Those that this part of the process owns.
    Owner(u64),
}

impl Scope {
    fn covers(self, owner: u64) -> bool {
        match self {
            Self::Everything => true,
            Self::Owner(only) => only == owner,
        }
    }
}

/// What names a session: ids are unique within one service only, and to another account the service says of each that it
/// does not exist.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    service: String,
    api_key: String,
    pub(super) session_id: String,
}

impl fmt::Debug for Key {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.session_id)
    }
}

/// A session that somebody is about to release.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) key: Key,
    pub(super) agb: Agb,
    /// Is it released already, as far as its times tell?
    pub(super) is_over: bool,
}

/// The table.
#[derive(Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
    changed: Notify,
    /// Has the end of the process begun?
    is_ending: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    /// Counts the registrations.
    next: u64,
    live: BTreeMap<Key, Entry>,
    /// The sessions that are being created, whose ids nobody knows yet.
    creating: Vec<Nameless>,
}

/// A session that is being created.
struct Nameless {
    number: u64,
    service: String,
    policy: ExitPolicy,
}

struct Entry {
    number: u64,
    agb: Agb,
    policy: ExitPolicy,
    life: Life,
    about: About,
    /// Is somebody releasing it?
    claimed: bool,
}

impl Entry {
    /// Makes the client of `new` responsible, which has a life of its own for the session; gives what that replaces.
    fn pass_to(&mut self, new: Entry) -> (Agb, Life) {
        self.policy = new.policy;
        (mem::replace(&mut self.agb, new.agb), mem::replace(&mut self.life, new.life))
    }
}

/// What is known of a session since it came here.
struct About {
    image_id: String,
    created_at: Option<SystemTime>,
    adopted: bool,
}

impl State {
    fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Takes those off that are meant.
    fn take(&mut self, is_meant: impl Fn(&Key, &Entry) -> bool) -> Vec<Entry> {
        let meant = self.live.iter().filter(|(key, entry)| is_meant(key, entry));
        let keys: Vec<_> = meant.map(|(key, _)| key.clone()).collect();
        keys.iter().filter_map(|key| self.live.remove(key)).collect()
    }
}

/// Entries are dropped outside the lock: what else goes with a life or a client is unknown here.
impl Registry {
    /// The registry of this process.
    pub(crate) fn of_process() -> &'static Self {
        &OF_PROCESS
    }

    /// Counts a session that is being created with `agb`, until the mark is dropped. `None` if that client's sessions
    /// are not to be released.
    pub(crate) fn creating(&self, agb: &Agb) -> Option<Creating<'_>> {
        let (service, policy) = (agb.base_url().to_owned(), agb.exit_policy()?);
        let mut state = self.lock();
        let number = state.next_number();
        state.creating.push(Nameless { number, service, policy });
        Some(Creating { registry: self, number })
    }

    /// Adds a session that was created now.
    pub(crate) fn add_created(&self, agb: &Agb, session_id: &str, image_id: &str, life: &Life) {
        let about = About { image_id: image_id.to_owned(), created_at: life.view().created_at, adopted: false };
        self.add(agb, session_id, life, about);
    }

    /// Adds a session that was found, or makes `agb` responsible for one that is there already. `false` if that client's
    /// sessions are not to be released.
    pub(crate) fn adopt(&self, agb: &Agb, session_id: &str, image_id: &str, life: &Life) -> bool {
        let about = About { image_id: image_id.to_owned(), created_at: None, adopted: true };
        self.add(agb, session_id, life, about)
    }

    fn add(&self, agb: &Agb, session_id: &str, life: &Life, about: About) -> bool {
        let Some(policy) = agb.exit_policy() else { return false };
        // Now and then is enough.
        if self.lock().live.len().is_power_of_two() {
            self.drop_dead();
        }
        let mut state = self.lock();
        let number = state.next_number();
        let new = Entry { number, agb: agb.clone(), policy, life: life.clone(), about, claimed: false };
        let replaced = match state.live.entry(key(agb, session_id)) {
            btree_map::Entry::Occupied(mut known) => Some(known.get_mut().pass_to(new)),
            btree_map::Entry::Vacant(free) => {
                free.insert(new);
                None
            }
        };
        // Whoever learned of its end before has not found it here.
        let gone = if life.is_gone() { state.live.remove(&key(agb, session_id)) } else { None };
        drop(state);
        drop((replaced, gone));
        self.changed.notify_waiters();
        true
    }

    /// Takes those off that can't be alive any more.
    fn drop_dead(&self) {
        let dead = self.lock().take(|_, entry| !entry.claimed && entry.life.is_long_over());
        drop(dead);
    }

    /// Takes a session off whenever what this gives is called. It does not keep the client alive.
    pub(crate) fn removal(&'static self, agb: &Agb, session_id: &str) -> impl Fn() + Send + Sync + use<> {
        let key = key(agb, session_id);
        move || self.settle(&key)
    }

    /// Takes a session off: it is gone, or was detached. Was it there?
    pub(crate) fn remove(&self, agb: &Agb, session_id: &str) -> bool {
        let removed = self.lock().live.remove(&key(agb, session_id));
        if removed.is_some() {
            self.changed.notify_waiters();
        }
        removed.is_some()
    }

    /// Takes all sessions of a service off, by whatever name of it their clients know it.
    fn remove_service(&self, url: &str) {
        let ended = origin(url);
        let mut state = self.lock();
        let sessions = state.take(|key, _| origin(&key.service) == ended);
        state.creating.retain(|session| origin(&session.service) != ended);
        drop(state);
        drop(sessions);
        self.changed.notify_waiters();
    }

    /// The sessions of one client, oldest first.
    pub(crate) fn sessions_of(&self, agb: &Agb) -> Vec<LiveSession> {
        self.drop_dead();
        let state = self.lock();
        let mut own: Vec<_> = state.live.iter().filter(|(_, entry)| entry.agb.is_same(agb)).collect();
        own.sort_by_key(|(_, entry)| entry.number);
        own.into_iter()
            .map(|(key, entry)| LiveSession {
                session_id: key.session_id.clone(),
                image_id: entry.about.image_id.clone(),
                created_at: entry.about.created_at,
                adopted: entry.about.adopted,
            })
            .collect()
    }

    /// What is left over: ids, oldest first, and how many creations have not come to an end.
    pub(super) fn left(&self) -> (Vec<String>, usize) {
        let state = self.lock();
        let mut left: Vec<_> = state.live.iter().collect();
        left.sort_by_key(|(_, entry)| entry.number);
        (left.into_iter().map(|(key, _)| key.session_id.clone()).collect(), state.creating.len())
    }

    /// Is there nothing to release?
    pub(super) fn is_empty(&self) -> bool {
        self.drop_dead();
        let state = self.lock();
        state.live.is_empty() && state.creating.is_empty()
    }

    /// The longest limit within `scope`.
    pub(super) fn limit(&self, scope: Scope) -> Duration {
        let state = self.lock();
        let creating = state.creating.iter().map(|session| session.policy);
        let policies = state.live.values().map(|entry| entry.policy).chain(creating);
        policies.filter(|policy| scope.covers(policy.owner)).map(|policy| policy.limit).max().unwrap_or_default()
    }

    /// Claims what nobody else has, oldest first. Whoever claims [settles](Self::settle), or [lets go](Self::let_go). Nobody
    /// needs these sessions any more: those that can't be released have to end with their idle time-out.
    pub(super) fn claim(&self, scope: Scope) -> Vec<Claim> {
        let mut lives = Vec::new();
        let mut state = self.lock();
        let free = state.live.iter_mut().filter(|(_, entry)| !entry.claimed && scope.covers(entry.policy.owner));
        let mut claims: Vec<_> = free
            .map(|(key, entry)| {
                entry.claimed = true;
                lives.push(entry.life.clone());
                let is_over = entry.life.view().release.is_some();
                (entry.number, Claim { key: key.clone(), agb: entry.agb.clone(), is_over })
            })
            .collect();
        drop(state);
        for life in lives {
            life.stop_beating();
        }
        claims.sort_by_key(|(number, _)| *number);
        claims.into_iter().map(|(_, claim)| claim).collect()
    }

    /// Takes a claimed session off: it was released.
    pub(super) fn settle(&self, key: &Key) {
        let settled = self.lock().live.remove(key);
        drop(settled);
        self.changed.notify_waiters();
    }

    /// Waits until a session is not there any more.
    pub(super) async fn gone(&self, key: &Key) {
        loop {
            // Before the look, so that no change after it is missed.
            let changed = self.changed();
            if !self.lock().live.contains_key(key) {
                return;
            }
            changed.await;
        }
    }

    /// Lets others try what could not be released.
    pub(super) fn let_go<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) {
        let mut state = self.lock();
        for key in keys {
            if let Some(entry) = state.live.get_mut(key) {
                entry.claimed = false;
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Is something in `scope` being created, or being released by more than the `own` claims?
    pub(super) fn is_busy(&self, scope: Scope, own: usize) -> bool {
        let state = self.lock();
        let claimed = state.live.values().filter(|entry| entry.claimed && scope.covers(entry.policy.owner)).count();
        claimed > own || state.creating.iter().any(|session| scope.covers(session.policy.owner))
    }

    /// The end of the process begins: who looks for sessions now and then has to hurry.
    pub(crate) fn begin_end(&self) {
        self.is_ending.send_replace(true);
    }

    /// Resolves at the next change after this call.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Registry").field("live", &state.live.keys()).field("creating", &state.creating.len()).finish()
    }
}

fn key(agb: &Agb, session_id: &str) -> Key {
    let (service, api_key) = (agb.base_url().to_owned(), agb.api_key().to_owned());
    Key { service, api_key, session_id: session_id.to_owned() }
}

/// A session that is being created.
#[derive(Debug)]
#[must_use]
pub(crate) struct Creating<'a> {
    registry: &'a Registry,
    number: u64,
}

impl Creating<'_> {
    /// Resolves when the end of the process begins.
    pub(crate) async fn end_begun(&self) {
        // Fails only where the sender is gone, which the registry holds.
        let _ = self.registry.is_ending.subscribe().wait_for(|is_ending| *is_ending).await;
    }
}

impl Drop for Creating<'_> {
    fn drop(&mut self) {
        self.registry.lock().creating.retain(|session| session.number != self.number);
        self.registry.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::owned_by;

    const MINUTE: Duration = Duration::from_secs(60);

    fn created(registry: &Registry, agb: &Agb, id: &str) -> Life {
        let life = agb.life_of_new(id, Some(MINUTE), agb.clock().moment());
        registry.add_created(agb, id, "image", &life);
        life
    }

    fn adopt(registry: &Registry, agb: &Agb, id: &str) -> bool {
        registry.adopt(agb, id, "", &agb.life_of_found(id))
    }

    fn ids(claims: &[Claim]) -> Vec<&str> {
        claims.iter().map(|claim| claim.key.session_id.as_str()).collect()
    }

    #[test]
    fn only_sessions_of_clients_with_a_policy_are_kept() {
        let registry = Registry::default();
        let without = crate::testing::agb("http://service.test", &[]);
        created(&registry, &without, "s-1");
        assert!(!adopt(&registry, &without, "s-2"));
        assert!(registry.creating(&without).is_none());
        assert!(registry.is_empty());
    }

    #[test]
    fn a_client_sees_its_own_sessions_oldest_first() {
        let registry = Registry::default();
        let (agb, other) = (owned_by("http://service.test", 1), owned_by("http://service.test", 1));
        created(&registry, &agb, "s-2");
        created(&registry, &other, "s-3");
        assert!(adopt(&registry, &agb, "s-1"));

        let [created, adopted] = &registry.sessions_of(&agb)[..] else { panic!("{registry:?}") };
        assert_eq!((created.session_id.as_str(), created.image_id.as_str(), created.adopted), ("s-2", "image", false));
        assert!(created.created_at.is_some());
        let expected =
            LiveSession { session_id: "s-1".into(), image_id: String::new(), created_at: None, adopted: true };
        assert_eq!(*adopted, expected);
    }

    #[test]
    fn a_session_is_taken_off_by_whoever_learns_of_its_end() {
        let registry = Registry::default();
        let agb = owned_by("http://service.test", 1);
        created(&registry, &agb, "s-1");
        assert!(!registry.remove(&owned_by("http://other.test", 1), "s-1"));
        let mut stranger = crate::testing::options("http://service.test");
        stranger.api_key = Some("ako-OTHER".to_owned());
        assert!(!registry.remove(&Agb::new(stranger).unwrap(), "s-1"));
        assert!(registry.remove(&crate::testing::agb("http://service.test", &[]), "s-1"));
        assert!(!registry.remove(&agb, "s-1"));
        assert!(registry.is_empty());
    }

    #[test]
    fn sessions_end_with_their_service() {
        let registry = Registry::default();
        created(&registry, &owned_by("http://service.test", 1), "s-1");
        created(&registry, &owned_by("http://other.test", 1), "s-2");
        let _creating = registry.creating(&owned_by("http://service.test", 1));
        registry.remove_service("http://service.test");
        assert_eq!(registry.left(), (vec!["s-2".to_owned()], 0));
    }

    #[test]
    fn sessions_end_with_their_service_by_whatever_name_it_is_known() {
        let registry = Registry::default();
        created(&registry, &owned_by("http://localhost:41/", 1), "s-1");
        created(&registry, &owned_by("http://localhost:42", 1), "s-2");
        let _creating = registry.creating(&owned_by("http://[::1]:41", 1));
        registry.remove_service("http://127.0.0.1:41");
        assert_eq!(registry.left(), (vec!["s-2".to_owned()], 0));
    }

    #[test]
    fn a_creation_at_a_service_that_ended_is_not_one_at_the_next_of_its_name() {
        let registry = Registry::default();
        let agb = owned_by("http://service.test", 1);
        let old = registry.creating(&agb);
        registry.remove_service("http://service.test");
        let new = registry.creating(&agb);
        drop(old);
        assert_eq!(registry.left().1, 1);
        drop(new);
        assert!(registry.is_empty());
    }

    #[test]
    fn whoever_adopts_a_session_owns_it_from_then_on() {
        let registry = Registry::default();
        created(&registry, &owned_by("http://service.test", 1), "s-1");
        let heir = owned_by("http://service.test", 2);
        assert!(adopt(&registry, &heir, "s-1"));
        assert!(registry.claim(Scope::Owner(1)).is_empty());
        let [session] = &registry.sessions_of(&heir)[..] else { panic!("{registry:?}") };
        assert_eq!((session.image_id.as_str(), session.adopted), ("image", false));
        assert_eq!(ids(&registry.claim(Scope::Owner(2))), ["s-1"]);
    }

    #[test]
    fn whoever_adopts_a_session_says_how_long_it_may_live() {
        let registry = Registry::default();
        let (agb, heir) = (owned_by("http://heir.test", 1), owned_by("http://heir.test", 2));
        created(&registry, &agb, "s-1");
        agb.clock().advance(40 * MINUTE);
        let life = heir.life_of_found("s-1");
        assert!(registry.adopt(&heir, "s-1", "", &life));
        assert_eq!(registry.sessions_of(&heir).len(), 1);
    }

    #[test]
    fn a_session_is_claimed_once_until_it_is_let_go() {
        let registry = Registry::default();
        let agb = owned_by("http://service.test", 1);
        for id in ["s-2", "s-1", "s-3"] {
            created(&registry, &agb, id);
        }
        created(&registry, &owned_by("http://service.test", 2), "s-4");

        let first = registry.claim(Scope::Owner(1));
        assert_eq!(ids(&first), ["s-2", "s-1", "s-3"]);
        assert_eq!(ids(&registry.claim(Scope::Everything)), ["s-4"]);
        assert!(registry.is_busy(Scope::Everything, 1) && !registry.is_busy(Scope::Owner(2), 1));

        registry.settle(&first[0].key);
        registry.let_go(first.iter().map(|claim| &claim.key));
        assert_eq!(ids(&registry.claim(Scope::Everything)), ["s-1", "s-3"]);
    }

    #[test]
    fn a_creation_counts_until_it_is_over() {
        let registry = Registry::default();
        let creating = registry.creating(&owned_by("http://service.test", 1));
        assert!(registry.is_busy(Scope::Everything, 0) && !registry.is_busy(Scope::Owner(2), 0));
        assert_eq!(registry.limit(Scope::Owner(1)), crate::testing::EXIT_LIMIT);
        drop(creating);
        assert!(!registry.is_busy(Scope::Everything, 0) && registry.is_empty());
    }

    #[test]
    fn a_session_that_can_not_be_alive_any_more_is_dropped_and_one_that_still_answers_is_not() {
        let registry = Registry::default();
        let agb = owned_by("http://dead.test", 1);
        let lives = ["s-1", "s-2"].map(|id| created(&registry, &agb, id));
        assert!(adopt(&registry, &agb, "s-3"));
        agb.clock().advance(2 * MINUTE);
        let claims = registry.claim(Scope::Everything);
        assert_eq!(claims.iter().map(|claim| claim.is_over).collect::<Vec<_>>(), [true, true, false]);
        registry.let_go(claims.iter().map(|claim| &claim.key));

        agb.clock().advance(28 * MINUTE);
        lives[1].begin().finished();
        assert_eq!(registry.sessions_of(&agb).len(), 3);
        agb.clock().advance(MINUTE);
        let ids: Vec<_> = registry.sessions_of(&agb).into_iter().map(|session| session.session_id).collect();
        assert_eq!(ids, ["s-2"]);
        agb.clock().advance(MINUTE);
        assert!(registry.is_empty(), "{registry:?}");
    }
}
