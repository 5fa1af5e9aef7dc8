//! Content that the caller writes or reads piece by piece, with back-pressure: at most [`PIECES`] pieces of
//! [`PIECE_BYTES`] wait on the way.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Piece, Pieces};

/// How many pieces wait on the way.
const PIECES: usize = 4;
/// The most bytes of a piece.
pub const PIECE_BYTES: usize = 64 * 1024;

/// The end of a pipe that an upload reads.
#[derive(Debug)]
pub struct UploadPipe {
    /// Until they are read for the first time.
    pieces: Option<Pieces>,
    size: Option<u64>,
    /// Where the writer is told to begin anew; `None`: it can't.
    openings: Option<mpsc::UnboundedSender<mpsc::Sender<Piece>>>,
}

impl UploadPipe {
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// The content from its beginning, as often as its writer can give it.
    pub(super) fn open(&mut self) -> Option<Pieces> {
        if let Some(pieces) = self.pieces.take() {
            return Some(pieces);
        }
        let (sender, pieces) = mpsc::channel(PIECES);
        self.openings.as_ref()?.send(sender).is_ok().then_some(pieces)
    }
}

/// The end of a pipe that the caller writes.
#[derive(Debug, Clone)]
pub struct ByteWriter {
    pieces: Arc<std::sync::Mutex<mpsc::Sender<Piece>>>,
    openings: Arc<Mutex<mpsc::UnboundedReceiver<mpsc::Sender<Piece>>>>,
}

/// A pipe for an upload. `size` is the number of bytes that will be written, where it is known; any other number fails
/// the upload.
pub fn upload_pipe(size: Option<u64>) -> (ByteWriter, UploadPipe) {
    let (writer, pipe) = repeatable_upload_pipe(size);
    (writer, UploadPipe { openings: None, ..pipe })
}

/// As [`upload_pipe`], for content that can be written [`again`](ByteWriter::again), as the upload may need it where the
/// store was busy.
pub fn repeatable_upload_pipe(size: Option<u64>) -> (ByteWriter, UploadPipe) {
    let (sender, pieces) = mpsc::channel(PIECES);
    let (opening, openings) = mpsc::unbounded_channel();
    let writer =
        ByteWriter { pieces: Arc::new(std::sync::Mutex::new(sender)), openings: Arc::new(Mutex::new(openings)) };
    (writer, UploadPipe { pieces: Some(pieces), size, openings: Some(opening) })
}

impl ByteWriter {
    /// Writes, as soon as there is room; `false`: nobody reads any more.
    pub async fn write(&self, bytes: Bytes) -> bool {
        let sender = self.sender();
        for piece in pieces_of(bytes) {
            if sender.send(Piece::Chunk(piece)).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Says that everything was written.
    pub async fn end(&self) {
        // Nobody reads any more: then nobody needs to know.
        let _ = self.sender().send(Piece::End).await;
    }

    /// Says that there will be no more, and why; the upload fails.
    pub async fn fail(&self, reason: String) {
        let _ = self.sender().send(Piece::Failed(reason)).await;
    }

    /// Waits until the content is to be written once more, from its beginning; `false`: it is needed no more.
    pub async fn again(&self) -> bool {
        let Some(sender) = self.openings.lock().await.recv().await else { return false };
        *self.pieces.lock().unwrap_or_else(PoisonError::into_inner) = sender;
        true
    }

    fn sender(&self) -> mpsc::Sender<Piece> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the reader made of it: the whole content, or why not.
type Verdict = std::result::Result<(), String>;

/// The end of a pipe that a download writes.
#[derive(Debug)]
pub struct DownloadPipe {
    pieces: mpsc::Sender<Piece>,
    verdict: oneshot::Receiver<Verdict>,
}

/// The end of a pipe that the caller reads.
#[derive(Debug)]
pub struct ByteReader {
    pieces: Mutex<mpsc::Receiver<Piece>>,
    verdict: std::sync::Mutex<Option<oneshot::Sender<Verdict>>>,
}

/// A pipe for a download.
pub fn download_pipe() -> (DownloadPipe, ByteReader) {
    let (sender, pieces) = mpsc::channel(PIECES);
    let (verdict_sender, verdict) = oneshot::channel();
    let reader = ByteReader { pieces: Mutex::new(pieces), verdict: std::sync::Mutex::new(Some(verdict_sender)) };
    (DownloadPipe { pieces: sender, verdict }, reader)
}

/// What came through a pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// A part of the content.
    Chunk(Bytes),
    /// The content is complete.
    End,
    /// The download failed; its report says why.
    Broken,
}

impl ByteReader {
    /// Waits for the next part.
    pub async fn read(&self) -> Arrived {
        match self.pieces.lock().await.recv().await {
            Some(Piece::Chunk(chunk)) => Arrived::Chunk(chunk),
            Some(Piece::End) => Arrived::End,
            Some(Piece::Failed(_)) | None => Arrived::Broken,
        }
    }

    /// Says how the content came out, which the download waits for; only the first time counts.
    pub fn finish(&self, verdict: std::result::Result<(), String>) {
        let sender = self.verdict.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Nobody waits any more: then nobody needs to know.
            let _ = sender.send(verdict);
        }
    }
}

impl DownloadPipe {
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        for piece in pieces_of(bytes) {
            self.send(Piece::Chunk(piece)).await?;
        }
        Ok(())
    }

