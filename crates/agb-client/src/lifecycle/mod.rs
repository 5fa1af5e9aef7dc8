//! What the client knows about the life of sessions without asking: the clock, and when a session was last used.

pub mod activity;
pub mod clock;

pub use activity::Activity;
pub use clock::Clock;
