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
//! - A replaced file is another file: it would lose its permissions and owner, and be no symbolic link any more. Where the
//!   service says that these would change, where no temporary file can be made, or where the old file can't be moved, the
//!   text is written **in place** after all, and a failure leaves the pieces that arrived. Other hard links keep the old
//!   content: the service does not tell of them.
//!
//! Writers of one client take turns at a file (`turns.rs`). Others may come in between: whoever finds the file taken away
//! or made meanwhile looks again, so that the content is always one writer's.
//!
//! Temporary files are deleted on the way out. Those of a caller that gives up in the middle (a dropped future, a
//! killed process) stay: they are named `<path>.agb-<16 hex digits>.new` and `.old`.

use std::time::Duration;

use serde_json::json;

use super::{CHUNK_SIZE, FileInfo, Wording, call, call_within, is_refusal, read_info, with_message};
use crate::error::{Error, ErrorKind, Result};
use crate::session::RoutedSession;
use crate::tool::{CallTool, ToolLimits, ToolReply};

const WORDING: Wording = Wording::same("Failed to write file");

/// How long clearing up after a failure may keep the caller from hearing of it, per request.
const CLEAN_UP: ToolLimits = ToolLimits { work: None, read: Some(Duration::from_secs(10)), connect: None };
/// How often a file is put into its place while others make it and take it away.
const ATTEMPTS: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
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
/// safe: a failure leaves the old content, but for `append`, symbolic links, and files with permissions or an owner of
/// their own. Meanwhile other writers of this client wait for their turn at the same path. Source: docs/protocol.md,
/// section "Tools".
///
/// # Errors
///
/// [`InvalidArgument`](ErrorKind::InvalidArgument) for another mode, before anything is sent; else the failure of the
/// first piece that failed, with the text `Failed to write file` where it had none.
pub async fn write_text(session: &RoutedSession, path: &str, content: &str, mode: &str) -> Result<String> {
    let mode = Mode::parse(mode)?;
    let pieces = cut(content);
    let turns = session.session().agb().turns();
    let _turn = turns.take(session.session().id(), path, pieces.len() > 1).await;
    write(session, path, &pieces, mode).await
}

pub(super) async fn write<T: CallTool>(tools: &T, path: &str, pieces: &[&str], mode: Mode) -> Result<String> {
    if pieces.len() == 1 || mode == Mode::Append {
        return write_pieces(tools, path, pieces, mode).await;
    }
    let target = look_up(tools, path).await?;
    let service_must_refuse = match &target {
        Some(info) => info.is_directory || mode == Mode::CreateNew,
        None => false,
    };
    if !service_must_refuse && let Some(request_id) = write_aside(tools, path, pieces, mode, target.as_ref()).await? {
        return Ok(request_id);
    }
    write_pieces(tools, path, pieces, mode).await
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
        && !may_replace(tools, names, target).await?
    {
        return Ok(Aside::NotPossible);
    }
    let request_id = write_pieces(tools, &names.new, others, Mode::Append).await?;
    let is_placed = match mode {
        Mode::Overwrite => replace(tools, path, names, target).await?,
        // Whoever made the file meanwhile was first.
        _ => rename(tools, &names.new, path).await.map(|()| true)?,
    };
    Ok(if is_placed { Aside::Placed(request_id) } else { Aside::NotPossible })
}

/// Would a new file be in all but its content what the old one is?
async fn may_replace<T: CallTool>(tools: &T, names: &TemporaryNames, old: &FileInfo) -> Result<bool> {
    if old.is_directory || old.is_symlink {
        return Ok(false);
    }
    let new = look_up(tools, &names.new).await?;
    Ok(new.is_some_and(|new| new.mode == old.mode && new.owner == old.owner && new.group == old.group))
}

/// Puts the new file into its place, whatever others make of the place meanwhile. `false` if it can't be done and nothing
/// has changed.
async fn replace<T: CallTool>(
    tools: &T,
    path: &str,
    names: &TemporaryNames,
    target: Option<&FileInfo>,
) -> Result<bool> {
    let mut known = target.cloned();
    let mut busy = None;
    for _ in 0..ATTEMPTS {
        let placed = match known {
            Some(_) => swap(tools, path, names).await,
            None => rename(tools, &names.new, path).await.map_err(Misplaced::by_place),
        };
        let misplaced = match placed {
            Ok(()) => return Ok(true),
            Err(Misplaced::Failed(error)) => return Err(error),
            Err(misplaced) => misplaced,
        };
        let found = look_up(tools, path).await?;
        if let Some(found) = &found {
            let is_fixed = matches!(misplaced, Misplaced::ByOldFile) && known.as_ref() == Some(found);
            if is_fixed || !may_replace(tools, names, found).await? {
                return Ok(false);
            }
        }
        if let Misplaced::ByPlace(error) = misplaced
            && (known.is_some() || found.is_some())
        {
            busy = Some(error);
        }
        known = found;
    }
    busy.map_or(Ok(false), Err)
}

