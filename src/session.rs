//! One session: `ts/session.ts` on this side. The modules of a session add their methods in files of their own.

use std::time::Duration;

use agb_client::session::{Metrics, RoutedSession};
use agb_client::{CallTool, RouteOverride, Session, SessionInfo, ToolLimits};
use napi::bindgen_prelude::PromiseRaw;
use napi::{Env, Result};
use napi_derive::napi;
use serde_json::{Map, Value};

use crate::context::NativeMountReport;
use crate::support::{NativeFailure, Outcome, json_object, outcome, promise, to_json};

/// Where a session's tool calls go, when its public fields say something else than the service did.
#[napi(object, object_to_js = false)]
pub struct NativeRoute {
    /// Where tools are called directly.
    pub link_url: String,
    /// The token for it.
    pub token: String,
    /// The tools and their servers.
    pub tools: Vec<NativeToolServer>,
    /// The tools as the service sent them: JSON text.
    pub tool_list: String,
    /// Where the WebSocket is.
    pub ws_url: String,
}

/// The server of a tool.
#[napi(object, object_to_js = false)]
pub struct NativeToolServer {
    /// Name of the tool.
    pub name: String,
    /// Name of the server.
    pub server: String,
}

impl From<NativeRoute> for RouteOverride {
    fn from(route: NativeRoute) -> Self {
        Self {
            link_url: route.link_url,
            token: route.token,
            tools: Some(route.tools.into_iter().map(|tool| (tool.name, tool.server)).collect()),
            tool_list: Some(route.tool_list),
            ws_url: Some(route.ws_url),
        }
    }
}

/// A session that was created or found, and what the service said of it.
#[napi(object, object_from_js = false)]
pub struct NativeFoundSession {
    /// The session, for calls.
    pub session: NativeSession,
    /// The service's request id.
    pub request_id: String,
    /// Id of the session.
    pub session_id: String,
    /// Where its screen can be seen.
    pub resource_url: String,
    /// Its image, where it was created here.
    pub image_id: String,
    /// Id of the instance.
    pub app_instance_id: String,
    /// Id of the resource.
    pub resource_id: String,
    /// Where tools are called directly.
    pub link_url: String,
    /// Where the WebSocket is.
    pub ws_url: String,
    /// The token of both.
    pub token: String,
    /// The tools as the service sent them: JSON text.
    pub tool_list: String,
    /// The tools: a JSON array of `McpTool`.
    pub mcp_tools: String,
    /// How its mounts came out, where it was created with some.
    pub mounts: Option<NativeMountReport>,
}

/// A success that gives nothing but its request id.
#[napi(object, object_from_js = false)]
pub struct NativeDone {
    /// The service's request id.
    pub request_id: String,
}

impl From<String> for NativeDone {
    fn from(request_id: String) -> Self {
        Self { request_id }
    }
}

/// A success that gives a text: a URL, or JSON.
#[napi(object, object_from_js = false)]
pub struct NativeText {
    /// The service's request id.
    pub request_id: String,
    /// The text.
    pub data: String,
}

/// A success that may give a text.
#[napi(object, object_from_js = false)]
pub struct NativeToolReply {
    /// The service's request id.
    pub request_id: String,
    /// The tool's text.
    pub data: Option<String>,
}

/// A session's status on the wire.
#[napi(object, object_from_js = false)]
pub struct NativeStatus {
    /// The service's request id.
    pub request_id: String,
    /// Status of the HTTP answer.
    pub http_status_code: u32,
    /// The envelope's code.
    pub code: String,
    /// The status.
    pub status: String,
}

/// Where a session's screen can be seen.
#[napi(object, object_from_js = false)]
pub struct NativeInfoReply {
    /// The service's request id.
    pub request_id: String,
    /// Id of the session.
    pub session_id: String,
    /// A page that shows the screen.
    pub resource_url: String,
    /// What a viewer needs, for sessions with a desktop.
    pub desktop: Option<NativeDesktopInfo>,
}

/// What a viewer of a desktop needs.
#[napi(object, object_from_js = false)]
pub struct NativeDesktopInfo {
    /// Id of the application.
    pub app_id: Option<String>,
    /// A secret.
    pub auth_code: Option<String>,
    /// JSON text.
    pub connection_properties: Option<String>,
    /// Id of the resource.
    pub resource_id: Option<String>,
    /// Type of the resource.
    pub resource_type: Option<String>,
    /// A secret.
    pub ticket: Option<String>,
}

