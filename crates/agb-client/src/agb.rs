//! The service as a whole: configuration, the one HTTP client, and the operations that make or find sessions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::config::{self, Config, Sources};
use crate::context::{ContextMount, ContextStatus, MountReport};
use crate::error::{Error, ErrorKind, Result};
use crate::http_client::HttpClient;
use crate::lifecycle::clock::Moment;
use crate::lifecycle::registry::{Creating, Registry};
use crate::lifecycle::{
    Clock, ExitPolicy, KeepAliveOptions, Lease, Life, LiveSession, Owner, WeakLife, labels_of_this_process,
};
use crate::modules::filesystem::Turns;
use crate::session::{Created, Session, SessionDetails};
use crate::transport::{Deadline, Headers, Request, Resend, RetryPolicy, Transport, redact};
use crate::wire::endpoint::{self, Endpoint};
use crate::wire::envelope::{Answer, Fallback, is_session_not_found};
use crate::wire::{Query, context as wire_context, js, session as wire};

pub use self::many::Deletion;
pub(crate) use self::recover::NotCreated;
pub use self::recover::{RESERVED_LABEL_PREFIX, is_reserved_label};
pub use crate::wire::session::SessionData;

mod many;
mod orphans;
pub(crate) mod recover;

const NO_API_KEY: &str = "API key is required. Provide it as a parameter or set the AGB_API_KEY environment variable. \
To try the package without an account, start its local emulator (npx agb-emulator).";
const DEFAULT_PAGE_LIMIT: f64 = 10.0;
/// How long releasing a half-made session may take before its error is reported without it.
const RELEASE_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// The longest wait for the first synchronisation of a new session's mounts.
const MOUNT_LIMIT: Duration = Duration::from_secs(300);
/// The interval of looks at the mounts once the quick first ones are over.
const MOUNT_INTERVAL: Duration = Duration::from_secs(2);
/// The second look at the mounts.
const MOUNT_FIRST_PAUSE: Duration = Duration::from_millis(30);

/// Who is talking: the public package, which the service counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdkIdentity {
    /// `typescript` for the npm package.
    pub language: String,
    /// The package's own version.
    pub version: String,
    /// Is this a released build?
    pub release: bool,
}

/// What an [`Agb`] is made of. Every member may be left out by `..AgbOptions::new(sdk)`.
#[derive(Clone)]
pub struct AgbOptions {
    /// The API key; else `AGB_API_KEY` of `env`, else of the `.env` file.
    pub api_key: Option<String>,
    /// Host or URL of the service; else `AGB_ENDPOINT`, else [`config::DEFAULT_ENDPOINT`].
    pub endpoint: Option<String>,
    /// Deadline of a request in milliseconds; else `AGB_TIMEOUT_MS`, else [`config::DEFAULT_TIMEOUT_MS`].
    pub timeout_ms: Option<f64>,
    /// The file to read settings from; must exist.
    pub env_file: Option<PathBuf>,
    /// Where to look for `.env` when `env_file` is not given; `None`: nowhere.
    pub directory: Option<PathBuf>,
    /// The environment as the caller sees it: `AGB_*`, the proxy variables and `NODE_EXTRA_CA_CERTS`. The environment of
    /// the process is not read.
    pub env: BTreeMap<String, String>,
    /// Who is talking.
    pub sdk: SdkIdentity,
    /// Makes the sessions that this client creates, and those that are adopted, end with their owner; `None`: nothing is
    /// registered or released.
    pub exit: Option<ExitPolicy>,
}

impl AgbOptions {
    /// Nothing given but who is talking.
    pub fn new(sdk: SdkIdentity) -> Self {
        Self {
            api_key: None,
            endpoint: None,
            timeout_ms: None,
            env_file: None,
            directory: None,
            env: BTreeMap::new(),
            sdk,
            exit: None,
        }
    }
}

