//! How native code calls a JavaScript function: from any thread, without keeping the process alive.

use napi::Status;
use napi::bindgen_prelude::{FromNapiValue, JsValuesTupleIntoVec};
use napi::threadsafe_function::ThreadsafeFunction;

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
