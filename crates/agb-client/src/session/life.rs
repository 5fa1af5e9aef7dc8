//! Status, keep-alive and release.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::session::{Session, StatusRecord};
use crate::transport::Deadline;
use crate::wire::envelope::Fallback;
use crate::wire::session::SessionIdBody;
use crate::wire::{endpoint, js};

/// Pauses before each attempt to release a session that nobody will use.
pub(crate) const ABANDON_PAUSES_MS: [u64; 3] = [0, 500, 2_000];
/// How long each of them may take.
const ABANDON_LIMIT: Duration = Duration::from_secs(10);
/// How long a released session may take until it is gone.
const RELEASE_LIMIT: Duration = Duration::from_secs(300);
/// The second look at a released session; most are gone by then.
const FIRST_PAUSE: Duration = Duration::from_millis(15);
/// The interval of looks once the quick first ones are over.
const LAST_PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn status(session: &Session, deadline: Deadline) -> Result<StatusRecord> {
    let outcome = ask_for_status(session, deadline).await;
    session.life().learn(&outcome);
    match outcome.as_ref().map_or("", |record| record.status.as_str()) {
        status if is_gone(status) => session.life().gone(),
        "RUNNING" => session.life().seen_alive(),
        _ => {}
    }
    outcome
}

async fn ask_for_status(session: &Session, deadline: Deadline) -> Result<StatusRecord> {
    let body = SessionIdBody { session_id: session.id() };
    let answer = session.agb().post(&endpoint::SESSION_STATUS, &Vec::new(), &body, deadline).await?;
    let answer = answer.accept(endpoint::SESSION_STATUS.operation, Fallback::Plain)?;
    let status = answer.data_object().map(|data| js::text(data, "status")).unwrap_or_default();
    Ok(StatusRecord {
        status: status.to_owned(),
        http_status: answer.http_status,
        code: answer.code(),
        request_id: answer.request_id,
    })
}

pub(super) async fn keep_alive(session: &Session) -> Result<String> {
    let agb = session.agb();
    let query = vec![("sessionId", session.id().to_owned())];
    let call = async {
        let answer = agb.post_empty_object(&endpoint::KEEP_ALIVE, &query, agb.deadline()).await?;
        Ok(answer.accept(endpoint::KEEP_ALIVE.operation, Fallback::Plain)?.request_id)
    };
    session.life().using(call).await
}

pub(super) async fn delete(session: &Session) -> Result<String> {
    let request_id = release(session, session.agb().deadline()).await?;
    wait_until_gone(session, Deadline::after(RELEASE_LIMIT))
        .await
        .map_err(|error| error.with_request_id(&request_id))?;
    Ok(request_id)
}

/// Nobody can try again later: so the keep-alive ends first, and the release is tried several times. What goes wrong is
/// logged.
pub(super) async fn abandon(session: &Session) -> Result<()> {
    session.stop_keep_alive();
    let outcome = release_persistently(session).await;
    if let Err(error) = &outcome {
        let (session, error) = (session.id(), error.message());
        tracing::warn!(target: "agb::session", session, error, "a session that nobody needs may stay until its idle time-out");
    }
    outcome
}

async fn release_persistently(session: &Session) -> Result<()> {
    let mut outcome = Ok(());
    for pause in ABANDON_PAUSES_MS.map(Duration::from_millis) {
        tokio::time::sleep(pause).await;
        let deadline = session.agb().deadline().min(Deadline::after(ABANDON_LIMIT));
        match release(session, deadline).await {
            Ok(_) => return wait_until_gone(session, Deadline::after(RELEASE_LIMIT)).await,
            Err(error) if error.kind() == ErrorKind::SessionNotFound => return Ok(()),
            Err(error) => outcome = Err(error),
        }
    }
    outcome
}

/// Has the session released, and gives the request id.
async fn release(session: &Session, deadline: Deadline) -> Result<String> {
    let deletion = session.life().begin_deletion();
    let request_id = match ask_for_release(session, deadline).await {
        Ok(request_id) => request_id,
        Err(error) => {
            // Before the lesson: if nobody else deletes it, its times tell why it is gone.
            drop(deletion);
            let refused = Err(error);
            session.life().learn(&refused);
            return refused;
        }
    };
    deletion.done();
    tracing::debug!(target: "agb::session", session = session.id(), "release accepted");
    session.close_channel(ErrorKind::SessionNotFound, "the session was deleted while the stream was running");
    Ok(request_id)
}

async fn ask_for_release(session: &Session, deadline: Deadline) -> Result<String> {
    let body = SessionIdBody { session_id: session.id() };
    let answer = session.agb().post(&endpoint::RELEASE_SESSION, &Vec::new(), &body, deadline).await?;
    if answer.is_success() {
        return Ok(answer.request_id);
    }
    let refusal = answer.refusal(endpoint::RELEASE_SESSION.operation, Fallback::Plain);
    // The attempt before got through although its answer did not.
    if answer.attempts > 1 && refusal.kind() == ErrorKind::SessionNotFound {
        return Ok(answer.request_id);
    }
    Err(answer.error(refusal.kind(), release_text(&answer.code(), answer.message(), &refusal), refusal.operation()))
}

fn release_text(code: &str, message: &str, refusal: &Error) -> String {
    let code = if code.is_empty() { "Unknown" } else { code };
    let is_envelope = !matches!(refusal.kind(), ErrorKind::Http | ErrorKind::Protocol);
    match (message.is_empty(), is_envelope) {
        (false, _) => format!("[{code}] {message}"),
        (true, false) => format!("[{code}] {}", refusal.message()),
        (true, true) => format!("[{code}] Failed to delete session"),
    }
}

/// Looks, quickly first, until the session is gone. Only the service's own word counts: a status of the end, or the code
/// for an unknown session. What else goes wrong with a look is looked past.
pub(super) async fn wait_until_gone(session: &Session, deadline: Deadline) -> Result<()> {
    let mut pause = FIRST_PAUSE;
    while !deadline.left().is_zero() {
        match status(session, session.agb().deadline().min(deadline)).await {
            Ok(record) if is_gone(&record.status) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::SessionNotFound => return Ok(()),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(target: "agb::session", error = error.message(), "status of a released session")
            }
        }
        tokio::time::sleep(pause.min(deadline.left())).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
    let text = format!("Timeout waiting for session deletion after {}s", deadline.limit.as_secs());
    Err(Error::new(ErrorKind::Timeout, text).with_operation(endpoint::RELEASE_SESSION.operation))
}

/// Does the service say that the session is gone? Not when it says nothing.
pub(super) async fn has_gone(session: &Session) -> bool {
    match status(session, session.agb().deadline()).await {
        Ok(record) => is_gone(&record.status),
        Err(error) => error.kind() == ErrorKind::SessionNotFound,
    }
}

fn is_gone(status: &str) -> bool {
    matches!(status, "FINISH" | "DELETED")
}
