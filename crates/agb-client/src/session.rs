//! One cloud session: its life cycle, labels, links and metrics, and the tools that run in it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::agb::Agb;
use crate::channel::{Address, Channel, Invocation, Push, PushSubscription};
use crate::context::MountReport;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::lifecycle::registry::Registry;
use crate::lifecycle::{
    Hold, InFlight, KeepAliveOptions, KeepAliveStatus, Life, LifecycleView, Listener, Subscription, keep_alive,
};
use crate::modules::file_transfer::Objects;
use crate::tool::route::{self, Route};
use crate::tool::{CallTool, ToolArgs, ToolLimits, ToolReply};
use crate::transport::Deadline;
use crate::wire::transfer::InternalContext;

pub use crate::wire::metrics::Metrics;
pub use crate::wire::session::{DesktopInfo, SessionInfo};
pub use crate::wire::tool::{McpTool, ToolList};

mod facts;
mod life;
mod sync;

#[cfg(test)]
pub(crate) use self::life::ABANDON_PAUSES_MS;
pub use self::sync::{ContextItems, StartedSync, SyncLimits, SyncTarget};

/// What the service said about a session when it was made or found. Every text is empty where it said nothing.
#[derive(Clone, Default, PartialEq)]
pub struct SessionDetails {
    /// A page that shows the session's desktop. Whoever has it has access.
    pub resource_url: String,
    /// Id of the application instance.
    pub app_instance_id: String,
    /// Id of the resource.
    pub resource_id: String,
    /// Base of the link route.
    pub link_url: String,
    /// Address of the session's WebSocket.
    pub ws_url: String,
    /// Access token of link route and WebSocket.
    pub token: String,
    /// The image that was asked for; empty for sessions that were found.
    pub image_id: String,
    /// Its tools.
    pub tool_list: Arc<ToolList>,
    /// The request id of the answer that this comes from.
    pub request_id: String,
}

impl fmt::Debug for SessionDetails {
    /// Neither URLs nor token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionDetails")
            .field("app_instance_id", &self.app_instance_id)
            .field("resource_id", &self.resource_id)
            .field("image_id", &self.image_id)
            .field("has_link", &!self.link_url.is_empty())
            .field("tools", &self.tool_list.tools.len())
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// What `getSessionInfo` answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRecord {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The status of the HTTP answer.
    pub http_status: u16,
    /// The envelope's code.
    pub code: String,
    /// `RUNNING`, `DELETING`, `FINISH` or `DELETED`; empty where the answer had none.
    pub status: String,
}

/// A session's labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The labels in the service's order.
    pub labels: Map<String, Value>,
}

/// An address under which a port of the session can be reached.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionLink {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The URL. Whoever has it has access.
    pub url: String,
}

impl fmt::Debug for SessionLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLink").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// The tools that an image offers.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCatalogue {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The tools in the service's order.
    pub tools: Vec<McpTool>,
}

/// How busy the session's machine is.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsReply {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The known figures.
    pub metrics: Metrics,
    /// Everything that the tool said.
    pub raw: Map<String, Value>,
}

/// Another route than the session's own, for callers whose copy of the session's fields may differ.
#[derive(Clone, Default)]
pub struct RouteOverride {
    /// Base of the link route; empty: tools go by the API route.
    pub link_url: String,
    /// Access token of the link route; empty: tools go by the API route.
    pub token: String,
    /// Name and server of each tool; `None`: the session's own.
    pub tools: Option<Vec<(String, String)>>,
    /// A tool list as JSON text, asked where `tools` lacks a tool; `None`: the session's own.
    pub tool_list: Option<String>,
    /// Address of the WebSocket; `None`: the session's own.
    pub ws_url: Option<String>,
}

impl fmt::Debug for RouteOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteOverride")
            .field("has_link", &!self.link_url.is_empty())
            .field("tools", &self.tools.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// What is known of a session that was made here.
#[derive(Default)]
pub(crate) struct Created {
    pub(crate) details: SessionDetails,
    pub(crate) mounts: Option<MountReport>,
    /// `None`: not known.
    pub(crate) reserved_labels: Option<Map<String, Value>>,
}

/// A cloud session. Clones are the same session.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    agb: Agb,
    id: String,
    details: SessionDetails,
    life: Life,
    mounts: Option<MountReport>,
    /// Labels of the package's own, which setting the user's must not lose; of a session that was found they are not known
    /// before somebody has asked.
    reserved_labels: OnceCell<Map<String, Value>>,
    channel: Channel,
    /// Made here with no contexts mounted; of a session that was found nobody knows.
    is_without_mounts: bool,
    /// The tool list that a caller gave last, and what is in it, so that it is parsed once and not at each call.
    given_list: Mutex<Option<Arc<ToolList>>>,
    /// The context for file transfer, once it was asked for.
    transfer_context: OnceCell<InternalContext>,
    objects: Objects,
}

