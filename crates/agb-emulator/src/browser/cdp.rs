//! Chromium's debugging protocol over a pair of pipes: JSON messages with a zero byte after each.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;

/// The longest message; pictures of long pages are the longest there are.
const MAX_MESSAGE_BYTES: usize = 256 << 20;
/// Events that nobody has taken yet; older ones are dropped.
const EVENTS: usize = 256;
const ENDED: &str = "the browser has ended";

type Calls = HashMap<u64, oneshot::Sender<Result<Value, String>>>;

/// An open connection. Chromium ends when it is dropped, and so when the emulator dies.
#[derive(Debug)]
pub(crate) struct Cdp {
    requests: tokio::sync::Mutex<Option<Sender>>,
    shared: Arc<Shared>,
    last_id: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    calls: Mutex<Calls>,
    events: broadcast::Sender<Arc<Value>>,
    ended: CancellationToken,
}

impl Cdp {
    pub(super) fn open(requests: OwnedFd, answers: OwnedFd) -> io::Result<Self> {
        let requests = tokio::sync::Mutex::new(Some(Sender::from_owned_fd(requests)?));
        let answers = Receiver::from_owned_fd(answers)?;
        let (events, _) = broadcast::channel(EVENTS);
        let shared = Arc::new(Shared { calls: Mutex::default(), events, ended: CancellationToken::new() });
        tokio::spawn(Arc::clone(&shared).read(answers));
        Ok(Self { requests, shared, last_id: AtomicU64::new(0) })
    }

    /// Calls a method, of the browser or of an attached target, and waits for its answer at most `limit`.
    pub(super) async fn call(
        &self,
        target: Option<&str>,
        method: &str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, String> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (answer, wait) = oneshot::channel();
        self.shared.calls().insert(id, answer);
        let answered = tokio::time::timeout(limit, async {
            self.send(id, target, method, params).await?;
            tokio::select! {
                answer = wait => answer.unwrap_or_else(|_| Err(ENDED.to_owned())),
                () = self.shared.ended.cancelled() => Err(ENDED.to_owned()),
            }
        });
        let outcome =
            answered.await.unwrap_or_else(|_| Err(format!("{method} took longer than {} s", limit.as_secs())));
        self.shared.calls().remove(&id);
        outcome
    }

    async fn send(&self, id: u64, target: Option<&str>, method: &str, params: Value) -> Result<(), String> {
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let (Some(target), Some(message)) = (target, message.as_object_mut()) {
            message.insert("sessionId".to_owned(), target.into());
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let mut requests = self.requests.lock().await;
        let Some(pipe) = requests.as_mut() else { return Err(ENDED.to_owned()) };
        pipe.write_all(&bytes).await.map_err(|_| ENDED.to_owned())
    }

    /// The events from now on.
    pub(super) fn events(&self) -> broadcast::Receiver<Arc<Value>> {
        self.shared.events.subscribe()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.shared.ended.is_cancelled()
    }

    /// Closes the pipe, which makes Chromium end in good order.
    pub(super) async fn close(&self) {
        *self.requests.lock().await = None;
    }
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(self: Arc<Self>, mut answers: Receiver) {
        let mut buffer = Vec::new();
        let mut chunk = vec![0; 64 << 10];
        while let Ok(count @ 1..) = answers.read(&mut chunk).await {
            let mut rest = chunk.get(..count).unwrap_or_default();
            while let Some(end) = rest.iter().position(|byte| *byte == 0) {
                let (message, after) = rest.split_at(end);
                buffer.extend_from_slice(message);
                self.take(&buffer);
                buffer.clear();
                rest = after.get(1..).unwrap_or_default();
            }
            buffer.extend_from_slice(rest);
            if buffer.len() > MAX_MESSAGE_BYTES {
                break;
            }
        }
        self.ended.cancel();
        self.calls().clear();
    }

    fn take(&self, bytes: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Value>(bytes) else { return };
        let Some(id) = message.get("id").and_then(Value::as_u64) else {
            // Fails when nobody listens.
            let _ = self.events.send(Arc::new(message));
            return;
        };
        let Some(call) = self.calls().remove(&id) else { return };
        let outcome = match message.pointer("/error/message").and_then(Value::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Ok(message.get("result").cloned().unwrap_or_default()),
        };
        // Fails when the caller has given up.
        let _ = call.send(outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read, Write};

    use super::*;

    const SECOND: Duration = Duration::from_secs(10);

    fn connected() -> (Cdp, PipeReader, PipeWriter) {
        let (requests, our_requests) = io::pipe().unwrap();
        let (our_answers, answers) = io::pipe().unwrap();
        (Cdp::open(our_requests.into(), our_answers.into()).unwrap(), requests, answers)
    }

    fn read_message(pipe: &mut PipeReader) -> Value {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while pipe.read(&mut byte).unwrap() == 1 && byte != [0] {
            bytes.extend(byte);
        }
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn answers_find_their_calls_in_any_order_and_pieces() {
        let (cdp, mut requests, mut answers) = connected();
        let peer = tokio::task::spawn_blocking(move || {
            let (one, two) = (read_message(&mut requests), read_message(&mut requests));
            let text = format!("{{\"id\":{},\"result\":{{\"n\":2}}}}\0{{\"id\":{}", two["id"], one["id"]);
            answers.write_all(text.as_bytes()).unwrap();
            answers.write_all(b",\"error\":{\"message\":\"no\"}}\0").unwrap();
            (requests, answers, one)
        });
        let first = cdp.call(Some("T"), "A.a", json!({"x": 1}), SECOND);
        let second = cdp.call(None, "B.b", json!({}), SECOND);
        let (first, second) = tokio::join!(biased; first, second);
        assert_eq!(first, Err("no".to_owned()));
        assert_eq!(second, Ok(json!({"n": 2})));
        let (.., one) = peer.await.unwrap();
        assert_eq!((&one["method"], &one["sessionId"], &one["params"]), (&json!("A.a"), &json!("T"), &json!({"x": 1})));
    }

    #[tokio::test]
    async fn the_end_of_the_browser_ends_calls_and_later_ones() {
        let (cdp, requests, answers) = connected();
        drop((requests, answers));
        assert_eq!(cdp.call(None, "A.a", json!({}), SECOND).await, Err(ENDED.to_owned()));
        assert_eq!(cdp.call(None, "A.a", json!({}), SECOND).await, Err(ENDED.to_owned()));
        cdp.shared.ended.cancelled().await;
        assert!(cdp.has_ended());
    }

    #[tokio::test]
    async fn a_call_without_answer_ends_at_its_limit_and_garbage_is_passed_over() {
        let (cdp, _requests, mut answers) = connected();
        let mut events = cdp.events();
        answers.write_all(b"garbage\0{\"method\":\"E.e\"}\0").unwrap();
        assert_eq!(events.recv().await.unwrap()["method"], "E.e");
        let error = cdp.call(None, "A.a", json!({}), Duration::from_millis(20)).await.unwrap_err();
        assert!(error.starts_with("A.a took longer"), "{error}");
        assert!(cdp.shared.calls().is_empty());
    }
}
