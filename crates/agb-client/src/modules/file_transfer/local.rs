//! Files of this machine: read piece by piece, and written beside their place, which they take when they are complete.

use std::ffi::OsString;
use std::fs::{Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::sync::mpsc;

use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Piece, Pieces};

use super::pipe::DownloadPipe;

/// How much is read at once.
const READ_BYTES: u64 = 128 * 1024;
/// How many pieces are read ahead.
const READ_AHEAD: usize = 2;
/// How many links in a row systems follow.
const MOST_LINKS: usize = 40;
/// How much is written at once.
const WRITE_BYTES: usize = 256 * 1024;

/// A regular file to send.
#[derive(Debug)]
pub(crate) struct LocalFile {
    path: PathBuf,
    size: u64,
}

impl LocalFile {
    pub(super) async fn find(path: &Path) -> Result<Self> {
        match fs::metadata(path).await {
            Ok(metadata) if metadata.is_file() => Ok(Self { path: path.to_owned(), size: metadata.len() }),
            _ => Err(local(format!("Local file not found: {}", path.display()))),
        }
    }

    /// The regular file at `path`, which can be read.
    pub(crate) async fn readable(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path).await?;
        // Before it is opened: opening a pipe waits for somebody who writes.
        if !metadata.is_file() {
            return Err(io::Error::other(format!("{}: not a regular file", path.display())));
        }
        File::open(path).await?;
        Ok(Self { path: path.to_owned(), size: metadata.len() })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Starts to read; what nobody takes ends the reading.
    pub(crate) fn open(&self) -> Pieces {
        let (sender, pieces) = mpsc::channel(READ_AHEAD);
        let (path, size) = (self.path.clone(), self.size);
        tokio::spawn(async move {
            let last = match read(&path, size, &sender).await {
                Ok(()) => Piece::End,
                Err(error) => Piece::Failed(format!("{}: {error}", path.display())),
            };
            // Nobody takes it any more: then nobody needs to know.
            let _ = sender.send(last).await;
        });
        pieces
    }
}

/// Reads up to `size`; a file that has grown meanwhile is sent as it was announced.
async fn read(path: &Path, size: u64, sender: &mpsc::Sender<Piece>) -> io::Result<()> {
    let mut file = File::open(path).await?;
    let mut left = size;
    while left > 0 {
        let most = left.min(READ_BYTES);
        let mut chunk = BytesMut::with_capacity(usize::try_from(most).unwrap_or(WRITE_BYTES));
        let length = (&mut file).take(most).read_buf(&mut chunk).await?;
        if length == 0 || sender.send(Piece::Chunk(chunk.freeze())).await.is_err() {
            return Ok(());
        }
        left = left.saturating_sub(length as u64);
    }
    Ok(())
}

/// Where a download goes, before anything is written.
#[derive(Debug)]
pub(super) enum Landing {
    File(Destination),
    Pipe(DownloadPipe),
}

impl Landing {
    pub(super) async fn open(self) -> Result<Sink> {
        match self {
            Self::File(destination) => Ok(Sink::File(Box::new(destination.open().await?))),
            Self::Pipe(pipe) => Ok(Sink::Pipe(pipe)),
        }
    }
}

/// Takes the content, and makes it count at the end.
#[derive(Debug)]
pub(super) enum Sink {
    File(Box<Draft>),
    Pipe(DownloadPipe),
}

impl Sink {
    pub(super) async fn write(&mut self, chunk: Bytes) -> Result<()> {
        match self {
            Self::File(draft) => draft.write(&chunk).await,
            Self::Pipe(pipe) => pipe.write(chunk).await,
        }
    }

    pub(super) async fn commit(self) -> Result<()> {
        match self {
            Self::File(draft) => draft.commit().await,
            Self::Pipe(pipe) => pipe.commit().await,
        }
    }
}

/// The place of a file that is not written yet.
#[derive(Debug)]
pub(super) struct Destination {
    /// As the caller named it, for messages.
    named: PathBuf,
    /// Links resolved.
    path: PathBuf,
    overwrite: bool,
    /// Those of the file that is replaced.
    permissions: Option<Permissions>,
    /// It is a device or a pipe, which can't be replaced.
    in_place: bool,
}

