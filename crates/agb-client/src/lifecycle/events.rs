//! What happens in the life of a session, for those who want to hear of it.

use std::sync::Arc;
use std::time::Duration;

use super::life::{Release, WeakLife};

/// Why a session was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseReason {
    /// Nothing was asked of it for as long as its idle time-out.
    IdleTimeout,
    /// It has reached the longest life that a session may have.
    LifetimeCap,
    /// It was deleted through this client.
    Deleted,
    /// The service no longer knows it, and its times don't tell why: somebody else released it, or it never was.
    Unknown,
}

impl ReleaseReason {
    /// The name that users see.
    pub fn name(self) -> &'static str {
        match self {
            Self::IdleTimeout => "idleTimeout",
            Self::LifetimeCap => "lifetimeCap",
            Self::Deleted => "deleted",
            Self::Unknown => "unknown",
        }
    }
}

/// Which time is running out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiring {
    /// The idle time-out: a fifth of it is left.
    Idle,
    /// The longest life: two minutes of it are left.
    Lifetime,
}

impl Expiring {
    /// The name that users see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Lifetime => "lifetime",
        }
    }
}

/// A keep-alive that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepAliveFailure {
    /// What went wrong.
    pub message: String,
    /// How often it was tried since the last success.
    pub attempt: u32,
    /// What is left of the idle time-out.
    pub idle_remaining: Duration,
    /// Will it be tried again?
    pub will_retry: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// A call began, and none was under way.
    Active,
    /// The last call under way has ended.
    Idle,
    /// A time is running out.
    Expiring {
        /// Which.
        what: Expiring,
        /// What is left of it.
        remaining: Duration,
    },
    /// A keep-alive failed.
    KeepAliveFailed(KeepAliveFailure),
    /// The session is gone.
    Released(Release),
}

/// Called at every event, from any thread; must not block.
pub type Listener = Arc<dyn Fn(&LifecycleEvent) + Send + Sync>;

/// A listener that is called until this is dropped.
#[must_use]
pub struct Subscription {
    life: WeakLife,
    id: u64,
}

impl Subscription {
    pub(super) fn new(life: WeakLife, id: u64) -> Self {
        Self { life, id }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(life) = self.life.upgrade() {
            life.unsubscribe(self.id);
        }
    }
}
