//! Going through a directory tree without following links.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::error::{FileError, shown};
use super::identity::Deadline;
use super::view::entry_facts;

/// Deepest tree: each level holds a handle.
const DEPTH: usize = 200;
/// Most entries that one call looks at.
const ENTRIES: usize = 500_000;

/// The names in a directory with their kinds, sorted by name.
pub(super) fn entries(directory: BorrowedFd<'_>) -> Result<Vec<(OsString, FileType)>, Errno> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let kind = match entry.file_type() {
            // Not every file system tells.
            FileType::Unknown => match entry_facts(directory, name) {
                Ok(facts) => facts.kind,
                Err(_) => continue,
            },
            kind => kind,
        };
        entries.push((name.to_owned(), kind));
    }
    entries.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    Ok(entries)
}

/// Opens a directory inside a directory, never a link to one.
pub(super) fn open_subdirectory(directory: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    openat(directory, name, flags, Mode::empty())
}

/// One entry met on the way.
pub(super) struct Visit<'a> {
    pub(super) directory: BorrowedFd<'a>,
    pub(super) name: &'a OsStr,
    /// The path from where the way began.
    pub(super) relative: &'a Path,
}

/// Whether to go on below an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Descend,
    Pass,
}

/// Shows `visit` everything below a directory, parents first. What can't be read or goes away meanwhile is left out.
pub(super) fn each(
    directory: BorrowedFd<'_>,
    deadline: Deadline,
    visit: &mut dyn FnMut(&Visit<'_>) -> Result<Then, FileError>,
) -> Result<(), FileError> {
    let mut way = Way { deadline, entries_left: ENTRIES, relative: PathBuf::new(), depth: 0, visit };
    way.level(directory)
}

struct Way<'a> {
    deadline: Deadline,
    entries_left: usize,
    relative: PathBuf,
    depth: usize,
    visit: &'a mut dyn FnMut(&Visit<'_>) -> Result<Then, FileError>,
}

impl Way<'_> {
    fn level(&mut self, directory: BorrowedFd<'_>) -> Result<(), FileError> {
        if self.depth > DEPTH {
            return Err(FileError::new(format!("More than {DEPTH} directories deep: {}", shown(&self.relative))));
        }
        let Ok(entries) = entries(directory) else { return Ok(()) };
        for (name, kind) in entries {
            self.deadline.check()?;
            let Some(left) = self.entries_left.checked_sub(1) else {
                return Err(FileError::new(format!("More than {ENTRIES} files and directories")));
            };
            self.entries_left = left;
            self.relative.push(&name);
            let then = (self.visit)(&Visit { directory, name: &name, relative: &self.relative })?;
            if kind == FileType::Directory && then == Then::Descend {
                self.descend(directory, &name)?;
            }
            self.relative.pop();
        }
        Ok(())
    }

    fn descend(&mut self, directory: BorrowedFd<'_>, name: &OsStr) -> Result<(), FileError> {
        let Ok(below) = open_subdirectory(directory, name) else { return Ok(()) };
        self.depth += 1;
        let result = self.level(below.as_fd());
        self.depth -= 1;
        result
    }
}

/// Removes an entry with everything below it.
pub(super) fn remove(directory: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    remove_below(directory, name, 0)
}

fn remove_below(directory: BorrowedFd<'_>, name: &OsStr, depth: usize) -> Result<(), Errno> {
    if !entry_facts(directory, name)?.is_dir() {
        return unlinkat(directory, name, AtFlags::empty());
    }
    if depth > DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    let below = open_subdirectory(directory, name)?;
    for (name, _) in entries(below.as_fd())? {
        remove_below(below.as_fd(), &name, depth + 1)?;
    }
    unlinkat(directory, name, AtFlags::REMOVEDIR)
}
