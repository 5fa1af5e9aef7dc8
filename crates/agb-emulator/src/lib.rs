//! The AGB cloud session service on this machine.

#![forbid(unsafe_code)]

pub mod tools;
