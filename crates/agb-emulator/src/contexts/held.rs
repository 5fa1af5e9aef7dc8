//! What a session has at a mount of what is stored, or had: only what it has changed since may be stored or deleted on
//! its account.

use std::collections::{HashMap, HashSet};

use super::{
    mount::{Pick, Policy},
    objects::{Kind, Object},
    sync::is_at,
};
use crate::tools::filesystem::transfer::{Found, FoundKind, Look, Looks};

/// One thing that a session was given or has stored.
#[derive(Debug, Clone)]
enum Held {
    /// It is stored, in the mode `Archive` perhaps within the archive, and looked so when it was brought or stored.
    Stored(Look),
    /// It came out of a ZIP file, or in the mode `File` out of an archive, and is not stored itself.
    Unpacked(Look),
    /// An archive, by its tag, that was unpacked and that the session was spared.
    Spared(String),
}

/// All of one mount, by the paths below it.
#[derive(Debug, Clone, Default)]
pub(super) struct Holdings(HashMap<String, Held>);

/// What a session has made of something at a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is new or was changed.
    Written,
    /// It is as it came out of an archive.
    Unpacked,
    None,
}

impl Holdings {
    pub(super) fn stored(&mut self, looks: Looks) {
        self.0.extend(looks.into_iter().map(|(relative, look)| (relative, Held::Stored(look))));
    }

    pub(super) fn unpacked(&mut self, looks: Looks) {
        self.0.extend(looks.into_iter().map(|(relative, look)| (relative, Held::Unpacked(look))));
    }

    pub(super) fn spared(&mut self, relative: String, tag: &str) {
        self.0.insert(relative, Held::Spared(tag.to_owned()));
    }

    /// Notes that everything found is stored now, and that what is gone is not.
    pub(super) fn settle(&mut self, found: &[Found], gone: &[String]) {
        for relative in gone {
            self.0.remove(relative);
        }
        self.stored(found.iter().map(|found| (found.relative.clone(), found.look.clone())).collect());
    }

    /// What need not be read again if it still looks so.
    pub(super) fn known(&self) -> Looks {
        let stored = self.0.iter().filter_map(|(relative, held)| match held {
            Held::Stored(look) => Some((relative.clone(), look.clone())),
            Held::Unpacked(_) | Held::Spared(_) => None,
        });
        stored.collect()
    }

    pub(super) fn change(&self, found: &Found) -> Change {
        match (&found.what, self.0.get(&found.relative)) {
            (FoundKind::Unchanged, _) => Change::None,
            (_, Some(Held::Unpacked(before))) if found.look.is_still(before) => Change::Unpacked,
            _ => Change::Written,
        }
    }

    /// What the session had at or below `only` and has no more, if that counts.
    pub(super) fn gone(&self, policy: &Policy, found: &[Found], only: &str) -> Vec<String> {
        if !policy.delete_missing {
            return Vec::new();
        }
        let there: HashSet<&str> = found.iter().map(|found| found.relative.as_str()).collect();
        let gone = self.0.iter().filter(|(relative, held)| {
            let counts = match held {
                Held::Stored(_) => true,
                Held::Unpacked(_) => false,
                // In the mode `File` what came out of it takes its place.
                Held::Spared(_) => !policy.archive,
            };
            counts && !there.contains(relative.as_str()) && is_at(relative, only) && policy.pick(relative) == Pick::Take
        });
        gone.map(|(relative, _)| relative.clone()).collect()
    }

    pub(super) fn has(&self, relative: &str) -> bool {
        self.0.contains_key(relative)
    }

    /// Whether it ends an object that it is gone from the session. An archive ends only if it is the one that was given:
    /// a newer one holds what the session never had.
    pub(super) fn ends(&self, relative: &str, object: &Object) -> bool {
        let Kind::Archive { tag, .. } = &object.kind else { return true };
        match self.0.get(relative) {
            Some(Held::Spared(given) | Held::Stored(Look::File { tag: given, .. })) => tag == given,
            _ => false,
        }
    }
}
