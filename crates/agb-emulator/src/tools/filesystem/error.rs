//! Why a file tool failed, in the words of its answer.

use std::path::Path;

use rustix::io::Errno;

/// Longest piece of a path that an error text repeats, in characters.
const SHOWN_PATH_CHARS: usize = 300;

/// A failure of file work: what the tool answers, and the system's error where there was one.
#[derive(Debug)]
pub(super) struct FileError {
    pub(super) text: String,
    pub(super) errno: Option<Errno>,
}

impl FileError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), errno: None }
    }

    /// A system error on a path, in words that clients and their users look for.
    pub(super) fn at(errno: Errno, path: &Path) -> Self {
        Self::of("File", errno, path)
    }

    /// The same, where something else than a file was wanted: a directory, a source.
    pub(super) fn of(wanted: &str, errno: Errno, path: &Path) -> Self {
        let path = shown(path);
        let text = match errno {
            Errno::NOENT => format!("{wanted} not found: {path} (No such file or directory)"),
            Errno::ACCESS | Errno::PERM => format!("Permission denied: {path}"),
            Errno::ISDIR => format!("Is a directory: {path}"),
            Errno::NOTDIR => format!("Not a directory: {path}"),
            Errno::EXIST => format!("Already exists: {path} (File exists)"),
            Errno::LOOP => format!("Too many levels of symbolic links: {path}"),
            Errno::NAMETOOLONG => format!("File name too long: {path}"),
            // The kernel refuses to follow these links for anyone but the process they belong to.
            Errno::XDEV => format!("Leads through a link that only its own process can follow: {path}"),
            other => format!("{path}: {}", std::io::Error::from(other)),
        };
        Self { text, errno: Some(errno) }
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.errno == Some(Errno::NOENT)
    }
}

/// A path as error texts show it: shortened.
pub(super) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    match text.char_indices().nth(SHOWN_PATH_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into_owned(),
    }
}
