//! What time does to sessions: one task, which sleeps until the next thing is due.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{options::ClockFollower, state::Sessions};

/// The shortest step on behalf of a follower.
const SHORTEST_STEP: Duration = Duration::from_millis(1);

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
    follower: Option<Arc<dyn ClockFollower>>,
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
                    () = advance(&sessions, by, follower.as_deref()) => {}
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
async fn advance(sessions: &Arc<Sessions>, by: Duration, follower: Option<&dyn ClockFollower>) {
    let mut left = by;
    let mut step = Duration::ZERO;
    loop {
        // The follower first: a keep-alive in time must not come too late.
        if let Some(follower) = follower {
            follower.advanced(step).await;
        }
        sessions.fire_due();
        sessions.settled().await;
        let own = sessions.next_due().map(|due| sessions.clock.until(due));
        if left.is_zero() && own.is_none_or(|wait| !wait.is_zero()) {
            return;
        }
        // What the follower still wants done now it has not done when it was asked, and is not waited for.
        let followers = follower.and_then(ClockFollower::next_due).map(|wait| wait.max(SHORTEST_STEP));
        step = own.into_iter().chain(followers).min().map_or(left, |wait| wait.min(left));
        sessions.clock.skip(step);
        left -= step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        browser::Browsers,
        clock::Clock,
        sandbox::{Host, HostOptions},
        state::{EndReason, NewSession, Session, SessionState},
    };

    /// Sessions under a lifecycle task, on a real-time clock that the test alone moves.
    async fn living() -> (Arc<Sessions>, mpsc::UnboundedSender<Advance>) {
        let host = Host::probe(HostOptions::default()).await.unwrap();
        // Only now: a probe of the machine must not see time jump.
        tokio::time::pause();
        let sessions =
            Arc::new(Sessions::new(Clock::start(), host, Arc::new(Browsers::new(None)), Arc::default(), Some(1), None));
        let (advances, wishes) = mpsc::unbounded_channel();
        tokio::spawn(run(sessions.clone(), wishes, None, CancellationToken::new()));
        (sessions, advances)
    }

    fn create(sessions: &Sessions, idle_timeout_s: u64) -> Arc<Session> {
        let new = NewSession {
            image_id: "agb-code-space-1".to_owned(),
            idle_timeout: Duration::from_secs(idle_timeout_s),
            labels: serde_json::Map::new(),
            has_link: true,
            mounts: Vec::new(),
        };
        sessions.create(new).unwrap()
    }

    fn state(sessions: &Sessions, session: &Session) -> SessionState {
        sessions.views().into_iter().find(|view| view.id == session.id).unwrap().state
    }

    async fn pass(time: Duration) {
        tokio::time::sleep(time).await;
    }

    #[tokio::test]
    async fn an_idle_session_is_released_one_second_after_its_time_and_not_before() {
        let (sessions, _advances) = living().await;
        let session = create(&sessions, 60);
        pass(Duration::from_millis(60_990)).await;
        assert_eq!(state(&sessions, &session), SessionState::Created);
        pass(Duration::from_millis(20)).await;
        session.ended.cancelled().await;
        sessions.settled().await;
        assert_eq!(state(&sessions, &session), SessionState::Released);
        assert_eq!(sessions.clock.now().as_secs(), 61);
    }

    #[tokio::test]
    async fn the_task_notices_what_is_due_before_what_it_waits_for() {
        let (sessions, _advances) = living().await;
        let long = create(&sessions, 600);
        pass(Duration::from_secs(10)).await;
        let short = create(&sessions, 5);
        short.ended.cancelled().await;
        assert_eq!(sessions.clock.now().as_secs(), 16);
        assert_eq!(state(&sessions, &long), SessionState::Created);
    }

    #[tokio::test]
    async fn the_end_of_a_call_starts_the_timer_that_the_call_held() {
        let (sessions, _advances) = living().await;
        let session = create(&sessions, 60);
        let in_use = sessions.use_session(&session.id, "shell").unwrap();
        let second = sessions.use_session(&session.id, "keepAlive").unwrap();
        pass(Duration::from_secs(500)).await;
        drop(second);
        pass(Duration::from_secs(500)).await;
        assert_eq!(state(&sessions, &session), SessionState::Active);
        drop(in_use);
        session.ended.cancelled().await;
        assert_eq!(sessions.clock.now().as_secs(), 1_061);
    }

    #[tokio::test]
    async fn the_maximum_lifetime_ends_a_session_in_the_middle_of_a_call() {
        let (sessions, _advances) = living().await;
        let session = create(&sessions, 60);
        let _in_use = sessions.use_session(&session.id, "shell").unwrap();
        session.ended.cancelled().await;
        assert_eq!(sessions.clock.now().as_secs(), 1_800);
        assert_eq!(sessions.end_reason(&session.id), Some(EndReason::MaximumLifetime));
    }

    #[tokio::test]
    async fn a_session_is_deleting_while_its_teardown_runs_then_finish_for_thirty_seconds_then_unknown() {
        let (sessions, _advances) = living().await;
        let session = create(&sessions, 60);
        let released = sessions.release(&session.id, EndReason::ApiCall).unwrap();
        assert_eq!(sessions.wire_status(&session.id), Some("DELETING"));
        assert!(sessions.use_session(&session.id, "shell").is_none());
        assert!(sessions.release(&session.id, EndReason::IdleTimeout).is_some(), "a second release joins the first");
        released.finished().await;
        assert_eq!(sessions.wire_status(&session.id), Some("FINISH"));
        assert!(sessions.release(&session.id, EndReason::ApiCall).is_none());
        assert_eq!(sessions.end_reason(&session.id), Some(EndReason::ApiCall));
        pass(Duration::from_millis(29_900)).await;
        assert_eq!(sessions.wire_status(&session.id), Some("FINISH"));
        pass(Duration::from_millis(200)).await;
        assert_eq!(sessions.wire_status(&session.id), None);
    }

    #[tokio::test]
    async fn an_advance_has_done_everything_within_it_when_it_returns() {
        let (sessions, advances) = living().await;
        let session = create(&sessions, 60);
        let (done, wait) = oneshot::channel();
        advances.send(Advance { by: Duration::from_secs(61), done }).unwrap();
        wait.await.unwrap();
        assert_eq!(sessions.wire_status(&session.id), Some("FINISH"));
        assert_eq!(sessions.clock.now().as_secs(), 61);
    }

    #[tokio::test]
    async fn closing_ends_an_advance_that_waits_for_its_follower() {
        let host = Host::probe(HostOptions::default()).await.unwrap();
        let sessions =
            Arc::new(Sessions::new(Clock::start(), host, Arc::new(Browsers::new(None)), Arc::default(), Some(1), None));
        let (advances, wishes) = mpsc::unbounded_channel();
        let closing = CancellationToken::new();
        struct Stuck;
        impl ClockFollower for Stuck {
            fn next_due(&self) -> Option<Duration> {
                None
            }
            fn advanced(&self, _: Duration) -> futures_util::future::BoxFuture<'static, ()> {
                Box::pin(std::future::pending())
            }
        }
        let task = tokio::spawn(run(sessions, wishes, Some(Arc::new(Stuck)), closing.clone()));
        let (done, wait) = oneshot::channel();
        advances.send(Advance { by: Duration::from_secs(1), done }).unwrap();
        tokio::task::yield_now().await;
        closing.cancel();
        task.await.unwrap();
        assert!(wait.await.is_err());
    }
}
