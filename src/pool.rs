//! Pools of sessions: `ts/session-pool.ts` on this side.

use std::sync::{Mutex, PoisonError};

use agb_client::lifecycle::{Lent, PoolOptions, PoolStats, SessionPool};
use napi::bindgen_prelude::PromiseRaw;
use napi::{Env, Result};
use napi_derive::napi;

use crate::agb::{NativeAgb, NativeCreateParams};
use crate::session::NativeFoundSession;
use crate::support::{NativeCancel, NativeFailure, Outcome, outcome, promise, runtime};

/// What a pool shall be.
#[napi(object, object_to_js = false)]
pub struct NativePoolOptions {
    /// What its sessions are created with.
    pub params: NativeCreateParams,
    /// How many sessions there are at least.
    pub min: Option<f64>,
    /// How many there are at most.
    pub max: Option<f64>,
    /// How often a session is lent.
    pub max_uses: Option<f64>,
    /// How long `acquire` waits, in milliseconds.
    pub acquire_timeout_ms: Option<f64>,
}

/// What is in a pool.
#[napi(object, object_from_js = false)]
pub struct NativePoolStats {
    /// Sessions that wait for a borrower.
    pub idle: f64,
    /// Sessions that are lent.
    pub lent: f64,
    /// Sessions that are being created, or may still turn up.
    pub creating: f64,
    /// Borrowers that wait.
    pub waiting: f64,
}

impl From<PoolStats> for NativePoolStats {
    fn from(stats: PoolStats) -> Self {
        Self {
            idle: stats.idle as f64,
            lent: stats.lent as f64,
            creating: stats.creating as f64,
            waiting: stats.waiting as f64,
        }
    }
}

/// A session that is lent.
#[napi(object, object_from_js = false)]
pub struct NativeAcquired {
    /// The session.
    pub found: NativeFoundSession,
    /// How it is given back.
    pub lent: NativeLent,
}

impl From<Lent> for NativeAcquired {
    fn from(lent: Lent) -> Self {
        Self { found: lent.session().clone().into(), lent: NativeLent { lent: Mutex::new(Some(lent)) } }
    }
}

/// Gives a session back, at the latest when it is collected.
#[napi]
pub struct NativeLent {
    lent: Mutex<Option<Lent>>,
}

#[napi]
impl NativeLent {
    /// Gives it back; calling twice is fine.
    #[napi]
    pub fn give_back(&self) {
        drop(self.take());
    }

    /// Gives it back to be deleted; nothing happens when it was given back already.
    #[napi]
    pub fn discard(&self) {
        if let Some(lent) = self.take() {
            lent.discard();
        }
    }

    fn take(&self) -> Option<Lent> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A pool of sessions.
#[napi]
pub struct NativeSessionPool {
    pool: SessionPool,
}

impl From<SessionPool> for NativeSessionPool {
    fn from(pool: SessionPool) -> Self {
        Self { pool }
    }
}

#[napi]
impl NativeAgb {
    /// Makes a pool, or says why that can't be.
    #[napi]
    pub fn session_pool(&self, options: NativePoolOptions) -> Result<Outcome<NativeSessionPool>> {
        let runtime = runtime()?;
        let make = || {
            let options = PoolOptions {
                params: options.params.read()?,
                min: options.min,
                max: options.max,
                max_uses: options.max_uses,
                acquire_timeout_ms: options.acquire_timeout_ms,
            };
            SessionPool::new(self.client().clone(), options, &runtime)
        };
        Ok(outcome(make()))
    }
}

#[napi]
impl NativeSessionPool {
    /// Borrows a session; gives nothing when `cancel` was used.
    #[napi]
    pub fn acquire<'env>(
        &self,
        env: &'env Env,
        cancel: &NativeCancel,
    ) -> Result<PromiseRaw<'env, Option<Outcome<NativeAcquired>>>> {
        // Takes its place in the queue here, in the order of the calls.
        let acquire = cancel.unless_cancelled(self.pool.acquire());
        promise(env, async move { acquire.await.map(outcome) })
    }

    /// What is in the pool now.
    #[napi]
    pub fn stats(&self) -> NativePoolStats {
        self.pool.stats().into()
    }

    /// Ends the pool, and gives what went wrong when all is over.
    #[napi]
    pub fn drain<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Option<NativeFailure>>> {
        let pool = self.pool.clone();
        promise(env, async move { pool.drain().await.err().map(Into::into) })
    }
}
