//! Large bodies, to and from addresses that grant access by themselves: streamed, never held as a whole. A transfer may
//! take as long as it moves; it ends when nothing has moved for the stall limit.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Response, Url};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::http::{Outcome, RawReply, header_text, host, parse_url, receive_failure, retry_after, send_failure};
use super::{Deadline, Method, Request, Resend, Transport, redact};
use crate::error::{Error, ErrorKind, Result};

/// The most hops from the given address to the content.
const MAX_REDIRECTS: usize = 5;
/// How much of a refusal is read.
const REFUSAL_BYTES: usize = 4 * 1024;
/// How long an upload that has to end waits for the answer to content that the store may have taken already.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A part of what is sent.
#[derive(Debug)]
pub(crate) enum Piece {
    Chunk(Bytes),
    /// Everything was sent. Without it the content is incomplete.
    End,
    /// The source failed, for the reason that is given.
    Failed(String),
}

/// What is sent, piece by piece, as fast as the connection takes it.
pub(crate) type Pieces = mpsc::Receiver<Piece>;

/// Told how many bytes have moved so far; called from any thread, and must not block.
pub(crate) type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// Where content goes.
pub(crate) struct Put<'a> {
    pub(crate) operation: &'static str,
    pub(crate) url: &'a str,
    pub(crate) content_type: Option<&'a str>,
    /// `None`: unknown, and sent in chunks.
    pub(crate) size: Option<u64>,
    /// How long nothing may move.
    pub(crate) stall: Duration,
    pub(crate) progress: Progress,
}

/// What the store said of an upload, whatever its status.
#[derive(Debug)]
pub(crate) struct PutReply {
    pub(crate) status: u16,
    /// The status in HTTP's own words.
    pub(crate) reason: &'static str,
    /// As it came, with its quotes.
    pub(crate) etag: Option<String>,
    /// The bytes that were handed to the connection.
    pub(crate) sent: u64,
    /// The beginning of what the store said to a refusal, without what the address grants access by.
    pub(crate) refusal: String,
}

/// Where content comes from.
pub(crate) struct Get<'a> {
    pub(crate) operation: &'static str,
    pub(crate) url: &'a str,
    /// How long nothing may move.
    pub(crate) stall: Duration,
}

/// An answer whose body is still to be read.
pub(crate) struct Incoming {
    pub(crate) status: u16,
    /// The length of the body, where the store announced it.
    pub(crate) length: Option<u64>,
    response: Response,
    received: u64,
    stall: Duration,
    host: String,
}

impl Transport {
    /// Sends what `open` gives. It is sent again where that may help and `open` can give it once more: writing the same
    /// content twice is writing it once.
    ///
    /// Ends when `ending` does, with the reason that it gives. By then the store either can't take the content as complete
    /// any more, or has answered, where it does so in time: an object that is removed now does not appear later.
    ///
    /// # Errors
    /// [`ErrorKind::Local`] when the source failed, [`ErrorKind::Timeout`] for a stall; as [`Transport::send`] otherwise.
    pub(crate) async fn put(
        &self,
        put: &Put<'_>,
        mut open: impl FnMut() -> Option<Pieces> + Send,
        mut ending: Pin<&mut (impl Future<Output = Error> + Send)>,
    ) -> Result<PutReply> {
        let mut url = parse_url(put.url)?;
        let (mut attempt, mut hops) = (0, 0);
        let mut next = open();
        while let Some(pieces) = next {
            let answered = self.put_once(put, url.clone(), pieces, ending.as_mut()).await;
            if let Ok(answered) = &answered
                && hops < MAX_REDIRECTS
                && let Some(target) = answered.redirect.as_ref().filter(|_| matches!(answered.reply.status, 307 | 308))
            {
                url = target.clone();
                hops += 1;
                next = open();
                if next.is_some() {
                    continue;
                }
            }
            attempt += 1;
            let (reply, outcome) = split(answered);
            let Some(delay) = self.retry.delay(&again(put.operation, put.stall), attempt, &outcome) else {
                return settle(reply, outcome, put.operation, attempt);
            };
            next = open();
            if next.is_none() {
                return settle(reply, outcome, put.operation, attempt);
            }
            tokio::select! {
                biased;
                reason = ending.as_mut() => return Err(reason),
                () = tokio::time::sleep(delay) => {}
            }
        }
        Err(Error::new(ErrorKind::Internal, "nothing to send").with_operation(put.operation))
    }

