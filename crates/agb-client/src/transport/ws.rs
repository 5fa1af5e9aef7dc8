//! A WebSocket, on a connection that the HTTP client opened: proxies, TLS, limits and redirects are settled there, for
//! both.

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use reqwest::Upgraded;
use reqwest::header::HeaderMap;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::http::{Upgrade, host};
use super::{Deadline, MAX_ANSWER_BYTES, Method, Reply, Request, Resend, Transport, redact};
use crate::error::{Error, ErrorKind, Result};

const OPERATION: &str = "webSocket";

/// What came of the wish for a WebSocket.
pub(crate) enum Opened {
    /// It is open.
    Socket(Socket),
    /// The server answered something else.
    Refused(Reply),
}

/// An open WebSocket.
pub(crate) struct Socket {
    stream: WebSocketStream<Upgraded>,
}

/// Its reading half.
pub(crate) struct SocketReader {
    stream: SplitStream<WebSocketStream<Upgraded>>,
}

/// Its writing half.
pub(crate) struct SocketWriter {
    sink: SplitSink<WebSocketStream<Upgraded>, Message>,
}

/// What a WebSocket gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// A text, or bytes read as text.
    Text(String),
    /// A ping (which is answered by itself), or the answer to one.
    SignOfLife,
    /// The server closes, with this code (1005: it gave none) and its words.
    Close(u16, String),
}

/// The code of a close frame without one.
const NO_CODE: u16 = 1005;

impl Transport {
    /// Opens a WebSocket. Connecting is tried again as for requests; a handshake that may have arrived is not.
    ///
    /// # Errors
    /// InvalidArgument for what is no WebSocket URL, Connect, Network, Timeout, Http (redirect), Config (TLS, proxy) or
    /// Protocol (a handshake that is none).
    pub(crate) async fn open_socket(&self, url: &str, token: &str, deadline: Deadline) -> Result<Opened> {
        let key = generate_key();
        let request = Request {
            operation: OPERATION,
            method: Method::Get,
            url: http_url(url)?,
            headers: vec![
                ("connection".into(), "Upgrade".to_owned()),
                ("upgrade".into(), "websocket".to_owned()),
                ("sec-websocket-version".into(), "13".to_owned()),
                ("sec-websocket-key".into(), key.clone()),
                ("x-access-token".into(), token.to_owned()),
            ],
            body: bytes::Bytes::new(),
            resend: Resend::IfNotSent,
            deadline,
            connect_limit: None,
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let outcome = match self.http.upgrade(&request).await {
                Ok(Upgrade::Switched(headers, connection)) => {
                    check_accepted(&headers, &key, &request.url)?;
                    return Ok(Opened::Socket(Socket::new(connection).await));
                }
                Ok(Upgrade::Refused(raw)) => {
                    return Ok(Opened::Refused(Reply::of(raw, attempt)));
                }
                Err(error) => Err(error),
            };
            let Some(delay) = self.retry.delay(&request, attempt, &outcome) else {
                return match outcome {
                    Err(error) => Err(error.with_operation(OPERATION).with_attempts(attempt)),
                    Ok(_) => Err(Error::new(ErrorKind::Internal, "the handshake has no outcome")),
                };
            };
            tokio::time::sleep(delay).await;
        }
    }
}

/// `ws://` is spoken over `http://`, `wss://` over `https://`.
fn http_url(url: &str) -> Result<String> {
    let url = url.trim();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "ws" => "http",
        "wss" => "https",
        _ => {
            let text = format!("{:?} is not the URL of a WebSocket", redact::url(url));
            return Err(Error::new(ErrorKind::InvalidArgument, text).with_operation(OPERATION));
        }
    };
    Ok(format!("{scheme}://{rest}"))
}

/// Only who knows the protocol can answer the key: anything else on the way would not.
fn check_accepted(headers: &HeaderMap, key: &str, url: &str) -> Result<()> {
    let is = |name: &str, wanted: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
    };
    let accept = headers.get("sec-websocket-accept").and_then(|value| value.to_str().ok());
    if is("upgrade", "websocket") && accept == Some(derive_accept_key(key.as_bytes()).as_str()) {
        return Ok(());
    }
    let text = format!("{} switched protocols, but not to a WebSocket", host(url));
    Err(Error::new(ErrorKind::Protocol, text).with_operation(OPERATION))
}

