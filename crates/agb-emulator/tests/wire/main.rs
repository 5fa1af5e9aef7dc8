//! The emulator as a client sees it: over the wire, on a free port.

// Tests may panic: that is how they fail. The exception for tests does not reach the helpers beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

mod browser;
mod cli;
mod contexts;
mod faults;
mod lifecycle;
mod requests;
mod sessions;
mod support;
mod tools;
mod ws;
