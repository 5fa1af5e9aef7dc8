//! Files into a session and out of it, through an object store: the client speaks with the store by an address that
//! grants access, and the service carries files between store and session.
//!
//! Files and streams are never held as a whole. Source: docs/protocol.md, section "File transfer".

use std::future::Future;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::session::Session;
use crate::transport::{Get, Pieces, Put};
use crate::wire::transfer::{InternalContext, directory_of};

mod ending;
mod local;
mod object;
mod pipe;
mod service;
mod task;

use ending::{ending, unless};
pub(crate) use local::LocalFile;
use local::{Destination, Landing};
pub(crate) use object::Objects;
use object::UsedObject;
use service::Service;
use task::{Direction, Task};

pub use pipe::{
    Arrived, ByteReader, ByteWriter, DownloadPipe, PIECE_BYTES, UploadPipe, download_pipe, repeatable_upload_pipe,
    upload_pipe,
};

/// Told how many bytes have moved so far; called from any thread, and must not block.
pub type Progress = std::sync::Arc<dyn Fn(u64) + Send + Sync>;

/// Where an upload's content comes from.
#[derive(Debug)]
pub enum Source {
    /// A regular file.
    File(PathBuf),
    /// What the caller writes.
    Pipe(UploadPipe),
}

/// Where a download's content goes.
#[derive(Debug)]
pub enum Target {
    /// A file; its missing directories are made.
    File {
        /// Where.
        path: PathBuf,
        /// May it replace a file that is there?
        overwrite: bool,
    },
    /// What the caller reads.
    Pipe(DownloadPipe),
}

/// How a transfer is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferOptions {
    /// Wait until the service has carried the file between store and session. Default: true.
    pub wait: bool,
    /// The longest such wait. Default: 30 s.
    pub wait_limit: Duration,
    /// The interval of looks once the quick first ones are over. Default: 1.5 s.
    pub poll_interval: Duration,
    /// Leave the copy in the store; else it is removed once it is of no use any more. Default: false.
    pub keep_object: bool,
    /// The content type to store; uploads only. Default: none is sent, as the address is signed without one.
    pub content_type: Option<String>,
}

impl Default for TransferOptions {
    fn default() -> Self {
        Self {
            wait: true,
            wait_limit: Duration::from_secs(30),
            poll_interval: Duration::from_millis(1_500),
            keep_object: false,
            content_type: None,
        }
    }
}

/// How an upload went, as far as it went.
#[derive(Debug, Default)]
pub struct UploadReport {
    /// The request id of asking for the address.
    pub request_id_upload_url: Option<String>,
    /// The request id of asking the service to fetch the file.
    pub request_id_sync: Option<String>,
    /// The status of the store's answer.
    pub http_status: Option<u16>,
    /// The store's tag of the content, as it came.
    pub etag: Option<String>,
    /// The bytes that the store got.
    pub bytes_sent: u64,
    /// Why it failed; `None`: it succeeded.
    pub error: Option<Error>,
}

/// How a download went, as far as it went.
#[derive(Debug, Default)]
pub struct DownloadReport {
    /// The request id of asking for the address.
    pub request_id_download_url: Option<String>,
    /// The request id of asking the service to store the file.
    pub request_id_sync: Option<String>,
    /// The status of the store's answer.
    pub http_status: Option<u16>,
    /// The bytes that were written; 0 after a failure.
    pub bytes_received: u64,
    /// Why it failed; `None`: it succeeded.
    pub error: Option<Error>,
}

/// The directory of the session through which files are transferred.
///
/// # Errors
/// What the service said, or `Response contains no data`.
pub async fn transfer_path(session: &Session) -> Result<String> {
    Ok(Service { session }.internal_context().await?.path.clone())
}

/// Stores the content of `source` and lets the session fetch it to `remote_path`. Ends early when `cancelled` does, or
/// the session is gone; then nothing is left in the store.
///
/// There is no limit for the whole, but nothing may stand still for longer than the configured time-out, other than the
/// source.
pub async fn upload(
    session: &Session,
    source: Source,
    remote_path: &str,
    options: &TransferOptions,
    progress: Progress,
    cancelled: impl Future<Output = ()> + Send,
) -> UploadReport {
    let _hold = session.hold();
    let service = Service { session };
    let mut ending = pin!(ending(session, cancelled));
    let object = match object_at(session, remote_path, ending.as_mut()).await {
        Ok(object) => object,
        Err(reason) => return UploadReport { error: Some(reason), ..UploadReport::default() },
    };
    let mut work = Upload { service, remote_path, options, progress, report: UploadReport::default(), leftover: None };
    let outcome = work.run(source, ending).await;
    let Upload { mut report, leftover, .. } = work;
    report.error = outcome.err();
    object.leave(leftover, |context| service.remove(context, remote_path)).await;
    report
}

