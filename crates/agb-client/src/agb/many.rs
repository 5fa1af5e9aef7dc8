//! Operations on all sessions that carry some labels.

use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};

use super::{Agb, SessionPage, js};
use crate::error::{ErrorKind, Result};
use crate::session::SessionDetails;

/// How many sessions a page has when all are wanted.
const PAGE_OF_ALL: f64 = 50.0;

/// What became of one of many sessions.
#[derive(Debug)]
pub struct Deletion {
    /// Its id.
    pub session_id: String,
    /// The request id of the release, or why it was not deleted.
    pub outcome: Result<String>,
}

impl Agb {
    /// The page of the sessions carrying all of `labels` that `token` names; an empty one names the first. Does not
    /// count as activity.
    ///
    /// # Errors
    /// What the service said.
    pub async fn page(&self, labels: &Map<String, Value>, token: &str) -> Result<SessionPage> {
        let (answer, listed) = self.list_page(&js::object_text(labels), PAGE_OF_ALL, token, self.deadline()).await?;
        Ok(SessionPage {
            request_id: answer.request_id,
            session_ids: listed.session_ids,
            next_token: listed.next_token,
            max_results: listed.max_results.unwrap_or(PAGE_OF_ALL),
            total_count: listed.count.unwrap_or_default(),
        })
    }

    /// Deletes the sessions that carry all of `labels`, `at_once` at a time, each until it is gone. One that is gone
    /// already counts as deleted.
    ///
    /// # Errors
    /// When they can't be listed; nothing is deleted then. What became of each session is in its [`Deletion`].
    pub async fn delete_all(&self, labels: &Map<String, Value>, at_once: usize) -> Result<Vec<Deletion>> {
        Ok(self.delete_sessions(self.ids_with(labels).await?, at_once).await)
    }

    /// The ids of the sessions that carry all of `labels`, over all pages.
    pub(super) async fn ids_with(&self, labels: &Map<String, Value>) -> Result<Vec<String>> {
        let mut ids: Vec<String> = Vec::new();
        let mut token = String::new();
        loop {
            let page = self.page(labels, &token).await?;
            // Pages move when sessions come and go meanwhile.
            let fresh: Vec<String> = page.session_ids.into_iter().filter(|id| !ids.contains(id)).collect();
            let is_over = fresh.is_empty() || page.next_token.is_empty();
            ids.extend(fresh);
            if is_over {
                return Ok(ids);
            }
            token = page.next_token;
        }
    }

    pub(super) async fn delete_sessions(&self, ids: Vec<String>, at_once: usize) -> Vec<Deletion> {
        let delete = |session_id: String| async move {
            let session = self.attach(&session_id, SessionDetails::default());
            let outcome = match session.delete().await {
                Err(error) if error.kind() == ErrorKind::SessionNotFound => Ok(error.request_id().to_owned()),
                outcome => outcome,
            };
            Deletion { session_id, outcome }
        };
        stream::iter(ids).map(delete).buffered(at_once.max(1)).collect().await
    }
}
