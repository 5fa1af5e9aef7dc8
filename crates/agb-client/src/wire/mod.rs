//! The service's requests and responses, by noun. Nothing here sends, waits or logs; every reader takes any bytes and
//! never panics. Members of an unexpected type count as absent, as the service's own clients have it.

pub(crate) mod browser;
pub(crate) mod context;
pub(crate) mod endpoint;
pub(crate) mod envelope;
pub(crate) mod frame;
pub(crate) mod js;
pub(crate) mod metrics;
pub(crate) mod record;
pub(crate) mod session;
pub(crate) mod tool;
pub(crate) mod transfer;

/// Query parameters in the order in which they go out.
pub(crate) type Query = Vec<(&'static str, String)>;
