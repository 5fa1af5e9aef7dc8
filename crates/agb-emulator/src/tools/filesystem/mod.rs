//! The file tools.

use super::{ToolArgs, ToolLimits, ToolOutput};
use crate::sandbox::Sandbox;

/// What the file tools remember of a session; the core keeps one per session.
#[derive(Debug, Default)]
pub struct SessionFiles {}

impl SessionFiles {
    /// Removes what the file tools made under `/tmp` (plain mode only).
    pub async fn cleanup(&self) {}
}

/// Runs a file tool; `None` when `name` is not one.
pub async fn call(
    sandbox: &Sandbox,
    _session: &SessionFiles,
    _name: &str,
    _args: &ToolArgs,
    _limits: &ToolLimits,
) -> Option<ToolOutput> {
    let _ = sandbox.files().await;
    None
}
