//! The live interpreters of a session: one per language, started at the first use.

mod frames;
mod kernel;

use std::ffi::OsString;
use std::sync::Arc;

use tokio::sync::Mutex;

pub(crate) use self::kernel::{Kernel, Outcome, RunRequest};
use crate::sandbox::Language;

const PYTHON: &str = include_str!("python.py");
const JAVASCRIPT: &str = include_str!("javascript.cjs");

/// What makes an interpreter a kernel.
fn arguments(language: Language) -> [OsString; 2] {
    match language {
        Language::Python => ["-c".into(), PYTHON.into()],
        Language::JavaScript => ["-e".into(), JAVASCRIPT.into()],
    }
}

/// A kernel, or the place for one. Locked during a run: the runs of one language in one session come one after another.
pub(crate) type Slot = Arc<Mutex<Option<Kernel>>>;

/// The kernels of one session.
#[derive(Debug, Default)]
pub(crate) struct Kernels {
    python: Slot,
    javascript: Slot,
}

impl Kernels {
    pub(crate) fn slot(&self, language: Language) -> Slot {
        Arc::clone(match language {
            Language::Python => &self.python,
            Language::JavaScript => &self.javascript,
        })
    }

    /// Waits for the end of all kernels. Their session is released, so none starts any more.
    pub(crate) async fn close(&self) {
        for slot in [&self.python, &self.javascript] {
            if let Some(mut kernel) = slot.lock().await.take() {
                kernel.kill().await;
            }
        }
    }
}
