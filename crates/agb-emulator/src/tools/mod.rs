//! The tools of a session: one function a tool, dispatched by name.

use serde_json::{Map, Value};

/// The argument object of a tool call.
pub type ToolArgs = Map<String, Value>;

/// What a tool answers: one text item, and whether it is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolOutput {
    /// Becomes `isError` of the tool result.
    pub is_error: bool,
    /// The text of its only content item.
    pub text: String,
}

impl ToolOutput {
    /// A success.
    pub fn ok(text: impl Into<String>) -> Self {
        Self { is_error: false, text: text.into() }
    }

    /// A failure that names its reason.
    pub fn error(text: impl Into<String>) -> Self {
        Self { is_error: true, text: text.into() }
    }
}
