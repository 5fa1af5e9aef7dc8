//! Files on their way between a session and the contexts it mounts, and the tasks that clients watch.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::OwnedMutexGuard;

use super::{
    Contexts,
    blob::Slice,
    mount::{Mount, Pick},
    objects::{Kind, Object, below, joined},
};
use crate::{
    sandbox::{Isolation, SandboxFiles},
    state::Session,
    tools::filesystem::transfer::{self, Found, FoundKind, Item, ItemKind, Mark},
};

/// Blobs that are open at one time for one download.
const OPEN_BLOBS: usize = 64;

/// Which way files go, as seen from the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Upload,
    Download,
}

impl Direction {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Direction::Upload => "upload",
            Direction::Download => "download",
        }
    }
}

/// What a task is about. There is one task at most for each: a newer one takes the place of the older.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) context_id: String,
    /// As the client wrote it.
    pub(crate) path: String,
    pub(crate) direction: Direction,
}

/// One synchronisation, under way or done.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    number: u64,
    pub(crate) subject: Subject,
    pub(crate) started: Duration,
    pub(crate) finished: Option<Duration>,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

impl Task {
    pub(crate) fn status(&self) -> &'static str {
        match (&self.error, self.finished) {
            (Some(_), _) => "Failed",
            (None, Some(_)) => "Success",
            (None, None) => "InProgress",
        }
    }
}

/// The contexts of one session.
#[derive(Debug, Default)]
pub(crate) struct SessionContexts {
    pub(crate) mounts: Vec<Mount>,
    tasks: Mutex<Tasks>,
    /// By place, for mounts to which everything stored was brought: the paths that were there at some time. Only they
    /// can have been deleted here; what another session stored meanwhile is none of them.
    seen: Mutex<HashMap<String, HashSet<String>>>,
    is_mounted: AtomicBool,
    /// One task at a time: what one writes, another may read.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The right to work; whoever waits for it gets it in turn.
pub(crate) type Turn = OwnedMutexGuard<()>;

#[derive(Debug, Default)]
struct Tasks {
    last_number: u64,
    last_started: Duration,
    list: Vec<Task>,
}

impl SessionContexts {
    pub(crate) fn new(mounts: Vec<Mount>) -> Self {
        Self { mounts, ..Self::default() }
    }

    pub(crate) fn tasks(&self) -> Vec<Task> {
        self.lock().list.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_seen(&self) -> MutexGuard<'_, HashMap<String, HashSet<String>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_complete(&self, mount: &Mount) -> bool {
        self.lock_seen().contains_key(&mount.place)
    }

    /// The paths below a mount that can have been deleted here; `found` are such for the next time.
    fn seen_so_far(&self, mount: &Mount, found: &[Found]) -> HashSet<String> {
        let mut seen = self.lock_seen();
        let Some(seen) = seen.get_mut(&mount.place) else { return HashSet::new() };
        let before = seen.clone();
        seen.extend(found.iter().map(|found| found.relative.clone()));
        before
    }

    async fn turn(&self) -> Turn {
        Arc::clone(&self.turn).lock_owned().await
    }

    fn begin(&self, subject: Subject, now: Duration) -> u64 {
        let mut tasks = self.lock();
        tasks.last_number += 1;
        // Clients tell tasks apart by their starts, which they are told in milliseconds.
        tasks.last_started = now.max(tasks.last_started + Duration::from_millis(1));
        let (number, started) = (tasks.last_number, tasks.last_started);
        tasks.list.retain(|task| task.subject != subject);
        tasks.list.push(Task { number, subject, started, finished: None, error: None });
        number
    }

    fn end(&self, number: u64, outcome: Result<(), String>, now: Duration) {
        let mut tasks = self.lock();
        if let Some(task) = tasks.list.iter_mut().find(|task| task.number == number) {
            task.finished = Some(now.max(task.started));
            task.error = outcome.err();
        }
    }
}

/// What one task works on.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// A mount, or only what lies at or below a path in it.
    Mount { mount: Mount, only: String },
    /// A directory of file transfers.
    Transfer { context_id: String, directory: String },
}

impl Work {
    /// How far below its mount the work is.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Work::Mount { only, .. } => only.len(),
            Work::Transfer { .. } => 0,
        }
    }
}

/// A task that was announced and has yet to run.
#[derive(Debug)]
pub(crate) struct Announced {
    number: u64,
    direction: Direction,
    work: Work,
}

