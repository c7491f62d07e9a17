//! Connections that end: so many at once, so many bytes in, so many seconds.
//!
//! axum's server has no timer for reading a request's head, and its graceful shutdown waits
//! for a request that never ends. Both are cured below it, where bytes are read: a connection
//! past its time or its bytes fails, whatever it was doing. Together with `Connection: close`
//! on every answer (see `guard`), a connection is one request and no more. Where there are too
//! many the oldest makes room: clients that hold connections open and say nothing must not keep
//! a probe of `/healthz` waiting.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::Sleep;

/// Connections at once; one more ends the oldest, for an answer takes milliseconds.
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
    /// Oldest first; a word to one ends its connection.
    open: VecDeque<oneshot::Sender<()>>,
    life: Duration,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self::living(listener, LIFE)
    }

    fn living(listener: TcpListener, life: Duration) -> Self {
        Self { listener, open: VecDeque::new(), life }
    }

    fn admit(&mut self, stream: TcpStream) -> BoundedStream {
        self.open.retain(|connection| !connection.is_closed());
        while self.open.len() >= CONNECTIONS {
            // One that is over by now made room by itself.
            self.open.pop_front().map(|oldest| oldest.send(()));
        }
        let (open, evicted) = oneshot::channel();
        self.open.push_back(open);
        BoundedStream::new(stream, evicted, self.life)
    }
}

impl Listener for Bounded {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => return (self.admit(stream), address),
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
    /// `None` once the listener is gone: what it accepted is still answered.
    evicted: Option<oneshot::Receiver<()>>,
    bytes_left: usize,
}

impl BoundedStream {
    fn new(stream: TcpStream, evicted: oneshot::Receiver<()>, life: Duration) -> Self {
        let end = Box::pin(tokio::time::sleep(life));
        Self { stream, end, evicted: Some(evicted), bytes_left: REQUEST_BYTES }
    }

    /// Fails once the connection's time is over or its place is needed, and wakes its task then.
    fn poll_life(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.poll_evicted(context) || self.end.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn poll_evicted(&mut self, context: &mut Context<'_>) -> bool {
        let Some(evicted) = &mut self.evicted else { return false };
        let Poll::Ready(word) = Pin::new(evicted).poll(context) else { return false };
        self.evicted = None;
        word.is_ok()
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
    async fn the_oldest_connection_makes_room_for_one_too_many() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut bounded = Bounded::new(listener);
        let (mut clients, mut streams) = (Vec::new(), Vec::new());
        for _ in 0..=CONNECTIONS {
            clients.push(TcpStream::connect(address).await.unwrap());
            streams.push(bounded.accept().await.0);
        }
        let error = streams[0].read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        clients[1].write_all(b"x").await.unwrap();
        assert_eq!(streams[1].read_u8().await.unwrap(), b'x', "the others live on");
    }

    #[tokio::test]
    async fn a_request_that_goes_on_and_on_is_cut_off() {
        let (mut stream, _client) = accepted(LIFE, &vec![b'x'; REQUEST_BYTES + 1]).await;
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "the request is too long");
    }
}
