//! The service's task that carries a directory's files between store and session.

use std::time::Duration;

use crate::context::ContextStatus;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Deadline;

use super::service::Service;

/// The second look at a task; most are done by then.
const FIRST_PAUSE: Duration = Duration::from_millis(30);

/// Words for a good end, in lower case.
const DONE: [&str; 7] = ["success", "successful", "ok", "finished", "done", "completed", "complete"];
/// Words for a bad end, in lower case.
const FAILED: [&str; 5] = ["failed", "failure", "error", "cancelled", "canceled"];

/// Which way, as seen from the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the store into the session.
    Download,
    /// From the session into the store.
    Upload,
}

impl Direction {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
        }
    }
}

/// A task for one directory.
pub(super) struct Task<'a> {
    pub(super) service: Service<'a>,
    pub(super) context_id: &'a str,
    pub(super) directory: String,
    pub(super) direction: Direction,
}

/// A wait that did not end well.
pub(super) enum Unfinished {
    /// The task failed, or its session is gone: there is nothing to wait for.
    Failed(Error),
    /// The time is over; the task may still end.
    OutOfTime(Error),
}

impl Unfinished {
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// The error, with words before it.
    pub(super) fn prefixed(self, words: &str) -> Error {
        match self {
            Self::Failed(error) | Self::OutOfTime(error) => error.prefixed(words),
        }
    }
}

impl Task<'_> {
    /// The tasks that exist before ours is asked for: none of them is ours.
    pub(super) async fn seen(&self) -> Result<Vec<ContextStatus>> {
        let items = self.look(self.service.session.agb().deadline()).await;
        items.map_err(|error| error.prefixed("info error"))
    }

    /// Asks for the task; gives the request id.
    pub(super) async fn ask(&self) -> (Option<String>, Result<()>) {
        self.service.sync(self.context_id, &self.directory, self.direction).await
    }

    /// Waits until a task that is not among `earlier` has done its work. Looks quickly first, then every `interval`.
    pub(super) async fn wait(
        &self,
        earlier: &[ContextStatus],
        limit: Duration,
        interval: Duration,
    ) -> std::result::Result<(), Unfinished> {
        let deadline = Deadline::after(limit);
        let mut pause = FIRST_PAUSE.min(interval);
        let mut last = None;
        while !deadline.left().is_zero() {
            match self.look(self.service.session.agb().deadline().min(deadline)).await {
                Ok(items) => match verdict(&items, earlier) {
                    Some(outcome) => return outcome.map_err(Unfinished::Failed),
                    None => last = Some(Error::new(ErrorKind::Timeout, "task not finished")),
                },
                Err(error) if matches!(error.kind(), ErrorKind::SessionNotFound | ErrorKind::Authentication) => {
                    return Err(Unfinished::Failed(error.prefixed("info error")));
                }
                // A look that the end of the wait cut off tells less than the one before.
                Err(error) if last.is_none() || !deadline.left().is_zero() => last = Some(error.prefixed("info error")),
                Err(_) => {}
            }
            tokio::time::sleep(pause.min(deadline.left())).await;
            pause = (pause * 2).min(interval.max(FIRST_PAUSE));
        }
        Err(Unfinished::OutOfTime(last.unwrap_or_else(|| Error::new(ErrorKind::Timeout, "timeout"))))
    }

    /// The tasks that concern this directory and direction.
    async fn look(&self, deadline: Deadline) -> Result<Vec<ContextStatus>> {
        let items = self.service.tasks(self.context_id, &self.directory, self.direction, deadline).await?;
        let concerns = |item: &ContextStatus| {
            item.context_id == self.context_id && item.path == self.directory && item.task_type == self.direction.name()
        };
        Ok(items.into_iter().filter(concerns).collect())
    }
}

/// How the first new task that came to an end came out; `None`: none did yet.
fn verdict(items: &[ContextStatus], earlier: &[ContextStatus]) -> Option<Result<()>> {
    items.iter().filter(|item| !item.is_among(earlier)).find_map(|item| {
        let status = item.status.to_lowercase();
        if !item.error_message.is_empty() {
            return Some(Err(Error::new(ErrorKind::Api, format!("Task error: {}", item.error_message))));
        }
        if FAILED.contains(&status.as_str()) {
            return Some(Err(Error::new(ErrorKind::Api, format!("Task error: status {}", item.status))));
        }
        DONE.contains(&status.as_str()).then_some(Ok(()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(start_time: f64, status: &str, error_message: &str) -> ContextStatus {
        ContextStatus {
            start_time,
            status: status.into(),
            error_message: error_message.into(),
            ..ContextStatus::default()
        }
    }

    fn text(items: &[ContextStatus], earlier: &[ContextStatus]) -> String {
        match verdict(items, earlier) {
            None => "none".to_owned(),
            Some(Ok(())) => "done".to_owned(),
            Some(Err(error)) => error.message().to_owned(),
        }
    }

    #[test]
    fn every_word_for_an_end_is_known_in_any_case() {
        for word in ["Success", "SUCCESSFUL", "ok", "Finished", "done", "Completed", "complete"] {
            assert_eq!(text(&[item(1.0, word, "")], &[]), "done");
        }
        for word in ["Failed", "Cancelled", "ERROR"] {
            assert_eq!(text(&[item(1.0, word, "")], &[]), format!("Task error: status {word}"));
        }
        for word in ["", "InProgress", "Pending", "Running"] {
            assert_eq!(text(&[item(1.0, word, "")], &[]), "none");
        }
        assert_eq!(text(&[item(1.0, "Success", "no space")], &[]), "Task error: no space");
    }

    #[test]
    fn what_was_there_before_does_not_count() {
        let earlier = [item(1.0, "Success", ""), item(2.0, "InProgress", "")];
        assert_eq!(text(&earlier, &earlier), "none");
        // It ended meanwhile, but it began before our file was there.
        assert_eq!(text(&[item(2.0, "Success", "")], &earlier), "none");
        assert_eq!(text(&[item(2.0, "Failed", ""), item(3.0, "Success", "")], &earlier), "done");
    }

    #[test]
    fn tasks_without_times_are_taken_as_they_are() {
        assert_eq!(text(&[item(0.0, "Success", "")], &[item(0.0, "Success", "")]), "done");
    }
}