/// Announces a task; it shows as `InProgress` from now on.
pub(crate) fn announce(contexts: &Contexts, session: &Session, subject: Subject, work: Work) -> Announced {
    let direction = subject.direction;
    let number = session.contexts.begin(subject, contexts.clock.now());
    Announced { number, direction, work }
}

/// Does announced tasks when it is their turn.
pub(crate) async fn run(contexts: &Contexts, session: &Session, announced: Vec<Announced>) {
    let turn = session.contexts.turn().await;
    run_in(turn, contexts, session, announced).await;
}

/// Does announced tasks, one after the other.
pub(crate) async fn run_in(_turn: Turn, contexts: &Contexts, session: &Session, announced: Vec<Announced>) {
    for task in announced {
        let outcome = match (&task.work, task.direction) {
            (Work::Mount { mount, only }, Direction::Upload) => upload(contexts, session, mount, only).await,
            (Work::Mount { mount, only }, Direction::Download) => download(contexts, session, mount, only).await,
            (Work::Transfer { context_id, directory }, Direction::Upload) => {
                offer(contexts, session, context_id, directory).await
            }
            (Work::Transfer { context_id, directory }, Direction::Download) => {
                deliver(contexts, session, context_id, directory).await
            }
        };
        if let Err(reason) = &outcome {
            tracing::warn!(
                session = session.id,
                direction = task.direction.name(),
                reason,
                "a context was not synchronised"
            );
        }
        session.contexts.end(task.number, outcome, contexts.clock.now());
    }
}

/// Makes the directories of a new session's mounts, and announces what is to be brought to them. The turn that comes
/// with it is the first: nothing may be stored from a directory that is not filled yet.
pub(crate) async fn mount(
    contexts: &Contexts,
    isolation: Isolation,
    session: &Session,
) -> Result<(Turn, Vec<Announced>), String> {
    let turn = session.contexts.turn().await;
    let mut mounts: Vec<&Mount> = session.contexts.mounts.iter().collect();
    // A mount may lie in another: the outer directory is made first, while it is still empty.
    mounts.sort_by(|one, other| one.place.cmp(&other.place));
    for mount in mounts {
        let fault =
            |reason: String| format!("the context {} can't be mounted at {}: {reason}", mount.context_id, mount.place);
        if isolation == Isolation::Plain {
            take_plain_place(contexts, &mount.place, &session.id).map_err(fault)?;
        }
        if !contexts.mounted(&mount.context_id, &mount.policy.recycle) {
            return Err(unknown(&mount.context_id));
        }
        let files = session.sandbox.files().await.map_err(|error| error.to_string())?;
        transfer::prepare(files, &session.files, mount.place.clone()).await.map_err(fault)?;
    }
    session.contexts.is_mounted.store(true, Ordering::Relaxed);
    let brought = session.contexts.mounts.iter().filter(|mount| mount.policy.auto_download);
    let announced = brought.map(|mount| announce_mount(contexts, session, mount, Direction::Download)).collect();
    Ok((turn, announced))
}

fn take_plain_place(contexts: &Contexts, place: &str, session_id: &str) -> Result<(), String> {
    if below(place, "/tmp").is_none() {
        return Err("with plain isolation sessions share the file system of this machine, and contexts are mounted \
                    below /tmp only; use such a path, or namespace isolation"
            .to_owned());
    }
    contexts.take_place(place, session_id).map_err(|owner| {
        format!(
            "the session {owner} has a context there, and with plain isolation sessions share the file system of this \
             machine"
        )
    })
}

fn announce_mount(contexts: &Contexts, session: &Session, mount: &Mount, direction: Direction) -> Announced {
    let subject = Subject { context_id: mount.context_id.clone(), path: mount.path.clone(), direction };
    announce(contexts, session, subject, Work::Mount { mount: mount.clone(), only: String::new() })
}

/// Announces one direction for every mount of a session.
pub(crate) fn announce_all(contexts: &Contexts, session: &Session, direction: Direction) -> Vec<Announced> {
    session.contexts.mounts.iter().map(|mount| announce_mount(contexts, session, mount, direction)).collect()
}

/// Stores what a session's mounts ask to store before it is released.
pub(crate) async fn upload_before_release(contexts: &Contexts, session: &Session) {
    // A directory that could not be mounted is none of ours.
    if !session.contexts.is_mounted.load(Ordering::Relaxed) {
        return;
    }
    let stored = session.contexts.mounts.iter().filter(|mount| mount.policy.auto_upload);
    let announced: Vec<Announced> =
        stored.map(|mount| announce_mount(contexts, session, mount, Direction::Upload)).collect();
    run(contexts, session, announced).await;
}

