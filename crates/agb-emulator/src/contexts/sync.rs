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
    Contexts, archive,
    blob::{Blob, Slice},
    held::{Change, Holdings},
    mount::{Mount, Pick},
    objects::{Kind, Object, below, joined},
};
use crate::{
    sandbox::{Isolation, SandboxFiles},
    state::Session,
    tools::filesystem::transfer::{self, Found, Item, ItemKind, Looks},
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
    /// What the session has of what is stored, by place.
    held: Mutex<HashMap<String, Holdings>>,
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

    fn held(&self, mount: &Mount) -> Holdings {
        self.hold(mount, |held| held.clone())
    }

    fn hold<T>(&self, mount: &Mount, note: impl FnOnce(&mut Holdings) -> T) -> T {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        note(held.entry(mount.place.clone()).or_default())
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

/// From the session to the context: what the session has changed.
async fn upload(contexts: &Contexts, session: &Session, mount: &Mount, only: &str) -> Result<(), String> {
    let files = session_files(session).await?;
    let held = session.contexts.held(mount);
    let (blob, pack) = contexts.blobs.create().map_err(|error| error.to_string())?;
    let (directory, policy) = (mount.place.clone(), mount.policy.clone());
    let mut found = transfer::collect(files, &session.files, directory, policy, held.known(), pack).await?;
    // An archive is stored as a whole.
    let only = if mount.policy.archive { "" } else { only };
    found.retain(|found| is_at(&found.relative, only));
    let gone = held.gone(&mount.policy, &found, only);
    if mount.policy.archive {
        store_archive(contexts, mount, &held, (&found, &blob), &gone).await?;
        found.retain(|found| found.relative != archive::name(mount));
    } else {
        store_files(contexts, mount, &held, (&found, &blob), &gone)?;
    }
    session.contexts.hold(mount, |held| held.settle(&found, &gone));
    Ok(())
}

fn store_files(
    contexts: &Contexts,
    mount: &Mount,
    held: &Holdings,
    (found, pack): (&[Found], &Arc<Blob>),
    gone: &[String],
) -> Result<(), String> {
    let now = contexts.clock.now();
    contexts
        .with_objects(&mount.context_id, |objects| {
            for relative in gone {
                let path = joined(&mount.stored, relative);
                if objects.get(&path).is_some_and(|object| held.ends(relative, object)) {
                    objects.remove(&path);
                }
            }
            for found in found {
                let path = joined(&mount.stored, &found.relative);
                let is_stored = held.change(found) == Change::Unpacked && objects.get(&path).is_some();
                let Some(kind) = Kind::of(found, pack).filter(|_| !is_stored) else { continue };
                objects.put(&path, object_of(contexts, found, kind, now));
            }
        })
        .ok_or_else(|| unknown(&mount.context_id))
}

fn object_of(contexts: &Contexts, found: &Found, kind: Kind, now: Duration) -> Object {
    Object {
        id: contexts.object_id(),
        size: kind.bytes().map_or(0, |(bytes, _)| bytes.length),
        kind,
        mode: Some(found.mode),
        modified: Some(found.modified),
        created_at: now,
        stored_at: now,
        delivered: false,
    }
}

async fn store_archive(
    contexts: &Contexts,
    mount: &Mount,
    held: &Holdings,
    found: (&[Found], &Arc<Blob>),
    gone: &[String],
) -> Result<(), String> {
    // Again as often as another session was faster.
    loop {
        let stored = contexts
            .with_objects(&mount.context_id, |objects| objects.tree(&mount.stored))
            .ok_or_else(|| unknown(&mount.context_id))?;
        let Some(merge) = archive::Merge::of(mount, stored, held, found, gone)? else { return Ok(()) };
        let (blob, into) = contexts.blobs.create().map_err(|error| error.to_string())?;
        let writing = tokio::task::spawn_blocking(move || merge.write(into).map(|written| (merge, written)));
        let written = writing.await.map_err(|error| error.to_string())?;
        let (merge, written) = written.map_err(|error| format!("the archive can't be written: {error}"))?;
        let now = contexts.clock.now();
        let archive = written.map(|(length, tag)| Object {
            id: contexts.object_id(),
            kind: Kind::Archive { bytes: Slice { blob, offset: 0, length }, tag },
            size: length,
            mode: None,
            modified: None,
            created_at: now,
            stored_at: now,
            delivered: false,
        });
        let is_stored = contexts
            .with_objects(&mount.context_id, |objects| merge.store(objects, mount, archive))
            .ok_or_else(|| unknown(&mount.context_id))?;
        if is_stored {
            return Ok(());
        }
    }
}

/// From the context to the session.
async fn download(contexts: &Contexts, session: &Session, mount: &Mount, only: &str) -> Result<(), String> {
    let stored = contexts
        .with_objects(&mount.context_id, |objects| objects.tree(&mount.stored))
        .ok_or_else(|| unknown(&mount.context_id))?;
    let (archives, files): (Vec<_>, Vec<_>) = stored.into_iter().partition(|(_, object)| object.kind.is_archive());
    let wanted = |relative: &str| mount.policy.pick(relative) == Pick::Take && is_at(relative, only);
    let files = files.into_iter().filter(|(relative, _)| wanted(relative));
    let (zips, mut files): (Vec<_>, Vec<_>) =
        files.partition(|(relative, object)| mount.policy.extract && is_given_zip(relative, object));
    // First what came through URLs: sessions may have changed and stored what was in it.
    for (relative, object) in zips {
        let is_zip = unzip(session, mount, &relative, &object).await?;
        if !is_zip || !mount.policy.delete_source {
            files.push((relative, object));
        }
    }
    for (relative, object) in archives {
        if mount.policy.extract {
            extract(session, mount, &relative, &object).await?;
        }
        if !mount.policy.extract || !mount.policy.delete_source {
            files.push((relative, object));
        }
    }
    let mut looks = Looks::new();
    let outcome = place(session, &mount.place, files, &mut looks).await;
    session.contexts.hold(mount, |held| held.stored(looks));
    outcome
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
    let (looks, outcome) = transfer::unzip(files, &session.files, joined(&mount.place, directory), archive).await;
    let from_mount = |relative: String| if directory.is_empty() { relative } else { joined(directory, &relative) };
    let looks = looks.into_iter().map(|(relative, look)| (from_mount(relative), look));
    session.contexts.hold(mount, |held| held.unpacked(looks.collect()));
    outcome
}

async fn extract(session: &Session, mount: &Mount, relative: &str, object: &Object) -> Result<(), String> {
    let Kind::Archive { bytes, tag } = &object.kind else { return Ok(()) };
    let file = Arc::new(bytes.blob.open().map_err(|error| error.to_string())?);
    let archive =
        item(relative.to_owned(), object, Some(ItemKind::File { file, offset: bytes.offset, length: bytes.length }));
    let Some(archive) = archive else { return Ok(()) };
    let files = session_files(session).await?;
    let (looks, outcome) =
        transfer::unpack(files, &session.files, mount.place.clone(), mount.policy.clone(), archive).await;
    session.contexts.hold(mount, |held| {
        if mount.policy.archive {
            held.stored(looks)
        } else {
            held.unpacked(looks)
        }
        // Only if all of it was unpacked.
        if outcome.is_ok() && mount.policy.only.is_empty() {
            held.spared(relative.to_owned(), tag);
        }
    });
    outcome
}

/// Puts objects into a session, a few blobs at a time, and notes how they look there.
async fn place(
    session: &Session,
    directory: &str,
    objects: Vec<(String, Object)>,
    looks: &mut Looks,
) -> Result<(), String> {
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
        let (placed, outcome) = transfer::place(files, &session.files, directory.to_owned(), items).await;
        looks.extend(placed);
        outcome?;
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
    place(session, directory, waiting, &mut Looks::new()).await?;
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
pub(super) fn is_at(relative: &str, only: &str) -> bool {
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
