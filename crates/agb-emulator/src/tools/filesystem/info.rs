//! `get_file_info` and `list_directory`.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::FileType;

use super::Context;
use super::error::FileError;
use super::facts::{Facts, Time, kind_name};
use super::tree::entries;
use super::view::View;
use crate::tools::ToolArgs;
use crate::tools::filesystem::text;

/// What ids without a meaning in a user namespace look like there.
const UNMAPPED: u32 = 65_534;

/// Lines `key: value` with everything that any client looks for.
pub(super) fn get_file_info(context: &Context, args: &ToolArgs) -> Result<String, FileError> {
    let path = context.view.path(text(args, "path"))?;
    let facts = context.view.facts(&path)?;
    let is_link =
        context.view.entry(&path).and_then(|entry| entry.facts().map_err(|errno| FileError::at(errno, &path)));
    let is_link = is_link.is_ok_and(|facts| facts.kind == FileType::Symlink);
    let owner = Owner::of(context, &facts);
    let name = path.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned());
    let modified = iso(facts.modified);
    let lines = [
        ("name", name),
        ("path", path.to_string_lossy().into_owned()),
        ("size", facts.size_bytes.to_string()),
        ("type", kind_name(facts.kind).to_owned()),
        ("isDirectory", facts.is_dir().to_string()),
        ("isFile", facts.is_file().to_string()),
        ("isSymlink", is_link.to_string()),
        ("modTime", modified.clone()),
        ("modified", modified),
        ("created", iso(created(context, &path).unwrap_or(facts.status_changed))),
        ("mode", mode(&facts)),
        ("permissions", format!("{:03o}", facts.permissions)),
        ("owner", owner.user),
        ("group", owner.group),
        ("uid", owner.uid.to_string()),
        ("gid", owner.gid.to_string()),
    ];
    // A name may hold a line feed, which must not begin a line of its own.
    let lines = lines.map(|(key, value)| format!("{key}: {}", one_line(&value)));
    Ok(lines.join("\n"))
}

/// One `[DIR] name` or `[FILE] name` a line, sorted by name; a link counts as what it leads to.
pub(super) fn list_directory(context: &Context, args: &ToolArgs) -> Result<String, FileError> {
    let path = context.view.path(text(args, "path"))?;
    let directory = context.view.open_directory(&path)?;
    let entries = entries(directory.as_fd()).map_err(|errno| FileError::of("Directory", errno, &path))?;
    let mut answer = String::new();
    for (name, kind) in entries {
        context.deadline.check()?;
        let is_directory = match kind {
            FileType::Directory => true,
            FileType::Symlink => context.view.facts(&path.join(&name)).is_ok_and(|facts| facts.is_dir()),
            _ => false,
        };
        if !answer.is_empty() {
            answer.push('\n');
        }
        answer.push_str(if is_directory { "[DIR] " } else { "[FILE] " });
        answer.push_str(&one_line(&name.to_string_lossy()));
    }
    context.fitting(answer)
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], "?")
}

/// ISO 8601 in UTC, with nanoseconds.
fn iso((seconds, nanoseconds): Time) -> String {
    jiff::Timestamp::new(seconds, nanoseconds).map_or_else(|_| String::new(), |time| format!("{time:.9}"))
}

#[cfg(target_os = "linux")]
fn created(context: &Context, path: &Path) -> Option<Time> {
    use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, statx};

    let file = context.view.open(path, OFlags::PATH, Mode::empty()).ok()?;
    let facts = statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok()?;
    // Not every file system keeps it.
    let known = facts.stx_mask & StatxFlags::BTIME.bits() != 0;
    known.then(|| Some((facts.stx_btime.tv_sec, i32::try_from(facts.stx_btime.tv_nsec).ok()?))).flatten()
}

#[cfg(not(target_os = "linux"))]
fn created(_context: &Context, _path: &Path) -> Option<Time> {
    None
}

