//! What the file tools made in the host's `/tmp`, to be removed when the session ends.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};

use super::facts::Facts;
use super::tree;
use super::view::entry_facts;

/// Paths remembered; beyond that, a session's leftovers stay.
const REMEMBERED: usize = 100_000;

/// Device and inode: a path is removed only while it still names what was made.
type Mark = (u64, u64);

fn mark(facts: &Facts) -> Mark {
    (facts.device, facts.inode)
}

/// Paths without links in them, with their marks.
#[derive(Debug, Default)]
pub(super) struct MadePaths(Mutex<BTreeMap<PathBuf, Mark>>);

impl MadePaths {
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(super) fn add(&self, path: PathBuf, facts: &Facts) {
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.len() < REMEMBERED {
            paths.insert(path, mark(facts));
        }
    }

    /// Forgets a path and what is below it; answers whether it was known, by itself or as part of a known directory.
    pub(super) fn forget(&self, path: &Path) -> bool {
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_known = path.ancestors().any(|path| paths.contains_key(path));
        paths.retain(|known, _| !known.starts_with(path));
        was_known
    }

    /// Removes everything that is still what was made, deepest first, and forgets it.
    pub(super) fn remove_all(&self) {
        let paths = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (path, made) in paths.iter().rev() {
            remove(path, *made);
        }
    }
}

fn remove(path: &Path, made: Mark) {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(parent) = rustix::fs::open(parent, flags, Mode::empty()) else { return };
    let Ok(facts) = entry_facts(parent.as_fd(), name) else { return };
    if mark(&facts) == made
        && let Err(error) = tree::remove(parent.as_fd(), name)
    {
        tracing::warn!(path = %path.display(), %error, "a file of a session could not be removed");
    }
}
