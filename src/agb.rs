//! The way into the service: `ts/agb.ts` on this side.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use agb_client::config::{self, Config};
use agb_client::lifecycle::Lease;
use agb_client::{
    Agb, AgbOptions, CreateParams, Deletion, LiveSession, SdkIdentity, SessionDetails, SessionPage, SessionRecord,
};
use napi::bindgen_prelude::PromiseRaw;
use napi::{Either, Env, Result};
use napi_derive::napi;

use crate::context::NativeMount;
use crate::exit::{NativeExitOptions, exit_policy};
use crate::http_client::NativeHttpClient;
use crate::lifecycle::NativeKeepAliveOptions;
use crate::session::{NativeFoundSession, NativeSession};
use crate::support::{NativeCancel, NativeFailure, Outcome, json_object, outcome, promise};

/// Where configuration comes from, as the facade sees it.
#[napi(object, object_to_js = false)]
pub struct NativeSources {
    /// Host or URL of the service.
    pub endpoint: Option<String>,
    /// How long a request may take, in milliseconds.
    pub timeout_ms: Option<f64>,
    /// A file to read instead of `.env`.
    pub env_file: Option<String>,
    /// Where `.env` is looked for.
    pub directory: String,
    /// The variables that concern the client.
    pub environment: HashMap<String, String>,
}

/// What a client is opened with.
#[napi(object, object_to_js = false)]
pub struct NativeAgbOptions {
    /// The API key, where the program gives one.
    pub api_key: Option<String>,
    /// Host or URL of the service.
    pub endpoint: Option<String>,
    /// How long a request may take, in milliseconds.
    pub timeout_ms: Option<f64>,
    /// A file to read instead of `.env`.
    pub env_file: Option<String>,
    /// Where `.env` is looked for; nowhere when absent.
    pub directory: Option<String>,
    /// The variables that concern the client.
    pub environment: HashMap<String, String>,
    /// The language of the facade, for the service's statistics.
    pub language: String,
    /// The version of the package, for the service's statistics.
    pub version: String,
    /// Makes sessions end with the process.
    pub release_on_exit: Option<NativeExitOptions>,
}

/// A resolved configuration.
#[napi(object, object_from_js = false)]
pub struct NativeConfig {
    /// Host or URL of the service.
    pub endpoint: String,
    /// How long a request may take, in milliseconds.
    pub timeout_ms: f64,
}

impl From<Config> for NativeConfig {
    fn from(config: Config) -> Self {
        Self { endpoint: config.endpoint, timeout_ms: config.timeout_ms }
    }
}

/// The configuration when nothing is set anywhere.
#[napi]
pub fn default_config() -> NativeConfig {
    config::default_config().into()
}

/// Resolves a configuration.
#[napi]
pub fn load_config(sources: NativeSources) -> Outcome<NativeConfig> {
    let environment: BTreeMap<_, _> = sources.environment.into_iter().collect();
    outcome(config::load(
        sources.endpoint.as_deref(),
        sources.timeout_ms,
        sources.env_file.as_deref().map(AsRef::as_ref),
        Some(sources.directory.as_ref()),
        &environment,
    ))
}

/// Opens a client. Nothing is sent.
#[napi]
pub fn open_agb(env: &Env, options: NativeAgbOptions) -> Result<Outcome<NativeAgb>> {
    let exit = options.release_on_exit.map(|options| exit_policy(env, &options)).transpose()?;
    Ok(outcome(Agb::new(AgbOptions {
        api_key: options.api_key,
        endpoint: options.endpoint,
        timeout_ms: options.timeout_ms,
        env_file: options.env_file.map(Into::into),
        directory: options.directory.map(Into::into),
        env: options.environment.into_iter().collect(),
        sdk: SdkIdentity { language: options.language, version: options.version, release: is_release() },
        exit,
    })))
}

/// Was the addon built for release?
#[napi]
pub fn is_release() -> bool {
    !cfg!(debug_assertions)
}

/// The version of the package.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// What a new session shall be.
#[napi(object, object_to_js = false)]
pub struct NativeCreateParams {
    /// The image to start.
    pub image_id: String,
    /// The labels: a JSON object.
    pub labels: Option<String>,
    /// The policy to apply.
    pub policy_id: Option<String>,
    /// Seconds.
    pub idle_release_timeout: Option<f64>,
    /// The contexts to mount, in their order.
    pub mounts: Vec<NativeMount>,
    /// How the session is kept alive.
    pub keep_alive: Option<NativeKeepAliveOptions>,
    /// Find the session again when the answer gets lost.
    pub recover: bool,
    /// End the session soon after this process.
    pub lease: Option<NativeLease>,
}

/// How soon a session ends after its process.
#[napi(object, object_to_js = false)]
pub struct NativeLease {
    /// Seconds.
    pub ttl_s: Option<f64>,
}

