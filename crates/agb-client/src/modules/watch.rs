//! Watching a directory: asks for its changes again and again, and hands each answer to a listener.

use std::future::Future;
use std::time::Duration;

use super::filesystem::{FileEvent, file_change};
use crate::error::{Error, ErrorKind};
use crate::tool::CallTool;

/// The shortest pause between two looks.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// The longest pause after looks that failed, where the interval itself is not longer.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// Looks at the directory `path` until the session is gone or `deliver` says that nobody listens any more (`false`).
/// Dropping the future ends the watch, too; then nothing more is delivered.
///
/// Every answer is delivered, the first and empty ones included, before the next pause begins. The pause is `interval`
/// (at least 1 ms); after looks that failed it doubles, up to 30 s or `interval`, whichever is longer. Source:
/// docs/protocol.md, section "Watching a directory".
pub async fn watch<T, Deliver, Delivered>(tools: &T, path: &str, interval: Duration, mut deliver: Deliver)
where
    T: CallTool,
    Deliver: FnMut(Vec<FileEvent>) -> Delivered + Send,
    Delivered: Future<Output = bool> + Send,
{
    let interval = interval.max(SHORTEST_INTERVAL);
    let mut pause = interval;
    loop {
        match file_change(tools, path).await {
            Ok((_, change)) => {
                pause = interval;
                if !deliver(change.events).await {
                    return;
                }
            }
            Err(error) if is_gone(&error) => {
                tracing::warn!(target: "agb::watch", path, error = error.message(), "watch ended: the session is gone");
                return;
            }
            Err(error) => {
                if pause == interval {
                    tracing::warn!(target: "agb::watch", path, error = error.message(), "look at a directory failed");
                }
                pause = (pause * 2).min(LONGEST_BACK_OFF.max(interval));
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Will no further look succeed? The link route tells of a released session in words only.
fn is_gone(error: &Error) -> bool {
    let text = error.message().to_lowercase();
    error.kind() == ErrorKind::SessionNotFound
        || (text.contains("session") && (text.contains("expired") || text.contains("invalid")))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use tokio::time::Instant;

    use super::super::fake::{FakeTools, assert_send, refused};
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);
    const ONE: &str = r#"[{"eventType":"create","path":"/d/a","pathType":"file"}]"#;

    /// Tools that answer by the number of the call, from 0.
    fn scripted(script: impl Fn(usize) -> Result<Option<String>, Error> + Send + Sync + 'static) -> FakeTools {
        let calls = AtomicUsize::new(0);
        FakeTools::new(move |tool, args| {
            assert_eq!((tool, args["path"].as_str()), ("get_file_change", Some("/d")));
            script(calls.fetch_add(1, Ordering::Relaxed))
        })
    }

    /// The number of events of each delivery and when it came, until `most` came.
    async fn deliveries(tools: &FakeTools, most: usize) -> Vec<(usize, Duration)> {
        let (start, seen) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let journal = seen.clone();
        assert_send(watch(tools, "/d", INTERVAL, move |events| {
            let mut journal = journal.lock().unwrap();
            journal.push((events.len(), start.elapsed()));
            let more = journal.len() < most;
            async move { more }
        }))
        .await;
        Arc::try_unwrap(seen).unwrap().into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn every_answer_is_delivered_at_the_interval() {
        let tools = scripted(|call| Ok(Some(if call == 1 { ONE } else { "[]" }.to_owned())));
        assert_eq!(deliveries(&tools, 3).await, [(0, Duration::ZERO), (1, INTERVAL), (0, INTERVAL * 2)]);
        assert_eq!(tools.calls().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_double_the_pause_up_to_half_a_minute_and_a_success_resets_it() {
        let tools = scripted(|call| if (1..8).contains(&call) { Err(refused("busy")) } else { Ok(None) });
        let after: u64 = 1 + 2 + 4 + 8 + 16 + 30 + 30 + 30;
        let times: Vec<_> = deliveries(&tools, 3).await.into_iter().map(|(_, at)| at.as_secs()).collect();
        assert_eq!(times, [0, after, after + 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_is_gone_ends_the_watch() {
        let gone = [
            Error::new(ErrorKind::SessionNotFound, "Resource [McpSession] is not found"),
            refused("The Session has EXPIRED"),
            refused("invalid session id"),
        ];
        for error in gone {
            let (kind, text) = (error.kind(), error.message().to_owned());
            let tools = scripted(move |_| Err(Error::new(kind, text.clone())));
            assert!(deliveries(&tools, 1).await.is_empty());
            assert_eq!(tools.calls().len(), 1);
        }
        assert!(!is_gone(&refused("invalid path")) && !is_gone(&refused("session is busy")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_watch_delivers_nothing_more() {
        let tools = scripted(|_| Ok(Some(ONE.to_owned())));
        let count = AtomicUsize::new(0);
        let watching = watch(&tools, "/d", INTERVAL, |_| {
            count.fetch_add(1, Ordering::Relaxed);
            async { true }
        });
        assert!(tokio::time::timeout(INTERVAL * 5 / 2, watching).await.is_err());
        tokio::time::sleep(INTERVAL * 10).await;
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }
}
