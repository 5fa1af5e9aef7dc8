//! Messages that the service pushes: `ts/push.ts` on this side.

use std::sync::{Mutex, PoisonError};

use agb_client::{Push, PushSubscription};
use napi::bindgen_prelude::PromiseRaw;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, Result};
use napi_derive::napi;

use crate::session::{NativeRoute, NativeSession};
use crate::support::{Callback, Outcome, outcome, promise, to_json};

/// A message that was pushed.
#[napi(object, object_from_js = false)]
pub struct NativePush {
    /// The message's own id.
    pub request_id: String,
    /// Who it is for.
    pub target: String,
    /// What it says: a JSON object.
    pub data: String,
}

impl From<Push> for NativePush {
    fn from(push: Push) -> Self {
        Self { request_id: push.request_id, target: push.target, data: to_json(&push.data) }
    }
}

/// A listener that hears pushes.
#[napi]
pub struct NativePushListener {
    subscription: Mutex<Option<PushSubscription>>,
}

impl From<PushSubscription> for NativePushListener {
    fn from(subscription: PushSubscription) -> Self {
        Self { subscription: Mutex::new(Some(subscription)) }
    }
}

#[napi]
impl NativePushListener {
    /// Ends it; a message that is on its way may still come.
    #[napi]
    pub fn close(&self) {
        self.subscription.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[napi]
impl NativeSession {
    /// Calls `on_push`, which must not throw, for what is pushed to `target`. It does not keep the process alive.
    #[napi(ts_args_type = "route: NativeRoute | undefined | null, target: string, onPush: (push: NativePush) => void")]
    pub fn on_push<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        target: String,
        on_push: Callback<NativePush, ()>,
    ) -> Result<PromiseRaw<'env, Outcome<NativePushListener>>> {
        let session = self.tools(route);
        promise(env, async move {
            let subscription = session.on_push(&target, telling(on_push)).await;
            outcome(subscription.map(NativePushListener::from))
        })
    }

    /// The same without a connection: `connectListeners` makes it.
    #[napi(ts_args_type = "target: string, onPush: (push: NativePush) => void")]
    pub fn listen(&self, target: String, on_push: Callback<NativePush, ()>) -> NativePushListener {
        self.session().listen(&target, telling(on_push)).into()
    }

    /// Connects for those who listen, as it is done after the connection broke.
    #[napi]
    pub fn connect_listeners<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, ()>> {
        let session = self.session();
        promise(env, async move { session.connect_listeners().await })
    }
}

fn telling(on_push: Callback<NativePush, ()>) -> impl Fn(Push) + Send + Sync + 'static {
    move |push| {
        // Fails when the environment has ended, and nobody can listen any more.
        on_push.call(push.into(), ThreadsafeFunctionCallMode::NonBlocking);
    }
}
