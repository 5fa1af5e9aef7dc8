//! The pool against a service that counts its sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use axum::response::Response;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Seen, Server, not_found, ok, refuse, reply};

/// The sessions of a service, which takes its time to release one: it is there until somebody has looked twice.
#[derive(Default)]
struct Sessions {
    alive: BTreeSet<String>,
    releasing: BTreeSet<String>,
    made: usize,
    most: usize,
    /// What was sent with each creation.
    creations: BTreeMap<String, String>,
}

#[derive(Clone, Default)]
struct Service {
    sessions: Arc<Mutex<Sessions>>,
    is_down: Arc<AtomicBool>,
    /// Creations get no answer, and lists show nothing.
    is_silent: Arc<AtomicBool>,
}

impl Service {
    async fn start(&self) -> Server {
        let service = self.clone();
        Server::start(move |seen| service.answer(seen)).await
    }

    fn answer(&self, seen: &Seen) -> Response {
        if self.is_down.load(Ordering::Relaxed) {
            return refuse(400, "Refused", "not now");
        }
        let is_silent = self.is_silent.load(Ordering::Relaxed);
        let mut sessions = self.sessions.lock().unwrap();
        let id_of_body = || seen.json()["sessionId"].as_str().unwrap().to_owned();
        match seen.path.as_str() {
            "/mcp/createSession" => {
                sessions.made += 1;
                let id = format!("s-{}", sessions.made);
                sessions.alive.insert(id.clone());
                sessions.most = sessions.most.max(sessions.alive.len());
                sessions.creations.insert(id.clone(), seen.json()["labels"].as_str().unwrap().to_owned());
                if is_silent {
                    return reply(502, "");
                }
                ok(&json!({ "sessionId": id }))
            }
            "/sdk/ListSession" if is_silent => reply(200, r#"{"success": true, "data": []}"#),
            "/sdk/ListSession" => {
                let labels: Value = serde_json::from_str(&seen.query["labels"]).unwrap();
                let key = labels["agbn.create"].as_str().unwrap();
                let of_key = sessions.creations.iter().find(|(_, labels)| labels.contains(key));
                let page: Vec<_> = of_key.map(|(id, _)| json!({ "sessionId": id })).into_iter().collect();
                reply(200, json!({"success": true, "data": page}).to_string())
            }
            "/mcp/refreshSessionIdleTime" if sessions.alive.contains(&seen.query["sessionId"]) => ok(&Value::Null),
            "/mcp/releaseSessionAsync" if sessions.alive.contains(&id_of_body()) => ok(&Value::Null),
            "/mcp/getSessionInfo" if sessions.releasing.remove(&id_of_body()) => {
                sessions.alive.remove(&id_of_body());
                ok(&json!({"status": "FINISH"}))
            }
            "/mcp/getSessionInfo" if sessions.alive.contains(&id_of_body()) => {
                sessions.releasing.insert(id_of_body());
                ok(&json!({"status": "DELETING"}))
            }
            _ => not_found(),
        }
    }

    fn alive(&self) -> Vec<String> {
        self.sessions.lock().unwrap().alive.iter().cloned().collect()
    }

    fn made(&self) -> usize {
        self.sessions.lock().unwrap().made
    }

    fn most(&self) -> usize {
        self.sessions.lock().unwrap().most
    }

    fn forget(&self, id: &str) {
        self.sessions.lock().unwrap().alive.remove(id);
    }

    fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }
}

fn options(min: f64, max: f64) -> PoolOptions {
    let params = CreateParams { image_id: "img".into(), ..CreateParams::default() };
    PoolOptions { params, min: Some(min), max: Some(max), ..PoolOptions::default() }
}

fn pool(server: &Server, options: PoolOptions) -> SessionPool {
    SessionPool::new(server.agb(), options, &Handle::current()).unwrap()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let look = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), look).await.is_ok(), "waited in vain: {what}");
}

fn stats(idle: usize, lent: usize, creating: usize, waiting: usize) -> PoolStats {
    PoolStats { idle, lent, creating, waiting }
}

#[tokio::test]
async fn a_borrower_that_lets_a_session_outlive_the_program_does_so_for_its_own_time() {
    let service = Service::default();
    let server = service.start().await;
    let agb = crate::testing::owned_by(&server.url, 1);
    let pool = SessionPool::new(agb.clone(), options(0.0, 1.0), &Handle::current()).unwrap();
    let before = {
        let lent = pool.acquire().await.unwrap();
        let before = agb.live_sessions();
        assert!(lent.session().detach());
        assert_eq!(agb.live_sessions(), []);
        before
    };
    assert_eq!(before.len(), 1);
    assert_eq!(agb.live_sessions(), before);

    pool.acquire().await.unwrap().session().detach();
    service.set_down(true);
    pool.acquire().await.unwrap_err();
    assert_eq!(agb.live_sessions(), before, "also where nobody could use it meanwhile");
    service.set_down(false);
    pool.drain().await.unwrap();
    assert_eq!(agb.live_sessions(), []);
}

