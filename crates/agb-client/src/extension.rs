//! Browser extensions: ZIP files in a context, which the sessions of a browser mount (docs/protocol.md, section
//! "Extensions").

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::OnceCell;

use crate::agb::Agb;
use crate::context::{ContextFile, ContextQuery, ContextRecord, Contexts, FileUrl};
use crate::error::{Error, ErrorKind, Result};
use crate::modules::file_transfer::{LocalFile, is_refusal};
use crate::transport::{Put, PutReply};
use crate::wire::envelope::excerpt;

/// Where extensions lie in their context.
const FOLDER: &str = "/tmp/extensions";
/// Extensions in one page of a list.
const PAGE: usize = 100;
const UPLOAD: &str = "uploadExtension";
/// How long a failed upload is held up by the deletion of what it may have left.
const TAKE_BACK_LIMIT: Duration = Duration::from_secs(5);

/// A browser extension that is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extension {
    /// Its id, which is the name of its file in the context.
    pub id: String,
    /// Its name: that of the local file where it was just stored, else its id.
    pub name: String,
    /// When it was stored, as the service writes it.
    pub created_at: Option<String>,
}

/// The extensions in one context, which is looked for when it is first needed, and again after a failure.
#[derive(Debug, Clone)]
pub struct Extensions {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    agb: Agb,
    /// Name of the context.
    name: String,
    repository: OnceCell<Repository>,
}

/// The context.
#[derive(Debug)]
struct Repository {
    id: String,
    /// Was it made here, and is it still there?
    is_own: AtomicBool,
}

impl Agb {
    /// The extensions in the context of this name; `extensions-<seconds since 1970>` for a blank one. Nothing is sent.
    pub fn extensions(&self, name: &str) -> Extensions {
        let name = match name.trim() {
            "" => format!("extensions-{}", unix_seconds()),
            name => name.to_owned(),
        };
        Extensions { inner: Arc::new(Inner { agb: self.clone(), name, repository: OnceCell::new() }) }
    }
}

impl Extensions {
    /// Finds the context, or makes it, and gives its id.
    ///
    /// # Errors
    /// `Failed to create extension repository context: <name>`, with what the service said as its source.
    pub async fn open(&self) -> Result<String> {
        Ok(self.repository().await?.id.clone())
    }

    /// The id of the context, once it was found.
    pub fn context_id(&self) -> Option<String> {
        self.inner.repository.get().map(|repository| repository.id.clone())
    }

    /// Every extension, in the service's order.
    ///
    /// # Errors
    /// As [`open`](Self::open); `Failed to list extensions: …`, with what the service said as its source.
    pub async fn list(&self) -> Result<Vec<Extension>> {
        let files = self.files(&self.repository().await?.id).await;
        let files =
            files.map_err(|error| error.retold("Failed to list extensions: Context file listing failed."))?.into_iter();
        Ok(files.map(Extension::of).collect())
    }

    /// Stores a local ZIP file as a new extension. What the store may have of it after a failure is deleted again: nobody
    /// would know its id.
    ///
    /// # Errors
    /// [`ErrorKind::Local`] for a file that can't be read, [`ErrorKind::InvalidArgument`] for one that is not named
    /// `.zip`; as [`open`](Self::open); what the service or its store said.
    pub async fn create(&self, local_path: &Path) -> Result<Extension> {
        let file = zip_file(local_path, "The specified local file was not found").await?;
        let id = new_id();
        let context_id = &self.repository().await?.id;
        let url = self.address(context_id, &id).await?;
        if let Err(error) = self.store(&url, &file).await {
            if !error.http_status().is_some_and(is_refusal) {
                self.take_back(context_id, &id).await;
            }
            return Err(error);
        }
        Ok(Extension { id, name: name_of(local_path), created_at: None })
    }

