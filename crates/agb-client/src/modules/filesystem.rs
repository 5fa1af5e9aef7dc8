//! Files and directories of a session.
//!
//! Directory and search answers are lists of lines: a name with a line break in it can't be told from two names, and
//! blanks at both ends of a directory entry's name are lost. That is the protocol's limit, not this module's.

use std::future::Future;
use std::pin::pin;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Map, Value, json};

use super::loose_json::{optional_text, parse};
use super::{Wording, is_refusal, with_message};
use crate::error::{Error, ErrorKind, Result};
use crate::tool::{CallTool, ToolArgs, ToolLimits, ToolReply};

mod turns;
mod write;

pub(crate) use turns::Turns;
pub use write::write_text;

/// The most that one call of a tool carries: bytes when reading, UTF-16 code units when writing. Source:
/// docs/protocol.md, section "Tools".
pub const CHUNK_SIZE: usize = 51_200;

/// The most bytes of a file whose size the service doesn't know, as that of `/proc/cpuinfo` or `/dev/zero`.
const MAX_UNSIZED: u64 = 64 << 20;

/// The most bytes of any file: what a buffer can hold everywhere.
const MAX_SIZED: u64 = (2 << 30) - 1;

/// How many files [`read_multiple`] reads at the same time.
const CONCURRENT_READS: usize = 4;
/// Chunks of one file that are read at the same time: each takes a whole way to the service and back.
const CONCURRENT_CHUNKS: usize = 4;

/// Standard base64 with all its padding; what the unused bits of the last character are doesn't matter.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// One replacement in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The text to look for.
    pub old_text: String,
    /// The text to put in its place.
    pub new_text: String,
}

/// What the service says about a file or directory. What it doesn't say is empty, 0 or false.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileInfo {
    /// The last part of the path.
    pub name: String,
    /// The whole path.
    pub path: String,
    /// The size in bytes.
    pub size: f64,
    /// It is a directory.
    pub is_directory: bool,
    /// It is a symbolic link, and the rest is said of what it leads to.
    pub is_symlink: bool,
    /// When the content changed last, in the service's own notation.
    pub mod_time: String,
    /// The permissions, in the service's own notation.
    pub mode: String,
    /// The owner's name.
    pub owner: Option<String>,
    /// The group's name.
    pub group: Option<String>,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The name, without the directory's path.
    pub name: String,
    /// It is a directory; else it is a file.
    pub is_directory: bool,
}

/// What happened in a directory since it was asked about last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileChange {
    /// The events, in the service's order.
    pub events: Vec<FileEvent>,
    /// The service's text that they were read from.
    pub raw: String,
}

/// One event in a watched directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEvent {
    /// `create`, `modify` or `delete`.
    pub event_type: String,
    /// The path that it happened to.
    pub path: String,
    /// `file` or `directory`.
    pub path_type: String,
}

/// Creates a directory and its parents; one that exists is fine. Gives the request id.
///
/// # Errors
///
/// The failure of the call, with the text `Unknown error` where it had none.
pub async fn create_directory<T: CallTool>(tools: &T, path: &str) -> Result<String> {
    const WORDING: Wording = Wording { default: "Unknown error", prefix: Some("Failed to create directory") };
    done(call(tools, "create_directory", json!({ "path": path }), WORDING)).await
}

/// Deletes a file. Gives the request id.
///
/// # Errors
///
/// The failure of the call, with the text `Failed to delete file` where it had none.
pub async fn delete_file<T: CallTool>(tools: &T, path: &str) -> Result<String> {
    done(call(tools, "delete_file", json!({ "path": path }), Wording::same("Failed to delete file"))).await
}

/// Makes the replacements in their order, each of the first place where its text is found; with `dry_run` the service
/// only tries. Gives the request id.
///
/// # Errors
///
/// The failure of the call, with the text `Unknown error` where it had none.
pub async fn edit_file<T: CallTool>(tools: &T, path: &str, edits: Vec<Edit>, dry_run: bool) -> Result<String> {
    const WORDING: Wording = Wording { default: "Unknown error", prefix: Some("Failed to edit file") };
    let edits: Vec<_> =
        edits.into_iter().map(|edit| json!({ "oldText": edit.old_text, "newText": edit.new_text })).collect();
    let args = json!({ "path": path, "edits": edits, "dryRun": dry_run });
    done(call(tools, "edit_file", args, WORDING)).await
}

