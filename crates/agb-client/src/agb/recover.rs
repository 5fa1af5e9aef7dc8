//! Creations whose answer gets lost: the service may have made a session that nobody knows of. A label with a key of its
//! own finds it again, to be used, or to be released when it turns up late.

use std::future::Future;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::{Agb, CreateParams, js, wire};
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::registry::{Creating, Registry};
use crate::session::Session;
use crate::wire::endpoint;

/// Labels of this package's own begin with it; users neither set nor see them.
pub const RESERVED_LABEL_PREFIX: &str = "agbn.";
const CREATE_KEY_LABEL: &str = "agbn.create";
/// Pauses before each look for a session whose creation got no answer, while the caller waits.
const EARLY_LOOKS_MS: [u64; 5] = [0, 100, 300, 1_000, 2_000];
/// The same afterwards: a session that turns up then is released. They make a minute.
const LATE_LOOKS_S: [u64; 6] = [1, 3, 6, 10, 15, 25];

/// Is this label one of the package's own?
pub fn is_reserved_label(key: &str) -> bool {
    key.starts_with(RESERVED_LABEL_PREFIX)
}

/// # Errors
/// [`ErrorKind::InvalidArgument`] for a label that users may not set.
pub(crate) fn check_labels_of_user(labels: &Map<String, Value>, operation: &'static str) -> Result<()> {
    match labels.keys().find(|key| is_reserved_label(key)) {
        None => Ok(()),
        Some(key) => {
            let text = format!("the label {key:?} is reserved: labels must not begin with {RESERVED_LABEL_PREFIX:?}");
            Err(Error::new(ErrorKind::InvalidArgument, text).with_operation(operation))
        }
    }
}

impl Agb {
    /// Creates as [`create_once`](Self::create_once) does, whatever becomes of the caller: when it goes away, the session
    /// is released as soon as it is there; when the answer gets lost, the session is searched.
    pub(super) async fn create_recoverably(
        &self,
        params: CreateParams,
        creating: Option<Creating<'static>>,
    ) -> Result<Session> {
        let (sender, receiver) = oneshot::channel();
        let agb = self.clone();
        tokio::spawn(async move {
            let outcome = agb.create_or_find(params).await;
            drop(creating);
            if let Err(Ok(session)) = sender.send(outcome) {
                agb.release_unwanted(session.id()).await;
            }
        });
        let gone = |_| Error::new(ErrorKind::Internal, "the creation ended without a result");
        receiver.await.map_err(gone)?
    }

    async fn create_or_find(&self, mut params: CreateParams) -> Result<Session> {
        let key = format!("{:032x}", fastrand::u128(..));
        params.reserved_labels.insert(CREATE_KEY_LABEL.to_owned(), key.clone().into());
        let error = match self.create_once(params.clone()).await {
            Err(error) if is_answer_lost(&error) => error,
            outcome => return outcome,
        };
        tracing::debug!(target: "agb::session", error = error.message(), "the answer of a creation got lost");
        if let Some(id) = first_of(EARLY_LOOKS_MS.map(Duration::from_millis), || self.find_created(&key)).await {
            tracing::info!(target: "agb::session", session = id, "found again a session whose creation got no answer");
            return self.adopt_created(&id, params).await;
        }
        let agb = self.clone();
        tokio::spawn(async move {
            let looks = LATE_LOOKS_S.map(Duration::from_secs);
            if let Some(id) = first_of(looks, || agb.find_created(&key)).await {
                agb.release_unwanted(&id).await;
            }
        });
        Err(error.noted("a session that was made all the same is released when it turns up within a minute"))
    }

    async fn find_created(&self, key: &str) -> Option<String> {
        let mut labels = Map::new();
        labels.insert(CREATE_KEY_LABEL.to_owned(), key.into());
        match self.list_page(&js::object_text(&labels), 1.0, "").await {
            Ok((_, page)) => page.session_ids.into_iter().next(),
            Err(error) => {
                tracing::debug!(target: "agb::session", error = error.message(), "looking for a created session failed");
                None
            }
        }
    }

    async fn adopt_created(&self, session_id: &str, params: CreateParams) -> Result<Session> {
        Registry::of_process().add_created(self, session_id, &params.image_id);
        let found = match self.get_session(session_id).await {
            Ok(record) => Ok((record.data.unwrap_or_default(), record.request_id)),
            Err(error) => Err(error),
        };
        match found {
            Ok((mut data, request_id)) => {
                session_id.clone_into(&mut data.session_id);
                self.finish_creation(data, request_id, params).await
            }
            Err(error) => Err(self.released_after(session_id, error.prefixed("Failed to create session")).await),
        }
    }

    async fn release_unwanted(&self, session_id: &str) {
        let body = wire::SessionIdBody { session_id };
        let outcome = self.post(&endpoint::RELEASE_SESSION, &Vec::new(), &body, self.deadline()).await;
        match outcome {
            Ok(answer) if answer.is_success() => {
                self.forget(session_id);
                tracing::debug!(target: "agb::session", session = session_id, "released a session that nobody waits for");
            }
            _ => {
                tracing::warn!(target: "agb::session", session = session_id, "a session that nobody waits for stays until its idle time-out");
            }
        }
    }
}

/// May the service have done what it was asked although its answer did not come, or can't be read?
fn is_answer_lost(error: &Error) -> bool {
    let is_server_error = error.http_status().is_some_and(|status| status >= 500);
    matches!(error.kind(), ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Protocol) || is_server_error
}

/// The first value that a look gives; each look comes after its pause.
async fn first_of<T, Look: Future<Output = Option<T>>>(
    pauses: impl IntoIterator<Item = Duration>,
    look: impl Fn() -> Look,
) -> Option<T> {
    for pause in pauses {
        tokio::time::sleep(pause).await;
        if let Some(value) = look().await {
            return Some(value);
        }
    }
    None
}
