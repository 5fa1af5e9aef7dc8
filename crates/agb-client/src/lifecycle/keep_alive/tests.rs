use super::*;
use crate::lifecycle::KeepAliveOptions;
use crate::testing::{Server, reply};

const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Moves a clock as an emulator does: from one thing that is due to the next, each done before the next.
async fn advance(clock: &Clock, by: Duration) {
    let mut left = by;
    loop {
        settled(clock).await;
        if left.is_zero() {
            return;
        }
        let step = next_due(clock).map_or(left, |due| due.max(Duration::from_millis(1)).min(left));
        clock.advance(step);
        left -= step;
    }
}

/// The engine's thread may be anywhere when it is asked: between taking a change and acting on it, or between the answer
/// to a beat and the plan for the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_counts_as_settled_that_is_still_being_looked_at() {
    let server = Server::start(|_| reply(200, r#"{"success":true,"code":"ok","requestId":"r"}"#)).await;
    let agb = server.agb();
    for round in 0..300 {
        let clock = Clock::new();
        let life = Life::of_new_session(clock.clone(), Some(IDLE_TIMEOUT));
        watch(&agb, &format!("s-{round}"), &life).unwrap();
        life.start_beating(KeepAliveOptions::default()).unwrap();
        advance(&clock, 3 * IDLE_TIMEOUT).await;
        let beats = life.beating().unwrap().beats;
        assert!((4..=6).contains(&beats), "round {round}: {beats} beats in three minutes");
        life.stop_beating();
    }
}
