//! `move_file`.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, fchmod, futimens, mkdirat, openat, readlinkat, renameat,
    renameat_with, symlinkat,
};
use rustix::io::{Errno, read};

use super::Context;
use super::error::FileError;
use super::facts::{Facts, kind_name};
use super::identity::Deadline;
use super::tree::{self, open_subdirectory};
use super::view::{Entry, entry_facts};
use super::write::write_all;
use crate::tools::ToolArgs;
use crate::tools::filesystem::{DONE, text};

const BUFFER_BYTES: usize = 256 * 1024;

/// Moves or renames a file or directory to a path where nothing is.
pub(super) fn move_file(context: &Context, args: &ToolArgs) -> Result<String, FileError> {
    let source_path = context.view.path(text(args, "source"))?;
    let target_path = context.view.path(text(args, "destination"))?;
    let source = context.view.entry(&source_path)?;
    source.facts().map_err(|errno| FileError::of("Source file", errno, &source_path))?;
    let target = context.view.entry(&target_path)?;
    let origin = context.view.shared_temporary_place(&source_path, false);
    match rename(&source, &target) {
        Ok(()) => {}
        // Two mounts, such as home and /tmp.
        Err(Errno::XDEV) => carry(context, &source, &target, &target_path)?,
        // A directory into itself, for one.
        Err(Errno::INVAL) => {
            return Err(FileError::new("Cannot move a directory into itself"));
        }
        Err(Errno::NOENT) => {
            return Err(FileError::of("Directory of the destination", Errno::NOENT, &target_path));
        }
        Err(errno) => return Err(FileError::at(errno, &target_path)),
    }
    context.moved(origin.as_deref(), &target_path);
    Ok(DONE.to_owned())
}

fn rename(source: &Entry, target: &Entry) -> Result<(), Errno> {
    let flags = RenameFlags::NOREPLACE;
    match renameat_with(&source.directory, &source.name, &target.directory, &target.name, flags) {
        // Not every file system can refuse by itself to replace something; those that can't say so in one of two ways.
        Err(Errno::INVAL | Errno::NOSYS) => match target.facts() {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => renameat(&source.directory, &source.name, &target.directory, &target.name),
            Err(errno) => Err(errno),
        },
        result => result,
    }
}

/// Moves between file systems: copies, then removes the source; on failure removes the copy.
fn carry(context: &Context, source: &Entry, target: &Entry, target_path: &Path) -> Result<(), FileError> {
    if target.facts().is_ok() {
        return Err(FileError::at(Errno::EXIST, target_path));
    }
    let copy = Copy { deadline: context.deadline, at: target_path.to_owned(), depth_left: 200 };
    let result = copy.entry(source.directory.as_fd(), &source.name, target.directory.as_fd(), &target.name);
    if let Err(error) = result {
        let _ = tree::remove(target.directory.as_fd(), &target.name);
        return Err(error);
    }
    tree::remove(source.directory.as_fd(), &source.name).map_err(|errno| {
        FileError::new(format!("Copied, but the source could not be removed: {}", std::io::Error::from(errno)))
    })
}

/// A copy in progress, for its errors.
struct Copy {
    deadline: Deadline,
    at: PathBuf,
    depth_left: usize,
}

impl Copy {
    fn entry(
        &self,
        from: BorrowedFd<'_>,
        from_name: &OsStr,
        to: BorrowedFd<'_>,
        to_name: &OsStr,
    ) -> Result<(), FileError> {
        self.deadline.check()?;
        let facts = entry_facts(from, from_name).map_err(|errno| self.failed(errno))?;
        match facts.kind {
            FileType::RegularFile => self.file(from, from_name, to, to_name, &facts),
            FileType::Directory => self.directory(from, from_name, to, to_name, &facts),
            FileType::Symlink => {
                let target = readlinkat(from, from_name, Vec::new()).map_err(|errno| self.failed(errno))?;
                symlinkat(target, to, to_name).map_err(|errno| self.failed(errno))
            }
            kind => Err(FileError::new(format!("Cannot move a {} to another file system", kind_name(kind)))),
        }
    }

    fn file(
        &self,
        from: BorrowedFd<'_>,
        from_name: &OsStr,
        to: BorrowedFd<'_>,
        to_name: &OsStr,
        facts: &Facts,
    ) -> Result<(), FileError> {
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let source =
            openat(from, from_name, flags | OFlags::RDONLY, Mode::empty()).map_err(|errno| self.failed(errno))?;
        let flags = flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let target = openat(to, to_name, flags, Mode::from_raw_mode(0o600)).map_err(|errno| self.failed(errno))?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            self.deadline.check()?;
            match read(&source, buffer.as_mut_slice()) {
                Ok(0) => break,
                Ok(count) => write_all(&target, buffer.get(..count).unwrap_or_default(), self.deadline, &self.at)?,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.failed(errno)),
            }
        }
        self.finish(&target, facts)
    }

    fn directory(
        &self,
        from: BorrowedFd<'_>,
        from_name: &OsStr,
        to: BorrowedFd<'_>,
        to_name: &OsStr,
        facts: &Facts,
    ) -> Result<(), FileError> {
        let Some(depth_left) = self.depth_left.checked_sub(1) else { return Err(self.failed(Errno::NAMETOOLONG)) };
        mkdirat(to, to_name, Mode::from_raw_mode(0o700)).map_err(|errno| self.failed(errno))?;
        let source = open_subdirectory(from, from_name).map_err(|errno| self.failed(errno))?;
        let target = open_subdirectory(to, to_name).map_err(|errno| self.failed(errno))?;
        let below = Self { deadline: self.deadline, at: self.at.clone(), depth_left };
        for (name, _) in tree::entries(source.as_fd()).map_err(|errno| self.failed(errno))? {
            below.entry(source.as_fd(), &name, target.as_fd(), &name)?;
        }
        self.finish(&target, facts)
    }

    /// Rights and time as the source has them.
    fn finish(&self, target: &OwnedFd, facts: &Facts) -> Result<(), FileError> {
        let time = Timespec { tv_sec: facts.modified.0, tv_nsec: facts.modified.1.into() };
        fchmod(target, Mode::from_raw_mode(facts.permissions as _))
            .and_then(|()| futimens(target, &Timestamps { last_access: time, last_modification: time }))
            .map_err(|errno| self.failed(errno))
    }

    fn failed(&self, errno: Errno) -> FileError {
        FileError::at(errno, &self.at)
    }
}