#[tokio::test]
async fn a_session_is_created_lent_given_back_and_lent_again_after_a_check() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, options(0.0, 2.0));
    assert_eq!(pool.stats(), PoolStats::default());
    let lent = pool.acquire().await.unwrap();
    assert_eq!((lent.session().id(), pool.stats()), ("s-1", stats(0, 1, 0, 0)));
    assert!(server.seen_at("/mcp/createSession")[0].body.contains("agbn.create"));
    let beating = lent.session().keep_alive_status().unwrap();
    assert_eq!((beating.stopped, beating.mode), (None, KeepAliveMode::Always));
    lent.session().stop_keep_alive();
    drop(lent);
    assert_eq!(pool.stats(), stats(1, 0, 0, 0));
    let again = pool.acquire().await.unwrap();
    assert_eq!(again.session().id(), "s-1");
    assert_eq!(again.session().keep_alive_status().unwrap().stopped, None);
    assert_eq!(server.seen_at("/mcp/refreshSessionIdleTime").len(), 1);
}

#[tokio::test]
async fn labels_of_the_packages_own_survive_what_a_borrower_sets() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, options(0.0, 1.0));
    let lent = pool.acquire().await.unwrap();
    let labels = json!({"a": "b"}).as_object().unwrap().clone();
    lent.session().set_labels(labels).await.unwrap_err();
    assert!(server.seen_at("/sdk/SetLabel")[0].query["Labels"].contains("agbn.create"));
}

#[tokio::test]
async fn there_are_never_more_than_max_and_all_get_one() {
    let service = Service::default();
    let server = service.start().await;
    let options = PoolOptions { max_uses: Some(3.0), ..options(2.0, 3.0) };
    let pool = pool(&server, options);
    let borrow = |number: usize| {
        let (pool, service) = (pool.clone(), service.clone());
        async move {
            let lent = pool.acquire().await.unwrap();
            match number % 5 {
                0 => lent.discard(),
                1 => service.forget(lent.session().id()),
                2 => drop(lent.session().delete().await),
                _ => tokio::task::yield_now().await,
            }
        }
    };
    join_all((0..60).map(borrow)).await;
    pool.drain().await.unwrap();
    assert!(service.most() <= 3, "{} at once", service.most());
    assert!(service.made() >= 20, "{} made", service.made());
    assert_eq!(service.alive(), Vec::<String>::new());
}

#[tokio::test]
async fn a_session_that_may_still_turn_up_has_room_until_it_is_gone() {
    let service = Service::default();
    service.is_silent.store(true, Ordering::Relaxed);
    let server = service.start().await;
    // Sooner over, and looked for at the latest after a minute all the same.
    let agb = crate::testing::with_timeout(&server.url, &[], 6_000.0);
    let options = PoolOptions { acquire_timeout_ms: Some(20_000.0), ..options(0.0, 2.0) };
    let pool = SessionPool::new(agb, options, &Handle::current()).unwrap();
    let (first, second) = tokio::join!(pool.acquire(), pool.acquire());
    assert!(first.is_err() && second.is_err());
    assert_eq!(pool.stats(), stats(0, 0, 2, 0));
    let third = pool.acquire();
    assert_eq!(pool.stats(), stats(0, 0, 2, 1));
    service.is_silent.store(false, Ordering::Relaxed);
    assert!(third.await.unwrap().session().id() > "s-2");
    assert_eq!(service.most(), 2);
}

#[tokio::test]
async fn room_is_free_only_when_a_session_is_gone() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, options(3.0, 3.0));
    for _ in 0..5 {
        until("the pool is full", || pool.stats() == stats(3, 0, 0, 0)).await;
        pool.acquire().await.unwrap().discard();
    }
    until("the last one is replaced", || pool.stats() == stats(3, 0, 0, 0)).await;
    assert_eq!((service.made(), service.most()), (8, 3));
}

#[tokio::test]
async fn who_asks_first_gets_first() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, options(0.0, 1.0));
    let first = pool.acquire().await.unwrap();
    let order: Arc<Mutex<Vec<usize>>> = Arc::default();
    let calls: Vec<_> = (0..10).map(|number| (number, pool.acquire())).collect();
    assert_eq!(pool.stats().waiting, 10);
    // The order of the calls counts, whoever is polled first.
    let borrowers = calls.into_iter().rev().map(|(number, acquire)| {
        let order = order.clone();
        async move {
            let _lent = acquire.await.unwrap();
            order.lock().unwrap().push(number);
        }
    });
    let all = tokio::spawn(join_all(borrowers));
    drop(first);
    all.await.unwrap();
    assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    assert_eq!(service.made(), 1);
}

