//! The answers that the proxy itself generates: status, text and the reason in `x-flyball-reason`.

use std::fmt;

use hyper::StatusCode;
use hyper::header::HeaderName;

use crate::eject::Failure;

/// The header that names the reason.
pub const REASON_HEADER: HeaderName = HeaderName::from_static("x-flyball-reason");

/// Why a request was answered here and not by a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    /// 503: as many requests as allowed are waiting already.
    QueueFull,
    /// 503: no replica was free for as long as a request may wait.
    WaitLimit,
    /// 502: no replica accepted a connection.
    ConnectFailed,
    /// 502: the replica broke the connection before the head of its answer.
    ConnectionBroken,
    /// 502: what the replica sent is not an HTTP answer to this request.
    BadAnswer,
    /// 504: the replica did not begin its answer in time.
    AnswerLimit,
    /// 400: the request has more than one meaning, or is one a balancer does not serve.
    BadRequest,
    /// 408: the client stopped sending the body it had announced.
    UploadBroken,
    /// 503: as many client connections as allowed are open.
    TooManyConnections,
    /// 503: a page that waits in the place of the browser, while no replica is ready.
    Starting,
    /// 404: no service has the host name that the request is for.
    UnknownHost,
    /// 503: no replica is there, and a request that is ignored starts none.
    Asleep,
}

impl Rejection {
    /// Every reason, in the order of their declaration.
    pub const ALL: [Self; 12] = [
        Self::QueueFull,
        Self::WaitLimit,
        Self::ConnectFailed,
        Self::ConnectionBroken,
        Self::BadAnswer,
        Self::AnswerLimit,
        Self::BadRequest,
        Self::UploadBroken,
        Self::TooManyConnections,
        Self::Starting,
        Self::UnknownHost,
        Self::Asleep,
    ];

    /// The name in the header, in logs and in metrics.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::WaitLimit => "wait-limit",
            Self::ConnectFailed => "connect-failed",
            Self::ConnectionBroken => "connection-broken",
            Self::BadAnswer => "bad-answer",
            Self::AnswerLimit => "answer-limit",
            Self::BadRequest => "bad-request",
            Self::UploadBroken => "upload-broken",
            Self::TooManyConnections => "too-many-connections",
            Self::Starting => "starting",
            Self::UnknownHost => "unknown-host",
            Self::Asleep => "asleep",
        }
    }

    /// The status it is sent with.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::QueueFull
            | Self::WaitLimit
            | Self::TooManyConnections
            | Self::Starting
            | Self::Asleep => StatusCode::SERVICE_UNAVAILABLE,
            Self::UnknownHost => StatusCode::NOT_FOUND,
            Self::ConnectFailed | Self::ConnectionBroken | Self::BadAnswer => {
                StatusCode::BAD_GATEWAY
            }
            Self::AnswerLimit => StatusCode::GATEWAY_TIMEOUT,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::UploadBroken => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// What a replica did that a request was lost to; `None` where it was the client's fault.
    pub(crate) const fn failure(self) -> Option<Failure> {
        match self {
            Self::ConnectionBroken => Some(Failure::Broken),
            Self::BadAnswer => Some(Failure::Garbled),
            Self::AnswerLimit => Some(Failure::Timeout),
            Self::QueueFull
            | Self::WaitLimit
            | Self::ConnectFailed
            | Self::BadRequest
            | Self::UploadBroken
            | Self::TooManyConnections
            | Self::Starting
            | Self::UnknownHost
            | Self::Asleep => None,
        }
    }

    /// Whether the service failed a request. A connection that is turned away is no request, and
    /// shows nothing about the replicas; nor does the sleep of the service, and who gets the page
    /// comes again.
    pub fn is_error(self) -> bool {
        let passing = matches!(self, Self::TooManyConnections | Self::Starting | Self::Asleep);
        !passing && self.status().is_server_error()
    }

    /// Whether the request counts as load: it was well-formed, and not broken off by its client.
    pub(crate) const fn is_load(self) -> bool {
        !matches!(
            self,
            Self::BadRequest
                | Self::UploadBroken
                | Self::TooManyConnections
                | Self::UnknownHost
                | Self::Asleep
        )
    }

    /// What the answer says to a person.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::QueueFull => "Too many requests are waiting for a replica of this service.\n",
            Self::WaitLimit => "No replica of this service became free in time.\n",
            Self::ConnectFailed => "No replica of this service accepts connections.\n",
            Self::ConnectionBroken => {
                "The replica closed the connection before it answered; the request may have been carried out.\n"
            }
            Self::BadAnswer => "The replica sent an invalid HTTP response.\n",
            Self::AnswerLimit => "The replica did not answer in time.\n",
            Self::BadRequest => "This request is ambiguous or not supported here.\n",
            Self::UploadBroken => "The body of the request did not arrive in time.\n",
            Self::Asleep => "This service sleeps, and this request does not wake it.\n",
            Self::TooManyConnections => "Too many connections are open.\n",
            Self::Starting => "This service is starting.\n",
            Self::UnknownHost => {
                "No service here has the host name of this request. hint: set `host` of the service \
                 (label flyball.host)\n"
            }
        }
    }

    /// The whole answer in bytes, to a connection that has not got as far as a request.
    pub(crate) fn bytes(self) -> String {
        let (status, sentence) = (self.status(), self.sentence());
        format!(
            "HTTP/1.1 {} {}\r\n{REASON_HEADER}: {}\r\ncontent-type: text/plain; charset=utf-8\r\n\
             retry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{sentence}",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            self.slug(),
            sentence.len(),
        )
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_name_and_a_place_in_the_list() {
        for (index, reason) in Rejection::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert!(
                Rejection::ALL.iter().filter(|other| other.slug() == reason.slug()).count() == 1
            );
            assert!(reason.status().is_client_error() || reason.status().is_server_error());
        }
    }
}
