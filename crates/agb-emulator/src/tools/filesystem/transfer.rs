//! The session's side of a context: whole directories out of a session and into it.
//!
//! The bytes go through files that the emulator has opened beforehand, as the work here is done with the rights of the
//! session's user, which may not open them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, fchmod, fstat, futimens, openat, readlinkat, renameat,
    symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::error::{FileError, shown};
use super::facts::{Facts, Time};
use super::identity::Deadline;
use super::tree::{self, Then, Visit};
use super::view::{Entry, entry_facts};
use super::write::make_directories;
use super::zip;
use super::{Context, SessionFiles, work_on};
use crate::contexts::blob::Tagger;
use crate::contexts::mount::{Pick, Policy};
use crate::sandbox::SandboxFiles;
use crate::tools::ToolLimits;

/// What one transfer may take, in real time.
const LIMITS: ToolLimits = ToolLimits { output_bytes: usize::MAX, time: Duration::from_secs(900) };
/// Copied at a time, between two looks at the clock.
const PIECE_BYTES: usize = 1024 * 1024;
/// Rights of a file that came with none.
const FILE_MODE: u32 = 0o644;

/// What something in a session looks like, to tell later whether it was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    File { mark: Mark, mode: u32, tag: String },
    Directory,
    Link(String),
}

/// Looks by the paths from a directory.
pub(crate) type Looks = HashMap<String, Look>;

/// As long as a file's mark is the same, its bytes are taken for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    place: (u64, u64),
    size_bytes: u64,
    modified: Time,
    status_changed: Time,
}

impl Mark {
    fn of(facts: &Facts) -> Self {
        Self {
            place: (facts.device, facts.inode),
            size_bytes: facts.size_bytes,
            modified: facts.modified,
            status_changed: facts.status_changed,
        }
    }
}

impl Look {
    fn of_file(facts: &Facts, tag: String) -> Self {
        Self::File { mark: Mark::of(facts), mode: facts.permissions, tag }
    }

    /// Whether it was not changed since it looked like `before`. A new link to a file, say, changes only its mark.
    pub(crate) fn is_still(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::File { mark, mode, tag }, Self::File { mark: old, mode: old_mode, tag: old_tag }) => {
                (mark.modified, mode, tag) == (old.modified, old_mode, old_tag)
            }
            _ => self == before,
        }
    }
}

/// Something found below a directory of a session.
#[derive(Debug)]
pub(crate) struct Found {
    /// The path from that directory.
    pub(crate) relative: String,
    pub(crate) mode: u32,
    pub(crate) modified: Time,
    pub(crate) look: Look,
    pub(crate) what: FoundKind,
}

#[derive(Debug)]
pub(crate) enum FoundKind {
    /// Its bytes were written to the pack, from there on.
    File {
        offset: u64,
        length: u64,
        tag: String,
    },
    Directory,
    Link(String),
    /// Any of them that is still what it was.
    Unchanged,
}

/// A file that a directory holds, without its bytes.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    pub(crate) mode: u32,
    pub(crate) modified: Time,
}

/// Something to be put below a directory of a session.
#[derive(Debug)]
pub(crate) struct Item {
    /// The path from that directory.
    pub(crate) relative: String,
    pub(crate) mode: Option<u32>,
    pub(crate) modified: Option<Time>,
    pub(crate) what: ItemKind,
}

#[derive(Debug)]
pub(crate) enum ItemKind {
    File { file: Arc<File>, offset: u64, length: u64 },
    Directory,
    Link(String),
}

/// Makes the directory that a context is mounted at. With plain isolation it must be new or empty: what lies there
/// already belongs to this machine and not to the session.
pub(crate) async fn prepare(files: SandboxFiles, session: &SessionFiles, directory: String) -> Result<(), String> {
    let is_plain = matches!(files, SandboxFiles::Plain { .. });
    let work = move |context: &Context| {
        let path = context.view.path(&directory)?;
        make_directories(context, path.clone())?;
        if is_plain {
            let handle = context.view.open_directory(&path)?;
            let entries = tree::entries(handle.as_fd()).map_err(|errno| FileError::at(errno, &path))?;
            if !entries.is_empty() {
                return Err(FileError::new(format!(
                    "{} exists on this machine and is not empty; with plain isolation a context is mounted only where \
                     nothing is yet",
                    shown(&path)
                )));
            }
            context.made(&path, true);
        }
        Ok(())
    };
    work_on(files, session, &LIMITS, work).await.map_err(|error| error.text)
}

/// Makes a directory of the emulator's own in a session, if it is not there.
pub(crate) async fn make(files: SandboxFiles, session: &SessionFiles, directory: String) -> Result<(), String> {
    let work = move |context: &Context| make_directories(context, context.view.path(&directory)?);
    work_on(files, session, &LIMITS, work).await.map_err(|error| error.text)
}

