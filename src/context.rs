//! Contexts and their synchronisation: `ts/context.ts` and `ts/context-manager.ts` on this side.

use std::time::Duration;

use agb_client::{
    ClearState, Context, ContextFile, ContextFilePage, ContextItems, ContextMount, ContextPage, ContextQuery,
    ContextRecord, ContextStatus, FileUrl, MountReport, Session, StartedSync, SyncLimits, SyncTarget,
};
use napi::bindgen_prelude::PromiseRaw;
use napi::{Env, Result};
use napi_derive::napi;

use crate::agb::NativeAgb;
use crate::session::{NativeDone, NativeSession};
use crate::support::{Outcome, outcome, promise};

/// A context to mount into a new session.
#[napi(object, object_to_js = false)]
pub struct NativeMount {
    /// Id of the context.
    pub context_id: String,
    /// Where it appears in the session.
    pub path: String,
    /// The policy: a JSON object.
    pub policy: String,
}

impl From<NativeMount> for ContextMount {
    fn from(mount: NativeMount) -> Self {
        Self { context_id: mount.context_id, path: mount.path, policy_json: mount.policy }
    }
}

/// How the mounts of a new session came out.
#[napi(object, object_from_js = false)]
pub struct NativeMountReport {
    /// Did every mount come to its end?
    pub finished: bool,
    /// The mounts.
    pub items: Vec<NativeContextStatus>,
    /// What the last look at them failed with.
    pub error: Option<String>,
}

impl From<&MountReport> for NativeMountReport {
    fn from(report: &MountReport) -> Self {
        Self {
            finished: report.finished,
            items: report.items.iter().cloned().map(Into::into).collect(),
            error: report.error.clone(),
        }
    }
}

/// A context.
#[napi(object, object_from_js = false)]
pub struct NativeContext {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Option<String>,
    /// When a session last used it.
    pub last_used_at: Option<String>,
}

impl From<Context> for NativeContext {
    fn from(context: Context) -> Self {
        Self { id: context.id, name: context.name, created_at: context.created_at, last_used_at: context.last_used_at }
    }
}

/// One context.
#[napi(object, object_from_js = false)]
pub struct NativeContextRecord {
    /// The service's request id.
    pub request_id: String,
    /// The context.
    pub context: NativeContext,
}

impl From<ContextRecord> for NativeContextRecord {
    fn from(record: ContextRecord) -> Self {
        Self { request_id: record.request_id, context: record.context.into() }
    }
}

/// One page of contexts.
#[napi(object, object_from_js = false)]
pub struct NativeContextPage {
    /// The service's request id.
    pub request_id: String,
    /// The contexts on the page.
    pub contexts: Vec<NativeContext>,
    /// Where the next page begins.
    pub next_token: String,
    /// Size of a page.
    pub max_results: Option<f64>,
    /// Contexts over all pages.
    pub total_count: Option<f64>,
}

impl From<ContextPage> for NativeContextPage {
    fn from(page: ContextPage) -> Self {
        Self {
            request_id: page.request_id,
            contexts: page.contexts.into_iter().map(Into::into).collect(),
            next_token: page.next_token,
            max_results: page.max_results,
            total_count: page.total_count,
        }
    }
}

/// A URL of a file.
#[napi(object, object_from_js = false)]
pub struct NativeFileUrl {
    /// The service's request id.
    pub request_id: String,
    /// The URL; it grants access.
    pub url: String,
    /// When it expires, in seconds since 1970.
    pub expire_time: Option<f64>,
}

impl From<FileUrl> for NativeFileUrl {
    fn from(url: FileUrl) -> Self {
        Self { request_id: url.request_id, url: url.url, expire_time: url.expire_time }
    }
}

/// A file or folder of a context.
#[napi(object, object_from_js = false)]
pub struct NativeContextFile {
    /// Its id.
    pub file_id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its whole path.
    pub path: String,
    /// What it is.
    #[napi(js_name = "type")]
    pub kind: String,
    /// When it was made.
    pub created_time: Option<String>,
    /// When it was stored.
    pub modified_time: Option<String>,
    /// Bytes.
    pub size: Option<f64>,
    /// In the service's words.
    pub status: Option<String>,
}

impl From<ContextFile> for NativeContextFile {
    fn from(file: ContextFile) -> Self {
        Self {
            file_id: file.file_id,
            name: file.name,
            path: file.path,
            kind: file.kind,
            created_time: file.created_time,
            modified_time: file.modified_time,
            size: file.size,
            status: file.status,
        }
    }
}

