//! Uploads and downloads: `ts/modules/file-transfer.ts` on this side.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agb_client::modules::file_transfer::{
    self, Arrived, ByteReader, ByteWriter, DownloadPipe, DownloadReport, Progress, Source, Target, TransferOptions,
    UploadPipe, UploadReport, download_pipe, repeatable_upload_pipe, upload_pipe,
};
use napi::bindgen_prelude::{Buffer, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use tokio::sync::watch;

use crate::session::NativeSession;
use crate::support::{Callback, NativeCancel, NativeFailure, Outcome, call, outcome, promise};

/// How a transfer is done.
#[napi(object, object_to_js = false)]
pub struct NativeTransferOptions {
    /// Wait until the service has carried the file.
    pub wait: Option<bool>,
    /// The longest such wait, in milliseconds.
    pub wait_timeout: Option<f64>,
    /// The longest pause between two looks, in milliseconds.
    pub poll_interval: Option<f64>,
    /// Leave the copy in the store.
    pub keep_object: Option<bool>,
    /// The content type to store; uploads only.
    pub content_type: Option<String>,
}

impl From<NativeTransferOptions> for TransferOptions {
    fn from(options: NativeTransferOptions) -> Self {
        let default = Self::default();
        Self {
            wait: options.wait.unwrap_or(default.wait),
            wait_limit: milliseconds(options.wait_timeout).unwrap_or(default.wait_limit),
            poll_interval: milliseconds(options.poll_interval).unwrap_or(default.poll_interval),
            keep_object: options.keep_object.unwrap_or(default.keep_object),
            content_type: options.content_type,
        }
    }
}

/// Numbers below 0 are none at all.
fn milliseconds(value: Option<f64>) -> Option<Duration> {
    Some(Duration::try_from_secs_f64(value? / 1_000.0).unwrap_or_default())
}

/// The directory of a session for transfers.
#[napi(object, object_from_js = false)]
pub struct NativeTransferPath {
    /// Its path.
    pub path: String,
}

/// How an upload went.
#[napi(object, object_from_js = false)]
pub struct NativeUpload {
    /// The request id of asking for the address.
    pub request_id_upload_url: Option<String>,
    /// The request id of asking the service to fetch the file.
    pub request_id_sync: Option<String>,
    /// The status of the store's answer.
    pub http_status: Option<u32>,
    /// The store's tag of the content.
    pub etag: Option<String>,
    /// The bytes that the store got.
    pub bytes_sent: f64,
    /// Why it failed, if it did.
    pub failure: Option<NativeFailure>,
}

impl From<UploadReport> for NativeUpload {
    fn from(report: UploadReport) -> Self {
        Self {
            request_id_upload_url: report.request_id_upload_url,
            request_id_sync: report.request_id_sync,
            http_status: report.http_status.map(u32::from),
            etag: report.etag,
            bytes_sent: report.bytes_sent as f64,
            failure: report.error.map(NativeFailure::from),
        }
    }
}

/// How a download went.
#[napi(object, object_from_js = false)]
pub struct NativeDownload {
    /// The request id of asking for the address.
    pub request_id_download_url: Option<String>,
    /// The request id of asking the service to store the file.
    pub request_id_sync: Option<String>,
    /// The status of the store's answer.
    pub http_status: Option<u32>,
    /// The bytes that were written.
    pub bytes_received: f64,
    /// Why it failed, if it did.
    pub failure: Option<NativeFailure>,
}

impl From<DownloadReport> for NativeDownload {
    fn from(report: DownloadReport) -> Self {
        Self {
            request_id_download_url: report.request_id_download_url,
            request_id_sync: report.request_id_sync,
            http_status: report.http_status.map(u32::from),
            bytes_received: report.bytes_received as f64,
            failure: report.error.map(NativeFailure::from),
        }
    }
}

/// Content that JavaScript writes and one upload reads.
#[napi]
pub struct NativeByteWriter {
    writer: ByteWriter,
    pipe: Mutex<Option<UploadPipe>>,
}

#[napi]
impl NativeByteWriter {
    /// `size` is the number of bytes that will be written, where it is known.
    #[napi(constructor)]
    pub fn new(size: Option<f64>) -> Self {
        let (writer, pipe) = upload_pipe(size.map(|size| size as u64));
        Self { writer, pipe: Mutex::new(Some(pipe)) }
    }

    /// For content that can be written again.
    #[napi(factory)]
    pub fn repeatable(size: f64) -> Self {
        let (writer, pipe) = repeatable_upload_pipe(Some(size as u64));
        Self { writer, pipe: Mutex::new(Some(pipe)) }
    }

    /// Writes as soon as there is room; false: nobody reads any more. The bytes are copied at once.
    #[napi]
    pub fn write<'env>(&self, env: &'env Env, chunk: Buffer) -> Result<PromiseRaw<'env, bool>> {
        let (writer, chunk) = (self.writer.clone(), chunk.to_vec());
        promise(env, async move { writer.write(chunk.into()).await })
    }

    /// Says that everything was written.
    #[napi]
    pub fn end<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, ()>> {
        let writer = self.writer.clone();
        promise(env, async move { writer.end().await })
    }

    /// Lets go of what no upload has taken: writing ends.
    #[napi]
    pub fn close(&self) {
        drop(take(&self.pipe));
    }

    /// Says that there will be no more, and why: the upload fails.
    #[napi]
    pub fn fail<'env>(&self, env: &'env Env, reason: String) -> Result<PromiseRaw<'env, ()>> {
        let writer = self.writer.clone();
        promise(env, async move { writer.fail(reason).await })
    }

    /// Waits until the content is to be written once more, from its beginning; false: it is needed no more.
    #[napi]
    pub fn again<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, bool>> {
        let writer = self.writer.clone();
        promise(env, async move { writer.again().await })
    }
}

