//! The machine: its directory, its interpreters, and the isolation that a trial showed to work.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use tokio::process::Command;
use tokio::sync::Mutex;

use super::base::{BaseDirectory, remove_tree};
use super::interpreters::{self, Interpreter, Language};
use super::namespace::{Namespace, Plan, Programs};
use super::process::Invocation;
use super::{NAMESPACE_HOME, running::Running};

/// `nobody` and its group: an ordinary user that owns nothing.
const ORDINARY_USER: (u32, u32) = (65534, 65534);

/// How sessions are kept apart (docs/emulator.md, section Isolation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// User, mount and PID namespaces per session, with its own `/tmp` and `/home` (Linux).
    Namespace,
    /// Processes of the host that see the host's real paths.
    Plain,
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isolation::Namespace => "namespace",
            Isolation::Plain => "plain",
        })
    }
}

impl FromStr for Isolation {
    type Err = String;

    /// Reads a name; the error is what stands behind the name of the option.
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "namespace" => Ok(Isolation::Namespace),
            "plain" => Ok(Isolation::Plain),
            other => Err(format!("must be namespace or plain, not {other:?}")),
        }
    }
}

/// What the emulator may be told about its machine; the default finds everything out.
#[derive(Debug, Clone, Default)]
pub struct HostOptions {
    /// The isolation to use; by default the trial decides.
    pub isolation: Option<Isolation>,
    /// The Python to try first; by default those on `PATH`, in their order.
    pub python: Option<PathBuf>,
    /// The Node.js to try first; by default those on `PATH`, in their order.
    pub node: Option<PathBuf>,
    /// Where the emulator's own directory is made; by default the system's directory for temporary files.
    pub base_directory: Option<PathBuf>,
}

/// The machine as the sandboxes need it: isolation, interpreters, directory.
#[derive(Debug)]
pub struct Host {
    base: BaseDirectory,
    user: Option<(u32, u32)>,
    found: Found,
}

/// What a look at the machine found.
#[derive(Debug, Clone)]
struct Found {
    isolation: Isolation,
    programs: Option<Programs>,
    python: Result<Interpreter, String>,
    node: Result<Interpreter, String>,
    java: Result<Interpreter, String>,
    r: Result<Interpreter, String>,
    notes: Vec<String>,
}

/// What the findings depend on: the same question need not be asked twice in one process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    isolation: Option<Isolation>,
    given: [Option<(PathBuf, Option<SystemTime>)>; 2],
    path: Option<OsString>,
    home: Option<OsString>,
    temporary: PathBuf,
}

/// Looking at the machine runs every interpreter on `PATH`; a test suite starts many emulators.
static ANSWERS: LazyLock<Mutex<HashMap<Question, Found>>> = LazyLock::new(Mutex::default);

impl Question {
    fn of(options: &HostOptions, parent: &Path) -> Self {
        let dated = |path: &Option<PathBuf>| {
            let path = path.clone()?;
            let changed = path.metadata().and_then(|metadata| metadata.modified()).ok();
            Some((path, changed))
        };
        Self {
            isolation: options.isolation,
            given: [dated(&options.python), dated(&options.node)],
            path: std::env::var_os("PATH"),
            home: std::env::var_os("HOME"),
            temporary: parent.to_path_buf(),
        }
    }
}

impl Found {
    /// With a fresh look for what is looked for cheaply.
    fn with_others(self) -> Self {
        Self { java: interpreters::locate(Language::Java), r: interpreters::locate(Language::R), ..self }
    }

    /// An interpreter may have been removed meanwhile, and a missing one may have been installed.
    fn still_holds(&self) -> bool {
        [&self.python, &self.node].into_iter().all(|found| found.as_ref().is_ok_and(|it| it.executable.is_file()))
    }
}

impl Host {
    /// Finds out what this machine offers: sweeps what dead emulators left, finds the interpreters, and tries
    /// namespaces for real.
    ///
    /// # Errors
    ///
    /// When the emulator's directory can't be made, or namespaces were asked for and don't work.
    pub async fn probe(options: HostOptions) -> io::Result<Arc<Host>> {
        let parent = options.base_directory.clone().unwrap_or_else(std::env::temp_dir);
        let user = rustix::process::geteuid().is_root().then_some(ORDINARY_USER);
        let question = Question::of(&options, &parent);
        let base = BaseDirectory::create(&parent)?;
        // Held while looking, so that emulators that start together look once.
        let mut answers = ANSWERS.lock().await;
        let found = match answers.get(&question).filter(|found| found.still_holds()) {
            Some(found) => found.clone().with_others(),
            None => Look { base: &base, user }.around(&options).await?,
        };
        answers.insert(question, found.clone());
        Ok(Arc::new(Host { base, user, found }))
    }

