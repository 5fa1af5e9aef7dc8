//! What time, calls and the end of the emulator do to sessions.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use agb_emulator::{ClockFollower, EmulatorOptions, EndReason, SessionState};
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::support::{CODE_IMAGE, NO_SESSION, Peer, http, send, until};

#[tokio::test]
async fn of_two_sessions_the_one_that_is_kept_alive_outlives_the_other() {
    let peer = Peer::start().await;
    let (left, kept) = (peer.session(60).await, peer.session(60).await);
    peer.advance(45).await;
    peer.post(&format!("/mcp/refreshSessionIdleTime?sessionId={kept}"), json!({})).await.data();
    peer.advance(20).await;
    assert_eq!(peer.status(&left).await, "FINISH");
    assert_eq!(peer.status(&kept).await, "RUNNING");
    assert_eq!(peer.view(&left).end_reason, Some(EndReason::IdleTimeout));
    peer.advance(50).await;
    assert_eq!(peer.status(&left).await, NO_SESSION);
    assert_eq!(peer.status(&kept).await, "FINISH");
}

#[tokio::test]
async fn polling_and_listing_keep_nothing_alive() {
    let peer = Peer::start().await;
    let id = peer.session(600).await;
    for _ in 0..5 {
        peer.advance(100).await;
        assert_eq!(peer.status(&id).await, "RUNNING");
        peer.get("/sdk/ListSession").await.data();
        peer.post(&format!("/mcp/listTools?imageId={CODE_IMAGE}"), json!({})).await.data();
    }
    peer.advance(110).await;
    assert_eq!(peer.status(&id).await, "FINISH");
}

#[tokio::test]
async fn every_call_that_uses_a_session_restarts_its_timer() {
    let peer = Peer::start().await;
    let id = peer.session(180).await;
    let body = json!({"sessionId": id});
    for round in 0..9 {
        peer.advance(150).await;
        let reply = match round {
            0 => peer.post("/mcp/getSession", body.clone()).await,
            1 => peer.post("/mcp/getMcpResource", body.clone()).await,
            2 => peer.post(&format!("/sdk/SetLabel?sessionId={id}&Labels=%7B%22a%22:1%7D"), json!({})).await,
            3 => peer.get(&format!("/sdk/GetLabel?sessionId={id}")).await,
            4 => peer.get(&format!("/internet/getLink?sessionId={id}&port=30100")).await,
            5 => peer.shell(&id, "true").await,
            6 => peer.post(&format!("/mcp/refreshSessionIdleTime?sessionId={id}"), json!({})).await,
            7 => peer.post(&format!("/sdk/SyncContext?sessionId={id}"), json!({})).await,
            _ => peer.get(&format!("/sdk/GetContextInfo?sessionId={id}")).await,
        };
        reply.data();
        let view = peer.view(&id);
        assert!(view.time_left_s > 100.0, "round {round}: {} s left", view.time_left_s);
    }
}

#[tokio::test]
async fn a_call_in_flight_holds_the_timer_and_its_end_restarts_it() {
    let peer = Peer::start().await;
    let id = peer.session(60).await;
    let waiting = peer.shell(&id, "while [ ! -e go ]; do sleep 0.02; done; echo went");
    let meanwhile = async {
        peer.until(&id, SessionState::Active).await;
        peer.advance(600).await;
        assert_eq!(peer.view(&id).state, SessionState::Active);
        assert_eq!(peer.view(&id).time_left_s, 60.0);
        peer.shell(&id, "touch go").await.data();
    };
    let (reply, ()) = tokio::join!(waiting, meanwhile);
    assert!(reply.tool().1.contains("went"), "{}", reply.body);
    assert_eq!(peer.view(&id).state, SessionState::Idle);
    peer.advance(50).await;
    assert_eq!(peer.status(&id).await, "RUNNING");
    peer.advance(12).await;
    assert_eq!(peer.status(&id).await, "FINISH");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_maximum_lifetime_ends_even_a_call_in_flight_and_its_processes() {
    use crate::support::processes_with;

    let peer = Peer::start().await;
    let id = peer.session(3_600).await;
    assert!((1_790.0..=1_800.0).contains(&peer.view(&id).time_left_s), "never more than the lifetime left");
    let word = format!("{}.25", 4_000_000 + std::process::id());
    let command = format!("exec sleep {word}");
    let waiting = peer.shell(&id, &command);
    let meanwhile = async {
        until("the command runs", || processes_with(&word) > 0).await;
        peer.advance(1_700).await;
        assert_eq!(peer.status(&id).await, "RUNNING");
        peer.advance(100).await;
        assert_eq!(peer.status(&id).await, "FINISH");
    };
    let (reply, ()) = tokio::join!(waiting, meanwhile);
    let message = reply.failed(200, "InvalidSession.NotFound");
    assert!(message.contains("not found") && message.contains("maximum lifetime of 1800 s"), "{message}");
    assert_eq!(peer.view(&id).end_reason, Some(EndReason::MaximumLifetime));
    until("its process is gone", || processes_with(&word) == 0).await;
}

#[tokio::test]
async fn keeping_alive_does_not_pass_the_maximum_lifetime() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    for _ in 0..7 {
        peer.advance(250).await;
        peer.post(&format!("/mcp/refreshSessionIdleTime?sessionId={id}"), json!({})).await.data();
    }
    peer.advance(50).await;
    assert_eq!(peer.view(&id).end_reason, Some(EndReason::MaximumLifetime));
}

