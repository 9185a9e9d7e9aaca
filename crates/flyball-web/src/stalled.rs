//! A connection that gives up when its client reads nothing for too long. A client that reads,
//! however slowly, is never cut off here; one that does not holds the connection for at most
//! [`WRITE_LIMIT`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long a client may take nothing at all: longer than a lost packet on a bad line takes to be
/// sent again, shorter than anybody waits for a page.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Answers under way in the system, per connection. Without a bound it would hold megabytes for a
/// client that does not read.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// A stream with a limit on silence while there is something to send.
pub(crate) struct Stalled {
    stream: TcpStream,
    /// Runs while the client takes nothing.
    silence: Option<Pin<Box<Sleep>>>,
}

impl Stalled {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Where the system refuses, its own bound stands.
        let _own_bound = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
        Self { stream, silence: None }
    }

    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = write(Pin::new(&mut self.stream), cx) {
            self.silence = None;
            return Poll::Ready(done);
        }
        let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(WRITE_LIMIT)));
        ready!(silence.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for Stalled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stalled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.watched(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.watched(cx, |stream, cx| stream.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched(cx, TcpStream::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