    /// The isolation that sessions get.
    pub fn isolation(&self) -> Isolation {
        self.found.isolation
    }

    /// The choice and its reasons, the interpreters, and what was found wrong; lines for a person to read.
    pub fn summary(&self) -> String {
        let mut lines = vec![format!("isolation: {}", self.isolation())];
        for language in Language::ALL {
            lines.push(match self.interpreter(language) {
                Ok(found) if found.version.is_empty() => format!("{language}: {}", found.executable.display()),
                Ok(found) => format!("{language}: {} ({})", found.executable.display(), found.version),
                Err(reason) => format!("{language}: {reason}"),
            });
        }
        lines.extend(self.found.notes.iter().cloned());
        lines.join("\n")
    }

    /// Removes the emulator's directory with all in it. The sandboxes have to be stopped before.
    pub async fn close(&self) {
        self.base.remove();
    }

    /// Where the emulator keeps what contexts store; not made yet.
    pub(crate) fn contexts_directory(&self) -> PathBuf {
        self.base.path().join("contexts")
    }

    /// Are a session's processes kept from making sandboxes of their own? As root's processes made another user, and inside
    /// namespaces, they are.
    pub(crate) fn confines(&self) -> bool {
        self.user.is_some() || self.isolation() == Isolation::Namespace
    }

    pub(super) fn base(&self) -> &BaseDirectory {
        &self.base
    }

    pub(super) fn user(&self) -> Option<(u32, u32)> {
        self.user
    }

    /// The interpreter of a language, or what to do to get one.
    pub(crate) fn interpreter(&self, language: Language) -> Result<&Interpreter, &str> {
        match language {
            Language::Python => self.found.python.as_ref(),
            Language::JavaScript => self.found.node.as_ref(),
            Language::Java => self.found.java.as_ref(),
            Language::R => self.found.r.as_ref(),
        }
        .map_err(String::as_str)
    }

    pub(super) fn interpreters(&self) -> Vec<Interpreter> {
        let found = &self.found;
        [&found.python, &found.node, &found.java, &found.r].into_iter().flatten().cloned().collect()
    }

    /// How to make a session's namespaces; `None` in plain mode.
    pub(super) fn programs(&self) -> Option<&Programs> {
        self.found.programs.as_ref()
    }

    /// Makes a directory that belongs to the session's user, with its parents below `directory`.
    pub(super) fn make_owned(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)?;
        let Some((user, group)) = self.user else { return Ok(()) };
        chown(path, Some(user), Some(group))
    }
}

/// A look at the machine.
struct Look<'a> {
    base: &'a BaseDirectory,
    user: Option<(u32, u32)>,
}

impl Look<'_> {
    async fn around(&self, options: &HostOptions) -> io::Result<Found> {
        let mut found = Found {
            isolation: Isolation::Plain,
            programs: None,
            python: Err(String::new()),
            node: Err(String::new()),
            java: interpreters::locate(Language::Java),
            r: interpreters::locate(Language::R),
            notes: Vec::new(),
        };
        let candidates = Candidates::find(options, &mut found.notes).await;
        self.choose_isolation(&mut found, options.isolation, &candidates).await?;
        if found.programs.is_none() {
            self.choose_interpreters(&mut found, &candidates, None).await;
        }
        Ok(found)
    }

    async fn choose_isolation(
        &self,
        found: &mut Found,
        forced: Option<Isolation>,
        candidates: &Candidates,
    ) -> io::Result<()> {
        if forced == Some(Isolation::Plain) {
            found.notes.push("namespaces were not tried: plain isolation was asked for".to_owned());
            return Ok(());
        }
        match self.try_namespaces(found, candidates).await {
            Ok(programs) => {
                found.isolation = Isolation::Namespace;
                found.programs = Some(programs);
                Ok(())
            }
            Err(reason) if forced.is_some() => Err(io::Error::other(format!("namespaces don't work here: {reason}"))),
            Err(reason) => {
                found.notes.push(format!("namespaces don't work here: {reason}"));
                Ok(())
            }
        }
    }

    /// Makes a session's namespaces, writes in them, reads it back on both sides, and runs the interpreters inside.
    async fn try_namespaces(&self, found: &mut Found, candidates: &Candidates) -> Result<Programs, String> {
        let programs = Programs::find()?;
        let directory = self.base.session_directory("trial").map_err(|error| error.to_string())?;
        let located = found.java.iter().chain(&found.r);
        let interpreters: Vec<Interpreter> =
            candidates.python.iter().chain(&candidates.node).chain(located).cloned().collect();
        let plan = Plan {
            programs: &programs,
            user: self.user,
            directory: &directory,
            base: self.base.path(),
            interpreters: &interpreters,
        };
        let namespace = match Namespace::start(plan).await {
            Ok(namespace) => namespace,
            Err(error) => {
                remove_tree(&directory);
                return Err(error.to_string());
            }
        };
        let trial = Running::trial(namespace, self.user, directory.clone());
        let outcome = check_files(&trial).await;
        if outcome.is_ok() {
            self.choose_interpreters(found, candidates, Some(&trial)).await;
        }
        trial.stop().await;
        remove_tree(&directory);
        outcome.map(|()| programs)
    }

    /// In the trial's namespaces, or as plain processes.
    async fn choose_interpreters(&self, found: &mut Found, candidates: &Candidates, trial: Option<&Running>) {
        (found.python, found.node) = tokio::join!(
            first_working(Language::Python, &candidates.python, trial, self.user),
            first_working(Language::JavaScript, &candidates.node, trial, self.user),
        );
    }
}

