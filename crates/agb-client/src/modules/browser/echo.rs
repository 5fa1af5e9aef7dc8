//! Tells a browser which headers it sends: a server on this machine that answers them as JSON, so that nobody else has
//! to be asked.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::error::{Error, ErrorKind, Result};

/// How long the server waits for its visitors.
const LIFE: Duration = Duration::from_secs(120);
/// How long one visitor may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Starts the server and gives its address. It ends by itself, two minutes later.
///
/// # Errors
///
/// [`Internal`](ErrorKind::Internal) when this machine has no free port.
pub async fn start_header_echo() -> Result<String> {
    let failed = |error: io::Error| {
        Error::new(ErrorKind::Internal, format!("the browser's headers can't be asked for: {error}"))
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    let url = format!("http://{}/", listener.local_addr().map_err(failed)?);
    tokio::spawn(tokio::time::timeout(LIFE, serve(listener)));
    Ok(url)
}

/// Visitors don't wait for each other: a browser opens connections in advance that it may not use.
async fn serve(listener: TcpListener) {
    while let Ok((visitor, _)) = listener.accept().await {
        tokio::spawn(tokio::time::timeout(PATIENCE, answer(visitor)));
    }
}

async fn answer(mut visitor: TcpStream) -> io::Result<()> {
    let head = read_head(&mut visitor).await?;
    let body = json!({ "headers": headers_in(&head) }).to_string();
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    visitor.write_all(response.as_bytes()).await?;
    visitor.shutdown().await
}

async fn read_head(visitor: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = visitor.read(&mut chunk).await?;
        if count == 0 || head.len() + count > MAX_HEAD_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn headers_in(head: &str) -> Map<String, Value> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn exchange(url: &str, request: &str) -> String {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    #[tokio::test]
    async fn a_visitor_learns_its_headers_though_another_one_says_nothing() {
        let url = start_header_echo().await.unwrap();
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let _silent = TcpStream::connect(address).await.unwrap();
        let request = "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: Mozilla: 5\r\n\r\n";
        let response = exchange(&url, request).await;
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert!(response.ends_with(r#"{"headers":{"host":"x","user-agent":"Mozilla: 5"}}"#), "{response}");
    }

    #[tokio::test]
    async fn a_request_without_end_gets_no_answer() {
        let url = start_header_echo().await.unwrap();
        let endless = "x".repeat(MAX_HEAD_BYTES + 4096);
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may hang up while it is still being written to.
        let _ = stream.write_all(endless.as_bytes()).await;
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response).await;
        assert!(response.is_empty());
    }
}