/// Kind and rights as `ls -l` shows them.
fn mode(facts: &Facts) -> String {
    let kind = match facts.kind {
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::CharacterDevice => 'c',
        FileType::BlockDevice => 'b',
        _ => '-',
    };
    let bit = |mask: u32, letter: char| if facts.permissions & mask == 0 { '-' } else { letter };
    let run = |execute: u32, special: u32, both: char, alone: char| match (
        facts.permissions & execute != 0,
        facts.permissions & special != 0,
    ) {
        (true, true) => both,
        (false, true) => alone,
        (true, false) => 'x',
        (false, false) => '-',
    };
    let rights = [
        kind,
        bit(0o400, 'r'),
        bit(0o200, 'w'),
        run(0o100, 0o4000, 's', 'S'),
        bit(0o040, 'r'),
        bit(0o020, 'w'),
        run(0o010, 0o2000, 's', 'S'),
        bit(0o004, 'r'),
        bit(0o002, 'w'),
        run(0o001, 0o1000, 't', 'T'),
    ];
    rights.iter().collect()
}

/// Owner and group as the session's own processes see them.
struct Owner {
    uid: u32,
    gid: u32,
    user: String,
    group: String,
}

impl Owner {
    fn of(context: &Context, facts: &Facts) -> Self {
        match &context.view {
            View::Rooted { user, .. } => Self::mapped(*user, facts),
            View::Plain(_) => Self {
                uid: facts.uid,
                gid: facts.gid,
                user: name_of("/etc/passwd", facts.uid),
                group: name_of("/etc/group", facts.gid),
            },
        }
    }

    /// In its user namespace the session's user is root, and nobody else exists.
    fn mapped((uid, gid): (u32, u32), facts: &Facts) -> Self {
        let (user, uid) = if facts.uid == uid { ("root", 0) } else { ("nobody", UNMAPPED) };
        let (group, gid) = if facts.gid == gid { ("root", 0) } else { ("nogroup", UNMAPPED) };
        Self { uid, gid, user: user.to_owned(), group: group.to_owned() }
    }
}

/// The name of an id in a table of `name:password:id:…` lines; the id itself if it has none.
fn name_of(table: &str, id: u32) -> String {
    let id = id.to_string();
    let table = std::fs::read_to_string(table).unwrap_or_default();
    let found = table.lines().find(|line| line.split(':').nth(2) == Some(id.as_str()));
    let name = found.and_then(|line| line.split(':').next()).map(str::to_owned);
    name.unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(kind: FileType, permissions: u32) -> Facts {
        Facts {
            kind,
            size_bytes: 0,
            permissions,
            uid: 7,
            gid: 8,
            device: 0,
            inode: 0,
            modified: (0, 0),
            status_changed: (0, 0),
        }
    }

    #[test]
    fn mode_reads_like_ls() {
        assert_eq!(mode(&facts(FileType::RegularFile, 0o644)), "-rw-r--r--");
        assert_eq!(mode(&facts(FileType::Directory, 0o1777)), "drwxrwxrwt");
        assert_eq!(mode(&facts(FileType::RegularFile, 0o4750)), "-rwsr-x---");
        assert_eq!(mode(&facts(FileType::RegularFile, 0o2640)), "-rw-r-S---");
    }

    #[test]
    fn times_always_have_a_fraction() {
        assert_eq!(iso((1_700_000_000, 5)), "2023-11-14T22:13:20.000000005Z");
        assert_eq!(iso((0, 0)), "1970-01-01T00:00:00.000000000Z");
    }

    #[test]
    fn the_sessions_user_is_root_and_others_are_nobody() {
        let file = facts(FileType::RegularFile, 0o644);
        let own = Owner::mapped((7, 8), &file);
        assert_eq!((own.uid, own.gid, own.user.as_str(), own.group.as_str()), (0, 0, "root", "root"));
        let other = Owner::mapped((1, 1), &file);
        assert_eq!(
            (other.uid, other.gid, other.user.as_str(), other.group.as_str()),
            (65_534, 65_534, "nobody", "nogroup")
        );
    }

    #[test]
    fn an_id_without_a_name_stays_a_number() {
        assert_eq!(name_of("/etc/passwd", 4_000_000_001), "4000000001");
        assert_eq!(name_of("/no/such/table", 5), "5");
    }
}