impl From<SessionInfo> for NativeInfoReply {
    fn from(info: SessionInfo) -> Self {
        Self {
            request_id: info.request_id,
            session_id: info.session_id,
            resource_url: info.resource_url,
            desktop: info.desktop.map(|desktop| NativeDesktopInfo {
                app_id: desktop.app_id,
                auth_code: desktop.auth_code,
                connection_properties: desktop.connection_properties,
                resource_id: desktop.resource_id,
                resource_type: desktop.resource_type,
                ticket: desktop.ticket,
            }),
        }
    }
}

/// Load and traffic of a session's machine.
#[napi(object, object_from_js = false)]
pub struct NativeMetricsReply {
    /// The service's request id.
    pub request_id: String,
    /// The members that are known.
    pub metrics: NativeMetrics,
    /// All members: a JSON object.
    pub raw: String,
}

/// The known members of the metrics.
#[napi(object, object_from_js = false)]
pub struct NativeMetrics {
    /// Processors.
    pub cpu_count: f64,
    /// Percent.
    pub cpu_used_pct: f64,
    /// Bytes.
    pub disk_total: f64,
    /// Bytes.
    pub disk_used: f64,
    /// Bytes.
    pub mem_total: f64,
    /// Bytes.
    pub mem_used: f64,
    /// Kilobytes a second.
    pub rx_rate_kbyte_per_s: f64,
    /// Kilobytes a second.
    pub tx_rate_kbyte_per_s: f64,
    /// Kilobytes.
    pub rx_used_kbyte: f64,
    /// Kilobytes.
    pub tx_used_kbyte: f64,
    /// ISO 8601.
    pub timestamp: String,
}

impl From<Metrics> for NativeMetrics {
    fn from(metrics: Metrics) -> Self {
        Self {
            cpu_count: metrics.cpu_count,
            cpu_used_pct: metrics.cpu_used_pct,
            disk_total: metrics.disk_total,
            disk_used: metrics.disk_used,
            mem_total: metrics.mem_total,
            mem_used: metrics.mem_used,
            rx_rate_kbyte_per_s: metrics.rx_rate_kbyte_per_s,
            tx_rate_kbyte_per_s: metrics.tx_rate_kbyte_per_s,
            rx_used_kbyte: metrics.rx_used_kbyte,
            tx_used_kbyte: metrics.tx_used_kbyte,
            timestamp: metrics.timestamp,
        }
    }
}

/// A session of the service.
#[napi]
pub struct NativeSession {
    inner: Session,
}

impl From<Session> for NativeFoundSession {
    fn from(session: Session) -> Self {
        let details = session.details();
        Self {
            request_id: details.request_id.clone(),
            session_id: session.id().to_owned(),
            resource_url: details.resource_url.clone(),
            image_id: details.image_id.clone(),
            app_instance_id: details.app_instance_id.clone(),
            resource_id: details.resource_id.clone(),
            link_url: details.link_url.clone(),
            ws_url: details.ws_url.clone(),
            token: details.token.clone(),
            tool_list: details.tool_list.text.clone(),
            mcp_tools: to_json(&details.tool_list.tools),
            mounts: session.mount_report().map(Into::into),
            session: session.into(),
        }
    }
}

impl From<Session> for NativeSession {
    fn from(inner: Session) -> Self {
        Self { inner }
    }
}

impl NativeSession {
    /// The session, for what is done without tools.
    pub(crate) fn session(&self) -> Session {
        self.inner.clone()
    }

    /// Where this session's tools are called: on `route`, else where the service said.
    pub(crate) fn tools(&self, route: Option<NativeRoute>) -> RoutedSession {
        self.inner.by_route(route.map(Into::into))
    }
}