impl NativeCreateParams {
    /// On the JavaScript thread, as the keep-alive demands.
    pub(crate) fn read(self) -> agb_client::Result<CreateParams> {
        Ok(CreateParams {
            image_id: self.image_id,
            labels: self.labels.as_deref().map(json_object).transpose()?,
            policy_id: self.policy_id,
            idle_release_timeout_s: self.idle_release_timeout.map(Some),
            persistence: self.mounts.into_iter().map(Into::into).collect(),
            keep_alive: self.keep_alive.map(NativeKeepAliveOptions::read).transpose()?,
            recover: self.recover,
            lease: self.lease.map(|lease| Lease { ttl_s: lease.ttl_s }),
            ..CreateParams::default()
        })
    }
}

/// Answer of `getSession`.
#[napi(object, object_from_js = false)]
pub struct NativeSessionRecord {
    /// The service's request id.
    pub request_id: String,
    /// Status of the HTTP answer.
    pub http_status_code: u32,
    /// The envelope's code.
    pub code: String,
    /// What the service says of the session, where it says anything.
    pub data: Option<NativeSessionData>,
}

/// What the service says of a session.
#[napi(object, object_from_js = false)]
pub struct NativeSessionData {
    /// Id of the instance.
    pub app_instance_id: String,
    /// Id of the resource.
    pub resource_id: String,
    /// Id of the session.
    pub session_id: String,
    /// Where its screen can be seen.
    pub resource_url: String,
    /// Status on the wire.
    pub status: String,
    /// Where tools are called directly.
    pub link_url: String,
    /// Where the WebSocket is.
    pub ws_url: String,
    /// The token of both.
    pub token: String,
    /// The tools: JSON text.
    pub tool_list: String,
}

impl From<SessionRecord> for NativeSessionRecord {
    fn from(record: SessionRecord) -> Self {
        Self {
            request_id: record.request_id,
            http_status_code: record.http_status.into(),
            code: record.code,
            data: record.data.map(|data| NativeSessionData {
                app_instance_id: data.app_instance_id,
                resource_id: data.resource_id,
                session_id: data.session_id,
                resource_url: data.resource_url,
                status: data.status,
                link_url: data.link_url,
                ws_url: data.ws_url,
                token: data.token,
                tool_list: data.tool_list.text.clone(),
            }),
        }
    }
}

/// One page of sessions.
#[napi(object, object_from_js = false)]
pub struct NativeSessionPage {
    /// The service's request id.
    pub request_id: String,
    /// Ids of the sessions on the page.
    pub session_ids: Vec<String>,
    /// Where the next page begins.
    pub next_token: String,
    /// Size of a page.
    pub max_results: f64,
    /// Sessions over all pages.
    pub total_count: f64,
}

/// A session that is released when its owner ends.
#[napi(object, object_from_js = false)]
pub struct NativeLiveSession {
    /// Id of the session.
    pub session_id: String,
    /// Its image, where it was created here.
    pub image_id: String,
    /// Milliseconds since 1970, where it was created here.
    pub created_at: Option<f64>,
    /// Was it found and adopted?
    pub adopted: bool,
}

impl From<LiveSession> for NativeLiveSession {
    fn from(session: LiveSession) -> Self {
        let since_epoch = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0;
        Self {
            session_id: session.session_id,
            image_id: session.image_id,
            created_at: session.created_at.map(since_epoch),
            adopted: session.adopted,
        }
    }
}

impl From<SessionPage> for NativeSessionPage {
    fn from(page: SessionPage) -> Self {
        Self {
            request_id: page.request_id,
            session_ids: page.session_ids,
            next_token: page.next_token,
            max_results: page.max_results,
            total_count: page.total_count,
        }
    }
}

/// What became of many sessions.
#[napi(object, object_from_js = false)]
pub struct NativeDeletions {
    /// One a session.
    pub deletions: Vec<NativeDeletion>,
}

/// What became of one of many sessions.
#[napi(object, object_from_js = false)]
pub struct NativeDeletion {
    /// Its id.
    pub session_id: String,
    /// The service's request id.
    pub request_id: String,
    /// Why it was not deleted.
    pub failure: Option<NativeFailure>,
}

impl From<Vec<Deletion>> for NativeDeletions {
    fn from(deletions: Vec<Deletion>) -> Self {
        let native = |Deletion { session_id, outcome }| match outcome {
            Ok(request_id) => NativeDeletion { session_id, request_id, failure: None },
            Err(error) => {
                NativeDeletion { session_id, request_id: error.request_id().to_owned(), failure: Some(error.into()) }
            }
        };
        Self { deletions: deletions.into_iter().map(native).collect() }
    }
}

/// A list that failed.
#[napi(object, object_from_js = false)]
pub struct NativeListFailure {
    /// Why.
    pub failure: NativeFailure,
    /// Size of a page.
    pub max_results: f64,
    /// Sessions over all pages, as far as known.
    pub total_count: f64,
}

/// A client of the service.
#[napi]
pub struct NativeAgb {
    inner: Agb,
}

impl From<Agb> for NativeAgb {
    fn from(inner: Agb) -> Self {
        Self { inner }
    }
}

