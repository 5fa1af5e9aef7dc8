//! Sessions whose process ended without releasing them: by SIGKILL, say.
//!
//! Reading a session's labels sets its idle timer back, which for a session of a living process would be wrong where
//! nothing else keeps it alive. So not every session is asked: the list can be filtered by labels without touching
//! anything, and one answer names the owner of all sessions that carry the same labels. Owners that live are remembered.

use super::{Agb, Deletion};
use crate::error::{ErrorKind, Result};
use crate::lifecycle::Owner;
use crate::session::SessionDetails;

impl Agb {
    /// Deletes the sessions with a lease whose process has ended: those alone that were created on this machine, since it
    /// was started last, in the PID namespace of this process. Where the system does not tell these (it does on Linux),
    /// nothing is done.
    ///
    /// # Errors
    /// When sessions can't be listed; nothing is deleted then. What became of each session is in its [`Deletion`].
    pub async fn reap_orphans(&self, at_once: usize) -> Result<Vec<Deletion>> {
        let Some(me) = Owner::this_process() else { return Ok(Vec::new()) };
        let mut undecided = self.ids_with(&me.home_labels()).await?;
        let mut known = self.living_owners();
        known.push(me.clone());
        let mut orphans = Vec::new();
        let mut unreadable = Vec::new();
        while let Some(session_id) = undecided.first().cloned() {
            let owner = match known.pop() {
                Some(owner) => owner,
                None => {
                    undecided.retain(|id| *id != session_id);
                    match self.owner_of(&session_id).await {
                        Ok(Some(owner)) if owner.is_at_home_with(&me) => owner,
                        Ok(_) => continue,
                        Err(error) if error.kind() == ErrorKind::SessionNotFound => continue,
                        Err(error) => {
                            unreadable.push(Deletion { session_id, outcome: Err(error) });
                            continue;
                        }
                    }
                }
            };
            let owned = self.ids_with(&owner.labels()).await?;
            undecided.retain(|id| !owned.contains(id));
            let is_gone = owner.is_gone();
            self.remember_owner(owner, !is_gone);
            if is_gone {
                orphans.extend(owned);
            }
        }
        let deletions = self.delete_sessions(orphans, at_once).await;
        Ok(deletions.into_iter().chain(unreadable).collect())
    }

    async fn owner_of(&self, session_id: &str) -> Result<Option<Owner>> {
        let labels = self.attach(session_id, SessionDetails::default()).reserved_labels().await?;
        Ok(Owner::of_labels(&labels))
    }

    fn living_owners(&self) -> Vec<Owner> {
        self.lock_owners().iter().cloned().collect()
    }

    fn remember_owner(&self, owner: Owner, is_alive: bool) {
        let mut owners = self.lock_owners();
        if is_alive {
            owners.insert(owner);
        } else {
            owners.remove(&owner);
        }
    }
}
