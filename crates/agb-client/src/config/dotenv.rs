//! `.env` files: `NAME=value` lines, `#` comments, `export`, single and double quotes.

use std::collections::BTreeMap;
use std::io::ErrorKind as IoErrorKind;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// The only variables that are taken from a file.
const NAMES: [&str; 3] = [super::API_KEY, super::ENDPOINT, super::TIMEOUT_MS];
/// Nobody writes a larger one by hand.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads a file that somebody named.
///
/// # Errors
/// [`ErrorKind::Config`] when it doesn't exist or can't be read.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = read_text(path).map_err(|error| unreadable(path, error))?;
    Ok(parse(&text))
}

/// Reads a file that may be missing.
///
/// # Errors
/// [`ErrorKind::Config`] when it is there and can't be read.
pub(super) fn read_if_present(path: &Path) -> Result<BTreeMap<String, String>> {
    match read_text(path) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if is_absent(&error, path) => Ok(BTreeMap::new()),
        Err(error) => Err(unreadable(path, error)),
    }
}

/// A directory named `.env` (a Python environment, say) is not a file of settings.
fn is_absent(error: &std::io::Error, path: &Path) -> bool {
    matches!(error.kind(), IoErrorKind::NotFound | IoErrorKind::NotADirectory) || path.is_dir()
}

fn read_text(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > MAX_FILE_BYTES {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("the settings file {} can't be read: {error}", path.display()))
        .with_source(error)
}

/// The last value of each known name; lines that are no assignment are skipped.
fn parse(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let Some((name, value)) = assignment(line) else { continue };
        if NAMES.contains(&name) {
            values.insert(name.to_owned(), value);
        }
    }
    values
}

fn assignment(line: &str) -> Option<(&str, String)> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    Some((name.trim(), unquote(value.trim())))
}

fn unquote(value: &str) -> String {
    for quote in ['"', '\'', '`'] {
        let Some((inside, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) else { continue };
        return if quote == '"' { inside.replace("\\n", "\n").replace("\\r", "\r") } else { inside.to_owned() };
    }
    value.split_once('#').map_or(value, |(before, _)| before).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<String> {
        parse(text).remove("AGB_API_KEY")
    }

    #[test]
    fn assignments_are_read_with_quotes_comments_and_export() {
        assert_eq!(value("AGB_API_KEY=ako-1").as_deref(), Some("ako-1"));
        assert_eq!(value("  export AGB_API_KEY = 'a b' # mine").as_deref(), Some("a b"));
        assert_eq!(value("AGB_API_KEY=\"a#b\"\r\n").as_deref(), Some("a#b"));
        assert_eq!(value("AGB_API_KEY=ako-1 # mine").as_deref(), Some("ako-1"));
        assert_eq!(value("\u{feff}AGB_API_KEY=x=y").as_deref(), Some("x=y"));
    }

    #[test]
    fn comments_and_nonsense_are_skipped_and_the_last_line_wins() {
        assert_eq!(value("# AGB_API_KEY=no\nnonsense\n=\n"), None);
        assert_eq!(value("AGB_API_KEY=one\nAGB_API_KEY=two").as_deref(), Some("two"));
        assert_eq!(value("AGB_API_KEY='open").as_deref(), Some("'open"));
    }

    #[test]
    fn only_our_variables_are_taken() {
        assert_eq!(parse("PATH=/evil\nAGB_LOG_LEVEL=DEBUG\nAGB_ENDPOINT=h").len(), 1);
    }

    #[test]
    fn a_named_file_must_exist_and_the_default_one_need_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".env");
        let error = read(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(&path.display().to_string()));
        assert!(read_if_present(&path).unwrap().is_empty());
        std::fs::create_dir(&path).unwrap();
        assert!(read_if_present(&path).unwrap().is_empty());
    }
}
