//! The transport against servers that misbehave.

use std::io::Write as _;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CONTENT_ENCODING, LOCATION, RETRY_AFTER};
use serde_json::{Map, json};

use crate::agb::{Agb, CreateParams};
use crate::error::{Error, ErrorKind};
use crate::session::SessionDetails;
use crate::testing::{CLOSED_URL, RawServer, Server, agb, ok, options, reply, with_timeout};
use crate::tool::{CallTool, ToolLimits};

use super::{MAX_ANSWER_BYTES, RetryPolicy};

async fn status_error(agb: Agb) -> Error {
    agb.attach("s-1", SessionDetails::default()).status().await.unwrap_err()
}

async fn tool_error(agb: Agb) -> Error {
    agb.attach("s-1", SessionDetails::default())
        .call_tool("run_code", Map::new(), ToolLimits::default())
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_call_that_may_run_twice_is_sent_again_until_it_works() {
    let server = Server::start(|seen| match seen.nth {
        0 => reply(503, "busy"),
        1 => reply(429, "slow down"),
        _ => ok(&json!({"status": "RUNNING"})),
    })
    .await;
    assert_eq!(server.session().status().await.unwrap().status, "RUNNING");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn attempts_end_and_the_error_counts_them() {
    let server = Server::start(|_| reply(503, "<html>busy</html>")).await;
    let error = status_error(server.agb()).await;
    assert_eq!((error.kind(), error.http_status(), error.attempts()), (ErrorKind::Http, Some(503), 4));
    assert_eq!(error.message(), "HTTP 503 error: busy");
    assert!(error.is_temporary());
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn retry_after_beyond_the_deadline_is_not_waited_for() {
    let server = Server::start(|_| {
        let mut response = reply(429, "{}");
        response.headers_mut().insert(RETRY_AFTER, "1000".parse().unwrap());
        response
    })
    .await;
    assert_eq!(status_error(server.agb()).await.attempts(), 1);
}

#[tokio::test]
async fn work_is_never_sent_twice_once_it_may_have_arrived() {
    let server = Server::start(|_| reply(503, "busy")).await;
    assert_eq!(tool_error(server.agb()).await.attempts(), 1);
    let params = CreateParams { image_id: "i".into(), ..CreateParams::default() };
    assert_eq!(server.agb().create(params).await.unwrap_err().attempts(), 1);
    assert_eq!(server.seen().len(), 2);

    let broken = RawServer::start(b"", false).await;
    let error = tool_error(agb(&broken.url, &[])).await;
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Network, 1), "{error}");
    assert_eq!(*broken.connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_broken_connection_is_tried_again_where_that_is_safe() {
    for half in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"] {
        let broken = RawServer::start(half, false).await;
        let error = status_error(agb(&broken.url, &[])).await;
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Network, 4), "{error}");
        assert!(error.message().contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test]
async fn where_nobody_listens_even_work_is_tried_again() {
    let error = tool_error(agb(CLOSED_URL, &[])).await;
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 4), "{error}");
    assert!(error.message().starts_with("could not connect to 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn the_deadline_covers_an_answer_that_never_ends() {
    for half in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"] {
        let slow = RawServer::start(half, true).await;
        let error = status_error(with_timeout(&slow.url, &[], 100.0)).await;
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.message().starts_with("timeout of 100ms exceeded"), "{error}");
    }
}

