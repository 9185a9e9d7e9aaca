//! The body of a request on its way from the client to a replica.
//!
//! Decides when a client has stalled. Changes no byte.
//! Invariant: a body that yields nothing for the limit ends in an error, never in silence.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::stall::Stall;

/// A body read from a client.
pub(crate) struct Upload {
    /// `None` for a request without a body, of which the same can be sent again.
    body: Option<Box<Streamed>>,
}

struct Streamed {
    incoming: Incoming,
    stall: Stall,
    progress: Progress,
}

/// When a body last moved.
#[derive(Clone)]
pub(crate) struct Progress {
    began: Instant,
    moved_ms: Arc<AtomicU64>,
}

impl Upload {
    /// Takes a client's body, and gives a view of its progress if there is anything to send.
    pub(crate) fn new(incoming: Incoming, stall_limit: Duration) -> (Self, Option<Progress>) {
        if incoming.is_end_stream() {
            return (Self::empty(), None);
        }
        let progress = Progress { began: Instant::now(), moved_ms: Arc::default() };
        let stall = Stall::new(stall_limit);
        let body = Streamed { incoming, stall, progress: progress.clone() };
        (Self { body: Some(Box::new(body)) }, Some(progress))
    }

    pub(crate) const fn empty() -> Self {
        Self { body: None }
    }
}

impl Progress {
    /// The moment the last piece was taken from the client.
    pub(crate) fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.moved_ms.load(Relaxed))
    }

    fn moved(&self) {
        let moved_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(moved_ms, Relaxed);
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Some(body) = self.body.as_deref_mut() else { return Poll::Ready(None) };
        match Pin::new(&mut body.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                body.stall.moved();
                body.progress.moved();
                Poll::Ready(frame.map(|frame| frame.map_err(UploadError::Broken)))
            }
            Poll::Pending => body.stall.poll_silent(cx).map(|()| Some(Err(UploadError::Stalled))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), |body| body.incoming.size_hint())
    }
}

/// Why a body did not arrive whole.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// The client went away, or sent what is no body.
    Broken(hyper::Error),
    /// The client sent nothing for too long.
    Stalled,
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(_) => f.write_str("the client broke off the body of its request"),
            Self::Stalled => f.write_str("the client stalled in the body of its request"),
        }
    }
}

impl Error for UploadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broken(error) => Some(error),
            Self::Stalled => None,
        }
    }
}
