//! `read_file` and `read_multiple_files`.

use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::OFlags;
use rustix::io::{Errno, pread};

use super::error::{FileError, shown};
use super::{Context, slice};
use crate::tools::ToolArgs;
use crate::tools::filesystem::{number, text, texts};

const BUFFER_BYTES: usize = 64 * 1024;

/// No file has a byte behind this one, and the system refuses to look.
const LAST_OFFSET: u64 = i64::MAX.cast_unsigned();

/// A slice of a file: text with whole characters, or the base64 of exactly its bytes.
pub(super) fn read_file(context: &Context, args: &ToolArgs) -> Result<String, FileError> {
    let path = context.view.path(text(args, "path"))?;
    let start = number(args, "offset").unwrap_or(0);
    let end = number(args, "length").map_or(u64::MAX, |length| start.saturating_add(length));
    if text(args, "format") == "binary" {
        return read_binary(context, &path, start..end);
    }
    read_text(context, &path, start..end)
}

fn read_binary(context: &Context, path: &Path, wanted: Range<u64>) -> Result<String, FileError> {
    let file = context.view.open_file(path, OFlags::RDONLY)?;
    let bytes = read(context, path, &file, wanted)?;
    context.fitting(STANDARD.encode(bytes))
}

fn read_text(context: &Context, path: &Path, wanted: Range<u64>) -> Result<String, FileError> {
    let file = context.view.open_file(path, OFlags::RDONLY)?;
    let window = slice::window(&wanted);
    let bytes = read(context, path, &file, window.clone())?;
    context.fitting(slice::text(&bytes, window.start, &wanted))
}

/// The whole of a file; files of `/proc` that claim to be empty are read to their end too.
pub(super) fn whole(context: &Context, path: &Path, file: &OwnedFd) -> Result<Vec<u8>, FileError> {
    read(context, path, file, 0..u64::MAX)
}

/// The bytes of a range, as many as there are; more than the output may hold is an error.
fn read(context: &Context, path: &Path, file: &OwnedFd, range: Range<u64>) -> Result<Vec<u8>, FileError> {
    // A slice is read with a few bytes around it that are not part of the answer.
    let most = context.output_bytes.saturating_add(8);
    let mut bytes = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut at = range.start;
    while at < range.end && at <= LAST_OFFSET {
        context.deadline.check()?;
        let wanted = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buffer.len());
        let space = buffer.get_mut(..wanted).unwrap_or_default();
        let count = match pread(file.as_fd(), space, at) {
            Ok(0) => break,
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(FileError::at(errno, path)),
        };
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if bytes.len() > most {
            return Err(context.too_much());
        }
        at = at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
    Ok(bytes)
}

/// `path: content` blocks with `---` lines between them; one unreadable file fails all.
pub(super) fn read_multiple_files(context: &Context, args: &ToolArgs) -> Result<String, FileError> {
    let mut answer = String::new();
    for (index, argument) in texts(args, "paths").enumerate() {
        if index > 0 {
            if !answer.ends_with('\n') {
                answer.push('\n');
            }
            answer.push_str("---\n");
        }
        let path = context.view.path(argument)?;
        let content = read_text(context, &path, 0..u64::MAX)
            .map_err(|error| FileError::new(format!("{}: {}", shown(Path::new(argument)), error.text)))?;
        answer.push_str(argument);
        answer.push_str(": ");
        answer.push_str(&content);
        answer = context.fitting(answer)?;
    }
    Ok(answer)
}
