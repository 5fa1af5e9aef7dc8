//! The file tools.
//!
//! One file a tool or pair of tools; `view` is the only way to a session's files, `identity` the only thread they are
//! touched on. What tools take and answer: docs/protocol.md, section Tools.

mod changes;
mod edit;
mod error;
mod facts;
mod identity;
mod info;
mod made;
mod read;
mod rename;
mod search;
mod slice;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;
mod tree;
mod view;
mod write;
mod zip;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use self::error::FileError;
use self::identity::Deadline;
use self::view::View;
use super::{ToolArgs, ToolLimits, ToolOutput, catalog};
use crate::sandbox::{Sandbox, SandboxFiles};

/// What a tool answers that has nothing to tell.
const DONE: &str = "true";

/// How long the removal of a session's leftovers may take, in real time.
const CLEANUP_TIME: Duration = Duration::from_secs(30);

/// What the file tools remember of one session: what `get_file_change` saw last, and what was made in the host's
/// `/tmp`. Clones share one memory.
#[derive(Debug, Default, Clone)]
pub struct SessionFiles {
    memory: Arc<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    baselines: changes::Baselines,
    made: made::MadePaths,
    user: Mutex<Option<(u32, u32)>>,
    edits: Mutex<()>,
}

impl Memory {
    fn lock_edits(&self) -> MutexGuard<'_, ()> {
        self.edits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionFiles {
    /// Removes what the file tools made in the host's `/tmp` (plain mode; otherwise there is nothing to do).
    ///
    /// To be called once the session's processes are dead. What something else has replaced meanwhile stays; what
    /// can't be removed is logged. A second call does nothing.
    pub async fn cleanup(&self) {
        if self.memory.made.is_empty() {
            return;
        }
        let user = *self.memory.user.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = Arc::clone(&self.memory);
        let job = move || {
            memory.made.remove_all();
            Ok(())
        };
        if let Err(error) = identity::run(user, Deadline::after(CLEANUP_TIME), job).await {
            tracing::warn!(reason = error.text, "the files of a session could not be removed");
        }
    }
}

/// Whether a tool failed because the file is not there.
pub(crate) fn says_not_found(text: &str) -> bool {
    text.starts_with("File not found: ")
}

/// Runs a file tool on the session's files as its shell sees them; `None` when `name` is not a file tool.
///
/// Failures are answers (`is_error`) that name the path and the reason, among them arguments that don't fit the
/// schema, answers over `limits.output_bytes` and work over `limits.time`.
pub async fn call(
    sandbox: &Sandbox,
    session: &SessionFiles,
    name: &str,
    args: &ToolArgs,
    limits: &ToolLimits,
) -> Option<ToolOutput> {
    let tool = tool_named(name)?;
    if let Err(reason) = catalog::check_args(name, args) {
        return Some(ToolOutput::error(reason));
    }
    let files = match sandbox.files().await {
        Ok(files) => files,
        Err(error) => return Some(ToolOutput::error(error.to_string())),
    };
    Some(run(files, session, tool, args.clone(), limits).await)
}

type Tool = fn(&Context, &ToolArgs) -> Result<String, FileError>;

fn tool_named(name: &str) -> Option<Tool> {
    let tool: Tool = match name {
        "create_directory" => write::create_directory,
        "delete_file" => write::delete_file,
        "edit_file" => edit::edit_file,
        "get_file_info" => info::get_file_info,
        "list_directory" => info::list_directory,
        "move_file" => rename::move_file,
        "read_file" => read::read_file,
        "write_file" => write::write_file,
        "read_multiple_files" => read::read_multiple_files,
        "search_files" => search::search_files,
        "get_file_change" => changes::get_file_change,
        _ => return None,
    };
    Some(tool)
}

async fn run(
    files: SandboxFiles,
    session: &SessionFiles,
    tool: Tool,
    args: ToolArgs,
    limits: &ToolLimits,
) -> ToolOutput {
    match work_on(files, session, limits, move |context| tool(context, &args)).await {
        Ok(text) => ToolOutput::ok(text),
        Err(error) => ToolOutput::error(error.text),
    }
}

/// Does a piece of work on a session's files, as the session's user.
async fn work_on<T: Send + 'static>(
    files: SandboxFiles,
    session: &SessionFiles,
    limits: &ToolLimits,
    work: impl FnOnce(&Context) -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let (SandboxFiles::Namespace { user, .. } | SandboxFiles::Plain { user, .. }) = &files;
    let user = *user;
    let memory = Arc::clone(&session.memory);
    *memory.user.lock().unwrap_or_else(PoisonError::into_inner) = user;
    let deadline = Deadline::after(limits.time);
    let output_bytes = limits.output_bytes;
    let job = move || work(&Context { view: View::new(files), memory, deadline, output_bytes });
    identity::run(user, deadline, job).await
}

/// What a tool works with.
struct Context {
    view: View,
    memory: Arc<Memory>,
    deadline: Deadline,
    output_bytes: usize,
}

impl Context {
    /// The answer, unless it is too long.
    fn fitting(&self, answer: String) -> Result<String, FileError> {
        if answer.len() <= self.output_bytes { Ok(answer) } else { Err(self.too_much()) }
    }

    fn too_much(&self) -> FileError {
        let most = self.output_bytes;
        FileError::new(format!("Too much output: the limit is {most} bytes; ask for less at a time"))
    }

    /// Remembers something new for the end of the session, if nothing else removes it then.
    fn made(&self, path: &Path, follow: bool) {
        let Some(place) = self.view.shared_temporary_place(path, follow) else { return };
        if let Ok(facts) = self.view.entry(&place).and_then(|entry| entry.facts().map_err(|e| FileError::at(e, &place)))
        {
            self.memory.made.add(place, &facts);
        }
    }

    /// What came from the session goes with the session; what others had in `/tmp` stays theirs at its new place.
    fn moved(&self, origin: Option<&Path>, target: &Path) {
        if origin.is_none_or(|origin| self.memory.made.forget(origin)) {
            self.made(target, false);
        }
    }
}

fn text<'a>(args: &'a ToolArgs, name: &str) -> &'a str {
    args.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn texts<'a>(args: &'a ToolArgs, name: &str) -> impl Iterator<Item = &'a str> {
    args.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A number of bytes; JSON may write it with a fraction of zero.
fn number(args: &ToolArgs, name: &str) -> Option<u64> {
    let value = args.get(name)?;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the schema check let only sizes through"
    )]
    value.as_u64().or_else(|| value.as_f64().map(|number| number as u64))
}

fn one_path_a_line(paths: &[PathBuf]) -> String {
    let lines: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
    lines.join("\n")
}

/// Size and use of the file system that a session's home is on, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DiskUse {
    pub(super) total_bytes: u64,
    pub(super) used_bytes: u64,
}

/// Measures the file system of a session's home.
pub(super) async fn disk_use(files: SandboxFiles, limit: Duration) -> Result<DiskUse, String> {
    let (SandboxFiles::Namespace { user, home, .. } | SandboxFiles::Plain { user, home, .. }) = &files;
    let (user, home) = (*user, home.clone());
    let job = move || {
        let directory = View::new(files).open_directory(&home)?;
        rustix::fs::fstatvfs(&directory).map_err(|errno| FileError::at(errno, &home))
    };
    let size = identity::run(user, Deadline::after(limit), job).await.map_err(|error| error.text)?;
    let bytes = |blocks: u64| blocks.saturating_mul(size.f_frsize);
    Ok(DiskUse { total_bytes: bytes(size.f_blocks), used_bytes: bytes(size.f_blocks.saturating_sub(size.f_bfree)) })
}