/// From the session to the context.
async fn upload(contexts: &Contexts, session: &Session, mount: &Mount, only: &str) -> Result<(), String> {
    let files = session_files(session).await?;
    if mount.policy.archive {
        if mount.policy.auto_download && !session.contexts.is_complete(mount) {
            return Err("what is stored was not brought to the session, and an archive would replace it".to_owned());
        }
        return upload_archive(contexts, session, files, mount).await;
    }
    let known: HashMap<String, Mark> = contexts
        .with_objects(&mount.context_id, |objects| objects.tree(&mount.stored))
        .ok_or_else(|| unknown(&mount.context_id))?
        .into_iter()
        .filter_map(|(relative, object)| Some((relative, object.mark?)))
        .collect();
    let (blob, pack) = contexts.blobs.create().map_err(|error| error.to_string())?;
    let (directory, policy) = (mount.place.clone(), mount.policy.clone());
    let found = transfer::collect(files, &session.files, directory, policy, known, pack).await?;
    let found: Vec<Found> = found.into_iter().filter(|found| is_at(&found.relative, only)).collect();
    let seen = session.contexts.seen_so_far(mount, &found);
    let now = contexts.clock.now();
    contexts
        .with_objects(&mount.context_id, |objects| {
            if mount.policy.delete_missing {
                let there: HashSet<&str> = found.iter().map(|found| found.relative.as_str()).collect();
                objects.retain(&mount.stored, |relative, _| {
                    let is_gone = seen.contains(relative) && !there.contains(relative) && is_at(relative, only);
                    !is_gone || mount.policy.pick(relative) != Pick::Take
                });
            }
            for found in &found {
                let kind = match &found.what {
                    FoundKind::Unchanged => continue,
                    FoundKind::Directory => Kind::Directory,
                    FoundKind::Link(target) => Kind::Link(target.clone()),
                    FoundKind::File { offset, length, tag, .. } => {
                        let bytes = Slice { blob: blob.clone(), offset: *offset, length: *length };
                        Kind::File { bytes, tag: tag.clone() }
                    }
                };
                objects.put(&joined(&mount.stored, &found.relative), object_of(contexts, found, kind, now));
            }
        })
        .ok_or_else(|| unknown(&mount.context_id))
}

fn object_of(contexts: &Contexts, found: &Found, kind: Kind, now: Duration) -> Object {
    let (size, mark) = match &found.what {
        FoundKind::File { length, mark, .. } => (*length, Some(*mark)),
        _ => (0, None),
    };
    Object {
        id: contexts.object_id(),
        kind,
        size,
        mode: Some(found.mode),
        modified: Some(found.modified),
        mark,
        created_at: now,
        stored_at: now,
        delivered: false,
    }
}

async fn upload_archive(
    contexts: &Contexts,
    session: &Session,
    files: SandboxFiles,
    mount: &Mount,
) -> Result<(), String> {
    let name = archive_name(mount);
    let (blob, pack) = contexts.blobs.create().map_err(|error| error.to_string())?;
    let (directory, policy) = (mount.place.clone(), mount.policy.clone());
    let (length, tag) = transfer::pack(files, &session.files, directory, policy, name.clone(), pack).await?;
    let now = contexts.clock.now();
    let object = Object {
        id: contexts.object_id(),
        kind: Kind::Archive { bytes: Slice { blob, offset: 0, length }, tag },
        size: length,
        mode: None,
        modified: None,
        mark: None,
        created_at: now,
        stored_at: now,
        delivered: false,
    };
    contexts
        .with_objects(&mount.context_id, |objects| {
            // The archive holds what single files of an earlier upload held.
            objects.retain(&mount.stored, |relative, _| relative == name || mount.policy.pick(relative) != Pick::Take);
            objects.put(&joined(&mount.stored, &name), object);
        })
        .ok_or_else(|| unknown(&mount.context_id))
}

/// `<last part of the directory>.tar`, in that directory.
fn archive_name(mount: &Mount) -> String {
    format!("{}.tar", mount.stored.rsplit('/').next().unwrap_or_default())
}