impl Destination {
    /// Looks what is there; changes nothing.
    pub(super) async fn check(path: &Path, overwrite: bool) -> Result<Self> {
        let fresh =
            Self { named: path.to_owned(), path: path.to_owned(), overwrite, permissions: None, in_place: false };
        let metadata = match fs::metadata(path).await {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Self { path: behind_links(path).await, ..fresh }.with_name();
            }
            Err(error) => return Err(failed(path, &error).prefixed("Download exception")),
        };
        if !overwrite {
            return Err(existing(path));
        }
        if metadata.is_dir() {
            return Err(local(format!("Download exception: {} is a directory", path.display())));
        }
        fresh.replacing(&metadata).await
    }

    fn with_name(self) -> Result<Self> {
        match self.path.file_name() {
            Some(_) => Ok(self),
            None => Err(local(format!("Download exception: {:?} names no file", self.named))),
        }
    }

    async fn replacing(self, metadata: &Metadata) -> Result<Self> {
        if !metadata.is_file() {
            return Ok(Self { in_place: true, ..self });
        }
        let path = fs::canonicalize(&self.path)
            .await
            .map_err(|error| failed(&self.named, &error).prefixed("Download exception"))?;
        Ok(Self { path, permissions: Some(metadata.permissions()), ..self })
    }

    async fn open(self) -> Result<Draft> {
        let named = self.named.clone();
        self.try_open().await.map_err(|error| failed(&named, &error))
    }

    async fn try_open(self) -> io::Result<Draft> {
        if self.in_place {
            let file = OpenOptions::new().write(true).open(&self.path).await?;
            return Ok(Draft { file: Some(buffered(file)), temporary: None, destination: self });
        }
        if let Some(directory) = self.path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::create_dir_all(directory).await?;
        }
        let temporary = temporary_beside(&self.path);
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary).await?;
        Ok(Draft { file: Some(buffered(file)), temporary: Some(temporary), destination: self })
    }
}

/// Where a file comes about that is written to `path`: links may lead to what is not there yet.
async fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&path).await else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

fn buffered(file: File) -> BufWriter<File> {
    BufWriter::with_capacity(WRITE_BYTES, file)
}

/// A name in the same directory, so that moving it to its place is one step.
fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    // Room for what is added, where names may have 255 bytes.
    let stem = path.file_name().unwrap_or_default();
    name.push(if stem.len() > 200 { "download".as_ref() } else { stem });
    name.push(format!(".{:016x}.part", fastrand::u64(..)));
    path.with_file_name(name)
}

/// A file that is being written; dropped before its end, nothing of it stays.
#[derive(Debug)]
pub(super) struct Draft {
    file: Option<BufWriter<File>>,
    temporary: Option<PathBuf>,
    destination: Destination,
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Closed first: some systems keep files that are open.
        self.file = None;
        if let Some(temporary) = self.temporary.take()
            && let Err(error) = std::fs::remove_file(&temporary)
        {
            tracing::warn!(target: "agb::file", file = %temporary.display(), %error, "a temporary file stays");
        }
    }
}

impl Draft {
    async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(chunk).await.map_err(|error| failed(&self.destination.named, &error))
    }

    async fn commit(mut self) -> Result<()> {
        match self.try_commit().await {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !self.destination.overwrite => {
                Err(existing(&self.destination.named))
            }
            outcome => outcome.map_err(|error| failed(&self.destination.named, &error)),
        }
    }

    async fn try_commit(&mut self) -> io::Result<()> {
        if let Some(mut file) = self.file.take() {
            file.flush().await?;
        }
        let Some(temporary) = self.temporary.clone() else { return Ok(()) };
        let destination = &self.destination;
        if let Some(permissions) = &destination.permissions {
            fs::set_permissions(&temporary, permissions.clone()).await?;
        }
        if destination.overwrite {
            fs::rename(&temporary, &destination.path).await?;
            self.temporary = None;
            return Ok(());
        }
        // Linking fails where a file has appeared meanwhile; renaming would replace it.
        match fs::hard_link(&temporary, &destination.path).await {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                rename_unless_there(&temporary, &destination.path).await?;
                self.temporary = None;
                Ok(())
            }
            // The temporary name goes when this is dropped.
            outcome => outcome,
        }
    }
}