/// Everything below a directory that the policy picks; the bytes of files that are not what is `known` go to `pack`.
pub(crate) async fn collect(
    files: SandboxFiles,
    session: &SessionFiles,
    directory: String,
    policy: Policy,
    known: Looks,
    mut pack: File,
) -> Result<Vec<Found>, String> {
    let work = move |context: &Context| {
        let root = context.view.path(&directory)?;
        let handle = context.view.open_directory(&root)?;
        let mut found = Vec::new();
        let mut offset = 0;
        tree::each(handle.as_fd(), context.deadline, &mut |visit| {
            let path = root.join(visit.relative);
            let relative = text_of(visit.relative)?;
            match policy.pick(&relative) {
                Pick::Leave => return Ok(Then::Pass),
                Pick::LookBelow => return Ok(Then::Descend),
                Pick::Take => {}
            }
            let Some((facts, source)) = open_visited(visit, &path)? else { return Ok(Then::Pass) };
            let before = known.get(&relative);
            let (look, what) = match (source, before) {
                (Source::Directory, _) => (Look::Directory, FoundKind::Directory),
                (Source::Link(target), _) => (Look::Link(target.clone()), FoundKind::Link(target)),
                (Source::File(_), Some(look @ Look::File { mark, .. })) if *mark == Mark::of(&facts) => {
                    (look.clone(), FoundKind::Unchanged)
                }
                (Source::File(file), _) => {
                    let tagger = copy(File::from(file), &mut pack, context.deadline, &path)?;
                    let start = offset;
                    offset += tagger.length();
                    let file = FoundKind::File { offset: start, length: tagger.length(), tag: tagger.tag() };
                    (Look::of_file(&facts, tagger.tag()), file)
                }
            };
            let what = if before.is_some_and(|before| look.is_still(before)) { FoundKind::Unchanged } else { what };
            found.push(Found { relative, mode: facts.permissions, modified: facts.modified, look, what });
            Ok(Then::Descend)
        })?;
        Ok(found)
    };
    work_on(files, session, &LIMITS, work).await.map_err(|error| error.text)
}

/// The regular files directly in a directory.
pub(crate) async fn offer(
    files: SandboxFiles,
    session: &SessionFiles,
    directory: String,
) -> Result<Vec<Offered>, String> {
    let work = move |context: &Context| {
        let root = context.view.path(&directory)?;
        let handle = context.view.open_directory(&root)?;
        let entries = tree::entries(handle.as_fd()).map_err(|errno| FileError::of("Directory", errno, &root))?;
        let mut offered = Vec::new();
        for (name, _) in entries {
            context.deadline.check()?;
            // What has no name in Unicode can't be asked for.
            let Some(text) = name.to_str() else { continue };
            let Ok(facts) = context.view.facts(&root.join(&name)) else { continue };
            if facts.is_file() {
                offered.push(Offered {
                    name: text.to_owned(),
                    size_bytes: facts.size_bytes,
                    mode: facts.permissions,
                    modified: facts.modified,
                });
            }
        }
        Ok(offered)
    };
    work_on(files, session, &LIMITS, work).await.map_err(|error| error.text)
}

/// Copies one file out; answers its length and tag.
pub(crate) async fn fetch(
    files: SandboxFiles,
    session: &SessionFiles,
    path: String,
    mut into: File,
) -> Result<(u64, String), String> {
    let work = move |context: &Context| {
        let path = context.view.path(&path)?;
        let file = context.view.open_file(&path, OFlags::RDONLY)?;
        let tagger = copy(File::from(file), &mut into, context.deadline, &path)?;
        Ok((tagger.length(), tagger.tag()))
    };
    work_on(files, session, &LIMITS, work).await.map_err(|error| error.text)
}

/// Puts things below a directory of a session, in their order. A file takes its place in one step: nobody sees half of
/// it.
pub(crate) async fn place(
    files: SandboxFiles,
    session: &SessionFiles,
    directory: String,
    items: Vec<Item>,
) -> (Looks, Result<(), String>) {
    let work = move |context: &Context, looks: &mut Looks| {
        let root = context.view.path(&directory)?;
        make_directories(context, root.clone())?;
        for item in items {
            context.deadline.check()?;
            let path = root.join(&item.relative);
            let look = match item.what {
                ItemKind::Directory => place_directory(context, path)?,
                ItemKind::Link(target) => place_link(context, &path, target)?,
                ItemKind::File { file, offset, length } => {
                    let mut bytes = SliceReader { file, offset, left: length };
                    place_file(context, &path, &mut bytes, length, item.mode, item.modified)?
                }
            };
            looks.insert(item.relative, look);
        }
        Ok(())
    };
    put_down(files, session, work).await
}