    /// Deletes what a failed upload may have left; its failure is what the caller waits for.
    async fn take_back(&self, context_id: &str, id: &str) {
        let contexts = self.contexts();
        let path = path_of(id);
        let deletion = contexts.delete_file(context_id, &path);
        let outcome = tokio::time::timeout(TAKE_BACK_LIMIT, deletion).await;
        let text = format!("the extension {id} was not deleted after its upload had failed");
        match outcome {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => warn(&error, &text),
            Err(_) => warn(&Error::new(ErrorKind::Timeout, "the service did not answer"), &text),
        }
    }

    /// Stores another local ZIP file in the place of an extension.
    ///
    /// # Errors
    /// As [`create`](Self::create) and [`list`](Self::list); [`ErrorKind::InvalidArgument`] for an unknown id.
    pub async fn update(&self, id: &str, local_path: &Path) -> Result<Extension> {
        let file = zip_file(local_path, "The specified new local file was not found").await?;
        if !self.list().await?.iter().any(|extension| extension.id == id) {
            let text = format!("Browser extension with ID '{id}' not found in the context. Cannot update.");
            return Err(Error::new(ErrorKind::InvalidArgument, text).with_operation(UPLOAD));
        }
        let url = self.address(&self.repository().await?.id, id).await?;
        self.store(&url, &file).await?;
        Ok(Extension { id: id.to_owned(), name: name_of(local_path), created_at: None })
    }

    /// Deletes an extension; `false`, and a warning in the log, when the service does not.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn delete(&self, id: &str) -> Result<bool> {
        let repository = self.repository().await?;
        // It would name another file of the context, or none.
        if id.trim().is_empty() || id.contains('/') {
            tracing::warn!(target: "agb::extension", id, "not an extension's id; nothing was deleted");
            return Ok(false);
        }
        let deleted = self.contexts().delete_file(&repository.id, &path_of(id)).await;
        Ok(deleted.inspect_err(|error| warn(error, "an extension was not deleted")).is_ok())
    }

    /// Deletes the context with all extensions, if it was made here: one that was there before is left alone. `false`,
    /// and a warning in the log, when the service does not delete it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn clean_up(&self) -> Result<bool> {
        let repository = self.repository().await?;
        if !repository.is_own.swap(false, Ordering::Relaxed) {
            return Ok(true);
        }
        let deleted = self.contexts().delete(&repository.id).await;
        let deleted = deleted.inspect_err(|error| warn(error, "the context of extensions was not deleted")).is_ok();
        // It can be tried again.
        repository.is_own.store(!deleted, Ordering::Relaxed);
        Ok(deleted)
    }

    fn contexts(&self) -> Contexts {
        self.inner.agb.contexts()
    }

    async fn repository(&self) -> Result<&Repository> {
        let name = &self.inner.name;
        let told = |error: Error| error.retold(format!("Failed to create extension repository context: {name}"));
        self.inner.repository.get_or_try_init(|| self.find_repository()).await.map_err(told)
    }

    /// Looks before it makes one: only so can be told whose it is.
    async fn find_repository(&self) -> Result<Repository> {
        let wanted = ContextQuery { name: Some(self.inner.name.clone()), ..ContextQuery::default() };
        match self.contexts().get(&wanted).await.and_then(|found| repository(found, false)) {
            Err(error) if is_absence(&error) => {
                self.contexts().create(&self.inner.name).await.and_then(|made| repository(made, true))
            }
            found => found,
        }
    }

    /// Everything in the folder, page by page.
    async fn files(&self, context_id: &str) -> Result<Vec<ContextFile>> {
        let mut files: Vec<ContextFile> = Vec::new();
        for number in 1_u32.. {
            let (number, size) = (Some(f64::from(number)), Some(PAGE as f64));
            let page = self.contexts().list_files(context_id, FOLDER, number, size).await?.files;
            let is_full = page.len() >= PAGE;
            let fresh: Vec<ContextFile> = page.into_iter().filter(|file| !files.contains(file)).collect();
            // A service without pages gives the first one again and again.
            if !is_full || fresh.is_empty() {
                files.extend(fresh);
                break;
            }
            files.extend(fresh);
        }
        Ok(files)
    }

    /// Where the store takes the file of an extension.
    async fn address(&self, context_id: &str, id: &str) -> Result<String> {
        let FileUrl { url, request_id, .. } = self
            .contexts()
            .upload_url(context_id, &path_of(id))
            .await
            .map_err(|error| error.prefixed("Failed to get upload URL"))?;
        if url.is_empty() {
            let error = Error::new(ErrorKind::Protocol, "Failed to get upload URL: No URL returned");
            return Err(error.with_operation(UPLOAD).with_request_id(request_id));
        }
        Ok(url)
    }

    async fn store(&self, url: &str, file: &LocalFile) -> Result<()> {
        let put = Put {
            operation: UPLOAD,
            url,
            content_type: None,
            size: Some(file.size()),
            stall: self.inner.agb.timeout(),
            progress: Arc::new(|_| {}),
        };
        let unending = std::pin::pin!(std::future::pending());
        let reply = self.inner.agb.transport().put(&put, || Some(file.open()), unending).await.map_err(broken)?;
        if (200..300).contains(&reply.status) { Ok(()) } else { Err(refused(&reply)) }
    }
}

