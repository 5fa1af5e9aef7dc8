use std::sync::Arc;

use axum::Router;
use axum::extract::RawQuery;
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use super::*;
use crate::lifecycle::{KeepAliveOptions, LifecycleEvent, Release, ReleaseReason};
use crate::session::SessionDetails;
use crate::testing::{CLOSED_URL, Server, agb, reply, while_stuck};

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
    let server = answering().await;
    let agb = server.agb();
    for round in 0..300 {
        let clock = Clock::manual();
        let life = Life::of_new_session(clock.clone(), Some(IDLE_TIMEOUT), clock.moment());
        watch(&agb, &format!("s-{round}"), &life).unwrap();
        life.start_beating(KeepAliveOptions::default()).unwrap();
        advance(&clock, 3 * IDLE_TIMEOUT).await;
        let beats = life.beating().unwrap().beats;
        assert!((4..=6).contains(&beats), "round {round}: {beats} beats in three minutes");
        life.stop_beating();
    }
}

/// A service that answers every beat.
async fn answering() -> Server {
    Server::start(|_| reply(200, r#"{"success":true,"code":"ok","requestId":"r"}"#)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beat_that_a_call_put_off_is_sent_as_soon_as_the_call_has_failed() {
    let server = answering().await;
    let clock = Clock::manual();
    let life = Life::of_new_session(clock.clone(), Some(IDLE_TIMEOUT), clock.moment());
    life.start_beating(KeepAliveOptions::default()).unwrap();
    watch(&server.agb(), "s-1", &life).unwrap();
    advance(&clock, IDLE_TIMEOUT / 3).await;
    let call = life.begin();
    advance(&clock, IDLE_TIMEOUT * 5 / 12).await;
    assert_eq!(life.beating().unwrap().beats, 0, "the call has put it off");
    drop(call);
    settled(&clock).await;
    assert_eq!(life.beating().unwrap().beats, 1);
    life.stop_beating();
}

/// A service that never answers for the sessions whose ids begin with `stuck`.
struct HalfStuck {
    url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for HalfStuck {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HalfStuck {
    async fn start() -> Self {
        let answer = async |RawQuery(query): RawQuery| {
            if query.is_some_and(|query| query.contains("sessionId=stuck")) {
                std::future::pending::<()>().await;
            }
            r#"{"success":true,"code":"ok","requestId":"r"}"#
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(any(answer));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, task }
    }
}

/// A session whose beat is due now.
fn due(agb: &Agb, session_id: &str) -> Life {
    let clock = Clock::manual();
    // So long that a beat may take as long as one may.
    let life = Life::of_new_session(clock.clone(), Some(10 * IDLE_TIMEOUT), clock.moment());
    clock.advance(10 * IDLE_TIMEOUT.mul_f64(0.75));
    life.start_beating(KeepAliveOptions::default()).unwrap();
    watch(agb, session_id, &life).unwrap();
    life
}

/// Waits until the engine has looked at everything that has changed.
async fn looked() {
    while ENGINE.lock().is_turning || !ENGINE.changed().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keep_alive_that_is_started_again_and_stopped_during_a_beat_leaves_nothing_to_wait_for() {
    let stuck = HalfStuck::start().await;
    let agb = agb(&stuck.url, &[]);
    let clock = Clock::manual();
    // What is counted on its clock stays while it is there.
    let other = Life::of_found_session(clock.clone());
    let _subscription = other.subscribe(Arc::new(|_| {}));
    watch(&agb, "s-1", &other).unwrap();
    // So short that a beat fails within seconds.
    let life = Life::of_new_session(clock.clone(), Some(3 * PATIENCE), clock.moment());
    clock.advance(PATIENCE * 5 / 2);
    life.start_beating(KeepAliveOptions::default()).unwrap();
    watch(&agb, "stuck-1", &life).unwrap();
    for _ in 0..3 {
        looked().await;
        life.start_beating(KeepAliveOptions::default()).unwrap();
    }
    looked().await;
    life.stop_beating();
    tokio::time::timeout(LONGEST_SLEEP, settled(&clock)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_unknown_times_that_nobody_listens_to_any_more_is_forgotten() {
    let agb = agb(CLOSED_URL, &[]);
    let clock = Clock::manual();
    let life = Life::of_found_session(clock.clone());
    let subscription = life.subscribe(Arc::new(|_| {}));
    watch(&agb, "s-1", &life).unwrap();
    settled(&clock).await;
    let weak = life.downgrade();
    drop((life, subscription));
    settled(&clock).await;
    assert!(weak.upgrade().is_none());
}

/// No beat of a stuck session has to fail first.
async fn is_beaten_beside_stuck_ones(agb: &Agb, other: &Agb) {
    let stuck: Vec<_> = (0..2 * lane::BEATS_AT_ONCE).map(|number| due(other, &format!("stuck-{number}"))).collect();
    let life = due(agb, "s-1");
    while life.beating().unwrap().beats == 0 {
        assert!(stuck.iter().all(|life| life.beating().unwrap().failures == 0), "it had to wait for the stuck ones");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for life in stuck.iter().chain([&life]) {
        life.stop_beating();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beats_that_are_not_answered_hold_up_neither_other_services_nor_the_same_one() {
    let (first, second) = (HalfStuck::start().await, HalfStuck::start().await);
    let (agb, other) = (crate::testing::agb(&first.url, &[]), crate::testing::agb(&second.url, &[]));
    is_beaten_beside_stuck_ones(&agb, &other).await;
    is_beaten_beside_stuck_ones(&agb, &agb).await;
}

/// The runtime's connections are open, and its one thread does nothing any more.
#[test]
fn beats_go_out_while_the_runtime_of_all_other_calls_is_stuck() {
    let one_thread = || Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (service, shared) = (one_thread(), one_thread());
    let server = service.block_on(answering());
    let agb = server.agb();
    let clock = Clock::manual();
    let life = Life::of_new_session(clock.clone(), Some(IDLE_TIMEOUT), clock.moment());
    let other = agb.attach("s-2", SessionDetails::default());
    shared.block_on(async {
        // A keep-alive that begins there, and has beaten already.
        life.start_beating(KeepAliveOptions::default()).unwrap();
        watch(&agb, "s-1", &life).unwrap();
        shared.spawn(async move { other.keep_alive().await }).await.unwrap().unwrap();
        advance(&clock, IDLE_TIMEOUT).await;
    });
    let before = life.beating().unwrap().beats;
    assert!(before >= 1);
    while_stuck(&shared, || {
        // The last one came 18 to 30 s ago.
        clock.advance(IDLE_TIMEOUT.mul_f64(0.45));
        let end = Instant::now() + LONGEST_SLEEP;
        while life.beating().unwrap().beats == before {
            assert!(Instant::now() < end, "{life:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    life.stop_beating();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_not_there_is_told_of_until_the_end_is_reckoned() {
    let agb = agb(CLOSED_URL, &[]);
    let clock = Clock::manual();
    let life = Life::of_new_session(clock.clone(), Some(IDLE_TIMEOUT), clock.moment());
    let events: Arc<Mutex<Vec<LifecycleEvent>>> = Arc::default();
    let sink = events.clone();
    let _subscription = life.subscribe(Arc::new(move |event| sink.lock().unwrap().push(event.clone())));
    life.start_beating(KeepAliveOptions::default()).unwrap();
    watch(&agb, "s-1", &life).unwrap();
    advance(&clock, 2 * IDLE_TIMEOUT).await;

    let told = events.lock().unwrap().clone();
    let [failures @ .., LifecycleEvent::Released(release)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(*release, Release { reason: ReleaseReason::IdleTimeout, confirmed: false });
    let failures: Vec<_> = failures
        .iter()
        .filter_map(|event| match event {
            LifecycleEvent::KeepAliveFailed(failure) => Some(failure),
            _ => None,
        })
        .collect();
    assert!(failures.len() >= 4, "{told:?}");
    for (failure, attempt) in failures.into_iter().zip(1..) {
        // Near the end a beat has only this, which a busy machine may need to find out that nobody is there.
        let is_late = failure.message.starts_with("timeout of 250ms");
        assert!(failure.message.contains("could not connect") || is_late, "{failure:?}");
        assert!(failure.attempt == attempt && failure.will_retry, "{failure:?}");
    }
}