/// Content that one download writes and JavaScript reads.
#[napi]
pub struct NativeByteReader {
    reader: Arc<ByteReader>,
    pipe: Mutex<Option<DownloadPipe>>,
}

#[napi]
impl NativeByteReader {
    /// Nothing has come yet.
    #[napi(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript alone makes it")]
    pub fn new() -> Self {
        let (pipe, reader) = download_pipe();
        Self { reader: Arc::new(reader), pipe: Mutex::new(Some(pipe)) }
    }

    /// The next bytes; none of them: the content is complete; null: the download has failed.
    #[napi]
    pub fn read<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Option<Buffer>>> {
        let reader = self.reader.clone();
        promise(env, async move {
            match reader.read().await {
                Arrived::Chunk(chunk) => Some(chunk.to_vec().into()),
                Arrived::End => Some(Vec::new().into()),
                Arrived::Broken => None,
            }
        })
    }

    /// Lets go of what no download has taken: reading ends.
    #[napi]
    pub fn close(&self) {
        drop(take(&self.pipe));
    }

    /// Says that the content was taken, or why not; the download waits for it.
    #[napi]
    pub fn finish(&self, reason: Option<String>) {
        self.reader.finish(reason.map_or(Ok(()), Err));
    }
}

/// What may be taken once.
fn take<T>(pipe: &Mutex<Option<T>>) -> Result<T> {
    let taken = pipe.lock().unwrap_or_else(PoisonError::into_inner).take();
    taken.ok_or_else(|| napi::Error::from_reason("these bytes belong to another transfer"))
}

#[napi]
impl NativeSession {
    /// The directory for transfers.
    #[napi]
    pub fn file_transfer_path<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<NativeTransferPath>>> {
        let session = self.session();
        promise(env, async move {
            outcome(file_transfer::transfer_path(&session).await.map(|path| NativeTransferPath { path }))
        })
    }

