//! The object store: single files of contexts, through pre-signed URLs and without a key.

use std::{collections::HashMap, io::SeekFrom, ops::Range, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::{Trace, context};
use crate::{
    app::Service,
    contexts::{
        blob::{Slice, Tagger},
        objects::{Kind, Object, normal_path},
        presign::{Access, Grant},
    },
    envelope::{Answer, AsIs},
};

/// The longest object, in bytes.
const LONGEST: u64 = 5 << 30;
/// Sent at a time.
const PIECE_BYTES: u64 = 256 << 10;

type Params = Query<HashMap<String, String>>;

/// Stores what the request carries, whole or not at all.
pub(crate) async fn put(
    State(service): State<Arc<Service>>,
    Path((context_id, path)): Path<(String, String)>,
    Query(params): Params,
    request: Request,
) -> Result<Response, Answer> {
    note(&request, "putObject", &context_id, &params);
    let path = check(&service, Access::Write, &context_id, &path, &params)?;
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > LONGEST) {
        return Err(too_large());
    }
    let (bytes, tag) = receive(&service, request.into_body()).await?;
    let contexts = &service.sessions.contexts;
    let now = contexts.clock.now();
    let object = Object {
        id: contexts.object_id(),
        size: bytes.length,
        kind: Kind::File { bytes, tag: tag.clone() },
        mode: None,
        modified: None,
        created_at: now,
        stored_at: now,
        delivered: false,
    };
    contexts
        .with_objects(&context_id, |objects| objects.put(&path, object))
        .ok_or_else(|| context::unknown(&context_id))?;
    Ok(as_is(StatusCode::OK, &[(header::ETAG, quoted(&tag))], Body::empty()))
}

async fn receive(service: &Service, body: Body) -> Result<(Slice, String), Answer> {
    let stored = |error: std::io::Error| {
        tracing::warn!(%error, "an object could not be stored");
        Answer::internal()
    };
    let (blob, file) = service.sessions.contexts.blobs.create().map_err(stored)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut tagger = Tagger::default();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Answer::invalid("the object ended before it was complete"))?;
        tagger.add(&piece);
        if tagger.length() > LONGEST {
            return Err(too_large());
        }
        file.write_all(&piece).await.map_err(stored)?;
    }
    file.flush().await.map_err(stored)?;
    Ok((Slice { blob, offset: 0, length: tagger.length() }, tagger.tag()))
}

/// Sends an object or the part of it that the header `Range` asks for.
pub(crate) async fn get(
    State(service): State<Arc<Service>>,
    Path((context_id, path)): Path<(String, String)>,
    Query(params): Params,
    request: Request,
) -> Result<Response, Answer> {
    note(&request, "getObject", &context_id, &params);
    let path = check(&service, Access::Read, &context_id, &path, &params)?;
    let object = service
        .sessions
        .contexts
        .with_objects(&context_id, |objects| objects.get(&path).cloned())
        .ok_or_else(|| context::unknown(&context_id))?;
    let stored = object.as_ref().and_then(|object| object.kind.bytes());
    let Some((bytes, tag)) = stored.map(|(bytes, tag)| (bytes.clone(), tag)) else {
        return Err(Answer::failure(StatusCode::NOT_FOUND, "NoSuchKey", format!("there is no object {path}")));
    };
    let mut headers = vec![
        (header::ETAG, quoted(tag)),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
    ];
    let (status, range) = match wanted(request.headers(), tag, bytes.length) {
        Wanted::Unless(status) => return Ok(as_is(status, &headers, Body::empty())),
        Wanted::All => (StatusCode::OK, 0..bytes.length),
        Wanted::Part(range) => {
            let shown = format!("bytes {}-{}/{}", range.start, range.end - 1, bytes.length);
            headers.push((header::CONTENT_RANGE, number(shown)));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Wanted::Nothing => {
            headers.push((header::CONTENT_RANGE, number(format!("bytes */{}", bytes.length))));
            return Ok(as_is(StatusCode::RANGE_NOT_SATISFIABLE, &headers, Body::empty()));
        }
    };
    headers.push((header::CONTENT_LENGTH, number((range.end - range.start).to_string())));
    let body = send(bytes, range).await.map_err(|error| {
        tracing::warn!(%error, "an object could not be read");
        Answer::internal()
    })?;
    Ok(as_is(status, &headers, body))
}

async fn send(bytes: Slice, range: Range<u64>) -> std::io::Result<Body> {
    let mut file = tokio::fs::File::from_std(bytes.blob.open()?);
    file.seek(SeekFrom::Start(bytes.offset + range.start)).await?;
    let left = range.end - range.start;
    // The blob stays as long as it is being sent.
    let pieces = stream::try_unfold((file, left, bytes), |(mut file, left, bytes)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut piece = Vec::new();
        (&mut file).take(left.min(PIECE_BYTES)).read_to_end(&mut piece).await?;
        if piece.is_empty() {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
        }
        let left = left - piece.len() as u64;
        Ok(Some((Bytes::from(piece), (file, left, bytes))))
    });
    Ok(Body::from_stream(pieces))
}

/// What a request asks for of an object.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// Nothing, as a condition says; this is the answer.
    Unless(StatusCode),
    All,
    Part(Range<u64>),
    /// A part that the object does not have.
    Nothing,
}

