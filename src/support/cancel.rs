//! How JavaScript gives up on a native call: `ts/support/abort.ts` on this side.

use std::future::Future;
use std::sync::Arc;

use napi_derive::napi;
use tokio::sync::Notify;

/// Gives up one call, made with it; may be used before, during and after the call.
#[napi]
pub struct NativeCancel {
    wish: Arc<Notify>,
}

#[napi]
impl NativeCancel {
    /// Nothing is given up yet.
    #[napi(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript calls it")]
    pub fn new() -> Self {
        Self { wish: Arc::new(Notify::new()) }
    }

    /// Gives the call up; calling twice is fine.
    #[napi]
    pub fn cancel(&self) {
        // The wish is kept until the call looks for it.
        self.wish.notify_one();
    }
}

impl NativeCancel {
    /// Done when the call is given up; for calls that still have something to do then.
    pub(crate) fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        let wish = Arc::clone(&self.wish);
        async move { wish.notified().await }
    }

    /// Runs `future` until it is done or given up: then it is dropped, and there is no value.
    pub(crate) fn unless_cancelled<F: Future>(&self, future: F) -> impl Future<Output = Option<F::Output>> + use<F> {
        let cancelled = self.cancelled();
        async move {
            tokio::select! {
                biased;
                () = cancelled => None,
                value = future => Some(value),
            }
        }
    }
}