#[tokio::test]
async fn the_deadline_covers_all_attempts() {
    let server = Server::start(|_| reply(503, "")).await;
    let pause = Duration::from_millis(20);
    let endless = RetryPolicy { max_attempts: u32::MAX, base: pause, cap: pause, budget: u32::MAX };
    let mut options = options(&server.url);
    options.timeout_ms = Some(3_000.0);
    // Without a deadline over all attempts this would never come back.
    let error = status_error(Agb::with_retry(options, endless).unwrap()).await;
    assert!(error.attempts() > 1 || error.kind() == ErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused_announced_or_not() {
    let announced = RawServer::start(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", true).await;
    let error = status_error(agb(&announced.url, &[])).await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().ends_with("is larger than 64 MiB"), "{error}");

    // A small compressed body that is too large once it is unpacked.
    let body = Bytes::from(gzip_of_zeros(MAX_ANSWER_BYTES + 1));
    let server = Server::start(move |_| {
        let mut response = reply(200, body.clone());
        response.headers_mut().insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        response
    })
    .await;
    let error = status_error(with_timeout(&server.url, &[], 120_000.0)).await;
    assert!(error.message().ends_with("is larger than 64 MiB"), "{error}");
    assert!(server.seen()[0].header("accept-encoding").contains("gzip"));
}

/// By the `gzip` program, so that the test needs no compressor of its own.
fn gzip_of_zeros(length: usize) -> Vec<u8> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let block = vec![0; 1024 * 1024];
    for _ in 0..=length / block.len() {
        file.write_all(&block).unwrap();
    }
    std::process::Command::new("gzip").arg("-c").arg(file.path()).output().unwrap().stdout
}

#[tokio::test]
async fn a_redirect_is_an_error_that_names_status_host_and_request_id() {
    let target = Server::start(|_| ok(&json!({}))).await;
    let location = target.url.clone();
    let server = Server::start(move |_| {
        let mut response = reply(307, "");
        response.headers_mut().insert(LOCATION, location.parse().unwrap());
        response.headers_mut().insert("x-request-id", "head-1".parse().unwrap());
        response
    })
    .await;
    let error = status_error(server.agb()).await;
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::Http, Some(307)));
    assert_eq!(error.request_id(), "head-1");
    assert!(error.message().contains("307") && error.message().contains(&server.url["http://".len()..]), "{error}");
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn the_proxy_of_the_environment_that_was_handed_down_is_used_unless_excepted() {
    let proxy = Server::start(|_| ok(&json!({"status": "PROXIED"}))).await;
    // Of no address: only a proxy can reach it.
    let status = async |env: &[(&str, &str)]| {
        let session = agb("http://service.invalid", env).attach("s-1", SessionDetails::default());
        session.status().await.map(|record| record.status)
    };
    let through = async |env: &[(&str, &str)]| status(env).await.is_ok_and(|status| status == "PROXIED");
    assert!(!through(&[]).await);
    assert!(through(&[("HTTP_PROXY", &proxy.url)]).await);
    assert!(through(&[("all_proxy", &proxy.url)]).await);
    assert!(through(&[("all_proxy", &proxy.url), ("NO_PROXY", "example.org,127.0.0.1")]).await);
    assert!(!through(&[("HTTPS_PROXY", &proxy.url)]).await);
    assert!(!through(&[("HTTP_PROXY", &proxy.url), ("NO_PROXY", "example.org,service.invalid")]).await);
    assert!(!through(&[("HTTP_PROXY", &proxy.url), ("no_proxy", "*")]).await);

    let error = status(&[("HTTP_PROXY", CLOSED_URL)]).await.unwrap_err();
    assert!(error.message().starts_with("could not connect to service.invalid or the proxy of HTTP_PROXY:"), "{error}");
    for excepted in ["*", "invalid", "a.test, .invalid", "service.invalid"] {
        let error = status(&[("HTTP_PROXY", CLOSED_URL), ("NO_PROXY", excepted)]).await.unwrap_err();
        assert!(error.message().starts_with("could not connect to service.invalid:"), "{error}");
    }
}

#[tokio::test]
async fn what_is_on_this_machine_is_reached_without_a_proxy() {
    let server = Server::start(|_| ok(&json!({"status": "DIRECT"}))).await;
    let port = server.url.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "localhost"] {
        for env in [&[("HTTP_PROXY", CLOSED_URL)][..], &[("ALL_PROXY", CLOSED_URL), ("NO_PROXY", "example.org")][..]] {
            let session = agb(&format!("http://{host}:{port}"), env).attach("s-1", SessionDetails::default());
            assert_eq!(session.status().await.unwrap().status, "DIRECT");
        }
    }
    let error = status_error(agb(CLOSED_URL, &[("HTTP_PROXY", &server.url)])).await;
    assert!(error.message().starts_with("could not connect to 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_is_no_url_is_a_configuration_error() {
    let error = status_error(agb("http://127.0.0.1:1", &[("HTTP_PROXY", "http://user:SECRET@[x")])).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("HTTP_PROXY") && !error.message().contains("SECRET"), "{error}");
}

#[tokio::test]
async fn extra_certificates_that_cannot_be_read_do_not_stop_the_client() {
    let server = Server::start(|_| ok(&json!({"status": "RUNNING"}))).await;
    let agb = agb(&server.url, &[("NODE_EXTRA_CA_CERTS", "/nowhere/at-all.pem")]);
    assert!(agb.attach("s-1", SessionDetails::default()).status().await.is_ok());
}

#[tokio::test]
async fn a_key_that_an_error_page_repeats_is_not_shown() {
    let server = Server::start(|seen| reply(500, seen.header("authorization").to_owned())).await;
    let error = status_error(server.agb()).await;
    assert_eq!(error.message(), "HTTP 500 error: Bearer ****");
}
