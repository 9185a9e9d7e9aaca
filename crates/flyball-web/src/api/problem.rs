//! Error responses as problem documents (RFC 9457).

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A problem (RFC 9457), with the name of the invalid field, if there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of problem: `urn:flyball:problem:` and a fixed word, for programs to match on.
    #[schema(value_type = String)]
    pub r#type: Box<str>,
    /// The kind of problem in a few words.
    #[schema(value_type = String)]
    pub title: Box<str>,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong in this case.
    #[schema(value_type = String)]
    pub detail: Box<str>,
    /// The field of the path, the query or the body that is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub field: Option<String>,
    /// What can be done about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub hint: Option<Box<str>>,
    /// The leader to ask instead: the address of its dashboard, and its host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub leader: Option<String>,
}

impl Problem {
    /// Whether it is of this kind.
    pub fn is(&self, kind: ProblemKind) -> bool {
        *self.r#type == *kind.urn()
    }
}

/// What kind of error it is, for programs to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// Nothing is served at that path.
    UnknownPath,
    /// There is no such service.
    UnknownService,
    /// There was no decision at that time.
    NoDecision,
    /// The path does not support the method.
    WrongMethod,
    /// The body cannot be read.
    MalformedBody,
    /// The body is not JSON.
    WrongMediaType,
    /// The body is too large.
    BodyTooLarge,
    /// A field of the path, the query or the body is invalid.
    WrongField,
    /// The count would leave the bounds of the service.
    OutsideBounds,
    /// A token is required, or the token is wrong.
    TokenNeeded,
    /// The request came through a proxy, and the server has no token to ask for.
    NoToken,
    /// The token may only read.
    ReadOnly,
    /// The request comes from another site.
    CrossSite,
    /// The request is for another host.
    WrongHost,
    /// The request took too long to arrive.
    SlowRequest,
    /// The path and query are too long.
    TargetTooLong,
    /// Too many headers, or headers too large.
    HeadersTooLarge,
    /// The server has a fault.
    Broken,
    /// What would know the answer does not work at the moment.
    Unavailable,
    /// Too many requests of this kind are in progress.
    Busy,
    /// The answer was not ready in time.
    Overdue,
    /// Another flyball is the leader.
    NotLeader,
    /// The service, or its engine, cannot do that.
    NotPossible,
    /// The configuration file is invalid.
    InvalidConfiguration,
}

impl ProblemKind {
    /// The last part of the problem's type, its status and its title.
    pub(crate) fn terms(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::UnknownPath => ("unknown-path", S::NOT_FOUND, "not found"),
            Self::UnknownService => ("unknown-service", S::NOT_FOUND, "no such service"),
            Self::NoDecision => ("no-decision", S::NOT_FOUND, "no decision at that time"),
            Self::WrongMethod => ("wrong-method", S::METHOD_NOT_ALLOWED, "wrong method"),
            Self::MalformedBody => {
                ("malformed-body", S::BAD_REQUEST, "the request body is invalid")
            }
            Self::WrongMediaType => {
                ("wrong-media-type", S::UNSUPPORTED_MEDIA_TYPE, "the body must be JSON")
            }
            Self::BodyTooLarge => {
                ("body-too-large", S::PAYLOAD_TOO_LARGE, "the request body is too large")
            }
            Self::WrongField => ("wrong-field", S::UNPROCESSABLE_ENTITY, "a field is invalid"),
            Self::OutsideBounds => {
                ("outside-bounds", S::UNPROCESSABLE_ENTITY, "the count is outside the bounds")
            }
            Self::TokenNeeded => ("token-needed", S::UNAUTHORIZED, "a token is required"),
            Self::NoToken => ("no-token", S::FORBIDDEN, "forwarded changes require a token"),
            Self::ReadOnly => ("read-only", S::FORBIDDEN, "this token is read-only"),
            Self::CrossSite => ("cross-site", S::FORBIDDEN, "the request comes from another site"),
            Self::WrongHost => {
                ("wrong-host", S::MISDIRECTED_REQUEST, "this server does not serve that host name")
            }
            Self::SlowRequest => ("slow-request", S::REQUEST_TIMEOUT, "the request took too long"),
            Self::TargetTooLong => {
                ("target-too-long", S::URI_TOO_LONG, "the path and query are too long")
            }
            Self::HeadersTooLarge => (
                "headers-too-large",
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "too many headers, or headers too large",
            ),
            Self::Broken => ("broken", S::INTERNAL_SERVER_ERROR, "internal error"),
            Self::Unavailable => ("unavailable", S::SERVICE_UNAVAILABLE, "currently unavailable"),
            Self::Busy => ("busy", S::SERVICE_UNAVAILABLE, "too many such requests at once"),
            Self::Overdue => ("overdue", S::GATEWAY_TIMEOUT, "timed out"),
            Self::NotLeader => {
                ("not-leader", S::SERVICE_UNAVAILABLE, "another flyball is the leader")
            }
            Self::NotPossible => ("not-possible", S::CONFLICT, "the service cannot do that"),
            Self::InvalidConfiguration => (
                "invalid-configuration",
                S::UNPROCESSABLE_ENTITY,
                "the configuration file is invalid",
            ),
        }
    }

    pub(crate) fn urn(self) -> String {
        format!("urn:flyball:problem:{}", self.terms().0)
    }
}
