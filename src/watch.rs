//! Watching a directory: `watchDirectory` and `watchDir` of `ts/modules/filesystem.ts` on this side.

use std::sync::Arc;
use std::time::Duration;

use agb_client::modules::watch;
use napi::bindgen_prelude::PromiseRaw;
use napi::{Env, Result};
use napi_derive::napi;
use tokio::sync::watch::{Receiver, channel};
use tokio::task::AbortHandle;

use crate::filesystem::NativeFileEvent;
use crate::session::{NativeRoute, NativeSession};
use crate::support::{Callback, call, promise, spawn};

/// A watch of a directory. It goes on until it is stopped, its session is gone, or its environment ends; it does not keep
/// the process alive.
#[napi]
pub struct NativeWatch {
    work: AbortHandle,
    /// Closed when the work has ended.
    running: Receiver<()>,
}

#[napi]
impl NativeWatch {
    /// Ends the watch; a call that is on its way may still come.
    #[napi]
    pub fn stop(&self) {
        self.work.abort();
    }

    /// Waits for the end. While somebody waits, the process stays alive.
    #[napi]
    pub fn ended<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, ()>> {
        let mut running = self.running.clone();
        promise(env, async move { while running.changed().await.is_ok() {} })
    }
}

#[napi]
impl NativeSession {
    /// Watches a directory; `on_events` gets each answer and returns whether it wants more. It must not throw.
    #[napi(ts_args_type = "route: NativeRoute | undefined | null, path: string, intervalMs: number, \
                           onEvents: (events: Array<NativeFileEvent>) => boolean")]
    pub fn file_watch(
        &self,
        route: Option<NativeRoute>,
        path: String,
        interval_ms: f64,
        on_events: Callback<Vec<NativeFileEvent>>,
    ) -> Result<NativeWatch> {
        let tools = self.tools(route);
        let interval = Duration::try_from_secs_f64(interval_ms / 1_000.0).unwrap_or_default();
        let on_events = Arc::new(on_events);
        let (alive, running) = channel(());
        let work = spawn(async move {
            let _alive = alive;
            watch::watch(&tools, &path, interval, |events| {
                let on_events = on_events.clone();
                let events = events.into_iter().map(NativeFileEvent::from).collect();
                async move { call(&on_events, events).await.unwrap_or(false) }
            })
            .await;
        })?;
        Ok(NativeWatch { work, running })
    }
}
