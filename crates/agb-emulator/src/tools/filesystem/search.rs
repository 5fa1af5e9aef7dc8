//! `search_files`.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use super::error::FileError;
use super::tree::{self, Then};
use super::{Context, one_path_a_line};
use crate::tools::ToolArgs;
use crate::tools::filesystem::{text, texts};

/// What a name is compared with.
enum Pattern {
    /// A glob on the name.
    Name(GlobMatcher),
    /// A glob with a `/`, on the path below the directory searched.
    Path(GlobMatcher),
    /// Part of the name.
    Part(String),
}

impl Pattern {
    fn new(text: &str) -> Result<Self, FileError> {
        if !text.contains(['*', '?', '[']) {
            return Ok(Self::Part(text.to_owned()));
        }
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        let glob = glob.map_err(|error| FileError::new(format!("Invalid pattern: {error}")))?;
        let matcher = glob.compile_matcher();
        Ok(if text.contains('/') { Self::Path(matcher) } else { Self::Name(matcher) })
    }

    fn matches(&self, name: &OsStr, relative: &Path) -> bool {
        match self {
            Self::Name(glob) => glob.is_match(name),
            Self::Path(glob) => glob.is_match(relative),
            Self::Part(part) => name.to_string_lossy().contains(part.as_str()),
        }
    }
}

/// Files and directories whose names fit, as absolute paths, sorted; links are found but not followed.
pub(super) fn search_files(context: &Context, args: &ToolArgs) -> Result<String, FileError> {
    let path = context.view.path(text(args, "path"))?;
    let pattern = Pattern::new(text(args, "pattern"))?;
    let excluded = texts(args, "excludePatterns").chain(texts(args, "exclude_patterns"));
    let excluded = excluded.map(Pattern::new).collect::<Result<Vec<_>, _>>()?;
    let directory = context.view.open_directory(&path)?;
    let mut found = Vec::new();
    tree::each(directory.as_fd(), context.deadline, &mut |visit| {
        if excluded.iter().any(|excluded| excluded.matches(visit.name, visit.relative)) {
            return Ok(Then::Pass);
        }
        if pattern.matches(visit.name, visit.relative) {
            found.push(path.join(visit.relative));
        }
        Ok(Then::Descend)
    })?;
    if found.is_empty() {
        return Ok("No matches found".to_owned());
    }
    found.sort_unstable();
    context.fitting(one_path_a_line(&found))
}
