//! The runtime of the addon: started at the first use, for the life of the process.
//!
//! It is our own because napi's is shut down when the last environment ends, and a handle to it then never answers.

use std::future::Future;
use std::sync::OnceLock;

use napi::{Error, Result, Status};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;

static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();

/// The handle of the runtime, which has two workers.
pub(crate) fn handle() -> Result<Handle> {
    RUNTIME
        .get_or_init(|| Builder::new_multi_thread().worker_threads(2).thread_name("agb-native").enable_all().build())
        .as_ref()
        .map(|runtime| runtime.handle().clone())
        .map_err(|error| Error::new(Status::GenericFailure, format!("Could not start the runtime: {error}")))
}

/// Starts work that no promise stands for; the handle ends it. It does not keep the process alive.
pub(crate) fn spawn<F>(work: F) -> Result<AbortHandle>
where
    F: Future<Output = ()> + Send + 'static,
{
    Ok(handle()?.spawn(work).abort_handle())
}
