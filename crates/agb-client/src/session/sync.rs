//! Synchronising a session's mounts with their contexts (docs/protocol.md, section "Context synchronisation").

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::session::Session;
use crate::transport::Deadline;
use crate::wire::context::{ContextStatus, read_status};
use crate::wire::endpoint;
use crate::wire::envelope::Fallback;

/// The second look at a synchronisation; small ones are done by then.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// How long, at most half of the limit, tasks that were there before and are over are looked at until they are taken for
/// what was asked for: some services make no new task where nothing has changed, and times may not tell tasks apart.
const GRACE: Duration = Duration::from_secs(10);

const UNPAIRED: &str = "context_id and path must be provided together or both omitted. If you want to sync a specific \
context, both context_id and path are required. If you want to sync all contexts, omit both parameters.";

/// What is synchronised, and which way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncTarget {
    /// Id of one context; blank: all contexts.
    pub context_id: String,
    /// Where that context is mounted; blank together with `context_id`.
    pub path: String,
    /// `upload`, `download`, or empty for the service's default, which is `upload`.
    pub mode: String,
}

impl SyncTarget {
    /// Everything, the service's default way.
    pub fn all() -> Self {
        Self::default()
    }
}

/// How long a synchronisation is waited for: `rounds` looks at most `interval` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncLimits {
    /// `rounds` × `interval` is the longest wait. Default 150.
    pub rounds: u32,
    /// The interval of looks once the quick first ones are over. Default 1.5 s.
    pub interval: Duration,
}

impl Default for SyncLimits {
    fn default() -> Self {
        Self { rounds: 150, interval: Duration::from_millis(1_500) }
    }
}

/// A synchronisation that was started.
#[derive(Debug, Clone, PartialEq)]
pub struct StartedSync {
    /// The service's request id of the start, or an empty text.
    pub request_id: String,
    target: SyncTarget,
    /// The tasks that were there before: none of them is its own.
    earlier: Vec<ContextStatus>,
}

/// What became of the synchronisations of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextItems {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The tasks in the service's order.
    pub items: Vec<ContextStatus>,
}

pub(super) async fn info(
    session: &Session,
    filter: [(&'static str, Option<&str>); 3],
    deadline: Deadline,
) -> Result<ContextItems> {
    let endpoint = &endpoint::CONTEXT_INFO;
    let mut query = vec![("sessionId", session.id().to_owned())];
    let given = filter.into_iter().filter_map(|(key, value)| Some((key, value.filter(|value| !value.is_empty())?)));
    query.extend(given.map(|(key, value)| (key, value.to_owned())));
    let call =
        async { session.agb().call(endpoint, &query, deadline).await?.accept(endpoint.operation, Fallback::Plain) };
    let answer = session.life().using(call).await?;
    let items =
        read_status(answer.data_object()).map_err(|why| answer.error(ErrorKind::Protocol, why, endpoint.operation))?;
    Ok(ContextItems { items, request_id: answer.request_id })
}

pub(super) async fn start(session: &Session, target: &SyncTarget) -> Result<StartedSync> {
    if target.context_id.trim().is_empty() != target.path.trim().is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, UNPAIRED).with_operation(endpoint::SYNC_CONTEXT.operation));
    }
    // What can't be seen is no reason not to synchronise.
    let earlier = look(session, target, session.agb().deadline()).await.unwrap_or_default();
    let request_id = ask(session, target).await?;
    Ok(StartedSync { request_id, target: target.clone(), earlier })
}

async fn ask(session: &Session, target: &SyncTarget) -> Result<String> {
    let endpoint = &endpoint::SYNC_CONTEXT;
    let mut query = vec![("sessionId", session.id().to_owned())];
    if let Some((context_id, path)) = one_context(target) {
        query.push(("contextId", context_id.to_owned()));
        query.push(("path", path.to_owned()));
    }
    if !target.mode.is_empty() {
        query.push(("mode", target.mode.clone()));
    }
    let agb = session.agb();
    let call = async { agb.call(endpoint, &query, agb.deadline()).await?.accept(endpoint.operation, Fallback::Plain) };
    Ok(session.life().using(call).await?.request_id)
}

fn one_context(target: &SyncTarget) -> Option<(&str, &str)> {
    (!target.context_id.trim().is_empty()).then_some((&target.context_id, &target.path))
}

