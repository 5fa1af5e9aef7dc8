//! How a native future becomes a JavaScript promise: the one seam that every asynchronous native method goes through.
//!
//! One queue per environment carries all settled promises to the JavaScript thread; a burst of results needs one wake-up
//! instead of one each. The queue's threadsafe function is unreferenced while no promise is pending, so an open session
//! or emulator never keeps the process alive, and a pending call does. When the environment ends (a terminated worker),
//! a cleanup hook closes the queue under its lock: results that come later are dropped on the thread they came from.
//!
//! This file is one of the two that may hold unsafe code: Node-API is a C interface.

#![allow(unsafe_code, reason = "Node-API is a C interface; every call here is made as its documentation demands")]

use std::cell::RefCell;
use std::ffi::c_void;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use napi::bindgen_prelude::{PromiseRaw, ToNapiValue};
use napi::{Env, Error, JsError, Result, Status, check_status, sys};

use super::runtime;

/// Starts `future` on the addon's runtime and returns the promise of its value.
///
/// The future owns everything it needs: the object whose method was called may be gone before it ends.
pub(crate) fn promise<'env, T, F>(env: &'env Env, future: F) -> Result<PromiseRaw<'env, T>>
where
    F: Future<Output = T> + Send + 'static,
    T: ToNapiValue + Send + 'static,
{
    let queue = Queue::of(env.raw())?;
    let runtime = runtime::handle()?;
    let mut deferred = ptr::null_mut();
    let mut value = ptr::null_mut();
    // SAFETY: `env` is the environment of the call in progress, and both out-pointers are valid.
    check_status!(
        unsafe { sys::napi_create_promise(env.raw(), &mut deferred, &mut value) },
        "Failed to create promise"
    )?;
    queue.hold(env.raw());

    let deferred = Deferred(deferred);
    runtime.spawn(async move {
        let outcome = AssertUnwindSafe(future).catch_unwind().await;
        queue.enqueue(Settled {
            deferred,
            convert: Box::new(move |env| match outcome {
                // SAFETY: runs on the JavaScript thread of `env`, inside its callback scope.
                Ok(value) => unsafe { T::to_napi_value(env, value) },
                Err(panic) => Err(Error::new(Status::GenericFailure, panic_message(panic.as_ref()))),
            }),
        });
    });
    Ok(PromiseRaw::new(env.raw(), value))
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    format!("native code panicked: {text}")
}

/// Turns a settled value into a JavaScript value, on the JavaScript thread.
type Convert = Box<dyn FnOnce(sys::napi_env) -> Result<sys::napi_value> + Send>;

struct Deferred(sys::napi_deferred);

// SAFETY: a deferred is an opaque handle; other threads only carry it, the JavaScript thread alone uses it.
unsafe impl Send for Deferred {}

struct Settled {
    deferred: Deferred,
    convert: Convert,
}

/// All settled promises of one environment on their way to its JavaScript thread.
struct Queue {
    /// Promises not yet settled; only the JavaScript thread changes it.
    pending: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    /// Null once the environment has begun to end.
    wake: sys::napi_threadsafe_function,
    /// Is a wake-up on its way that has not yet taken what is ready?
    scheduled: bool,
    ready: Vec<Settled>,
}

// SAFETY: a threadsafe function may be called from any thread; `state` is only reached through its lock.
unsafe impl Send for State {}

thread_local! {
    /// The queues of the environments that live on this thread (an environment never leaves its thread).
    static QUEUES: RefCell<Vec<(sys::napi_env, Arc<Queue>)>> = const { RefCell::new(Vec::new()) };
}

impl Queue {
    fn of(env: sys::napi_env) -> Result<Arc<Self>> {
        let known = QUEUES
            .with_borrow(|queues| queues.iter().find(|(owner, _)| *owner == env).map(|(_, queue)| Arc::clone(queue)));
        match known {
            Some(queue) => Ok(queue),
            None => Self::create(env),
        }
    }