/// From the context to the session.
async fn download(contexts: &Contexts, session: &Session, mount: &Mount, only: &str) -> Result<(), String> {
    let stored = contexts
        .with_objects(&mount.context_id, |objects| objects.tree(&mount.stored))
        .ok_or_else(|| unknown(&mount.context_id))?;
    let paths: Vec<String> = stored.iter().map(|(relative, _)| relative.clone()).collect();
    let (archives, files): (Vec<_>, Vec<_>) =
        stored.into_iter().partition(|(_, object)| matches!(object.kind, Kind::Archive { .. }));
    for (relative, object) in archives {
        if mount.policy.extract {
            extract(session, mount, &relative, &object).await?;
        }
        if !mount.policy.extract || !mount.policy.delete_source {
            place(session, &mount.place, vec![(relative, object)]).await?;
        }
    }
    let wanted = |relative: &str| mount.policy.pick(relative) == Pick::Take && is_at(relative, only);
    let files = files.into_iter().filter(|(relative, _)| wanted(relative));
    let (zips, mut files): (Vec<_>, Vec<_>) =
        files.partition(|(relative, object)| mount.policy.extract && is_given_zip(relative, object));
    let mut unpacked = HashSet::new();
    for (relative, object) in zips {
        let is_zip = unzip(session, mount, &relative, &object).await?;
        if is_zip && mount.policy.delete_source {
            unpacked.insert(relative);
        } else {
            files.push((relative, object));
        }
    }
    place(session, &mount.place, files).await?;
    if only.is_empty() {
        // What the session was spared is not what the session has deleted.
        let paths = paths.into_iter().filter(|path| !unpacked.contains(path));
        session.contexts.lock_seen().entry(mount.place.clone()).or_default().extend(paths);
    }
    Ok(())
}

/// Whether an object is a ZIP file that came through a URL; what a session has stored comes back as it was.
fn is_given_zip(relative: &str, object: &Object) -> bool {
    let is_named = relative.to_lowercase().ends_with(".zip");
    is_named && object.mode.is_none() && matches!(object.kind, Kind::File { .. })
}

/// Unpacks a ZIP file into a directory of its name; `false`: it is only named so.
async fn unzip(session: &Session, mount: &Mount, relative: &str, object: &Object) -> Result<bool, String> {
    let Kind::File { bytes, .. } = &object.kind else { return Ok(false) };
    let file = Arc::new(bytes.blob.open().map_err(|error| error.to_string())?);
    let content = ItemKind::File { file, offset: bytes.offset, length: bytes.length };
    let Some(archive) = item(relative.to_owned(), object, Some(content)) else { return Ok(false) };
    let directory = match mount.policy.extract_here {
        true => relative.rsplit_once('/').map_or("", |(parent, _)| parent),
        false => relative.get(..relative.len().saturating_sub(".zip".len())).unwrap_or_default(),
    };
    let files = session_files(session).await?;
    transfer::unzip(files, &session.files, joined(&mount.place, directory), archive).await
}

async fn extract(session: &Session, mount: &Mount, relative: &str, object: &Object) -> Result<(), String> {
    let Kind::Archive { bytes, .. } = &object.kind else { return Ok(()) };
    let file = Arc::new(bytes.blob.open().map_err(|error| error.to_string())?);
    let archive =
        item(relative.to_owned(), object, Some(ItemKind::File { file, offset: bytes.offset, length: bytes.length }));
    let Some(archive) = archive else { return Ok(()) };
    let files = session_files(session).await?;
    transfer::unpack(files, &session.files, mount.place.clone(), mount.policy.clone(), archive).await
}

/// Puts objects into a session, a few blobs at a time.
async fn place(session: &Session, directory: &str, objects: Vec<(String, Object)>) -> Result<(), String> {
    let mut objects = objects.into_iter().peekable();
    while objects.peek().is_some() {
        let mut open: HashMap<usize, Arc<File>> = HashMap::new();
        let mut items = Vec::new();
        while open.len() < OPEN_BLOBS
            && let Some((relative, object)) = objects.next()
        {
            let bytes = match &object.kind {
                Kind::File { bytes, .. } | Kind::Archive { bytes, .. } => Some(open_slice(&mut open, bytes)?),
                _ => None,
            };
            items.extend(item(relative, &object, bytes));
        }
        let files = session_files(session).await?;
        transfer::place(files, &session.files, directory.to_owned(), items).await?;
    }
    Ok(())
}

fn open_slice(open: &mut HashMap<usize, Arc<File>>, bytes: &Slice) -> Result<ItemKind, String> {
    let key = Arc::as_ptr(&bytes.blob) as usize;
    let file = match open.get(&key) {
        Some(file) => file.clone(),
        None => {
            let file = Arc::new(bytes.blob.open().map_err(|error| error.to_string())?);
            open.insert(key, file.clone());
            file
        }
    };
    Ok(ItemKind::File { file, offset: bytes.offset, length: bytes.length })
}

