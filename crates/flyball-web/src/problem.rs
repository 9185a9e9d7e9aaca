//! Error responses as problem documents (RFC 9457). Every response with a status of 400 or above
//! that this crate makes is one of these.

use axum::http::header::{self, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::blocking_pool::Overdue;
use crate::daemon::{AskError, Fault};

/// An error response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    field: Option<String>,
    leader: Option<String>,
}

/// What kind of error it is, for programs to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    UnknownPath,
    UnknownService,
    NoDecision,
    WrongMethod,
    MalformedBody,
    WrongMediaType,
    BodyTooLarge,
    WrongField,
    OutsideBounds,
    TokenNeeded,
    NoToken,
    ReadOnly,
    CrossSite,
    WrongHost,
    SlowRequest,
    TargetTooLong,
    HeadersTooLarge,
    Broken,
    Unavailable,
    Busy,
    Overdue,
    NotLeader,
}

impl Kind {
    /// The last part of the problem's type, its status and its title.
    fn terms(self) -> (&'static str, StatusCode, &'static str) {
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
        }
    }
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), field: None, leader: None }
    }

    /// A problem with one field of the body or the query.
    pub(crate) fn field(field: &str, detail: impl Into<String>) -> Self {
        Self::new(Kind::WrongField, detail).in_field(field)
    }

    /// Says which field it was.
    pub(crate) fn in_field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    /// The request is for the leader.
    pub(crate) fn not_leader(detail: String, leader: Option<String>) -> Self {
        Self { leader, ..Self::new(Kind::NotLeader, detail) }
    }

    pub(crate) fn unknown_service(name: &str) -> Self {
        Self::new(Kind::UnknownService, format!("there is no service \"{name}\""))
    }

    pub(crate) fn unknown_path(uri: &Uri) -> Self {
        Self::new(Kind::UnknownPath, format!("{} does not exist", uri.path()))
    }

    pub(crate) fn wrong_method(method: &Method, uri: &Uri) -> Self {
        Self::new(Kind::WrongMethod, format!("{} does not support {method}", uri.path()))
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let kind = match fault {
            Fault::UnknownService(_) => Kind::UnknownService,
            Fault::Unavailable(_) => Kind::Unavailable,
        };
        Self::new(kind, fault.to_string())
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        let kind = match error {
            AskError::UnknownService(_) => Kind::UnknownService,
            AskError::OutsideBounds { .. } => Kind::OutsideBounds,
            AskError::Unavailable(_) => Kind::Unavailable,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<Overdue> for Problem {
    fn from(overdue: Overdue) -> Self {
        let kind = match overdue {
            Overdue::Full => Kind::Busy,
            Overdue::TimedOut { .. } => Kind::Overdue,
            Overdue::Died => Kind::Broken,
        };
        Self::new(kind, overdue.to_string())
    }
}

/// A problem (RFC 9457), with the name of the invalid field, if there is one.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document {
    /// The kind of problem: `urn:flyball:problem:` and a fixed word, for programs to match on.
    r#type: String,
    /// The kind of problem in a few words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What went wrong in this case.
    detail: String,
    /// The field of the path, the query or the body that is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
    /// The leader to ask instead: the address of its dashboard, and its host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    leader: Option<String>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (name, status, title) = self.kind.terms();
        let document = Document {
            r#type: format!("urn:flyball:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: self.detail,
            field: self.field,
            leader: self.leader,
        };
        let mut response = (status, axum::Json(document)).into_response();
        let headers = response.headers_mut();
        let media = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media);
        match self.kind {
            Kind::TokenNeeded => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Kind::Busy | Kind::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
