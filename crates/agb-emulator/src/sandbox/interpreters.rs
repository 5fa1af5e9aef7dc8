//! The interpreters of this machine: found on the host, asked where they live, proven to run as the session's user.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use tokio::process::Command;

/// An interpreter that hangs at its start is none. All of them start at once, on a small machine too.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

const ASK_PYTHON: &str = "
import json, os, sys
if sys.version_info < (3, 8):
    sys.exit('Python 3.8 or newer is needed')
executable = sys.executable
directories = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, os.path.dirname(os.__file__)]
print(json.dumps({'executable': executable, 'version': sys.version.split()[0],
                  'directories': directories + [os.path.realpath(d) for d in directories]}))
";

const ASK_NODE: &str = "
const fs = require('fs'), path = require('path');
if (Number(process.versions.node.split('.')[0]) < 18) throw 'Node.js 18 or newer is needed';
const executable = fs.realpathSync(process.execPath);
const prefix = path.dirname(path.dirname(executable));
const own = ['include/node', 'lib/node_modules'].some((name) => fs.existsSync(path.join(prefix, name)));
console.log(JSON.stringify({ executable, version: process.versions.node, directories: own ? [prefix] : [] }));
";

/// A language with a live interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    Python,
    JavaScript,
    Java,
    R,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Python => "Python",
            Language::JavaScript => "JavaScript",
            Language::Java => "Java",
            Language::R => "R",
        })
    }
}

impl Language {
    /// Every language, in the order in which people are told of them.
    pub(crate) const ALL: [Self; 4] = [Self::Python, Self::JavaScript, Self::Java, Self::R];

    fn commands(self) -> &'static [&'static str] {
        match self {
            Language::Python => &["python3", "python"],
            Language::JavaScript => &["node", "nodejs"],
            Language::Java => &["java"],
            Language::R => &["Rscript"],
        }
    }

    /// Arguments that make the interpreter tell about itself; `None`: asking takes too long, see [`locate`].
    fn question(self) -> Option<[&'static str; 2]> {
        match self {
            Language::Python => Some(["-c", ASK_PYTHON]),
            Language::JavaScript => Some(["-e", ASK_NODE]),
            Language::Java | Language::R => None,
        }
    }

    /// Arguments that make the interpreter print `ok`.
    pub(super) fn proof(self) -> [&'static str; 2] {
        match self {
            Language::Python => ["-c", "import json, threading; print('ok')"],
            Language::JavaScript => ["-e", "console.log('ok')"],
            // Not asked at the start, but good manners all the same.
            Language::Java => ["-version", ""],
            Language::R => ["-e", "cat('ok')"],
        }
    }

    /// What a person does to get this language.
    pub(super) fn how_to_get(self) -> &'static str {
        match self {
            Language::Python => "install Python 3.8 or newer, or name one with the option `python`",
            Language::JavaScript => "install Node.js 18 or newer, or name one with the option `node`",
            Language::Java => {
                "install a JDK 17 or newer, with jshell (on Debian and Ubuntu: apt-get install openjdk-17-jdk-headless)"
            }
            Language::R => "install R (on Debian and Ubuntu: apt-get install r-base-core)",
        }
    }
}

/// An interpreter that answered on the host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Interpreter {
    /// What is run.
    pub(crate) executable: PathBuf,
    pub(super) version: String,
    /// What has to be visible at its own path for the interpreter to work.
    pub(super) directories: Vec<PathBuf>,
    /// The same for single files: the links between the executable's name and the program.
    #[serde(default)]
    pub(super) files: Vec<PathBuf>,
}