/// Asks what `path` is. Gives the request id and the answer.
///
/// # Errors
///
/// The failure of the call, with the text `Failed to get file info` where it had none.
pub async fn file_info<T: CallTool>(tools: &T, path: &str) -> Result<(String, FileInfo)> {
    let (request_id, text) = file_info_text(tools, path).await?;
    Ok((request_id, read_info(&text).0))
}

/// Lists a directory. Gives the request id and the entries, in the service's order.
///
/// # Errors
///
/// The failure of the call, with the text `Failed to list directory` where it had none.
pub async fn list_directory<T: CallTool>(tools: &T, path: &str) -> Result<(String, Vec<DirectoryEntry>)> {
    let wording = Wording::same("Failed to list directory");
    let reply = call(tools, "list_directory", json!({ "path": path }), wording).await?;
    let entries = reply.text.unwrap_or_default().lines().filter_map(read_entry).collect();
    Ok((reply.request_id, entries))
}

/// Moves or renames a file or directory; a destination that exists is refused. Gives the request id.
///
/// # Errors
///
/// The failure of the call, with the text `Failed to move file` where it had none.
pub async fn move_file<T: CallTool>(tools: &T, source: &str, destination: &str) -> Result<String> {
    let args = json!({ "source": source, "destination": destination });
    done(call(tools, "move_file", args, Wording::same("Failed to move file"))).await
}

/// Reads a whole file as UTF-8; bytes that aren't UTF-8 become U+FFFD, a byte order mark stays. Gives the request id
/// and the text.
///
/// # Errors
///
/// As [`read_bytes`].
pub async fn read_text<T: CallTool>(tools: &T, path: &str) -> Result<(String, String)> {
    let (request_id, bytes) = read_bytes(tools, path).await?;
    Ok((request_id, decode_utf8(bytes)))
}

/// Reads a whole file. Gives the request id (that of asking for the file's size) and the content.
///
/// The file is read in chunks up to the size that it had at the beginning; if it shrinks meanwhile, up to its new end.
/// A file without a size (as those under `/proc`) is read up to the first chunk that isn't full.
///
/// # Errors
///
/// The failure of asking for the size or of reading, with the texts `Failed to get file info` or `Failed to read file`
/// where it had none; `Path does not exist or is a directory: …`; [`Protocol`](ErrorKind::Protocol) for chunks that
/// aren't base64 and for a file of more than 2 GiB, or more than 64 MiB without a size.
pub async fn read_bytes<T: CallTool>(tools: &T, path: &str) -> Result<(String, Vec<u8>)> {
    let (request_id, text) = file_info_text(tools, path).await?;
    let (info, size) = read_info(&text);
    if info.is_directory {
        let text = format!("Path does not exist or is a directory: {path}");
        return Err(Error::new(ErrorKind::Tool, text).with_operation("get_file_info").with_request_id(request_id));
    }
    let content = match size {
        Some(0) => read_unsized(tools, path, MAX_UNSIZED).await.or_else(empty_if_refused),
        None => read_unsized(tools, path, MAX_UNSIZED).await,
        Some(size) => read_sized(tools, path, size).await,
    };
    Ok((request_id, content?))
}

/// Reads several files as text, up to four at the same time; a path given twice is read once. Gives the request id of
/// the last file, and the paths with their texts in the given order.
///
/// # Errors
///
/// The first failure in the order of the paths, as [`read_text`], with `Failed to read multiple files: <path>: ` before
/// its text.
pub async fn read_multiple<T: CallTool>(tools: &T, paths: &[String]) -> Result<(String, Vec<(String, String)>)> {
    let mut distinct: Vec<&String> = Vec::new();
    for path in paths {
        if !distinct.contains(&path) {
            distinct.push(path);
        }
    }
    let reads: Vec<_> = distinct.into_iter().map(|path| read_one_of_many(tools, path)).collect();
    let files: Vec<_> = stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?;

    let request_id = files.last().map(|(request_id, _)| request_id.clone()).unwrap_or_default();
    Ok((request_id, files.into_iter().map(|(_, file)| file).collect()))
}

/// Searches `path` and all below it for names that match `pattern` (with `*` and `?`, or else a part of the name), but
/// not those that match one of `exclude`. Gives the request id and the paths found.
///
/// # Errors
///
/// The failure of the call, with the text `Failed to search files` where it had none.
pub async fn search<T: CallTool>(
    tools: &T,
    path: &str,
    pattern: &str,
    exclude: &[String],
) -> Result<(String, Vec<String>)> {
    let args = match exclude {
        [] => json!({ "path": path, "pattern": pattern }),
        exclude => json!({ "path": path, "pattern": pattern, "excludePatterns": exclude }),
    };
    let reply = call(tools, "search_files", args, Wording::same("Failed to search files")).await?;
    Ok((reply.request_id, read_matches(&reply.text.unwrap_or_default())))
}

