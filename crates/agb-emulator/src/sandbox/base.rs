//! The emulator's own directory: made at the start, removed at the end, swept by the next emulator if this one died.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::FlockOperation;

const NAME_PREFIX: &str = "agb-emulator-";
/// Held locked as long as its emulator lives: the kernel drops the lock with the process, whatever ends it, so unlike a
/// process id it can't be mistaken, not even from a container that shares the directory.
const MARKER: &str = ".agb-emulator";

/// A directory that belongs to one running emulator.
#[derive(Debug)]
pub(super) struct BaseDirectory {
    path: PathBuf,
    _lock: File,
    sessions: AtomicU64,
}

impl BaseDirectory {
    /// Sweeps what dead emulators left in `parent`, then makes a directory there.
    pub(super) fn create(parent: &Path) -> io::Result<BaseDirectory> {
        fs::create_dir_all(parent)?;
        let parent = parent.canonicalize()?;
        sweep(&parent);
        let path = make_directory(&parent)?;
        let mut lock = File::create_new(path.join(MARKER))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        writeln!(lock, "made by the process {}", std::process::id())?;
        Ok(BaseDirectory { path, _lock: lock, sessions: AtomicU64::new(0) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A new directory for a session; the number keeps two sessions with like names apart.
    pub(super) fn session_directory(&self, session_id: &str) -> io::Result<PathBuf> {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        let readable: String =
            session_id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_').take(48).collect();
        let path = self.path.join(format!("{number}-{readable}"));
        // Others may pass through: the session's user has to reach the directories that belong to it.
        fs::DirBuilder::new().mode(0o711).create(&path)?;
        Ok(path)
    }

    pub(super) fn remove(&self) {
        remove_tree(&self.path);
    }
}

impl Drop for BaseDirectory {
    fn drop(&mut self) {
        self.remove();
    }
}

fn make_directory(parent: &Path) -> io::Result<PathBuf> {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut last_error = io::Error::from(io::ErrorKind::AlreadyExists);
    for attempt in 0..100 {
        let path = parent.join(format!("{NAME_PREFIX}{}-{started}-{attempt}", std::process::id()));
        match fs::DirBuilder::new().mode(0o711).create(&path) {
            Ok(()) => {
                // The umask may have taken away what the session's user needs.
                fs::set_permissions(&path, fs::Permissions::from_mode(0o711))?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last_error = error,
            Err(error) => return Err(error),
        }
    }
    Err(last_error)
}

/// Removes the directories of dead emulators. What can't be read or is not surely ours stays.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(NAME_PREFIX));
        if ours && is_abandoned(&entry.path()) {
            remove_tree(&entry.path());
        }
    }
}

fn is_abandoned(path: &Path) -> bool {
    let marker = path.join(MARKER);
    if !belongs_to_us(path, fs::Metadata::is_dir) || !belongs_to_us(&marker, fs::Metadata::is_file) {
        return false;
    }
    let Ok(file) = File::open(&marker) else { return false };
    // An empty marker is one whose emulator is about to lock it.
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
        && file.metadata().is_ok_and(|meta| meta.len() > 0)
}

/// Never through a link: anybody may place one in a shared directory.
fn belongs_to_us(path: &Path, is_right_kind: impl Fn(&fs::Metadata) -> bool) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|meta| is_right_kind(&meta) && meta.uid() == rustix::process::geteuid().as_raw())
}

/// Removes a directory with all in it, also where the session took away its own rights.
pub(super) fn remove_tree(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            allow_removal(path);
            if let Err(error) = fs::remove_dir_all(path) {
                tracing::warn!("{} could not be removed: {error}", path.display());
            }
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("{} could not be removed: {error}", path.display());
        }
        _ => {}
    }
}

fn allow_removal(directory: &Path) {
    // A failure shows when the directory is removed.
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            allow_removal(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_emulators_directory_is_swept_and_a_living_ones_stays() {
        let parent = tempfile::tempdir().unwrap();
        let alive = BaseDirectory::create(parent.path()).unwrap();
        let dead = parent.path().join("agb-emulator-1-1-0");
        fs::create_dir_all(dead.join("0-session/home")).unwrap();
        fs::write(dead.join(MARKER), "made by the process 1").unwrap();

        let next = BaseDirectory::create(parent.path()).unwrap();

        assert!(!dead.exists());
        assert!(alive.path().exists());
        assert_ne!(alive.path(), next.path());
    }

    #[test]
    fn what_is_not_surely_ours_is_never_swept() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("precious");
        fs::create_dir_all(&target).unwrap();
        fs::write(target.join(MARKER), "made by the process 1").unwrap();
        std::os::unix::fs::symlink(&target, parent.path().join("agb-emulator-1-1-0")).unwrap();
        let unmarked = parent.path().join("agb-emulator-2-2-0");
        fs::create_dir_all(&unmarked).unwrap();
        let unfinished = parent.path().join("agb-emulator-3-3-0");
        fs::create_dir_all(&unfinished).unwrap();
        fs::write(unfinished.join(MARKER), "").unwrap();

        drop(BaseDirectory::create(parent.path()).unwrap());

        assert!(target.join(MARKER).exists());
        assert!(unmarked.exists());
        assert!(unfinished.exists());
    }

    #[test]
    fn a_tree_without_rights_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let closed = parent.path().join("tree/closed");
        fs::create_dir_all(closed.join("inner")).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        remove_tree(&parent.path().join("tree"));
        assert!(!parent.path().join("tree").exists());
    }
}