    /// Uploads a local file. `progress` gets the bytes so far, and must not throw.
    #[napi(ts_args_type = "localPath: string, remotePath: string, options: NativeTransferOptions, \
                           cancel: NativeCancel, progress?: (bytes: number) => boolean")]
    pub fn file_upload<'env>(
        &self,
        env: &'env Env,
        local_path: String,
        remote_path: String,
        options: NativeTransferOptions,
        cancel: &NativeCancel,
        progress: Option<Callback<f64>>,
    ) -> Result<PromiseRaw<'env, NativeUpload>> {
        self.upload(env, Source::File(PathBuf::from(local_path)), remote_path, options, cancel, progress)
    }

    /// Uploads what is written.
    #[napi(ts_args_type = "writer: NativeByteWriter, remotePath: string, options: NativeTransferOptions, \
                           cancel: NativeCancel, progress?: (bytes: number) => boolean")]
    pub fn file_upload_bytes<'env>(
        &self,
        env: &'env Env,
        writer: &NativeByteWriter,
        remote_path: String,
        options: NativeTransferOptions,
        cancel: &NativeCancel,
        progress: Option<Callback<f64>>,
    ) -> Result<PromiseRaw<'env, NativeUpload>> {
        let pipe = take(&writer.pipe)?;
        self.upload(env, Source::Pipe(pipe), remote_path, options, cancel, progress)
    }

    /// Downloads to a local file.
    #[napi(
        ts_args_type = "remotePath: string, localPath: string, overwrite: boolean, options: NativeTransferOptions, \
                           cancel: NativeCancel, progress?: (bytes: number) => boolean"
    )]
    #[allow(clippy::too_many_arguments, reason = "one crossing")]
    pub fn file_download<'env>(
        &self,
        env: &'env Env,
        remote_path: String,
        local_path: String,
        overwrite: bool,
        options: NativeTransferOptions,
        cancel: &NativeCancel,
        progress: Option<Callback<f64>>,
    ) -> Result<PromiseRaw<'env, NativeDownload>> {
        let target = Target::File { path: PathBuf::from(local_path), overwrite };
        self.download(env, remote_path, target, options, cancel, progress)
    }

    /// Downloads to whoever reads.
    #[napi(ts_args_type = "remotePath: string, reader: NativeByteReader, options: NativeTransferOptions, \
                           cancel: NativeCancel, progress?: (bytes: number) => boolean")]
    pub fn file_download_bytes<'env>(
        &self,
        env: &'env Env,
        remote_path: String,
        reader: &NativeByteReader,
        options: NativeTransferOptions,
        cancel: &NativeCancel,
        progress: Option<Callback<f64>>,
    ) -> Result<PromiseRaw<'env, NativeDownload>> {
        let pipe = take(&reader.pipe)?;
        self.download(env, remote_path, Target::Pipe(pipe), options, cancel, progress)
    }
}

impl NativeSession {
    fn upload<'env>(
        &self,
        env: &'env Env,
        source: Source,
        remote_path: String,
        options: NativeTransferOptions,
        cancel: &NativeCancel,
        progress: Option<Callback<f64>>,
    ) -> Result<PromiseRaw<'env, NativeUpload>> {
        let (session, options, cancelled) = (self.session(), options.into(), cancel.cancelled());
        promise(env, async move {
            let work = |progress| file_transfer::upload(&session, source, &remote_path, &options, progress, cancelled);
            reporting(progress, work).await.into()
        })
    }

    fn download<'env>(
        &self,
        env: &'env Env,
        remote_path: String,
        target: Target,
        options: NativeTransferOptions,
        cancel: &NativeCancel,
        progress: Option<Callback<f64>>,
    ) -> Result<PromiseRaw<'env, NativeDownload>> {
        let (session, options, cancelled) = (self.session(), options.into(), cancel.cancelled());
        promise(env, async move {
            let work =
                |progress| file_transfer::download(&session, &remote_path, target, &options, progress, cancelled);
            reporting(progress, work).await.into()
        })
    }
}

/// What is known of a transfer under way.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct State {
    bytes: Option<u64>,
    ended: bool,
}

/// Does `work` and tells `callback` how far it is: never twice at the same time, so that what moves while the callback
/// runs becomes one call, and the last word before the end is told.
async fn reporting<T, Work>(callback: Option<Callback<f64>>, work: impl FnOnce(Progress) -> Work) -> T
where
    Work: Future<Output = T>,
{
    let Some(callback) = callback else { return work(Arc::new(|_| {})).await };
    let (state, states) = watch::channel(State::default());
    let state = Arc::new(state);
    let sender = state.clone();
    let work = work(Arc::new(move |bytes| {
        sender.send_modify(|state| state.bytes = state.bytes.max(Some(bytes)));
    }));
    let work = async {
        let result = work.await;
        state.send_modify(|state| state.ended = true);
        result
    };
    tokio::join!(work, tell(&callback, states)).0
}

async fn tell(callback: &Callback<f64>, mut states: watch::Receiver<State>) {
    let mut told = None;
    while states.changed().await.is_ok() {
        let state = *states.borrow_and_update();
        if let Some(bytes) = state.bytes.filter(|_| state.bytes != told) {
            told = state.bytes;
            if call(callback, bytes as f64).await.is_none() {
                return;
            }
        }
        if state.ended {
            return;
        }
    }
}
