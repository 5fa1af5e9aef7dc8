//! Placeholder, until the real tool is merged over this file.

use super::{ToolArgs, ToolLimits, ToolOutput};
use crate::sandbox::Sandbox;

/// Runs nothing.
pub async fn call(_sandbox: &Sandbox, _args: &ToolArgs, _limits: &ToolLimits) -> ToolOutput {
    ToolOutput::error("run_code is a placeholder")
}
