//! The files of a session, as its own processes see them, and nothing else.
//!
//! With a mount namespace, the kernel resolves every path inside the session's root. On plain paths, the walk is done
//! here, one component at a time on directory handles that follow no link, so that what was checked is what is opened.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::error::{FileError, shown};
use super::facts::{Facts, kind_name};
use crate::sandbox::SandboxFiles;

/// Longest path, in bytes: the kernel's own bound.
const PATH_BYTES: usize = 4096;
/// Links that one path may lead through: the kernel's own bound.
const LINKS: usize = 40;
/// Directories that a plain path may lead through; each holds a handle during the walk.
const PLAIN_DEPTH: usize = 256;

/// Opens a place to start from or to look at, without the right to read it.
#[cfg(target_os = "linux")]
const LOOK: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const LOOK: OFlags = OFlags::RDONLY;

/// A session's files.
#[derive(Debug)]
pub(super) enum View {
    /// Everything below a root directory of its own.
    Rooted { root: Arc<OwnedFd>, home: PathBuf, user: (u32, u32) },
    /// A few directories of the host.
    Plain(Plain),
}

#[derive(Debug)]
pub(super) struct Plain {
    home: PathBuf,
    tmp: PathBuf,
    /// `home`, `tmp` and `/tmp` without links in them.
    reachable: [PathBuf; 3],
}

/// Where a plain path leads: an entry of an opened directory. Without a name it is the directory itself.
struct Spot {
    directory: OwnedFd,
    directory_path: PathBuf,
    name: Option<OsString>,
}

impl Spot {
    fn path(&self) -> PathBuf {
        match &self.name {
            Some(name) => self.directory_path.join(name),
            None => self.directory_path.clone(),
        }
    }

    fn name_or_dot(&self) -> &OsStr {
        self.name.as_deref().unwrap_or(OsStr::new("."))
    }
}

/// A name in an opened directory: what is made, removed and renamed by.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) directory: OwnedFd,
    pub(super) name: OsString,
}

impl Entry {
    /// The entry itself, also when it is a link.
    pub(super) fn facts(&self) -> Result<Facts, Errno> {
        entry_facts(self.directory.as_fd(), &self.name)
    }
}

/// The facts of a directory entry itself, also when it is a link.
pub(super) fn entry_facts(directory: BorrowedFd<'_>, name: &OsStr) -> Result<Facts, Errno> {
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Facts::new(&stat))
}