/// Why the new file isn't in its place.
enum Misplaced {
    /// The old file was not moved: someone else took it, or nobody can.
    ByOldFile,
    /// The new file was not moved into its place, and the old one is gone or back: someone else was quicker.
    ByPlace(Error),
    Failed(Error),
}

impl Misplaced {
    fn by_place(error: Error) -> Self {
        if is_refusal(&error) { Self::ByPlace(error) } else { Self::Failed(error) }
    }
}

/// Moves the old file aside, the new one into its place, and deletes the old one.
async fn swap<T: CallTool>(tools: &T, path: &str, names: &TemporaryNames) -> std::result::Result<(), Misplaced> {
    match rename(tools, path, &names.old).await {
        Ok(()) => {}
        Err(error) if is_refusal(&error) => return Err(Misplaced::ByOldFile),
        Err(error) => return Err(Misplaced::Failed(with_hint(put_back(tools, path, names).await, error, path, names))),
    }
    let Err(error) = rename(tools, &names.new, path).await else {
        clean_up(tools, &names.old).await;
        return Ok(());
    };
    let is_back = put_back(tools, path, names).await;
    if is_back && is_refusal(&error) {
        return Err(Misplaced::ByPlace(error));
    }
    Err(Misplaced::Failed(with_hint(is_back, error, path, names)))
}

/// Moves the old file back. Where something is in its place, the old one is deleted: someone else has made that, or it is
/// the new file, whose move was done although the answer got lost. Is there a file in the place now?
async fn put_back<T: CallTool>(tools: &T, path: &str, names: &TemporaryNames) -> bool {
    for _ in 0..ATTEMPTS {
        let args = json!({ "source": names.old, "destination": path });
        match call_within(tools, "move_file", args, CLEAN_UP, WORDING).await {
            Ok(_) => return true,
            Err(error) if is_refusal(&error) => {}
            Err(_) => return false,
        }
        match call_within(tools, "get_file_info", json!({ "path": path }), CLEAN_UP, WORDING).await {
            Ok(_) => {
                clean_up(tools, &names.old).await;
                return true;
            }
            // Taken away in between.
            Err(error) if is_refusal(&error) => {}
            Err(_) => return false,
        }
    }
    false
}

