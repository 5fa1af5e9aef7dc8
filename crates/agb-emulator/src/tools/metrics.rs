//! The tool `get_metrics`.

use super::ToolOutput;
use crate::sandbox::Sandbox;

/// Measures processor, memory, disk and network use.
pub async fn call(sandbox: &Sandbox) -> ToolOutput {
    match sandbox.files().await {
        Ok(_) => ToolOutput::error("not there yet"),
        Err(error) => ToolOutput::error(error.to_string()),
    }
}