/// Lets the service store the file at `remote_path` and writes its content to `target`. Ends early when `cancelled` does,
/// or the session is gone. A file as target is untouched until the whole content is there.
///
/// There is no limit for the whole, but nothing may stand still for longer than the configured time-out.
pub async fn download(
    session: &Session,
    remote_path: &str,
    target: Target,
    options: &TransferOptions,
    progress: Progress,
    cancelled: impl Future<Output = ()> + Send,
) -> DownloadReport {
    let _hold = session.hold();
    let service = Service { session };
    let mut ending = pin!(ending(session, cancelled));
    let object = match object_at(session, remote_path, ending.as_mut()).await {
        Ok(object) => object,
        Err(reason) => return DownloadReport { error: Some(reason), ..DownloadReport::default() },
    };
    let mut work =
        Download { service, remote_path, options, progress, report: DownloadReport::default(), leftover: None };
    let outcome = unless(ending, work.run(target)).await;
    let Download { mut report, leftover, .. } = work;
    report.error = outcome.err();
    if report.error.is_some() {
        report.bytes_received = 0;
    }
    object.leave(leftover, |context| service.remove(context, remote_path)).await;
    report
}

/// The object, unless the transfer has to end while another one removes it.
async fn object_at(
    session: &Session,
    remote_path: &str,
    ending: Pin<&mut (impl Future<Output = Error> + Send)>,
) -> Result<UsedObject> {
    unless(ending, async { Ok(session.objects().at(remote_path).await) }).await
}

fn directory(remote_path: &str) -> Result<String> {
    directory_of(remote_path).map_err(|why| {
        let text = format!("Remote path must {why}, such as /tmp/name: got {remote_path:?}");
        Error::new(ErrorKind::InvalidArgument, text)
    })
}

/// An upload under way.
struct Upload<'a> {
    service: Service<'a>,
    remote_path: &'a str,
    options: &'a TransferOptions,
    progress: Progress,
    report: UploadReport,
    /// The context of an object that has to be removed when the work ends now.
    leftover: Option<InternalContext>,
}

impl Upload<'_> {
    /// Ends with the reason that `ending` gives; content that is being stored then is broken off, or stored for good.
    async fn run(&mut self, source: Source, mut ending: Pin<&mut (impl Future<Output = Error> + Send)>) -> Result<()> {
        let directory = directory(self.remote_path)?;
        let prepared = async {
            let content = Content::find(source).await?;
            let context = self.service.internal_context().await?.clone();
            let url = self.address(&context).await?;
            Ok((content, context, url))
        };
        let (content, context, url) = unless(ending.as_mut(), prepared).await?;

        self.leftover = Some(context.clone());
        self.store(content, &url, ending.as_mut()).await?;
        unless(ending, self.fetch(&context, directory)).await
    }

    async fn address(&mut self, context: &InternalContext) -> Result<String> {
        let (request_id, url) = self.service.upload_url(&context.id, self.remote_path).await;
        self.report.request_id_upload_url = request_id;
        url.map_err(|error| error.prefixed("getFileUploadUrl failed"))
    }

    async fn store(
        &mut self,
        content: Content,
        url: &str,
        ending: Pin<&mut (impl Future<Output = Error> + Send)>,
    ) -> Result<()> {
        let put = Put {
            operation: "upload",
            url,
            content_type: self.options.content_type.as_deref(),
            size: content.size,
            stall: self.service.stall(),
            progress: self.progress.clone(),
        };
        let reply = self.service.transport().put(&put, content.open, ending).await;
        let reply = reply.map_err(|error| error.prefixed("Upload exception"))?;
        self.report.http_status = Some(reply.status);
        self.report.etag = reply.etag;
        self.report.bytes_sent = content.size.unwrap_or(reply.sent);
        if !(200..300).contains(&reply.status) {
            if is_refusal(reply.status) {
                self.leftover = None;
            }
            return Err(refused("Upload", reply.status));
        }
        (self.progress)(self.report.bytes_sent);
        Ok(())
    }

    /// Lets the session fetch the object.
    async fn fetch(&mut self, context: &InternalContext, directory: String) -> Result<()> {
        const UNFINISHED: &str = "Upload sync not finished";
        let task = Task { service: self.service, context_id: &context.id, directory, direction: Direction::Download };
        let earlier = match self.options.wait {
            true => task.seen().await.map_err(|error| error.prefixed(UNFINISHED))?,
            false => Vec::new(),
        };
        let (request_id, asked) = task.ask().await;
        self.report.request_id_sync = request_id;
        asked.map_err(|error| error.prefixed("session.context.sync(download) failed"))?;
        if !self.options.wait {
            // The session needs the object, and nobody learns until when.
            self.leftover = None;
            return Ok(());
        }
        let waited = task.wait(&earlier, self.options.wait_limit, self.options.poll_interval).await;
        if self.options.keep_object || waited.as_ref().is_err_and(|end| !end.is_final()) {
            self.leftover = None;
        }
        waited.map_err(|end| end.prefixed(UNFINISHED))
    }
}