impl fmt::Debug for AgbOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgbOptions")
            .field("api_key", &self.api_key.as_ref().map(|_| redact::MASK))
            .field("endpoint", &self.endpoint.as_deref().map(redact::url))
            .field("timeout_ms", &self.timeout_ms)
            .field("env_file", &self.env_file)
            .field("directory", &self.directory)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("sdk", &self.sdk)
            .field("exit", &self.exit)
            .finish()
    }
}

/// What a new session shall be.
#[derive(Debug, Clone, Default)]
pub struct CreateParams {
    /// The image; must not be blank.
    pub image_id: String,
    /// Labels, sent as they are; `None`: none are sent.
    pub labels: Option<Map<String, Value>>,
    /// The policy of the MCP gateway; `None` or empty: none is sent.
    pub policy_id: Option<String>,
    /// Seconds without activity after which the service releases the session. `None`: not sent, and the service takes its
    /// default of 300; `Some(None)`: an explicit `null` is sent.
    pub idle_release_timeout_s: Option<Option<f64>>,
    /// The contexts to mount, in the order in which they go out.
    pub persistence: Vec<ContextMount>,
    /// Keeps the session alive from its creation on; `None`: nothing does.
    pub keep_alive: Option<KeepAliveOptions>,
    /// Should the answer get lost, finds the session again by a label that is sent with it; one that turns up too late,
    /// or after the caller has gone, is released.
    pub recover: bool,
    /// Sees to it that the session ends soon after this process; `None`: it ends with its idle time-out.
    pub lease: Option<Lease>,
    /// Labels of the package's own, sent beside the user's; their names begin with [`RESERVED_LABEL_PREFIX`].
    pub reserved_labels: Map<String, Value>,
}

impl CreateParams {
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for what is refused before anything is sent.
    pub(crate) fn check(&self) -> Result<()> {
        if self.image_id.trim().is_empty() {
            return Err(invalid(&endpoint::CREATE_SESSION, "imageId is required and cannot be empty or null"));
        }
        if let Some(options) = &self.keep_alive {
            options.check()?;
        }
        if let Some(labels) = &self.labels {
            recover::check_labels_of_user(labels, endpoint::CREATE_SESSION.operation)?;
        }
        let Some(lease) = self.lease else { return Ok(()) };
        if self.idle_release_timeout_s.flatten().is_some() {
            let text = "give either lease or idleReleaseTimeout: the time-out of a session with a lease is lease.ttlS";
            return Err(invalid(&endpoint::CREATE_SESSION, text));
        }
        lease.check()
    }

    /// What a lease stands for.
    fn with_lease(mut self) -> Self {
        if let Some(lease) = self.lease {
            self.idle_release_timeout_s = Some(Some(lease.ttl_s()));
            self.keep_alive.get_or_insert_default();
            self.recover = true;
            self.reserved_labels.extend(labels_of_this_process());
        }
        self
    }
}

/// What `getSession` answered.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRecord {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The status of the HTTP answer.
    pub http_status: u16,
    /// The envelope's code: `ok` or an empty text.
    pub code: String,
    /// The session; `None` where the answer had no data.
    pub data: Option<SessionData>,
}

/// One page of sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionPage {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The ids in the service's order.
    pub session_ids: Vec<String>,
    /// The token of the next page; empty on the last.
    pub next_token: String,
    /// The page's size, as the service counts it; else the limit that was asked for.
    pub max_results: f64,
    /// The number of sessions over all pages.
    pub total_count: f64,
}

/// Why there is no page, with the two counts that the surface shows beside the error.
#[derive(Debug)]
pub struct ListFailure {
    /// What went wrong.
    pub error: Error,
    /// The limit that was asked for.
    pub max_results: f64,
    /// The number of sessions, where the service told it before the walk ended.
    pub total_count: f64,
}

/// The client of the service. Clones share configuration and connections.
#[derive(Clone)]
pub struct Agb {
    inner: Arc<Inner>,
}