/// Puts what the tar file of an archive holds below a directory, as far as the policy picks it.
pub(crate) async fn unpack(
    files: SandboxFiles,
    session: &SessionFiles,
    directory: String,
    policy: Policy,
    archive: Item,
) -> (Looks, Result<(), String>) {
    let work = move |context: &Context, looks: &mut Looks| {
        let ItemKind::File { file, offset, length } = archive.what else { return Ok(()) };
        let root = context.view.path(&directory)?;
        make_directories(context, root.clone())?;
        let broken = |error: io::Error| FileError::new(format!("{} can't be unpacked: {error}", archive.relative));
        let mut reader = tar::Archive::new(SliceReader { file, offset, left: length });
        for entry in reader.entries().map_err(broken)? {
            context.deadline.check()?;
            let mut entry = entry.map_err(broken)?;
            let relative = plain_path(&entry.path().map_err(broken)?);
            let Some(relative) = relative else { continue };
            let path = root.join(&relative);
            let relative = text_of(&relative)?;
            if policy.pick(&relative) != Pick::Take {
                continue;
            }
            let header = entry.header();
            let (kind, size) = (header.entry_type(), entry.size());
            let mode = header.mode().ok();
            let modified = header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok()).map(|time| (time, 0));
            let look = match kind {
                tar::EntryType::Directory => place_directory(context, path)?,
                tar::EntryType::Symlink => match entry.link_name().map_err(broken)? {
                    Some(target) => place_link(context, &path, text_of(&target)?)?,
                    None => continue,
                },
                tar::EntryType::Regular => place_file(context, &path, &mut entry, size, mode, modified)?,
                _ => continue,
            };
            looks.insert(relative, look);
        }
        Ok(())
    };
    put_down(files, session, work).await
}

/// Puts what a ZIP file holds below a directory of a session; `false`, and nothing is done: it is none.
pub(crate) async fn unzip(
    files: SandboxFiles,
    session: &SessionFiles,
    directory: String,
    archive: Item,
) -> (Looks, Result<bool, String>) {
    let work = move |context: &Context, looks: &mut Looks| {
        let ItemKind::File { file, offset, length } = archive.what else { return Ok(false) };
        let broken = |error: io::Error| FileError::new(format!("{} can't be unpacked: {error}", archive.relative));
        let part = zip::Part { file, offset, length };
        let Some(entries) = zip::entries(&part).map_err(broken)? else { return Ok(false) };
        let root = context.view.path(&directory)?;
        make_directories(context, root.clone())?;
        for entry in entries {
            context.deadline.check()?;
            let Some(relative) = plain_path(Path::new(&entry.name)) else { continue };
            let path = root.join(&relative);
            let look = match entry.kind {
                zip::Kind::Directory => place_directory(context, path)?,
                zip::Kind::File { mode } => {
                    let mut bytes = zip::content(&part, &entry).map_err(broken)?;
                    place_file(context, &path, &mut bytes, entry.length, mode, None)?
                }
                zip::Kind::Other => continue,
            };
            looks.insert(text_of(&relative)?, look);
        }
        Ok(true)
    };
    put_down(files, session, work).await
}

/// Does work that puts things into a session, and tells how they look there: also those that it had put before it failed.
async fn put_down<T: Send + 'static>(
    files: SandboxFiles,
    session: &SessionFiles,
    work: impl FnOnce(&Context, &mut Looks) -> Result<T, FileError> + Send + 'static,
) -> (Looks, Result<T, String>) {
    let work = move |context: &Context| {
        let mut looks = Looks::new();
        let outcome = work(context, &mut looks).map_err(|error| error.text);
        Ok((looks, outcome))
    };
    let done = work_on(files, session, &LIMITS, work).await;
    done.unwrap_or_else(|error| (Looks::new(), Err(error.text)))
}

/// The path that an archive gives, without dots and a slash at its end; `None` for one that leads elsewhere.
pub(crate) fn plain_path(given: &Path) -> Option<PathBuf> {
    let given = given.strip_prefix("./").unwrap_or(given);
    is_inside(given).then(|| given.components().collect())
}

fn is_inside(relative: &Path) -> bool {
    relative.components().all(|component| matches!(component, Component::Normal(_))) && relative != Path::new("")
}

fn text_of(path: &Path) -> Result<String, FileError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| FileError::new(format!("The name is not valid UTF-8, which a context needs: {}", shown(path))))
}

/// What a visited entry is, opened if it has bytes; `None` for what a context can't hold, and for what has gone.
enum Source {
    File(OwnedFd),
    Directory,
    Link(String),
}