/// What is sent, and how it is begun anew.
struct Content {
    size: Option<u64>,
    open: Box<dyn FnMut() -> Option<Pieces> + Send>,
}

impl Content {
    async fn find(source: Source) -> Result<Self> {
        Ok(match source {
            Source::File(path) => {
                let file = LocalFile::find(&path).await?;
                Self { size: Some(file.size()), open: Box::new(move || Some(file.open())) }
            }
            Source::Pipe(mut pipe) => Self { size: pipe.size(), open: Box::new(move || pipe.open()) },
        })
    }
}

/// A download under way.
struct Download<'a> {
    service: Service<'a>,
    remote_path: &'a str,
    options: &'a TransferOptions,
    progress: Progress,
    report: DownloadReport,
    /// The context of an object that has to be removed when the work ends now.
    leftover: Option<InternalContext>,
}

impl Download<'_> {
    async fn run(&mut self, target: Target) -> Result<()> {
        let directory = directory(self.remote_path)?;
        let target = match target {
            Target::File { path, overwrite } => Landing::File(Destination::check(&path, overwrite).await?),
            Target::Pipe(pipe) => Landing::Pipe(pipe),
        };
        let context = self.service.internal_context().await?.clone();
        self.store(&context, directory).await?;
        let url = self.address(&context).await?;
        self.receive(&url, target).await
    }

    /// Lets the service store the file.
    async fn store(&mut self, context: &InternalContext, directory: String) -> Result<()> {
        const UNFINISHED: &str = "Download sync not finished";
        let task = Task { service: self.service, context_id: &context.id, directory, direction: Direction::Upload };
        let earlier = match self.options.wait {
            true => task.seen().await.map_err(|error| error.prefixed(UNFINISHED))?,
            false => Vec::new(),
        };
        let (request_id, asked) = task.ask().await;
        self.report.request_id_sync = request_id;
        asked.map_err(|error| error.prefixed("session.context.sync(upload) failed"))?;
        if !self.options.wait {
            return Ok(());
        }
        self.leftover = Some(context.clone());
        let waited = task.wait(&earlier, self.options.wait_limit, self.options.poll_interval).await;
        if self.options.keep_object || waited.is_err() {
            self.leftover = None;
        }
        waited.map_err(|end| end.prefixed(UNFINISHED))
    }

    async fn address(&mut self, context: &InternalContext) -> Result<String> {
        let (request_id, url) = self.service.download_url(&context.id, self.remote_path).await;
        self.report.request_id_download_url = request_id;
        url.map_err(|error| error.prefixed("getFileDownloadUrl failed"))
    }

    async fn receive(&mut self, url: &str, target: Landing) -> Result<()> {
        let exception = |error: Error| error.prefixed("Download exception");
        let get = Get { operation: "download", url, stall: self.service.stall() };
        let mut incoming = self.service.transport().get(&get).await.map_err(exception)?;
        self.report.http_status = Some(incoming.status);
        if !(200..300).contains(&incoming.status) {
            return Err(refused("Download", incoming.status));
        }
        let mut sink = target.open().await.map_err(exception)?;
        while let Some(chunk) = incoming.chunk().await.map_err(exception)? {
            let length = chunk.len() as u64;
            sink.write(chunk).await.map_err(exception)?;
            self.report.bytes_received = self.report.bytes_received.saturating_add(length);
            (self.progress)(self.report.bytes_received);
        }
        sink.commit().await.map_err(|error| if local::is_existing(&error) { error } else { exception(error) })?;
        (self.progress)(self.report.bytes_received);
        Ok(())
    }
}

/// Does the store say that it did not take the content? Other failures may come after the work is done.
pub(crate) fn is_refusal(status: u16) -> bool {
    status < 500 && !matches!(status, 408 | 429)
}

fn refused(what: &str, status: u16) -> Error {
    Error::new(ErrorKind::Http, format!("{what} failed with HTTP {status}")).with_http_status(status)
}

#[cfg(test)]
mod tests;