    async fn put_once(
        &self,
        put: &Put<'_>,
        url: Url,
        pieces: Pieces,
        ending: Pin<&mut (impl Future<Output = Error> + Send)>,
    ) -> Result<Answered> {
        let meter = Arc::new(Meter::new(put.progress.clone()));
        let mut exchange = std::pin::pin!(self.exchange(put, url, pieces, &meter));
        tokio::select! {
            biased;
            reason = ending => {
                if !meter.handover.break_off() {
                    // What the store answers, if anything, changes nothing any more.
                    let _ = tokio::time::timeout(put.stall.min(ANSWER_LIMIT), exchange).await;
                }
                Err(reason)
            }
            answered = &mut exchange => answered,
        }
    }

    async fn exchange(&self, put: &Put<'_>, url: Url, pieces: Pieces, meter: &Arc<Meter>) -> Result<Answered> {
        let host = host(url.as_str());
        let mut request = reqwest::Request::new(reqwest::Method::PUT, url.clone());
        if let Some(size) = put.size {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
        }
        if let Some(content_type) = put.content_type {
            let value = HeaderValue::from_str(content_type)
                .map_err(|_| Error::new(ErrorKind::InvalidArgument, "the content type can't be sent in a header"))?;
            request.headers_mut().insert(CONTENT_TYPE, value);
        }
        let body = Outgoing::new(pieces, put.size, meter.clone());
        *request.body_mut() = Some(reqwest::Body::wrap(body));

        let client = self.http.transfer_client()?;
        let answer = meter.unless_stalled(put.stall, &host, client.execute(request)).await?;
        let response = answer.map_err(|error| match meter.failure() {
            Some(reason) => Error::new(ErrorKind::Local, reason),
            None => send_failure(error, &self.http.peer(url.as_str()), Deadline::after(put.stall)),
        })?;
        let (again_after, redirect) = (retry_after(response.headers()), redirect(&url, &response));
        let reply = PutReply {
            status: response.status().as_u16(),
            reason: response.status().canonical_reason().unwrap_or_default(),
            etag: Some(header_text(response.headers(), ETAG.as_str())).filter(|etag| !etag.is_empty()),
            sent: meter.moved.load(Ordering::Relaxed),
            refusal: refusal(response, &url, put.stall).await,
        };
        tracing::debug!(target: "agb::transport", operation = put.operation, host, status = reply.status, bytes = reply.sent, "sent");
        Ok(Answered { reply, retry_after: again_after, redirect })
    }

    /// Asks for content, again where that may help. Redirects are followed.
    ///
    /// # Errors
    /// As [`Transport::send`].
    pub(crate) async fn get(&self, get: &Get<'_>) -> Result<Incoming> {
        let mut url = parse_url(get.url)?;
        let (mut attempt, mut hops) = (0, 0);
        loop {
            let answered = self.get_once(get, url.clone()).await;
            if let Ok(incoming) = &answered
                && hops < MAX_REDIRECTS
                && let Some(target) = redirect(&url, &incoming.response)
            {
                url = target;
                hops += 1;
                continue;
            }
            attempt += 1;
            let (incoming, outcome) = match answered {
                Ok(incoming) => {
                    let retry_after = retry_after(incoming.response.headers());
                    let outcome = status_outcome(incoming.status, retry_after);
                    (Some(incoming), outcome)
                }
                Err(error) => (None, Err(error)),
            };
            let Some(delay) = self.retry.delay(&again(get.operation, get.stall), attempt, &outcome) else {
                return settle(incoming, outcome, get.operation, attempt);
            };
            tokio::time::sleep(delay).await;
        }
    }

    async fn get_once(&self, get: &Get<'_>, url: Url) -> Result<Incoming> {
        let host = host(url.as_str());
        let limit = Deadline::after(get.stall);
        let request = reqwest::Request::new(reqwest::Method::GET, url.clone());
        let client = self.http.transfer_client()?;
        let response = tokio::time::timeout_at(limit.at, client.execute(request))
            .await
            .map_err(|_| stalled(get.stall, &host))?
            .map_err(|error| send_failure(error, &self.http.peer(url.as_str()), limit))?;
        let (status, length) = (response.status().as_u16(), announced(&response));
        tracing::debug!(target: "agb::transport", operation = get.operation, host, status, "receiving");
        Ok(Incoming { status, length, response, received: 0, stall: get.stall, host })
    }
}