#[tokio::test]
async fn who_gives_up_loses_no_session_and_nobodys_place() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, options(0.0, 1.0));
    // Given up at every stage that a poll can reach.
    for polls in 0..12 {
        let mut acquire = Box::pin(pool.acquire());
        for _ in 0..polls {
            if futures_util::poll!(acquire.as_mut()).is_ready() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(acquire);
    }
    let lent = pool.acquire().await.unwrap();
    let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(pool.acquire())).collect();
    for waiter in &mut waiters {
        assert!(futures_util::poll!(waiter.as_mut()).is_pending());
    }
    assert_eq!(pool.stats(), stats(0, 1, 0, 3));
    let last = waiters.pop();
    drop(waiters);
    drop(lent);
    let lent = last.unwrap().await.unwrap();
    assert_eq!(pool.stats(), stats(0, 1, 0, 0));
    drop(lent);
    assert_eq!((service.made(), service.most(), pool.stats()), (1, 1, stats(1, 0, 0, 0)));
}

#[tokio::test]
async fn waiting_ends_after_its_time_and_says_why() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, PoolOptions { acquire_timeout_ms: Some(50.0), ..options(0.0, 1.0) });
    let lent = loop {
        // The creation itself may take longer on a loaded machine; its session is not lost.
        if let Ok(lent) = pool.acquire().await {
            break lent;
        }
    };
    let error = pool.acquire().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text =
        "no session of the pool was free within 50 ms: 1 of at most 1 are lent, 0 are being created, 0 others wait";
    assert_eq!(error.message(), text);
    drop(lent);
    assert_eq!(service.made(), 1);
}

#[tokio::test]
async fn a_session_that_was_deleted_behind_the_pools_back_is_replaced_before_it_is_lent() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, options(2.0, 2.0));
    until("two are ready", || pool.stats().idle == 2).await;
    service.forget("s-1");
    service.forget("s-2");
    let lent = pool.acquire().await.unwrap();
    assert_eq!(lent.session().keep_alive().await.unwrap(), "r-1");
    until("the other is replaced, too", || pool.stats() == stats(1, 1, 0, 0)).await;
    assert_eq!((service.alive(), service.most()), (vec!["s-3".to_owned(), "s-4".to_owned()], 2));
}

#[tokio::test]
async fn a_check_without_an_answer_fails_the_borrower_and_keeps_the_session() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, options(0.0, 1.0));
    drop(pool.acquire().await.unwrap());
    service.set_down(true);
    let error = pool.acquire().await.unwrap_err();
    assert_eq!(error.message(), "a session of the pool could not be checked: not now");
    assert_eq!(pool.stats(), stats(1, 0, 0, 0));
    service.set_down(false);
    assert_eq!(pool.acquire().await.unwrap().session().id(), "s-1");
}

#[tokio::test]
async fn sessions_that_near_their_end_are_replaced() {
    let service = Service::default();
    let server = service.start().await;
    let mut options = options(1.0, 2.0);
    options.params.idle_release_timeout_s = Some(Some(1_800.0));
    let pool = pool(&server, options);
    until("one is ready", || pool.stats().idle == 1).await;
    let lent = pool.acquire().await.unwrap();
    let clock = lent.session().agb().clock().clone();
    clock.advance(Duration::from_secs(1_700));
    drop(lent);
    until("one that came back is replaced", || service.alive() == ["s-2"] && pool.stats().idle == 1).await;
    clock.advance(Duration::from_secs(1_700));
    until("an idle one is replaced", || service.alive() == ["s-3"] && pool.stats().idle == 1).await;
    assert!(service.most() <= 2);
}

#[tokio::test]
async fn a_borrower_who_meets_a_session_that_nears_its_end_gets_another_one_once_it_is_gone() {
    let service = Service::default();
    let server = service.start().await;
    let mut options = options(0.0, 1.0);
    options.params.idle_release_timeout_s = Some(Some(1_800.0));
    let pool = pool(&server, options);
    let lent = pool.acquire().await.unwrap();
    let clock = lent.session().agb().clock().clone();
    drop(lent);
    // Before the caretaker sees the session, the borrower has the only permit.
    let acquire = pool.acquire();
    clock.advance(Duration::from_secs(1_700));
    assert_eq!(acquire.await.unwrap().session().id(), "s-2");
    assert_eq!((service.most(), service.alive()), (1, vec!["s-2".to_owned()]));
}

