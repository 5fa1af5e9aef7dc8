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

/// What a file looks like; as long as it looks the same, its bytes are taken for the same.
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

/// Something found below a directory of a session.
#[derive(Debug)]
pub(crate) struct Found {
    /// The path from that directory.
    pub(crate) relative: String,
    pub(crate) mode: u32,
    pub(crate) modified: Time,
    pub(crate) what: FoundKind,
}

#[derive(Debug)]
pub(crate) enum FoundKind {
    /// Its bytes were written to the pack, from there on.
    File {
        offset: u64,
        length: u64,
        tag: String,
        mark: Mark,
    },
    /// A file that looks as it did.
    Unchanged,
    Directory,
    Link(String),
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

/// Everything below a directory that the policy picks; the bytes of files that don't look as in `known` go to `pack`.
pub(crate) async fn collect(
    files: SandboxFiles,
    session: &SessionFiles,
    directory: String,
    policy: Policy,
    known: HashMap<String, Mark>,
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
            let what = match source {
                Source::Directory => FoundKind::Directory,
                Source::Link(target) => FoundKind::Link(target),
                Source::File(_) if known.get(&relative) == Some(&Mark::of(&facts)) => FoundKind::Unchanged,
                Source::File(file) => {
                    let tagger = copy(File::from(file), &mut pack, context.deadline, &path)?;
                    let start = offset;
                    offset += tagger.length();
                    FoundKind::File {
                        offset: start,
                        length: tagger.length(),
                        tag: tagger.tag(),
                        mark: Mark::of(&facts),
                    }
                }
            };
            found.push(Found { relative, mode: facts.permissions, modified: facts.modified, what });
            Ok(Then::Descend)
        })?;
        Ok(found)
    };
    work_on(files, session, &LIMITS, work).await.map_err(|error| error.text)
}

/// Packs everything below a directory that the policy picks into one tar file, except the entry `leave_out` at its
/// top; answers its length and tag.
pub(crate) async fn pack(
    files: SandboxFiles,
    session: &SessionFiles,
    directory: String,
    policy: Policy,
    leave_out: String,
    into: File,
) -> Result<(u64, String), String> {
    let work = move |context: &Context| {
        let root = context.view.path(&directory)?;
        let handle = context.view.open_directory(&root)?;
        let mut archive = tar::Builder::new(Tagged { into, tagger: Tagger::default() });
        tree::each(handle.as_fd(), context.deadline, &mut |visit| {
            let path = root.join(visit.relative);
            let relative = text_of(visit.relative)?;
            match policy.pick(&relative) {
                Pick::Leave => return Ok(Then::Pass),
                Pick::LookBelow => return Ok(Then::Descend),
                Pick::Take if relative == leave_out => return Ok(Then::Pass),
                Pick::Take => {}
            }
            let Some((facts, source)) = open_visited(visit, &path)? else { return Ok(Then::Pass) };
            append(&mut archive, visit.relative, &facts, source, context.deadline)
                .map_err(|error| FileError::new(format!("{}: {error}", shown(&path))))?;
            Ok(Then::Descend)
        })?;
        let Tagged { tagger, .. } = archive.into_inner().map_err(|error| FileError::new(error.to_string()))?;
        Ok((tagger.length(), tagger.tag()))
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
) -> Result<(), String> {
    let work = move |context: &Context| {
        let root = context.view.path(&directory)?;
        make_directories(context, root.clone())?;
        for item in items {
            context.deadline.check()?;
            let path = root.join(&item.relative);
            match item.what {
                ItemKind::Directory => make_directories(context, path)?,
                ItemKind::Link(target) => place_link(context, &path, &target)?,
                ItemKind::File { file, offset, length } => {
                    let mut bytes = SliceReader { file, offset, left: length };
                    place_file(context, &path, &mut bytes, length, item.mode, item.modified)?;
                }
            }
        }
        Ok(())
    };
    work_on(files, session, &LIMITS, work).await.map_err(|error| error.text)
}

/// Puts what a tar file of [`pack`] holds below a directory, as far as the policy picks it.
pub(crate) async fn unpack(
    files: SandboxFiles,
    session: &SessionFiles,
    directory: String,
    policy: Policy,
    archive: Item,
) -> Result<(), String> {
    let work = move |context: &Context| {
        let ItemKind::File { file, offset, length } = archive.what else { return Ok(()) };
        let root = context.view.path(&directory)?;
        make_directories(context, root.clone())?;
        let broken = |error: io::Error| FileError::new(format!("{} can't be unpacked: {error}", archive.relative));
        let mut reader = tar::Archive::new(SliceReader { file, offset, left: length });
        for entry in reader.entries().map_err(broken)? {
            context.deadline.check()?;
            let mut entry = entry.map_err(broken)?;
            let relative = entry.path().map_err(broken)?.into_owned();
            let relative = relative.strip_prefix("./").unwrap_or(&relative).to_owned();
            if !is_inside(&relative) || policy.pick(&text_of(&relative)?) != Pick::Take {
                continue;
            }
            let path = root.join(&relative);
            let header = entry.header();
            let (kind, size) = (header.entry_type(), entry.size());
            let mode = header.mode().ok();
            let modified = header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok()).map(|time| (time, 0));
            match kind {
                tar::EntryType::Directory => make_directories(context, path)?,
                tar::EntryType::Symlink => {
                    if let Some(target) = entry.link_name().map_err(broken)? {
                        place_link(context, &path, &text_of(&target)?)?;
                    }
                }
                tar::EntryType::Regular => place_file(context, &path, &mut entry, size, mode, modified)?,
                _ => {}
            }
        }
        Ok(())
    };
    work_on(files, session, &LIMITS, work).await.map_err(|error| error.text)
}

