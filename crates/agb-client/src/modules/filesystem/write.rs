//! Writing text of any length with tools that carry a limited piece per call.
//!
//! A piece is cut between characters, so that no character beyond the basic plane is torn into two halves.
//!
//! Text of one piece goes out in one call and is as atomic as the service makes it. Longer text takes several calls, and
//! one of them may fail. What then is safe depends on what is there:
//!
//! - **append**: every piece is appended to the file; after a failure it holds what arrived. Nothing else is possible.
//! - **nothing is there** (`create_new`, or `overwrite` of a new file): the text is written to a temporary file beside
//!   it, then moved. The file exists with all of its content or not at all.
//! - **`overwrite` of a file**: the service has no tool that replaces a file, as moving refuses a destination that
//!   exists. So the text is written to a temporary file; then the old file is moved aside, the new one into its place,
//!   and the old one deleted. At every moment a whole old or a whole new content exists, and a failure puts the old one
//!   back. For the time of one request there is no file under the name. Overwriting in place would be without that gap,
//!   but every failure (a released session, a lost connection) would destroy the old content.
//! - A replaced file is another file: it would lose its permissions and owner. Where those of the temporary file differ
//!   from the old one's, where no temporary file can be made, or where the old file can't be moved, the text is written
//!   **in place** after all, and a failure leaves the pieces that arrived. A symbolic link is replaced by a file if the
//!   service describes the link's target instead of the link; other hard links keep the old content.
//!
//! Temporary files are deleted on the way out. Those of a caller that gives up in the middle (a dropped future, a
//! killed process) stay: they are named `<path>.agb-<16 hex digits>.new` and `.old`.

use std::time::Duration;

use serde_json::json;

use super::{CHUNK_SIZE, FileInfo, Wording, call, call_within, is_refusal, read_info, with_message};
use crate::error::{Error, ErrorKind, Result};
use crate::tool::{CallTool, ToolLimits, ToolReply};

const WORDING: Wording = Wording::same("Failed to write file");

/// How long clearing up after a failure may keep the caller from hearing of it, per request.
const CLEAN_UP: ToolLimits = ToolLimits { work: None, read: Some(Duration::from_secs(10)), connect: None };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Overwrite,
    Append,
    CreateNew,
}