#[tokio::test]
async fn a_session_is_lent_so_many_times_and_not_after_it_was_discarded() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, PoolOptions { max_uses: Some(2.0), ..options(0.0, 1.0) });
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(pool.acquire().await.unwrap().session().id().to_owned());
    }
    assert_eq!(ids, ["s-1", "s-1", "s-2", "s-2", "s-3"]);
    pool.acquire().await.unwrap().discard();
    assert_eq!(pool.acquire().await.unwrap().session().id(), "s-4");
    assert_eq!(service.most(), 1);
}

#[tokio::test]
async fn a_session_in_which_something_still_runs_is_not_lent_again() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, options(0.0, 1.0));
    let lent = pool.acquire().await.unwrap();
    let call = lent.session().life().begin();
    drop(lent);
    let lent = pool.acquire().await.unwrap();
    assert_eq!(lent.session().id(), "s-2");
    drop(call);

    let hold = lent.session().hold();
    drop(lent);
    assert_eq!(pool.acquire().await.unwrap().session().id(), "s-3");
    drop(hold);
}

#[tokio::test]
async fn refilling_goes_on_when_the_service_is_back() {
    let service = Service::default();
    service.set_down(true);
    let server = service.start().await;
    let pool = pool(&server, options(2.0, 2.0));
    until("creations fail", || server.seen_at("/mcp/createSession").len() >= 3).await;
    assert_eq!(pool.acquire().await.unwrap_err().message(), "not now");
    service.set_down(false);
    until("the pool is full", || pool.stats() == stats(2, 0, 0, 0)).await;
    assert_eq!(service.most(), 2);
}

#[tokio::test]
async fn draining_rejects_who_waits_and_deletes_what_comes_back() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, options(0.0, 2.0));
    let (idle, lent) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await }
    });
    until("one waits", || pool.stats().waiting == 1).await;
    let draining = tokio::spawn({
        let pool = pool.clone();
        async move { pool.drain().await }
    });
    let refused = waiting.await.unwrap().unwrap_err();
    assert_eq!((refused.kind(), refused.operation()), (ErrorKind::Drained, "acquire"));
    drop(idle);
    until("one is deleted", || service.alive().len() == 1).await;
    assert!(!draining.is_finished(), "one is still lent");
    lent.session().keep_alive().await.unwrap();
    drop(lent);
    draining.await.unwrap().unwrap();
    pool.drain().await.unwrap();
    assert_eq!((service.alive().len(), pool.stats()), (0, PoolStats::default()));
    assert_eq!(pool.acquire().await.unwrap_err().kind(), ErrorKind::Drained);
}

#[tokio::test]
async fn draining_tells_what_it_could_not_delete() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, options(1.0, 1.0));
    until("one is ready", || pool.stats().idle == 1).await;
    service.set_down(true);
    let error = pool.drain().await.unwrap_err();
    assert!(error.message().ends_with("stay until their idle time-out: s-1"), "{error}");
    assert_eq!(pool.drain().await.unwrap_err().message(), error.message());
}

#[tokio::test]
async fn a_pool_that_nobody_holds_deletes_its_sessions_but_the_lent_ones() {
    let service = Service::default();
    let server = service.start().await;
    let pool = pool(&server, options(3.0, 3.0));
    until("all are ready", || pool.stats().idle == 3).await;
    let lent = pool.acquire().await.unwrap();
    drop(pool);
    until("the idle ones are deleted", || service.alive() == [lent.session().id()]).await;
    drop(lent);
    until("all are deleted", || service.alive().is_empty()).await;
}

#[tokio::test]
async fn numbers_that_make_no_sense_are_refused() {
    let refusal = |options: PoolOptions| {
        let agb = crate::testing::agb("http://127.0.0.1:1", &[]);
        SessionPool::new(agb, options, &Handle::current()).unwrap_err().message().to_owned()
    };
    let given = || PoolOptions { min: None, max: None, ..options(0.0, 1.0) };
    assert_eq!(refusal(options(3.0, 2.0)), "min must not be more than max, got 3 and 2");
    for (options, text) in [
        (options(-1.0, 2.0), "min must be a whole number from 0 to 10000, got -1"),
        (options(0.5, 2.0), "min must be a whole number from 0 to 10000, got 0.5"),
        (options(0.0, 0.0), "max must be a whole number from 1 to 10000, got 0"),
        (options(0.0, f64::NAN), "max must be a whole number from 1 to 10000, got NaN"),
        (PoolOptions { max_uses: Some(0.0), ..given() }, "maxUses must be a whole number from 1 to 1000000000, got 0"),
        (
            PoolOptions { acquire_timeout_ms: Some(f64::INFINITY), ..given() },
            "acquireTimeoutMs must be a whole number from 1 to 86400000, got inf",
        ),
    ] {
        assert_eq!(refusal(options), text);
    }
    assert_eq!(Limits::read(&PoolOptions { min: Some(20.0), ..given() }).unwrap().max, 20);
}
