//! How native code calls a JavaScript function: from any thread, without keeping the process alive.

use napi::bindgen_prelude::{FromNapiValue, JsValuesTupleIntoVec};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Result, Status};
use tokio::sync::mpsc;

/// A JavaScript function that native code may call from any thread. It is weak: only a pending promise keeps the process
/// alive. It must not throw; `ts/support/callback.ts` sees to that for functions of users.
pub(crate) type Callback<T, Returned = bool> = ThreadsafeFunction<T, Returned, T, Status, false, true>;

/// Calls the function and waits until it has returned; `None` when the environment has ended.
pub(crate) async fn call<T, Returned>(callback: &Callback<T, Returned>, value: T) -> Option<Returned>
where
    T: JsValuesTupleIntoVec + Send + 'static,
    Returned: FromNapiValue + Send + 'static,
{
    callback.call_async(value).await.ok()
}

/// Calls a function without waiting for it, in the order of the calls, and waits for all of them at the end.
pub(crate) struct Emitter<T: JsValuesTupleIntoVec + 'static> {
    callback: Callback<T, ()>,
    /// A clone goes with each call and is dropped when the function has returned, or never will.
    under_way: mpsc::Sender<()>,
    returned: mpsc::Receiver<()>,
}

impl<T: JsValuesTupleIntoVec + Send + 'static> Emitter<T> {
    pub(crate) fn new(callback: Callback<T, ()>) -> Self {
        let (under_way, returned) = mpsc::channel(1);
        Self { callback, under_way, returned }
    }

    /// Has the function called with `event`.
    pub(crate) fn emit(&self, event: T) {
        let mark = self.under_way.clone();
        let returned = move |_: Result<()>, _| {
            drop(mark);
            Ok(())
        };
        self.callback.call_with_return_value(event, ThreadsafeFunctionCallMode::NonBlocking, returned);
    }

    /// Waits until every call has returned.
    pub(crate) async fn all_returned(self) {
        let Self { callback: _callback, under_way, mut returned } = self;
        drop(under_way);
        while returned.recv().await.is_some() {}
    }
}
