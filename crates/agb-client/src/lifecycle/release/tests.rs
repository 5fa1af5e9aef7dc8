use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use axum::body::Bytes;
use axum::routing::any;
use axum::{Router, extract::State};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use super::*;
use crate::agb::CreateParams;
use crate::lifecycle::{ExitPolicy, KeepAliveOptions, StopReason};
use crate::session::SessionDetails;
use crate::testing::{RawServer, Seen, Server, not_found, ok, owned_by, refuse, while_stuck, with_exit};

const RELEASE: &str = "/mcp/releaseSessionAsync";
const MINUTE: Duration = Duration::from_secs(60);
/// Enough for any machine that answers at all.
const LIMIT: Duration = Duration::from_secs(20);

fn registry_with(agb: &Agb, sessions: &[&str]) -> Registry {
    let registry = Registry::default();
    for id in sessions {
        created(&registry, agb, id);
    }
    registry
}

fn created(registry: &Registry, agb: &Agb, id: &str) {
    registry.add_created(agb, id, "image", &agb.life_of_new(id, Some(MINUTE), agb.clock().moment()));
}

fn session_of(seen: &Seen) -> String {
    seen.json()["sessionId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_session_gets_one_request_and_one_that_is_not_found_is_released() {
    let server = Server::start(|seen| match session_of(seen).as_str() {
        "s-2" => not_found(),
        "s-3" => refuse(403, "AccessDenied", "no"),
        _ => ok(&Value::Null),
    })
    .await;
    let registry = registry_with(&owned_by(&server.url, 1), &["s-1", "s-2", "s-3"]);
    release(&registry, Scope::Everything).await;

    assert_eq!(registry.left(), (vec!["s-3".to_owned()], 0));
    let mut asked: Vec<_> = server.seen_at(RELEASE).iter().map(session_of).collect();
    assert_eq!(server.seen().len(), asked.len());
    asked.sort();
    asked.dedup();
    assert_eq!(asked, ["s-1", "s-2", "s-3"]);
}

#[tokio::test]
async fn sixteen_requests_are_under_way_at_once() {
    #[derive(Default)]
    struct Load {
        now: AtomicUsize,
        most: AtomicUsize,
        sessions: Mutex<Vec<String>>,
    }
    async fn answer(State((load, barrier)): State<(Arc<Load>, Arc<Barrier>)>, body: Bytes) -> String {
        let now = load.now.fetch_add(1, Ordering::SeqCst) + 1;
        load.most.fetch_max(now, Ordering::SeqCst);
        let body: Value = serde_json::from_slice(&body).unwrap();
        load.sessions.lock().unwrap().push(body["sessionId"].as_str().unwrap().to_owned());
        // Answers come when sixteen have asked.
        barrier.wait().await;
        load.now.fetch_sub(1, Ordering::SeqCst);
        json!({"success": true, "code": "ok"}).to_string()
    }
    let load = Arc::new(Load::default());
    let app = Router::new().fallback(any(answer)).with_state((load.clone(), Arc::new(Barrier::new(PARALLEL))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let ids: Vec<_> = (0..3 * PARALLEL).map(|number| format!("s-{number:03}")).collect();
    // Patient enough that no second request joins.
    let agb = with_exit(&url, ExitPolicy { limit: LIMIT * 10, owner: 1 });
    let registry = registry_with(&agb, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    release(&registry, Scope::Everything).await;
    server.abort();

    assert!(registry.is_empty(), "{registry:?}");
    assert_eq!(load.most.load(Ordering::SeqCst), PARALLEL);
    let mut asked = load.sessions.lock().unwrap().clone();
    asked.sort();
    assert_eq!(asked, ids);
}

#[tokio::test]
async fn only_the_sessions_of_the_owner_that_ended_are_released() {
    let server = Server::start(|_| ok(&Value::Null)).await;
    let registry = registry_with(&owned_by(&server.url, 1), &["s-1"]);
    created(&registry, &owned_by(&server.url, 2), "s-2");
    release(&registry, Scope::Owner(2)).await;

    assert_eq!(registry.left(), (vec!["s-1".to_owned()], 0));
    assert_eq!(server.seen_at(RELEASE).iter().map(session_of).collect::<Vec<_>>(), ["s-2"]);
}

#[tokio::test]
async fn what_can_not_be_released_when_its_owner_has_ended_is_not_kept_alive() {
    let server = Server::start(|_| refuse(403, "AccessDenied", "no")).await;
    let agb = owned_by(&server.url, 1);
    let registry = Registry::default();
    let life = agb.life_of_new("s-1", Some(MINUTE), agb.clock().moment());
    life.start_beating(KeepAliveOptions::default()).unwrap();
    registry.add_created(&agb, "s-1", "image", &life);
    release(&registry, Scope::Owner(1)).await;

    assert_eq!(registry.left(), (vec!["s-1".to_owned()], 0));
    assert_eq!(life.beating().unwrap().stopped, Some(StopReason::Stopped));
}

#[tokio::test]
async fn a_session_whose_creation_is_under_way_is_waited_for_and_released() {
    let server = Server::start(|_| ok(&Value::Null)).await;
    let agb = owned_by(&server.url, 1);
    let registry = registry_with(&agb, &["s-1"]);
    let creating = registry.creating(&agb);
    let create = async {
        while !server.seen_at(RELEASE).iter().any(|seen| session_of(seen) == "s-1") {
            tokio::task::yield_now().await;
        }
        created(&registry, &agb, "s-2");
        drop(creating);
    };
    tokio::join!(release(&registry, Scope::Everything), create);
    assert!(registry.is_empty(), "{registry:?}");
    assert_eq!(server.seen_at(RELEASE).len(), 2);
}

#[tokio::test]
async fn what_another_call_releases_is_waited_for() {
    let server = Server::start(|_| ok(&Value::Null)).await;
    let registry = registry_with(&owned_by(&server.url, 1), &["s-1"]);
    tokio::join!(release(&registry, Scope::Owner(1)), async {
        release(&registry, Scope::Everything).await;
        assert!(registry.is_empty(), "{registry:?}");
    });
    assert_eq!(server.seen_at(RELEASE).len(), 1);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_given_up_at_the_limit_and_may_be_tried_again() {
    let server = RawServer::start(b"", true).await;
    let agb = with_exit(&server.url, ExitPolicy { limit: Duration::from_millis(400), owner: 1 });
    let registry = registry_with(&agb, &["s-1", "s-2"]);
    let creating = registry.creating(&agb);
    release(&registry, Scope::Everything).await;

    assert_eq!(registry.left(), (vec!["s-1".to_owned(), "s-2".to_owned()], 1));
    drop(creating);
    assert_eq!(registry.claim(Scope::Everything).len(), 2);
}

#[tokio::test]
async fn a_session_that_is_gone_is_not_waited_for() {
    let server = RawServer::start(b"", true).await;
    let agb = owned_by(&server.url, 1);
    let registry = registry_with(&agb, &["s-1"]);
    let delete = async {
        while *server.connections.lock().unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        registry.remove(&agb, "s-1");
    };
    let both = async { tokio::join!(release(&registry, Scope::Everything), delete) };
    tokio::time::timeout(LIMIT / 2, both).await.expect("ends before the limit");
}

#[test]
fn connections_of_a_runtime_that_is_stuck_are_replaced() {
    let service = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let shared = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let own = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();

    let server = service.block_on(Server::start(|_| ok(&Value::Null)));
    let agb = with_exit(&server.url, ExitPolicy { limit: Duration::from_secs(8), owner: 1 });
    let session = agb.attach("s-0", SessionDetails::default());
    // Leaves an open connection that the shared runtime drives.
    shared.block_on(shared.spawn(async move { session.keep_alive().await })).unwrap().unwrap();

    let ids: Vec<_> = (0..40).map(|number| format!("s-{number}")).collect();
    let registry = registry_with(&agb, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    while_stuck(&shared, || own.block_on(release(&registry, Scope::Everything)));
    assert!(registry.is_empty(), "{registry:?}");
}

#[tokio::test]
async fn a_client_registers_what_it_creates_until_it_hears_that_it_is_gone() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/mcp/createSession" => ok(&json!({"success": true, "sessionId": format!("s-{}", seen.nth)})),
        RELEASE => ok(&Value::Null),
        _ => not_found(),
    })
    .await;
    let agb = owned_by(&server.url, 1);
    let create = || agb.create(CreateParams { image_id: "image".to_owned(), ..CreateParams::default() });
    let ids = || agb.live_sessions().into_iter().map(|session| session.session_id).collect::<Vec<_>>();

    let [deleted, lost, unknown, kept] =
        [create().await.unwrap(), create().await.unwrap(), create().await.unwrap(), create().await.unwrap()];
    assert_eq!(ids(), ["s-0", "s-1", "s-2", "s-3"]);
    deleted.delete().await.unwrap();
    assert!(deleted.adopt(), "its client has a policy");
    assert_eq!(ids(), ["s-1", "s-2", "s-3"], "what is gone is not released again");
    lost.keep_alive().await.unwrap_err();
    assert_eq!(ids(), ["s-2", "s-3"]);
    agb.get_session(unknown.id()).await.unwrap_err();
    assert_eq!(ids(), ["s-3"]);
    assert!(kept.detach() && !kept.detach() && ids().is_empty());
    assert!(kept.adopt());
    assert_eq!(ids(), ["s-3"]);
    assert!(!server.agb().attach("s-9", SessionDetails::default()).adopt());
    kept.labels().await.unwrap_err();
    assert!(ids().is_empty());
}

#[tokio::test]
async fn what_a_failed_creation_left_over_is_registered_until_it_was_released() {
    for (release, left) in [(ok(&Value::Null), 0), (refuse(403, "AccessDenied", "no"), 1)] {
        let release = Arc::new(Mutex::new(Some(release)));
        let server = Server::start(move |seen| match seen.path.as_str() {
            RELEASE => release.lock().unwrap().take().unwrap(),
            _ => ok(&json!({"success": false, "errMsg": "no machine", "sessionId": "s-1"})),
        })
        .await;
        let agb = owned_by(&server.url, 1);
        agb.create(CreateParams { image_id: "image".to_owned(), ..CreateParams::default() }).await.unwrap_err();
        assert_eq!(agb.live_sessions().len(), left);
    }
}

#[tokio::test]
async fn sessions_that_are_alive_come_before_those_whose_time_is_over() {
    let server = Server::start(|_| ok(&Value::Null)).await;
    let agb = owned_by(&server.url, 1);
    let over: Vec<_> = (0..100).map(|number| format!("over-{number}")).collect();
    let registry = registry_with(&agb, &over.iter().map(String::as_str).collect::<Vec<_>>());
    agb.clock().advance(2 * MINUTE);
    for id in ["s-1", "s-2", "s-3"] {
        created(&registry, &agb, id);
    }
    release(&registry, Scope::Everything).await;

    assert!(registry.is_empty(), "{registry:?}");
    let asked: Vec<_> = server.seen_at(RELEASE).iter().map(session_of).collect();
    assert_eq!(asked.len(), 103);
    let mut first = asked[..PARALLEL].to_vec();
    first.retain(|id| id.starts_with("s-"));
    assert_eq!(first.len(), 3, "{asked:?}");
}
