//! `write_file`, `create_directory` and `delete_file`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, fstat, ftruncate, mkdirat, unlinkat};
use rustix::io::{Errno, write};

use super::Context;
use super::error::{FileError, shown};
use super::facts::Facts;
use super::identity::Deadline;
use super::view::require_file;
use crate::tools::ToolArgs;
use crate::tools::filesystem::{DONE, text};

/// Written at a time, between two looks at the clock.
const WRITE_BYTES: usize = 1024 * 1024;

/// Rights of new files and directories, before the umask.
const FILE_MODE: u32 = 0o666;
const DIRECTORY_MODE: u32 = 0o777;

/// Writes text to a file: instead of what is there, after it, or only if nothing is there.
pub(super) fn write_file(context: &Context, args: &ToolArgs) -> Result<String, FileError> {
    let path = context.view.path(text(args, "path"))?;
    let content = text(args, "content").as_bytes();
    let flags = match text(args, "mode") {
        "append" => OFlags::APPEND,
        "create_new" => OFlags::EXCL,
        _ => OFlags::empty(),
    };
    let is_new = match context.view.facts(&path) {
        Ok(facts) if !flags.contains(OFlags::EXCL) => require_file(&path, &facts).map(|()| false)?,
        Ok(_) => return Err(FileError::at(Errno::EXIST, &path)),
        Err(error) if error.is_not_found() => true,
        Err(error) => return Err(error),
    };
    let file = create(context, &path, flags)?;
    if is_new {
        context.made(&path, !flags.contains(OFlags::EXCL));
    }
    if !flags.contains(OFlags::APPEND) {
        ftruncate(&file, 0).map_err(|errno| FileError::at(errno, &path))?;
    }
    write_all(&file, content, context.deadline, &path)?;
    Ok(DONE.to_owned())
}

fn create(context: &Context, path: &Path, flags: OFlags) -> Result<OwnedFd, FileError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | flags;
    let file = context.view.open(path, flags, Mode::from_raw_mode(FILE_MODE as _)).map_err(|error| {
        if !error.is_not_found() {
            return error;
        }
        let path = shown(path);
        FileError::new(format!("Can't write {path}: its directory was not found (No such file or directory)"))
    })?;
    require_file(path, &Facts::new(&fstat(&file).map_err(|errno| FileError::at(errno, path))?))?;
    Ok(file)
}

/// Writes on from where the handle stands.
pub(super) fn write_all(file: &OwnedFd, content: &[u8], deadline: Deadline, path: &Path) -> Result<(), FileError> {
    let mut rest = content;
    while !rest.is_empty() {
        deadline.check()?;
        let piece = rest.get(..WRITE_BYTES).unwrap_or(rest);
        match write(file.as_fd(), piece) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(FileError::at(errno, path)),
        }
    }
    Ok(())
}

/// `create_directory`: with its missing parents.
pub(super) fn create_directory(context: &Context, args: &ToolArgs) -> Result<String, FileError> {
    make_directories(context, context.view.path(text(args, "path"))?)?;
    Ok(DONE.to_owned())
}

/// Makes a directory and its missing parents.
pub(super) fn make_directories(context: &Context, path: PathBuf) -> Result<(), FileError> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut existing = path;
    while !is_directory(context, &existing)? {
        let Some(parent) = existing.parent().map(Path::to_owned) else { break };
        missing.push(std::mem::replace(&mut existing, parent));
    }
    for path in missing.iter().rev() {
        make(context, path)?;
    }
    Ok(())
}

/// `false` if there is nothing; an error if there is something else.
fn is_directory(context: &Context, path: &Path) -> Result<bool, FileError> {
    match context.view.facts(path) {
        Ok(facts) if facts.is_dir() => Ok(true),
        Ok(_) => Err(FileError::of("Directory", Errno::EXIST, path)),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

fn make(context: &Context, path: &Path) -> Result<(), FileError> {
    // A path may go back through a directory that had to be made first.
    if path.file_name().is_none() {
        return Ok(());
    }
    let entry = context.view.entry(path)?;
    match mkdirat(&entry.directory, &entry.name, Mode::from_raw_mode(DIRECTORY_MODE as _)) {
        Ok(()) => {
            context.made(path, false);
            Ok(())
        }
        // Somebody else was quicker.
        Err(Errno::EXIST) if is_directory(context, path)? => Ok(()),
        Err(errno) => Err(FileError::of("Directory", errno, path)),
    }
}

/// Removes a file, a link or a special file.
pub(super) fn delete_file(context: &Context, args: &ToolArgs) -> Result<String, FileError> {
    let path = context.view.path(text(args, "path"))?;
    let entry = context.view.entry(&path)?;
    let facts = entry.facts().map_err(|errno| FileError::at(errno, &path))?;
    if facts.is_dir() {
        let path = shown(&path);
        return Err(FileError::new(format!("Cannot delete directory with delete_file: {path} (Is a directory)")));
    }
    let place = context.view.shared_temporary_place(&path, false);
    unlinkat(&entry.directory, &entry.name, AtFlags::empty()).map_err(|errno| FileError::at(errno, &path))?;
    if let Some(place) = place {
        context.memory.made.forget(&place);
    }
    Ok(DONE.to_owned())
}
