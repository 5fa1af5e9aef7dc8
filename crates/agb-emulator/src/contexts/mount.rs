//! What a session mounts: a context at a path, with the policies of its synchronisation.

use serde_json::{Map, Value};

use super::{
    objects::{joined, normal_path},
    recycle::{self, Rule},
};

/// A context at a path of a session.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mount {
    pub(crate) context_id: String,
    /// As the client wrote it: answers repeat it so.
    pub(crate) path: String,
    /// The directory in the session.
    pub(crate) place: String,
    /// The directory in the context: the same, unless the data were stored from somewhere else.
    pub(crate) stored: String,
    pub(crate) policy: Policy,
}

/// How a mount is synchronised; the default is what the service does without a policy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    /// Whether to store the files before the session is released.
    pub(crate) auto_upload: bool,
    /// One archive instead of single files.
    pub(crate) archive: bool,
    /// Whether to bring what is stored when the session begins.
    pub(crate) auto_download: bool,
    /// Whether what is gone from the session goes from the context.
    pub(crate) delete_missing: bool,
    /// Whether archives are unpacked on their way to the session.
    pub(crate) extract: bool,
    /// Whether the session is spared an unpacked archive itself.
    pub(crate) delete_source: bool,
    /// Whether a ZIP file is unpacked beside itself, and not into a directory of its own.
    pub(crate) extract_here: bool,
    /// For how long what is stored is kept.
    pub(crate) recycle: Vec<Rule>,
    /// What alone is synchronised; empty: everything.
    pub(crate) only: Vec<Listed>,
}

/// One entry of a white list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    path: String,
    /// Below the mount or below `path`: both spellings are in use.
    excluded: Vec<String>,
}

/// What to do with something met below a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pick {
    Take,
    /// Not itself, but something below it may be wanted.
    LookBelow,
    Leave,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            auto_upload: true,
            archive: false,
            auto_download: true,
            delete_missing: true,
            extract: true,
            delete_source: true,
            extract_here: false,
            recycle: Vec::new(),
            only: Vec::new(),
        }
    }
}

impl Policy {
    /// Whether the white list lets something through, by its path below the mount.
    pub(crate) fn pick(&self, relative: &str) -> Pick {
        if self.only.is_empty() {
            return Pick::Take;
        }
        let picks = self.only.iter().map(|listed| listed.pick(relative));
        picks.min_by_key(|pick| *pick as u8).unwrap_or(Pick::Leave)
    }
}

impl Listed {
    fn pick(&self, relative: &str) -> Pick {
        if !is_in(relative, &self.path) {
            return if is_in(&self.path, relative) { Pick::LookBelow } else { Pick::Leave };
        }
        let is_excluded = |excluded: &String| {
            let full = joined(&self.path, excluded);
            is_in(relative, excluded) || is_in(relative, full.trim_start_matches('/'))
        };
        if self.excluded.iter().any(is_excluded) { Pick::Leave } else { Pick::Take }
    }
}

/// Whether a path is another one or below it; both relative, and an empty one is everything.
fn is_in(path: &str, other: &str) -> bool {
    other.is_empty() || path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reads `persistenceDataList`.
///
/// # Errors
///
/// The message names the member that is wrong.
pub(crate) fn read_mounts(list: &[Value]) -> Result<Vec<Mount>, String> {
    let mut mounts: Vec<Mount> = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let at = format!("persistenceDataList[{index}]");
        let mount = read_mount(entry, &at)?;
        if mounts.iter().any(|other| other.place == mount.place) {
            return Err(format!("{at}.path: {} is given twice; one path can hold one context", mount.place));
        }
        mounts.push(mount);
    }
    Ok(mounts)
}

fn read_mount(entry: &Value, at: &str) -> Result<Mount, String> {
    let entry = entry.as_object().ok_or_else(|| format!("{at} must be an object"))?;
    let context_id = required(entry, "contextId", at)?;
    let path = required(entry, "path", at)?;
    let place = directory(&path).ok_or_else(|| format!("{at}.path must be an absolute path below /, not {path}"))?;
    let policy_at = format!("{at}.policy");
    let policy = match entry.get("policy") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(policy)) => policy.clone(),
        Some(Value::String(text)) => match serde_json::from_str(text) {
            Ok(Value::Object(policy)) => policy,
            _ => return Err(format!("{policy_at} must hold a JSON object")),
        },
        Some(_) => return Err(format!("{policy_at} must be JSON in a string")),
    };
    let mapping = section(&policy, "mappingPolicy", &policy_at)?;
    let stored = match text(&mapping, "path", &policy_at)? {
        None => place.clone(),
        Some(path) => directory(path)
            .ok_or_else(|| format!("{policy_at}.mappingPolicy.path must be an absolute path below /, not {path}"))?,
    };
    let policy = read_policy(&policy, &stored, &policy_at)?;
    Ok(Mount { context_id, path, place, stored, policy })
}

