use serde_json::json;
use tokio::sync::mpsc;

use super::*;
use crate::agb::Agb;
use crate::testing::{self, CLOSED_URL, Server, WsServer, refuse, reply};

/// Far shorter than for users, far longer than anything here takes.
const LIMITS: Limits = Limits {
    open: Duration::from_secs(20),
    ping_every: Duration::from_secs(20),
    pong_within: Duration::from_secs(20),
    idle: Duration::from_secs(20),
    reconnect_first: Duration::from_millis(1),
    reconnect_last: Duration::from_millis(2),
    reconnect_attempts: 3,
    steady: Duration::from_secs(20),
};

/// A channel to a server.
struct Client {
    agb: Agb,
    address: Address,
    channel: Channel,
}

impl Client {
    fn of(url: &str, limits: Limits) -> Self {
        let address = Address { url: url.to_owned(), token: "tk-SECRET".to_owned() };
        Self { agb: testing::agb("http://127.0.0.1:1", &[]), address, channel: Channel::with_limits(limits) }
    }

    async fn invoke(&self) -> Result<Invocation> {
        let data = json!({"method": "m"}).as_object().cloned().unwrap();
        let deadline = Deadline::after(Duration::from_secs(20));
        self.channel.invoke(self.agb.transport(), &self.address, "target", &data, deadline).await
    }

    async fn refusal(&self) -> Error {
        self.invoke().await.err().unwrap()
    }

    async fn connect_listeners(&self) -> Result<()> {
        self.channel.connect_listeners(self.agb.transport(), &self.address).await
    }

    async fn listen(&self, target: &str) -> (PushSubscription, mpsc::UnboundedReceiver<Push>) {
        let (sender, pushes) = mpsc::unbounded_channel();
        let listener: Listener = Arc::new(move |push| drop(sender.send(push)));
        let subscription = self.channel.subscribe(self.agb.transport(), &self.address, target, listener).await.unwrap();
        (subscription, pushes)
    }
}

async fn word(invocation: &mut Invocation) -> Result<Value> {
    invocation.next().await.map(|data| data.get("word").cloned().unwrap_or_default())
}

#[tokio::test]
async fn the_handshake_carries_the_token_and_the_frame_is_the_documented_one() {
    let (sender, mut frames) = mpsc::unbounded_channel();
    let server = WsServer::start(move |_, mut peer| {
        let sender = sender.clone();
        async move {
            let frame = peer.hear().await.unwrap();
            let id = frame["invocationId"].as_str().unwrap().to_owned();
            sender.send(frame).unwrap();
            peer.say(&id, json!({"word": 1})).await;
            peer.fall_silent().await;
        }
    })
    .await;
    let client = Client::of(&server.url, LIMITS);
    let mut stream = client.invoke().await.unwrap();
    assert_eq!(word(&mut stream).await.unwrap(), 1);
    let frame = frames.recv().await.unwrap();
    assert_eq!(
        frame.to_string(),
        format!(r#"{{"invocationId":"{}","source":"SDK","target":"target","data":{{"method":"m"}}}}"#, stream.id())
    );
    let headers = server.handshakes().remove(0);
    assert_eq!(headers["x-access-token"], "tk-SECRET");
    assert!(headers.get("authorization").is_none() && headers.get("sec-websocket-protocol").is_none());
}

#[tokio::test]
async fn streams_that_begin_together_share_one_connection_and_get_their_own_frames() {
    let server = WsServer::start(|_, mut peer| async move {
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(peer.next_id().await);
        }
        for id in ids.iter().rev() {
            peer.say(id, json!({"word": id})).await;
        }
        peer.fall_silent().await;
    })
    .await;
    let client = Client::of(&server.url, LIMITS);
    let streams = futures_util::future::join_all((0..20).map(|_| client.invoke())).await;
    for stream in streams {
        let mut stream = stream.unwrap();
        let id = stream.id().to_owned();
        assert_eq!(word(&mut stream).await.unwrap(), *id);
    }
    assert_eq!(server.handshakes().len(), 1);
}