struct Candidates {
    python: Vec<Interpreter>,
    node: Vec<Interpreter>,
}

impl Candidates {
    async fn find(options: &HostOptions, notes: &mut Vec<String>) -> Candidates {
        let mut node_notes = Vec::new();
        let (python, node) = tokio::join!(
            interpreters::discover(Language::Python, options.python.as_deref(), notes),
            interpreters::discover(Language::JavaScript, options.node.as_deref(), &mut node_notes),
        );
        notes.append(&mut node_notes);
        Candidates { python, node }
    }
}

/// What is written inside has to be read inside; the home and the temporary directory must not be the host's; the
/// host's secrets must not be readable.
async fn check_files(trial: &Running) -> Result<(), String> {
    let word = format!("{:016x}", fastrand::u64(..));
    let script = format!(
        "set -e; echo {word} >/tmp/trial; echo {word} >{NAMESPACE_HOME}/trial; cat /tmp/trial {NAMESPACE_HOME}/trial; \
         if cat /etc/shadow >/dev/null 2>&1; then echo shadow; fi"
    );
    let argv = ["/bin/sh", "-c", script.as_str()].map(Into::into).to_vec();
    let answer = interpreters::output_of(&mut trial.command(&Invocation::of(argv))).await?;
    if answer != format!("{word}\n{word}\n") {
        return Err(format!("the trial read {answer:?} where it had written {word}"));
    }
    if std::fs::exists("/tmp/trial").unwrap_or(true)
        && std::fs::read_to_string("/tmp/trial").is_ok_and(|text| text.trim() == word)
    {
        return Err("the trial wrote to the host's /tmp".to_owned());
    }
    Ok(())
}

/// The first candidate that runs where and as whom sessions run.
async fn first_working(
    language: Language,
    candidates: &[Interpreter],
    trial: Option<&Running>,
    user: Option<(u32, u32)>,
) -> Result<Interpreter, String> {
    let mut reasons = Vec::new();
    for candidate in candidates {
        let mut command = match trial {
            Some(trial) => {
                let argv = std::iter::once(candidate.executable.clone().into())
                    .chain(language.proof().map(Into::into))
                    .collect();
                trial.command(&Invocation::of(argv))
            }
            None => plain_command(candidate, language, user),
        };
        match interpreters::output_of(&mut command).await {
            Ok(text) if text.trim() == "ok" => return Ok(candidate.clone()),
            Ok(text) => reasons.push(format!("{} printed {text:?}", candidate.executable.display())),
            Err(reason) => reasons.push(format!("{}: {reason}", candidate.executable.display())),
        }
    }
    let how = language.how_to_get();
    Err(match reasons.as_slice() {
        [] => format!("none found; {how}"),
        _ => format!("none works as the session's user ({}); {how}", reasons.join("; ")),
    })
}

fn plain_command(candidate: &Interpreter, language: Language, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(&candidate.executable);
    command.args(language.proof()).env_clear().env("PATH", super::SYSTEM_PATH).current_dir("/");
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command
}
