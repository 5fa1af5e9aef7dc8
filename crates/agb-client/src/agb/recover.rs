//! Creations whose answer gets lost: the service may have made a session that nobody knows of. A label with a key of its
//! own finds it again, to be used, or to be released when it turns up late.

use std::future::Future;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Agb, CreateParams, js};
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::clock::Moment;
use crate::lifecycle::registry::{Creating, Registry};
use crate::session::{Session, SessionDetails};
use crate::transport::Deadline;

/// Labels of this package's own begin with it; users neither set nor see them.
pub const RESERVED_LABEL_PREFIX: &str = "agbn.";
const CREATE_KEY_LABEL: &str = "agbn.create";
/// Pauses before each look for a session whose creation got no answer, while the caller waits.
pub(crate) const EARLY_LOOKS_MS: [u64; 5] = [0, 100, 300, 1_000, 2_000];
/// How long all of them may take, and one of them; never longer than the configured time-out.
const EARLY_LIMIT: Duration = Duration::from_secs(10);
const EARLY_LOOK_LIMIT: Duration = Duration::from_secs(2);
/// The same pauses afterwards: a session that turns up then is released. They make a minute.
pub(crate) const LATE_LOOKS_S: [u64; 6] = [1, 3, 6, 10, 15, 25];
const LATE_LOOK_LIMIT: Duration = Duration::from_secs(10);
/// The pause between looks while the process ends.
pub(crate) const LAST_LOOKS_EVERY: Duration = Duration::from_millis(200);

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

/// A creation that failed.
#[derive(Debug)]
pub(crate) struct NotCreated {
    /// Why.
    pub(crate) error: Error,
    /// Ends when no session of it can turn up any more; `None`: none can.
    pub(crate) late: Option<JoinHandle<()>>,
}

impl From<Error> for NotCreated {
    fn from(error: Error) -> Self {
        Self { error, late: None }
    }
}

/// A session on its way to its owner: it is given up where it does not arrive.
struct Unclaimed(Option<Session>);

impl Unclaimed {
    fn claim(mut self) -> Result<Session> {
        self.0.take().ok_or_else(|| Error::new(ErrorKind::Internal, "the session was claimed before"))
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        let Some(session) = self.0.take() else { return };
        session.stop_keep_alive();
        if let Ok(runtime) = Handle::try_current() {
            // It says itself what goes wrong.
            runtime.spawn(async move { session.abandon().await });
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
    ) -> std::result::Result<Session, NotCreated> {
        let (sender, receiver) = oneshot::channel();
        let agb = self.clone();
        tokio::spawn(async move {
            let outcome = agb.create_or_find(params, creating).await;
            // Dropped where nobody waits any more.
            drop(sender.send(outcome.map(|session| Unclaimed(Some(session)))));
        });
        let gone = |_| Error::new(ErrorKind::Internal, "the creation ended without a result");
        Ok(receiver.await.map_err(gone)??.claim()?)
    }

    async fn create_or_find(
        &self,
        mut params: CreateParams,
        creating: Option<Creating<'static>>,
    ) -> std::result::Result<Session, NotCreated> {
        let key = format!("{:032x}", fastrand::u128(..));
        params.reserved_labels.insert(CREATE_KEY_LABEL.to_owned(), key.clone().into());
        let asked = self.clock().moment();
        let error = match self.ask_for_creation(&params).await {
            Ok((answer, data)) => return Ok(self.take_created(answer, data, params, asked).await?),
            Err(error) if is_answer_lost(&error) => error,
            Err(error) => return Err(error.into()),
        };
        tracing::debug!(target: "agb::session", error = error.message(), "the answer of a creation got lost");
        let pauses = EARLY_LOOKS_MS.map(Duration::from_millis);
        let looks = self.look_for_created(&key, pauses, EARLY_LOOK_LIMIT, creating.as_ref());
        if let Ok(Some(id)) = tokio::time::timeout(self.timeout().min(EARLY_LIMIT), looks).await {
            tracing::info!(target: "agb::session", session = id, "found again a session whose creation got no answer");
            return Ok(self.adopt_created(&id, params, asked).await?);
        }
        let late = tokio::spawn(self.clone().watch_late(key, params.image_id, creating));
        let error = error.noted("a session that was made all the same is released when it turns up within a minute");
        Err(NotCreated { error, late: Some(late) })
    }

    /// Looks for a session whose creation got no answer, and releases it when it turns up. Until then it counts as being
    /// created.
    async fn watch_late(self, key: String, image_id: String, creating: Option<Creating<'static>>) {
        let pauses = LATE_LOOKS_S.map(Duration::from_secs);
        let found = self.look_for_created(&key, pauses, LATE_LOOK_LIMIT, creating.as_ref()).await;
        let Some(id) = found else { return };
        // From now on it has a name for those who release what is left over at the end of the process.
        let session = self.attach(&id, SessionDetails::default());
        Registry::of_process().add_created(&self, &id, &image_id, session.life());
        drop(creating);
        // It says itself what goes wrong.
        let _ = session.abandon().await;
    }

    /// Looks after each of the pauses; all the time once the process ends.
    async fn look_for_created(
        &self,
        key: &str,
        pauses: impl IntoIterator<Item = Duration>,
        limit: Duration,
        creating: Option<&Creating<'static>>,
    ) -> Option<String> {
        tokio::select! {
            found = first_of(pauses, || self.find_created(key, limit)) => found,
            found = self.find_before_the_end(key, creating) => found,
        }
    }

    /// Waits for the end of the process, and then looks again and again: there is no later look.
    async fn find_before_the_end(&self, key: &str, creating: Option<&Creating<'static>>) -> Option<String> {
        match creating {
            Some(creating) => creating.end_begun().await,
            None => std::future::pending().await,
        }
        first_of(std::iter::repeat(LAST_LOOKS_EVERY), || self.find_created(key, EARLY_LOOK_LIMIT)).await
    }

    async fn find_created(&self, key: &str, limit: Duration) -> Option<String> {
        let mut labels = Map::new();
        labels.insert(CREATE_KEY_LABEL.to_owned(), key.into());
        let deadline = self.deadline().min(Deadline::after(limit));
        match self.list_page(&js::object_text(&labels), 1.0, "", deadline).await {
            Ok((_, page)) => page.session_ids.into_iter().next(),
            Err(error) => {
                tracing::debug!(target: "agb::session", error = error.message(), "looking for a created session failed");
                None
            }
        }
    }

    async fn adopt_created(&self, session_id: &str, params: CreateParams, asked: Moment) -> Result<Session> {
        let life = self.created(session_id, &params, asked);
        let found = match self.get_session(session_id).await {
            Ok(record) => Ok((record.data.unwrap_or_default(), record.request_id)),
            Err(error) => Err(error),
        };
        match found {
            Ok((mut data, request_id)) => {
                session_id.clone_into(&mut data.session_id);
                self.finish_creation(data, request_id, life, params).await
            }
            Err(error) => Err(self.released_after(session_id, error.prefixed("Failed to create session")).await),
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
