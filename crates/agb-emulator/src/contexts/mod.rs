//! Contexts: storage that outlives sessions.
//!
//! ```text
//! Contexts ─ by id; names are unique within a region          one per emulator, one lock
//!  └ Objects ─ by full path                                   one per context
//!     └ Blob ─ a file with the bytes of one or many objects
//! ```
//!
//! A session mounts contexts ([`mount`]) and moves files between them and itself ([`sync`]); what it was given and has
//! not changed ([`held`]) it does not store. An [`archive`] is made of what was in it and of what was changed.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{clock::Clock, ids::Ids};

mod archive;
pub(crate) mod blob;
mod held;
pub(crate) mod mount;
pub(crate) mod objects;
pub(crate) mod presign;
pub(crate) mod recycle;
pub(crate) mod sync;

use self::{blob::Blobs, objects::Objects, presign::Signer, recycle::Rule};

/// Where a context is looked for when the client names no region (docs/protocol.md, section Contexts).
pub(crate) const DEFAULT_REGION: &str = "cn-hangzhou";
/// How long the state `clearing` can be seen, by the emulator's clock.
const CLEARING: Duration = Duration::from_millis(300);

/// What an answer tells of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContextView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) created: Duration,
    pub(crate) last_used: Duration,
}

/// One page of the list of contexts.
#[derive(Debug)]
pub(crate) struct ContextPage {
    pub(crate) contexts: Vec<ContextView>,
    /// Where the next page begins; `None` on the last.
    pub(crate) next: Option<u64>,
    /// Over all pages.
    pub(crate) count: usize,
}

/// Why a context can't get a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RenameFault {
    Unknown,
    NameTaken,
}

#[derive(Debug)]
struct Record {
    /// Counts contexts in the order of their creation.
    number: u64,
    id: String,
    name: String,
    region: String,
    /// The session whose file transfers it serves; such a context is in no list.
    transfer_of: Option<String>,
    created: Duration,
    last_used: Duration,
    clearing_until: Option<Duration>,
    recycle: Vec<Rule>,
    objects: Objects,
}

impl Record {
    fn view(&self, now: Duration) -> ContextView {
        let is_clearing = self.clearing_until.is_some_and(|until| now < until);
        ContextView {
            id: self.id.clone(),
            name: self.name.clone(),
            state: if is_clearing { "clearing" } else { "available" },
            created: self.created,
            last_used: self.last_used,
        }
    }
}

/// All contexts of an emulator. They end with it.
#[derive(Debug)]
pub(crate) struct Contexts {
    pub(crate) clock: Arc<Clock>,
    pub(crate) blobs: Blobs,
    pub(crate) signer: Signer,
    ids: Ids,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last_number: u64,
    records: HashMap<String, Record>,
    /// With plain isolation: the places where contexts are mounted on this machine, and by which session.
    places: Vec<(String, String)>,
}

