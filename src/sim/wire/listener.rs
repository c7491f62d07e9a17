//! Connections that can be cut: the loopback listener and its streams.
//!
//! A dropped answer is made physically: the stream fails under the HTTP server, which then
//! closes the socket without a word. The same cut ends what is left when the door closes, so
//! that a half-sent request cannot keep it open.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Cuts one connection.
#[derive(Clone, Debug)]
pub(super) struct Cutter(CancellationToken);

impl Cutter {
    /// From now on the connection fails.
    pub(super) fn cut(&self) {
        self.0.cancel();
    }

    /// Waits until the connection is cut, by whomever.
    pub(super) async fn wait(&self) {
        self.0.cancelled().await;
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Cutter {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        Self(stream.io().token.clone())
    }
}

/// Accepts connections that end with `all`, or alone.
#[derive(Debug)]
pub(super) struct CuttableListener {
    listener: TcpListener,
    all: CancellationToken,
}

impl CuttableListener {
    /// Listens; cancelling `all` cuts every connection.
    pub(super) fn new(listener: TcpListener, all: CancellationToken) -> Self {
        Self { listener, all }
    }
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The inner one waits and tries again when the system is out of descriptors.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Small answers must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        (CuttableStream::new(stream, self.all.child_token()), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A stream that fails once it is cut.
pub(super) struct CuttableStream {
    stream: TcpStream,
    token: CancellationToken,
    reading: Pin<Box<WaitForCancellationFutureOwned>>,
    writing: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl CuttableStream {
    fn new(stream: TcpStream, token: CancellationToken) -> Self {
        let reading = Box::pin(token.clone().cancelled_owned());
        let writing = Box::pin(token.clone().cancelled_owned());
        Self { stream, token, reading, writing }
    }
}

fn cut<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reading.as_mut().poll(context).is_ready() {
            return cut();
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.writing.as_mut().poll(context).is_ready() {
            return cut();
        }
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