impl Extension {
    fn of(file: ContextFile) -> Self {
        let id = if file.name.is_empty() { file.path } else { file.name.clone() };
        Self { id, name: file.name, created_at: file.created_time }
    }
}

fn repository(record: ContextRecord, is_own: bool) -> Result<Repository> {
    let ContextRecord { context, request_id } = record;
    if context.id.is_empty() {
        return Err(Error::new(ErrorKind::Protocol, "No context id in response").with_request_id(request_id));
    }
    Ok(Repository { id: context.id, is_own: AtomicBool::new(is_own) })
}

/// Does the service say that there is no such context, and not that it can't tell now?
fn is_absence(error: &Error) -> bool {
    let is_said = matches!(error.kind(), ErrorKind::Api | ErrorKind::Protocol);
    is_said && !error.is_temporary() && error.http_status().is_none_or(|status| status < 500)
}

async fn zip_file(path: &Path, missing: &str) -> Result<LocalFile> {
    let file = LocalFile::readable(path).await.map_err(|error| unreadable(&error, path, missing))?;
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy().to_lowercase()));
    match ending.unwrap_or_default() {
        zip if zip == ".zip" => Ok(file),
        other => {
            let text = format!("Unsupported plugin format '{other}'. Only ZIP format (.zip) is supported.");
            Err(Error::new(ErrorKind::InvalidArgument, text).with_operation(UPLOAD))
        }
    }
}

fn unreadable(error: &io::Error, path: &Path, missing: &str) -> Error {
    let text = match error.kind() {
        io::ErrorKind::NotFound => format!("{missing}: {}", path.display()),
        io::ErrorKind::PermissionDenied => format!("Permission denied accessing file: {}", path.display()),
        _ => format!("File system error: {error}"),
    };
    Error::new(ErrorKind::Local, text).with_operation(UPLOAD)
}

/// An upload that came to no answer.
fn broken(error: Error) -> Error {
    let what = match error.kind() {
        ErrorKind::Local => "File system error",
        ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Network => "Network error during file upload",
        _ => "An error occurred while uploading the file",
    };
    error.prefixed(what)
}

fn refused(reply: &PutReply) -> Error {
    let text = format!("HTTP error uploading file: {} {} {}", reply.status, reply.reason, excerpt(&reply.refusal));
    Error::new(ErrorKind::Http, text.trim_end()).with_operation(UPLOAD).with_http_status(reply.status)
}

fn warn(error: &Error, what: &str) {
    tracing::warn!(target: "agb::extension", error = error.message(), "{what}");
}

fn path_of(id: &str) -> String {
    format!("{FOLDER}/{id}")
}

fn name_of(path: &Path) -> String {
    path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned()
}

/// Random by keys of the operating system: programs all over may store into one context.
fn new_id() -> String {
    let random = || RandomState::new().hash_one(fastrand::u64(..));
    format!("ext_{:016x}{:016x}.zip", random(), random())
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
