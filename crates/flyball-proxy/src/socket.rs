//! A client's socket that detects the client leaving even while nothing is read from it. While a
//! request body waits unread, no read would notice; each flush asks the kernel instead. Interim
//! answers never interleave with an answer.

use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::interim::Interim;

/// The socket of a client connection.
pub(crate) struct ClientSocket {
    stream: TcpStream,
    held: Held,
    interim: Interim,
}

/// Whether a request of this connection waits with its body unread.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<AtomicBool>);

/// Lasts as long as the request waits.
pub(crate) struct Holding(Held);

impl Held {
    pub(crate) fn hold(&self) -> Holding {
        // Relaxed is enough: hyper polls the request in the connection's own task, which flushes,
        // too.
        self.0.store(true, Relaxed);
        Holding(self.clone())
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.0.0.store(false, Relaxed);
    }
}

impl ClientSocket {
    pub(crate) fn new(stream: TcpStream, held: Held, interim: Interim) -> Self {
        Self { stream, held, interim }
    }

    /// Writes the interim answers that wait.
    fn poll_interim(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.interim.write(|bytes| self.stream.try_write(bytes)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Whether the client has closed its side, as far as the runtime knows.
    fn is_gone(&self) -> bool {
        // Polled once without a waker: this only asks for what is known now.
        let ready = pin!(self.stream.ready(Interest::READABLE));
        match ready.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(ready)) => ready.is_read_closed(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<Result<usize>> {
        // These bytes may belong to an answer before; what was begun was begun after all of those.
        if !self.interim.is_empty() && !self.interim.drop_unbegun() {
            ready!(self.poll_interim(cx))?;
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.held.0.load(Relaxed) && self.is_gone() {
            return Poll::Ready(Err(Error::from(ErrorKind::ConnectionAborted)));
        }
        // hyper flushes when it has nothing to write itself: every answer before is out, and the one
        // that this precedes has not begun.
        if !self.interim.is_empty() {
            ready!(self.poll_interim(cx))?;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
