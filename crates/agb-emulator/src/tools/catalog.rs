//! Placeholder, until the real catalogue is merged over this file.

use serde_json::{Value, json};

/// The tools that an image offers.
pub fn tools_of_image(_image_id: &str) -> Vec<Value> {
    [("shell", "wuying_shell"), ("run_code", "wuying_codespace"), ("read_file", "wuying_filesystem"), ("write_file", "wuying_filesystem"), ("get_metrics", "wuying_system")]
        .into_iter()
        .map(|(name, server)| json!({"name": name, "description": name, "inputSchema": {"type": "object"}, "server": server, "tool": name}))
        .collect()
}

/// Whether an image offers a tool.
pub fn knows(image_id: &str, tool: &str) -> bool {
    tools_of_image(image_id).iter().any(|entry| entry.get("name").and_then(Value::as_str) == Some(tool))
}
