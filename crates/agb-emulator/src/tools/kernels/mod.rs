//! The live interpreters of a session: one per language, started at the first use.

mod frames;
mod kernel;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;

pub(crate) use self::kernel::{Kernel, Outcome, Piece, RunRequest, in_tenths};
use crate::sandbox::Language;

const PYTHON: &str = include_str!("python.py");
const JAVASCRIPT: &str = include_str!("javascript.cjs");

const JAVA: &str = include_str!("java.java");
const JAVA_START: &str = include_str!("java.sh");
const R: &str = include_str!("r.R");

/// The command line that makes an interpreter a kernel.
fn command_line(language: Language, executable: &Path) -> Vec<OsString> {
    let executable = OsString::from(executable);
    match language {
        Language::Python => vec![executable, "-c".into(), PYTHON.into()],
        Language::JavaScript => vec![executable, "-e".into(), JAVASCRIPT.into()],
        Language::Java => {
            vec!["/bin/sh".into(), "-c".into(), JAVA_START.into(), "sh".into(), executable, JAVA.into()]
        }
        Language::R => {
            let requests = "agb_requests <- fifo('/dev/fd/3', 'rb', blocking = TRUE)";
            let kernel =
                format!("eval(parse(text = readLines(agb_requests, {}), encoding = 'UTF-8'))", R.lines().count());
            vec![executable, "--vanilla".into(), "-e".into(), format!("{requests}; {kernel}").into()]
        }
    }
}

/// What a kernel reads before its first request.
fn preamble(language: Language) -> &'static str {
    match language {
        Language::R => R,
        Language::Python | Language::JavaScript | Language::Java => "",
    }
}

/// Whether a kernel is interrupted by a signal; the others take a request for it while they run.
fn is_interrupted_by_signal(language: Language) -> bool {
    language == Language::R
}

/// A kernel, or the place for one. Locked during a run: the runs of one language in one session come one after another.
pub(crate) type Slot = Arc<Mutex<Option<Kernel>>>;

/// The kernels of one session.
#[derive(Debug, Default)]
pub(crate) struct Kernels {
    python: Slot,
    javascript: Slot,
    java: Slot,
    r: Slot,
}

impl Kernels {
    pub(crate) fn slot(&self, language: Language) -> Slot {
        Arc::clone(match language {
            Language::Python => &self.python,
            Language::JavaScript => &self.javascript,
            Language::Java => &self.java,
            Language::R => &self.r,
        })
    }

    /// Waits for the end of all kernels. Their session is released, so none starts any more.
    pub(crate) async fn close(&self) {
        for slot in [&self.python, &self.javascript, &self.java, &self.r] {
            if let Some(mut kernel) = slot.lock().await.take() {
                kernel.kill().await;
            }
        }
    }
}
