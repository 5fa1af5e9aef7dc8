//! Contexts: the storage itself, its files, and its synchronisation with sessions.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use crate::{
    contexts::{
        ContextView, DEFAULT_REGION, RenameFault,
        mount::Mount,
        objects::{Kind, Listed, below, normal_path},
        presign::{Access, Grant},
        sync::{self, Announced, Direction, Subject, Task, Work},
    },
    envelope::Answer,
    state::{EndReason, InUse, Session},
};

const DEFAULT_PAGE: usize = 10;
const DEFAULT_FILE_PAGE: usize = 50;
/// How long a pre-signed URL is good for, in seconds of the emulator's clock.
const URL_LIFE_S: i64 = 3_600;
const TRANSFERS: &str = "file_transfer";

/// The answer for a context that does not exist.
pub(crate) fn unknown(id: &str) -> Answer {
    Answer::failure(StatusCode::BAD_REQUEST, "InvalidContext.NotFound", format!("Context not found: {id}"))
}

pub(crate) async fn list(call: Call) -> Result<Answer, Answer> {
    let limit = count(&call, "maxResults", DEFAULT_PAGE)?;
    let before = match call.query("nextToken") {
        None => None,
        Some(token) => Some(page_of(token)?),
    };
    let page = call.service.sessions.contexts.page(before, limit);
    let data = page.contexts.iter().map(|context| listed(&call, context)).collect();
    let next = page.next.map(|number| format!("contexts-{number}")).unwrap_or_default();
    Ok(Answer::page(data, next, limit, page.count).beside("totalCount", page.count))
}

fn page_of(token: &str) -> Result<u64, Answer> {
    token
        .strip_prefix("contexts-")
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Answer::invalid(format!("nextToken {token} is not one that a list gave")))
}

fn listed(call: &Call, context: &ContextView) -> Value {
    let clock = &call.service.sessions.clock;
    json!({
        "id": context.id,
        "name": context.name,
        "createTime": clock.wall(context.created),
        "lastUsedTime": clock.wall(context.last_used),
    })
}

/// By id or by name; by name it is made when the client allows it.
pub(crate) async fn get(call: Call) -> Result<Answer, Answer> {
    let contexts = &call.service.sessions.contexts;
    let region = call.query("loginRegionId").unwrap_or(DEFAULT_REGION);
    let context = match (call.query("id"), call.query("name")) {
        (Some(id), _) => contexts.by_id(id).ok_or_else(|| unknown(id))?,
        (None, Some(name)) if call.query("allowCreate") == Some("true") => contexts.find_or_create(name, region),
        (None, Some(name)) => contexts.by_name(name, region).ok_or_else(|| unknown(name))?,
        (None, None) => return Err(Answer::invalid("id or name is required")),
    };
    let mut data = listed(&call, &context);
    if let Value::Object(members) = &mut data {
        members.insert("state".to_owned(), context.state.into());
    }
    Ok(Answer::data(data))
}

pub(crate) async fn modify(call: Call) -> Result<Answer, Answer> {
    let (id, name) = (required(&call, "id")?, required(&call, "name")?);
    match call.service.sessions.contexts.rename(id, name) {
        Ok(()) => Ok(Answer::ok()),
        Err(RenameFault::Unknown) => Err(unknown(id)),
        Err(RenameFault::NameTaken) => Err(Answer::invalid(format!("another context has the name {name}"))),
    }
}

pub(crate) async fn delete(call: Call) -> Result<Answer, Answer> {
    let id = required(&call, "id")?;
    if call.service.sessions.contexts.delete(id) { Ok(Answer::ok()) } else { Err(unknown(id)) }
}

/// Only starts it; the state of the context tells when it is done.
pub(crate) async fn clear(call: Call) -> Result<Answer, Answer> {
    let id = required(&call, "id")?;
    if call.service.sessions.contexts.clear(id) { Ok(Answer::ok()) } else { Err(unknown(id)) }
}

/// Starts the synchronisation of all mounts of a session, or of one, or of a directory of file transfers.
pub(crate) async fn sync(call: Call) -> Result<Answer, Answer> {
    let in_use = call.use_session()?;
    let direction = match call.query("mode") {
        None | Some("upload") => Direction::Upload,
        Some("download") => Direction::Download,
        Some(other) => return Err(Answer::invalid(format!("mode must be upload or download, not {other}"))),
    };
    let contexts = &call.service.sessions.contexts;
    let announced = match one_context(&call)? {
        None => sync::announce_all(contexts, &in_use.session, direction),
        Some((context_id, path)) => {
            let work = work_on(&call, &in_use.session, context_id, path)?;
            let subject = Subject { context_id: context_id.to_owned(), path: path.to_owned(), direction };
            vec![sync::announce(contexts, &in_use.session, subject, work)]
        }
    };
    run(&call, in_use, announced);
    Ok(Answer::ok())
}