impl View {
    /// Reads the file system (to resolve the reachable directories), so it belongs on a worker thread.
    pub(super) fn new(files: SandboxFiles) -> Self {
        match files {
            SandboxFiles::Namespace { root, user, home } => {
                let own = || (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
                Self::Rooted { root, home, user: user.unwrap_or_else(own) }
            }
            SandboxFiles::Plain { home, tmp, user: _ } => Self::Plain(Plain::new(home, tmp)),
        }
    }

    /// The absolute path that a tool's argument means.
    pub(super) fn path(&self, argument: &str) -> Result<PathBuf, FileError> {
        if argument.is_empty() {
            return Err(FileError::new("Invalid path: it is empty"));
        }
        if argument.contains('\0') {
            return Err(FileError::new("Invalid path: it contains a NUL character"));
        }
        let home = match self {
            Self::Rooted { home, .. } => home,
            Self::Plain(plain) => &plain.home,
        };
        let path = home.join(argument);
        if path.as_os_str().len() >= PATH_BYTES {
            return Err(FileError::at(Errno::NAMETOOLONG, &path));
        }
        Ok(path)
    }

    /// Opens what a path leads to; never waits for another process to open the other end.
    pub(super) fn open(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, FileError> {
        match self {
            Self::Rooted { root, .. } => {
                open_in_root(root.as_fd(), path, flags, mode).map_err(|errno| FileError::at(errno, path))
            }
            Self::Plain(plain) => plain.open(path, flags, mode),
        }
    }

    /// Opens a directory for reading its entries.
    pub(super) fn open_directory(&self, path: &Path) -> Result<OwnedFd, FileError> {
        self.open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).map_err(|error| match error.errno {
            Some(errno) => FileError::of("Directory", errno, path),
            None => error,
        })
    }

    /// Opens a regular file; directories and special files are refused before they are touched.
    pub(super) fn open_file(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, FileError> {
        require_file(path, &self.facts(path)?)?;
        let file = self.open(path, flags, Mode::empty())?;
        // Looked at again, as the name may have been given to something else since.
        require_file(path, &Facts::new(&fstat(&file).map_err(|errno| FileError::at(errno, path))?))?;
        Ok(file)
    }

    /// The facts of what a path leads to.
    pub(super) fn facts(&self, path: &Path) -> Result<Facts, FileError> {
        match self {
            Self::Rooted { .. } => {
                let place = self.open(path, LOOK, Mode::empty())?;
                fstat(&place).map(|stat| Facts::new(&stat)).map_err(|errno| FileError::at(errno, path))
            }
            Self::Plain(plain) => {
                let spot = plain.spot(path, true)?;
                entry_facts(spot.directory.as_fd(), spot.name_or_dot()).map_err(|errno| FileError::at(errno, path))
            }
        }
    }

    /// The directory entry that a path names, whether it exists or not; a link there is not followed.
    pub(super) fn entry(&self, path: &Path) -> Result<Entry, FileError> {
        match self {
            Self::Rooted { .. } => {
                let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                    return Err(FileError::new(format!("Not the name of a file: {}", shown(path))));
                };
                let directory = self.open(parent, LOOK | OFlags::DIRECTORY, Mode::empty());
                let directory = directory.map_err(|error| match error.errno {
                    Some(errno) => FileError::at(errno, path),
                    None => error,
                })?;
                Ok(Entry { directory, name: name.to_owned() })
            }
            Self::Plain(plain) => plain.entry(path),
        }
    }

    /// Where a path leads, if that is in the host's `/tmp` but in no directory that goes away with the session.
    pub(super) fn shared_temporary_place(&self, path: &Path, follow: bool) -> Option<PathBuf> {
        let Self::Plain(plain) = self else { return None };
        let place = plain.spot(path, follow).ok()?.path();
        let [home, tmp, shared] = &plain.reachable;
        let inside = |directory: &PathBuf| place.starts_with(directory);
        (place != *shared && inside(shared) && !inside(home) && !inside(tmp)).then_some(place)
    }
}

/// An error unless it is a regular file.
pub(super) fn require_file(path: &Path, facts: &Facts) -> Result<(), FileError> {
    match facts.kind {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(FileError::at(Errno::ISDIR, path)),
        kind => Err(FileError::new(format!("Not a regular file: {} is a {}", shown(path), kind_name(kind)))),
    }
}

/// The flags that every opening has: no handle for children, no controlling terminal, no waiting.
fn safe(flags: OFlags) -> OFlags {
    let flags = flags | OFlags::CLOEXEC;
    // Looking only takes no others.
    if cfg!(target_os = "linux") && flags.contains(LOOK) { flags } else { flags | OFlags::NOCTTY | OFlags::NONBLOCK }
}

#[cfg(target_os = "linux")]
fn open_in_root(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};

    /// The kernel gives up when something is renamed while it resolves `..`, and asks to be called again.
    const ATTEMPTS: usize = 32;

