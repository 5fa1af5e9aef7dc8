//! The endpoints that a transfer needs.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::session::Session;
use crate::transport::{Deadline, Transport};
use crate::wire::endpoint::{self, Endpoint};
use crate::wire::envelope::{Answer, Fallback};
use crate::wire::transfer::{InternalContext, read_internal_context, read_url};
use crate::wire::{Query, context as wire_context};

use super::task::Direction;
use crate::context::ContextStatus;

/// How long removing an object may take.
const REMOVAL_LIMIT: Duration = Duration::from_secs(10);

/// The service, for one session.
#[derive(Clone, Copy)]
pub(super) struct Service<'a> {
    pub(super) session: &'a Session,
}

impl<'a> Service<'a> {
    pub(super) fn transport(self) -> &'a Transport {
        self.session.agb().transport()
    }

    /// How long nothing may move in a transfer.
    pub(super) fn stall(self) -> Duration {
        self.session.agb().timeout()
    }

    /// The session's context for file transfer, asked for once.
    pub(super) async fn internal_context(self) -> Result<&'a InternalContext> {
        self.session.transfer_context().get_or_try_init(|| self.load_internal_context()).await
    }

    async fn load_internal_context(self) -> Result<InternalContext> {
        let endpoint = &endpoint::INTERNAL_CONTEXT;
        let query =
            vec![("sessionId", self.session.id().to_owned()), ("contextTypes", r#"["file_transfer"]"#.to_owned())];
        let answer = self.call_of_session(endpoint, &query, self.session.agb().deadline()).await?;
        read_internal_context(answer.data())
            .ok_or_else(|| answer.error(ErrorKind::Protocol, "Response contains no data", endpoint.operation))
    }

    /// The request id and the address to store a file at.
    pub(super) async fn upload_url(self, context_id: &str, path: &str) -> (Option<String>, Result<String>) {
        self.url(&endpoint::UPLOAD_URL, context_id, path).await
    }

    /// The request id and the address to get a file from.
    pub(super) async fn download_url(self, context_id: &str, path: &str) -> (Option<String>, Result<String>) {
        self.url(&endpoint::DOWNLOAD_URL, context_id, path).await
    }

    async fn url(self, endpoint: &Endpoint, context_id: &str, path: &str) -> (Option<String>, Result<String>) {
        let answer = self.call(endpoint, &file_query(context_id, path), self.session.agb().deadline()).await;
        let url = |answer: &Answer| {
            read_url(answer.data_object())
                .ok_or_else(|| answer.error(ErrorKind::Protocol, "unknown error", endpoint.operation))
        };
        with_request_id(answer, url)
    }

    /// Asks for a synchronisation of a directory; gives the request id.
    pub(super) async fn sync(
        self,
        context_id: &str,
        directory: &str,
        direction: Direction,
    ) -> (Option<String>, Result<()>) {
        let query = vec![
            ("sessionId", self.session.id().to_owned()),
            ("contextId", context_id.to_owned()),
            ("path", directory.to_owned()),
            ("mode", direction.name().to_owned()),
        ];
        let deadline = self.session.agb().deadline();
        with_request_id(self.call_of_session(&endpoint::SYNC_CONTEXT, &query, deadline).await, |_| Ok(()))
    }

    /// The tasks of a directory.
    pub(super) async fn tasks(
        self,
        context_id: &str,
        directory: &str,
        direction: Direction,
        deadline: Deadline,
    ) -> Result<Vec<ContextStatus>> {
        let query = vec![
            ("sessionId", self.session.id().to_owned()),
            ("contextId", context_id.to_owned()),
            ("path", directory.to_owned()),
            ("taskType", direction.name().to_owned()),
        ];
        let endpoint = &endpoint::CONTEXT_INFO;
        let answer = self.call_of_session(endpoint, &query, deadline).await?;
        wire_context::read_status(answer.data_object())
            .map_err(|why| answer.error(ErrorKind::Protocol, why, endpoint.operation))
    }

    /// Removes an object that is of no use any more. A failure harms nobody: the context ends with the session.
    pub(super) async fn remove(self, context: InternalContext, path: &str) {
        let deadline = Deadline::after(REMOVAL_LIMIT).min(self.session.agb().deadline());
        let endpoint = &endpoint::DELETE_CONTEXT_FILE;
        if let Err(error) = self.call(endpoint, &file_query(&context.id, path), deadline).await {
            tracing::debug!(target: "agb::file", error = error.message(), "the object of a transfer stays in the store");
        }
    }

    /// A call that concerns the session: it starts the idle timer anew.
    async fn call_of_session(self, endpoint: &Endpoint, query: &Query, deadline: Deadline) -> Result<Answer> {
        self.session.life().using(self.call(endpoint, query, deadline)).await
    }

    async fn call(self, endpoint: &Endpoint, query: &Query, deadline: Deadline) -> Result<Answer> {
        self.session.agb().call(endpoint, query, deadline).await?.accept(endpoint.operation, Fallback::Plain)
    }
}

fn file_query(context_id: &str, path: &str) -> Query {
    vec![("contextId", context_id.to_owned()), ("filePath", path.to_owned())]
}

/// The request id of an answer or of a failure, beside what was read from the answer.
fn with_request_id<T>(answer: Result<Answer>, read: impl FnOnce(&Answer) -> Result<T>) -> (Option<String>, Result<T>) {
    let given = |id: &str| Some(id.to_owned()).filter(|id| !id.is_empty());
    match answer {
        Ok(answer) => (given(&answer.request_id), read(&answer)),
        Err(error) => (given(error.request_id()), Err::<T, Error>(error)),
    }
}
