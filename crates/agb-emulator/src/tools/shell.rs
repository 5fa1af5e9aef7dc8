//! Placeholder, until the real tool is merged over this file.

use super::{ToolArgs, ToolLimits, ToolOutput};
use crate::sandbox::Sandbox;

/// Runs one command.
pub async fn call(sandbox: &Sandbox, args: &ToolArgs, _limits: &ToolLimits) -> ToolOutput {
    let Some(command) = args.get("command").and_then(|value| value.as_str()) else {
        return ToolOutput::error("command is required");
    };
    let Some(home) = sandbox.home() else { return ToolOutput::error("no home") };
    let run = tokio::process::Command::new("sh").arg("-c").arg(command).current_dir(home).kill_on_drop(true).output();
    match run.await {
        Ok(output) => ToolOutput {
            is_error: !output.status.success(),
            text: serde_json::json!({
                "stdout": String::from_utf8_lossy(&output.stdout),
                "stderr": String::from_utf8_lossy(&output.stderr),
                "exit_code": output.status.code(),
                "traceId": "placeholder",
            })
            .to_string(),
        },
        Err(error) => ToolOutput::error(error.to_string()),
    }
}