/// Mounts the contexts of a session that was just created. If one can't be mounted, the session ends with it.
pub(crate) async fn mount(call: &Call, session: &Arc<Session>) -> Result<(), Answer> {
    if session.contexts.mounts.is_empty() {
        return Ok(());
    }
    let sessions = &call.service.sessions;
    let Some(in_use) = call.use_session_for(&session.id, &call.operation()) else { return Err(Answer::no_session()) };
    match sync::mount(&sessions.contexts, sessions.isolation(), session).await {
        Ok((turn, announced)) => {
            let service = call.service.clone();
            tokio::spawn(async move {
                sync::run_in(turn, &service.sessions.contexts, &in_use.session, announced).await;
            });
            Ok(())
        }
        Err(reason) => {
            drop(in_use);
            if let Some(released) = sessions.release(&session.id, EndReason::ApiCall) {
                released.finished().await;
            }
            Err(Answer::invalid(reason))
        }
    }
}

/// Does the work in the background; the session counts as in use until it is done.
fn run(call: &Call, in_use: InUse, announced: Vec<Announced>) {
    let service = call.service.clone();
    tokio::spawn(async move { sync::run(&service.sessions.contexts, &in_use.session, announced).await });
}

/// Both or neither of the parameters that name one context at its path.
fn one_context(call: &Call) -> Result<Option<(&str, &str)>, Answer> {
    match (call.query("contextId"), call.query("path")) {
        (None, None) => Ok(None),
        (Some(context_id), Some(path)) => Ok(Some((context_id, path))),
        _ => Err(Answer::invalid("contextId and path must be given together")),
    }
}

fn work_on(call: &Call, session: &Session, context_id: &str, path: &str) -> Result<Work, Answer> {
    let contexts = &call.service.sessions.contexts;
    if contexts.by_id(context_id).is_none() {
        return Err(unknown(context_id));
    }
    let directory = absolute("path", path)?;
    if contexts.session_of_transfers(context_id).as_ref() == Some(&session.id) {
        return Ok(Work::Transfer { context_id: context_id.to_owned(), directory });
    }
    let only = |mount: &Mount| {
        if mount.place == directory { Some("") } else { below(&directory, &mount.place) }.map(str::to_owned)
    };
    let mounts = session.contexts.mounts.iter().filter(|mount| mount.context_id == context_id);
    let around = mounts.filter_map(|mount| Some(Work::Mount { mount: mount.clone(), only: only(mount)? }));
    // One mount may lie in another: the nearest counts.
    around.min_by_key(Work::depth).ok_or_else(|| {
        Answer::invalid(format!("the session {} has not mounted the context {context_id} at {path}", session.id))
    })
}

/// What became of the synchronisations of a session, in a list within a list within texts, as the service has it.
pub(crate) async fn info(call: Call) -> Result<Answer, Answer> {
    let in_use = call.use_session()?;
    let wanted = |name: &str, value: &str| call.query(name).is_none_or(|wanted| wanted == value);
    let is_wanted = |task: &Task| {
        let subject = &task.subject;
        wanted("contextId", &subject.context_id)
            && wanted("path", &subject.path)
            && wanted("taskType", subject.direction.name())
    };
    let tasks = in_use.session.contexts.tasks();
    let items: Vec<Value> = tasks.iter().filter(|task| is_wanted(task)).map(|task| item(&call, task)).collect();
    let status =
        if items.is_empty() { json!([]) } else { json!([{"type": "data", "data": Value::Array(items).to_string()}]) };
    Ok(Answer::data(json!({"contextStatus": status.to_string()})))
}

fn item(call: &Call, task: &Task) -> Value {
    let clock = &call.service.sessions.clock;
    json!({
        "contextId": task.subject.context_id,
        "path": task.subject.path,
        "errorMessage": task.error.as_deref().unwrap_or_default(),
        "status": task.status(),
        "startTime": clock.unix_ms(task.started),
        "finishTime": task.finished.map_or(0, |at| clock.unix_ms(at)),
        "taskType": task.subject.direction.name(),
    })
}

pub(crate) async fn download_url(call: Call) -> Result<Answer, Answer> {
    let (context_id, path) = file_of(&call)?;
    fetch_offered(&call, context_id, &path).await?;
    Ok(url(&call, Access::Read, context_id, &path))
}

pub(crate) async fn upload_url(call: Call) -> Result<Answer, Answer> {
    let (context_id, path) = file_of(&call)?;
    Ok(url(&call, Access::Write, context_id, &path))
}

