//! `get_file_change`.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::FileType;
use serde_json::json;

use super::Context;
use super::error::FileError;
use super::facts::Facts;
use super::tree::{self, Then};
use super::view::entry_facts;
use crate::tools::ToolArgs;
use crate::tools::filesystem::text;

/// Paths that one session may watch; the one asked for longest ago is forgotten.
const WATCHED_PATHS: usize = 64;

/// What was seen below a path, by relative path; the path itself is the empty one.
type Snapshot = BTreeMap<PathBuf, Facts>;

/// What a session saw at its last call for each path, the latest at the end.
#[derive(Debug, Default)]
pub(super) struct Baselines(Mutex<Vec<(PathBuf, Snapshot)>>);

/// A JSON array of what was made, changed and removed since the previous call for the path.
///
/// The first call only looks, and so does the first after the path was gone: then all that was there is reported as
/// removed. A rename is a removal and a creation. Directories are not reported as changed: what changed in them is.
pub(super) fn get_file_change(context: &Context, args: &ToolArgs) -> Result<String, FileError> {
    let path = context.view.path(text(args, "path"))?;
    // Held during the look, so that of two calls the later one is compared with the earlier one.
    let mut baselines = context.memory.baselines.0.lock().unwrap_or_else(PoisonError::into_inner);
    let known = baselines.iter().position(|(known, _)| *known == path);
    let now = match snapshot(context, &path) {
        Err(error) if error.is_not_found() && known.is_some() => Snapshot::new(),
        other => other?,
    };
    let before = known.map(|index| baselines.remove(index).1);
    let events = before.map(|before| events(&path, &before, &now)).unwrap_or_default();
    let text = context.fitting(serde_json::Value::Array(events).to_string());
    if !now.is_empty() {
        if baselines.len() >= WATCHED_PATHS {
            baselines.remove(0);
        }
        baselines.push((path, now));
    }
    text
}

fn snapshot(context: &Context, path: &Path) -> Result<Snapshot, FileError> {
    let mut snapshot = Snapshot::new();
    let facts = context.view.facts(path)?;
    snapshot.insert(PathBuf::new(), facts);
    if !facts.is_dir() {
        return Ok(snapshot);
    }
    let directory = context.view.open_directory(path)?;
    tree::each(directory.as_fd(), context.deadline, &mut |visit| {
        // What is gone again already is not there.
        if let Ok(facts) = entry_facts(visit.directory, visit.name) {
            snapshot.insert(visit.relative.to_owned(), facts);
        }
        Ok(Then::Descend)
    })?;
    Ok(snapshot)
}

fn events(base: &Path, before: &Snapshot, now: &Snapshot) -> Vec<serde_json::Value> {
    let mut events: Vec<(&PathBuf, &str, FileType)> = Vec::new();
    for (path, old) in before {
        match now.get(path) {
            None => events.push((path, "delete", old.kind)),
            Some(new) if new.kind != old.kind => {
                events.push((path, "delete", old.kind));
                events.push((path, "create", new.kind));
            }
            Some(new) if is_changed(old, new) => events.push((path, "modify", new.kind)),
            Some(_) => {}
        }
    }
    let made = now.iter().filter(|(path, _)| !before.contains_key(*path));
    events.extend(made.map(|(path, facts)| (path, "create", facts.kind)));
    // Stable: what was replaced by another kind stays removed first, then made.
    events.sort_by_key(|(path, _, _)| *path);
    events.into_iter().map(|(path, event, kind)| event_json(base, path, event, kind)).collect()
}

fn is_changed(old: &Facts, new: &Facts) -> bool {
    let seen = |facts: &Facts| (facts.modified, facts.size_bytes, facts.inode, facts.device);
    !new.is_dir() && seen(old) != seen(new)
}

fn event_json(base: &Path, relative: &Path, event: &str, kind: FileType) -> serde_json::Value {
    let path = if relative.as_os_str().is_empty() { base.to_owned() } else { base.join(relative) };
    let kind = if kind == FileType::Directory { "directory" } else { "file" };
    json!({"eventType": event, "path": path.to_string_lossy(), "pathType": kind})
}
