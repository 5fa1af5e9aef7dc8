//! An asynchronous client of the AGB cloud session service.

#![forbid(unsafe_code)]

pub mod error;
pub mod modules;
pub mod tool;

pub use error::{Error, ErrorKind, Result};
pub use tool::{CallTool, ToolArgs, ToolLimits, ToolReply};