/// Asks what changed in the directory `path` since it was asked about last; the first time begins the watch. Gives the
/// request id and the changes.
///
/// # Errors
///
/// The failure of the call, with the text `Failed to get file change` where it had none.
pub async fn file_change<T: CallTool>(tools: &T, path: &str) -> Result<(String, FileChange)> {
    let wording = Wording::same("Failed to get file change");
    let reply = call(tools, "get_file_change", json!({ "path": path }), wording).await?;
    let raw = reply.text.unwrap_or_default();
    Ok((reply.request_id, FileChange { events: read_events(&raw), raw }))
}

async fn call<T: CallTool>(tools: &T, tool: &str, args: Value, wording: Wording) -> Result<ToolReply> {
    call_within(tools, tool, args, ToolLimits::default(), wording).await
}

async fn call_within<T: CallTool>(
    tools: &T,
    tool: &str,
    args: Value,
    limits: ToolLimits,
    wording: Wording,
) -> Result<ToolReply> {
    let args: ToolArgs = match args {
        Value::Object(args) => args,
        _ => Map::new(),
    };
    tools.call_tool(tool, args, limits).await.map_err(|error| wording.explain(error))
}

/// Of a call whose text says nothing, the request id.
async fn done(call: impl Future<Output = Result<ToolReply>> + Send) -> Result<String> {
    Ok(call.await?.request_id)
}

async fn file_info_text<T: CallTool>(tools: &T, path: &str) -> Result<(String, String)> {
    let wording = Wording::same("Failed to get file info");
    let reply = call(tools, "get_file_info", json!({ "path": path }), wording).await?;
    Ok((reply.request_id, reply.text.unwrap_or_default()))
}

async fn read_one_of_many<T: CallTool>(tools: &T, path: &str) -> Result<(String, (String, String))> {
    match read_text(tools, path).await {
        Ok((request_id, text)) => Ok((request_id, (path.to_owned(), text))),
        Err(error) => Err(error.prefixed(path).prefixed("Failed to read multiple files")),
    }
}

/// Reads up to `size`, some chunks ahead. A short chunk isn't the end yet, as the service may give less than was asked
/// for; an empty one is: the file has shrunk.
async fn read_sized<T: CallTool>(tools: &T, path: &str, size: u64) -> Result<Vec<u8>> {
    if size > MAX_SIZED {
        return Err(too_large(format!("File is too large to be read at once: {path} has {size} bytes")));
    }
    let size = size as usize;
    let mut content = Vec::new();
    let mut ahead = CONCURRENT_CHUNKS;
    while content.len() < size {
        let chunks = (content.len()..size).step_by(CHUNK_SIZE).map(|offset| {
            let length = CHUNK_SIZE.min(size - offset);
            async move { (length, read_chunk(tools, path, offset, length).await) }
        });
        let mut chunks = pin!(stream::iter(chunks).buffered(ahead));
        while let Some((length, chunk)) = chunks.next().await {
            let chunk = chunk?;
            if chunk.is_empty() {
                return Ok(content);
            }
            content.extend_from_slice(&chunk);
            if chunk.len() < length {
                // Those behind it were asked for at the wrong place, and so would be the next ones.
                ahead = 1;
                break;
            }
        }
    }
    Ok(content)
}

/// Reads up to the first chunk that isn't full: more requests beyond the end might be refused.
async fn read_unsized<T: CallTool>(tools: &T, path: &str, most: u64) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let chunk = read_chunk(tools, path, content.len(), CHUNK_SIZE).await?;
        content.extend_from_slice(&chunk);
        if chunk.len() < CHUNK_SIZE {
            return Ok(content);
        }
        if content.len() as u64 > most {
            return Err(too_large(format!("File has no size and more than {most} bytes: {path}")));
        }
    }
}

/// A file of size 0 may have content (as those under `/proc`), so it is read. But other clients of the service never
/// read such a file, and whether it allows to is unknown: then the file is as empty as the service says.
fn empty_if_refused(error: Error) -> Result<Vec<u8>> {
    if is_refusal(&error) { Ok(Vec::new()) } else { Err(error) }
}

fn too_large(text: String) -> Error {
    Error::new(ErrorKind::Protocol, text).with_operation("read_file")
}