    fn create(env: sys::napi_env) -> Result<Arc<Self>> {
        let queue = Arc::new(Self {
            pending: AtomicUsize::new(0),
            state: Mutex::new(State { wake: ptr::null_mut(), scheduled: false, ready: Vec::new() }),
        });
        let mut name = ptr::null_mut();
        let mut wake = ptr::null_mut();
        let label = "agbcloud-native";
        // SAFETY: `label` outlives the call, which copies it.
        check_status!(unsafe {
            sys::napi_create_string_utf8(env, label.as_ptr().cast(), label.len() as isize, &mut name)
        })?;
        let context = Arc::into_raw(Arc::clone(&queue)).cast_mut().cast::<c_void>();
        // SAFETY: `context` stays alive until `finalize` takes it back; `drain` and `finalize` have the signatures that
        // Node-API expects.
        let status = unsafe {
            sys::napi_create_threadsafe_function(
                env,
                ptr::null_mut(),
                ptr::null_mut(),
                name,
                0,
                1,
                context,
                Some(finalize),
                context,
                Some(drain),
                &mut wake,
            )
        };
        if status != sys::Status::napi_ok {
            // SAFETY: the function was not created, so nobody else holds this count.
            drop(unsafe { Arc::from_raw(context.cast_const().cast::<Self>()) });
            return Err(Error::new(Status::from(status), "Failed to create the queue of settled promises"));
        }
        // Added after the threadsafe function's own hook, so it runs before it: hooks run in reverse order.
        // SAFETY: `close` has the signature that Node-API expects; its argument is compared, never dereferenced.
        check_status!(unsafe { sys::napi_add_env_cleanup_hook(env, Some(close), env.cast()) })?;
        // SAFETY: made above, on this thread.
        check_status!(unsafe { sys::napi_unref_threadsafe_function(env, wake) })?;
        queue.lock().wake = wake;
        QUEUES.with_borrow_mut(|queues| queues.push((env, Arc::clone(&queue))));
        Ok(queue)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more pending promise; the first keeps the process alive. JavaScript thread only.
    fn hold(&self, env: sys::napi_env) {
        if self.pending.fetch_add(1, Ordering::Relaxed) > 0 {
            return;
        }
        let state = self.lock();
        if !state.wake.is_null() {
            // SAFETY: not closed (checked under the lock), and this is the environment's thread.
            unsafe { sys::napi_ref_threadsafe_function(env, state.wake) };
        }
    }

    /// Counts `settled` promises less; the last lets the process end. JavaScript thread only.
    fn let_go(&self, env: sys::napi_env, settled: usize) {
        if self.pending.fetch_sub(settled, Ordering::Relaxed) > settled {
            return;
        }
        let state = self.lock();
        if !state.wake.is_null() {
            // SAFETY: as in `hold`.
            unsafe { sys::napi_unref_threadsafe_function(env, state.wake) };
        }
    }

    /// Hands a settled promise over; any thread.
    fn enqueue(&self, settled: Settled) {
        let mut state = self.lock();
        if state.wake.is_null() {
            return;
        }
        state.ready.push(settled);
        if state.scheduled {
            return;
        }
        state.scheduled = true;
        // SAFETY: not closed, checked under the lock that `close` takes before it closes.
        unsafe {
            sys::napi_call_threadsafe_function(
                state.wake,
                ptr::null_mut(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            );
        }
    }

    fn take_ready(&self) -> Vec<Settled> {
        let mut state = self.lock();
        state.scheduled = false;
        std::mem::take(&mut state.ready)
    }
}

/// Settles everything that is ready. Called by Node on the JavaScript thread; with a null `env` while it is ending.
unsafe extern "C" fn drain(env: sys::napi_env, _callback: sys::napi_value, context: *mut c_void, _data: *mut c_void) {
    // SAFETY: `context` is the count that `create` gave away; it is taken back only by `finalize`, later than any call.
    let queue = unsafe { &*context.cast_const().cast::<Queue>() };
    let ready = queue.take_ready();
    if env.is_null() {
        return;
    }
    let settled = ready.len();
    for promise in ready {
        let mut scope = ptr::null_mut();
        // SAFETY: on the JavaScript thread with a live environment; every scope opened is closed below.
        unsafe {
            sys::napi_open_handle_scope(env, &mut scope);
            settle(env, promise);
            sys::napi_close_handle_scope(env, scope);
        }
    }
    if settled > 0 {
        queue.let_go(env, settled);
    }
}

/// # Safety
/// On the JavaScript thread of `env`, inside a handle scope.
unsafe fn settle(env: sys::napi_env, Settled { deferred, convert }: Settled) {
    // SAFETY: as the caller promises; the deferred is settled once.
    unsafe {
        match convert(env) {
            Ok(value) => sys::napi_resolve_deferred(env, deferred.0, value),
            Err(error) => sys::napi_reject_deferred(env, deferred.0, JsError::from(error).into_value(env)),
        };
    }
}

/// Takes back the count that the threadsafe function held.
unsafe extern "C" fn finalize(_env: sys::napi_env, context: *mut c_void, _hint: *mut c_void) {
    // SAFETY: the count given away in `create`, taken back once.
    drop(unsafe { Arc::from_raw(context.cast_const().cast::<Queue>()) });
}

/// Closes the queue of an environment that is ending; what settles later is dropped where it settles.
unsafe extern "C" fn close(env: *mut c_void) {
    let env: sys::napi_env = env.cast();
    let queue = QUEUES.with_borrow_mut(|queues| {
        let position = queues.iter().position(|(owner, _)| *owner == env)?;
        Some(queues.swap_remove(position).1)
    });
    let Some(queue) = queue else { return };
    let (wake, unsettled) = {
        let mut state = queue.lock();
        (std::mem::replace(&mut state.wake, ptr::null_mut()), std::mem::take(&mut state.ready))
    };
    drop(unsettled);
    if !wake.is_null() {
        // SAFETY: still alive (its own hook runs after this one), and nobody can call it any more.
        unsafe { sys::napi_release_threadsafe_function(wake, sys::ThreadsafeFunctionReleaseMode::abort) };
    }
}