/// For file systems without links.
async fn rename_unless_there(from: &Path, to: &Path) -> io::Result<()> {
    if fs::try_exists(to).await? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to).await
}

fn local(text: String) -> Error {
    Error::new(ErrorKind::Local, text)
}

fn failed(path: &Path, error: &io::Error) -> Error {
    local(format!("{}: {error}", path.display()))
}

/// The code of the refusal to replace a file.
const EXISTING: &str = "DestinationExists";

fn existing(path: &Path) -> Error {
    local(format!("Destination exists and overwrite=false: {}", path.display())).with_code(EXISTING)
}

/// Is this the refusal to replace a file?
pub(super) fn is_existing(error: &Error) -> bool {
    error.code() == EXISTING
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    async fn draft(path: &Path, overwrite: bool) -> Draft {
        let mut draft = Destination::check(path, overwrite).await.unwrap().open().await.unwrap();
        draft.write(b"new").await.unwrap();
        draft
    }

    #[tokio::test]
    async fn a_draft_takes_its_place_at_the_end_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/file");
        let first = draft(&path, true).await;
        assert!(!path.exists());
        first.commit().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(path.parent().unwrap()), ["file"]);
    }

    #[tokio::test]
    async fn a_dropped_draft_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "old").unwrap();
        drop(draft(&path, true).await);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn permissions_and_links_stay() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        draft(&link, true).await.commit().await.unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_to_nothing_stay_and_the_file_comes_about_where_they_lead() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("links")).unwrap();
        symlink("links/second", at("first")).unwrap();
        symlink("../made/file", at("links/second")).unwrap();
        draft(&at("first"), false).await.commit().await.unwrap();
        assert_eq!(std::fs::read(at("made/file")).unwrap(), b"new");
        assert!(at("first").is_symlink() && at("links/second").is_symlink());
        assert_eq!(names(&at("made")), ["file"]);
        assert!(Destination::check(&at("first"), false).await.is_err());

        symlink("round", at("round")).unwrap();
        assert!(Destination::check(&at("round"), true).await.is_err());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_device_is_written_and_not_replaced() {
        draft(Path::new("/dev/null"), true).await.commit().await.unwrap();
        use std::os::unix::fs::FileTypeExt as _;
        assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[tokio::test]
    async fn what_is_there_is_not_replaced_without_leave_also_when_it_came_later() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let text = format!("Destination exists and overwrite=false: {}", path.display());
        let early = draft(&path, false).await;
        std::fs::write(&path, "theirs").unwrap();
        assert_eq!(early.commit().await.unwrap_err().message(), text);
        assert_eq!(Destination::check(&path, false).await.unwrap_err().message(), text);
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
        assert_eq!(names(directory.path()), ["file"]);

        let other = directory.path().join("other");
        draft(&other, false).await.commit().await.unwrap();
        assert_eq!(names(directory.path()), ["file", "other"]);
    }

    #[tokio::test]
    async fn places_where_no_file_can_be_are_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "x").unwrap();
        for path in [directory.path().to_owned(), file.join("below"), PathBuf::new()] {
            let error = Destination::check(&path, true).await.unwrap_err();
            assert!(error.message().starts_with("Download exception: "), "{error}");
        }
    }

    #[tokio::test]
    async fn a_file_is_read_up_to_the_size_it_had() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, vec![7; 300_000]).unwrap();
        let file = LocalFile::find(&path).await.unwrap();
        std::fs::write(&path, vec![7; 400_000]).unwrap();
        let (mut pieces, mut length, mut ended) = (file.open(), 0, false);
        while let Some(piece) = pieces.recv().await {
            match piece {
                Piece::Chunk(chunk) => length += chunk.len(),
                Piece::End => ended = true,
                Piece::Failed(reason) => panic!("{reason}"),
            }
        }
        assert_eq!((length, ended), (300_000, true));
        let error = LocalFile::find(directory.path()).await.unwrap_err();
        assert_eq!(error.message(), format!("Local file not found: {}", directory.path().display()));
    }
}