/// Reads the bytes from `offset`. Always as base64: text cut by bytes would lose the characters on the edges.
async fn read_chunk<T: CallTool>(tools: &T, path: &str, offset: usize, length: usize) -> Result<Vec<u8>> {
    let args = json!({ "path": path, "offset": offset, "length": length, "format": "binary" });
    let wording = Wording { default: "Failed to read file", prefix: None };
    let reply = call(tools, "read_file", args, wording).await?;
    decode_base64(reply.text.as_deref().unwrap_or_default()).map_err(|reason| {
        Error::new(ErrorKind::Protocol, format!("Failed to decode base64: {reason}"))
            .with_operation("read_file")
            .with_request_id(reply.request_id)
    })
}

fn decode_base64(text: &str) -> std::result::Result<Vec<u8>, &'static str> {
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/') {
        return Err("Invalid base64 string format");
    }
    BASE64.decode(text).map_err(|_| "Invalid base64 padding format")
}

fn decode_utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Reads lines `key: value`; the value is all after the first colon. The size on its own is `None` where the service
/// gives none that is a plain number, so that this isn't taken for an empty or a shorter file.
fn read_info(text: &str) -> (FileInfo, Option<u64>) {
    let mut info = FileInfo::default();
    let mut size = None;
    for (key, value) in text.split('\n').filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key.trim() {
            "name" => info.name = value.to_owned(),
            "path" => info.path = value.to_owned(),
            "size" => {
                info.size = leading_integer(value);
                size = value.parse().ok();
            }
            "isDirectory" => info.is_directory = value == "true",
            "isSymlink" => info.is_symlink = value == "true",
            "modTime" => info.mod_time = value.to_owned(),
            "mode" => info.mode = value.to_owned(),
            "owner" => info.owner = Some(value.to_owned()),
            "group" => info.group = Some(value.to_owned()),
            _ => {}
        }
    }
    (info, size)
}

