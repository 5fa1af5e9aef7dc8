//! What the client knows about the life of sessions without asking (the clock, when a session was last used), and which of
//! them must not outlive the process.

pub mod activity;
pub mod clock;
pub mod registry;
pub mod release;

pub use activity::Activity;
pub use clock::Clock;
pub use registry::{ExitPolicy, LiveSession};
pub use release::Unreleased;