/// One page of a folder.
#[napi(object, object_from_js = false)]
pub struct NativeContextFilePage {
    /// The service's request id.
    pub request_id: String,
    /// What lies in the folder.
    pub files: Vec<NativeContextFile>,
    /// Entries over all pages.
    pub count: Option<f64>,
}

impl From<ContextFilePage> for NativeContextFilePage {
    fn from(page: ContextFilePage) -> Self {
        Self { request_id: page.request_id, files: page.files.into_iter().map(Into::into).collect(), count: page.count }
    }
}

/// How far clearing is.
#[napi(object, object_from_js = false)]
pub struct NativeClearState {
    /// The service's request id.
    pub request_id: String,
    /// The state of the context.
    pub state: String,
}

impl From<ClearState> for NativeClearState {
    fn from(state: ClearState) -> Self {
        Self { request_id: state.request_id, state: state.state }
    }
}

/// One synchronisation.
#[napi(object, object_from_js = false)]
pub struct NativeContextStatus {
    /// Id of the context.
    pub context_id: String,
    /// Where it is mounted.
    pub path: String,
    /// Why it failed.
    pub error_message: String,
    /// Its status.
    pub status: String,
    /// When it started.
    pub start_time: f64,
    /// When it ended.
    pub finish_time: f64,
    /// Its direction.
    pub task_type: String,
}

impl From<ContextStatus> for NativeContextStatus {
    fn from(status: ContextStatus) -> Self {
        Self {
            context_id: status.context_id,
            path: status.path,
            error_message: status.error_message,
            status: status.status,
            start_time: status.start_time,
            finish_time: status.finish_time,
            task_type: status.task_type,
        }
    }
}

/// The synchronisations of a session.
#[napi(object, object_from_js = false)]
pub struct NativeContextItems {
    /// The service's request id.
    pub request_id: String,
    /// The synchronisations.
    pub items: Vec<NativeContextStatus>,
}

impl From<ContextItems> for NativeContextItems {
    fn from(found: ContextItems) -> Self {
        Self { request_id: found.request_id, items: found.items.into_iter().map(Into::into).collect() }
    }
}

/// What to synchronise.
#[napi(object, object_to_js = false)]
pub struct NativeSyncTarget {
    /// Id of one context, or an empty text.
    pub context_id: String,
    /// Where it is mounted, or an empty text.
    pub path: String,
    /// The direction, or an empty text.
    pub mode: String,
}

impl From<NativeSyncTarget> for SyncTarget {
    fn from(target: NativeSyncTarget) -> Self {
        Self { context_id: target.context_id, path: target.path, mode: target.mode }
    }
}

#[napi]
impl NativeAgb {
    /// Lists contexts, a page at a time.
    #[napi]
    pub fn list_contexts<'env>(
        &self,
        env: &'env Env,
        max_results: Option<f64>,
        next_token: Option<String>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeContextPage>>> {
        let contexts = self.client().contexts();
        promise(env, async move { outcome(contexts.list(max_results, next_token.as_deref()).await) })
    }

    /// Finds a context, or makes it.
    #[napi]
    pub fn get_context<'env>(
        &self,
        env: &'env Env,
        name: Option<String>,
        create: bool,
        region: Option<String>,
        id: Option<String>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeContextRecord>>> {
        let contexts = self.client().contexts();
        let wanted = ContextQuery { name, id, create, region };
        promise(env, async move { outcome(contexts.get(&wanted).await) })
    }

    /// Makes a context of that name, or finds it.
    #[napi]
    pub fn create_context<'env>(
        &self,
        env: &'env Env,
        name: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeContextRecord>>> {
        let contexts = self.client().contexts();
        promise(env, async move { outcome(contexts.create(&name).await) })
    }

