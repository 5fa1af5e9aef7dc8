//! A session in user, mount and PID namespaces of its own, made with the programs of util-linux.
//!
//! The mounts are made in one mount namespace, the session lives in a second one below it: so its processes, although
//! root in their user namespace, can neither undo a mount nor make a read-only one writable.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::SYSTEM_PATH;
use super::interpreters::Interpreter;
use super::pipes::OutputPipe;

const MOUNTS: &str = include_str!("mounts.sh");
const INIT: &str = include_str!("init.sh");
/// Many may start at once on a small machine.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The programs that make and enter namespaces.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    unshare: PathBuf,
    nsenter: PathBuf,
    setpriv: PathBuf,
}

impl Programs {
    pub(super) fn find() -> Result<Programs, String> {
        if !cfg!(target_os = "linux") {
            return Err("namespaces need Linux".to_owned());
        }
        Ok(Programs { unshare: program("unshare")?, nsenter: program("nsenter")?, setpriv: program("setpriv")? })
    }
}

fn program(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(std::env::split_paths(SYSTEM_PATH))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| format!("the program `{name}` is not installed"))
}

/// One running set of namespaces.
#[derive(Debug)]
pub(super) struct Namespace {
    /// The first process inside, as the host counts.
    init: Pid,
    outer: tokio::sync::Mutex<Option<(Child, ChildStdin)>>,
    pub(super) root: Arc<OwnedFd>,
    nsenter: PathBuf,
    setpriv: PathBuf,
}

/// What a session's namespaces are made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) programs: &'a Programs,
    /// The user that the session's processes are on the host; `None` when the emulator itself is an ordinary user.
    pub(super) user: Option<(u32, u32)>,
    /// The session's own directory.
    pub(super) directory: &'a Path,
    /// The emulator's directory, hidden from the session.
    pub(super) base: &'a Path,
    pub(super) interpreters: &'a [Interpreter],
}

impl Namespace {
    pub(super) async fn start(plan: Plan<'_>) -> io::Result<Namespace> {
        let mounts = plan.prepare_mounts()?;
        let (errors, error_writer) = OutputPipe::new(4096)?;
        let mut child = plan
            .command(mounts)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(error_writer))
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        let mut line = String::new();
        let mut reader = BufReader::new(stdout);
        let answer = tokio::time::timeout(START_LIMIT, reader.read_line(&mut line)).await;
        let pid = line.trim().strip_prefix("ready ").and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
        let (Ok(Ok(_)), Some(init)) = (answer, pid) else {
            drop(stdin);
            // It may hang in a mount; without it nothing of it is left.
            let _ = child.kill().await;
            return Err(io::Error::other(failure_text(&errors.take().text)));
        };
        let root = open_root(init)?;
        Ok(Namespace {
            init,
            outer: tokio::sync::Mutex::new(Some((child, stdin))),
            root: Arc::new(root),
            nsenter: plan.programs.nsenter.clone(),
            setpriv: plan.programs.setpriv.clone(),
        })
    }

    /// What has to stand before a command line to run it inside: root there only by name, without the capabilities that
    /// would let it pass the modes of its own files, as no file tool can.
    ///
    /// Capabilities are dropped last: an ordinary user is made by one more user namespace, whose maker needs them.
    pub(super) fn entrance(&self, as_ordinary_user: bool) -> Vec<OsString> {
        let target = format!("--target={}", self.init.as_raw_pid());
        let mut words: Vec<OsString> = vec![self.nsenter.clone().into(), target.into()];
        words.extend(["--user", "--mount", "--pid", "--preserve-credentials", "--"].map(OsString::from));
        if as_ordinary_user {
            words.extend(["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"].map(OsString::from));
        }
        words.push(self.setpriv.clone().into());
        words.extend(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"].map(OsString::from));
        words
    }

    /// Ends every process inside.
    pub(super) async fn stop(&self) {
        let Some((mut child, stdin)) = self.outer.lock().await.take() else { return };
        // The kernel ends all others with the first process; the pipe would do the same, only later.
        let _ = rustix::process::kill_process(self.init, Signal::KILL);
        drop(stdin);
        if tokio::time::timeout(STOP_LIMIT, child.wait()).await.is_err() {
            tracing::warn!("the namespaces of a session did not end within {} s", STOP_LIMIT.as_secs());
            let _ = child.kill().await;
        }
    }
}