/// The whole number that the text begins with (`12 bytes` is 12), or 0.
fn leading_integer(text: &str) -> f64 {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

fn read_entry(line: &str) -> Option<DirectoryEntry> {
    let line = line.trim();
    let entry = |name: &str, is_directory| DirectoryEntry { name: name.trim().to_owned(), is_directory };
    if let Some(name) = line.strip_prefix("[DIR]") {
        return Some(entry(name, true));
    }
    line.strip_prefix("[FILE]").map(|name| entry(name, false))
}

fn read_matches(text: &str) -> Vec<String> {
    match text.trim() {
        "" | "No matches found" => Vec::new(),
        matches => matches.split('\n').map(str::to_owned).collect(),
    }
}

/// Text of another form isn't a failure: it has no events.
fn read_events(raw: &str) -> Vec<FileEvent> {
    let Some(Value::Array(items)) = parse(raw) else {
        return Vec::new();
    };
    let text = |item: &Value, keys: [&str; 2]| {
        keys.into_iter().find_map(|key| optional_text(item.get(key))).unwrap_or_default()
    };
    items
        .iter()
        .filter(|item| item.is_object())
        .map(|item| FileEvent {
            event_type: text(item, ["eventType", "EventType"]),
            path: text(item, ["path", "Path"]),
            path_type: text(item, ["pathType", "PathType"]),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::super::fake::{FakeDisk, FakeFile, FakeTools, assert_send};
    use super::*;

    fn no_fault(_: &str, _: &Value) -> Option<Error> {
        None
    }

    /// The offsets and lengths that were read.
    fn ranges(tools: &FakeTools) -> Vec<(u64, u64)> {
        let reads = tools.calls().into_iter().filter(|call| call.tool == "read_file");
        reads.map(|call| (call.args["offset"].as_u64().unwrap(), call.args["length"].as_u64().unwrap())).collect()
    }

    fn sized(size: &str, content: impl Into<Vec<u8>>) -> FakeDisk {
        let disk = FakeDisk::default();
        disk.put_file("/f", FakeFile { content: content.into(), size: Some(size.into()), ..Default::default() });
        disk
    }

    #[tokio::test]
    async fn the_simple_operations_send_their_arguments_and_give_the_request_id() {
        let tools = FakeTools::silent();
        let edits = vec![Edit { old_text: "a".into(), new_text: "b".into() }];
        assert_eq!(assert_send(create_directory(&tools, "/d")).await.unwrap(), "r-1");
        assert_eq!(assert_send(delete_file(&tools, "/f")).await.unwrap(), "r-2");
        assert_eq!(assert_send(edit_file(&tools, "/f", edits, false)).await.unwrap(), "r-3");
        assert_eq!(assert_send(move_file(&tools, "/f", "/g")).await.unwrap(), "r-4");

        let sent: Vec<_> = tools.calls().into_iter().map(|call| format!("{} {}", call.tool, call.args)).collect();
        assert_eq!(
            sent,
            [
                r#"create_directory {"path":"/d"}"#,
                r#"delete_file {"path":"/f"}"#,
                r#"edit_file {"path":"/f","edits":[{"oldText":"a","newText":"b"}],"dryRun":false}"#,
                r#"move_file {"source":"/f","destination":"/g"}"#,
            ]
        );
    }

    /// Every operation's error for the same failure of the first call.
    async fn errors(kind: ErrorKind, text: &str) -> Vec<String> {
        let tools = FakeTools::failing(kind, text);
        let paths = ["/p".to_owned()];
        let errors = [
            create_directory(&tools, "/p").await.unwrap_err(),
            delete_file(&tools, "/p").await.unwrap_err(),
            edit_file(&tools, "/p", Vec::new(), true).await.unwrap_err(),
            move_file(&tools, "/p", "/q").await.unwrap_err(),
            write::write(&tools, "/p", &[""], write::Mode::Append).await.unwrap_err(),
            file_info(&tools, "/p").await.unwrap_err(),
            list_directory(&tools, "/p").await.unwrap_err(),
            search(&tools, "/p", "x", &[]).await.unwrap_err(),
            file_change(&tools, "/p").await.unwrap_err(),
            read_text(&tools, "/p").await.unwrap_err(),
            read_multiple(&tools, &paths).await.unwrap_err(),
        ];
        let ids: Vec<_> = errors.iter().map(|error| error.request_id().to_owned()).collect();
        assert_eq!(ids, (1..=errors.len()).map(|number| format!("r-{number}")).collect::<Vec<_>>());
        assert!(errors.iter().all(|error| error.kind() == kind));
        errors.iter().map(|error| error.message().to_owned()).collect()
    }

    #[tokio::test]
    async fn failures_without_words_get_those_of_the_operation() {
        assert_eq!(
            errors(ErrorKind::Tool, "").await,
            [
                "Unknown error",
                "Failed to delete file",
                "Unknown error",
                "Failed to move file",
                "Failed to write file",
                "Failed to get file info",
                "Failed to list directory",
                "Failed to search files",
                "Failed to get file change",
                "Failed to get file info",
                "Failed to read multiple files: /p: Failed to get file info",
            ]
        );
    }

    #[tokio::test]
    async fn failures_with_words_keep_them() {
        let messages = errors(ErrorKind::Tool, "Permission denied").await;
        let (last, others) = messages.split_last().unwrap();
        assert!(others.iter().all(|message| message == "Permission denied"), "{others:?}");
        assert_eq!(last, "Failed to read multiple files: /p: Permission denied");
    }

    #[tokio::test]
    async fn failures_of_this_library_name_the_operation() {
        assert_eq!(
            errors(ErrorKind::Internal, "bug").await[..9],
            [
                "Failed to create directory: bug",
                "Failed to delete file: bug",
                "Failed to edit file: bug",
                "Failed to move file: bug",
                "Failed to write file: bug",
                "Failed to get file info: bug",
                "Failed to list directory: bug",
                "Failed to search files: bug",
                "Failed to get file change: bug",
            ]
        );
    }

    #[tokio::test]
    async fn file_info_keeps_all_after_the_first_colon() {
        let text = "name: a:b\r\npath: /tmp/a:b\n size :12 bytes\nisDirectory: true\nisSymlink: true\nmodTime: 2024-01-01T10:20:30Z\n\
                    mode: 0644\nowner: u\ngroup: g\nother: x\nno colon";
        let (request_id, info) = file_info(&FakeTools::saying(text), "/tmp/a:b").await.unwrap();
        let expected = FileInfo {
            name: "a:b".into(),
            path: "/tmp/a:b".into(),
            size: 12.0,
            is_directory: true,
            is_symlink: true,
            mod_time: "2024-01-01T10:20:30Z".into(),
            mode: "0644".into(),
            owner: Some("u".into()),
            group: Some("g".into()),
        };
        assert_eq!((request_id.as_str(), info), ("r-1", expected));
    }

    #[tokio::test]
    async fn file_info_that_says_nothing_is_empty() {
        for tools in [FakeTools::silent(), FakeTools::saying("it is a file\nsize: big\nisDirectory: TRUE")] {
            assert_eq!(file_info(&tools, "/f").await.unwrap().1, FileInfo::default());
        }
    }

    #[tokio::test]
    async fn directory_entries_are_read_and_other_lines_ignored() {
        let tools = FakeTools::saying("[DIR] sub dir\n  [FILE] a [FILE].txt \r\n\ntotal 2\n[LINK] x\n[FILE]b");
        let (request_id, entries) = list_directory(&tools, "/").await.unwrap();
        let names: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.is_directory)).collect();
        assert_eq!(request_id, "r-1");
        assert_eq!(names, [("sub dir", true), ("a [FILE].txt", false), ("b", false)]);
        assert_eq!(list_directory(&FakeTools::silent(), "/").await.unwrap().1, []);
    }

    #[tokio::test]
    async fn search_leaves_out_an_empty_list_and_reads_the_matches() {
        let tools = FakeTools::saying("\n/a b.txt\n/c.txt\n");
        assert_eq!(search(&tools, "/", "*.txt", &[]).await.unwrap().1, ["/a b.txt", "/c.txt"]);
        search(&tools, "/", "x", &["y".to_owned()]).await.unwrap();
        let sent: Vec<_> = tools.calls().into_iter().map(|call| call.args.to_string()).collect();
        assert_eq!(
            sent,
            [r#"{"path":"/","pattern":"*.txt"}"#, r#"{"path":"/","pattern":"x","excludePatterns":["y"]}"#,]
        );
        for text in ["", " \n", "No matches found", " No matches found\n"] {
            assert!(search(&FakeTools::saying(text), "/", "x", &[]).await.unwrap().1.is_empty(), "{text:?}");
        }
    }

    #[tokio::test]
    async fn changes_are_read_in_both_spellings() {
        let raw = r#"[{"eventType":"create","path":"/a","pathType":"file"},null,7,
            {"EventType":"modify","Path":"/b","PathType":"directory"},{"path":null,"Path":3},{}]"#;
        let (request_id, change) = file_change(&FakeTools::saying(raw), "/").await.unwrap();
        let events: Vec<_> =
            change.events.iter().map(|event| [&*event.event_type, &*event.path, &*event.path_type]).collect();
        assert_eq!((request_id.as_str(), change.raw.as_str()), ("r-1", raw));
        assert_eq!(events, [["create", "/a", "file"], ["modify", "/b", "directory"], ["", "3", ""], ["", "", ""]]);
        for text in ["", "not JSON", "{}", "null"] {
            let (_, change) = file_change(&FakeTools::saying(text), "/").await.unwrap();
            assert_eq!(change, FileChange { events: Vec::new(), raw: text.into() });
        }
    }

    #[tokio::test]
    async fn files_around_the_chunk_size_come_back_whole() {
        for length in [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 2 * CHUNK_SIZE, 5 * CHUNK_SIZE + 7] {
            let content: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let disk = FakeDisk::default();
            disk.put("/f", content.clone());
            let tools = disk.tools(no_fault);
            let (request_id, read) = assert_send(read_bytes(&tools, "/f")).await.unwrap();
            assert_eq!(request_id, "r-1");
            assert!(read == content, "{length}");
            assert_eq!(ranges(&tools).len(), length.div_ceil(CHUNK_SIZE).max(1), "{length}");
        }
    }

    #[tokio::test]
    async fn the_last_chunk_is_asked_for_exactly() {
        let disk = sized("60000", vec![7; 60_000]);
        let tools = disk.tools(no_fault);
        read_bytes(&tools, "/f").await.unwrap();
        assert_eq!(ranges(&tools), [(0, 51_200), (51_200, 8_800)]);
        assert_eq!(tools.calls()[1].args.to_string(), r#"{"path":"/f","offset":0,"length":51200,"format":"binary"}"#);
    }

    #[tokio::test]
    async fn characters_on_every_chunk_edge_survive_reading() {
        for shift in 0..4 {
            let text = format!("{}{}", "x".repeat(shift), "😀".repeat(40_000));
            let disk = FakeDisk::default();
            disk.put("/f", text.clone());
            let (_, read) = assert_send(read_text(&disk.tools(no_fault), "/f")).await.unwrap();
            assert!(read == text, "{shift}");
        }
    }

    #[tokio::test]
    async fn bytes_that_are_not_utf8_become_replacement_characters() {
        let disk = FakeDisk::default();
        disk.put("/f", b"\xEF\xBB\xBFa\xFFb\xF0\x9F\x98c\xC3".to_vec());
        let (_, text) = read_text(&disk.tools(no_fault), "/f").await.unwrap();
        assert_eq!(text, "\u{FEFF}a\u{FFFD}b\u{FFFD}c\u{FFFD}");
    }

    #[tokio::test]
    async fn a_file_that_shrank_ends_at_the_empty_chunk() {
        let tools = sized("200000", vec![1; 60_000]).tools(no_fault);
        assert_eq!(read_bytes(&tools, "/f").await.unwrap().1.len(), 60_000);
        let ahead = [(0, 51_200), (51_200, 51_200), (102_400, 51_200), (153_600, 46_400)];
        assert_eq!(ranges(&tools), [ahead.as_slice(), &[(60_000, 51_200)]].concat());
    }

    #[tokio::test]
    async fn a_file_that_grew_is_read_up_to_its_first_size() {
        let tools = sized("60000", vec![1; 200_000]).tools(no_fault);
        assert_eq!(read_bytes(&tools, "/f").await.unwrap().1.len(), 60_000);
    }

    #[tokio::test]
    async fn chunks_shorter_than_asked_leave_no_gap() {
        let content: Vec<u8> = (0..120_000_u32).map(|index| (index % 253) as u8).collect();
        let disk = sized("120000", content.clone());
        let tools = FakeTools::new(move |tool, args| {
            let mut args = args.clone();
            if tool == "read_file" {
                args["length"] = 20_000.into();
            }
            disk.answer(tool, &args)
        });
        assert!(read_bytes(&tools, "/f").await.unwrap().1 == content);
        // After the first one nothing is read ahead any more.
        assert_eq!(
            ranges(&tools).iter().map(|range| range.0).collect::<Vec<_>>(),
            [0, 51_200, 102_400, 20_000, 40_000, 60_000, 80_000, 100_000]
        );
    }

    #[tokio::test]
    async fn a_file_without_a_usable_size_is_read_to_its_end() {
        for size in ["0", "unknown", "-1", "118 KB", ""] {
            let tools = sized(size, vec![5; 120_000]).tools(no_fault);
            assert_eq!(read_bytes(&tools, "/f").await.unwrap().1.len(), 120_000, "{size}");
            assert_eq!(ranges(&tools), [(0, 51_200), (51_200, 51_200), (102_400, 51_200)]);
        }
    }

    #[tokio::test]
    async fn an_endless_file_is_given_up() {
        let chunk = base64::prelude::BASE64_STANDARD.encode([0; CHUNK_SIZE]);
        let tools =
            FakeTools::new(move |tool, _| Ok(Some(if tool == "read_file" { chunk.clone() } else { "size: 0".into() })));
        let error = read_unsized(&tools, "/dev/zero", 200_000).await.unwrap_err();
        assert_eq!(error.message(), "File has no size and more than 200000 bytes: /dev/zero");
        assert_eq!(ranges(&tools).len(), 4);
    }

    #[tokio::test]
    async fn a_file_too_large_is_refused_before_reading() {
        let tools = FakeTools::saying("size: 2147483648");
        let error = read_bytes(&tools, "/f").await.unwrap_err();
        assert_eq!(error.message(), "File is too large to be read at once: /f has 2147483648 bytes");
        assert_eq!(tools.tools(), ["get_file_info"]);
    }

    #[tokio::test]
    async fn an_empty_file_that_may_not_be_read_is_empty_but_other_failures_are_told() {
        let failing = |kind, temporary| {
            FakeTools::new(move |tool, _| match tool {
                "read_file" => Err(Error::new(kind, "").with_temporary(temporary)),
                _ => Ok(Some("size: 0".into())),
            })
        };
        assert_eq!(read_bytes(&failing(ErrorKind::Tool, false), "/f").await.unwrap(), ("r-1".to_owned(), Vec::new()));
        for (kind, temporary) in [(ErrorKind::Timeout, true), (ErrorKind::Api, true)] {
            let error = read_bytes(&failing(kind, temporary), "/f").await.unwrap_err();
            assert_eq!((error.message(), error.request_id()), ("Failed to read file", "r-2"));
        }
    }

    #[tokio::test]
    async fn a_directory_is_not_read() {
        let error = read_text(&FakeTools::saying("isDirectory: true"), "/d").await.unwrap_err();
        assert_eq!((error.message(), error.request_id()), ("Path does not exist or is a directory: /d", "r-1"));
    }

    #[tokio::test]
    async fn the_first_chunk_that_fails_is_the_failure() {
        let tools = sized("200000", vec![1; 200_000]).tools(|_, args| {
            (args["offset"].as_u64() == Some(102_400)).then(|| Error::new(ErrorKind::Tool, "Input/output error"))
        });
        let error = read_bytes(&tools, "/f").await.unwrap_err();
        assert_eq!((error.message(), error.request_id()), ("Input/output error", "r-4"));
    }

    #[tokio::test]
    async fn a_chunk_that_is_no_base64_is_a_failure() {
        let format = "Failed to decode base64: Invalid base64 string format";
        let padding = "Failed to decode base64: Invalid base64 padding format";
        for (chunk, message) in [
            ("YQ==\n", format),
            ("Y Q=", format),
            ("YQ-_", format),
            ("Y===", format),
            ("====", format),
            ("é", format),
            ("YQ", padding),
            ("YQ=", padding),
            ("Y", padding),
            ("==", padding),
            ("YWJj=", padding),
        ] {
            let tools = FakeTools::new(move |tool, _| {
                Ok(Some(if tool == "read_file" { chunk.to_owned() } else { "size: 3".to_owned() }))
            });
            let error = read_bytes(&tools, "/f").await.unwrap_err();
            assert_eq!((error.message(), error.request_id()), (message, "r-2"), "{chunk}");
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
        assert_eq!(decode_base64("YR=="), Ok(b"a".to_vec()));
        assert_eq!(decode_base64("+/8="), Ok(vec![0xFB, 0xFF]));
    }

    #[tokio::test]
    async fn several_files_come_in_the_given_order_and_each_once() {
        let disk = FakeDisk::default();
        disk.put("/b:c", " x\n---\n/a: y\n");
        disk.put("/a", "");
        disk.put("/d", "D");
        let tools = disk.tools(no_fault);
        let paths = ["/b:c", "/a", "/b:c", "/d"].map(str::to_owned);
        let (request_id, files) = assert_send(read_multiple(&tools, &paths)).await.unwrap();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        assert_eq!(files, [("/b:c", " x\n---\n/a: y\n"), ("/a", ""), ("/d", "D")]);
        assert!(request_id.starts_with("r-"));
        assert_eq!(tools.calls().len(), 6);
    }

    #[tokio::test]
    async fn no_files_need_no_call() {
        let tools = FakeTools::silent();
        assert_eq!(read_multiple(&tools, &[]).await.unwrap(), (String::new(), Vec::new()));
        assert!(tools.calls().is_empty());
    }

    #[tokio::test]
    async fn of_several_files_the_first_failing_path_is_named() {
        let disk = FakeDisk::default();
        disk.put("/a", "A");
        let paths = ["/a", "/x", "/y"].map(str::to_owned);
        let error = read_multiple(&disk.tools(no_fault), &paths).await.unwrap_err();
        assert_eq!(error.message(), "Failed to read multiple files: /x: File not found");
    }

    /// Counts the calls in flight.
    #[derive(Default)]
    struct Counting {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl CallTool for Counting {
        async fn call_tool(&self, tool: &str, _: ToolArgs, _: ToolLimits) -> Result<ToolReply> {
            self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            let text = if tool == "read_file" { "YQ==" } else { "size: 1" };
            Ok(ToolReply { request_id: String::new(), text: Some(text.into()) })
        }
    }

    #[tokio::test]
    async fn at_most_four_files_are_read_at_the_same_time() {
        let tools = Counting::default();
        let paths: Vec<_> = (0..25).map(|number| format!("/{number}")).collect();
        assert_eq!(read_multiple(&tools, &paths).await.unwrap().1.len(), 25);
        assert_eq!(tools.most.load(Ordering::SeqCst), CONCURRENT_READS);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"(\[DIR\]|\[FILE\]|size:|isDirectory:|true|:|\n|\[|\{|.){0,20}", any in any::<String>()) {
            for text in [text, any] {
                read_info(&text);
                text.lines().for_each(|line| drop(read_entry(line)));
                read_matches(&text);
                read_events(&text);
                let _ = decode_base64(&text);
            }
        }

        #[test]
        fn base64_is_read_back(bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(decode_base64(&base64::prelude::BASE64_STANDARD.encode(&bytes)), Ok(bytes));
        }

        #[test]
        fn bytes_are_decoded_as_the_standard_library_does(bytes in any::<Vec<u8>>()) {
            let expected = String::from_utf8_lossy(&bytes).into_owned();
            prop_assert_eq!(decode_utf8(bytes), expected);
        }
    }
}
