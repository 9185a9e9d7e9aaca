//! The body of a request on its way from the client to a replica. A stalled body ends in an error.
//! While it waits for a replica, at most [`AHEAD_MAX`] and one more piece are buffered.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::arrival::Arrival;
use crate::expect::{Patience, Permission, PermissionSignal};
use crate::stall::Stall;

/// This much of a body is read while its request waits for a replica: as much as HAProxy buffers.
const AHEAD_MAX: usize = 16 * 1024;

/// A body read from a client.
pub(crate) struct Upload {
    /// `None` for a request without a body, of which the same can be sent again.
    body: Option<Box<Streamed>>,
}

struct Streamed {
    /// `None` once a replica has answered without it.
    incoming: Option<Incoming>,
    /// What was read while the request waited.
    ahead: VecDeque<Result<Frame<Bytes>, UploadError>>,
    ahead_bytes: usize,
    /// Whether the client has sent everything.
    ended: bool,
    /// Whether the client waits for a permission before it sends anything.
    patience: Option<Patience>,
    stall: Stall,
    progress: Progress,
    arrival: Arrival,
}

/// When a body last moved.
#[derive(Clone)]
pub(crate) struct Progress {
    began: Instant,
    moved_ms: Arc<AtomicU64>,
}

impl Upload {
    /// Takes a client's body, and gives a view of its progress if there is anything to send.
    /// `expects`: whether the client holds it back until it is asked for.
    pub(crate) fn new(
        incoming: Incoming,
        stall_limit: Duration,
        expects: bool,
        arrival: Arrival,
    ) -> (Self, Option<Progress>) {
        if incoming.is_end_stream() {
            return (Self::empty(), None);
        }
        let progress = Progress { began: Instant::now(), moved_ms: Arc::default() };
        let body = Streamed {
            incoming: Some(incoming),
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            ended: false,
            patience: expects.then(Patience::default),
            stall: Stall::new(stall_limit),
            progress: progress.clone(),
            arrival,
        };
        (Self { body: Some(Box::new(body)) }, Some(progress))
    }

    pub(crate) const fn empty() -> Self {
        Self { body: None }
    }

    /// What the client waits for before it sends the body, if it does.
    pub(crate) fn signal(&self) -> Option<PermissionSignal> {
        self.body.as_ref()?.patience.as_ref().map(Patience::signal)
    }

    /// Reads on while the request waits. Ready when it has arrived as far as can be known before it
    /// is sent: its body is whole, or long, or held back by the client until it is asked for. Not
    /// ready any more once the body is broken.
    pub(crate) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.body.as_deref_mut().map_or(Poll::Ready(()), |body| body.poll_ahead(cx))
    }
}

impl Streamed {
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ahead.back().is_some_and(Result::is_err) {
            return Poll::Pending;
        }
        while self.patience.is_none() && self.ahead_bytes < AHEAD_MAX && !self.is_end() {
            let Some(frame) = ready!(self.poll_client(cx)) else { break };
            self.ahead_bytes += size_of(&frame);
            let broken = frame.is_err();
            self.ahead.push_back(frame);
            if broken {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    /// The next piece from the client itself.
    fn poll_client(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Some(incoming) = &mut self.incoming else { return Poll::Pending };
        match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.stall.moved();
                self.progress.moved();
                self.ended = frame.is_none();
                if self.is_end() {
                    self.arrival.count();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(UploadError::Broken)))
            }
            Poll::Pending => self.stall.poll_silent(cx).map(|()| Some(Err(UploadError::Stalled))),
        }
    }

    fn is_end(&self) -> bool {
        self.ended || self.incoming.as_ref().is_some_and(Body::is_end_stream)
    }
}

fn size_of(frame: &Result<Frame<Bytes>, UploadError>) -> usize {
    frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len)
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
        if let Some(frame) = body.ahead.pop_front() {
            body.ahead_bytes -= size_of(&frame);
            return Poll::Ready(Some(frame));
        }
        if let Some(patience) = &mut body.patience {
            match patience.poll(cx) {
                Poll::Ready(Permission::Granted) => body.patience = None,
                // The client must not be asked for it, and the replica's connection ends with the
                // answer that it gives now.
                Poll::Ready(Permission::Refused) => {
                    body.incoming = None;
                    return Poll::Pending;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        body.poll_client(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.ahead.is_empty() && body.is_end())
    }

    fn size_hint(&self) -> SizeHint {
        let Some(body) = &self.body else { return SizeHint::with_exact(0) };
        let Some(incoming) = &body.incoming else { return SizeHint::default() };
        let (rest, ahead) = (incoming.size_hint(), body.ahead_bytes as u64);
        rest.exact().map_or_else(SizeHint::default, |rest| SizeHint::with_exact(rest + ahead))
    }
}

/// Why a body did not arrive whole.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// The client went away, or sent a malformed body.
    Broken(hyper::Error),
    /// The client sent nothing for too long.
    Stalled,
}

/// Whether `error` is about a malformed body: chunks that are not framed as such.
pub(crate) fn is_malformed(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)) {
            return true;
        }
        cause = error.source();
    }
    false
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(_) => f.write_str("the client aborted its request body"),
            Self::Stalled => f.write_str("the client stalled in its request body"),
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