#[cfg(target_os = "linux")]
fn open_root(init: Pid) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};

    let path = format!("/proc/{}/root", init.as_raw_pid());
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

#[cfg(not(target_os = "linux"))]
fn open_root(_init: Pid) -> io::Result<OwnedFd> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

fn failure_text(errors: &str) -> String {
    match errors.trim() {
        "" => "the namespaces were not ready in time".to_owned(),
        text => text.replace('\n', "; "),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    read_only: bool,
    source: PathBuf,
    target: PathBuf,
}

impl Plan<'_> {
    fn command(&self, mounts: Vec<Mount>) -> Command {
        let mut command = Command::new(&self.programs.unshare);
        command.env_clear().env("PATH", SYSTEM_PATH).current_dir("/").process_group(0);
        if self.user.is_none() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--mount", "--propagation", "private", "--", "/bin/sh", "-c", MOUNTS, "sh"]);
        for mount in mounts {
            command.arg(if mount.read_only { "ro" } else { "rw" }).arg(mount.source).arg(mount.target);
        }
        command.arg("--");
        if let Some((user, group)) = self.user {
            command.arg(&self.programs.setpriv);
            command.args(["--clear-groups", "--no-new-privs", "--inh-caps=-all"]);
            command.args([format!("--reuid={user}"), format!("--regid={group}"), "--".to_owned()]);
        }
        command.arg(&self.programs.unshare);
        command.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--"]);
        command.args(["/bin/sh", "-c", INIT]);
        command
    }

    /// Makes the directories that the session sees instead of the host's, and lists the mounts in their order.
    fn prepare_mounts(&self) -> io::Result<Vec<Mount>> {
        let targets = hidden_targets(self.user.is_some(), self.base);
        let mut trees = Vec::new();
        for (index, target) in targets.iter().enumerate() {
            let tree = self.directory.join(format!("mount-{index}"));
            self.make_directory(&tree)?;
            trees.push((tree, target.clone()));
        }
        let home = super::NAMESPACE_HOME;
        self.make_directory(&place_in(&trees, Path::new(home)).ok_or_else(|| no_home(home))?)?;

        let mut mounts = Vec::new();
        for path in self.visible_paths(&targets) {
            match place_in(&trees, &path) {
                Some(place) => {
                    self.make_mount_point(&path, &place)?;
                    mounts.push(Mount { read_only: true, source: path, target: place });
                }
                None if path.is_dir() && !path.starts_with("/usr") => {
                    mounts.push(Mount { read_only: true, source: path.clone(), target: path });
                }
                None => {}
            }
        }
        // The tree that covers the session's own directory comes last: after it, the sources are out of sight.
        trees.sort_by_key(|(_, target)| self.directory.starts_with(target));
        mounts.extend(trees.into_iter().map(|(source, target)| Mount { read_only: false, source, target }));
        Ok(mounts)
    }

    /// What the interpreters need, without what lies below another of them, and without what would uncover a hidden
    /// directory.
    fn visible_paths(&self, targets: &[PathBuf]) -> Vec<PathBuf> {
        let uncovers = |path: &Path| targets.iter().any(|target| target.starts_with(path));
        let mut directories: Vec<PathBuf> =
            self.interpreters.iter().flat_map(|interpreter| interpreter.directories.clone()).collect();
        directories.retain(|path| path.is_absolute() && path.is_dir() && !uncovers(path));
        let mut files: Vec<PathBuf> =
            self.interpreters.iter().flat_map(|interpreter| interpreter.files.clone()).collect();
        files.retain(|file| file.is_absolute() && !directories.iter().any(|directory| file.starts_with(directory)));
        without_nested(directories).into_iter().chain(without_nested(files)).collect()
    }

    fn make_mount_point(&self, source: &Path, place: &Path) -> io::Result<()> {
        if source.is_dir() {
            return self.make_directory(place);
        }
        if let Some(parent) = place.parent() {
            self.make_directory(parent)?;
        }
        std::fs::write(place, "")?;
        self.give(place)
    }

    /// Makes a directory and its parents below the session's, all of them the session's user's.
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        if path == self.directory || path.exists() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.make_directory(parent)?;
        }
        std::fs::create_dir(path)?;
        self.give(path)
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        let Some((user, group)) = self.user else { return Ok(()) };
        chown(path, Some(user), Some(group))
    }
}