    /// Gives a context another name.
    #[napi]
    pub fn update_context<'env>(
        &self,
        env: &'env Env,
        id: String,
        name: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let contexts = self.client().contexts();
        promise(env, async move { outcome(contexts.rename(&id, &name).await) })
    }

    /// Deletes a context.
    #[napi]
    pub fn delete_context<'env>(&self, env: &'env Env, id: String) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let contexts = self.client().contexts();
        promise(env, async move { outcome(contexts.delete(&id).await) })
    }

    /// A URL that reads a file.
    #[napi]
    pub fn context_download_url<'env>(
        &self,
        env: &'env Env,
        context_id: String,
        path: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFileUrl>>> {
        let contexts = self.client().contexts();
        promise(env, async move { outcome(contexts.download_url(&context_id, &path).await) })
    }

    /// A URL that writes a file.
    #[napi]
    pub fn context_upload_url<'env>(
        &self,
        env: &'env Env,
        context_id: String,
        path: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFileUrl>>> {
        let contexts = self.client().contexts();
        promise(env, async move { outcome(contexts.upload_url(&context_id, &path).await) })
    }

    /// Deletes a file.
    #[napi]
    pub fn delete_context_file<'env>(
        &self,
        env: &'env Env,
        context_id: String,
        path: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let contexts = self.client().contexts();
        promise(env, async move { outcome(contexts.delete_file(&context_id, &path).await) })
    }

    /// Lists a folder, a page at a time.
    #[napi]
    pub fn list_context_files<'env>(
        &self,
        env: &'env Env,
        context_id: String,
        folder: String,
        page_number: Option<f64>,
        page_size: Option<f64>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeContextFilePage>>> {
        let contexts = self.client().contexts();
        promise(env, async move { outcome(contexts.list_files(&context_id, &folder, page_number, page_size).await) })
    }

    /// Starts to delete everything in a context.
    #[napi]
    pub fn start_clearing<'env>(
        &self,
        env: &'env Env,
        id: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeClearState>>> {
        let contexts = self.client().contexts();
        promise(env, async move { outcome(contexts.start_clearing(&id).await) })
    }

    /// How far clearing is.
    #[napi]
    pub fn clear_state<'env>(&self, env: &'env Env, id: String) -> Result<PromiseRaw<'env, Outcome<NativeClearState>>> {
        let contexts = self.client().contexts();
        promise(env, async move { outcome(contexts.clear_state(&id).await) })
    }

    /// Deletes everything in a context and waits; times in seconds.
    #[napi]
    pub fn clear_context<'env>(
        &self,
        env: &'env Env,
        id: String,
        timeout: f64,
        poll_interval: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeClearState>>> {
        let contexts = self.client().contexts();
        promise(env, async move { outcome(contexts.clear(&id, seconds(timeout), seconds(poll_interval)).await) })
    }
}

#[napi]
impl NativeSession {
    /// What became of the synchronisations.
    #[napi]
    pub fn context_info<'env>(
        &self,
        env: &'env Env,
        context_id: Option<String>,
        path: Option<String>,
        task_type: Option<String>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeContextItems>>> {
        let session = self.session();
        promise(env, async move {
            outcome(session.context_info(context_id.as_deref(), path.as_deref(), task_type.as_deref()).await)
        })
    }

    /// Starts a synchronisation.
    #[napi]
    pub fn start_context_sync<'env>(
        &self,
        env: &'env Env,
        target: NativeSyncTarget,
    ) -> Result<PromiseRaw<'env, Outcome<NativeStartedSync>>> {
        let session = self.session();
        promise(env, async move {
            let started = session.start_context_sync(&target.into()).await;
            outcome(started.map(|started| NativeStartedSync { session, started }))
        })
    }

    /// Synchronises and waits; the interval is in milliseconds.
    #[napi]
    pub fn sync_contexts<'env>(
        &self,
        env: &'env Env,
        target: NativeSyncTarget,
        max_retries: f64,
        retry_interval: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let session = self.session();
        promise(env, async move {
            outcome(session.sync_contexts(&target.into(), sync_limits(max_retries, retry_interval)).await)
        })
    }
}

/// A synchronisation that was started.
#[napi]
pub struct NativeStartedSync {
    session: Session,
    started: StartedSync,
}

#[napi]
impl NativeStartedSync {
    /// The request id of the start.
    #[napi(getter)]
    pub fn request_id(&self) -> String {
        self.started.request_id.clone()
    }

    /// Waits until it is done; the interval is in milliseconds.
    #[napi]
    pub fn synced<'env>(
        &self,
        env: &'env Env,
        max_retries: f64,
        retry_interval: f64,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let (session, started) = (self.session.clone(), self.started.clone());
        promise(env, async move {
            let synced = session.context_synced(&started, sync_limits(max_retries, retry_interval)).await;
            outcome::<String, _>(synced.map(|()| started.request_id))
        })
    }
}

fn sync_limits(max_retries: f64, retry_interval: f64) -> SyncLimits {
    // A cast of a number saturates, and of none is zero.
    SyncLimits { rounds: max_retries as u32, interval: seconds(retry_interval / 1_000.0) }
}

/// A time that is none is nothing.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(if value > 0.0 { Duration::MAX } else { Duration::ZERO })
}