#[tokio::test]
async fn a_closed_connection_fails_all_its_streams_and_the_next_stream_makes_a_new_one() {
    let server = WsServer::start(|nth, mut peer| async move {
        let id = peer.next_id().await;
        if nth == 0 {
            peer.next_id().await;
            peer.say(&id, json!({"word": "first"})).await;
            return peer.close(1011, "bye").await;
        }
        peer.say(&id, json!({"word": "second"})).await;
        peer.fall_silent().await;
    })
    .await;
    let client = Client::of(&server.url, LIMITS);
    let (one, two) = tokio::join!(client.invoke(), client.invoke());
    let (mut one, mut two) = (one.unwrap(), two.unwrap());
    let mut heard = 0;
    for stream in [&mut one, &mut two] {
        let error = loop {
            match word(stream).await {
                Ok(_) => heard += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), error.message()), (ErrorKind::Network, "connection closed: code=1011: bye"));
    }
    assert_eq!(heard, 1, "what came before the end is not lost");
    let mut third = client.invoke().await.unwrap();
    assert_eq!(word(&mut third).await.unwrap(), "second");
    assert_eq!(server.handshakes().len(), 2);
}

#[tokio::test]
async fn a_connection_that_ends_without_a_word_is_a_failure() {
    let server = WsServer::start(|_, mut peer| async move {
        peer.next_id().await;
    })
    .await;
    let mut stream = Client::of(&server.url, LIMITS).invoke().await.unwrap();
    let error = word(&mut stream).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.message().starts_with("connection closed: code=1006"), "{}", error.message());
}

#[tokio::test]
async fn a_half_open_connection_is_noticed() {
    let server = WsServer::start(|_, mut peer| async move {
        peer.next_id().await;
        peer.fall_silent().await;
    })
    .await;
    let (ping_every, pong_within) = (Duration::from_millis(50), Duration::from_millis(100));
    let client = Client::of(&server.url, Limits { ping_every, pong_within, ..LIMITS });
    let error = word(&mut client.invoke().await.unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.message().contains("no sign of life for 0.15 s"), "{}", error.message());
}

#[tokio::test]
async fn pings_go_out_while_a_stream_is_quiet() {
    let server = WsServer::start(|_, mut peer| async move {
        let id = peer.next_id().await;
        for _ in 0..3 {
            peer.pinged().await;
        }
        peer.say(&id, json!({"word": "alive"})).await;
        peer.fall_silent().await;
    })
    .await;
    let client = Client::of(&server.url, Limits { ping_every: Duration::from_millis(5), ..LIMITS });
    assert_eq!(word(&mut client.invoke().await.unwrap()).await.unwrap(), "alive");
}

#[tokio::test]
async fn words_between_frames_are_ignored_and_half_a_frame_ends_the_connection() {
    let server = WsServer::start(|_, mut peer| async move {
        let id = peer.next_id().await;
        for text in ["", "hello", "[1]", "{}", r#"{"type":"pong"}"#, r#"{"invocationId":7,"data":{}}"#] {
            peer.say_text(text).await;
        }
        peer.say(&id, json!({"word": 1})).await;
        peer.say_text(&format!(r#"{{"invocationId":"{id}","data":{{"wor"#)).await;
        peer.fall_silent().await;
    })
    .await;
    let mut stream = Client::of(&server.url, LIMITS).invoke().await.unwrap();
    assert_eq!(word(&mut stream).await.unwrap(), 1);
    let error = word(&mut stream).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().starts_with("Invalid JSON message"), "{}", error.message());
}

#[tokio::test]
async fn a_frame_that_can_not_be_read_fails_its_stream_alone() {
    let server = WsServer::start(|_, mut peer| async move {
        let (one, two) = (peer.next_id().await, peer.next_id().await);
        peer.say(&one, json!("no JSON")).await;
        peer.say(&two, json!({"word": "fine"})).await;
        peer.fall_silent().await;
    })
    .await;
    let client = Client::of(&server.url, LIMITS);
    let mut one = client.invoke().await.unwrap();
    let mut two = client.invoke().await.unwrap();
    let error = word(&mut one).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Protocol && error.message().contains("not valid JSON"), "{error}");
    assert_eq!(word(&mut two).await.unwrap(), "fine");
}

