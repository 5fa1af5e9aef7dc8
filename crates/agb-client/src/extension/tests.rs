use std::io::Write;

use axum::response::Response;
use serde_json::{Value, json};

use super::*;
use crate::testing::{CLOSED_URL, Seen, Server, ok, refuse, reply};

const GET: &str = "/sdk/GetContext";
const LIST: &str = "/sdk/DescribeContextFiles";
const UPLOAD_URL: &str = "/sdk/GetContextFileUploadUrl";
const STORE: &str = "/store";

fn assert_send<T: Send>(value: T) -> T {
    value
}

fn page_of(seen: &Seen, count: usize) -> Value {
    let number: usize = seen.query["pageNumber"].parse().unwrap();
    let names = (0..count).skip((number - 1) * PAGE).take(PAGE);
    names.map(|n| json!({"fileName": format!("ext_{n}.zip"), "gmtCreate": format!("t{n}")})).collect()
}

/// What the service and the store answer when nothing goes wrong; the context is there.
fn answer(seen: &Seen) -> Response {
    match seen.path.as_str() {
        GET => ok(&json!({"id": "ctx-1", "name": seen.query["name"]})),
        LIST => ok(&page_of(seen, 1)),
        UPLOAD_URL => ok(&json!({"url": format!("http://{}{STORE}?sign=SECRET-SIGN", seen.header("host"))})),
        _ => reply(200, r#"{"success":true,"requestId":"r-1"}"#),
    }
}

async fn differing(
    path: &'static str,
    different: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static,
) -> Server {
    Server::start(move |seen| if seen.path == path { different(seen) } else { answer(seen) }).await
}

fn zip(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".ZIP").tempfile().unwrap();
    file.write_all(content).unwrap();
    file
}

fn paths(server: &Server) -> Vec<String> {
    server.seen().into_iter().map(|seen| seen.path).collect()
}

fn cause(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

#[tokio::test]
async fn the_context_is_looked_for_once_by_all_who_need_it() {
    let server = Server::start(answer).await;
    let extensions = server.agb().extensions(" mine ");
    assert_eq!(extensions.context_id(), None);
    let (first, second, third) = tokio::join!(extensions.open(), extensions.list(), extensions.open());
    assert_eq!((first.unwrap(), third.unwrap()), ("ctx-1".to_owned(), "ctx-1".to_owned()));
    let expected = Extension { id: "ext_0.zip".into(), name: "ext_0.zip".into(), created_at: Some("t0".into()) };
    assert_eq!(second.unwrap(), [expected]);
    assert_eq!(extensions.context_id().as_deref(), Some("ctx-1"));
    let asked = server.seen_at(GET);
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].query["name"].as_str(), asked[0].query["allowCreate"].as_str()), ("mine", "false"));
    assert_eq!(server.seen_at(LIST)[0].query["parentFolderPath"], "/tmp/extensions");
}

#[tokio::test]
async fn a_blank_name_stands_for_one_of_the_time() {
    let server = Server::start(answer).await;
    server.agb().extensions("  ").open().await.unwrap();
    let name = server.seen_at(GET)[0].query["name"].clone();
    let seconds: u64 = name.strip_prefix("extensions-").unwrap().parse().unwrap();
    assert!(unix_seconds() - seconds < 600, "{name}");
}

#[tokio::test]
async fn a_context_that_was_there_survives_the_clean_up_and_one_made_here_does_not() {
    let server = Server::start(answer).await;
    let extensions = server.agb().extensions("mine");
    assert!(assert_send(extensions.clean_up()).await.unwrap());
    assert_eq!(paths(&server), [GET]);

    let server = differing(GET, |seen| match seen.query["allowCreate"].as_str() {
        "false" => refuse(400, "InvalidContext.NotFound", "none"),
        _ => ok(&json!({"id": "ctx-new"})),
    })
    .await;
    let extensions = server.agb().extensions("mine");
    assert!(extensions.clean_up().await.unwrap());
    assert!(extensions.clean_up().await.unwrap());
    assert_eq!(paths(&server), [GET, GET, "/sdk/DeleteContext"]);
    assert_eq!(server.seen_at("/sdk/DeleteContext")[0].query["id"], "ctx-new");
}

#[tokio::test]
async fn a_clean_up_that_is_refused_can_be_tried_again() {
    let server = Server::start(|seen| match (seen.path.as_str(), seen.nth) {
        (GET, 0) => ok(&Value::Null),
        ("/sdk/DeleteContext", 0) => refuse(400, "Busy", "in use"),
        _ => answer(seen),
    })
    .await;
    let extensions = server.agb().extensions("mine");
    assert!(!extensions.clean_up().await.unwrap());
    assert!(extensions.clean_up().await.unwrap());
    assert_eq!(server.seen_at("/sdk/DeleteContext").len(), 2);
}