impl Socket {
    async fn new(connection: Upgraded) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .max_message_size(Some(MAX_ANSWER_BYTES))
            .max_frame_size(Some(MAX_ANSWER_BYTES));
        Self { stream: WebSocketStream::from_raw_socket(connection, Role::Client, Some(config)).await }
    }

    pub(crate) fn split(self) -> (SocketReader, SocketWriter) {
        let (sink, stream) = self.stream.split();
        (SocketReader { stream }, SocketWriter { sink })
    }
}

impl SocketReader {
    /// The next thing that comes. Giving up loses nothing.
    ///
    /// # Errors
    /// The connection is gone, or what came breaks the protocol.
    pub(crate) async fn next(&mut self) -> Result<Received> {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Ok(Received::Text(text.as_str().to_owned())),
            Some(Ok(Message::Binary(bytes))) => Ok(Received::Text(String::from_utf8_lossy(&bytes).into_owned())),
            Some(Ok(Message::Close(frame))) => Ok(match frame {
                Some(frame) => Received::Close(frame.code.into(), frame.reason.as_str().to_owned()),
                None => Received::Close(NO_CODE, String::new()),
            }),
            Some(Ok(_)) => Ok(Received::SignOfLife),
            Some(Err(error)) => Err(failure(error)),
            None => Err(broken("the connection ended")),
        }
    }
}

impl SocketWriter {
    /// Sends a text, and waits until it is on its way.
    ///
    /// # Errors
    /// The connection is gone.
    pub(crate) async fn send(&mut self, text: String) -> Result<()> {
        self.sink.send(Message::text(text)).await.map_err(failure)
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// The connection is gone.
    pub(crate) async fn ping(&mut self) -> Result<()> {
        self.sink.send(Message::Ping(bytes::Bytes::new())).await.map_err(failure)
    }

    /// Says goodbye, where that is still possible.
    pub(crate) async fn close(mut self) {
        // Who is gone needs no goodbye.
        let _ = self.sink.close().await;
    }
}

/// The code by which a loss without a close frame is known.
const LOST: u16 = 1006;

fn broken(why: &str) -> Error {
    Error::new(ErrorKind::Network, format!("connection closed: code={LOST}, {why}"))
        .with_operation(OPERATION)
        .with_temporary(true)
}

fn failure(error: WsError) -> Error {
    match error {
        WsError::ConnectionClosed | WsError::AlreadyClosed => broken("the connection ended"),
        WsError::Io(error) => broken(&error.to_string()).with_source(error),
        WsError::Capacity(_) => {
            let limit_mib = MAX_ANSWER_BYTES / (1024 * 1024);
            Error::new(ErrorKind::Protocol, format!("a message is larger than {limit_mib} MiB"))
                .with_operation(OPERATION)
        }
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => broken("the connection ended"),
        other => {
            Error::new(ErrorKind::Protocol, format!("WebSocket protocol error: {other}")).with_operation(OPERATION)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_socket_urls_are_taken_and_a_refusal_shows_no_secret() {
        assert_eq!(http_url("ws://h:1/p?token=t").unwrap(), "http://h:1/p?token=t");
        assert_eq!(http_url(" WSS://h/p").unwrap(), "https://h/p");
        for url in ["http://h/SECRET?token=SECRET2", "h/p", "", "ws:/h"] {
            let error = http_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{url}");
            assert!(!error.message().contains("SECRET2"), "{}", error.message());
        }
    }

    #[test]
    fn an_answer_to_another_key_is_no_web_socket() {
        let headers = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("upgrade", "WebSocket".parse().unwrap());
            headers.insert("sec-websocket-accept", accept.parse().unwrap());
            headers
        };
        // The example of RFC 6455, section 1.3.
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        assert!(check_accepted(&headers("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), key, "http://h/SECRET").is_ok());
        let error = check_accepted(&headers("AAAA"), key, "http://h/SECRET").unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Protocol, "h switched protocols, but not to a WebSocket")
        );
        assert!(check_accepted(&HeaderMap::new(), key, "http://h/").is_err());
    }
}
