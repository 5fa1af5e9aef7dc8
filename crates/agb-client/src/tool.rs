//! One MCP tool call. The modules speak to this seam; a [`Session`](crate::Session) implements it by choosing the route
//! (link or API), sending, and reading the envelope; the modules' own tests implement it by a closure.

use std::future::Future;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::Result;

pub(crate) mod route;

/// The argument object of a tool, in the order in which it goes out.
pub type ToolArgs = Map<String, Value>;

/// How long a tool may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToolLimits {
    /// The tool's own time limit, where it has one (`timeout_ms` of `shell`, `timeout_s` of `run_code`). The request's
    /// deadline becomes this limit and a margin, if that is longer than the configured time-out.
    pub work: Option<Duration>,
    /// Replaces the configured time-out of this call (`readTimeout`).
    pub read: Option<Duration>,
    /// Limits the time to connect (`connectTimeout`).
    pub connect: Option<Duration>,
}

/// What a successful tool call gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolReply {
    /// The service's request id; on the link route the id that the client made, where the service sent none.
    pub request_id: String,
    /// The tool's text: all its text items joined by line feeds, else the first item's data; `None` if it sent none.
    pub text: Option<String>,
}

/// The seam between modules and wire.
pub trait CallTool: Sync {
    /// Calls the tool `name`. A failure's message is the tool's own text where it sent one.
    fn call_tool(
        &self,
        name: &str,
        args: ToolArgs,
        limits: ToolLimits,
    ) -> impl Future<Output = Result<ToolReply>> + Send;
}