/// Everything of this machine that answers as `language`, best first; the reasons of what does not are added to `notes`.
pub(super) async fn discover(language: Language, given: Option<&Path>, notes: &mut Vec<String>) -> Vec<Interpreter> {
    let mut found: Vec<Interpreter> = Vec::new();
    let candidates = candidates(language, given);
    let answers = join_all(candidates.iter().map(|candidate| ask(language, candidate))).await;
    for (candidate, answer) in candidates.iter().zip(answers) {
        match answer {
            Ok(interpreter) if found.iter().all(|known| known.executable != interpreter.executable) => {
                found.push(interpreter);
            }
            Ok(_) => {}
            Err(reason) if given == Some(candidate.as_path()) => {
                notes.push(format!("{language}: {} does not work: {reason}", candidate.display()));
            }
            Err(reason) => tracing::debug!("{} is no {language}: {reason}", candidate.display()),
        }
    }
    found
}

/// The interpreter of a language whose programs take so long to start that they are only looked for: Java needs a JDK with
/// jshell. That it works shows at its first use.
pub(super) fn locate(language: Language) -> Result<Interpreter, String> {
    let mut candidates = candidates(language, None);
    if let (Language::Java, Some(home)) = (language, std::env::var_os("JAVA_HOME")) {
        candidates.insert(0, Path::new(&home).join("bin/java"));
    }
    let found = candidates.into_iter().find_map(|candidate| located(language, candidate));
    found.ok_or_else(|| format!("none found; {}", language.how_to_get()))
}

fn located(language: Language, executable: PathBuf) -> Option<Interpreter> {
    let program = executable.canonicalize().ok()?;
    let home = program.parent()?.parent()?;
    if language == Language::Java && !home.join("bin/jshell").is_file() {
        return None;
    }
    Some(Interpreter {
        version: version_in(&home.join("release")),
        directories: vec![home.to_path_buf()],
        files: link_chain(&executable),
        executable,
    })
}

/// What a JDK says of itself, without being started; empty where it says nothing.
fn version_in(release: &Path) -> String {
    let text = std::fs::read_to_string(release).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="));
    line.map(|version| version.trim_matches('"').to_owned()).unwrap_or_default()
}

fn candidates(language: Language, given: Option<&Path>) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates: Vec<PathBuf> = given.map(Path::to_path_buf).into_iter().collect();
    let usual = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    for directory in std::env::split_paths(&path).filter(|path| path.is_absolute()).chain(usual) {
        for command in language.commands() {
            let candidate = directory.join(command);
            let known = candidate.canonicalize().map_or(true, |real| {
                candidates.iter().any(|other| other.canonicalize().is_ok_and(|other| other == real))
            });
            // A link into a virtual environment's base is another interpreter than the base.
            let is_environment = directory.parent().is_some_and(|parent| parent.join("pyvenv.cfg").exists());
            if candidate.is_file() && (!known || is_environment) {
                candidates.push(candidate);
            }
        }
    }
    candidates
}

async fn ask(language: Language, program: &Path) -> Result<Interpreter, String> {
    let Some(question) = language.question() else { return Err("it is not asked".to_owned()) };
    let mut command = Command::new(program);
    command.args(question);
    let answer = output_of(&mut command).await?;
    let mut interpreter: Interpreter =
        serde_json::from_str(answer.trim()).map_err(|error| format!("its answer can't be read: {error}"))?;
    interpreter.files = link_chain(&interpreter.executable);
    Ok(interpreter)
}

/// Every path on the way from `path` through its links to the file itself.
fn link_chain(path: &Path) -> Vec<PathBuf> {
    let mut chain = vec![path.to_path_buf()];
    let mut current = path.to_path_buf();
    while let Ok(target) = std::fs::read_link(&current) {
        current = current.parent().unwrap_or(Path::new("/")).join(target);
        if chain.len() > 40 {
            break;
        }
        chain.push(current.clone());
    }
    chain.extend(path.canonicalize());
    chain.retain(|file| file.components().all(|part| part.as_os_str() != OsStr::new("..")));
    chain.dedup();
    chain
}

/// What a short command prints, or why it failed.
pub(super) async fn output_of(command: &mut Command) -> Result<String, String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(ANSWER_LIMIT, command.output())
        .await
        .map_err(|_| format!("no answer within {} s", ANSWER_LIMIT.as_secs()))?
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let reason = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Err(format!("{} ({reason})", output.status))
}
