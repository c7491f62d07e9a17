//! Connections that end: so many at once, so many bytes in, so many seconds.
//!
//! axum's server has no timer for reading a request's head, and its graceful shutdown waits
//! for a request that never ends. Both are cured below it, where bytes are read: a connection
//! past its time or its bytes fails, whatever it was doing. Together with `Connection: close`
//! on every answer (see `guard`), a connection is one request and no more.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// Connections at once; others wait in the system's backlog.
const CONNECTIONS: usize = 64;

/// From the accept to the last byte of the answer.
const LIFE: Duration = Duration::from_secs(10);

/// Bytes that a request may have, head and body together.
const REQUEST_BYTES: usize = 16 * 1024;

/// After an accept that failed (no file descriptors left, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Accepts bounded connections.
pub(super) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    life: Duration,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self::living(listener, LIFE)
    }

    fn living(listener: TcpListener, life: Duration) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(CONNECTIONS)), life }
    }
}

impl Listener for Bounded {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // The semaphore is never closed, so there is always a place in the end.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { continue };
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    return (BoundedStream::new(stream, place, self.life), address);
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that fails past its time or its bytes.
pub(super) struct BoundedStream {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    bytes_left: usize,
    _place: OwnedSemaphorePermit,
}

impl BoundedStream {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit, life: Duration) -> Self {
        let end = Box::pin(tokio::time::sleep(life));
        Self { stream, end, bytes_left: REQUEST_BYTES, _place: place }
    }

    /// Fails once the connection's time is over, and wakes its task then.
    fn poll_life(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_life(context)?;
        if self.bytes_left == 0 {
            return Poll::Ready(Err(io::Error::other("the request is too long")));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        // The last read may go over by what the server's own buffer holds.
        self.bytes_left = self.bytes_left.saturating_sub(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_life(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_life(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn accepted(life: Duration, sent: &[u8]) -> (BoundedStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(sent).await.unwrap();
        (Bounded::living(listener, life).accept().await.0, client)
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_ends_by_itself() {
        let (mut stream, _client) = accepted(Duration::from_millis(20), b"GET /").await;
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_request_that_goes_on_and_on_is_cut_off() {
        let (mut stream, _client) = accepted(LIFE, &vec![b'x'; REQUEST_BYTES + 1]).await;
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "the request is too long");
    }
}