/// The tasks that concern the same contexts.
async fn look(session: &Session, target: &SyncTarget, deadline: Deadline) -> Result<Vec<ContextStatus>> {
    let (context_id, path) = one_context(target).unzip();
    let filter = [("contextId", context_id), ("path", path), ("taskType", None)];
    Ok(info(session, filter, deadline).await?.items)
}

/// Looks, quickly first, until every task has come to its end. A look that fails says nothing about the tasks: it is
/// repeated, unless it says that the session is gone.
pub(super) async fn wait(session: &Session, started: &StartedSync, limits: SyncLimits) -> Result<()> {
    let deadline = Deadline::after(limits.interval.saturating_mul(limits.rounds));
    let grace = Deadline::after(GRACE.min(deadline.limit / 2));
    let mut pause = FIRST_PAUSE.min(limits.interval);
    // How the last look came out that was not cut off.
    let mut last: Option<Result<()>> = None;
    while !deadline.left().is_zero() {
        match look(session, &started.target, session.agb().deadline().min(deadline)).await {
            Ok(items) => {
                let outcome = match verdict(&items, &started.earlier, &started.target.mode) {
                    None if grace.left().is_zero() => verdict(&items, &[], &started.target.mode),
                    outcome => outcome,
                };
                if let Some(outcome) = outcome {
                    return outcome;
                }
                last = Some(Ok(()));
            }
            Err(error) if matches!(error.kind(), ErrorKind::SessionNotFound | ErrorKind::Authentication) => {
                return Err(error);
            }
            Err(error) => {
                tracing::debug!(target: "agb::session", error = error.message(), "state of a synchronisation");
                // A look that the end of the wait cut off tells less than the one before.
                if last.is_none() || !deadline.left().is_zero() {
                    last = Some(Err(error));
                }
            }
        }
        // Never nothing: other tasks of the runtime want to go on.
        tokio::time::sleep(pause.max(Duration::from_millis(1)).min(deadline.left())).await;
        pause = (pause * 2).min(limits.interval);
    }
    Err(not_in_time(limits, last.and_then(Result::err)))
}

/// How a synchronisation came out; `None`: it is not over. One without tasks has nothing to do; one whose tasks are all
/// `earlier` has yet to begin.
fn verdict(items: &[ContextStatus], earlier: &[ContextStatus], mode: &str) -> Option<Result<()>> {
    let considered = considered(items, earlier, mode);
    let (old, own): (Vec<_>, Vec<_>) = considered.into_iter().partition(|item| item.is_among(earlier));
    let has_begun = !own.is_empty() || old.is_empty();
    (has_begun && own.iter().all(|item| item.is_final())).then(|| outcome(&own))
}

/// The tasks of this direction, as far as they can be told from others: a download when the session began may have failed
/// for good, and says nothing about an upload.
fn considered<'a>(items: &'a [ContextStatus], earlier: &[ContextStatus], mode: &str) -> Vec<&'a ContextStatus> {
    let of = |task_type: &str| items.iter().filter(|item| item.task_type == task_type).collect::<Vec<_>>();
    match mode {
        "upload" | "download" => of(mode),
        // Downloads count where the service's default turns out to be that.
        _ => match of("upload") {
            uploads if uploads.is_empty() => {
                of("download").into_iter().filter(|item| !item.is_among(earlier)).collect()
            }
            uploads => uploads,
        },
    }
}

fn outcome(items: &[&ContextStatus]) -> Result<()> {
    let failed: Vec<String> = items
        .iter()
        .filter(|item| item.status == "Failed")
        .map(|item| match item.error_message.as_str() {
            "" => format!("{} at {}", item.context_id, item.path),
            why => format!("{} at {}: {why}", item.context_id, item.path),
        })
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    let text = format!("Context synchronisation failed for {}", failed.join("; "));
    Err(Error::new(ErrorKind::Api, text).with_operation(endpoint::SYNC_CONTEXT.operation))
}

fn not_in_time(limits: SyncLimits, last_fault: Option<Error>) -> Error {
    let seconds = limits.interval.saturating_mul(limits.rounds).as_secs_f64();
    let text = format!("Context synchronisation was not finished within {seconds} s");
    let text = match &last_fault {
        Some(fault) => format!("{text}; the last look at it failed: {}", fault.message()),
        None => text,
    };
    Error::new(ErrorKind::Timeout, text).with_operation(endpoint::SYNC_CONTEXT.operation)
}

#[cfg(test)]
mod tests;