#[tokio::test]
async fn a_context_that_can_not_be_had_is_looked_for_again() {
    let server = Server::start(|seen| match (seen.path.as_str(), seen.nth) {
        (GET, 0 | 1) => refuse(400, "Quota", "too many contexts"),
        _ => answer(seen),
    })
    .await;
    let extensions = server.agb().extensions("mine");
    let error = extensions.list().await.unwrap_err();
    assert_eq!(error.message(), "Failed to create extension repository context: mine");
    assert_eq!((cause(&error).as_str(), error.request_id()), ("too many contexts", "r-1"));
    assert_eq!(extensions.open().await.unwrap(), "ctx-1");
}

#[tokio::test]
async fn nothing_is_made_where_the_service_could_not_tell_whether_it_is_there() {
    let server = differing(GET, |_| refuse(500, "Internal", "broken")).await;
    assert!(server.agb().extensions("mine").open().await.is_err());
    assert!(server.seen_at(GET).iter().all(|seen| seen.query["allowCreate"] == "false"));

    let server = differing(GET, |_| ok(&json!({"name": "mine"}))).await;
    let error = server.agb().extensions("mine").open().await.unwrap_err();
    assert_eq!(cause(&error), "No context id in response");
}

#[tokio::test]
async fn every_page_is_listed_and_a_service_without_pages_ends_too() {
    for (count, pages) in [(0, 1), (99, 1), (100, 2), (250, 3)] {
        let server = differing(LIST, move |seen| ok(&page_of(seen, count))).await;
        assert_eq!(server.agb().extensions("mine").list().await.unwrap().len(), count);
        assert_eq!(server.seen_at(LIST).len(), pages);
        assert_eq!(server.seen_at(LIST)[0].query["pageSize"], "100");
    }
    let whole: Value = (0..PAGE + 7).map(|n| json!({"fileName": n.to_string()})).collect();
    let server = differing(LIST, move |_| ok(&whole)).await;
    assert_eq!(server.agb().extensions("mine").list().await.unwrap().len(), PAGE + 7);

    let server = differing(LIST, |_| refuse(400, "No", "not today")).await;
    let error = server.agb().extensions("mine").list().await.unwrap_err();
    assert_eq!(error.message(), "Failed to list extensions: Context file listing failed.");
    assert_eq!(cause(&error), "not today");
}

#[tokio::test]
async fn an_extension_without_a_name_goes_by_its_path() {
    let server = differing(LIST, |_| ok(&json!([{"filePath": "/tmp/extensions/x.zip"}]))).await;
    let listed = server.agb().extensions("mine").list().await.unwrap();
    assert_eq!(listed[0].id, "/tmp/extensions/x.zip");
}

#[tokio::test]
async fn a_new_extension_is_put_into_the_store_as_it_is() {
    let server = Server::start(answer).await;
    let extensions = server.agb().extensions("mine");
    let file = zip(b"PK-content");
    let made = assert_send(extensions.create(file.path())).await.unwrap();
    let id = made.id.strip_prefix("ext_").and_then(|id| id.strip_suffix(".zip")).unwrap();
    assert_eq!((id.len(), id.chars().all(|c| c.is_ascii_hexdigit())), (32, true));
    assert_eq!(made.name, file.path().file_name().unwrap().to_string_lossy());

    let url = &server.seen_at(UPLOAD_URL)[0];
    assert_eq!((url.query["contextId"].as_str(), &url.query["filePath"]), ("ctx-1", &path_of(&made.id)));
    let put = &server.seen_at(STORE)[0];
    assert_eq!((put.method.as_str(), put.body.as_str(), put.header("content-length")), ("PUT", "PK-content", "10"));
    assert!(!put.headers.contains_key("content-type") && !put.headers.contains_key("authorization"));
    assert_ne!(extensions.create(file.path()).await.unwrap().id, made.id);
}

#[tokio::test]
async fn an_update_keeps_the_id_and_needs_one_that_is_there() {
    let server = Server::start(answer).await;
    let extensions = server.agb().extensions("mine");
    let file = zip(b"new");
    let error = extensions.update("ext_9.zip", file.path()).await.unwrap_err();
    assert_eq!(error.message(), "Browser extension with ID 'ext_9.zip' not found in the context. Cannot update.");
    assert!(server.seen_at(STORE).is_empty());

    let updated = assert_send(extensions.update("ext_0.zip", file.path())).await.unwrap();
    assert_eq!(updated.id, "ext_0.zip");
    assert_eq!(server.seen_at(UPLOAD_URL)[0].query["filePath"], "/tmp/extensions/ext_0.zip");
    assert_eq!(server.seen_at(STORE)[0].body, "new");
}

