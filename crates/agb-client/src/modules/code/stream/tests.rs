use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::testing::WsServer;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// Takes frames until the end or a failure.
fn collect(frames: &[Value]) -> std::result::Result<Execution, StreamFailure> {
    let mut collector = Collector { id: "i-1".into(), ..Collector::default() };
    for frame in frames {
        match collector.take(object(frame.clone())) {
            Ok(Step::End(end)) => return Ok(collector.finished(&end, "i-1".into())),
            Ok(_) => {}
            Err(error) => return Err(collector.failed(error)),
        }
    }
    panic!("no end");
}

fn stdout(chunk: &str) -> Value {
    json!({"phase": "event", "eventType": "stdout", "chunk": chunk})
}

fn end() -> Value {
    json!({"phase": "end", "status": "finished", "executionCount": 2, "executionTime": 0.5})
}

#[test]
fn a_run_is_gathered_in_its_order() {
    let result = json!({"mime": {"text/plain": "42", "text/html": "<b>"}, "isMainResult": true});
    let execution = collect(&[
        stdout("a"),
        json!({"phase": "event", "eventType": "stderr", "chunk": "w"}),
        json!({"phase": "event", "eventType": "stdout", "chunk": 7}),
        json!({"phase": "event", "eventType": "progress"}),
        json!({"phase": "event", "eventType": "result", "result": result}),
        json!({"phase": "event", "eventType": "result", "result": 7}),
        stdout("b"),
        end(),
    ])
    .unwrap();
    let main = ExecutionResult {
        text: Some("42".into()),
        html: Some("<b>".into()),
        is_main_result: true,
        ..ExecutionResult::default()
    };
    let number = ExecutionResult { text: Some("7".into()), ..ExecutionResult::default() };
    let expected = Execution {
        request_id: "i-1".into(),
        success: true,
        execution_count: Some(2.0),
        execution_time: 0.5,
        stdout: vec!["a".into(), "b".into()],
        stderr: vec!["w".into()],
        results: vec![main, number],
        error: None,
        error_message: String::new(),
    };
    assert_eq!(execution, expected);
}

#[test]
fn no_failure_is_a_success() {
    let error = |name: &str, value: &str, traceback: &str| {
        Some(ExecutionError { name: name.into(), value: value.into(), traceback: traceback.into() })
    };
    let event = |error: Value| json!({"phase": "event", "eventType": "error", "error": error});
    for (frames, expected, message) in [
        (vec![event(json!({"code": "E", "message": "m", "traceId": "t"})), end()], error("E", "m", "traceId=t"), "m"),
        (vec![event(json!({"error": "e"})), end()], error("ExecutionError", "e", ""), "e"),
        (vec![event(json!("words")), end()], error("ExecutionError", "words", ""), "words"),
        (
            vec![event(json!({"message": "first"})), event(json!({"message": "last"})), end()],
            error("ExecutionError", "last", ""),
            "last",
        ),
        (
            vec![json!({"phase": "event", "eventType": "x", "error": "words"}), end()],
            error("ExecutionError", "words", ""),
            "words",
        ),
        (vec![json!({"phase": "end", "executionError": "boom"})], error("ExecutionError", "boom", ""), "boom"),
        (vec![json!({"phase": "end", "error": {"message": "odd"}})], error("ExecutionError", "odd", ""), "odd"),
        (vec![json!({"phase": "end", "status": "failed"})], None, "Failed to run code"),
    ] {
        let execution = collect(&frames).unwrap();
        assert!(!execution.success, "{frames:?}");
        assert_eq!((execution.error, execution.error_message.as_str()), (expected, message), "{frames:?}");
    }
}