/// A file that a file transfer offers is fetched from its session now: the URL may outlive the session.
async fn fetch_offered(call: &Call, context_id: &str, path: &str) -> Result<(), Answer> {
    let sessions = &call.service.sessions;
    let Some(session_id) = sessions.contexts.session_of_transfers(context_id) else { return Ok(()) };
    let in_use = call.use_session_for(&session_id, &call.operation()).ok_or_else(Answer::no_session)?;
    sync::fetch_offered(&sessions.contexts, &in_use.session, context_id, path).await.map_err(Answer::invalid)
}

fn url(call: &Call, access: Access, context_id: &str, path: &str) -> Answer {
    let sessions = &call.service.sessions;
    let expires_s = sessions.clock.unix_ms(sessions.clock.now()) / 1_000 + URL_LIFE_S;
    let grant = Grant { access, context_id, path, expires_s };
    let url = sessions.contexts.signer.url(&call.service.base_url, &grant);
    Answer::data(json!({"url": url, "expireTime": expires_s}))
}

pub(crate) async fn delete_file(call: Call) -> Result<Answer, Answer> {
    let (context_id, path) = file_of(&call)?;
    let removed = call.service.sessions.contexts.with_objects(context_id, |objects| objects.remove(&path));
    if removed == Some(true) {
        return Ok(Answer::ok());
    }
    Err(Answer::failure(
        StatusCode::BAD_REQUEST,
        "InvalidContextFile.NotFound",
        format!("File not found: {path} in the context {context_id}"),
    ))
}

/// What lies directly in a folder of a context.
pub(crate) async fn list_files(call: Call) -> Result<Answer, Answer> {
    let context_id = required(&call, "contextId")?;
    let folder = absolute("parentFolderPath", call.query("parentFolderPath").unwrap_or("/"))?;
    let number = count(&call, "pageNumber", 1)?;
    let size = count(&call, "pageSize", DEFAULT_FILE_PAGE)?;
    let contexts = &call.service.sessions.contexts;
    let files =
        contexts.with_objects(context_id, |objects| objects.list(&folder)).ok_or_else(|| unknown(context_id))?;
    let shown: Vec<Value> =
        files.iter().skip((number - 1).saturating_mul(size)).take(size).map(|file| described(&call, file)).collect();
    let next = if number.saturating_mul(size) < files.len() { (number + 1).to_string() } else { String::new() };
    Ok(Answer::page(shown.into(), next, size, files.len()))
}

fn described(call: &Call, file: &Listed) -> Value {
    let clock = &call.service.sessions.clock;
    let object = file.object.as_ref();
    let is_folder = object.is_none_or(|object| matches!(object.kind, Kind::Directory));
    let time = |at: Option<std::time::Duration>| at.map(|at| clock.wall(at)).unwrap_or_default();
    json!({
        "fileId": object.map(|object| object.id.as_str()).unwrap_or_default(),
        "fileName": file.name,
        "filePath": file.path,
        "fileType": if is_folder { "FOLDER" } else { "FILE" },
        "gmtCreate": time(object.map(|object| object.created_at)),
        "gmtModified": time(object.map(|object| object.stored_at)),
        "size": object.map_or(0, |object| object.size),
        "status": "available",
    })
}

/// The hidden context through which files go to a session and come from it.
pub(crate) async fn internal(call: Call) -> Result<Answer, Answer> {
    let in_use = call.use_session()?;
    let wanted = match call.query("contextTypes") {
        None => true,
        Some(text) => serde_json::from_str::<Vec<String>>(text)
            .map_err(|_| Answer::invalid("contextTypes must hold a JSON array of strings"))?
            .iter()
            .any(|kind| kind == TRANSFERS),
    };
    if !wanted {
        return Ok(Answer::data(json!([])));
    }
    let directory = sync::transfer_directory(&in_use.session).await.map_err(Answer::invalid)?;
    let id = call.service.sessions.contexts.of_transfers(&in_use.session.id);
    Ok(Answer::data(json!([{"contextId": id, "contextType": TRANSFERS, "contextPath": directory}])))
}

/// The context that exists and the file in it that a request names.
fn file_of(call: &Call) -> Result<(&str, String), Answer> {
    let context_id = required(call, "contextId")?;
    let path = absolute("filePath", required(call, "filePath")?)?;
    if call.service.sessions.contexts.by_id(context_id).is_none() {
        return Err(unknown(context_id));
    }
    if path == "/" {
        return Err(Answer::invalid("filePath must name a file"));
    }
    Ok((context_id, path))
}

fn absolute(name: &str, path: &str) -> Result<String, Answer> {
    normal_path(path).ok_or_else(|| Answer::invalid(format!("{name} is not a path in a context: {path}")))
}

fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str, Answer> {
    call.query(name).ok_or_else(|| Answer::invalid(format!("{name} is required")))
}

/// A whole number of at least 1.
fn count(call: &Call, name: &str, default: usize) -> Result<usize, Answer> {
    let Some(text) = call.query(name) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Answer::invalid(format!("{name} must be a whole number of at least 1, not {text}")))
}