    /// Ends the content, and waits until the reader has taken it.
    pub(super) async fn commit(mut self) -> Result<()> {
        self.send(Piece::End).await?;
        match self.verdict.await {
            Ok(verdict) => verdict.map_err(local),
            Err(_) => Err(gone()),
        }
    }

    /// Sends as soon as there is room. A reader that gave up says so while nobody reads.
    async fn send(&mut self, piece: Piece) -> Result<()> {
        tokio::select! {
            biased;
            verdict = &mut self.verdict => match verdict {
                Ok(Err(reason)) => Err(local(reason)),
                _ => Err(gone()),
            },
            sent = self.pieces.send(piece) => sent.map_err(|_| gone()),
        }
    }
}

fn local(reason: String) -> Error {
    Error::new(ErrorKind::Local, reason)
}

fn gone() -> Error {
    local("nobody reads the content any more".to_owned())
}

/// The bytes in pieces that share them.
fn pieces_of(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!bytes.is_empty()).then(|| bytes.split_to(bytes.len().min(PIECE_BYTES))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_writer_waits_while_the_way_is_full() {
        let (writer, mut pipe) = upload_pipe(None);
        let mut pieces = pipe.open().unwrap();
        let content = Bytes::from(vec![7; PIECE_BYTES * (PIECES + 1)]);
        let mut writing = tokio::spawn(async move { writer.write(content).await });
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!writing.is_finished());
        let mut received = 0;
        while received < PIECE_BYTES * (PIECES + 1) {
            match pieces.recv().await {
                Some(Piece::Chunk(chunk)) => {
                    assert!(chunk.len() <= PIECE_BYTES);
                    received += chunk.len();
                }
                other => panic!("{other:?}"),
            }
        }
        assert!((&mut writing).await.unwrap());
    }

    #[tokio::test]
    async fn writing_where_nobody_reads_is_told() {
        let (writer, pipe) = upload_pipe(Some(1));
        drop(pipe);
        assert!(!writer.write(Bytes::from_static(b"x")).await);
        writer.end().await;
    }

    #[tokio::test]
    async fn only_what_can_be_written_again_is_opened_again() {
        let (writer, mut pipe) = upload_pipe(None);
        assert!(pipe.open().is_some() && pipe.open().is_none());
        assert!(!writer.again().await);

        let (writer, mut pipe) = repeatable_upload_pipe(None);
        drop(pipe.open());
        assert!(!writer.write(Bytes::from_static(b"first")).await);
        let mut pieces = pipe.open().unwrap();
        assert!(writer.again().await && writer.write(Bytes::from_static(b"second")).await);
        assert!(matches!(pieces.recv().await, Some(Piece::Chunk(chunk)) if chunk == "second"));
        drop(pipe);
        assert!(!writer.again().await);
    }

    #[tokio::test]
    async fn a_download_waits_for_what_its_reader_says() {
        let (mut pipe, reader) = download_pipe();
        pipe.write(Bytes::from_static(b"abc")).await.unwrap();
        let committing = tokio::spawn(pipe.commit());
        assert_eq!(reader.read().await, Arrived::Chunk(Bytes::from_static(b"abc")));
        assert_eq!(reader.read().await, Arrived::End);
        assert!(!committing.is_finished());
        reader.finish(Err("disk full".into()));
        reader.finish(Ok(()));
        assert_eq!(committing.await.unwrap().unwrap_err().message(), "disk full");
    }

    #[tokio::test]
    async fn a_reader_that_gives_up_ends_a_download_that_waits_for_room() {
        let (mut pipe, reader) = download_pipe();
        let writing = tokio::spawn(async move { pipe.write(Bytes::from(vec![0; PIECE_BYTES * (PIECES + 1)])).await });
        assert!(matches!(reader.read().await, Arrived::Chunk(_)));
        reader.finish(Err("closed".into()));
        assert_eq!(writing.await.unwrap().unwrap_err().message(), "closed");

        let (pipe, reader) = download_pipe();
        drop(reader);
        assert_eq!(pipe.commit().await.unwrap_err().kind(), ErrorKind::Local);
        let (pipe, reader) = download_pipe();
        drop(pipe);
        assert_eq!(reader.read().await, Arrived::Broken);
    }
}
