//! Who may write a file when: what takes several calls has the file to itself, what takes one may go together with others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Turns at the files of all sessions of a client. They go by the path as it was given: two names of one file are two
/// files here.
#[derive(Default)]
pub(crate) struct Turns {
    files: Mutex<HashMap<Name, Weak<RwLock<()>>>>,
}

/// The id of a session, and a path in it.
type Name = (String, String);

/// A turn; dropping it ends it.
pub(crate) enum Turn {
    Alone(#[allow(dead_code, reason = "held, not read")] OwnedRwLockWriteGuard<()>),
    Together(#[allow(dead_code, reason = "held, not read")] OwnedRwLockReadGuard<()>),
}

impl Turns {
    /// Waits for a turn at a file, in the order of asking.
    pub(crate) async fn take(&self, session_id: &str, path: &str, alone: bool) -> Turn {
        let file = self.file(session_id, path);
        match alone {
            true => Turn::Alone(file.write_owned().await),
            false => Turn::Together(file.read_owned().await),
        }
    }

    fn file(&self, session_id: &str, path: &str) -> Arc<RwLock<()>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // Now and then is enough: what is left over is small.
        if files.len().is_power_of_two() {
            files.retain(|_, file| file.strong_count() > 0);
        }
        let known = files.entry((session_id.to_owned(), path.to_owned())).or_default();
        known.upgrade().unwrap_or_else(|| {
            let file = Arc::default();
            *known = Arc::downgrade(&file);
            file
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_who_is_alone_waits_for_all_and_all_for_him() {
        let turns = Turns::default();
        let (one, two) = (turns.take("s", "/f", false).await, turns.take("s", "/f", false).await);
        let alone = turns.take("s", "/f", true);
        tokio::pin!(alone);
        assert!(futures_util::poll!(&mut alone).is_pending());
        drop((one, two));
        let alone = alone.await;
        let next = turns.take("s", "/f", false);
        tokio::pin!(next);
        assert!(futures_util::poll!(&mut next).is_pending());
        turns.take("s", "/g", true).await;
        turns.take("other", "/f", true).await;
        drop(alone);
        next.await;
    }

    #[tokio::test]
    async fn files_are_forgotten() {
        let turns = Turns::default();
        for number in 0..1_000 {
            turns.take("s", &number.to_string(), true).await;
        }
        assert!(turns.files.lock().unwrap().len() <= 512);
    }
}
