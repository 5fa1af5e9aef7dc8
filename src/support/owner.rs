//! Who owns what lives longer than a call: the JavaScript environment that made it, as a number.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use agb_client::lifecycle::release::owner_ended;
use napi::{Env, Result, sys};

static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The numbers of the environments that live on this thread.
    static OWNERS: RefCell<Vec<(sys::napi_env, u64)>> = const { RefCell::new(Vec::new()) };
}

/// The number of an environment. When the environment ends (a worker is over or is terminated, the main loop drains), the
/// release of what it owned begins in the background; the end of the process waits for it.
pub(crate) fn owner(env: &Env) -> Result<u64> {
    let known =
        OWNERS.with_borrow(|owners| owners.iter().find(|(known, _)| *known == env.raw()).map(|(_, number)| *number));
    if let Some(number) = known {
        return Ok(number);
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    env.add_env_cleanup_hook(number, |number| {
        OWNERS.with_borrow_mut(|owners| owners.retain(|(_, known)| *known != number));
        owner_ended(number);
    })?;
    OWNERS.with_borrow_mut(|owners| owners.push((env.raw(), number)));
    Ok(number)
}
