//! What time does to sessions: one task, which sleeps until the next thing is due.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{options::AdvanceHook, state::Sessions};

/// A wish to move the clock forward.
#[derive(Debug)]
pub(crate) struct Advance {
    pub(crate) by: Duration,
    /// Told when everything within the jump is done.
    pub(crate) done: oneshot::Sender<()>,
}

/// Runs until `closing`. It alone moves the clock, so that two advances never mix.
pub(crate) async fn run(
    sessions: Arc<Sessions>,
    mut advances: mpsc::UnboundedReceiver<Advance>,
    on_advance: Option<AdvanceHook>,
    closing: CancellationToken,
) {
    loop {
        sessions.fire_due();
        let next = sessions.arm();
        tokio::select! {
            biased;
            () = closing.cancelled() => return,
            () = sessions.sooner.notified() => {}
            Some(Advance { by, done }) = advances.recv() => {
                tokio::select! {
                    () = closing.cancelled() => return,
                    () = advance(&sessions, by, on_advance.as_ref()) => {}
                }
                // Nobody may be waiting any more; the clock has moved all the same.
                let _ = done.send(());
            }
            () = sleep_until(&sessions, next) => {}
        }
    }
}

async fn sleep_until(sessions: &Sessions, next: Option<Duration>) {
    match next {
        Some(at) => tokio::time::sleep(sessions.clock.until(at)).await,
        None => std::future::pending().await,
    }
}

/// Goes from one due event to the next, and waits until each is done before it goes on, so that what real time would
/// have done is done within the jump, and in its order.
async fn advance(sessions: &Arc<Sessions>, by: Duration, on_advance: Option<&AdvanceHook>) {
    let mut left = by;
    loop {
        sessions.fire_due();
        sessions.settled().await;
        let step = sessions.next_due().map_or(left, |due| sessions.clock.until(due).min(left));
        if !step.is_zero() {
            sessions.clock.skip(step);
            left -= step;
            if let Some(hook) = on_advance {
                hook(step).await;
            }
        } else if left.is_zero() {
            return;
        }
    }
}