impl Mode {
    fn parse(name: &str) -> Result<Self> {
        match name {
            "overwrite" => Ok(Self::Overwrite),
            "append" => Ok(Self::Append),
            "create_new" => Ok(Self::CreateNew),
            _ => {
                let text = format!("Invalid write mode: {name}. Must be one of overwrite, append, create_new");
                Err(Error::new(ErrorKind::InvalidArgument, text).with_operation("write_file"))
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Overwrite => "overwrite",
            Self::Append => "append",
            Self::CreateNew => "create_new",
        }
    }
}

/// Writes `content` as UTF-8. `mode` is `overwrite`, `append` or `create_new` (fails if the file exists). Gives the
/// request id of the last piece.
///
/// More than [`CHUNK_SIZE`] UTF-16 code units are written in several calls, by way of a temporary file where that is
/// safe: a failure leaves the old content, but for `append` and for files with permissions or an owner of their own.
/// Source: docs/protocol.md, section "Tools".
///
/// # Errors
///
/// [`InvalidArgument`](ErrorKind::InvalidArgument) for another mode, before anything is sent; else the failure of the
/// first piece that failed, with the text `Failed to write file` where it had none.
pub async fn write_text<T: CallTool>(tools: &T, path: &str, content: &str, mode: &str) -> Result<String> {
    let mode = Mode::parse(mode)?;
    let pieces = cut(content);
    if pieces.len() == 1 || mode == Mode::Append {
        return write_pieces(tools, path, &pieces, mode).await;
    }

    let target = look_up(tools, path).await?;
    let service_must_refuse = match &target {
        Some(info) => info.is_directory || mode == Mode::CreateNew,
        None => false,
    };
    if !service_must_refuse && let Some(request_id) = write_aside(tools, path, &pieces, mode, target.as_ref()).await? {
        return Ok(request_id);
    }
    write_pieces(tools, path, &pieces, mode).await
}

/// Cuts between characters into pieces of at most [`CHUNK_SIZE`] UTF-16 code units; empty text is one empty piece.
fn cut(content: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = content;
    loop {
        let (piece, after) = rest.split_at(first_cut(rest));
        pieces.push(piece);
        if after.is_empty() {
            return pieces;
        }
        rest = after;
    }
}

/// Where, in bytes, the first piece of `text` ends.
fn first_cut(text: &str) -> usize {
    // A character has at least as many bytes as code units.
    if text.len() <= CHUNK_SIZE {
        return text.len();
    }
    let mut units = 0;
    for (at, character) in text.char_indices() {
        units += character.len_utf16();
        if units > CHUNK_SIZE {
            return at;
        }
    }
    text.len()
}

/// Writes the first piece with `mode` and appends the others. Gives the last request id.
async fn write_pieces<T: CallTool>(tools: &T, path: &str, pieces: &[&str], mode: Mode) -> Result<String> {
    let mut request_id = String::new();
    let mut mode = mode;
    for piece in pieces {
        request_id = write_piece(tools, path, piece, mode).await?;
        mode = Mode::Append;
    }
    Ok(request_id)
}

async fn write_piece<T: CallTool>(tools: &T, path: &str, piece: &str, mode: Mode) -> Result<String> {
    let args = json!({ "path": path, "content": piece, "mode": mode.name() });
    Ok(call(tools, "write_file", args, WORDING).await?.request_id)
}

/// What is at `path`; `None` if the service knows nothing there.
async fn look_up<T: CallTool>(tools: &T, path: &str) -> Result<Option<FileInfo>> {
    match call(tools, "get_file_info", json!({ "path": path }), WORDING).await {
        Ok(reply) => Ok(Some(read_info(&reply.text.unwrap_or_default()).0)),
        Err(error) if is_refusal(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes to a temporary file and puts it in the place of `target`. `None` if that can't be done and nothing has
/// changed: then the caller writes in place.
async fn write_aside<T: CallTool>(
    tools: &T,
    path: &str,
    pieces: &[&str],
    mode: Mode,
    target: Option<&FileInfo>,
) -> Result<Option<String>> {
    let names = TemporaryNames::beside(path);
    let outcome = fill_and_place(tools, path, &names, pieces, mode, target).await;
    if !matches!(outcome, Ok(Aside::Placed(_))) {
        clean_up(tools, &names.new).await;
    }
    match outcome? {
        Aside::Placed(request_id) => Ok(Some(request_id)),
        Aside::NotPossible => Ok(None),
    }
}

enum Aside {
    Placed(String),
    NotPossible,
}

struct TemporaryNames {
    new: String,
    old: String,
}

impl TemporaryNames {
    fn beside(path: &str) -> Self {
        let unique = fastrand::u64(..);
        Self { new: format!("{path}.agb-{unique:016x}.new"), old: format!("{path}.agb-{unique:016x}.old") }
    }
}

async fn fill_and_place<T: CallTool>(
    tools: &T,
    path: &str,
    names: &TemporaryNames,
    pieces: &[&str],
    mode: Mode,
    target: Option<&FileInfo>,
) -> Result<Aside> {
    let Some((first, others)) = pieces.split_first() else {
        return Ok(Aside::NotPossible);
    };
    match write_piece(tools, &names.new, first, Mode::CreateNew).await {
        Ok(_) => {}
        Err(error) if is_refusal(&error) => return Ok(Aside::NotPossible),
        Err(error) => return Err(error),
    }
    if let Some(target) = target
        && !look_up(tools, &names.new).await?.is_some_and(|new| has_same_rights(&new, target))
    {
        return Ok(Aside::NotPossible);
    }
    let request_id = write_pieces(tools, &names.new, others, Mode::Append).await?;

    let placed = match target {
        Some(_) => swap(tools, path, names).await,
        None => rename(tools, &names.new, path).await.map_err(Misplaced::Unchanged),
    };
    match placed {
        Ok(()) => Ok(Aside::Placed(request_id)),
        // Someone else made or took away the file meanwhile.
        Err(Misplaced::Unchanged(error)) if is_refusal(&error) && mode == Mode::Overwrite => Ok(Aside::NotPossible),
        Err(Misplaced::Unchanged(error) | Misplaced::Unsure(error)) => Err(error),
    }
}

fn has_same_rights(one: &FileInfo, other: &FileInfo) -> bool {
    one.mode == other.mode && one.owner == other.owner && one.group == other.group
}

/// Why the new file isn't in its place.
enum Misplaced {
    /// And the old one is where it was, if the failure is a refusal.
    Unchanged(Error),
    /// The old one has been moved, and back if that was possible.
    Unsure(Error),
}

/// Moves the old file aside, the new one into its place, and deletes the old one.
async fn swap<T: CallTool>(tools: &T, path: &str, names: &TemporaryNames) -> std::result::Result<(), Misplaced> {
    match rename(tools, path, &names.old).await {
        Ok(()) => {}
        Err(error) if is_refusal(&error) => return Err(Misplaced::Unchanged(error)),
        Err(error) => return Err(Misplaced::Unsure(put_back(tools, path, names, error).await)),
    }
    match rename(tools, &names.new, path).await {
        Ok(()) => {
            clean_up(tools, &names.old).await;
            Ok(())
        }
        Err(error) => Err(Misplaced::Unsure(put_back(tools, path, names, error).await)),
    }
}

/// Moves the old file back. If a move was done although its answer got lost, the service refuses this one, and the
/// error says where to look.
async fn put_back<T: CallTool>(tools: &T, path: &str, names: &TemporaryNames, error: Error) -> Error {
    let args = json!({ "source": names.old, "destination": path });
    match call_within(tools, "move_file", args, CLEAN_UP, WORDING).await {
        Ok(_) => error,
        Err(_) => {
            let text = format!("{} (the old content of {path} may be in {})", error.message(), names.old);
            with_message(&error, text).with_source(error)
        }
    }
}

async fn rename<T: CallTool>(tools: &T, source: &str, destination: &str) -> Result<()> {
    let args = json!({ "source": source, "destination": destination });
    call(tools, "move_file", args, WORDING).await.map(|_: ToolReply| ())
}

/// Deletes a temporary file. The caller hears of the failure before, not of one in here.
async fn clean_up<T: CallTool>(tools: &T, path: &str) {
    let outcome = call_within(tools, "delete_file", json!({ "path": path }), CLEAN_UP, WORDING).await;
    if let Err(error) = outcome {
        tracing::debug!(%path, %error, "a temporary file could not be deleted");
    }
}