fn directory(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return None;
    }
    normal_path(path).filter(|path| path != "/")
}

fn read_policy(policy: &Map<String, Value>, stored: &str, at: &str) -> Result<Policy, String> {
    let upload = section(policy, "uploadPolicy", at)?;
    let download = section(policy, "downloadPolicy", at)?;
    let delete = section(policy, "deletePolicy", at)?;
    let extract = section(policy, "extractPolicy", at)?;
    one_of(&upload, "uploadStrategy", &["UploadBeforeResourceRelease"], at)?;
    one_of(&download, "downloadStrategy", &["DownloadAsync"], at)?;
    Ok(Policy {
        auto_upload: flag(&upload, "autoUpload", true, at)?,
        archive: one_of(&upload, "uploadMode", &["File", "Archive"], at)? == Some("Archive"),
        auto_download: flag(&download, "autoDownload", true, at)?,
        delete_missing: flag(&delete, "syncLocalFile", true, at)?,
        extract: flag(&extract, "extract", true, at)?,
        delete_source: flag(&extract, "deleteSrcFile", true, at)?,
        // An archive that this emulator made always fills its own directory.
        extract_here: flag(&extract, "extractToCurrentFolder", false, at)?,
        recycle: read_recycle(&section(policy, "recyclePolicy", at)?, stored, at)?,
        only: read_white_lists(&section(policy, "bwList", at)?, at)?,
    })
}

fn read_recycle(policy: &Map<String, Value>, stored: &str, at: &str) -> Result<Vec<Rule>, String> {
    let Some(name) = text(policy, "lifecycle", at)? else { return Ok(Vec::new()) };
    let keeps_for = recycle::lifecycle(name).ok_or_else(|| format!("{at}: there is no lifecycle {name}"))?;
    let paths = texts(policy, "paths", at)?;
    let paths = if paths.is_empty() { vec![String::new()] } else { paths };
    paths.iter().map(|path| Ok(Rule { path: joined(stored, &relative(path, at)?), keeps_for })).collect()
}

fn read_white_lists(policy: &Map<String, Value>, at: &str) -> Result<Vec<Listed>, String> {
    let mut only = Vec::new();
    for entry in array(policy, "whiteLists", at)? {
        let entry = entry.as_object().ok_or_else(|| format!("{at}: each entry of whiteLists must be an object"))?;
        let path = relative(text(entry, "path", at)?.unwrap_or_default(), at)?;
        let excluded = texts(entry, "excludePaths", at)?;
        let excluded: Result<Vec<String>, String> =
            excluded.iter().filter(|path| !path.trim_matches('/').is_empty()).map(|path| relative(path, at)).collect();
        only.push(Listed { path, excluded: excluded? });
    }
    Ok(only)
}

/// A path below the mount, without a slash at its ends.
fn relative(path: &str, at: &str) -> Result<String, String> {
    if path.contains(['*', '?', '[', ']']) {
        return Err(format!("{at}: wildcards are not supported in paths, and {path} has one"));
    }
    let path = normal_path(path).ok_or_else(|| format!("{at}: the path {path} leads out of the mount"))?;
    Ok(path.trim_start_matches('/').to_owned())
}

fn required(object: &Map<String, Value>, name: &str, at: &str) -> Result<String, String> {
    match object.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(format!("{at}.{name} is required")),
    }
}

fn section(policy: &Map<String, Value>, name: &str, at: &str) -> Result<Map<String, Value>, String> {
    match policy.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(section)) => Ok(section.clone()),
        Some(_) => Err(format!("{at}.{name} must be an object")),
    }
}

fn flag(section: &Map<String, Value>, name: &str, default: bool, at: &str) -> Result<bool, String> {
    match section.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(format!("{at}: {name} must be true or false")),
    }
}

fn text<'a>(section: &'a Map<String, Value>, name: &str, at: &str) -> Result<Option<&'a str>, String> {
    match section.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{at}: {name} must be a string")),
    }
}

fn one_of<'a>(
    section: &'a Map<String, Value>,
    name: &str,
    known: &[&str],
    at: &str,
) -> Result<Option<&'a str>, String> {
    match text(section, name, at)? {
        Some(value) if !known.contains(&value) => {
            Err(format!("{at}: {name} must be {}, not {value}", known.join(" or ")))
        }
        value => Ok(value),
    }
}

fn array<'a>(section: &'a Map<String, Value>, name: &str, at: &str) -> Result<&'a [Value], String> {
    match section.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(entries)) => Ok(entries),
        Some(_) => Err(format!("{at}: {name} must be an array")),
    }
}