#[tokio::test]
async fn finish_can_be_seen_for_thirty_seconds_and_the_emulator_remembers_longer() {
    let peer = Peer::start().await;
    let id = peer.session(60).await;
    peer.post("/mcp/releaseSession", json!({"sessionId": id})).await.data();
    peer.advance(5).await;
    assert_eq!(peer.status(&id).await, "FINISH");
    assert_eq!(peer.view(&id).wire_status, "FINISH");
    peer.advance(26).await;
    assert_eq!(peer.status(&id).await, NO_SESSION);
    let view = peer.view(&id);
    assert_eq!((view.state, view.wire_status), (SessionState::Released, "NOT_FOUND"));
    assert_eq!((view.time_left_s, view.lifetime_left_s), (0.0, 0.0));
}

#[tokio::test]
async fn only_the_last_thousand_released_sessions_are_remembered() {
    let peer = Peer::start().await;
    let mut ids = Vec::new();
    for _ in 0..1_003 {
        ids.push(peer.session(60).await);
        peer.post("/mcp/releaseSession", json!({"sessionId": ids.last()})).await.data();
    }
    peer.advance(31).await;
    let remembered: Vec<String> = peer.emulator.sessions().into_iter().map(|view| view.id).collect();
    assert_eq!(remembered.len(), 1_000);
    assert!(remembered.contains(ids.last().unwrap()));
}

#[tokio::test]
async fn without_advancing_sessions_end_in_real_time_and_never_early() {
    let peer = Peer::start().await;
    let before = Instant::now();
    let id = peer.session(1).await;
    peer.until(&id, SessionState::Released).await;
    assert!(before.elapsed() >= Duration::from_secs(1), "{:?}", before.elapsed());
    assert_eq!(peer.view(&id).end_reason, Some(EndReason::IdleTimeout));
}

/// The steps that the clock was moved by.
#[derive(Default)]
struct Steps(Mutex<Vec<Duration>>);

impl ClockFollower for Steps {
    fn next_due(&self) -> Option<Duration> {
        None
    }

    fn advanced(&self, step: Duration) -> BoxFuture<'static, ()> {
        if !step.is_zero() {
            self.0.lock().unwrap().push(step);
        }
        Box::pin(tokio::task::yield_now())
    }
}

/// Uses a session whenever 50 s have passed, as a client does that keeps it alive.
struct Beats {
    emulator: std::sync::OnceLock<(String, String, String)>,
    /// Seconds since the last.
    since: Mutex<Duration>,
}

impl ClockFollower for Beats {
    fn next_due(&self) -> Option<Duration> {
        Some(Duration::from_secs(50).saturating_sub(*self.since.lock().unwrap()))
    }

    fn advanced(&self, step: Duration) -> BoxFuture<'static, ()> {
        *self.since.lock().unwrap() += step;
        let Some((url, key, id)) = self.emulator.get().cloned() else { return Box::pin(std::future::ready(())) };
        if self.next_due() != Some(Duration::ZERO) {
            return Box::pin(std::future::ready(()));
        }
        *self.since.lock().unwrap() = Duration::ZERO;
        Box::pin(async move {
            let url = format!("{url}/mcp/refreshSessionIdleTime?sessionId={id}");
            let beat = http().post(url).header("content-type", "application/json").bearer_auth(key).body("{}").send();
            // Refused when the session is over.
            beat.await.unwrap();
        })
    }
}

#[tokio::test]
async fn an_advance_leaves_nothing_out_that_a_follower_does_in_time() {
    let beats = Arc::new(Beats { emulator: Default::default(), since: Mutex::default() });
    let options = EmulatorOptions { follower: Some(beats.clone()), ..Default::default() };
    let peer = Peer::with(options).await;
    let (kept, left) = (peer.session(60).await, peer.session(60).await);
    let emulator = &peer.emulator;
    beats.emulator.set((emulator.url().to_owned(), emulator.api_key().to_owned(), kept.clone())).unwrap();
    peer.advance(1_000).await;
    assert_eq!(peer.view(&kept).state, SessionState::Idle);
    assert_eq!(peer.view(&left).end_reason, Some(EndReason::IdleTimeout));
    peer.advance(1_000).await;
    assert_eq!(peer.view(&kept).end_reason, Some(EndReason::MaximumLifetime));
}