#[tokio::test]
async fn files_that_can_not_be_extensions_are_refused_before_anything_is_sent() {
    let server = Server::start(answer).await;
    let extensions = server.agb().extensions("mine");
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("a.CRX"), "").unwrap();
    std::fs::write(at("plain"), "").unwrap();
    std::fs::create_dir(at("d.zip")).unwrap();
    let shown = |name: &str| at(name).display().to_string();
    for (name, kind, created) in [
        ("none.zip", ErrorKind::Local, format!("The specified local file was not found: {}", shown("none.zip"))),
        ("d.zip", ErrorKind::Local, format!("File system error: {}: not a regular file", shown("d.zip"))),
        (
            "a.CRX",
            ErrorKind::InvalidArgument,
            "Unsupported plugin format '.crx'. Only ZIP format (.zip) is supported.".into(),
        ),
        (
            "plain",
            ErrorKind::InvalidArgument,
            "Unsupported plugin format ''. Only ZIP format (.zip) is supported.".into(),
        ),
    ] {
        let error = extensions.create(&at(name)).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, created.as_str()));
        let error = extensions.update("ext_0.zip", &at(name)).await.unwrap_err();
        assert_eq!(error.message(), created.replace("specified local", "specified new local"));
    }
    assert!(server.seen().is_empty());

    let denied = unreadable(&io::ErrorKind::PermissionDenied.into(), Path::new("/x.zip"), "missing");
    assert_eq!(denied.message(), "Permission denied accessing file: /x.zip");
}

#[tokio::test]
async fn every_way_an_upload_fails_has_its_words() {
    let file = zip(b"content");
    let create = async |server: &Server| server.agb().extensions("mine").create(file.path()).await.unwrap_err();

    let server = differing(UPLOAD_URL, |_| refuse(400, "No", "not today")).await;
    assert_eq!(create(&server).await.message(), "Failed to get upload URL: not today");
    let server = differing(UPLOAD_URL, |_| ok(&json!({}))).await;
    assert_eq!(create(&server).await.message(), "Failed to get upload URL: No URL returned");
    let server = differing(UPLOAD_URL, |_| ok(&json!({"url": "no url"}))).await;
    let message = create(&server).await.message().to_owned();
    assert!(message.starts_with("An error occurred while uploading the file: "), "{message}");

    let server = differing(STORE, |_| reply(403, "<Error><Code>Denied</Code><Sign>SECRET-SIGN</Sign></Error>")).await;
    let error = create(&server).await;
    assert_eq!(error.message(), "HTTP error uploading file: 403 Forbidden Denied ****");
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::Http, Some(403)));
    let server = differing(STORE, |_| reply(418, "")).await;
    assert_eq!(create(&server).await.message(), "HTTP error uploading file: 418 I'm a teapot");

    let closed = CLOSED_URL;
    let server = differing(UPLOAD_URL, move |_| ok(&json!({"url": closed}))).await;
    let error = create(&server).await;
    assert!(error.message().starts_with("Network error during file upload: "), "{error}");
    assert_eq!(error.kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn what_may_be_stored_after_a_failed_creation_is_deleted_and_nothing_else() {
    const DELETE: &str = "/sdk/DeleteContextFile";
    let file = zip(b"content");
    for (status, deletions) in [(403, 0), (418, 0), (408, 1), (500, 1), (507, 1)] {
        let server = differing(STORE, move |_| reply(status, "")).await;
        let extensions = server.agb().extensions("mine");
        assert_eq!(extensions.create(file.path()).await.unwrap_err().http_status(), Some(status));
        let deleted = server.seen_at(DELETE);
        assert_eq!(deleted.len(), deletions, "{status}");
        for request in &deleted {
            let put = &server.seen_at(UPLOAD_URL)[0];
            assert_eq!(
                (&request.query["contextId"], &request.query["filePath"]),
                (&put.query["contextId"], &put.query["filePath"])
            );
        }
        extensions.update("ext_0.zip", file.path()).await.unwrap_err();
        assert_eq!(server.seen_at(DELETE).len(), deletions, "an update deletes nothing");
    }

    let server = differing(UPLOAD_URL, |_| reply(500, "")).await;
    server.agb().extensions("mine").create(file.path()).await.unwrap_err();
    assert!(server.seen_at(DELETE).is_empty(), "nothing was sent to the store");

    let server = Server::start(|seen| match seen.path.as_str() {
        STORE => reply(500, ""),
        DELETE => refuse(400, "No", "not there"),
        _ => answer(seen),
    })
    .await;
    let error = server.agb().extensions("mine").create(file.path()).await.unwrap_err();
    assert_eq!(error.http_status(), Some(500), "{error}");
}

#[tokio::test]
async fn a_store_that_is_busy_is_asked_again() {
    let server = differing(STORE, |seen| if seen.nth == 0 { reply(503, "later") } else { answer(seen) }).await;
    server.agb().extensions("mine").create(zip(b"content").path()).await.unwrap();
    let bodies: Vec<String> = server.seen_at(STORE).into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, ["content", "content"]);
}

#[tokio::test]
async fn a_deletion_answers_whether_it_was_done() {
    let server = Server::start(answer).await;
    let extensions = server.agb().extensions("mine");
    assert!(extensions.delete("ext_0.zip").await.unwrap());
    for id in ["", "  ", "../secret", "a/b.zip"] {
        assert!(!extensions.delete(id).await.unwrap(), "{id}");
    }
    let asked = server.seen_at("/sdk/DeleteContextFile");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].query["filePath"], "/tmp/extensions/ext_0.zip");

    let server = differing("/sdk/DeleteContextFile", |_| refuse(400, "No", "not there")).await;
    assert!(!server.agb().extensions("mine").delete("ext_0.zip").await.unwrap());
}