fn texts(section: &Map<String, Value>, name: &str, at: &str) -> Result<Vec<String>, String> {
    let entries = array(section, name, at)?.iter();
    let texts: Option<Vec<String>> = entries.map(|entry| entry.as_str().map(str::to_owned)).collect();
    texts.ok_or_else(|| format!("{at}: {name} must hold strings"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn mount(policy: Value) -> Result<Mount, String> {
        let entry = json!({"contextId": "c", "path": "/tmp/m/", "policy": policy.to_string()});
        read_mounts(&[entry]).map(|mut mounts| mounts.remove(0))
    }

    #[test]
    fn without_a_policy_everything_is_brought_and_stored_as_single_files() {
        let mounts = read_mounts(&[json!({"contextId": "c", "path": "/tmp/m/"})]).unwrap();
        assert_eq!(
            mounts,
            [Mount {
                context_id: "c".to_owned(),
                path: "/tmp/m/".to_owned(),
                place: "/tmp/m".to_owned(),
                stored: "/tmp/m".to_owned(),
                policy: Policy::default(),
            }]
        );
    }

    #[test]
    fn every_member_of_a_policy_is_read() {
        let read = mount(json!({
            "uploadPolicy": {"autoUpload": false, "uploadStrategy": "UploadBeforeResourceRelease", "uploadMode": "Archive"},
            "downloadPolicy": {"autoDownload": false, "downloadStrategy": "DownloadAsync"},
            "deletePolicy": {"syncLocalFile": false},
            "extractPolicy": {"extract": false, "deleteSrcFile": false, "extractToCurrentFolder": true},
            "recyclePolicy": {"lifecycle": "Lifecycle_1Day", "paths": ["/logs", ""]},
            "bwList": {"whiteLists": [{"path": "/src", "excludePaths": ["/node_modules"]}]},
            "mappingPolicy": {"path": "/home/old"},
        }))
        .unwrap();
        assert_eq!(read.stored, "/home/old");
        let day = Some(Duration::from_secs(86_400));
        let rule = |path: &str| Rule { path: path.to_owned(), keeps_for: day };
        assert_eq!(
            read.policy,
            Policy {
                auto_upload: false,
                archive: true,
                auto_download: false,
                delete_missing: false,
                extract: false,
                delete_source: false,
                extract_here: true,
                recycle: vec![rule("/home/old/logs"), rule("/home/old")],
                only: vec![Listed { path: "src".to_owned(), excluded: vec!["node_modules".to_owned()] }],
            }
        );
    }

    #[test]
    fn a_white_list_takes_what_it_names_and_leaves_what_it_excludes() {
        let lists = json!({"whiteLists": [{"path": "/src", "excludePaths": ["/tmp", "/src/out"]}, {"path": "/a/b"}]});
        let policy = mount(json!({"bwList": lists})).unwrap().policy;
        for (path, pick) in [
            ("src", Pick::Take),
            ("src/main.rs", Pick::Take),
            ("src/tmp/x", Pick::Leave),
            ("src/out", Pick::Leave),
            ("srcs", Pick::Leave),
            ("a", Pick::LookBelow),
            ("a/b", Pick::Take),
            ("a/c", Pick::Leave),
        ] {
            assert_eq!(policy.pick(path), pick, "{path}");
        }
        assert_eq!(Policy::default().pick("anything"), Pick::Take);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (policy, word) in [
            (json!({"uploadPolicy": {"uploadMode": "Zip"}}), "uploadMode"),
            (json!({"uploadPolicy": {"autoUpload": "yes"}}), "autoUpload"),
            (json!({"recyclePolicy": {"lifecycle": "Lifecycle_7Days"}}), "Lifecycle_7Days"),
            (json!({"recyclePolicy": {"lifecycle": "Lifecycle_1Day", "paths": ["/a*"]}}), "/a*"),
            (json!({"bwList": {"whiteLists": [{"path": "/../x"}]}}), "leads out"),
            (json!({"mappingPolicy": {"path": "relative"}}), "mappingPolicy"),
            (json!([]), "policy"),
        ] {
            let error = mount(policy).unwrap_err();
            assert!(error.contains(word), "{word} in {error}");
        }
        assert!(read_mounts(&[json!({"contextId": "c", "path": "tmp"})]).unwrap_err().contains("absolute"));
        assert!(read_mounts(&[json!({"contextId": "c", "path": "/"})]).unwrap_err().contains("below /"));
        assert!(read_mounts(&[json!({"path": "/a"})]).unwrap_err().contains("contextId"));
        let twice = json!({"contextId": "c", "path": "/a"});
        assert!(read_mounts(&[twice.clone(), twice]).unwrap_err().contains("twice"));
    }
}