#[tokio::test]
async fn an_advance_goes_from_one_due_event_to_the_next_and_adds_up() {
    let follower = Arc::new(Steps::default());
    let options = EmulatorOptions { follower: Some(follower.clone()), ..Default::default() };
    let peer = Peer::with(options).await;
    let (first, second) = (peer.session(60).await, peer.session(120).await);
    peer.advance(1_000).await;
    assert_eq!(peer.status(&first).await, NO_SESSION);
    assert_eq!(peer.status(&second).await, NO_SESSION);
    let steps = follower.0.lock().unwrap();
    assert_eq!(steps.iter().sum::<Duration>(), Duration::from_secs(1_000));
    // Two idle timeouts, two ends of FINISH, the rest.
    assert_eq!(steps.len(), 5, "{steps:?}");
}

#[tokio::test]
async fn advances_at_the_same_time_add_up() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    tokio::join!(peer.advance(50), peer.advance(50), peer.advance(50));
    let left = peer.view(&id).time_left_s;
    assert!((130.0..=150.0).contains(&left), "{left} s left");
}

#[tokio::test]
async fn an_advance_beyond_all_dates_ends_everything_and_returns() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    peer.emulator.advance(Duration::MAX).await;
    assert_eq!(peer.status(&id).await, NO_SESSION);
    peer.emulator.advance(Duration::MAX).await;
    peer.get("/sdk/ListSession").await.data();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn closing_ends_calls_processes_and_sessions_and_stops_listening() {
    use crate::support::processes_with;

    let peer = Peer::start().await;
    let id = peer.session(300).await;
    let word = format!("{}.5", 4_000_000 + std::process::id());
    let command = format!("exec sleep {word}");
    let waiting = peer.shell(&id, &command);
    let meanwhile = async {
        until("the command runs", || processes_with(&word) > 0).await;
        tokio::join!(peer.emulator.close(), peer.emulator.close());
    };
    let (reply, ()) = tokio::join!(waiting, meanwhile);
    assert_eq!(reply.body["success"], false, "{}", reply.body);
    until("its process is gone", || processes_with(&word) == 0).await;
    let view = peer.view(&id);
    assert_eq!((view.state, view.end_reason), (SessionState::Released, Some(EndReason::EmulatorClosed)));
    peer.emulator.close().await;
    peer.emulator.advance(Duration::from_secs(1)).await;
    match http().get(peer.url("/sdk/ListSession")).bearer_auth(peer.emulator.api_key()).send().await {
        Err(refused) => assert!(refused.is_connect(), "{refused}"),
        // Another test's emulator may have its port by now, to which its key is none.
        Ok(reply) => assert_eq!(reply.status(), 401),
    }
}

#[tokio::test]
async fn dropping_an_emulator_stops_it_in_the_background() {
    let peer = Peer::start().await;
    let url = peer.url("/sdk/ListSession");
    send(&http(), reqwest::Method::GET, &url, Vec::new(), &peer.bearer()).await.data();
    drop(peer);
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    until("nobody listens", || std::net::TcpStream::connect(&address).is_err()).await;
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_what_it_began() {
    let peer = Peer::start().await;
    let id = peer.session(300).await;
    tokio::select! {
        reply = peer.shell(&id, "while [ ! -e go ]; do sleep 0.02; done; touch went") => {
            panic!("the command waits for the file: {}", reply.body)
        }
        () = peer.until(&id, SessionState::Active) => {}
    }
    assert_eq!(peer.view(&id).state, SessionState::Active);
    peer.shell(&id, "touch go").await.data();
    peer.until(&id, SessionState::Idle).await;
    assert!(!peer.shell(&id, "test -e went").await.tool().0);
}

#[tokio::test]
async fn closing_ends_a_connection_that_has_sent_half_a_request() {
    use std::io::{Read, Write};

    let peer = Peer::start().await;
    let mut half = std::net::TcpStream::connect(peer.emulator.url().strip_prefix("http://").unwrap()).unwrap();
    half.write_all(b"POST /mcp HTTP/1.1\r\nhost: a\r\n").unwrap();
    let mut whole = std::net::TcpStream::connect(half.peer_addr().unwrap()).unwrap();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-length: 9\r\n\r\n{{",
        peer.emulator.api_key()
    );
    whole.write_all(request.as_bytes()).unwrap();
    // An answer on a third connection: the first two have been accepted.
    peer.get("/sdk/ListSession").await.data();
    peer.emulator.close().await;
    for mut stream in [half, whole] {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let ended = stream.read_to_end(&mut Vec::new());
        assert!(!matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "{ended:?}");
    }
}
