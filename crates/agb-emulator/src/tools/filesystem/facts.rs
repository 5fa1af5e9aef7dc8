//! What the system says about one file.

use rustix::fs::{FileType, Stat};

/// The facts of one file, with field types that are the same on every system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) kind: FileType,
    pub(super) size_bytes: u64,
    /// Permission bits with set-id and sticky bits.
    pub(super) permissions: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) modified: Time,
    pub(super) status_changed: Time,
}

/// Seconds since 1970 and nanoseconds.
pub(super) type Time = (i64, i32);

impl Facts {
    #[allow(clippy::unnecessary_cast, reason = "the field types of Stat differ between systems")]
    pub(super) fn new(stat: &Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode as _),
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            permissions: stat.st_mode as u32 & 0o7777,
            uid: stat.st_uid as u32,
            gid: stat.st_gid as u32,
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i32),
            status_changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i32),
        }
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }

    pub(super) fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }
}

/// The name of a kind of file, as `get_file_info` and error texts give it.
pub(super) fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Unknown => "file of an unknown kind",
    }
}
