//! The objects of one context, by their full paths.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    blob::{Blob, Slice},
    recycle::Rule,
};
use crate::tools::filesystem::transfer::{Found, FoundKind};

/// What an object is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Its bytes lie in a blob.
    File {
        bytes: Slice,
        tag: String,
    },
    /// A whole directory in one tar file, made by the upload mode `Archive`.
    Archive {
        bytes: Slice,
        tag: String,
    },
    /// A file that a file transfer offers: it is fetched from its session when somebody asks for its URL. Until then those
    /// who have a URL already get what was fetched for them.
    InSession {
        fetched: Option<(Slice, String)>,
    },
    Directory,
    Link(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    /// Permission bits; `None` for what came through a URL.
    pub(crate) mode: Option<u32>,
    /// When the file was last modified where it came from; `None` as above.
    pub(crate) modified: Option<(i64, i32)>,
    /// When an object was first stored under this path, by the emulator's clock.
    pub(crate) created_at: Duration,
    pub(crate) stored_at: Duration,
    /// For file transfers: whether the session has it already.
    pub(crate) delivered: bool,
}

/// One line of a listing.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) path: String,
    /// `None`: a folder that exists only because there is something below it.
    pub(crate) object: Option<Object>,
}

/// All objects of one context.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    by_path: BTreeMap<String, Object>,
}

/// The spelling of a path by which objects are known: absolute, without empty parts, `.` and `..`; `None` when it
/// leads above the root or holds a NUL character.
pub(crate) fn normal_path(path: &str) -> Option<String> {
    if path.contains('\0') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

/// What follows a directory in the path of something below it.
pub(crate) fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    if directory == "/" {
        return path.strip_prefix('/').filter(|rest| !rest.is_empty());
    }
    path.strip_prefix(directory)?.strip_prefix('/').filter(|rest| !rest.is_empty())
}

/// The path of something below a directory.
pub(crate) fn joined(directory: &str, relative: &str) -> String {
    if relative.is_empty() {
        return directory.to_owned();
    }
    format!("{}/{relative}", directory.trim_end_matches('/'))
}

impl Kind {
    /// What an object of something found in a session is; its bytes are in the pack.
    pub(crate) fn of(found: &Found, pack: &Arc<Blob>) -> Option<Self> {
        Some(match &found.what {
            FoundKind::Directory => Kind::Directory,
            FoundKind::Link(target) => Kind::Link(target.clone()),
            FoundKind::File { offset, length, tag } => {
                let bytes = Slice { blob: pack.clone(), offset: *offset, length: *length };
                Kind::File { bytes, tag: tag.clone() }
            }
            FoundKind::Unchanged => return None,
        })
    }

    pub(crate) fn is_archive(&self) -> bool {
        matches!(self, Kind::Archive { .. })
    }

    /// The bytes that a URL gives, and their tag.
    pub(crate) fn bytes(&self) -> Option<(&Slice, &str)> {
        match self {
            Kind::File { bytes, tag } | Kind::Archive { bytes, tag } => Some((bytes, tag)),
            Kind::InSession { fetched } => fetched.as_ref().map(|(bytes, tag)| (bytes, tag.as_str())),
            Kind::Directory | Kind::Link(_) => None,
        }
    }
}

impl Object {
    /// Whether it is another one still, and nothing was stored in its place meanwhile.
    pub(crate) fn is_still(&self, other: &Object) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Directory, Kind::Directory) => true,
            (Kind::Link(target), Kind::Link(other)) => target == other,
            (kind, other) => match (kind.bytes(), other.bytes()) {
                (Some((bytes, _)), Some((other, _))) => bytes.is_same(other),
                _ => false,
            },
        }
    }
}

impl Objects {
    pub(crate) fn get(&self, path: &str) -> Option<&Object> {
        self.by_path.get(path)
    }

    /// Stores an object; one that was there under the same path keeps its id and its time of creation.
    pub(crate) fn put(&mut self, path: &str, mut object: Object) {
        if let Some(old) = self.by_path.get(path) {
            object.id.clone_from(&old.id);
            object.created_at = old.created_at;
        }
        self.by_path.insert(path.to_owned(), object);
    }

