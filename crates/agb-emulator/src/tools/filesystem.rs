//! Placeholder, until the real tools are merged over this file.

use super::{ToolArgs, ToolLimits, ToolOutput};
use crate::sandbox::Sandbox;

/// Answers `None` for a tool that is no file tool.
pub async fn call(_sandbox: &Sandbox, name: &str, _args: &ToolArgs, _limits: &ToolLimits) -> Option<ToolOutput> {
    matches!(name, "read_file" | "write_file").then(|| ToolOutput::error("file tools are a placeholder"))
}