fn no_home(home: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("the directory for {home} does not exist on this machine"))
}

/// The host's directories that a session sees its own instead of.
fn hidden_targets(is_root: bool, base: &Path) -> Vec<PathBuf> {
    let own_home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let mut wanted: Vec<PathBuf> = ["/home", "/tmp", "/var/tmp"].map(PathBuf::from).to_vec();
    wanted.extend(is_root.then(|| PathBuf::from("/root")));
    wanted.extend(own_home.map(PathBuf::from));
    wanted.push(base.to_path_buf());
    let existing = wanted.into_iter().filter_map(|path| path.canonicalize().ok());
    without_nested(existing.filter(|path| path.is_dir() && path != Path::new("/")).collect())
}

fn without_nested(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort();
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in paths {
        if !kept.iter().any(|other| path.starts_with(other)) {
            kept.push(path);
        }
    }
    kept
}

/// Where `path` lies in the trees that are mounted over the host's directories.
fn place_in(trees: &[(PathBuf, PathBuf)], path: &Path) -> Option<PathBuf> {
    trees.iter().find_map(|(tree, target)| path.strip_prefix(target).ok().map(|rest| tree.join(rest)))
}

/// The `PATH` of a session: the interpreters' directories, then the system's.
pub(super) fn search_path(interpreters: &[Interpreter]) -> OsString {
    let mut directories: Vec<&OsStr> = Vec::new();
    for interpreter in interpreters {
        let directory = interpreter.executable.parent().map(Path::as_os_str);
        directories.extend(directory.filter(|directory| !directories.contains(directory)));
    }
    directories.push(OsStr::new(SYSTEM_PATH));
    directories.join(OsStr::new(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_paths_are_dropped() {
        let paths = ["/home/u/x", "/home", "/homes", "/tmp"].map(PathBuf::from).to_vec();
        assert_eq!(without_nested(paths), ["/home", "/homes", "/tmp"].map(PathBuf::from).to_vec());
    }

    #[test]
    fn the_mount_over_the_session_directory_comes_last_and_nothing_uncovers_a_hidden_directory() {
        let base = tempfile::tempdir_in("/tmp").unwrap();
        let directory = base.path().join("session");
        std::fs::create_dir(&directory).unwrap();
        let Ok(programs) = Programs::find() else { return };
        let interpreter = Interpreter {
            executable: "/tmp/x/python".into(),
            version: String::new(),
            directories: vec!["/".into(), "/tmp".into()],
            files: vec![],
        };
        let interpreters = [interpreter];
        let plan = Plan {
            programs: &programs,
            user: None,
            directory: &directory,
            base: base.path(),
            interpreters: &interpreters,
        };
        let Ok(mounts) = plan.prepare_mounts() else { return };
        assert_eq!(mounts.last().unwrap().target, Path::new("/tmp").canonicalize().unwrap());
        assert!(mounts.iter().all(|mount| !mount.read_only), "{mounts:?}");
    }
}
