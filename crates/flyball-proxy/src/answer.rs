//! The body of an answer on its way to the client. The request stays in flight until the last byte
//! that the client can get.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use crate::in_flight::InFlight;
use crate::rejection::{REASON_HEADER, Rejection};
use crate::stall::Stall;

/// A body sent to a client.
pub(crate) enum Answer {
    /// A sentence of the proxy's own; `None` when it has been sent.
    Text(Option<Bytes>),
    /// What a replica sends.
    Replica(Streamed),
}

/// A replica's body and the flight that lasts as long.
pub(crate) struct Streamed {
    incoming: Incoming,
    first: First,
    stall: Stall,
    flight: Option<InFlight>,
}

/// What was seen of a replica's body before its head was passed on.
pub(crate) enum First {
    /// Nothing.
    Unseen,
    /// The first piece.
    Piece(Box<Frame<Bytes>>),
    /// That it has none.
    End,
}

impl Answer {
    pub(crate) const fn text(sentence: &'static str) -> Self {
        Self::Text(Some(Bytes::from_static(sentence.as_bytes())))
    }

    pub(crate) const fn empty() -> Self {
        Self::Text(None)
    }

    /// The whole answer to a request that was rejected for `reason`.
    pub(crate) fn rejection(reason: Rejection) -> Response<Self> {
        let mut response = Response::new(Self::text(reason.sentence()));
        *response.status_mut() = reason.status();
        let headers = response.headers_mut();
        headers.insert(REASON_HEADER, HeaderValue::from_static(reason.slug()));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if reason.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    pub(crate) fn replica(
        incoming: Incoming,
        first: First,
        flight: InFlight,
        quiet_limit: Duration,
    ) -> Self {
        let stall = Stall::new(quiet_limit);
        Self::Replica(Streamed { incoming, first, stall, flight: Some(flight) })
    }
}

impl Streamed {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let frame = match self.poll_replica(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                return self.stall.poll_silent(cx).map(|()| Some(Err(self.fail(BrokenOff::Quiet))));
            }
        };
        self.stall.moved();
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                // There is no poll after trailers.
                if frame.is_trailers() {
                    self.complete();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => Some(Err(self.fail(BrokenOff::Replica(error)))),
            None => {
                self.complete();
                None
            }
        })
    }

    fn poll_replica(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match std::mem::replace(&mut self.first, First::Unseen) {
            First::Unseen => Pin::new(&mut self.incoming).poll_frame(cx),
            First::Piece(frame) => Poll::Ready(Some(Ok(*frame))),
            First::End => Poll::Ready(None),
        }
    }

    fn is_end(&self) -> bool {
        match self.first {
            First::Unseen => self.incoming.is_end_stream(),
            First::Piece(_) => false,
            First::End => true,
        }
    }

    fn complete(&mut self) {
        if let Some(flight) = self.flight.take() {
            flight.complete();
        }
    }

    fn fail(&mut self, how: BrokenOff) -> BrokenOff {
        if let Some(flight) = self.flight.take() {
            flight.fail();
        }
        how
    }
}

impl Drop for Streamed {
    /// A body of known length is dropped after its last byte without being polled for more; one
    /// that is dropped before is a client's doing, and no error of the service.
    fn drop(&mut self) {
        if self.is_end() {
            self.complete();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut *self {
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Replica(streamed) => streamed.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::Replica(streamed) => streamed.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Self::Replica(streamed) => streamed.incoming.size_hint(),
        }
    }
}

/// Why an answer ended before its end; the client sees its connection close.
#[derive(Debug)]
pub(crate) enum BrokenOff {
    /// The replica went away, or sent what is no body.
    Replica(hyper::Error),
    /// The replica sent nothing for too long.
    Quiet,
}

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(_) => f.write_str("the replica aborted its answer"),
            Self::Quiet => f.write_str("the replica went quiet in the middle of its answer"),
        }
    }
}

impl Error for BrokenOff {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Replica(error) => Some(error),
            Self::Quiet => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_503_invites_to_come_back() {
        for reason in Rejection::ALL {
            let response = Answer::rejection(reason);
            assert_eq!(response.headers()[REASON_HEADER], reason.slug());
            assert_eq!(response.headers().contains_key(RETRY_AFTER), response.status() == 503);
        }
    }
}