fn item(relative: String, object: &Object, bytes: Option<ItemKind>) -> Option<Item> {
    let what = match &object.kind {
        Kind::File { .. } | Kind::Archive { .. } => bytes?,
        Kind::Directory => ItemKind::Directory,
        Kind::Link(target) => ItemKind::Link(target.clone()),
        Kind::InSession { .. } => return None,
    };
    Some(Item { relative, mode: object.mode, modified: object.modified, what })
}

/// Offers the files of a session's directory for download; their bytes are fetched when a URL is asked for.
async fn offer(contexts: &Contexts, session: &Session, context_id: &str, directory: &str) -> Result<(), String> {
    let files = session_files(session).await?;
    let offered = transfer::offer(files, &session.files, directory.to_owned()).await?;
    let now = contexts.clock.now();
    contexts
        .with_objects(context_id, |objects| {
            let there: HashSet<&str> = offered.iter().map(|file| file.name.as_str()).collect();
            // What the session has no more can't be downloaded any more; what it has yet to get stays.
            objects.retain(directory, |relative, object| {
                relative.contains('/') || !object.delivered || there.contains(relative)
            });
            for file in &offered {
                let path = joined(directory, &file.name);
                let old = objects.get(&path);
                if old.is_some_and(|old| !old.delivered) {
                    continue;
                }
                let fetched = old.and_then(|old| old.kind.bytes());
                let object = Object {
                    id: contexts.object_id(),
                    kind: Kind::InSession { fetched: fetched.map(|(bytes, tag)| (bytes.clone(), tag.to_owned())) },
                    size: file.size_bytes,
                    mode: Some(file.mode),
                    modified: Some(file.modified),
                    mark: None,
                    created_at: now,
                    stored_at: now,
                    delivered: true,
                };
                objects.put(&path, object);
            }
        })
        .ok_or_else(|| unknown(context_id))
}

/// Brings what was put into a directory since the last time.
async fn deliver(contexts: &Contexts, session: &Session, context_id: &str, directory: &str) -> Result<(), String> {
    let waiting: Vec<(String, Object)> = contexts
        .with_objects(context_id, |objects| objects.tree(directory))
        .ok_or_else(|| unknown(context_id))?
        .into_iter()
        .filter(|(_, object)| !object.delivered)
        .collect();
    let paths: Vec<String> = waiting.iter().map(|(relative, _)| joined(directory, relative)).collect();
    place(session, directory, waiting).await?;
    contexts
        .with_objects(context_id, |objects| paths.iter().for_each(|path| objects.mark_delivered(path)))
        .ok_or_else(|| unknown(context_id))
}

/// Fetches the bytes of an object that lies in its session still.
pub(crate) async fn fetch_offered(
    contexts: &Contexts,
    session: &Session,
    context_id: &str,
    path: &str,
) -> Result<(), String> {
    let object = contexts.with_objects(context_id, |objects| objects.get(path).cloned()).flatten();
    let Some(object) = object.filter(is_in_session) else { return Ok(()) };
    let (blob, into) = contexts.blobs.create().map_err(|error| error.to_string())?;
    let files = session_files(session).await?;
    let (length, tag) = transfer::fetch(files, &session.files, path.to_owned(), into).await?;
    let bytes = Slice { blob, offset: 0, length };
    let fetched = Object { kind: Kind::File { bytes, tag }, size: length, ..object };
    contexts.with_objects(context_id, |objects| {
        // What was put there meanwhile is newer.
        if objects.get(path).is_some_and(is_in_session) {
            objects.put(path, fetched);
        }
    });
    Ok(())
}

fn is_in_session(object: &Object) -> bool {
    matches!(object.kind, Kind::InSession { .. })
}

async fn session_files(session: &Session) -> Result<SandboxFiles, String> {
    session.sandbox.files().await.map_err(|error| error.to_string())
}

/// The whole of it for an empty path.
fn is_at(relative: &str, only: &str) -> bool {
    only.is_empty() || relative == only || below(relative, only).is_some()
}

fn unknown(context_id: &str) -> String {
    format!("Context not found: {context_id}")
}

/// The directory that file transfers of a session use by default, made if it is missing.
pub(crate) async fn transfer_directory(session: &Session) -> Result<String, String> {
    let files = session_files(session).await?;
    let parent = match &files {
        SandboxFiles::Namespace { .. } => "/tmp".to_owned(),
        SandboxFiles::Plain { tmp, .. } => tmp.to_string_lossy().into_owned(),
    };
    let directory = joined(&parent, "agb-transfer");
    transfer::make(files, &session.files, directory.clone()).await?;
    Ok(directory)
}
