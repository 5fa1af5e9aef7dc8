//! Pipes from a session's processes: read all the time, kept up to a limit, emptied without waiting for their end.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::unix::pipe::Receiver;
use tokio::sync::Notify;

use super::written::Written;

/// What is read from a pipe in one go at most, so that a process that never stops writing can't hold up the reader.
const READ_AT_ONCE_BYTES: usize = 1 << 20;
const CHUNK_BYTES: usize = 1 << 16;

/// The reading end of a pipe that some process writes to.
#[derive(Debug)]
pub(crate) struct OutputPipe {
    receiver: Receiver,
    kept: Mutex<Kept>,
    changed: Notify,
}

#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    limit_bytes: usize,
    /// Counts towards the limit: was handed out piece by piece.
    handed_out_bytes: usize,
    dropped_bytes: usize,
}

impl OutputPipe {
    /// A pipe that keeps at most `limit_bytes` between two [`OutputPipe::take`]s, and its writing end.
    pub(crate) fn new(limit_bytes: usize) -> io::Result<(Arc<OutputPipe>, OwnedFd)> {
        let (reader, writer) = io::pipe()?;
        let receiver = Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let kept = Mutex::new(Kept { bytes: Vec::new(), limit_bytes, handed_out_bytes: 0, dropped_bytes: 0 });
        Ok((Arc::new(OutputPipe { receiver, kept, changed: Notify::new() }), OwnedFd::from(writer)))
    }

    /// Reads until the last writer has closed the pipe. Runs in a task of its own, also after the process that the pipe
    /// was made for has ended: what it left in the background must not die of a closed pipe.
    pub(crate) async fn read_to_end(self: Arc<Self>) {
        while self.receiver.readable().await.is_ok() {
            let mut chunk = vec![0; CHUNK_BYTES];
            let mut kept = self.kept();
            match self.receiver.try_read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => {
                    kept.add(chunk.get(..count).unwrap_or_default());
                    self.changed.notify_one();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// Everything written so far; later output starts anew.
    pub(crate) fn take(&self) -> Written {
        let mut kept = self.kept();
        self.read_what_is_there(&mut kept);
        kept.take()
    }

    /// Waits until something was written that was not waited for yet.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The next piece of what was written so far, of at most `max_bytes`, without a character that is not complete yet.
    /// All pieces and what is left for [`OutputPipe::take`] share one limit.
    pub(crate) fn take_piece(&self, max_bytes: usize) -> String {
        let mut kept = self.kept();
        self.read_what_is_there(&mut kept);
        kept.take_piece(max_bytes)
    }

    /// Changes what is kept from now on.
    pub(crate) fn set_limit(&self, limit_bytes: usize) {
        let mut kept = self.kept();
        kept.limit_bytes = limit_bytes;
        kept.handed_out_bytes = 0;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the pipe itself: the runtime may not have noticed yet that there is something to read.
    fn read_what_is_there(&self, kept: &mut Kept) {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut total = 0;
        while total < READ_AT_ONCE_BYTES {
            match rustix::io::read(&self.receiver, &mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    total += count;
                    kept.add(chunk.get(..count).unwrap_or_default());
                }
            }
        }
    }
}

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        let used = self.bytes.len() + self.handed_out_bytes;
        let room = self.limit_bytes.saturating_sub(used).min(bytes.len());
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.dropped_bytes += bytes.len() - room;
    }

    fn take_piece(&mut self, max_bytes: usize) -> String {
        let end = self.bytes.len().min(max_bytes);
        let end = whole_characters(self.bytes.get(..end).unwrap_or_default()).len();
        let piece: Vec<u8> = self.bytes.drain(..end).collect();
        self.handed_out_bytes += piece.len();
        String::from_utf8_lossy(&piece).into_owned()
    }

    fn take(&mut self) -> Written {
        let bytes = std::mem::take(&mut self.bytes);
        let dropped_bytes = std::mem::take(&mut self.dropped_bytes);
        let whole = if dropped_bytes == 0 { &bytes } else { whole_characters(&bytes) };
        let text = String::from_utf8_lossy(whole).into_owned();
        Written { text, dropped_bytes, limit_bytes: self.limit_bytes }
    }
}

/// `bytes` without a character that was cut in the middle.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    let end = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    };
    bytes.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn what_was_written_is_there_at_once_though_the_writer_stays_open() {
        let (pipe, writer) = OutputPipe::new(100).unwrap();
        let mut writer = std::fs::File::from(writer);
        writer.write_all("grüße".as_bytes()).unwrap();
        assert_eq!(pipe.take().into_text(), "grüße");
        assert_eq!(pipe.take().into_text(), "");
    }

    #[tokio::test]
    async fn the_limit_cuts_between_characters_and_says_so() {
        let (pipe, writer) = OutputPipe::new(5).unwrap();
        std::fs::File::from(writer).write_all("ääää".as_bytes()).unwrap();
        let text = pipe.take().into_text();
        assert!(text.starts_with("ää\n[output cut at the limit of 5 bytes; 3 bytes were dropped]"), "{text}");
    }

    #[tokio::test]
    async fn pieces_end_between_characters_and_share_the_limit_with_the_rest() {
        let (pipe, writer) = OutputPipe::new(8).unwrap();
        let mut writer = std::fs::File::from(writer);
        writer.write_all(&"aää".as_bytes()[..4]).unwrap();
        assert_eq!(pipe.take_piece(100), "aä");
        assert_eq!(pipe.take_piece(100), "", "half a character waits for its other half");
        writer.write_all(&"ä".as_bytes()[1..]).unwrap();
        assert_eq!(pipe.take_piece(100), "ä");
        writer.write_all(b"123456").unwrap();
        assert_eq!(pipe.take_piece(2), "12");
        let rest = pipe.take().into_text();
        assert!(rest.starts_with("3\n[output cut at the limit of 8 bytes; 3 bytes were dropped]"), "{rest}");
        pipe.set_limit(8);
        writer.write_all(b"12345678").unwrap();
        assert_eq!(pipe.take().into_text(), "12345678", "a new limit counts anew");
    }

    #[tokio::test]
    async fn whoever_waits_for_output_is_told_of_it_once() {
        let (pipe, writer) = OutputPipe::new(8).unwrap();
        tokio::spawn(Arc::clone(&pipe).read_to_end());
        std::fs::File::from(writer).write_all(b"x").unwrap();
        pipe.changed().await;
        assert_eq!(pipe.take_piece(8), "x");
    }

    #[tokio::test]
    async fn a_task_reads_to_the_end() {
        let (pipe, writer) = OutputPipe::new(1 << 20).unwrap();
        let reading = tokio::spawn(Arc::clone(&pipe).read_to_end());
        let writing = tokio::task::spawn_blocking(move || std::fs::File::from(writer).write_all(&[b'x'; 300_000]));
        writing.await.unwrap().unwrap();
        reading.await.unwrap();
        assert_eq!(pipe.take().into_text().len(), 300_000);
    }
}