#[napi]
impl NativeSession {
    /// Sets the idle timer back.
    #[napi]
    pub fn keep_alive<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let session = self.inner.clone();
        promise(env, async move { outcome(session.keep_alive().await) })
    }

    /// Asks for the status.
    #[napi]
    pub fn status<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<NativeStatus>>> {
        let session = self.inner.clone();
        promise(env, async move {
            outcome(session.status().await.map(|record| NativeStatus {
                request_id: record.request_id,
                http_status_code: record.http_status.into(),
                code: record.code,
                status: record.status,
            }))
        })
    }

    /// Deletes the session and waits until it is gone.
    #[napi]
    pub fn delete<'env>(&self, env: &'env Env, sync_contexts: bool) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let session = self.inner.clone();
        promise(env, async move {
            outcome(if sync_contexts { session.delete_synced().await } else { session.delete().await })
        })
    }

    /// Gives up a session that nobody will use: it is not kept alive any more, and is deleted, with several attempts. Gives
    /// why it could not be.
    #[napi]
    pub fn abandon<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Option<NativeFailure>>> {
        let session = self.inner.clone();
        promise(env, async move { session.abandon().await.err().map(Into::into) })
    }

    /// Lets the session live on when its owner ends.
    #[napi]
    pub fn detach(&self) {
        self.inner.detach();
    }

    /// Makes the session end with its owner. `false` if its client releases nothing.
    #[napi]
    pub fn adopt(&self) -> bool {
        self.inner.adopt()
    }

    /// Where the screen can be seen.
    #[napi]
    pub fn info<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<NativeInfoReply>>> {
        let session = self.inner.clone();
        promise(env, async move { outcome(session.info().await) })
    }

    /// Replaces the labels by those of a JSON object.
    #[napi]
    pub fn set_labels<'env>(&self, env: &'env Env, labels: String) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let session = self.inner.clone();
        promise(env, async move {
            let set = async { session.set_labels(json_object(&labels)?).await };
            outcome(set.await)
        })
    }

    /// Asks for the labels: a JSON object.
    #[napi]
    pub fn labels<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<NativeText>>> {
        let session = self.inner.clone();
        promise(env, async move {
            outcome(
                session
                    .labels()
                    .await
                    .map(|labels| NativeText { data: to_json(&labels.labels), request_id: labels.request_id }),
            )
        })
    }

    /// Asks for a URL that reaches a port of the session.
    #[napi]
    pub fn link<'env>(
        &self,
        env: &'env Env,
        protocol_type: Option<String>,
        port: Option<f64>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeText>>> {
        let session = self.inner.clone();
        promise(env, async move {
            let link = session.link(protocol_type.as_deref(), port).await;
            outcome(link.map(|link| NativeText { request_id: link.request_id, data: link.url }))
        })
    }

    /// Lists the tools of an image: a JSON array of `McpTool`.
    #[napi]
    pub fn list_tools<'env>(&self, env: &'env Env, image_id: String) -> Result<PromiseRaw<'env, Outcome<NativeText>>> {
        let session = self.inner.clone();
        promise(env, async move {
            outcome(
                session
                    .list_tools(Some(&image_id))
                    .await
                    .map(|catalogue| NativeText { data: to_json(&catalogue.tools), request_id: catalogue.request_id }),
            )
        })
    }

    /// Load and traffic of the session's machine; time-outs in milliseconds.
    #[napi]
    pub fn metrics<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        read_timeout: Option<f64>,
        connect_timeout: Option<f64>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeMetricsReply>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let limits = limits(read_timeout, connect_timeout);
            outcome(tools.metrics(limits).await.map(|reply| NativeMetricsReply {
                request_id: reply.request_id,
                metrics: reply.metrics.into(),
                raw: to_json(&reply.raw),
            }))
        })
    }

    /// Calls a tool by name; `args` is a JSON object, time-outs in milliseconds.
    #[napi]
    pub fn call_tool<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        name: String,
        args: String,
        read_timeout: Option<f64>,
        connect_timeout: Option<f64>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeToolReply>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let call = async {
                let args: Map<String, Value> = json_object(&args)?;
                tools.call_tool(&name, args, limits(read_timeout, connect_timeout)).await
            };
            outcome(call.await.map(|reply| NativeToolReply { request_id: reply.request_id, data: reply.text }))
        })
    }
}

fn limits(read_timeout: Option<f64>, connect_timeout: Option<f64>) -> ToolLimits {
    ToolLimits { work: None, read: milliseconds(read_timeout), connect: milliseconds(connect_timeout) }
}

/// A time-out that is no positive number is none, as in the surface.
pub(crate) fn milliseconds(value: Option<f64>) -> Option<Duration> {
    let seconds = value.filter(|value| *value > 0.0)? / 1_000.0;
    Duration::try_from_secs_f64(seconds).ok()
}