impl Session {
    pub(crate) fn created(agb: Agb, id: &str, life: Life, created: Created) -> Self {
        let is_without_mounts = created.mounts.is_none();
        Self::with_life(agb, id, created, life, is_without_mounts)
    }

    pub(crate) fn found(agb: Agb, id: &str, details: SessionDetails) -> Self {
        let life = agb.life_of_found(id);
        Self::with_life(agb, id, Created { details, ..Created::default() }, life, false)
    }

    /// The same session for somebody else: its life and labels, and a WebSocket of its own.
    pub(crate) fn another(&self) -> Self {
        let inner = &self.inner;
        let known = Created {
            details: inner.details.clone(),
            mounts: inner.mounts.clone(),
            reserved_labels: inner.reserved_labels.get().cloned(),
        };
        Self::with_life(inner.agb.clone(), &inner.id, known, inner.life.clone(), inner.is_without_mounts)
    }

    fn with_life(agb: Agb, id: &str, created: Created, life: Life, is_without_mounts: bool) -> Self {
        let inner = Inner {
            agb,
            id: id.to_owned(),
            details: created.details,
            life,
            mounts: created.mounts,
            reserved_labels: OnceCell::new_with(created.reserved_labels),
            is_without_mounts,
            channel: Channel::default(),
            given_list: Mutex::default(),
            transfer_context: OnceCell::new(),
            objects: Objects::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn transfer_context(&self) -> &OnceCell<InternalContext> {
        &self.inner.transfer_context
    }

    /// What transfers of this session have in the store.
    pub(crate) fn objects(&self) -> &Objects {
        &self.inner.objects
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// What the service said when the session was made or found.
    pub fn details(&self) -> &SessionDetails {
        &self.inner.details
    }

    /// The client that this session belongs to.
    pub fn agb(&self) -> &Agb {
        &self.inner.agb
    }

    /// How the mounts came out, where the session was made with some.
    pub fn mount_report(&self) -> Option<&MountReport> {
        self.inner.mounts.as_ref()
    }

    /// Clock time since the last call that started the service's idle timer anew; zero while one runs.
    pub fn idle_for(&self) -> Duration {
        self.inner.life.idle_for()
    }

    /// Clock time since creation; `None` for sessions that were found.
    pub fn age(&self) -> Option<Duration> {
        self.inner.life.age()
    }

    /// What is known of this session's life.
    pub fn life(&self) -> &Life {
        &self.inner.life
    }

    /// Where this session is in its life and what is left of it, without asking the service.
    pub fn lifecycle(&self) -> LifecycleView {
        self.inner.life.view()
    }

    /// Keeps the session alive from now on, from a thread of its own: a beat comes some time after the last activity, and
    /// is repeated quickly when it fails. It ends with the session, and with the process.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a session whose idle time-out is neither known nor given, or an option out of
    /// range; [`ErrorKind::SessionNotFound`] for a session that is gone.
    pub fn start_keep_alive(&self, options: KeepAliveOptions) -> Result<()> {
        self.inner.life.start_beating(options)?;
        self.watch()
    }

    /// Has the keep-alive end when the longest time of that of `other` is over, whose place this session takes.
    pub fn end_keep_alive_with(&self, other: &Self) {
        self.inner.life.end_beating_with(&other.inner.life);
    }

    /// Ends the keep-alive; nothing happens where there is none.
    pub fn stop_keep_alive(&self) {
        self.inner.life.stop_beating();
    }

    /// How the keep-alive is doing; `None` where none was started.
    pub fn keep_alive_status(&self) -> Option<KeepAliveStatus> {
        self.inner.life.beating()
    }

    /// Holds the session until the mark is dropped: a keep-alive "while held" beats meanwhile.
    pub fn hold(&self) -> Hold {
        self.inner.life.hold()
    }

    /// Has `listener` called at every event of the session's life, from any thread, until the subscription is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the thread that watches the times can't be started.
    pub fn on_lifecycle(&self, listener: Listener) -> Result<Subscription> {
        let subscription = self.inner.life.subscribe(listener);
        self.watch()?;
        Ok(subscription)
    }

    fn watch(&self) -> Result<()> {
        keep_alive::watch(self.agb(), self.id(), &self.inner.life)
    }

    /// The session's status on the wire. Does not count as activity.
    ///
    /// # Errors
    /// [`ErrorKind::SessionNotFound`] for an unknown or released session.
    pub async fn status(&self) -> Result<StatusRecord> {
        life::status(self, self.agb().deadline()).await
    }

    /// Does the service say that the session was released? `false` when it can't be asked. Does not count as activity.
    pub async fn has_gone(&self) -> bool {
        life::has_gone(self).await
    }

    /// Starts the idle timer anew, and gives the request id.
    ///
    /// # Errors
    /// [`ErrorKind::SessionNotFound`] for an unknown or released session.
    pub async fn keep_alive(&self) -> Result<String> {
        life::keep_alive(self).await
    }

    /// Releases the session and waits until it is gone, at most 300 s. Gives the request id of the release.
    ///
    /// # Errors
    /// The service refused (`[<code>] <message>`), or the session was still there after 300 s.
    pub async fn delete(&self) -> Result<String> {
        life::delete(self).await
    }

    /// Gives up a session that nobody will use: ends its keep-alive, tries several times to release it, and waits until it
    /// is gone. One that the service does not know is.
    ///
    /// # Errors
    /// As [`delete`](Self::delete); the session then ends with its idle time-out.
    pub async fn abandon(&self) -> Result<()> {
        life::abandon(self).await
    }

    /// Stores what its mounts hold, then releases the session as [`delete`](Self::delete) does. What can't be stored does
    /// not keep it from being released. For a session that was made without mounts it is a plain delete.
    ///
    /// # Errors
    /// As [`delete`](Self::delete); and when the session was released although its mounts could not be stored, which the
    /// message says.
    pub async fn delete_synced(&self) -> Result<String> {
        if self.inner.is_without_mounts {
            return self.delete().await;
        }
        let stored = self.sync_contexts(&SyncTarget::all(), SyncLimits::default()).await;
        let request_id = self.delete().await?;
        match stored {
            Ok(_) => Ok(request_id),
            Err(error) => {
                let text = "The session was released, but its contexts were not synchronised before";
                Err(error.prefixed(text).with_request_id(request_id))
            }
        }
    }

    /// Lets the session live on when its owner ends ([`AgbOptions::exit`](crate::AgbOptions::exit)). Was it to be
    /// released?
    pub fn detach(&self) -> bool {
        Registry::of_process().remove(self.agb(), self.id())
    }

    /// Makes the session end with the owner of its client, though it was not created here, or was detached; one that is gone
    /// has nothing to be released any more. `false` if that client has no [`exit`](crate::AgbOptions::exit) policy.
    pub fn adopt(&self) -> bool {
        Registry::of_process().adopt(self.agb(), self.id(), &self.details().image_id, self.life())
    }

    /// Has the session end with the owner of its client as if that had just made it, whatever was said meanwhile.
    pub(crate) fn register_again(&self) {
        Registry::of_process().add_created(self.agb(), self.id(), &self.details().image_id, self.life());
    }

    /// What became of the synchronisations of this session's contexts: of all, or of one context, path, task type
    /// (`upload`, `download`).
    ///
    /// # Errors
    /// What the service said, or [`ErrorKind::Protocol`] for an answer that can't be read.
    pub async fn context_info(
        &self,
        context_id: Option<&str>,
        path: Option<&str>,
        task_type: Option<&str>,
    ) -> Result<ContextItems> {
        sync::info(self, [("contextId", context_id), ("path", path), ("taskType", task_type)], self.agb().deadline())
            .await
    }

    /// Starts a synchronisation.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a context without a path or a path without a context; what the service said
    /// otherwise.
    pub async fn start_context_sync(&self, target: &SyncTarget) -> Result<StartedSync> {
        sync::start(self, target).await
    }

    /// Waits until a synchronisation that was started is done: the first looks follow quickly.
    ///
    /// # Errors
    /// [`ErrorKind::Api`] when a task failed, with its reason; [`ErrorKind::Timeout`] after `limits`.
    pub async fn context_synced(&self, started: &StartedSync, limits: SyncLimits) -> Result<()> {
        sync::wait(self, started, limits).await
    }

    /// Synchronises and waits until it is done. Gives the request id of the start.
    ///
    /// # Errors
    /// As [`start_context_sync`](Self::start_context_sync) and [`context_synced`](Self::context_synced).
    pub async fn sync_contexts(&self, target: &SyncTarget, limits: SyncLimits) -> Result<String> {
        let started = self.start_context_sync(target).await?;
        self.context_synced(&started, limits).await.map_err(|error| error.with_request_id(&started.request_id))?;
        Ok(started.request_id)
    }

    /// The session's desktop address and credentials, anew at each call.
    ///
    /// # Errors
    /// [`ErrorKind::SessionNotFound`] for an unknown or released session.
    pub async fn info(&self) -> Result<SessionInfo> {
        facts::info(self).await
    }

    /// Replaces all labels but the package's own, and gives the request id. Of a session that was found the package's own
    /// are asked for first, once.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no labels at all, a blank or reserved key, or a value that is null or blank; why
    /// the package's own could not be read.
    pub async fn set_labels(&self, labels: Map<String, Value>) -> Result<String> {
        facts::set_labels(self, labels, &self.inner.reserved_labels).await
    }

    /// The session's labels, without the package's own.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when the service sent labels that can't be read.
    pub async fn labels(&self) -> Result<Labels> {
        facts::labels(self).await
    }

    /// The package's own labels of the session.
    pub(crate) async fn reserved_labels(&self) -> Result<Map<String, Value>> {
        facts::reserved_labels(self).await
    }

    /// An address for a protocol (`https`, `wss`) and a port (the service accepts 30100–30199).
    ///
    /// # Errors
    /// What the service said, or [`ErrorKind::Protocol`] when it sent no URL.
    pub async fn link(&self, protocol: Option<&str>, port: Option<f64>) -> Result<SessionLink> {
        facts::link(self, protocol, port).await
    }

    /// The tools of an image; by default of the session's own. Does not count as activity.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when neither names an image.
    pub async fn list_tools(&self, image_id: Option<&str>) -> Result<ToolCatalogue> {
        facts::list_tools(self, image_id).await
    }

    /// How busy the session's machine is. `read` and `connect` limit the call as in [`ToolLimits`].
    ///
    /// # Errors
    /// The tool's failure, or an answer that can't be read.
    pub async fn metrics(&self, read: Option<Duration>, connect: Option<Duration>) -> Result<MetricsReply> {
        facts::metrics(self, ToolLimits { work: None, read, connect }).await
    }

    /// As [`RoutedSession::on_push`], by the session's own route.
    ///
    /// # Errors
    /// As there.
    pub async fn on_push(
        &self,
        target: &str,
        listener: impl Fn(Push) + Send + Sync + 'static,
    ) -> Result<PushSubscription> {
        self.by_route(None).on_push(target, listener).await
    }

    /// Hears what [`Session::on_push`] hears, as soon as there is a connection: see [`Session::connect_listeners`].
    pub fn listen(&self, target: &str, listener: impl Fn(Push) + Send + Sync + 'static) -> PushSubscription {
        self.inner.channel.listen(target, Arc::new(listener))
    }

    /// Connects for those who listen already, if any. When that fails it is tried again in the background, as after a
    /// connection that broke.
    pub async fn connect_listeners(&self) {
        let outcome = self.inner.channel.connect_listeners(self.agb().transport(), &self.address(None)).await;
        self.life().learn(&outcome);
    }

    fn address(&self, route: Option<&RouteOverride>) -> Address {
        let own = &self.inner.details;
        let url = route.and_then(|route| route.ws_url.as_ref()).unwrap_or(&own.ws_url);
        let token = route.map_or(&own.token, |route| &route.token);
        Address { url: url.clone(), token: token.clone() }
    }

    /// Ends the WebSocket and every stream on it, saying why.
    fn close_channel(&self, kind: crate::error::ErrorKind, why: &str) {
        self.inner.channel.close(kind, why);
    }

    /// A list that a caller gave; kept, so that it is read once for all of the caller's calls.
    fn given_list(&self, text: &str) -> Arc<ToolList> {
        let list = ToolList::shared(text);
        *self.inner.given_list.lock().unwrap_or_else(PoisonError::into_inner) = Some(list.clone());
        list
    }

    /// This session by another route; `None`: by its own.
    pub fn by_route(&self, route: Option<RouteOverride>) -> RoutedSession {
        RoutedSession { session: self.clone(), route: route.map(Arc::new) }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.inner.id)
            .field("details", &self.inner.details)
            .finish_non_exhaustive()
    }
}

impl CallTool for Session {
    async fn call_tool(&self, name: &str, args: ToolArgs, limits: ToolLimits) -> Result<ToolReply> {
        let details = &self.inner.details;
        let server = details.tool_list.server_of(name).map(str::to_owned);
        let route = Route { link_url: &details.link_url, token: &details.token, server };
        route::call(self, route, name, args, limits).await
    }
}

/// A [`Session`] whose tools go by a route that the caller gave.
#[derive(Debug, Clone)]
pub struct RoutedSession {
    session: Session,
    route: Option<Arc<RouteOverride>>,
}

impl RoutedSession {
    /// As [`Session::metrics`].
    ///
    /// # Errors
    /// As there.
    pub async fn metrics(&self, limits: ToolLimits) -> Result<MetricsReply> {
        facts::metrics(self, limits).await
    }

    /// Hears the messages that the service pushes to `target` over the session's WebSocket, until the subscription is
    /// dropped. While there is one, the connection is kept, and made again when it breaks, at most ten times in a row: then
    /// a line in the log says so, and the next stream or listener makes it again. `listener` runs on a thread of the runtime
    /// and must not block.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for an empty target or a session without WebSocket; why there is no connection.
    pub async fn on_push(
        &self,
        target: &str,
        listener: impl Fn(Push) + Send + Sync + 'static,
    ) -> Result<PushSubscription> {
        let address = self.session.address(self.route.as_deref());
        let transport = self.session.agb().transport();
        let outcome = self.session.inner.channel.subscribe(transport, &address, target, Arc::new(listener)).await;
        self.session.life().learn(&outcome);
        outcome
    }

    /// Begins a stream on the session's WebSocket, and holds the idle timer until the mark is dropped.
    pub(crate) async fn invoke(
        &self,
        tool: &str,
        default_server: &str,
        data: &Map<String, Value>,
        deadline: Deadline,
    ) -> Result<(Invocation, InFlight)> {
        let own = &self.session.inner.details;
        let server = match &self.route {
            Some(route) => self.server_of(route, tool),
            None => own.tool_list.server_of(tool).map(str::to_owned),
        };
        let server = server.filter(|server| !server.is_empty()).unwrap_or_else(|| default_server.to_owned());
        let address = self.session.address(self.route.as_deref());
        let in_flight = self.session.life().begin();
        let transport = self.session.agb().transport();
        let channel = &self.session.inner.channel;
        let invocation = channel.invoke(transport, &address, &server, data, deadline).await?;
        Ok((invocation, in_flight))
    }

    /// The session behind it.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The first entry of the caller's tools decides, then the caller's tool list; where either was not given, the
    /// session's own stands in its place.
    fn server_of(&self, route: &RouteOverride, name: &str) -> Option<String> {
        let own = &self.session.inner.details;
        let from_tools = match &route.tools {
            Some(tools) => tools.iter().find(|(tool, _)| tool == name).map(|(_, server)| server.clone()),
            None => own.tool_list.server_of(name).map(str::to_owned),
        };
        from_tools.or_else(|| match &route.tool_list {
            Some(text) if *text != own.tool_list.text => {
                self.session.given_list(text).server_of(name).map(str::to_owned)
            }
            _ => own.tool_list.server_of(name).map(str::to_owned),
        })
    }
}

impl CallTool for RoutedSession {
    async fn call_tool(&self, name: &str, args: ToolArgs, limits: ToolLimits) -> Result<ToolReply> {
        let Some(given) = &self.route else { return self.session.call_tool(name, args, limits).await };
        let route = Route { link_url: &given.link_url, token: &given.token, server: self.server_of(given, name) };
        route::call(&self.session, route, name, args, limits).await
    }
}

#[cfg(test)]
mod tests;