/// Says where to look for the old content, if it isn't back.
fn with_hint(is_back: bool, error: Error, path: &str, names: &TemporaryNames) -> Error {
    if is_back {
        return error;
    }
    let text = format!("{} (the old content of {path} may be in {})", error.message(), names.old);
    with_message(&error, text).with_source(error)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::super::fake::{FakeDisk, FakeFile, FakeTools, assert_send, refused};
    use super::*;

    const OLD: &str = "old content";

    /// As [`super::write_text`], without turns.
    async fn write_text<T: CallTool>(tools: &T, path: &str, content: &str, mode: &str) -> Result<String> {
        write(tools, path, &cut(content), Mode::parse(mode)?).await
    }

    fn no_fault(_: &str, _: &Value) -> Option<Error> {
        None
    }

    fn long_text() -> String {
        "0123456789".repeat(12_000)
    }

    fn disk_with(path: &str, content: &str) -> FakeDisk {
        let disk = FakeDisk::default();
        disk.put(path, content);
        disk
    }

    fn is(disk: &FakeDisk, path: &str, content: &str) -> bool {
        disk.content(path) == Some(content.as_bytes().to_vec())
    }

    /// Tool and path of each call, temporary names without their random part.
    fn steps(tools: &FakeTools) -> Vec<String> {
        let short = |value: &Value| {
            let path = value.as_str().unwrap_or_default();
            path.split_once(".agb-").map_or(path.to_owned(), |(_, name)| name[16..].to_owned())
        };
        let step = |call: super::super::super::fake::Call| match call.tool.as_str() {
            "write_file" => format!("{} {}", call.args["mode"].as_str().unwrap(), short(&call.args["path"])),
            "move_file" => format!("move {} {}", short(&call.args["source"]), short(&call.args["destination"])),
            tool => format!("{tool} {}", short(&call.args["path"])),
        };
        tools.calls().into_iter().map(step).collect()
    }

    fn is_temporary(args: &Value, key: &str, end: &str) -> bool {
        args[key].as_str().is_some_and(|path| path.contains(".agb-") && path.ends_with(end))
    }

    #[tokio::test]
    async fn a_mode_that_is_none_is_refused_before_sending() {
        for mode in ["", "Overwrite", "w"] {
            let tools = FakeTools::silent();
            let error = write_text(&tools, "/f", "x", mode).await.unwrap_err();
            let text = format!("Invalid write mode: {mode}. Must be one of overwrite, append, create_new");
            assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidArgument, text.as_str()));
            assert_eq!(error.request_id(), "");
            assert!(tools.calls().is_empty());
        }
    }

    #[tokio::test]
    async fn one_piece_is_one_call() {
        for content in ["", "é", &"x".repeat(CHUNK_SIZE), &"é".repeat(CHUNK_SIZE), &"😀".repeat(CHUNK_SIZE / 2)] {
            for mode in ["overwrite", "append", "create_new"] {
                let tools = FakeTools::silent();
                assert_eq!(assert_send(write_text(&tools, "/f", content, mode)).await.unwrap(), "r-1");
                assert_eq!(tools.calls().len(), 1);
                assert_eq!(tools.calls()[0].args, json!({ "path": "/f", "content": content, "mode": mode }));
            }
        }
    }

    #[test]
    fn pieces_are_cut_between_characters() {
        for shift in 0..3 {
            let text = format!("{}{}", "x".repeat(shift), "😀".repeat(60_000));
            let pieces = cut(&text);
            let units: Vec<_> = pieces.iter().map(|piece| piece.encode_utf16().count()).collect();
            assert_eq!(pieces.concat(), text);
            assert_eq!(units[0], CHUNK_SIZE - shift % 2);
            assert!(units.iter().all(|units| *units <= CHUNK_SIZE));
            assert_eq!(pieces.len(), 3);
        }
        assert_eq!(
            cut(&"x".repeat(CHUNK_SIZE + 1)).iter().map(|piece| piece.len()).collect::<Vec<_>>(),
            [CHUNK_SIZE, 1]
        );
    }

    #[tokio::test]
    async fn long_text_with_characters_on_every_edge_is_written_whole() {
        for shift in 0..3 {
            for (mode, before) in [("overwrite", Some(OLD)), ("overwrite", None), ("create_new", None)] {
                let text = format!("{}{}", "x".repeat(shift), "😀".repeat(60_000));
                let disk = before.map_or_else(FakeDisk::default, |content| disk_with("/f", content));
                write_text(&disk.tools(no_fault), "/f", &text, mode).await.unwrap();
                assert!(is(&disk, "/f", &text), "{mode} {shift}");
                assert_eq!(disk.paths(), ["/f"]);
            }
        }
    }

    #[tokio::test]
    async fn long_text_is_appended_piece_by_piece() {
        let disk = disk_with("/f", OLD);
        let tools = disk.tools(no_fault);
        assert_eq!(write_text(&tools, "/f", &long_text(), "append").await.unwrap(), "r-3");
        assert_eq!(steps(&tools), ["append /f", "append /f", "append /f"]);
        assert!(is(&disk, "/f", &format!("{OLD}{}", long_text())));
    }

    #[tokio::test]
    async fn a_new_file_is_written_aside_and_moved() {
        for mode in ["overwrite", "create_new"] {
            let disk = FakeDisk::default();
            let tools = disk.tools(no_fault);
            assert_eq!(write_text(&tools, "/f", &long_text(), mode).await.unwrap(), "r-4");
            assert_eq!(
                steps(&tools),
                ["get_file_info /f", "create_new .new", "append .new", "append .new", "move .new /f",]
            );
        }
    }

    #[tokio::test]
    async fn an_old_file_is_swapped() {
        let disk = disk_with("/f", OLD);
        let tools = disk.tools(no_fault);
        assert_eq!(write_text(&tools, "/f", &long_text(), "overwrite").await.unwrap(), "r-5");
        assert_eq!(
            steps(&tools),
            [
                "get_file_info /f",
                "create_new .new",
                "get_file_info .new",
                "append .new",
                "append .new",
                "move /f .old",
                "move .new /f",
                "delete_file .old",
            ]
        );
    }

    #[tokio::test]
    async fn create_new_of_an_old_file_is_refused_by_the_service() {
        let disk = disk_with("/f", OLD);
        let tools = disk.tools(no_fault);
        let error = write_text(&tools, "/f", &long_text(), "create_new").await.unwrap_err();
        assert_eq!((error.message(), error.request_id()), ("File already exists", "r-2"));
        assert_eq!(steps(&tools), ["get_file_info /f", "create_new /f"]);
        assert!(is(&disk, "/f", OLD));
    }

    #[tokio::test]
    async fn create_new_loses_to_a_file_made_meanwhile() {
        let disk = FakeDisk::default();
        let other = disk.clone();
        let tools = disk.tools(move |tool, _| {
            if tool == "move_file" {
                other.put("/f", OLD);
            }
            None
        });
        let error = write_text(&tools, "/f", &long_text(), "create_new").await.unwrap_err();
        assert_eq!(error.message(), "Destination exists");
        assert!(is(&disk, "/f", OLD));
        assert_eq!(disk.paths(), ["/f"]);
    }

    #[tokio::test]
    async fn overwrite_wins_over_a_file_made_meanwhile() {
        let disk = FakeDisk::default();
        let other = disk.clone();
        let is_first = std::sync::atomic::AtomicBool::new(true);
        let tools = disk.tools(move |tool, _| {
            if tool == "move_file" && is_first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                other.put("/f", OLD);
            }
            None
        });
        write_text(&tools, "/f", &long_text(), "overwrite").await.unwrap();
        assert!(is(&disk, "/f", &long_text()));
        assert_eq!(disk.paths(), ["/f"]);
    }

    #[tokio::test]
    async fn of_writers_that_do_not_take_turns_one_wins_with_all_of_its_text() {
        for before in [None, Some(OLD)] {
            for count in 2..7 {
                let disk = before.map_or_else(FakeDisk::default, |content| disk_with("/f", content));
                let texts: Vec<String> =
                    (0..count).map(|number| long_text().replace('0', &number.to_string())).collect();
                // Some begin later than others.
                let writers = texts.iter().enumerate().map(|(number, text)| {
                    let tools = disk.tools(no_fault);
                    async move {
                        for _ in 0..number {
                            tokio::task::yield_now().await;
                        }
                        write_text(&tools, "/f", text, "overwrite").await
                    }
                });
                for outcome in futures_util::future::join_all(writers).await {
                    outcome.unwrap();
                }
                assert!(texts.iter().any(|text| is(&disk, "/f", text)), "{count} writers");
                assert_eq!(disk.paths(), ["/f"], "{count} writers");
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_can_not_be_moved_is_written_in_place() {
        let disk = disk_with("/f", OLD);
        let tools = disk.tools(|tool, args| {
            (tool == "move_file" && args["source"] == "/f").then(|| refused("Operation not permitted"))
        });
        write_text(&tools, "/f", &long_text(), "overwrite").await.unwrap();
        assert!(is(&disk, "/f", &long_text()));
        assert_eq!(disk.paths(), ["/f"]);
    }

    #[tokio::test]
    async fn a_symbolic_link_is_written_through() {
        let disk = disk_with("/f", OLD);
        let real = disk.clone();
        let tools = FakeTools::new(move |tool, args| {
            let answer = real.answer(tool, args)?;
            let is_link = tool == "get_file_info" && args["path"] == "/f";
            Ok(answer.map(|text| if is_link { format!("{text}\nisSymlink: true") } else { text }))
        });
        write_text(&tools, "/f", &long_text(), "overwrite").await.unwrap();
        assert!(is(&disk, "/f", &long_text()));
        assert!(tools.calls().iter().all(|call| call.tool != "move_file"));
    }

    #[tokio::test]
    async fn a_lost_answer_of_the_second_move_leaves_no_other_file() {
        let disk = disk_with("/f", OLD);
        let real = disk.clone();
        let tools = FakeTools::new(move |tool, args| {
            let answer = real.answer(tool, args)?;
            let is_lost = tool == "move_file" && is_temporary(args, "source", ".new");
            if is_lost { Err(Error::new(ErrorKind::Network, "reset")) } else { Ok(answer) }
        });
        let error = write_text(&tools, "/f", &long_text(), "overwrite").await.unwrap_err();
        assert_eq!(error.message(), "reset");
        assert!(is(&disk, "/f", &long_text()));
        assert_eq!(disk.paths(), ["/f"]);
    }

    #[tokio::test]
    async fn a_failure_at_any_step_keeps_the_old_content() {
        for kind in [ErrorKind::Tool, ErrorKind::Network] {
            for failing in 0..7 {
                let disk = disk_with("/f", OLD);
                let count = std::sync::atomic::AtomicUsize::new(0);
                let tools = disk.tools(move |_, _| {
                    let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    (number == failing).then(|| Error::new(kind, "broken"))
                });
                match write_text(&tools, "/f", &long_text(), "overwrite").await {
                    Ok(_) => assert!(is(&disk, "/f", &long_text()), "{kind:?} {failing}"),
                    Err(error) => {
                        assert!(error.message().starts_with("broken"), "{}", error.message());
                        assert_eq!(error.request_id(), format!("r-{}", failing + 1));
                        assert!(is(&disk, "/f", OLD), "{kind:?} {failing}");
                    }
                }
                assert_eq!(disk.paths(), ["/f"], "{kind:?} {failing}");
            }
        }
    }

    #[tokio::test]
    async fn a_session_that_ends_leaves_a_whole_content_somewhere() {
        for last in 0..8 {
            let disk = disk_with("/f", OLD);
            let count = std::sync::atomic::AtomicUsize::new(0);
            let tools = disk.tools(move |_, _| {
                let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                (number >= last).then(|| Error::new(ErrorKind::SessionNotFound, "gone"))
            });
            let outcome = write_text(&tools, "/f", &long_text(), "overwrite").await;
            let paths = disk.paths();
            assert!(paths.iter().any(|path| is(&disk, path, OLD) || is(&disk, path, &long_text())), "{last}");
            if let Err(error) = outcome
                && !paths.contains(&"/f".to_owned())
            {
                assert!(error.message().contains("the old content of /f may be in /f.agb-"), "{}", error.message());
                assert_eq!(error.kind(), ErrorKind::SessionNotFound);
            }
        }
    }

    #[tokio::test]
    async fn a_lost_answer_of_the_first_move_puts_the_old_file_back() {
        let disk = disk_with("/f", OLD);
        let real = disk.clone();
        let tools = FakeTools::new(move |tool, args| {
            let answer = real.answer(tool, args)?;
            let lost = tool == "move_file" && is_temporary(args, "destination", ".old");
            if lost { Err(Error::new(ErrorKind::Network, "reset")) } else { Ok(answer) }
        });
        let error = write_text(&tools, "/f", &long_text(), "overwrite").await.unwrap_err();
        assert_eq!(error.message(), "reset");
        assert!(is(&disk, "/f", OLD));
        assert_eq!(disk.paths(), ["/f"]);
    }

    #[tokio::test]
    async fn a_file_with_rights_of_its_own_keeps_them() {
        let disk = FakeDisk::default();
        disk.put_file("/f", FakeFile { content: OLD.into(), mode: "0755".into(), size: None });
        let tools = disk.tools(no_fault);
        write_text(&tools, "/f", &long_text(), "overwrite").await.unwrap();
        assert_eq!(
            steps(&tools),
            [
                "get_file_info /f",
                "create_new .new",
                "get_file_info .new",
                "delete_file .new",
                "overwrite /f",
                "append /f",
                "append /f",
            ]
        );
        assert!(is(&disk, "/f", &long_text()));
        assert_eq!(disk.paths(), ["/f"]);
    }

    #[tokio::test]
    async fn where_nothing_can_be_made_beside_it_the_file_is_written_in_place() {
        let disk = disk_with("/f", OLD);
        let tools = disk.tools(|tool, args| {
            (tool == "write_file" && is_temporary(args, "path", ".new")).then(|| refused("Permission denied"))
        });
        write_text(&tools, "/f", &long_text(), "overwrite").await.unwrap();
        assert!(is(&disk, "/f", &long_text()));
    }

    #[tokio::test]
    async fn a_missing_directory_is_told_in_the_words_of_the_service() {
        let tools = FakeTools::new(|tool, args| match tool {
            "write_file" => Err(refused(&format!("No directory for {}", args["path"]))),
            _ => Err(refused("File not found")),
        });
        let error = write_text(&tools, "/no/f", &long_text(), "overwrite").await.unwrap_err();
        assert_eq!(error.message(), "No directory for \"/no/f\"");
    }

    #[tokio::test]
    async fn a_directory_is_refused_by_the_service() {
        let tools = FakeTools::new(|tool, _| match tool {
            "get_file_info" => Ok(Some("isDirectory: true".into())),
            _ => Err(refused("Is a directory")),
        });
        let error = write_text(&tools, "/d", &long_text(), "overwrite").await.unwrap_err();
        assert_eq!(error.message(), "Is a directory");
        assert_eq!(steps(&tools), ["get_file_info /d", "overwrite /d"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pieces_join_to_the_text(unit in any::<String>(), times in 0_usize..4_000) {
            let text = unit.repeat(times);
            let pieces = cut(&text);
            prop_assert!(pieces.iter().all(|piece| piece.encode_utf16().count() <= CHUNK_SIZE));
            prop_assert!(pieces.len() == 1 || pieces.iter().all(|piece| !piece.is_empty()));
            prop_assert!(pieces.concat() == text);
        }
    }
}