#[tokio::test]
async fn pushes_go_to_those_who_listen_and_late_frames_to_nobody() {
    let server = WsServer::start(|_, mut peer| async move {
        let (one, two) = (peer.next_id().await, peer.next_id().await);
        // The client tells by a third stream that the first was given up.
        let three = peer.next_id().await;
        peer.say(&one, json!({"word": "late"})).await;
        peer.say("p-1", json!({"word": "push"})).await;
        peer.say_text(r#"{"requestId":"p-2","target":"other","data":{"word":"unheard"}}"#).await;
        peer.say_text(r#"{"requestId":"p-3","target":"server","data":{"word":"addressed"}}"#).await;
        peer.say(&two, json!({"word": 2})).await;
        peer.say(&three, json!({"word": 3})).await;
        peer.fall_silent().await;
    })
    .await;
    let client = Client::of(&server.url, LIMITS);
    let (subscription, mut pushes) = client.listen("server").await;
    let one = client.invoke().await.unwrap();
    let mut two = client.invoke().await.unwrap();
    drop(one);
    let mut three = client.invoke().await.unwrap();
    assert_eq!((word(&mut two).await.unwrap(), word(&mut three).await.unwrap()), (json!(2), json!(3)));
    let push = pushes.recv().await.unwrap();
    assert_eq!((push.request_id.as_str(), push.target.as_str(), &push.data["word"]), ("p-1", "server", &json!("push")));
    assert_eq!(pushes.recv().await.unwrap().request_id, "p-3");
    drop(subscription);
    assert!(pushes.recv().await.is_none(), "nobody holds the listener any more");
}

#[tokio::test]
async fn the_connection_is_made_again_for_those_who_listen() {
    let server = WsServer::start(|nth, mut peer| async move {
        if nth < 2 {
            return peer.close(1012, "again").await;
        }
        peer.say("p-1", json!({"word": "back"})).await;
        peer.fall_silent().await;
    })
    .await;
    let client = Client::of(&server.url, LIMITS);
    let (_subscription, mut pushes) = client.listen("server").await;
    assert_eq!(pushes.recv().await.unwrap().data["word"], "back");
    assert_eq!(server.handshakes().len(), 3);
}

#[tokio::test]
async fn it_is_made_again_for_those_who_came_while_its_end_was_being_decided() {
    let server = WsServer::start(|nth, mut peer| async move {
        if nth > 0 {
            peer.say("p-1", json!({"word": "back"})).await;
        }
        while peer.hear().await.is_some() {}
    })
    .await;
    let client = Client::of(&server.url, LIMITS);
    let (_subscription, mut pushes) = client.listen("server").await;
    let link = client.channel.inner.current().clone().unwrap();
    link.close(ErrorKind::Network, "nobody wanted it");
    assert_eq!(pushes.recv().await.unwrap().data["word"], "back");
}

#[tokio::test]
async fn a_server_that_always_closes_is_tried_a_few_times() {
    let server = WsServer::start(|_, peer| peer.close(1011, "not today")).await;
    let client = Client::of(&server.url, LIMITS);
    let (_subscription, _pushes) = client.listen("server").await;
    let attempts = &client.channel.inner.attempts;
    while attempts.load(Ordering::Relaxed) <= LIMITS.reconnect_attempts {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(server.handshakes().len(), 4);

    // Who asks anew is served anew.
    let (_another, _pushes) = client.listen("server").await;
    while attempts.load(Ordering::Relaxed) <= LIMITS.reconnect_attempts {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(server.handshakes().len(), 8);
}

#[tokio::test]
async fn those_who_listen_already_are_connected_and_a_failure_is_as_a_break() {
    let server = WsServer::start(|_, mut peer| async move {
        peer.say("p", json!({"word": "first"})).await;
        peer.fall_silent().await;
    })
    .await;
    let client = Client::of(&server.url, LIMITS);
    client.connect_listeners().await.unwrap();
    assert_eq!(server.handshakes().len(), 0, "nobody listens");
    let (sender, mut pushes) = mpsc::unbounded_channel();
    let listener: Listener = Arc::new(move |push| drop(sender.send(push)));
    let _subscription = client.channel.listen("server", listener.clone());
    client.connect_listeners().await.unwrap();
    assert_eq!(pushes.recv().await.unwrap().data["word"], "first");

    let busy = Server::start(|_| reply(503, "")).await;
    let client = Client::of(&busy.url.replace("http", "ws"), LIMITS);
    let _subscription = client.channel.listen("server", listener.clone());
    client.connect_listeners().await.unwrap_err();
    while client.channel.inner.attempts.load(Ordering::Relaxed) <= LIMITS.reconnect_attempts {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(busy.seen().len(), 4);

    let client = Client::of("", LIMITS);
    let _subscription = client.channel.listen("server", listener);
    assert!(client.connect_listeners().await.unwrap_err().message().starts_with("wsUrl is not set"));
    assert_eq!(client.channel.inner.attempts.load(Ordering::Relaxed), 0, "there is nothing to try again");
}

#[tokio::test]
async fn a_connection_that_carried_a_frame_begins_the_count_anew() {
    let server = WsServer::start(|nth, mut peer| async move {
        peer.say("p", json!({"word": nth})).await;
        if nth < 10 {
            return peer.close(1012, "again").await;
        }
        peer.fall_silent().await;
    })
    .await;
    let client = Client::of(&server.url, LIMITS);
    let (_subscription, mut pushes) = client.listen("server").await;
    for nth in 0..=10 {
        assert_eq!(pushes.recv().await.unwrap().data["word"], nth);
    }
}

#[tokio::test]
async fn a_server_that_does_not_want_the_client_is_not_tried_again() {
    for (code, is_asked_again) in [(1008, false), (4401, false), (4403, false), (4429, true), (1011, true)] {
        let server = WsServer::start(move |_, mut peer| async move {
            peer.next_id().await;
            peer.close(code, "no").await;
        })
        .await;
        let client = Client::of(&server.url, LIMITS);
        let (_subscription, _pushes) = client.listen("server").await;
        let error = word(&mut client.invoke().await.unwrap()).await.unwrap_err();
        assert_eq!(error.message(), format!("connection closed: code={code}: no"));
        assert_eq!(error.is_temporary(), is_asked_again, "{code}");
        // The connection's task has ended by now; one that connects again would have begun.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(client.channel.inner.attempts.load(Ordering::Relaxed) > 0, is_asked_again, "{code}");
    }
}

#[tokio::test]
async fn a_subscription_keeps_the_connection_without_the_session() {
    let (say, told) = tokio::sync::oneshot::channel();
    let told = Mutex::new(Some(told));
    let server = WsServer::start(move |_, mut peer| {
        let told = told.lock().unwrap().take();
        async move {
            told.unwrap().await.unwrap();
            peer.say("p", json!({"word": "still here"})).await;
            peer.fall_silent().await;
        }
    })
    .await;
    let client = Client::of(&server.url, LIMITS);
    let (_subscription, mut pushes) = client.listen("server").await;
    drop(client);
    say.send(()).unwrap();
    assert_eq!(pushes.recv().await.unwrap().data["word"], "still here");
}

#[tokio::test]
async fn a_connection_that_nothing_wants_is_closed() {
    let (sender, mut ends) = mpsc::unbounded_channel();
    let server = WsServer::start(move |_, mut peer| {
        let sender = sender.clone();
        async move {
            let id = peer.next_id().await;
            peer.say(&id, json!({"word": 1})).await;
            sender.send(peer.hear().await).unwrap();
        }
    })
    .await;
    let client = Client::of(&server.url, Limits { idle: Duration::from_millis(1), ..LIMITS });
    let mut stream = client.invoke().await.unwrap();
    word(&mut stream).await.unwrap();
    stream.settle();
    assert_eq!(ends.recv().await.unwrap(), None, "closed, without another frame");
}

#[tokio::test]
async fn a_cancelled_stream_closes_the_connection_only_when_it_is_the_last() {
    let (sender, mut heard) = mpsc::unbounded_channel();
    let server = WsServer::start(move |_, mut peer| {
        let sender = sender.clone();
        async move {
            let (_, two) = (peer.next_id().await, peer.next_id().await);
            let three = peer.next_id().await;
            peer.say(&two, json!({"word": 2})).await;
            peer.say(&three, json!({"word": 3})).await;
            sender.send(peer.hear().await).unwrap();
        }
    })
    .await;
    let client = Client::of(&server.url, LIMITS);
    let one = client.invoke().await.unwrap();
    let mut two = client.invoke().await.unwrap();
    drop(one);
    let mut three = client.invoke().await.unwrap();
    assert_eq!((word(&mut two).await.unwrap(), word(&mut three).await.unwrap()), (json!(2), json!(3)));
    two.settle();
    drop(three);
    assert_eq!(heard.recv().await.unwrap(), None);
    assert_eq!(server.handshakes().len(), 1);
}

#[tokio::test]
async fn closing_ends_every_stream_with_the_reason() {
    let server = WsServer::start(|_, mut peer| async move { while peer.hear().await.is_some() {} }).await;
    let client = Client::of(&server.url, LIMITS);
    let (mut one, mut two) = (client.invoke().await.unwrap(), client.invoke().await.unwrap());
    client.channel.close(ErrorKind::SessionNotFound, "the session was deleted");
    for stream in [&mut one, &mut two] {
        let error = word(stream).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::SessionNotFound, "the session was deleted"));
    }
}

#[tokio::test]
async fn another_address_gets_a_connection_of_its_own_and_streams_of_the_first_go_on() {
    let script = |_, mut peer: testing::Peer| async move {
        let id = peer.next_id().await;
        peer.say(&id, json!({"word": 1})).await;
        peer.pinged().await;
        peer.say(&id, json!({"word": 2})).await;
        peer.fall_silent().await;
    };
    let (server, other) = (WsServer::start(script).await, WsServer::start(script).await);
    let mut client = Client::of(&server.url, Limits { ping_every: Duration::from_millis(20), ..LIMITS });
    let mut stream = client.invoke().await.unwrap();
    assert_eq!(word(&mut stream).await.unwrap(), 1);
    client.address.url = other.url.clone();
    let mut elsewhere = client.invoke().await.unwrap();
    assert_eq!(word(&mut elsewhere).await.unwrap(), 1);
    assert_eq!(word(&mut stream).await.unwrap(), 2);
    assert_eq!((server.handshakes().len(), other.handshakes().len()), (1, 1));
}

#[tokio::test]
async fn a_refused_handshake_says_what_the_server_said_and_no_secret() {
    let server = Server::start(|_| refuse(401, "AccessDenied", "the token tk-SECRET is not valid")).await;
    let error = Client::of(&server.url.replace("http", "ws"), LIMITS).refusal().await;
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert_eq!(error.message(), "Unexpected server response: 401: the token **** is not valid");
    assert_eq!((error.http_status(), error.request_id(), error.attempts()), (Some(401), "r-1", 1));
    assert_eq!(server.seen().len(), 1, "a refusal is not tried again");

    let gone = Server::start(|_| testing::not_found()).await;
    let error = Client::of(&gone.url.replace("http", "ws"), LIMITS).refusal().await;
    assert_eq!(error.kind(), ErrorKind::SessionNotFound);
}

#[tokio::test]
async fn redirects_are_not_followed_and_an_answer_that_is_no_handshake_is_none() {
    let server = Server::start(|_| {
        let mut response = reply(302, "");
        response.headers_mut().insert("location", "http://127.0.0.1:1/".parse().unwrap());
        response
    })
    .await;
    let error = Client::of(&server.url.replace("http", "ws"), LIMITS).refusal().await;
    assert!(error.kind() == ErrorKind::Http && error.message().contains("redirect"), "{error}");

    let page = Server::start(|_| reply(200, "<html>")).await;
    let error = Client::of(&page.url.replace("http", "ws"), LIMITS).refusal().await;
    assert_eq!(error.message(), "Unexpected server response: 200");
}

#[tokio::test]
async fn connecting_is_tried_again_a_few_times() {
    let error = Client::of(&CLOSED_URL.replace("http", "ws"), LIMITS).refusal().await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(error.attempts(), 4);
}

#[tokio::test]
async fn what_the_session_lacks_is_named_before_anything_is_sent() {
    for (url, token, name) in [("", "t", "wsUrl"), ("ws://127.0.0.1:1", "", "token")] {
        let mut client = Client::of(url, LIMITS);
        client.address.token = token.to_owned();
        let error = client.refusal().await;
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(
            error.message(),
            format!(
                "{name} is not set on this session. Ensure the session was created with WebSocket support enabled."
            )
        );
    }
}
