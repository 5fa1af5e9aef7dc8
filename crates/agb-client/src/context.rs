//! Persistent contexts, as far as creating a session needs them: what to mount, and how the mounts came out.

pub use crate::wire::context::ContextStatus;

/// One context to mount into a new session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextMount {
    /// The context's id; may be empty.
    pub context_id: String,
    /// Where in the session the context appears.
    pub path: String,
    /// The synchronisation policy as JSON text (docs/protocol.md, section "Context synchronisation").
    pub policy_json: String,
}

/// How the first synchronisation of a new session's mounts came out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountReport {
    /// `true` when every mount reached its end, good or bad, within 300 s.
    pub finished: bool,
    /// The last state seen of each mount, in the service's order.
    pub items: Vec<ContextStatus>,
    /// What the last look at the mounts failed with, if it failed.
    pub error: Option<String>,
}

impl MountReport {
    /// The mounts that ended in `Failed`.
    pub fn failed(&self) -> impl Iterator<Item = &ContextStatus> {
        self.items.iter().filter(|item| item.status == "Failed")
    }
}
