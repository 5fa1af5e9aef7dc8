//! Events of a kernel: one JSON object a line.

use std::io;
use std::os::fd::OwnedFd;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::net::unix::pipe::Receiver;

const CHUNK_BYTES: usize = 1 << 16;
/// Room for what a frame holds beside the data that is limited; most of it is for the error, which kernels cut at 10,000
/// characters.
const FRAME_OVERHEAD_BYTES: usize = 64 << 10;

/// One event.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    /// The run it belongs to; events of an older run are not for the present one.
    pub(super) run: Option<u64>,
    /// A shown object: its representations by MIME type.
    pub(super) result: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) main: bool,
    #[serde(default)]
    pub(super) ready: bool,
    #[serde(default)]
    pub(super) end: bool,
    pub(super) count: Option<u64>,
    pub(super) seconds: Option<f64>,
    pub(super) error: Option<String>,
}

#[derive(Debug)]
pub(super) enum Frame {
    Event(Event),
    /// A line over the limit, of so many bytes; its content was dropped.
    TooLong(usize),
    /// A line that is no event: an object nests too deeply, or a cell has written into the pipe itself.
    Odd(serde_json::Error),
    /// Every writer has closed the pipe.
    End,
}

/// Reads frames; a reading that is given up loses nothing.
#[derive(Debug)]
pub(super) struct Frames {
    receiver: Receiver,
    pending: Vec<u8>,
    dropped_bytes: usize,
    limit_bytes: usize,
}

impl Frames {
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Frames> {
        let receiver = Receiver::from_owned_fd(pipe)?;
        Ok(Frames { receiver, pending: Vec::new(), dropped_bytes: 0, limit_bytes: usize::MAX })
    }

    pub(super) fn set_limit(&mut self, bytes: usize) {
        self.limit_bytes = bytes.saturating_add(FRAME_OVERHEAD_BYTES);
    }

    pub(super) async fn next(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = self.take_line() {
                return Ok(frame);
            }
            self.receiver.readable().await?;
            let mut chunk = vec![0; CHUNK_BYTES];
            match self.receiver.try_read(&mut chunk) {
                Ok(0) => return Ok(Frame::End),
                Ok(count) => self.pending.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take_line(&mut self) -> Option<Frame> {
        let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') else {
            if self.pending.len() > self.limit_bytes {
                self.dropped_bytes += self.pending.len();
                self.pending.clear();
            }
            return None;
        };
        let line: Vec<u8> = self.pending.drain(..=end).collect();
        let length = std::mem::take(&mut self.dropped_bytes);
        if length > 0 || line.len() > self.limit_bytes {
            return Some(Frame::TooLong(length + line.len()));
        }
        Some(serde_json::from_slice(&line).map_or_else(Frame::Odd, Frame::Event))
    }
}
