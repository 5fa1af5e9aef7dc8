//! An asynchronous client of the AGB cloud session service.
//!
//! [`Agb`] holds configuration and one pooled HTTP client; [`Session`] is a cloud session. Both are cheap to clone, and
//! every operation is one future that may be sent to another thread.

#![forbid(unsafe_code)]

pub mod agb;
mod channel;
pub mod config;
pub mod context;
pub mod error;
pub mod extension;
pub mod http_client;
pub mod lifecycle;
pub mod modules;
pub mod session;
#[cfg(test)]
mod testing;
pub mod tool;
mod transport;
mod wire;

pub use agb::{
    Agb, AgbOptions, CreateParams, Deletion, ListFailure, SdkIdentity, SessionData, SessionPage, SessionRecord,
};
pub use channel::{Push, PushSubscription};
pub use config::Config;
pub use context::{
    ClearState, Context, ContextFile, ContextFilePage, ContextMount, ContextPage, ContextQuery, ContextRecord,
    ContextStatus, Contexts, FileUrl, MountReport,
};
pub use error::{Error, ErrorKind, Result};
pub use extension::{Extension, Extensions};
pub use http_client::{HttpBody, HttpClient, HttpRecord, HttpRequest};
pub use lifecycle::{Clock, ExitPolicy, LiveSession, Unreleased};
pub use session::{
    ContextItems, DesktopInfo, Labels, McpTool, Metrics, MetricsReply, RouteOverride, RoutedSession, Session,
    SessionDetails, SessionInfo, SessionLink, StartedSync, StatusRecord, SyncLimits, SyncTarget, ToolCatalogue,
    ToolList,
};
pub use tool::{CallTool, ToolArgs, ToolLimits, ToolReply};