    for _ in 1..ATTEMPTS {
        match openat2(root, path, safe(flags), mode, ResolveFlags::IN_ROOT) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    openat2(root, path, safe(flags), mode, ResolveFlags::IN_ROOT)
}

#[cfg(not(target_os = "linux"))]
fn open_in_root(_root: BorrowedFd<'_>, _path: &Path, _flags: OFlags, _mode: Mode) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

impl Plain {
    fn new(home: PathBuf, tmp: PathBuf) -> Self {
        let resolved = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let reachable = [resolved(&home), resolved(&tmp), resolved(Path::new("/tmp"))];
        Self { home, tmp, reachable }
    }

    fn open(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, FileError> {
        // What must be new is not looked for at the end of a link.
        let spot = self.spot(path, !flags.contains(OFlags::EXCL))?;
        openat(&spot.directory, spot.name_or_dot(), safe(flags) | OFlags::NOFOLLOW, mode)
            .map_err(|errno| FileError::at(errno, path))
    }

    fn entry(&self, path: &Path) -> Result<Entry, FileError> {
        let spot = self.walk(path, false)?;
        if !self.reaches(&spot.directory_path) {
            return Err(self.refusal(path));
        }
        match spot.name {
            Some(name) => Ok(Entry { directory: spot.directory, name }),
            None => Err(FileError::new(format!("Not the name of a file: {}", shown(path)))),
        }
    }

    fn spot(&self, path: &Path, follow: bool) -> Result<Spot, FileError> {
        let spot = self.walk(path, follow)?;
        if self.reaches(&spot.path()) { Ok(spot) } else { Err(self.refusal(path)) }
    }

    fn reaches(&self, place: &Path) -> bool {
        self.reachable.iter().any(|directory| place.starts_with(directory))
    }

    fn refusal(&self, path: &Path) -> FileError {
        FileError::new(format!(
            "Path not allowed: {}. File tools of this session reach only its home {}, its TMPDIR {} and /tmp",
            shown(path),
            self.home.display(),
            self.tmp.display()
        ))
    }

    fn walk(&self, path: &Path, follow: bool) -> Result<Spot, FileError> {
        let mut walk = Walk::from_root().map_err(|errno| FileError::at(errno, path))?;
        walk.queue(path);
        walk.go(follow).map_err(|errno| {
            // Whether something exists elsewhere on the host is none of the session's business either.
            if self.reaches(&walk.place()) { FileError::at(errno, path) } else { self.refusal(path) }
        })
    }
}

/// A walk along a plain path.
struct Walk {
    root: OwnedFd,
    /// The directories below the root that lead to where the walk stands.
    trail: Vec<(OwnedFd, OsString)>,
    ahead: VecDeque<OsString>,
    links_left: usize,
}

impl Walk {
    fn from_root() -> Result<Self, Errno> {
        let root = rustix::fs::open("/", LOOK | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, trail: Vec::new(), ahead: VecDeque::new(), links_left: LINKS })
    }

    /// Puts a path in front of what is still ahead.
    fn queue(&mut self, path: &Path) {
        if path.is_absolute() {
            self.trail.clear();
        }
        let names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            Component::ParentDir => Some(OsStr::new("..")),
            _ => None,
        });
        for name in names.rev() {
            self.ahead.push_front(name.to_owned());
        }
    }

    fn place(&self) -> PathBuf {
        let mut place = PathBuf::from("/");
        place.extend(self.trail.iter().map(|(_, name)| name));
        place
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.trail.last().map_or(self.root.as_fd(), |(directory, _)| directory.as_fd())
    }

    fn go(&mut self, follow: bool) -> Result<Spot, Errno> {
        while let Some(name) = self.ahead.pop_front() {
            if name == ".." {
                self.trail.pop();
                continue;
            }
            let is_last = self.ahead.is_empty();
            if is_last && !follow {
                return self.end(Some(name));
            }
            let kind = match entry_facts(self.here(), &name) {
                Ok(facts) => facts.kind,
                Err(Errno::NOENT) if is_last => return self.end(Some(name)),
                Err(errno) => return Err(errno),
            };
            if kind == FileType::Symlink {
                self.follow(&name)?;
            } else if is_last {
                return self.end(Some(name));
            } else {
                self.enter(name)?;
            }
        }
        self.end(None)
    }

    fn follow(&mut self, name: &OsStr) -> Result<(), Errno> {
        self.links_left = self.links_left.checked_sub(1).ok_or(Errno::LOOP)?;
        let target = readlinkat(self.here(), name, Vec::new())?;
        self.queue(Path::new(OsStr::from_bytes(target.to_bytes())));
        Ok(())
    }

    fn enter(&mut self, name: OsString) -> Result<(), Errno> {
        if self.trail.len() >= PLAIN_DEPTH {
            return Err(Errno::NAMETOOLONG);
        }
        let flags = LOOK | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = openat(self.here(), &name, flags, Mode::empty())?;
        self.trail.push((directory, name));
        Ok(())
    }

    fn end(&mut self, name: Option<OsString>) -> Result<Spot, Errno> {
        let directory_path = self.place();
        let directory =
            self.here().try_clone_to_owned().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(Spot { directory, directory_path, name })
    }
}