impl Contexts {
    pub(crate) fn new(clock: Arc<Clock>, seed: Option<u64>, directory: PathBuf) -> Self {
        Self {
            clock,
            blobs: Blobs::new(directory),
            signer: Signer::new(),
            ids: Ids::new(seed, 2),
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn object_id(&self) -> String {
        self.ids.letters("file-", 20)
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<ContextView> {
        self.lock().records.get(id).map(|record| record.view(self.clock.now()))
    }

    pub(crate) fn by_name(&self, name: &str, region: &str) -> Option<ContextView> {
        let inner = self.lock();
        inner.named(name, region).map(|record| record.view(self.clock.now()))
    }

    /// The context of that name; made if there is none.
    pub(crate) fn find_or_create(&self, name: &str, region: &str) -> ContextView {
        let mut inner = self.lock();
        let now = self.clock.now();
        if let Some(record) = inner.named(name, region) {
            return record.view(now);
        }
        inner.add(self.ids.letters("SdkCtx-", 20), name, region, None, now)
    }

    /// The context that serves a session's file transfers; made if there is none.
    pub(crate) fn of_transfers(&self, session_id: &str) -> String {
        let mut inner = self.lock();
        let mut records = inner.records.values();
        if let Some(record) = records.find(|record| record.transfer_of.as_deref() == Some(session_id)) {
            return record.id.clone();
        }
        let id = self.ids.letters("SdkCtx-ft-", 20);
        let name = format!("file-transfer-{session_id}");
        inner.add(id, &name, DEFAULT_REGION, Some(session_id.to_owned()), self.clock.now()).id
    }

    /// The session whose file transfers a context serves.
    pub(crate) fn session_of_transfers(&self, id: &str) -> Option<String> {
        self.lock().records.get(id)?.transfer_of.clone()
    }

    /// One page of at most `limit` contexts, newest first, of those made before the context number `before`.
    pub(crate) fn page(&self, before: Option<u64>, limit: usize) -> ContextPage {
        let inner = self.lock();
        let now = self.clock.now();
        let mut all: Vec<&Record> = inner.records.values().filter(|record| record.transfer_of.is_none()).collect();
        all.sort_unstable_by_key(|record| std::cmp::Reverse(record.number));
        let count = all.len();
        let mut rest = all.into_iter().filter(|record| before.is_none_or(|before| record.number < before));
        let shown: Vec<&Record> = rest.by_ref().take(limit).collect();
        let next = rest.next().and(shown.last()).map(|record| record.number);
        ContextPage { contexts: shown.iter().map(|record| record.view(now)).collect(), next, count }
    }

    pub(crate) fn rename(&self, id: &str, name: &str) -> Result<(), RenameFault> {
        let mut inner = self.lock();
        let region = inner.records.get(id).map(|record| record.region.clone()).ok_or(RenameFault::Unknown)?;
        if inner.named(name, &region).is_some_and(|other| other.id != id) {
            return Err(RenameFault::NameTaken);
        }
        if let Some(record) = inner.records.get_mut(id) {
            name.clone_into(&mut record.name);
        }
        Ok(())
    }

    /// Deletes a context with all its objects; `false`: there is none.
    pub(crate) fn delete(&self, id: &str) -> bool {
        // Blobs are removed with the record, and that need not happen under the lock.
        let record = self.lock().records.remove(id);
        record.is_some()
    }

    /// Begins to delete all objects of a context; `false`: there is none.
    pub(crate) fn clear(&self, id: &str) -> bool {
        let now = self.clock.now();
        let mut inner = self.lock();
        let Some(record) = inner.records.get_mut(id) else { return false };
        record.clearing_until = Some(now.saturating_add(CLEARING));
        let objects = std::mem::take(&mut record.objects);
        drop(inner);
        drop(objects);
        true
    }

    /// Works with the objects of a context, without those that are past their time; `None`: there is no such context.
    /// The work must be short: it holds the lock.
    pub(crate) fn with_objects<T>(&self, id: &str, work: impl FnOnce(&mut Objects) -> T) -> Option<T> {
        let now = self.clock.now();
        let mut inner = self.lock();
        let Record { objects, recycle, .. } = inner.records.get_mut(id)?;
        objects.expire(recycle, now);
        Some(work(objects))
    }

    /// Notes that a session begins to use a context, and for how long what it stores is kept; `false`: there is no such
    /// context.
    pub(crate) fn mounted(&self, id: &str, rules: &[Rule]) -> bool {
        let now = self.clock.now();
        let mut inner = self.lock();
        let Some(record) = inner.records.get_mut(id) else { return false };
        record.last_used = now;
        // A newer rule for a path takes the place of an older one.
        record.recycle.retain(|old| !rules.iter().any(|rule| rule.path == old.path));
        record.recycle.extend_from_slice(rules);
        true
    }

    /// Takes a place on this machine for a session; `Err` holds the session that has it, or one around or below it.
    pub(crate) fn take_place(&self, place: &str, session_id: &str) -> Result<(), String> {
        let mut inner = self.lock();
        let overlaps = |other: &str| {
            other == place || objects::below(other, place).is_some() || objects::below(place, other).is_some()
        };
        let taken = inner.places.iter().find(|(other, owner)| owner != session_id && overlaps(other));
        if let Some((_, owner)) = taken {
            return Err(owner.clone());
        }
        inner.places.push((place.to_owned(), session_id.to_owned()));
        Ok(())
    }

    /// Forgets what existed for a session only.
    pub(crate) fn session_ended(&self, session_id: &str) {
        let mut inner = self.lock();
        inner.places.retain(|(_, owner)| owner != session_id);
        inner.records.retain(|_, record| record.transfer_of.as_deref() != Some(session_id));
    }
}

impl Inner {
    fn named(&self, name: &str, region: &str) -> Option<&Record> {
        let mut records = self.records.values();
        records.find(|record| record.name == name && record.region == region && record.transfer_of.is_none())
    }

    fn add(&mut self, id: String, name: &str, region: &str, transfer_of: Option<String>, now: Duration) -> ContextView {
        self.last_number += 1;
        let record = Record {
            number: self.last_number,
            id: id.clone(),
            name: name.to_owned(),
            region: region.to_owned(),
            transfer_of,
            created: now,
            last_used: now,
            clearing_until: None,
            recycle: Vec::new(),
            objects: Objects::default(),
        };
        let view = record.view(now);
        self.records.insert(id, record);
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts() -> Contexts {
        Contexts::new(Arc::new(Clock::manual()), Some(1), PathBuf::from("/nowhere"))
    }

    #[test]
    fn a_name_stands_for_one_context_in_each_region() {
        let contexts = contexts();
        let first = contexts.find_or_create("a", DEFAULT_REGION);
        assert_eq!(contexts.find_or_create("a", DEFAULT_REGION).id, first.id);
        let elsewhere = contexts.find_or_create("a", "elsewhere");
        assert_ne!(elsewhere.id, first.id);
        assert_eq!(contexts.by_name("a", "elsewhere"), Some(elsewhere.clone()));
        assert_eq!(contexts.by_id(&elsewhere.id), Some(elsewhere));
        assert!(first.id.starts_with("SdkCtx-"));
    }

    #[test]
    fn a_context_can_be_renamed_but_not_to_the_name_of_another() {
        let contexts = contexts();
        let a = contexts.find_or_create("a", DEFAULT_REGION).id;
        contexts.find_or_create("b", DEFAULT_REGION);
        assert_eq!(contexts.rename(&a, "b"), Err(RenameFault::NameTaken));
        assert_eq!(contexts.rename(&a, "c"), Ok(()));
        assert_eq!(contexts.rename(&a, "c"), Ok(()));
        assert_eq!(contexts.rename("none", "c"), Err(RenameFault::Unknown));
        assert_eq!(contexts.by_name("c", DEFAULT_REGION).unwrap().id, a);
    }

    #[test]
    fn pages_are_newest_first_and_leave_file_transfers_out() {
        let contexts = contexts();
        let ids: Vec<String> =
            (0..5).map(|number| contexts.find_or_create(&format!("c{number}"), DEFAULT_REGION).id).collect();
        contexts.of_transfers("session-1");
        let first = contexts.page(None, 2);
        assert_eq!(first.count, 5);
        let shown: Vec<&String> = first.contexts.iter().map(|view| &view.id).collect();
        assert_eq!(shown, [&ids[4], &ids[3]]);
        let last = contexts.page(contexts.page(first.next, 2).next, 2);
        assert_eq!((last.contexts.len(), last.next), (1, None));
    }

    #[test]
    fn clearing_empties_at_once_and_is_over_after_its_time() {
        let contexts = contexts();
        let id = contexts.find_or_create("a", DEFAULT_REGION).id;
        let put = |objects: &mut Objects| objects.put("/x", objects::tests::folder(Duration::ZERO));
        contexts.with_objects(&id, put).unwrap();
        assert!(contexts.clear(&id));
        assert_eq!(contexts.by_id(&id).unwrap().state, "clearing");
        assert!(contexts.with_objects(&id, |objects| objects.list("/").is_empty()).unwrap());
        contexts.clock.skip(CLEARING);
        assert_eq!(contexts.by_id(&id).unwrap().state, "available");
        assert!(!contexts.clear("none"));
    }

    #[test]
    fn what_a_recycle_rule_ends_is_gone_when_somebody_looks() {
        let contexts = contexts();
        let id = contexts.find_or_create("a", DEFAULT_REGION).id;
        let put = |objects: &mut Objects| objects.put("/m/x", objects::tests::folder(Duration::ZERO));
        contexts.with_objects(&id, put).unwrap();
        let rule = |keeps_for| Rule { path: "/m".to_owned(), keeps_for };
        let is_empty = || contexts.with_objects(&id, |objects| objects.list("/m").is_empty()).unwrap();
        assert!(contexts.mounted(&id, &[rule(Some(Duration::from_secs(86_400)))]));
        contexts.clock.skip(Duration::from_secs(86_000));
        assert!(!is_empty());
        assert!(contexts.mounted(&id, &[rule(None)]));
        contexts.clock.skip(Duration::from_secs(1_000));
        assert!(!is_empty());
        assert!(contexts.mounted(&id, &[rule(Some(Duration::from_secs(86_400)))]));
        assert!(is_empty());
    }

    #[test]
    fn a_place_belongs_to_one_session_until_it_ends() {
        let contexts = contexts();
        assert_eq!(contexts.take_place("/tmp/a", "s1"), Ok(()));
        assert_eq!(contexts.take_place("/tmp/a/b", "s1"), Ok(()));
        assert_eq!(contexts.take_place("/tmp/a/c", "s2"), Err("s1".to_owned()));
        assert_eq!(contexts.take_place("/tmp", "s2"), Err("s1".to_owned()));
        assert_eq!(contexts.take_place("/tmp/ab", "s2"), Ok(()));
        contexts.session_ended("s1");
        assert_eq!(contexts.take_place("/tmp/a", "s2"), Ok(()));
    }
}