fn open_visited(visit: &Visit<'_>, path: &Path) -> Result<Option<(Facts, Source)>, FileError> {
    let facts = match entry_facts(visit.directory, visit.name) {
        Ok(facts) => facts,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(FileError::at(errno, path)),
    };
    let opened = match facts.kind {
        // Opened only to learn whether it can be: a tree is stored whole or not at all.
        FileType::Directory => tree::open_subdirectory(visit.directory, visit.name).map(|_| Source::Directory),
        FileType::RegularFile => open_file(visit.directory, visit.name).map(Source::File),
        FileType::Symlink => {
            let target = readlinkat(visit.directory, visit.name, Vec::new());
            target.map(|target| Source::Link(target.to_string_lossy().into_owned()))
        }
        _ => return Ok(None),
    };
    match opened {
        Ok(Source::File(file)) => {
            // Looked at again: what was opened may be newer.
            let facts = Facts::new(&fstat(&file).map_err(|errno| FileError::at(errno, path))?);
            Ok(facts.is_file().then_some((facts, Source::File(file))))
        }
        Ok(source) => Ok(Some((facts, source))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(FileError::at(errno, path)),
    }
}

fn open_file(directory: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty())
}

fn copy(mut from: impl Read, into: &mut impl Write, deadline: Deadline, path: &Path) -> Result<Tagger, FileError> {
    let mut tagger = Tagger::default();
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        deadline.check()?;
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(tagger),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(FileError::new(format!("{}: {error}", shown(path)))),
        };
        let piece = buffer.get(..count).unwrap_or_default();
        into.write_all(piece).map_err(|error| FileError::new(format!("{}: {error}", shown(path))))?;
        tagger.add(piece);
    }
}

fn place_directory(context: &Context, path: PathBuf) -> Result<Look, FileError> {
    make_directories(context, path)?;
    Ok(Look::Directory)
}

fn place_file(
    context: &Context,
    path: &Path,
    bytes: &mut dyn Read,
    length: u64,
    mode: Option<u32>,
    modified: Option<Time>,
) -> Result<Look, FileError> {
    let entry = new_entry(context, path)?;
    let part = part_name();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&entry.directory, &part, flags, Mode::from_raw_mode(0o600))
        .map_err(|errno| FileError::at(errno, path))?;
    let mut file = File::from(file);
    let finish = || {
        let tagger = copy(bytes, &mut file, context.deadline, path)?;
        if tagger.length() != length {
            return Err(FileError::new(format!("{}: what is stored of it is incomplete", shown(path))));
        }
        let mode = mode.unwrap_or(FILE_MODE) & 0o777;
        fchmod(&file, Mode::from_raw_mode(mode as _)).map_err(|errno| FileError::at(errno, path))?;
        if let Some(time) = modified {
            set_modified(&file, time).map_err(|errno| FileError::at(errno, path))?;
        }
        let facts = || fstat(&file).map(|stat| Facts::new(&stat)).map_err(|errno| FileError::at(errno, path));
        let before = facts()?;
        move_into_place(context, &entry, &part, path)?;
        // The move is no change; another one may have followed it.
        let moved = facts().unwrap_or(before);
        let is_same = Facts { status_changed: moved.status_changed, ..before } == moved;
        Ok(Look::of_file(if is_same { &moved } else { &before }, tagger.tag()))
    };
    finish().inspect_err(|_| discard(&entry, &part))
}

fn place_link(context: &Context, path: &Path, target: String) -> Result<Look, FileError> {
    let entry = new_entry(context, path)?;
    let part = part_name();
    symlinkat(&target, &entry.directory, &part).map_err(|errno| FileError::at(errno, path))?;
    move_into_place(context, &entry, &part, path).inspect_err(|_| discard(&entry, &part))?;
    Ok(Look::Link(target))
}

/// The entry of a path whose directory is made if it is missing.
fn new_entry(context: &Context, path: &Path) -> Result<Entry, FileError> {
    if let Some(parent) = path.parent() {
        make_directories(context, parent.to_owned())?;
    }
    context.view.entry(path)
}

fn part_name() -> PathBuf {
    PathBuf::from(format!(".agb-part-{:016x}", fastrand::u64(..)))
}

fn move_into_place(context: &Context, entry: &Entry, part: &Path, path: &Path) -> Result<(), FileError> {
    let is_new = entry.facts().is_err();
    renameat(&entry.directory, part, &entry.directory, &entry.name).map_err(|errno| FileError::at(errno, path))?;
    if is_new {
        context.made(path, false);
    }
    Ok(())
}

fn discard(entry: &Entry, part: &Path) {
    if let Err(error) = unlinkat(&entry.directory, part, AtFlags::empty()) {
        tracing::warn!(%error, "an incomplete file could not be removed");
    }
}

fn set_modified(file: &File, (seconds, nanoseconds): Time) -> Result<(), Errno> {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    futimens(file, &Timestamps { last_access: time, last_modification: time })
}

/// Some bytes of a file that others read too.
#[derive(Debug)]
pub(crate) struct SliceReader {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) left: u64,
}

impl Read for SliceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(buffer.get_mut(..most).unwrap_or_default(), self.offset)?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