    pub(crate) fn remove(&mut self, path: &str) -> bool {
        self.by_path.remove(path).is_some()
    }

    pub(crate) fn mark_delivered(&mut self, path: &str) {
        if let Some(object) = self.by_path.get_mut(path) {
            object.delivered = true;
        }
    }

    /// Everything below a directory, with the paths from there, in their order.
    pub(crate) fn tree(&self, directory: &str) -> Vec<(String, Object)> {
        self.range(directory).map(|(relative, object)| (relative.to_owned(), object.clone())).collect()
    }

    /// Keeps of what lies below a directory only what `keep` wants, asked with the path from there.
    pub(crate) fn retain(&mut self, directory: &str, mut keep: impl FnMut(&str, &Object) -> bool) {
        self.by_path.retain(|path, object| below(path, directory).is_none_or(|relative| keep(relative, object)));
    }

    /// What lies directly in a directory, sorted by name.
    pub(crate) fn list(&self, directory: &str) -> Vec<Listed> {
        let mut entries: BTreeMap<String, Option<Object>> = BTreeMap::new();
        for (relative, object) in self.range(directory) {
            match relative.split_once('/') {
                None => {
                    entries.insert(relative.to_owned(), Some(object.clone()));
                }
                Some((name, _)) => {
                    entries.entry(name.to_owned()).or_insert(None);
                }
            }
        }
        entries.into_iter().map(|(name, object)| Listed { path: joined(directory, &name), name, object }).collect()
    }

    /// Removes what its rule no longer keeps.
    pub(crate) fn expire(&mut self, rules: &[Rule], now: Duration) {
        if rules.iter().all(|rule| rule.keeps_for.is_none()) {
            return;
        }
        self.by_path.retain(|path, object| !rules.iter().any(|rule| rule.ends(path, object.stored_at, now)));
    }

    fn range<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = (&'a str, &'a Object)> {
        let start = format!("{}/", directory.trim_end_matches('/'));
        let range = self.by_path.range(start.clone()..).take_while(move |(path, _)| path.starts_with(&start));
        range.filter_map(move |(path, object)| below(path, directory).map(|relative| (relative, object)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn folder(stored_at: Duration) -> Object {
        Object {
            id: "id".to_owned(),
            kind: Kind::Directory,
            size: 0,
            mode: None,
            modified: None,
            created_at: stored_at,
            stored_at,
            delivered: false,
        }
    }

    #[test]
    fn paths_have_one_spelling_and_none_leads_above_the_root() {
        assert_eq!(normal_path("tmp//a/./b/"), Some("/tmp/a/b".to_owned()));
        assert_eq!(normal_path("/tmp/a/../b"), Some("/tmp/b".to_owned()));
        assert_eq!(normal_path("/"), Some("/".to_owned()));
        assert_eq!(normal_path("/../etc"), None);
        assert_eq!(normal_path("/a\0b"), None);
    }

    #[test]
    fn a_listing_shows_what_lies_directly_in_a_folder_and_folders_that_only_have_something_below() {
        let mut objects = Objects::default();
        for path in ["/tmp/a", "/tmp/d/x", "/tmp/d/y", "/tmpx/z", "/tmp/b"] {
            objects.put(path, folder(Duration::ZERO));
        }
        let names = |directory: &str| -> Vec<(String, bool)> {
            objects.list(directory).into_iter().map(|listed| (listed.name, listed.object.is_some())).collect()
        };
        assert_eq!(names("/tmp"), [("a".to_owned(), true), ("b".to_owned(), true), ("d".to_owned(), false)]);
        assert_eq!(names("/"), [("tmp".to_owned(), false), ("tmpx".to_owned(), false)]);
        assert_eq!(names("/none"), []);
    }

    #[test]
    fn an_object_that_is_replaced_keeps_its_id_and_its_time_of_creation() {
        let mut objects = Objects::default();
        objects.put("/a", folder(Duration::from_secs(1)));
        objects.put("/a", Object { id: "other".to_owned(), ..folder(Duration::from_secs(5)) });
        let object = objects.get("/a").unwrap();
        assert_eq!((object.id.as_str(), object.created_at.as_secs(), object.stored_at.as_secs()), ("id", 1, 5));
    }
}
