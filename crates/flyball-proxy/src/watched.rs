//! A stream that fails when its other end has stalled for too long.

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stall::Stall;

/// `io` with a limit on standing still.
pub(crate) struct Watched<T> {
    io: T,
    stall: Stall,
    watch: Watch,
}

/// Which operations have a limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Only writes: readers have reasons to wait and deadlines of their own.
    Writes,
    /// Both; bytes either way keep both alive.
    Both,
}

impl<T> Watched<T> {
    pub(crate) fn new(io: T, limit: Duration, watch: Watch) -> Self {
        Self { io, stall: Stall::new(limit), watch }
    }

    fn judge<R>(&mut self, cx: &mut Context<'_>, result: Poll<Result<R>>) -> Poll<Result<R>> {
        if result.is_ready() {
            self.stall.moved();
            return result;
        }
        self.stall.poll_silent(cx).map(|()| Err(Error::from(ErrorKind::TimedOut)))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        match self.watch {
            Watch::Writes => result,
            Watch::Both => self.judge(cx, result),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, buf);
        self.judge(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(40);

    #[tokio::test]
    async fn a_write_that_is_never_read_fails_at_the_limit() {
        let (near, _far) = duplex(4);
        let began = std::time::Instant::now();
        let error = Watched::new(near, LIMIT, Watch::Writes).write_all(&[0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() >= LIMIT);
    }

    #[tokio::test]
    async fn a_silent_read_fails_only_where_reads_are_watched() {
        let (near, mut far) = duplex(4);
        let mut near = Watched::new(near, LIMIT, Watch::Writes);
        let (read, _) = tokio::join!(near.read_u8(), async {
            tokio::time::sleep(LIMIT * 2).await;
            far.write_u8(7).await
        });
        assert_eq!(read.unwrap(), 7);
        let (near, _far) = duplex(4);
        let read = Watched::new(near, LIMIT, Watch::Both).read_u8().await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
