//! Transfers against a service and a store that answer as the test says.

use std::future::{pending, ready};
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::http::header::{ETAG, LOCATION};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use super::super::fake::assert_send;
use super::*;
use crate::session::SessionDetails;
use crate::testing::{RawServer, Seen, Server, endless, not_found, ok, refuse, reply, with_timeout};

const REMOTE: &str = "/tmp/transfer/a.txt";
const CONTEXT: &str = "/sdk/GetAndLoadInternalContext";
const UPLOAD_URL: &str = "/sdk/GetContextFileUploadUrl";
const DOWNLOAD_URL: &str = "/sdk/GetContextFileDownloadUrl";
const SYNC: &str = "/sdk/SyncContext";
const INFO: &str = "/sdk/GetContextInfo";
const DELETE: &str = "/sdk/DeleteContextFile";
const STORE: &str = "/store";

/// What the service and the store answer when nothing goes wrong: the task is done at the second look after the sync.
fn answer(seen: &Seen) -> Response {
    let address = || ok(&json!({"url": format!("http://{}{STORE}?sign=SECRET", seen.header("host")), "expireTime": 1}));
    match seen.path.as_str() {
        CONTEXT => ok(&json!([{"contextId": "ft-1", "contextType": "file_transfer", "contextPath": "/tmp/transfer"}])),
        UPLOAD_URL | DOWNLOAD_URL => address(),
        SYNC | DELETE => ok(&Value::Null),
        INFO => match seen.nth {
            0 => tasks(seen, &json!([{"startTime": 1, "status": "Success"}])),
            1 => tasks(seen, &json!([{"startTime": 1, "status": "Success"}, {"startTime": 2, "status": "InProgress"}])),
            _ => tasks(seen, &json!([{"startTime": 2, "status": "Success"}])),
        },
        STORE if seen.method == "PUT" => {
            let mut response = reply(200, "");
            response.headers_mut().insert(ETAG, "\"tag\"".parse().unwrap());
            response
        }
        STORE => reply(200, "content"),
        other => panic!("{other}"),
    }
}

/// The tasks of the directory that was asked about, for its direction.
fn tasks(seen: &Seen, items: &Value) -> Response {
    let items: Vec<_> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let mut item = item.clone();
            for (key, value) in
                [("contextId", "ft-1"), ("path", &seen.query["path"]), ("taskType", &seen.query["taskType"])]
            {
                item[key] = json!(value);
            }
            item
        })
        .collect();
    let data = Value::from(items).to_string();
    ok(&json!({"contextStatus": json!([{"type": "data", "data": data}]).to_string()}))
}

/// The paths that were asked for, in order, and the methods of the store.
fn journal(server: &Server) -> Vec<String> {
    let line = |seen: Seen| match seen.path.as_str() {
        STORE => seen.method.to_string(),
        path => path.trim_start_matches("/sdk/").to_owned(),
    };
    server.seen().into_iter().map(line).collect()
}

/// Waits as long as a busy machine may need.
fn patient() -> TransferOptions {
    TransferOptions { wait_limit: Duration::from_secs(20), ..TransferOptions::default() }
}

/// For a task that does not end; the last looks at it are answered on a busy machine, too.
fn impatient() -> TransferOptions {
    TransferOptions { wait_limit: Duration::from_secs(3), ..TransferOptions::default() }
}

fn silent() -> Progress {
    Arc::new(|_| {})
}

/// A progress that remembers what it was told.
fn remembered() -> (Progress, Arc<Mutex<Vec<u64>>>) {
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let journal = told.clone();
    (Arc::new(move |bytes| journal.lock().unwrap().push(bytes)), told)
}

