//! The life of sessions: what the client knows of it without asking, what keeps them alive, who hears of it, and which of
//! them must not outlive the process.

mod beat;
pub mod clock;
mod events;
pub mod keep_alive;
mod life;
mod owner;
pub mod pool;
pub mod registry;
pub mod release;

pub use beat::{DEFAULT_AT, KeepAliveMode, KeepAliveOptions, KeepAliveStatus, LoopWatch, StopReason};
pub use clock::Clock;
pub use events::{Expiring, KeepAliveFailure, LifecycleEvent, Listener, ReleaseReason, Subscription};
pub(crate) use life::WeakLife;
pub use life::{
    DEFAULT_IDLE_TIMEOUT, Hold, InFlight, Life, LifecycleView, MAXIMUM_LIFETIME, Mark, Release, SessionState,
};
pub use owner::Lease;
pub(crate) use owner::{Owner, labels_of_this_process};
pub use pool::{Lent, PoolOptions, PoolStats, SessionPool};
pub use registry::{ExitPolicy, LiveSession};
pub use release::Unreleased;
