//! Files and directories: `ts/modules/filesystem.ts` on this side.

use agb_client::modules::filesystem::{self, Edit, FileEvent};
use napi::bindgen_prelude::{Buffer, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;

use crate::session::{NativeDone, NativeRoute, NativeSession};
use crate::support::{Outcome, outcome, promise};

/// One replacement in a file.
#[napi(object, object_to_js = false)]
pub struct NativeEdit {
    /// What to find.
    pub old_text: String,
    /// What to put there.
    pub new_text: String,
}

/// What is known of a file or directory.
#[napi(object, object_from_js = false)]
pub struct NativeFileInfo {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Bytes.
    pub size: f64,
    /// Is it a directory?
    pub is_directory: bool,
    /// When it was changed.
    pub mod_time: String,
    /// Its permissions.
    pub mode: String,
    /// Its owner.
    pub owner: Option<String>,
    /// Its group.
    pub group: Option<String>,
}

/// Answer of `getFileInfo`.
#[napi(object, object_from_js = false)]
pub struct NativeFileInfoReply {
    /// The service's request id.
    pub request_id: String,
    /// What is known.
    pub info: NativeFileInfo,
}

/// An entry of a directory.
#[napi(object, object_from_js = false)]
pub struct NativeDirectoryEntry {
    /// Its name.
    pub name: String,
    /// Is it a directory?
    pub is_directory: bool,
}

/// Answer of `listDirectory`.
#[napi(object, object_from_js = false)]
pub struct NativeDirectoryList {
    /// The service's request id.
    pub request_id: String,
    /// The entries.
    pub entries: Vec<NativeDirectoryEntry>,
}

/// A file as text.
#[napi(object, object_from_js = false)]
pub struct NativeFileText {
    /// The service's request id.
    pub request_id: String,
    /// The text.
    pub content: String,
}

/// A file as bytes.
#[napi(object, object_from_js = false)]
pub struct NativeFileBytes {
    /// The service's request id.
    pub request_id: String,
    /// The bytes.
    pub content: Buffer,
}

/// One of several text files.
#[napi(object, object_from_js = false)]
pub struct NativeFileOfSeveral {
    /// Its path.
    pub path: String,
    /// The text.
    pub content: String,
}

/// Several text files.
#[napi(object, object_from_js = false)]
pub struct NativeFiles {
    /// The service's request id.
    pub request_id: String,
    /// The files.
    pub files: Vec<NativeFileOfSeveral>,
}

/// Answer of `searchFiles`.
#[napi(object, object_from_js = false)]
pub struct NativeMatches {
    /// The service's request id.
    pub request_id: String,
    /// The paths.
    pub matches: Vec<String>,
}

/// A change below a directory.
#[napi(object, object_from_js = false)]
pub struct NativeFileEvent {
    /// What happened.
    pub event_type: String,
    /// To which path.
    pub path: String,
    /// Whether that is a file or a directory.
    pub path_type: String,
}

impl From<FileEvent> for NativeFileEvent {
    fn from(event: FileEvent) -> Self {
        Self { event_type: event.event_type, path: event.path, path_type: event.path_type }
    }
}

/// Answer of `getFileChange`.
#[napi(object, object_from_js = false)]
pub struct NativeFileChange {
    /// The service's request id.
    pub request_id: String,
    /// What changed.
    pub events: Vec<NativeFileEvent>,
    /// The answer as it came.
    pub raw_data: String,
}

#[napi]
impl NativeSession {
    /// Creates a directory and its parents.
    #[napi]
    pub fn file_create_directory<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        path: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(filesystem::create_directory(&tools, &path).await) })
    }

    /// Deletes a file.
    #[napi]
    pub fn file_delete<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        path: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(filesystem::delete_file(&tools, &path).await) })
    }

    /// Replaces text in a file.
    #[napi]
    pub fn file_edit<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        path: String,
        edits: Vec<NativeEdit>,
        dry_run: bool,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let tools = self.tools(route);
        let edits = edits.into_iter().map(|edit| Edit { old_text: edit.old_text, new_text: edit.new_text }).collect();
        promise(env, async move { outcome(filesystem::edit_file(&tools, &path, edits, dry_run).await) })
    }

    /// What is known of a file or directory.
    #[napi]
    pub fn file_info<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        path: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFileInfoReply>>> {
        let tools = self.tools(route);
        promise(env, async move {
            outcome(filesystem::file_info(&tools, &path).await.map(|(request_id, info)| NativeFileInfoReply {
                request_id,
                info: NativeFileInfo {
                    name: info.name,
                    path: info.path,
                    size: info.size,
                    is_directory: info.is_directory,
                    mod_time: info.mod_time,
                    mode: info.mode,
                    owner: info.owner,
                    group: info.group,
                },
            }))
        })
    }

    /// The entries of a directory.
    #[napi]
    pub fn file_list<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        path: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDirectoryList>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let list = filesystem::list_directory(&tools, &path).await;
            outcome(list.map(|(request_id, entries)| {
                NativeDirectoryList {
                    request_id,
                    entries: entries
                        .into_iter()
                        .map(|entry| NativeDirectoryEntry { name: entry.name, is_directory: entry.is_directory })
                        .collect(),
                }
            }))
        })
    }

    /// Moves or renames a file or directory.
    #[napi]
    pub fn file_move<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        source: String,
        destination: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(filesystem::move_file(&tools, &source, &destination).await) })
    }

    /// Reads a whole file as text.
    #[napi]
    pub fn file_read_text<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        path: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFileText>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let read = filesystem::read_text(&tools, &path).await;
            outcome(read.map(|(request_id, content)| NativeFileText { request_id, content }))
        })
    }

    /// Reads a whole file as bytes.
    #[napi]
    pub fn file_read_bytes<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        path: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFileBytes>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let read = filesystem::read_bytes(&tools, &path).await;
            outcome(read.map(|(request_id, content)| NativeFileBytes { request_id, content: content.into() }))
        })
    }

    /// Reads several text files.
    #[napi]
    pub fn file_read_multiple<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        paths: Vec<String>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFiles>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let read = filesystem::read_multiple(&tools, &paths).await;
            outcome(read.map(|(request_id, files)| NativeFiles {
                request_id,
                files: files.into_iter().map(|(path, content)| NativeFileOfSeveral { path, content }).collect(),
            }))
        })
    }

    /// Finds files and directories by name.
    #[napi]
    pub fn file_search<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        path: String,
        pattern: String,
        exclude_patterns: Vec<String>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeMatches>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let found = filesystem::search(&tools, &path, &pattern, &exclude_patterns).await;
            outcome(found.map(|(request_id, matches)| NativeMatches { request_id, matches }))
        })
    }

    /// Writes a text file.
    #[napi]
    pub fn file_write<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        path: String,
        content: String,
        mode: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(filesystem::write_text(&tools, &path, &content, &mode).await) })
    }

    /// What changed below a directory since the last call for it.
    #[napi]
    pub fn file_change<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        path: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFileChange>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let change = filesystem::file_change(&tools, &path).await;
            outcome(change.map(|(request_id, change)| NativeFileChange {
                request_id,
                raw_data: change.raw,
                events: change.events.into_iter().map(NativeFileEvent::from).collect(),
            }))
        })
    }
}