fn file(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

async fn upload_file(server: &Server, content: &str, options: &TransferOptions) -> UploadReport {
    let file = file(content);
    let source = Source::File(file.path().to_owned());
    assert_send(upload(&server.session(), source, REMOTE, options, silent(), pending())).await
}

async fn download_file(server: &Server, path: &Path, options: &TransferOptions) -> DownloadReport {
    let target = Target::File { path: path.to_owned(), overwrite: true };
    assert_send(download(&server.session(), REMOTE, target, options, silent(), pending())).await
}

fn message(error: &Option<Error>) -> String {
    error.as_ref().map(|error| error.message().to_owned()).unwrap_or_default()
}

/// A service that differs in one thing.
async fn differing(
    path: &'static str,
    different: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static,
) -> Server {
    Server::start(move |seen| if seen.path == path { different(seen) } else { answer(seen) }).await
}

#[tokio::test]
async fn an_upload_goes_through_the_store_and_waits_for_a_new_task() {
    let server = Server::start(answer).await;
    let (progress, told) = remembered();
    let content = file("content");
    let source = Source::File(content.path().to_owned());
    let report = upload(&server.session(), source, REMOTE, &patient(), progress, pending()).await;
    assert_eq!(message(&report.error), "");
    assert_eq!((report.http_status, report.etag.as_deref(), report.bytes_sent), (Some(200), Some("\"tag\""), 7));
    assert_eq!(report.request_id_upload_url.as_deref(), Some("r-1"));
    assert_eq!(report.request_id_sync.as_deref(), Some("r-1"));
    assert_eq!(told.lock().unwrap().last(), Some(&7));
    let steps = ["GetAndLoadInternalContext", "GetContextFileUploadUrl", "PUT", "GetContextInfo", "SyncContext"];
    let rest = ["GetContextInfo", "GetContextInfo", "DeleteContextFile"];
    assert_eq!(journal(&server), [&steps[..], &rest[..]].concat());

    let put = &server.seen_at(STORE)[0];
    assert_eq!((put.body.as_str(), put.header("content-length"), put.header("content-type")), ("content", "7", ""));
    assert_eq!(put.header("authorization"), "");
    let sync = &server.seen_at(SYNC)[0].query;
    assert_eq!(
        (sync["contextId"].as_str(), sync["path"].as_str(), sync["mode"].as_str()),
        ("ft-1", "/tmp/transfer", "download")
    );
    assert_eq!(server.seen_at(UPLOAD_URL)[0].query["filePath"], REMOTE);
    assert_eq!(server.seen_at(CONTEXT)[0].query["contextTypes"], r#"["file_transfer"]"#);
    assert!(server.seen_at(INFO).iter().all(|seen| seen.query["taskType"] == "download"));
}

#[tokio::test]
async fn an_empty_file_and_a_content_type_arrive_as_they_are() {
    let server = Server::start(answer).await;
    let options = TransferOptions { content_type: Some("text/x-test".into()), keep_object: true, ..patient() };
    let report = upload_file(&server, "", &options).await;
    assert_eq!((message(&report.error).as_str(), report.bytes_sent), ("", 0));
    let put = &server.seen_at(STORE)[0];
    assert_eq!((put.header("content-length"), put.header("content-type")), ("0", "text/x-test"));
    assert!(server.seen_at(DELETE).is_empty());
}

#[tokio::test]
async fn without_waiting_nobody_looks_and_the_object_stays() {
    let server = Server::start(answer).await;
    let options = TransferOptions { wait: false, ..patient() };
    assert_eq!(message(&upload_file(&server, "content", &options).await.error), "");
    assert_eq!(journal(&server), ["GetAndLoadInternalContext", "GetContextFileUploadUrl", "PUT", "SyncContext"]);
}

#[tokio::test]
async fn an_old_completion_is_not_taken_for_this_one() {
    let server = differing(INFO, |seen| tasks(seen, &json!([{"startTime": 1, "status": "Success"}]))).await;
    let report = upload_file(&server, "content", &impatient()).await;
    assert_eq!(message(&report.error), "Upload sync not finished: task not finished");
    assert_eq!((report.http_status, report.bytes_sent), (Some(200), 7));
    // The session may still fetch it.
    assert!(server.seen_at(DELETE).is_empty());
}

#[tokio::test]
async fn a_look_that_the_end_of_the_wait_cuts_off_tells_nothing() {
    let server = differing(INFO, |seen| if seen.nth < 2 { answer(seen) } else { endless() }).await;
    let options = TransferOptions { wait_limit: Duration::from_secs(4), ..TransferOptions::default() };
    let report = upload_file(&server, "content", &options).await;
    assert_eq!(message(&report.error), "Upload sync not finished: task not finished");
}

#[tokio::test]
async fn a_failed_task_is_final_and_its_object_goes() {
    for (item, text) in [
        (json!({"startTime": 3, "status": "Failed"}), "Task error: status Failed"),
        (json!({"startTime": 3, "status": "Success", "errorMessage": "no space"}), "Task error: no space"),
    ] {
        let server = differing(
            INFO,
            move |seen| {
                if seen.nth == 0 { tasks(seen, &json!([])) } else { tasks(seen, &json!([item])) }
            },
        )
        .await;
        let report = upload_file(&server, "content", &TransferOptions::default()).await;
        assert_eq!(message(&report.error), format!("Upload sync not finished: {text}"));
        assert_eq!(server.seen_at(INFO).len(), 2);
        assert_eq!(server.seen_at(DELETE).len(), 1);
    }
}

#[tokio::test]
async fn looks_that_fail_are_repeated_unless_the_session_is_gone() {
    let busy = differing(INFO, |seen| match seen.nth {
        1 => refuse(400, "Busy", "busy"),
        _ => answer(seen),
    })
    .await;
    assert_eq!(message(&upload_file(&busy, "content", &patient()).await.error), "");

    let gone = differing(INFO, |seen| if seen.nth == 0 { answer(seen) } else { not_found() }).await;
    let report = upload_file(&gone, "content", &TransferOptions::default()).await;
    let text = "Upload sync not finished: info error: Resource [McpSession] is not found";
    assert_eq!(message(&report.error), text);
    assert_eq!(report.error.unwrap().kind(), ErrorKind::SessionNotFound);

    let never = differing(INFO, |seen| if seen.nth == 0 { answer(seen) } else { refuse(400, "Busy", "busy") }).await;
    let report = upload_file(&never, "content", &impatient()).await;
    assert_eq!(message(&report.error), "Upload sync not finished: info error: busy");
    let no_time = TransferOptions { wait_limit: Duration::ZERO, ..patient() };
    let server = Server::start(answer).await;
    assert_eq!(message(&upload_file(&server, "x", &no_time).await.error), "Upload sync not finished: timeout");
}

#[tokio::test]
async fn each_step_of_an_upload_names_itself_when_it_fails() {
    type Answer = fn(&Seen) -> Response;
    let cases: [(&'static str, Answer, &str); 8] = [
        (CONTEXT, |_| refuse(500, "X", "no context"), "no context"),
        (CONTEXT, |_| ok(&json!([])), "Response contains no data"),
        (UPLOAD_URL, |_| refuse(400, "X", "no url"), "getFileUploadUrl failed: no url"),
        (UPLOAD_URL, |_| ok(&json!({})), "getFileUploadUrl failed: unknown error"),
        (STORE, |_| reply(403, "<Error/>"), "Upload failed with HTTP 403"),
        (STORE, |_| reply(500, "<Error/>"), "Upload failed with HTTP 500"),
        (SYNC, |_| refuse(400, "X", "no sync"), "session.context.sync(download) failed: no sync"),
        (INFO, |_| refuse(400, "X", "no info"), "Upload sync not finished: info error: no info"),
    ];
    for (path, answer, text) in cases {
        let server = differing(path, answer).await;
        let report = upload_file(&server, "content", &patient()).await;
        assert_eq!(message(&report.error), text);
        // A store that fails may have done its work before.
        let may_be_stored = matches!(path, SYNC | INFO) || report.http_status == Some(500);
        assert_eq!(server.seen_at(DELETE).len(), usize::from(may_be_stored), "{text}");
        assert_eq!(report.bytes_sent, if matches!(path, STORE | SYNC | INFO) { 7 } else { 0 }, "{text}");
    }
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_is_sent() {
    let server = Server::start(answer).await;
    let missing = Source::File("/nowhere/at-all".into());
    let report = upload(&server.session(), missing, REMOTE, &patient(), silent(), pending()).await;
    assert_eq!(message(&report.error), "Local file not found: /nowhere/at-all");
    let content = file("x");
    for relative in ["a.txt", "", "./a.txt"] {
        let source = Source::File(content.path().to_owned());
        let report = upload(&server.session(), source, relative, &patient(), silent(), pending()).await;
        assert!(message(&report.error).starts_with("Remote path must name a directory"), "{relative}");
    }
    for directory in ["/tmp/transfer/", "/tmp/transfer/.", "/"] {
        let source = Source::File(content.path().to_owned());
        let report = upload(&server.session(), source, directory, &patient(), silent(), pending()).await;
        assert!(message(&report.error).starts_with("Remote path must name a file"), "{directory}");
        let target = Target::File { path: content.path().to_owned(), overwrite: true };
        let report = download(&server.session(), directory, target, &patient(), silent(), pending()).await;
        assert!(message(&report.error).starts_with("Remote path must name a file"), "{directory}");
    }
    let existing = Target::File { path: content.path().to_owned(), overwrite: false };
    let report = download(&server.session(), REMOTE, existing, &patient(), silent(), pending()).await;
    let text = format!("Destination exists and overwrite=false: {}", content.path().display());
    assert_eq!(message(&report.error), text);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_internal_context_is_asked_for_until_there_is_one_and_then_no_more() {
    let server = differing(CONTEXT, |seen| if seen.nth == 0 { ok(&json!([])) } else { answer(seen) }).await;
    let session = server.session();
    assert_eq!(transfer_path(&session).await.unwrap_err().message(), "Response contains no data");
    assert_eq!(transfer_path(&session).await.unwrap(), "/tmp/transfer");
    assert_eq!(transfer_path(&session).await.unwrap(), "/tmp/transfer");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_file_is_sent_again_where_the_store_was_busy() {
    let server = differing(STORE, |seen| if seen.nth == 0 { reply(503, "") } else { answer(seen) }).await;
    assert_eq!(message(&upload_file(&server, "content", &patient()).await.error), "");
    let bodies: Vec<_> = server.seen_at(STORE).into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, ["content", "content"]);
}

#[tokio::test]
async fn redirects_of_the_store_are_followed_both_ways() {
    let server = Server::start(|seen| match (seen.path.as_str(), seen.query.contains_key("hop")) {
        (STORE, false) => {
            let mut response = reply(307, "");
            response.headers_mut().insert(LOCATION, format!("{STORE}?hop=1").parse().unwrap());
            response
        }
        _ => answer(seen),
    })
    .await;
    assert_eq!(message(&upload_file(&server, "content", &patient()).await.error), "");
    assert_eq!(server.seen_at(STORE)[1].body, "content");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    assert_eq!(message(&download_file(&server, &path, &TransferOptions { wait: false, ..patient() }).await.error), "");
    assert_eq!(std::fs::read(path).unwrap(), b"content");
}

/// Writes `parts` to an upload of `size` bytes and ends it with `end`.
async fn upload_parts(server: &Server, size: Option<u64>, parts: &[&'static str], end: Option<&str>) -> UploadReport {
    let (writer, pipe) = upload_pipe(size);
    let writing = async {
        for part in parts {
            writer.write(Bytes::from_static(part.as_bytes())).await;
        }
        match end {
            None => writer.end().await,
            Some(reason) => writer.fail(reason.to_owned()).await,
        }
    };
    let session = server.session();
    let options = patient();
    let uploading = upload(&session, Source::Pipe(pipe), REMOTE, &options, silent(), pending());
    tokio::join!(uploading, writing).0
}

#[tokio::test]
async fn a_stream_is_sent_with_its_size_or_in_chunks() {
    let server = Server::start(answer).await;
    let report = upload_parts(&server, Some(6), &["abc", "def"], None).await;
    assert_eq!((message(&report.error).as_str(), report.bytes_sent), ("", 6));
    let server = Server::start(answer).await;
    let report = upload_parts(&server, None, &["abc", "defg"], None).await;
    assert_eq!((message(&report.error).as_str(), report.bytes_sent), ("", 7));
    let put = &server.seen_at(STORE)[0];
    assert_eq!((put.body.as_str(), put.header("content-length")), ("abcdefg", ""));
    assert_eq!(put.header("transfer-encoding"), "chunked");
}

#[tokio::test]
async fn a_stream_that_fails_or_has_another_size_never_becomes_an_object() {
    for (size, parts, end, text) in [
        (None, &["abc"][..], Some("source broke"), "source broke"),
        (Some(3), &["abc"][..], Some("source broke"), "source broke"),
        (Some(6), &["abc"][..], None, "the source ended 3 bytes before its size"),
        (Some(3), &["abc", "d"][..], None, "the source has more bytes than its size"),
        (Some(2), &["abc"][..], None, "the source has more bytes than its size"),
    ] {
        let server = Server::start(answer).await;
        let report = upload_parts(&server, size, parts, end).await;
        assert_eq!(message(&report.error), format!("Upload exception: {text}"));
        assert_eq!(report.error.unwrap().kind(), ErrorKind::Local);
        // The store notes only requests that came whole.
        assert!(server.seen_at(STORE).is_empty(), "{text}");
        assert!(server.seen_at(SYNC).is_empty());
    }
}

#[tokio::test]
async fn an_aborted_upload_leaves_no_object() {
    let server = Server::start(answer).await;
    let report = upload(&server.session(), Source::File("/x".into()), REMOTE, &patient(), silent(), ready(())).await;
    assert_eq!(message(&report.error), "The transfer was aborted");
    assert!(server.seen().is_empty());

    // Aborted while it waits for the task: the object is in the store by then.
    let server = differing(INFO, |seen| tasks(seen, &json!([]))).await;
    let content = file("content");
    let (sender, cancelled) = tokio::sync::oneshot::channel::<()>();
    let session = server.session();
    let options = TransferOptions::default();
    let source = Source::File(content.path().to_owned());
    let cancelled = async move { drop(cancelled.await) };
    let uploading = upload(&session, source, REMOTE, &options, silent(), cancelled);
    let aborting = async {
        while server.seen_at(SYNC).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sender.send(()).unwrap();
    };
    let (report, ()) = tokio::join!(uploading, aborting);
    assert_eq!(message(&report.error), "The transfer was aborted");
    assert_eq!(server.seen_at(DELETE).len(), 1);
}

#[tokio::test]
async fn an_abort_is_heard_while_the_object_is_being_removed() {
    let server = Server::start(answer).await;
    let session = server.session();
    let object = session.objects().at(REMOTE).await;
    let leftover = InternalContext { id: "ft-1".into(), path: "/tmp/transfer".into() };
    let mut removing = pin!(object.leave(Some(leftover), |_| pending()));
    assert!(futures_util::poll!(&mut removing).is_pending());
    let options = patient();
    let source = Source::File("/x".into());
    let uploading = upload(&session, source, REMOTE, &options, silent(), ready(()));
    assert_eq!(message(&uploading.await.error), "The transfer was aborted");
    let target = Target::File { path: "/x".into(), overwrite: true };
    let downloading = download(&session, REMOTE, target, &options, silent(), ready(()));
    assert_eq!(message(&downloading.await.error), "The transfer was aborted");
}

#[tokio::test]
async fn a_transfer_ends_with_its_session_whatever_it_waits_for() {
    let server = Server::start(answer).await;
    let session = server.session();
    let options = patient();
    let (_silent, pipe) = upload_pipe(None);
    let uploading = upload(&session, Source::Pipe(pipe), REMOTE, &options, silent(), pending());
    let ending = async {
        while server.seen_at(UPLOAD_URL).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        session.life().gone();
    };
    let (report, ()) = tokio::join!(uploading, ending);
    let error = report.error.unwrap();
    assert_eq!(error.kind(), ErrorKind::SessionNotFound);
    assert!(error.message().ends_with("the session was released while the transfer was under way"), "{error}");
    assert!(server.seen_at(SYNC).is_empty());
}

/// A progress that remembers whether the session was held all the time.
fn watching(session: &Session) -> (Progress, Arc<Mutex<Vec<bool>>>) {
    let held: Arc<Mutex<Vec<bool>>> = Arc::default();
    let (journal, life) = (held.clone(), session.life().clone());
    (Arc::new(move |_| journal.lock().unwrap().push(life.is_needed())), held)
}

#[tokio::test]
async fn a_transfer_holds_its_session_while_it_speaks_with_the_store_alone() {
    let server = Server::start(answer).await;
    let session = server.session();
    let (progress, held) = watching(&session);
    let content = file("content");
    let source = Source::File(content.path().to_owned());
    assert_eq!(message(&upload(&session, source, REMOTE, &patient(), progress, pending()).await.error), "");
    let path = content.path().to_owned();
    let target = Target::File { path, overwrite: true };
    let options = TransferOptions { wait: false, ..patient() };
    let (progress, also_held) = watching(&session);
    assert_eq!(message(&download(&session, REMOTE, target, &options, progress, pending()).await.error), "");
    for held in [held, also_held] {
        let held = held.lock().unwrap();
        assert!(!held.is_empty() && held.iter().all(|is_held| *is_held), "{held:?}");
    }
    assert!(!session.life().is_needed());
}

#[tokio::test]
async fn a_download_waits_for_a_new_task_and_puts_the_file_in_place() {
    let server = Server::start(answer).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/a.txt");
    let (progress, told) = remembered();
    let target = Target::File { path: path.clone(), overwrite: true };
    let report = download(&server.session(), REMOTE, target, &patient(), progress, pending()).await;
    assert_eq!(message(&report.error), "");
    assert_eq!((report.http_status, report.bytes_received), (Some(200), 7));
    assert_eq!(report.request_id_download_url.as_deref(), Some("r-1"));
    assert_eq!(report.request_id_sync.as_deref(), Some("r-1"));
    assert_eq!(told.lock().unwrap().last(), Some(&7));
    assert_eq!(std::fs::read(&path).unwrap(), b"content");
    let steps = ["GetAndLoadInternalContext", "GetContextInfo", "SyncContext", "GetContextInfo", "GetContextInfo"];
    let rest = ["GetContextFileDownloadUrl", "GET", "DeleteContextFile"];
    assert_eq!(journal(&server), [&steps[..], &rest[..]].concat());
    assert_eq!(server.seen_at(SYNC)[0].query["mode"], "upload");
    assert_eq!(server.seen_at(STORE)[0].header("accept-encoding"), "");
}

#[tokio::test]
async fn each_step_of_a_download_names_itself_and_leaves_the_old_file() {
    type Answer = fn(&Seen) -> Response;
    let cases: [(&'static str, Answer, &str); 6] = [
        (CONTEXT, |_| ok(&json!([])), "Response contains no data"),
        (SYNC, |_| refuse(400, "X", "no sync"), "session.context.sync(upload) failed: no sync"),
        (
            INFO,
            |seen| {
                if seen.nth == 0 { answer(seen) } else { tasks(seen, &json!([{"startTime": 3, "status": "FAILED"}])) }
            },
            "Download sync not finished: Task error: status FAILED",
        ),
        (DOWNLOAD_URL, |_| refuse(400, "X", "no url"), "getFileDownloadUrl failed: no url"),
        (DOWNLOAD_URL, |_| ok(&Value::Null), "getFileDownloadUrl failed: unknown error"),
        (STORE, |_| reply(404, "<Error/>"), "Download failed with HTTP 404"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.txt");
    std::fs::write(&path, "old").unwrap();
    for (broken, answer, text) in cases {
        let server = differing(broken, answer).await;
        let report = download_file(&server, &path, &patient()).await;
        assert_eq!((message(&report.error).as_str(), report.bytes_received), (text, 0));
        assert_eq!(report.http_status, (broken == STORE).then_some(404));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

/// A session whose downloads come from `store`, where nothing may stand still for longer than `stall_ms`.
async fn session_with_store(store: &RawServer, stall_ms: f64) -> (Server, Session) {
    let address = format!("{}{STORE}", store.url);
    let server = differing(DOWNLOAD_URL, move |_| ok(&json!({"url": address}))).await;
    let session = with_timeout(&server.url, &[], stall_ms).attach("s-1", SessionDetails::default());
    (server, session)
}

#[tokio::test]
async fn a_body_that_breaks_off_or_stands_still_leaves_the_old_file() {
    const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.txt");
    std::fs::write(&path, "old").unwrap();
    for (hold, stall_ms, kind, words) in
        [(false, 20_000.0, ErrorKind::Network, "broke"), (true, 5_000.0, ErrorKind::Timeout, "nothing has moved")]
    {
        let store = RawServer::start(HALF, hold).await;
        let (_server, session) = session_with_store(&store, stall_ms).await;
        let target = Target::File { path: path.clone(), overwrite: true };
        let report = download(&session, REMOTE, target, &patient(), silent(), pending()).await;
        let text = message(&report.error);
        assert!(text.starts_with("Download exception: ") && text.contains(words), "{text}");
        assert_eq!(report.error.unwrap().kind(), kind);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

#[tokio::test]
async fn an_upload_that_stands_still_ends() {
    let store = RawServer::start(b"", true).await;
    let address = format!("{}{STORE}", store.url);
    let server = differing(UPLOAD_URL, move |_| ok(&json!({"url": address}))).await;
    let session = with_timeout(&server.url, &[], 5_000.0).attach("s-1", SessionDetails::default());
    let content = file("content");
    let source = Source::File(content.path().to_owned());
    let report = upload(&session, source, REMOTE, &patient(), silent(), pending()).await;
    assert!(message(&report.error).starts_with("Upload exception: nothing has moved for 5000ms"), "{report:?}");
    assert!(!message(&report.error).contains("SECRET"));
}

#[tokio::test]
async fn a_download_into_a_pipe_counts_when_its_reader_has_taken_it() {
    let server = Server::start(answer).await;
    let session = server.session();
    let options = TransferOptions { wait: false, ..patient() };
    let (pipe, reader) = download_pipe();
    let reading = async {
        assert_eq!(reader.read().await, Arrived::Chunk(Bytes::from_static(b"content")));
        assert_eq!(reader.read().await, Arrived::End);
        reader.finish(Ok(()));
    };
    let downloading = download(&session, REMOTE, Target::Pipe(pipe), &options, silent(), pending());
    let (report, ()) = tokio::join!(downloading, reading);
    assert_eq!((message(&report.error).as_str(), report.bytes_received), ("", 7));

    let (pipe, reader) = download_pipe();
    reader.finish(Err("disk full".into()));
    let report = download(&session, REMOTE, Target::Pipe(pipe), &options, silent(), pending()).await;
    assert_eq!((message(&report.error).as_str(), report.bytes_received), ("Download exception: disk full", 0));
    assert_eq!(reader.read().await, Arrived::Broken);
}
