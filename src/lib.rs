//! The binding: converts, awaits, converts back; decides nothing.
//!
//! ```text
//! ts/           the public API: what users import
//! src/          this crate: JavaScript values to Rust, await, Rust to plain objects or failures
//! agb-client    the client and its transport
//! ~ the wire ~
//! agb-emulator  the service, on this machine
//! ```

// Under test the macros export nothing.
#![cfg_attr(test, allow(dead_code))]
#![allow(unreachable_pub, reason = "napi exports items by their attribute, not by their path")]

mod agb;
mod browser;
mod code;
mod command;
mod computer;
mod context;
mod emulator;
mod exit;
mod extension;
mod file_transfer;
mod filesystem;
mod http_client;
mod lifecycle;
mod pool;
mod push;
mod session;
mod support;
mod watch;