/// What is left of a request once its conditions are met: a condition on the range leaves the whole.
fn wanted(headers: &HeaderMap, tag: &str, length: u64) -> Wanted {
    let condition = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if condition(header::IF_MATCH).is_some_and(|tags| !names(tags, tag)) {
        return Wanted::Unless(StatusCode::PRECONDITION_FAILED);
    }
    if condition(header::IF_NONE_MATCH).is_some_and(|tags| names(&tags.replace("W/", ""), tag)) {
        return Wanted::Unless(StatusCode::NOT_MODIFIED);
    }
    // A date is no tag, and objects have none to compare it with.
    if condition(header::IF_RANGE).is_some_and(|given| given.trim() != format!("\"{tag}\"")) {
        return Wanted::All;
    }
    part(condition(header::RANGE), length)
}

/// Is the tag one of these, or are all meant?
fn names(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|given| given == "*" || given == format!("\"{tag}\""))
}

/// One range of bytes; what is no such range counts as none, as HTTP has it.
fn part(header: Option<&str>, length: u64) -> Wanted {
    let Some((first, last)) = header.and_then(|text| text.strip_prefix("bytes=")?.split_once('-')) else {
        return Wanted::All;
    };
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..length,
        (Err(_), Ok(count)) if first.trim().is_empty() => length.saturating_sub(count)..length,
        _ => return Wanted::All,
    };
    if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
}

/// Checks the token and the time of a URL; answers the path of the object.
fn check(
    service: &Service,
    access: Access,
    context_id: &str,
    path: &str,
    params: &HashMap<String, String>,
) -> Result<String, Answer> {
    let refused = || Answer::failure(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", "this URL does not allow that");
    let path = normal_path(path).ok_or_else(refused)?;
    let expires_s = params.get("expires").and_then(|text| text.parse().ok()).ok_or_else(refused)?;
    let token = params.get("token").ok_or_else(refused)?;
    let contexts = &service.sessions.contexts;
    if !contexts.signer.accepts(&Grant { access, context_id, path: &path, expires_s }, token) {
        return Err(refused());
    }
    if contexts.clock.unix_ms(contexts.clock.now()) >= expires_s.saturating_mul(1_000) {
        return Err(Answer::failure(StatusCode::FORBIDDEN, "AccessDenied", "this URL has expired"));
    }
    Ok(path)
}

fn note(request: &Request, operation: &str, context_id: &str, params: &HashMap<String, String>) {
    let Some(trace) = request.extensions().get::<Trace>() else { return };
    let mut note = trace.note();
    note.operation = Some(operation.to_owned());
    note.query.insert("contextId".to_owned(), context_id.into());
    note.query.extend(params.get("expires").map(|expires| ("expires".to_owned(), expires.as_str().into())));
}

fn too_large() -> Answer {
    let message = format!("an object may have {LONGEST} bytes at most");
    Answer::failure(StatusCode::PAYLOAD_TOO_LARGE, "EntityTooLarge", message)
}

fn quoted(tag: &str) -> HeaderValue {
    number(format!("\"{tag}\""))
}

/// A header value made of characters that any header may have.
fn number(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn as_is(status: StatusCode, headers: &[(header::HeaderName, HeaderValue)], body: Body) -> Response {
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.clone());
    }
    response.extensions_mut().insert(AsIs);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        let of = |text, length| part(Some(text), length);
        assert_eq!(of("bytes=0-0", 10), Wanted::Part(0..1));
        assert_eq!(of("bytes=2-", 10), Wanted::Part(2..10));
        assert_eq!(of("bytes=-3", 10), Wanted::Part(7..10));
        assert_eq!(of("bytes=-30", 10), Wanted::Part(0..10));
        assert_eq!(of("bytes=5-50", 10), Wanted::Part(5..10));
        assert_eq!(of("bytes=10-", 10), Wanted::Nothing);
        assert_eq!(of("bytes=0-0", 0), Wanted::Nothing);
        assert_eq!(of("bytes=-0", 10), Wanted::Nothing);
        assert_eq!(of("bytes=3-2", 10), Wanted::All);
        assert_eq!(of("bytes=0-1,3-4", 10), Wanted::All);
        assert_eq!(of("lines=0-1", 10), Wanted::All);
        assert_eq!(part(None, 10), Wanted::All);
    }

    #[test]
    fn conditions_are_read_as_http_has_them() {
        let of = |name: header::HeaderName, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static("bytes=2-"));
            headers.insert(name, HeaderValue::try_from(value).unwrap());
            wanted(&headers, "T", 10)
        };
        let part = || Wanted::Part(2..10);
        let unless = Wanted::Unless;
        assert_eq!(of(header::IF_MATCH, "\"T\""), part());
        assert_eq!(of(header::IF_MATCH, "*"), part());
        assert_eq!(of(header::IF_MATCH, "\"x\", \"T\""), part());
        assert_eq!(of(header::IF_MATCH, "\"x\""), unless(StatusCode::PRECONDITION_FAILED));
        assert_eq!(of(header::IF_MATCH, "W/\"T\""), unless(StatusCode::PRECONDITION_FAILED));
        assert_eq!(of(header::IF_NONE_MATCH, "\"x\""), part());
        assert_eq!(of(header::IF_NONE_MATCH, "\"x\", \"T\""), unless(StatusCode::NOT_MODIFIED));
        assert_eq!(of(header::IF_NONE_MATCH, "W/\"T\""), unless(StatusCode::NOT_MODIFIED));
        assert_eq!(of(header::IF_NONE_MATCH, "*"), unless(StatusCode::NOT_MODIFIED));
        assert_eq!(of(header::IF_RANGE, "\"T\""), part());
        for other in ["\"x\"", "W/\"T\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(of(header::IF_RANGE, other), Wanted::All, "{other}");
        }
    }
}