struct Inner {
    api_key: String,
    config: Config,
    base_url: String,
    sdk: SdkIdentity,
    exit: Option<ExitPolicy>,
    transport: Transport,
    clock: Clock,
    /// The connections of keep-alives: they are driven by another thread than the others.
    beats: Transport,
    /// The life of each session that somebody holds, so that two objects of one session agree.
    lives: Mutex<HashMap<String, WeakLife>>,
    /// Processes that have sessions with a lease, and were alive at the last look.
    owners: Mutex<BTreeSet<Owner>>,
    /// Who may write which file when.
    turns: Turns,
}

impl Agb {
    /// Finds the configuration. Nothing is sent, and TLS is set up at the first request.
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`] without an API key, or with one that no header can carry; [`ErrorKind::Config`] as
    /// [`config::load`].
    pub fn new(options: AgbOptions) -> Result<Self> {
        Self::with_retry(options, RetryPolicy::default())
    }

    pub(crate) fn with_retry(options: AgbOptions, policy: RetryPolicy) -> Result<Self> {
        let sources = Sources::read(options.env_file.as_deref(), options.directory.as_deref(), &options.env)?;
        let api_key = sources
            .api_key(options.api_key.as_deref())
            .ok_or_else(|| Error::new(ErrorKind::Authentication, NO_API_KEY))?;
        check_api_key(&api_key)?;
        let config = sources.config(options.endpoint.as_deref(), options.timeout_ms)?;
        let base_url = config::base_url(&config.endpoint)?;
        let transport = Transport::new(&options.env, policy);
        let beats = Transport::new(&options.env, policy);
        let clock = Clock::of_service(&base_url);
        let (lives, owners, turns) = Default::default();
        let AgbOptions { sdk, exit, .. } = options;
        let inner = Inner { api_key, config, base_url, sdk, exit, transport, beats, clock, lives, owners, turns };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The API key in use.
    pub fn api_key(&self) -> &str {
        &self.inner.api_key
    }

    /// The endpoint as it was configured.
    pub fn endpoint(&self) -> &str {
        &self.inner.config.endpoint
    }

    /// Deadline of a request, in milliseconds.
    pub fn timeout_ms(&self) -> f64 {
        self.inner.config.timeout_ms
    }

    /// The sessions that are released when their owner ends: those that this client created or adopted, and has neither
    /// deleted nor detached. Empty for a client without [`exit`](AgbOptions::exit).
    pub fn live_sessions(&self) -> Vec<LiveSession> {
        Registry::of_process().sessions_of(self)
    }

    /// The clock that this service's session timers run on.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Makes a session, and waits for its mounts (at most 300 s), if it has any.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a blank image; what the service said otherwise. A session that the service made
    /// although the call failed is released, and the message names it.
    pub fn create(&self, params: CreateParams) -> impl Future<Output = Result<Session>> + Send + use<> {
        let creation = self.create_watched(params);
        async move { creation.await.map_err(|failed| failed.error) }
    }

    /// As [`create`](Self::create), for those who have to know when no session of a failed creation can turn up any more.
    pub(crate) fn create_watched(
        &self,
        params: CreateParams,
    ) -> impl Future<Output = std::result::Result<Session, NotCreated>> + Send + use<> {
        // Now, and not when the future first runs: the owner may end in between.
        let creating = Registry::of_process().creating(self);
        let agb = self.clone();
        async move { agb.create_registered(params, creating).await }
    }

    async fn create_registered(
        &self,
        params: CreateParams,
        creating: Option<Creating<'static>>,
    ) -> std::result::Result<Session, NotCreated> {
        params.check()?;
        let params = params.with_lease();
        // A session that is to be released has to be known, whatever becomes of the answer and of the caller.
        if params.recover || creating.is_some() {
            self.create_recoverably(params, creating).await
        } else {
            Ok(self.create_once(params).await?)
        }
    }

    async fn create_once(&self, params: CreateParams) -> Result<Session> {
        let asked = self.clock().moment();
        let (answer, data) = self.ask_for_creation(&params).await?;
        self.take_created(answer, data, params, asked).await
    }

    /// The answer to a creation, which names a session or succeeds at least.
    async fn ask_for_creation(&self, params: &CreateParams) -> Result<(Answer, SessionData)> {
        let query = vec![("imageId", params.image_id.clone()), ("sdkStats", self.sdk_stats())];
        let answer = self.post(&endpoint::CREATE_SESSION, &query, &create_body(params), self.deadline()).await?;
        let data = answer.data_object().map(SessionData::read).unwrap_or_default();
        if data.session_id.is_empty() {
            check_created(&answer, &data)?;
        }
        Ok((answer, data))
    }

    /// The session of an answer; where something is wrong with it, it is released.
    async fn take_created(
        &self,
        answer: Answer,
        data: SessionData,
        params: CreateParams,
        asked: Moment,
    ) -> Result<Session> {
        let life = self.created(&data.session_id, &params, asked);
        if let Err(error) = check_created(&answer, &data) {
            return Err(self.released_after(&data.session_id, error).await);
        }
        self.finish_creation(data, answer.request_id, life, params).await
    }

    /// There is a session that was asked for at the moment `asked`.
    fn created(&self, session_id: &str, params: &CreateParams, asked: Moment) -> Life {
        let idle_timeout = params.idle_release_timeout_s.flatten().and_then(|s| Duration::try_from_secs_f64(s).ok());
        let life = self.life_of_new(session_id, idle_timeout, asked);
        Registry::of_process().add_created(self, session_id, &params.image_id, &life);
        life
    }

    /// What is left to be done for a session that the service has made.
    async fn finish_creation(
        &self,
        data: SessionData,
        request_id: String,
        life: Life,
        params: CreateParams,
    ) -> Result<Session> {
        let mounts = if params.persistence.is_empty() {
            None
        } else {
            match self.wait_for_mounts(&data.session_id).await {
                Ok(report) => Some(report),
                Err(error) => {
                    let error = error.prefixed("Failed to create session");
                    return Err(self.released_after(&data.session_id, error).await);
                }
            }
        };
        tracing::debug!(target: "agb::session", session = data.session_id, "created");
        let session_id = data.session_id.clone();
        let details = details(data, params.image_id, request_id);
        let created = Created { details, mounts, reserved_labels: Some(params.reserved_labels) };
        let session = Session::created(self.clone(), &session_id, life, created);
        if let Some(options) = params.keep_alive
            && let Err(error) = session.start_keep_alive(options)
        {
            return Err(self.released_after(&session_id, error).await);
        }
        Ok(session)
    }

    fn sdk_stats(&self) -> String {
        let sdk = &self.inner.sdk;
        let stats = wire::SdkStats {
            source: "sdk",
            sdk_language: &sdk.language,
            sdk_version: &sdk.version,
            is_release: sdk.release,
        };
        serde_json::to_string(&stats).unwrap_or_default()
    }

    /// Releases a session that nobody will hold, and says so in the error that left it over.
    async fn released_after(&self, session_id: &str, error: Error) -> Error {
        if session_id.is_empty() {
            return error;
        }
        let body = wire::SessionIdBody { session_id };
        let deadline = Deadline::after(RELEASE_AFTER_FAILURE).min(self.deadline());
        let released = self.post(&endpoint::RELEASE_SESSION, &Vec::new(), &body, deadline).await;
        let note = match released {
            Ok(answer) if answer.is_success() || is_session_not_found(&answer.code()) => {
                self.forget(session_id);
                "was released"
            }
            _ => "could not be released and stays until its idle time-out",
        };
        error.noted(format!("session {session_id} {note}"))
    }

    /// Looks at the mounts, quickly first, until each came to its end or the time is over. A look that fails is repeated.
    async fn wait_for_mounts(&self, session_id: &str) -> Result<MountReport> {
        let deadline = Deadline::after(MOUNT_LIMIT);
        let mut pause = MOUNT_FIRST_PAUSE;
        let mut report = MountReport::default();
        loop {
            match self.mount_status(session_id, deadline).await {
                Ok(items) => {
                    report.finished = items.iter().all(ContextStatus::is_final);
                    report.items = items;
                    report.error = None;
                }
                Err(error) if matches!(error.kind(), ErrorKind::SessionNotFound | ErrorKind::Authentication) => {
                    return Err(error);
                }
                Err(error) => report.error = Some(error.message().to_owned()),
            }
            if report.finished || deadline.left().is_zero() {
                break;
            }
            tokio::time::sleep(pause.min(deadline.left())).await;
            pause = (pause * 2).min(MOUNT_INTERVAL);
        }
        for item in report.failed() {
            tracing::warn!(target: "agb::session", path = item.path, error = item.error_message, "mount failed");
        }
        Ok(report)
    }

    async fn mount_status(&self, session_id: &str, limit: Deadline) -> Result<Vec<ContextStatus>> {
        let query = vec![("sessionId", session_id.to_owned())];
        let endpoint = &endpoint::CONTEXT_INFO;
        let answer = self.call(endpoint, &query, self.deadline().min(limit)).await?;
        let answer = answer.accept(endpoint.operation, Fallback::Plain)?;
        wire_context::read_status(answer.data_object())
            .map_err(|why| answer.error(ErrorKind::Protocol, why, endpoint.operation))
    }

    /// Asks for a session's record.
    ///
    /// # Errors
    /// [`ErrorKind::SessionNotFound`] for an unknown or released session.
    pub async fn get_session(&self, session_id: &str) -> Result<SessionRecord> {
        match self.known_life(session_id) {
            Some(life) => life.using(self.ask_for_session(session_id)).await,
            None => self.heard(session_id, self.ask_for_session(session_id).await),
        }
    }

    async fn ask_for_session(&self, session_id: &str) -> Result<SessionRecord> {
        let endpoint = &endpoint::GET_SESSION;
        let answer = if session_id.is_empty() {
            self.post_empty_object(endpoint, &Vec::new(), self.deadline()).await?
        } else {
            self.post(endpoint, &Vec::new(), &wire::SessionIdBody { session_id }, self.deadline()).await?
        };
        let answer = answer.accept(endpoint.operation, Fallback::Plain)?;
        let data = answer.data_object().map(|data| {
            let mut data = SessionData::read(data);
            if data.session_id.is_empty() {
                session_id.clone_into(&mut data.session_id);
            }
            data
        });
        Ok(SessionRecord { http_status: answer.http_status, code: answer.code(), request_id: answer.request_id, data })
    }

    /// Finds a session that is alive.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a blank id; the failure of [`get_session`](Self::get_session), introduced by
    /// `Failed to get session <id>`.
    pub async fn get(&self, session_id: &str) -> Result<Session> {
        if session_id.trim().is_empty() {
            return Err(invalid(&endpoint::GET_SESSION, "sessionId is required"));
        }
        let record = self
            .get_session(session_id)
            .await
            .map_err(|error| error.prefixed(format_args!("Failed to get session {session_id}")))?;
        let details = details(record.data.unwrap_or_default(), String::new(), record.request_id);
        Ok(Session::found(self.clone(), session_id, details))
    }

    /// One page of the sessions that carry all of `labels`. `page` counts from 1 (the default); the pages before it are
    /// walked. `limit` is the page's size, 10 by default. Does not count as activity.
    ///
    /// # Errors
    /// A page below 1 or beyond the last, or what the service said.
    pub async fn list(
        &self,
        labels: Map<String, Value>,
        page: Option<f64>,
        limit: Option<f64>,
    ) -> std::result::Result<SessionPage, ListFailure> {
        let limit = limit.unwrap_or(DEFAULT_PAGE_LIMIT);
        let page = page.unwrap_or(1.0);
        let unreachable = format!("Cannot reach page {}", js::number_text(page));
        let fail = |error: Error, total_count: f64| ListFailure { error, max_results: limit, total_count };
        if page < 1.0 {
            let error = invalid(&endpoint::LIST_SESSIONS, "Page number must be >= 1");
            return Err(fail(error.prefixed(unreachable), 0.0));
        }
        let labels = js::object_text(&labels);
        let mut token = String::new();
        let mut current = 1.0;
        while current < page {
            let (answer, listed) = self
                .list_page(&labels, limit, &token, self.deadline())
                .await
                .map_err(|error| fail(error.prefixed(&unreachable), 0.0))?;
            if listed.next_token.is_empty() {
                let operation = endpoint::LIST_SESSIONS.operation;
                let error = answer.error(ErrorKind::InvalidArgument, "No more pages available", operation);
                return Err(fail(error.prefixed(unreachable), listed.count.unwrap_or_default()));
            }
            token = listed.next_token;
            current += 1.0;
        }
        let (answer, listed) =
            self.list_page(&labels, limit, &token, self.deadline()).await.map_err(|error| fail(error, 0.0))?;
        Ok(SessionPage {
            request_id: answer.request_id,
            session_ids: listed.session_ids,
            next_token: listed.next_token,
            max_results: listed.max_results.unwrap_or(limit),
            total_count: listed.count.unwrap_or_default(),
        })
    }

    async fn list_page(
        &self,
        labels: &str,
        limit: f64,
        token: &str,
        deadline: Deadline,
    ) -> Result<(Answer, wire::ListedSessions)> {
        let mut query = vec![("maxResults", js::number_text(limit))];
        if !token.is_empty() {
            query.push(("nextToken", token.to_owned()));
        }
        query.push(("labels", labels.to_owned()));
        let endpoint = &endpoint::LIST_SESSIONS;
        let answer = self.call(endpoint, &query, deadline).await?.accept(endpoint.operation, Fallback::Status)?;
        let listed = answer.object().map(wire::ListedSessions::read).unwrap_or_default();
        Ok((answer, listed))
    }

    /// Sends requests of any kind, over the same connections.
    pub fn http_client(&self) -> HttpClient {
        HttpClient::sharing(self.inner.base_url.clone(), self.timeout(), self.inner.transport.clone())
    }

    /// A session whose details somebody else knows. Nothing is sent.
    pub fn attach(&self, session_id: &str, details: SessionDetails) -> Session {
        Session::found(self.clone(), session_id, details)
    }
}

/// What this crate's registry of live sessions asks, and is told.
impl Agb {
    pub(crate) fn exit_policy(&self) -> Option<ExitPolicy> {
        self.inner.exit
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.inner.base_url
    }

    /// Is `other` a clone of this?
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The same for all clones, and for nothing else.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    /// This client with connections of its own. Nothing is registered for its sessions.
    pub(crate) fn with_new_connections(&self) -> Self {
        let Inner { api_key, config, base_url, sdk, transport, clock, beats, .. } = &*self.inner;
        let inner = Inner {
            api_key: api_key.clone(),
            config: config.clone(),
            base_url: base_url.clone(),
            sdk: sdk.clone(),
            exit: None,
            transport: transport.with_new_connections(),
            clock: clock.clone(),
            beats: beats.with_new_connections(),
            lives: Mutex::default(),
            owners: Mutex::default(),
            turns: Turns::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A session is gone, or will be soon.
    pub(crate) fn forget(&self, session_id: &str) {
        Registry::of_process().remove(self, session_id);
    }

    /// Passes on what the service said of a session, and forgets it if it is gone.
    pub(crate) fn heard<T>(&self, session_id: &str, outcome: Result<T>) -> Result<T> {
        if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::SessionNotFound) {
            self.forget(session_id);
        }
        outcome
    }
}

/// How requests are made and answers read; for this crate's other nouns.
impl Agb {
    pub(crate) fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    /// The configured time-out.
    pub(crate) fn timeout(&self) -> Duration {
        self.inner.config.timeout()
    }

    /// The configured time-out from now.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout())
    }

    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        query: &Query,
        body: &impl Serialize,
        deadline: Deadline,
    ) -> Result<Answer> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("the request can't be written: {error}")))?;
        self.exchange(&self.request(endpoint, query, body.into(), deadline)).await
    }

    pub(crate) async fn post_empty_object(
        &self,
        endpoint: &Endpoint,
        query: &Query,
        deadline: Deadline,
    ) -> Result<Answer> {
        self.exchange(&self.request(endpoint, query, Bytes::from_static(b"{}"), deadline)).await
    }

    /// A request without body.
    pub(crate) async fn call(&self, endpoint: &Endpoint, query: &Query, deadline: Deadline) -> Result<Answer> {
        self.exchange(&self.request(endpoint, query, Bytes::new(), deadline)).await
    }

    pub(crate) fn request(&self, endpoint: &Endpoint, query: &Query, body: Bytes, deadline: Deadline) -> Request {
        Request {
            operation: endpoint.operation,
            method: endpoint.verb.into(),
            url: url_of(&self.inner.base_url, endpoint.path, query),
            headers: rest_headers(Some(format!("Bearer {}", self.inner.api_key))),
            body,
            resend: if endpoint.repeatable { Resend::Freely } else { Resend::IfNotSent },
            deadline,
            connect_limit: None,
        }
    }

    pub(crate) async fn exchange(&self, request: &Request) -> Result<Answer> {
        self.exchange_on(&self.inner.transport, request).await
    }

    async fn exchange_on(&self, transport: &Transport, request: &Request) -> Result<Answer> {
        let reply = transport.send(request).await?;
        let answer = Answer::read(reply.status, &reply.request_id, reply.attempts, &reply.body);
        Ok(answer.without_secret(self.api_key()))
    }

    /// One keep-alive on the connections of the engine, which alone calls this. It repeats by its own rules.
    pub(crate) async fn beat(&self, session_id: &str, deadline: Deadline) -> Result<()> {
        let endpoint = &endpoint::KEEP_ALIVE;
        let query = vec![("sessionId", session_id.to_owned())];
        let mut request = self.request(endpoint, &query, Bytes::from_static(b"{}"), deadline);
        request.resend = Resend::Never;
        let answer = self.exchange_on(&self.inner.beats, &request).await?;
        answer.accept(endpoint.operation, Fallback::Plain).map(drop)
    }

    /// The life of a session that was asked for at the moment `asked`.
    pub(crate) fn life_of_new(&self, session_id: &str, idle_timeout: Option<Duration>, asked: Moment) -> Life {
        let life = Life::of_new_session(self.inner.clock.clone(), idle_timeout, asked);
        self.note_life(&mut self.lock_lives(), session_id, life)
    }

    /// The life of a session that somebody in this client may hold already.
    pub(crate) fn life_of_found(&self, session_id: &str) -> Life {
        let mut lives = self.lock_lives();
        if let Some(life) = lives.get(session_id).and_then(WeakLife::upgrade) {
            return life;
        }
        let life = Life::of_found_session(self.inner.clock.clone());
        self.note_life(&mut lives, session_id, life)
    }

    fn note_life(&self, lives: &mut HashMap<String, WeakLife>, session_id: &str, life: Life) -> Life {
        // Now and then is enough: what is left over is small.
        if lives.len().is_power_of_two() {
            lives.retain(|_, known| known.is_held());
        }
        lives.insert(session_id.to_owned(), life.downgrade());
        life.ending_with(Registry::of_process().removal(self, session_id))
    }

    /// Turns at the files of this client's sessions.
    pub(crate) fn turns(&self) -> &Turns {
        &self.inner.turns
    }

    fn known_life(&self, session_id: &str) -> Option<Life> {
        self.lock_lives().get(session_id).and_then(WeakLife::upgrade)
    }

    fn lock_owners(&self) -> MutexGuard<'_, BTreeSet<Owner>> {
        self.inner.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_lives(&self) -> MutexGuard<'_, HashMap<String, WeakLife>> {
        self.inner.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Agb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agb")
            .field("endpoint", &redact::url(self.endpoint()))
            .field("timeout_ms", &self.timeout_ms())
            .finish_non_exhaustive()
    }
}

fn check_api_key(api_key: &str) -> Result<()> {
    // What a header value may hold; a pasted line break is the usual offender.
    if api_key.bytes().all(|byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f)) && api_key.is_ascii() {
        return Ok(());
    }
    let text = "The API key holds characters that no HTTP header can carry (a line break?)";
    Err(Error::new(ErrorKind::Authentication, text))
}

fn invalid(endpoint: &Endpoint, text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, text).with_operation(endpoint.operation)
}

fn create_body(params: &CreateParams) -> wire::CreateBody {
    let persistence = |mount: &ContextMount| wire::Persistence {
        context_id: mount.context_id.clone(),
        path: mount.path.clone(),
        policy: mount.policy_json.clone(),
    };
    wire::CreateBody {
        persistence_data_list: params.persistence.iter().map(persistence).collect(),
        labels: labels_of(params).as_ref().map(js::object_text),
        mcp_policy_id: params.policy_id.clone().filter(|id| !id.is_empty()),
        timeout: params.idle_release_timeout_s.map(|seconds| seconds.map_or(Value::Null, js::number)),
    }
}

fn labels_of(params: &CreateParams) -> Option<Map<String, Value>> {
    if params.reserved_labels.is_empty() {
        return params.labels.clone();
    }
    let own = params.reserved_labels.iter().map(|(key, value)| (key.clone(), value.clone()));
    Some(params.labels.clone().unwrap_or_default().into_iter().chain(own).collect())
}

/// Was a session made, as far as the answer says? The data's own verdict comes first, as its words are for people.
fn check_created(answer: &Answer, data: &SessionData) -> Result<()> {
    let operation = endpoint::CREATE_SESSION.operation;
    let verdict = answer.data_object().and_then(|data| js::either_case(data, "success"));
    if verdict == Some(&Value::Bool(false)) || !answer.is_success() {
        return Err(answer.refusal(operation, Fallback::DataFirst));
    }
    if data.session_id.is_empty() {
        return Err(answer.error(ErrorKind::Protocol, "Session ID not found in response", operation));
    }
    Ok(())
}

fn details(data: SessionData, image_id: String, request_id: String) -> SessionDetails {
    SessionDetails {
        resource_url: data.resource_url,
        app_instance_id: data.app_instance_id,
        resource_id: data.resource_id,
        link_url: data.link_url,
        ws_url: data.ws_url,
        token: data.token,
        image_id,
        tool_list: data.tool_list,
        request_id,
    }
}

/// What stays as it is in a query: as the service's own clients have it, so that it can decode what they send.
const UNESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b':')
    .remove(b'$')
    .remove(b',')
    // Becomes `+`.
    .remove(b' ');

/// The URL of a path, which may bring a query of its own.
pub(crate) fn url_of<N: AsRef<str>>(base_url: &str, path: &str, query: &[(N, String)]) -> String {
    let mut url = format!("{base_url}/{path}");
    let mut separator = if path.contains('?') { '&' } else { '?' };
    for (name, value) in query {
        url.push(separator);
        push_escaped(&mut url, name.as_ref());
        url.push('=');
        push_escaped(&mut url, value);
        separator = '&';
    }
    url
}

fn push_escaped(url: &mut String, text: &str) {
    url.extend(utf8_percent_encode(text, UNESCAPED).map(|part| part.replace(' ', "+")));
}

/// What every request to an endpoint carries.
pub(crate) fn rest_headers(authorization: Option<String>) -> Headers {
    let fixed = [
        ("content-type".into(), "application/json".to_owned()),
        ("accept".into(), "application/json, text/plain, */*".to_owned()),
    ];
    authorization.map(|value| ("authorization".into(), value)).into_iter().chain(fixed).collect()
}

#[cfg(test)]
mod tests;
