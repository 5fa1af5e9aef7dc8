//! Files and directories of a session.
//!
//! Directory and search answers are lists of lines: a name with a line break in it can't be told from two names, and
//! blanks at both ends of a directory entry's name are lost. That is the protocol's limit, not this module's.

use std::future::Future;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Map, Value, json};

use super::loose_json::{optional_text, parse};
use super::{Wording, is_refusal, with_message};
use crate::error::{Error, ErrorKind, Result};
use crate::tool::{CallTool, ToolArgs, ToolLimits, ToolReply};

mod write;

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
        Some(0) => read_unsized(tools, path).await.or_else(empty_if_refused),
        None => read_unsized(tools, path).await,
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

/// Reads up to `size`. A short chunk isn't the end yet, as the service may give less than was asked for; an empty one
/// is: the file has shrunk.
async fn read_sized<T: CallTool>(tools: &T, path: &str, size: u64) -> Result<Vec<u8>> {
    if size > MAX_SIZED {
        return Err(too_large(format!("File is too large to be read at once: {path} has {size} bytes")));
    }
    let mut content = Vec::new();
    loop {
        let left = size.saturating_sub(content.len() as u64);
        if left == 0 {
            return Ok(content);
        }
        let chunk = read_chunk(tools, path, content.len(), CHUNK_SIZE.min(left as usize)).await?;
        if chunk.is_empty() {
            return Ok(content);
        }
        content.extend_from_slice(&chunk);
    }
}

/// Reads up to the first chunk that isn't full: more requests beyond the end might be refused.
async fn read_unsized<T: CallTool>(tools: &T, path: &str) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let chunk = read_chunk(tools, path, content.len(), CHUNK_SIZE).await?;
        content.extend_from_slice(&chunk);
        if chunk.len() < CHUNK_SIZE {
            return Ok(content);
        }
        if content.len() as u64 > MAX_UNSIZED {
            return Err(too_large(format!("File has no size and more than {MAX_UNSIZED} bytes: {path}")));
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