/// Puts what a ZIP file holds below a directory of a session; `false`, and nothing is done: it is none.
pub(crate) async fn unzip(
    files: SandboxFiles,
    session: &SessionFiles,
    directory: String,
    archive: Item,
) -> Result<bool, String> {
    let work = move |context: &Context| {
        let ItemKind::File { file, offset, length } = archive.what else { return Ok(false) };
        let broken = |error: io::Error| FileError::new(format!("{} can't be unpacked: {error}", archive.relative));
        let part = zip::Part { file, offset, length };
        let Some(entries) = zip::entries(&part).map_err(broken)? else { return Ok(false) };
        let root = context.view.path(&directory)?;
        make_directories(context, root.clone())?;
        for entry in entries {
            context.deadline.check()?;
            if !is_inside(Path::new(&entry.name)) {
                continue;
            }
            let path = root.join(&entry.name);
            match entry.kind {
                zip::Kind::Directory => make_directories(context, path)?,
                zip::Kind::File { mode } => {
                    let mut bytes = zip::content(&part, &entry).map_err(broken)?;
                    place_file(context, &path, &mut bytes, entry.length, mode, None)?;
                }
                zip::Kind::Other => {}
            }
        }
        Ok(true)
    };
    work_on(files, session, &LIMITS, work).await.map_err(|error| error.text)
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

fn append(
    archive: &mut tar::Builder<Tagged>,
    relative: &Path,
    facts: &Facts,
    source: Source,
    deadline: Deadline,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(facts.permissions);
    header.set_mtime(u64::try_from(facts.modified.0).unwrap_or(0));
    header.set_size(0);
    match source {
        Source::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            // With the slash at its end that tar gives directories.
            archive.append_data(&mut header, relative.join(""), io::empty())
        }
        Source::Link(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            archive.append_link(&mut header, relative, target)
        }
        Source::File(file) => {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(facts.size_bytes);
            // A file that changes while it is read gives as many bytes as were announced.
            let bytes = Timed { from: File::from(file).take(facts.size_bytes), left: facts.size_bytes, deadline };
            archive.append_data(&mut header, relative, bytes)
        }
    }
}

fn place_file(
    context: &Context,
    path: &Path,
    bytes: &mut dyn Read,
    length: u64,
    mode: Option<u32>,
    modified: Option<Time>,
) -> Result<(), FileError> {
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
        move_into_place(context, &entry, &part, path)
    };
    finish().inspect_err(|_| discard(&entry, &part))
}

fn place_link(context: &Context, path: &Path, target: &str) -> Result<(), FileError> {
    let entry = new_entry(context, path)?;
    let part = part_name();
    symlinkat(target, &entry.directory, &part).map_err(|errno| FileError::at(errno, path))?;
    move_into_place(context, &entry, &part, path).inspect_err(|_| discard(&entry, &part))
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
struct SliceReader {
    file: Arc<File>,
    offset: u64,
    left: u64,
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

/// Gives exactly `left` bytes, zeros where the file has become shorter; fails when the time is over.
struct Timed {
    from: io::Take<File>,
    left: u64,
    deadline: Deadline,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.deadline.check().map_err(|error| io::Error::other(error.text))?;
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        let mut count = self.from.read(buffer)?;
        if count == 0 {
            buffer.fill(0);
            count = most;
        }
        self.left -= count as u64;
        Ok(count)
    }
}

struct Tagged {
    into: File,
    tagger: Tagger,
}

impl Write for Tagged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.into.write(bytes)?;
        self.tagger.add(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}
