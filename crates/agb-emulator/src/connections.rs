//! Connections that the emulator can end from its side.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Accepts connections that end when `severed` is cancelled: a client that has sent half a request and keeps its
/// socket open must not outlive the emulator.
#[derive(Debug)]
pub(crate) struct Connections {
    pub(crate) listener: TcpListener,
    pub(crate) severed: CancellationToken,
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Only costs speed when it fails: small answers wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
        let wire = Wire::default();
        let connection = Connection {
            stream,
            severed: Box::pin(self.severed.clone().cancelled_owned()),
            broken: Box::pin(wire.state.broken.clone().cancelled_owned()),
            wire,
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What a fault can do to the connection of a request. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wire {
    state: Arc<WireState>,
}

#[derive(Debug, Default)]
struct WireState {
    broken: CancellationToken,
    mute: AtomicBool,
}

impl Wire {
    /// Breaks the connection: nothing more is read or written, and the client hears of a reset.
    pub(crate) fn break_off(&self) {
        self.state.broken.cancel();
    }

    /// From now on nothing is written, while everything is read on: the client's side looks open.
    pub(crate) fn mute(&self) {
        self.state.mute.store(true, Ordering::Release);
    }

    pub(crate) fn is_mute(&self) -> bool {
        self.state.mute.load(Ordering::Acquire)
    }
}

impl Connected<IncomingStream<'_, Connections>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        stream.io().wire.clone()
    }
}

/// One accepted connection; when it is severed, its reader sees the end of the stream.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    severed: Pin<Box<WaitForCancellationFutureOwned>>,
    broken: Pin<Box<WaitForCancellationFutureOwned>>,
    wire: Wire,
}

impl Connection {
    /// Why nothing can be written.
    fn poll_refusal(&mut self, context: &mut Context<'_>) -> Option<io::ErrorKind> {
        if self.broken.as_mut().poll(context).is_ready() {
            return Some(io::ErrorKind::ConnectionReset);
        }
        self.severed.as_mut().poll(context).is_ready().then_some(io::ErrorKind::ConnectionAborted)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.wire.state.broken.is_cancelled() {
            // Without it the client would see an orderly end; where it fails, it does.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.poll_refusal(context) {
            Some(io::ErrorKind::ConnectionAborted) => return Poll::Ready(Ok(())),
            Some(kind) => return Poll::Ready(Err(kind.into())),
            None => {}
        }
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(kind) = self.poll_refusal(context) {
            return Poll::Ready(Err(kind.into()));
        }
        if self.wire.is_mute() {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.wire.is_mute() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(kind) = self.poll_refusal(context) {
            return Poll::Ready(Err(kind.into()));
        }
        if self.wire.is_mute() {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