#[test]
fn an_error_without_data_of_its_own_is_the_whole_frame() {
    let frame = object(json!({"phase": "event", "eventType": "error", "code": "C", "message": "m"}));
    match Collector::default().take(frame.clone()).unwrap() {
        Step::Told(event) => match *event {
            CodeEvent::Error { payload, error } => {
                assert_eq!((payload, error.name.as_str()), (Value::Object(frame), "C"));
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn streams_that_end_with_an_error_fail_and_keep_what_came() {
    for (frame, kind, part) in [
        (json!({"phase": "error", "error": {"code": "Busy", "token": "SECRET"}}), ErrorKind::Tool, "Busy"),
        (
            json!({"phase": "error", "error": {"code": "InvalidSession.NotFound"}}),
            ErrorKind::SessionNotFound,
            "NotFound",
        ),
        (json!({"phase": "error", "error": {"code": "Mouse.NotFound"}}), ErrorKind::Tool, "NotFound"),
        (json!({"phase": "end", "error": "words"}), ErrorKind::Tool, "words"),
        (json!({"error": "words"}), ErrorKind::Tool, "words"),
        (json!({"eventType": "stdout"}), ErrorKind::Protocol, "missing required data.phase"),
        (json!({"phase": "later"}), ErrorKind::Protocol, "unsupported data.phase"),
        (json!({"phase": 7}), ErrorKind::Protocol, "unsupported data.phase"),
    ] {
        let failure = collect(&[stdout("so far"), frame.clone()]).unwrap_err();
        assert_eq!(failure.error.kind(), kind, "{frame}");
        let message = failure.error.message();
        assert!(message.contains(part) && !message.contains("SECRET"), "{message}");
        assert_eq!(failure.error.operation(), "run_code");
        let partial = *failure.partial;
        assert!(!partial.success && partial.error_message == message, "{frame}");
        assert_eq!((partial.stdout, partial.request_id.as_str()), (vec!["so far".to_owned()], ""));
        assert_eq!(partial.error.unwrap().value, message);
    }
}

#[test]
fn a_gap_or_another_order_is_a_failure_and_where_the_numbers_begin_does_not_count() {
    let numbered = |numbers: &[i64]| {
        let mut frames: Vec<Value> = numbers
            .iter()
            .map(|number| json!({"phase": "event", "eventType": "stdout", "chunk": "x", "seq": number}))
            .collect();
        frames.push(end());
        collect(&frames)
    };
    for fine in [&[][..], &[0, 1, 2], &[1, 2], &[41, 42], &[i64::MAX]] {
        assert!(numbered(fine).unwrap().success, "{fine:?}");
    }
    for bad in [&[1, 3][..], &[2, 1], &[1, 1], &[0, 1, 2, 4], &[i64::MIN, 0]] {
        let failure = numbered(bad).unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Protocol);
        assert!(failure.error.message().starts_with("the stream has a gap"), "{bad:?}");
    }
    let last = json!({"phase": "end", "status": "finished", "seq": 3});
    let first = json!({"phase": "event", "eventType": "stdout", "chunk": "x", "seq": 1});
    assert!(collect(&[first, last]).is_err(), "the last chunk is missing");
}

#[test]
fn a_number_counts_however_it_is_written_and_what_is_none_is_a_failure() {
    let numbered = |seq: Value| json!({"phase": "event", "eventType": "stdout", "chunk": "x", "seq": seq});
    for (one, two) in [(json!(1.0), json!(2)), (json!("1"), json!("2.0")), (json!(1), json!(" 2 "))] {
        assert!(collect(&[numbered(one.clone()), numbered(two), end()]).unwrap().success);
        let failure = collect(&[numbered(one), numbered(json!(3)), end()]).unwrap_err();
        assert!(failure.error.message().starts_with("the stream has a gap"), "{}", failure.error);
    }
    assert!(collect(&[numbered(Value::Null), end()]).unwrap().success);
    for none in [json!(1.5), json!("one"), json!(""), json!(true), json!([1]), json!({}), json!(1e300)] {
        let failure = collect(&[numbered(none.clone()), end()]).unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Protocol, "{none}");
        let text = format!("WS message has a data.seq that is no whole number; invocationId=i-1, seq={none}, data=");
        assert!(failure.error.message().starts_with(&text), "{}", failure.error.message());
    }
}

#[test]
fn what_can_not_be_read_says_where_and_what_and_not_too_much_of_it() {
    let text = |frame: Value| collect(&[frame]).unwrap_err().error.message().to_owned();
    assert_eq!(
        text(json!({"eventType": "stdout"})),
        r#"WS message missing required data.phase; invocationId=i-1, data={"eventType":"stdout"}"#
    );
    assert_eq!(
        text(json!({"phase": {"token": "SECRET"}})),
        r#"WS message has unsupported data.phase; invocationId=i-1, phase={"token":"****"}, data={"phase":{"token":"****"}}"#
    );
    assert!(text(json!({"phase": "x".repeat(1_000_000)})).len() < 3_000);
}

#[test]
fn output_without_end_is_cut_off() {
    let mut collector = Collector { bytes: MAX_ANSWER_BYTES - 1, ..Collector::default() };
    assert!(collector.take(object(stdout("x"))).is_ok());
    let error = collector.take(object(stdout("x"))).unwrap_err();
    assert!(error.message().contains("more than 64 MiB"), "{error}");
}

proptest! {
    #[test]
    fn no_frame_panics_or_turns_a_failure_into_a_success(
        phase in prop_oneof![Just(json!("event")), Just(json!("end")), Just(json!("error")), Just(json!(1)), Just(Value::Null)],
        event in prop_oneof![Just(json!("stdout")), Just(json!("result")), Just(json!("error")), Just(json!([]))],
        payload in prop_oneof![
            Just(json!("x")), Just(json!({"mime": 1})), Just(json!({"message": {}, "code": []})), Just(Value::Null), Just(json!(-0.0)),
        ],
        seq in prop_oneof![Just(json!(1)), Just(json!(1.5)), Just(json!(i64::MIN)), Just(json!("1"))],
    ) {
        let frame = json!({
            "phase": phase, "eventType": event, "chunk": payload, "result": payload, "error": payload,
            "executionError": payload, "executionTime": payload, "executionCount": payload, "status": payload, "seq": seq,
        });
        if let Ok(execution) = collect(&[frame, end()]) {
            prop_assert_eq!(execution.success, execution.error.is_none());
        }
    }
}

#[tokio::test]
async fn the_request_names_server_method_and_parameters_and_events_come_before_the_end() {
    let heard = Arc::new(Mutex::new(None));
    let first = heard.clone();
    let server = WsServer::start(move |_, mut peer| {
        let first = first.clone();
        async move {
            let frame = peer.hear().await.unwrap();
            let id = frame["invocationId"].as_str().unwrap().to_owned();
            *first.lock().unwrap() = Some(frame);
            peer.print(&id, "one").await;
            peer.print(&id, "two").await;
            peer.end(&id).await;
            peer.fall_silent().await;
        }
    })
    .await;
    let session = server.session().by_route(None);
    let mut events = Vec::new();
    let execution = stream(&session, "print(1)", " Py ", 2.0, |event| events.push(event)).await.unwrap();
    assert_eq!(events, [CodeEvent::Stdout("one".into()), CodeEvent::Stdout("two".into())]);
    assert_eq!(execution.stdout, ["one", "two"]);
    let frame = heard.lock().unwrap().take().unwrap();
    assert_eq!(
        (frame["target"].as_str(), frame["invocationId"].as_str()),
        (Some("wuying_codespace"), Some(&*execution.request_id))
    );
    assert_eq!(
        frame["data"].to_string(),
        r#"{"method":"run_code","mode":"stream","params":{"language":"python","timeoutS":2,"code":"print(1)"}}"#
    );
}

#[tokio::test]
async fn a_stream_settles_by_its_deadline_with_what_had_come() {
    let server = WsServer::start(|_, mut peer| async move {
        let id = peer.next_id().await;
        peer.print(&id, "so far").await;
        peer.fall_silent().await;
    })
    .await;
    let session = server.session();
    let data = object(json!({"method": "run_code"}));
    let deadline = Deadline::after(Duration::from_secs(6));
    let failure = run_within(&session.by_route(None), &data, deadline, |_| {}).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Timeout);
    let message = "timeout of 6000ms exceeded: the stream did not end (it may have been executed all the same)";
    assert_eq!(failure.error.message(), message);
    assert_eq!(failure.partial.stdout, ["so far"]);
}

#[tokio::test]
async fn a_stream_holds_the_idle_timer_of_its_session() {
    let server = WsServer::start(|_, mut peer| async move {
        let id = peer.next_id().await;
        peer.print(&id, "x").await;
        peer.end(&id).await;
        peer.fall_silent().await;
    })
    .await;
    let session = server.session();
    let clock = session.agb().clock().clone();
    let during = Arc::new(Mutex::new(Duration::MAX));
    let seen = during.clone();
    let of = session.clone();
    let tell = move |_| {
        clock.advance(Duration::from_secs(100));
        *seen.lock().unwrap() = of.idle_for();
    };
    stream(&session.by_route(None), "1", "python", 2.0, tell).await.unwrap();
    assert_eq!(*during.lock().unwrap(), Duration::ZERO);
    assert!(session.idle_for() < Duration::from_secs(60), "{:?}", session.idle_for());
}

#[tokio::test]
async fn bad_arguments_are_refused_before_anything_is_sent() {
    let server = WsServer::start(|_, peer| peer.fall_silent()).await;
    let session = server.session().by_route(None);
    for (language, limit, part) in
        [("ruby", 1.0, "Unsupported language: ruby"), ("python", 0.0, "Invalid timeout: 0"), ("r", f64::NAN, "NaN")]
    {
        let failure = stream(&session, "1", language, limit, |_| {}).await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::InvalidArgument);
        assert!(failure.error.message().contains(part), "{failure}");
    }
    assert!(server.handshakes().is_empty());
}

#[tokio::test]
async fn what_the_caller_gave_decides_where_the_stream_goes() {
    let server = WsServer::start(|_, mut peer| async move {
        let frame = peer.hear().await.unwrap();
        let id = frame["invocationId"].as_str().unwrap().to_owned();
        peer.print(&id, frame["target"].as_str().unwrap()).await;
        peer.end(&id).await;
        peer.fall_silent().await;
    })
    .await;
    let route = crate::RouteOverride {
        ws_url: Some(server.url.clone()),
        token: "tk-OTHER".into(),
        tools: Some(vec![("run_code".into(), "my_server".into())]),
        ..crate::RouteOverride::default()
    };
    let nowhere = WsServer::start(|_, peer| peer.fall_silent()).await;
    let session = nowhere.session().by_route(Some(route));
    let execution = stream(&session, "1", "python", 2.0, |_| {}).await.unwrap();
    assert_eq!(execution.stdout, ["my_server"]);
    assert_eq!(server.handshakes()[0]["x-access-token"], "tk-OTHER");
    assert!(nowhere.handshakes().is_empty());
}