impl NativeAgb {
    /// The client, for the files of other nouns.
    pub(crate) fn client(&self) -> &Agb {
        &self.inner
    }
}

#[napi]
impl NativeAgb {
    /// The API key in use.
    #[napi(getter)]
    pub fn api_key(&self) -> &str {
        self.inner.api_key()
    }

    /// Host or URL of the service, as configured.
    #[napi(getter)]
    pub fn endpoint(&self) -> &str {
        self.inner.endpoint()
    }

    /// How long a request may take, in milliseconds.
    #[napi(getter)]
    pub fn timeout_ms(&self) -> f64 {
        self.inner.timeout_ms()
    }

    /// Creates a session.
    #[napi]
    pub fn create<'env>(
        &self,
        env: &'env Env,
        params: NativeCreateParams,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFoundSession>>> {
        // Begun before this returns, so that the end of the environment waits for it.
        let creation = params.read().map(|params| self.inner.create(params));
        promise(env, async move {
            let create = async { creation?.await };
            outcome(create.await)
        })
    }

    /// Creates a session, and gives nothing when `cancel` was used: then the session is released when it is there.
    #[napi]
    pub fn open<'env>(
        &self,
        env: &'env Env,
        params: NativeCreateParams,
        cancel: &NativeCancel,
    ) -> Result<PromiseRaw<'env, Option<Outcome<NativeFoundSession>>>> {
        // Begun before this returns, so that the end of the environment waits for it.
        let creation = params.read().map(|params| self.inner.create(params));
        let create = cancel.unless_cancelled(async move { creation?.await });
        promise(env, async move { create.await.map(outcome) })
    }

    /// Finds a session that is alive.
    #[napi]
    pub fn get<'env>(
        &self,
        env: &'env Env,
        session_id: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFoundSession>>> {
        let agb = self.inner.clone();
        promise(env, async move { outcome(agb.get(&session_id).await) })
    }

    /// What the service says of a session.
    #[napi]
    pub fn get_session<'env>(
        &self,
        env: &'env Env,
        session_id: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeSessionRecord>>> {
        let agb = self.inner.clone();
        promise(env, async move { outcome(agb.get_session(&session_id).await) })
    }

    /// Lists the active sessions; `labels` is a JSON object.
    #[napi]
    pub fn list<'env>(
        &self,
        env: &'env Env,
        labels: String,
        page: Option<f64>,
        limit: Option<f64>,
    ) -> Result<PromiseRaw<'env, Either<NativeSessionPage, NativeListFailure>>> {
        let agb = self.inner.clone();
        promise(env, async move {
            let labels = match json_object(&labels) {
                Ok(labels) => labels,
                Err(error) => {
                    return Either::B(NativeListFailure { failure: error.into(), max_results: 0.0, total_count: 0.0 });
                }
            };
            match agb.list(labels, page, limit).await {
                Ok(page) => Either::A(page.into()),
                Err(failure) => Either::B(NativeListFailure {
                    failure: failure.error.into(),
                    max_results: failure.max_results,
                    total_count: failure.total_count,
                }),
            }
        })
    }

    /// The sessions that are released when their owner ends, oldest first.
    #[napi]
    pub fn live_sessions(&self) -> Vec<NativeLiveSession> {
        self.inner.live_sessions().into_iter().map(Into::into).collect()
    }

    /// Ids of sessions on the page that the token names; an empty one names the first. `labels` is a JSON object.
    #[napi]
    pub fn page<'env>(
        &self,
        env: &'env Env,
        labels: String,
        token: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeSessionPage>>> {
        let agb = self.inner.clone();
        promise(env, async move {
            let page = async { agb.page(&json_object(&labels)?, &token).await };
            outcome(page.await)
        })
    }

    /// Deletes all sessions that carry the labels, a JSON object, `at_once` at a time.
    #[napi]
    pub fn delete_all<'env>(
        &self,
        env: &'env Env,
        labels: String,
        at_once: u32,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDeletions>>> {
        let agb = self.inner.clone();
        promise(env, async move {
            let delete = async { agb.delete_all(&json_object(&labels)?, at_once as usize).await };
            outcome(delete.await)
        })
    }

    /// Sends requests of any kind, over the same connections.
    #[napi]
    pub fn http_client(&self) -> NativeHttpClient {
        self.inner.http_client().into()
    }

    /// Deletes the sessions with a lease whose process has ended, `at_once` at a time.
    #[napi]
    pub fn reap_orphans<'env>(
        &self,
        env: &'env Env,
        at_once: u32,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDeletions>>> {
        let agb = self.inner.clone();
        promise(env, async move { outcome(agb.reap_orphans(at_once as usize).await) })
    }

    /// Speaks to a session whose id the caller knows. Nothing is sent.
    #[napi]
    pub fn attach(&self, session_id: String) -> NativeSession {
        self.inner.attach(&session_id, SessionDetails::default()).into()
    }
}