impl Incoming {
    /// The next part of the body; `None` at its end.
    ///
    /// # Errors
    /// The connection broke or stalled, or the body is shorter than was announced.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = tokio::time::timeout(self.stall, self.response.chunk())
            .await
            .map_err(|_| stalled(self.stall, &self.host))?
            .map_err(|error| receive_failure(error, &self.host, Deadline::after(self.stall)))?;
        match &chunk {
            Some(bytes) => self.received = self.received.saturating_add(bytes.len() as u64),
            None => self.check_length()?,
        }
        Ok(chunk)
    }

    fn check_length(&self) -> Result<()> {
        match self.length {
            Some(length) if length != self.received => {
                let text = format!("{} sent {} bytes of {length}", self.host, self.received);
                Err(Error::new(ErrorKind::Protocol, text))
            }
            _ => Ok(()),
        }
    }
}

/// The answer to one attempt.
struct Answered {
    reply: PutReply,
    retry_after: Option<Duration>,
    redirect: Option<Url>,
}

/// What retry looks at, and what is left for the caller.
fn split(answered: Result<Answered>) -> (Option<PutReply>, Outcome) {
    match answered {
        Ok(answered) => {
            let outcome = status_outcome(answered.reply.status, answered.retry_after);
            (Some(answered.reply), outcome)
        }
        Err(error) => (None, Err(error)),
    }
}

fn status_outcome(status: u16, retry_after: Option<Duration>) -> Outcome {
    Ok(RawReply { status, request_id: String::new(), body: Bytes::new(), headers: HeaderMap::new(), retry_after })
}

/// Either there is an answer, or the outcome says why not.
fn settle<T>(answer: Option<T>, outcome: Outcome, operation: &'static str, attempts: u32) -> Result<T> {
    match (answer, outcome) {
        (Some(answer), _) => Ok(answer),
        (None, Err(error)) => Err(error.with_operation(operation).with_attempts(attempts)),
        (None, Ok(_)) => Err(Error::new(ErrorKind::Internal, "no answer").with_operation(operation)),
    }
}

/// The request that retry is asked about; only its rules count.
fn again(operation: &'static str, stall: Duration) -> Request {
    Request {
        operation,
        method: Method::Get,
        url: String::new(),
        headers: Vec::new(),
        body: Bytes::new(),
        resend: Resend::Freely,
        deadline: Deadline::after(stall),
        connect_limit: None,
    }
}

/// Where the answer sends us; never from an encrypted address to one that is not.
fn redirect(from: &Url, response: &Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = from.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()?;
    let allowed = target.scheme() == "https" || (target.scheme() == "http" && from.scheme() == "http");
    allowed.then_some(target)
}

/// What the store says to a refusal, as far as it comes.
async fn refusal(mut response: Response, url: &Url, stall: Duration) -> String {
    if !(response.status().is_client_error() || response.status().is_server_error()) {
        return String::new();
    }
    let mut said = Vec::new();
    while said.len() < REFUSAL_BYTES
        && let Ok(Ok(Some(chunk))) = tokio::time::timeout(stall, response.chunk()).await
    {
        said.extend(chunk.into_iter().take(REFUSAL_BYTES.saturating_sub(said.len())));
    }
    // Stores like to repeat what was signed, and with what.
    let granted: Vec<String> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
    let granted: Vec<&str> = granted.iter().map(String::as_str).chain(url.query()).collect();
    redact::without(&String::from_utf8_lossy(&said), &granted).into_owned()
}

fn announced(response: &Response) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn stalled(limit: Duration, host: &str) -> Error {
    let text = format!("nothing has moved for {}ms ({host})", limit.as_millis());
    Error::new(ErrorKind::Timeout, text).with_temporary(true)
}

/// What has moved, and when last.
struct Meter {
    moved: AtomicU64,
    last: Mutex<Instant>,
    /// Is the connection waiting for the source? Then nothing can move, and that is not the connection's fault.
    starved: AtomicBool,
    failure: Mutex<Option<String>>,
    progress: Progress,
    handover: Handover,
}

impl Meter {
    fn new(progress: Progress) -> Self {
        Self {
            moved: AtomicU64::new(0),
            last: Mutex::new(Instant::now()),
            starved: AtomicBool::new(false),
            failure: Mutex::default(),
            progress,
            handover: Handover::default(),
        }
    }

    fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self, bytes: u64) {
        self.touch();
        let before = self.moved.fetch_add(bytes, Ordering::Relaxed);
        (self.progress)(before.saturating_add(bytes));
    }

    fn set_starved(&self, starved: bool) {
        if self.starved.swap(starved, Ordering::Relaxed) {
            self.touch();
        }
    }

    fn fail(&self, reason: String) -> io::Error {
        let error = io::Error::other(reason.clone());
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        error
    }

    fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for `work` as long as something moves, or the source is what it waits for.
    async fn unless_stalled<T>(&self, limit: Duration, host: &str, work: impl Future<Output = T> + Send) -> Result<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let due = self.last().checked_add(limit).unwrap_or_else(|| Deadline::after(limit).at);
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = tokio::time::sleep_until(due) => {}
            }
            if self.starved.load(Ordering::Relaxed) {
                self.touch();
            } else if self.last().elapsed() >= limit {
                return Err(stalled(limit, host));
            }
        }
    }
}

/// Whether the content was handed over completely or was broken off before: whichever came first.
#[derive(Debug, Default)]
struct Handover(AtomicU8);

impl Handover {
    const OPEN: u8 = 0;
    const COMPLETE: u8 = 1;
    const BROKEN: u8 = 2;

    /// May the end of the content be sent? Then it can't be broken off any more.
    fn complete(&self) -> bool {
        self.leave_open_for(Self::COMPLETE)
    }

    /// Keeps the end of the content from being sent; `false`: it is too late for that.
    fn break_off(&self) -> bool {
        self.leave_open_for(Self::BROKEN)
    }

    fn leave_open_for(&self, state: u8) -> bool {
        self.0.compare_exchange(Self::OPEN, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The pieces as a body. Where the size is known, the store takes the content as complete once it has that many bytes, so
/// the chunk that completes it is held back until the source has said that it was the last.
struct Outgoing {
    pieces: Pieces,
    left: Option<u64>,
    last: Option<Bytes>,
    ended: bool,
    meter: Arc<Meter>,
}

impl Outgoing {
    fn new(pieces: Pieces, size: Option<u64>, meter: Arc<Meter>) -> Self {
        let ended = size == Some(0) && meter.handover.complete();
        Self { pieces, left: size, last: None, ended, meter }
    }

    /// What a piece makes the body send; `None`: nothing yet, or nothing more.
    fn take(&mut self, piece: Option<Piece>) -> Option<io::Result<Frame<Bytes>>> {
        let reason = match piece {
            Some(Piece::Chunk(chunk)) => match self.left {
                Some(left) if chunk.len() as u64 > left => "the source has more bytes than its size".to_owned(),
                Some(left) if chunk.len() as u64 == left => {
                    self.left = Some(0);
                    self.last = Some(chunk).filter(|chunk| !chunk.is_empty()).or(self.last.take());
                    return None;
                }
                left => {
                    self.left = left.map(|left| left.saturating_sub(chunk.len() as u64));
                    return Some(Ok(self.send(chunk)));
                }
            },
            Some(Piece::End) => match self.left {
                Some(left) if left > 0 => format!("the source ended {left} bytes before its size"),
                _ if !self.meter.handover.complete() => "the upload was broken off".to_owned(),
                _ => {
                    self.ended = true;
                    return self.last.take().map(|chunk| Ok(self.send(chunk)));
                }
            },
            Some(Piece::Failed(reason)) => reason,
            None => "the source went away before its end".to_owned(),
        };
        self.ended = true;
        Some(Err(self.meter.fail(reason)))
    }

    fn send(&self, chunk: Bytes) -> Frame<Bytes> {
        self.meter.moved(chunk.len() as u64);
        Frame::data(chunk)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, io::Error>>> {
        while !self.ended {
            let polled = self.pieces.poll_recv(context);
            self.meter.set_starved(polled.is_pending());
            let Poll::Ready(piece) = polled else { return Poll::Pending };
            if let Some(frame) = self.take(piece) {
                return Poll::Ready(Some(frame));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.last.as_ref().map_or(0, |chunk| chunk.len() as u64);
        self.left.map_or_else(SizeHint::default, |left| SizeHint::with_exact(left.saturating_add(held)))
    }
}
