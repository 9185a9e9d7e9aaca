//! How problems are made and sent. Every response with a status of 400 or above that this crate
//! makes is one.

use axum::http::header::{self, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::api::{Problem, ProblemKind};
use crate::blocking_pool::Overdue;
use crate::daemon::{AskError, Fault, ReloadError};

impl Problem {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let (_, status, title) = kind.terms();
        Self {
            r#type: kind.urn().into(),
            title: title.into(),
            status: status.as_u16(),
            detail: detail.into().into(),
            field: None,
            hint: None,
            leader: None,
        }
    }

    /// A problem with one field of the body or the query.
    pub(crate) fn field(field: &str, detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::WrongField, detail).in_field(field)
    }

    /// Says which field it was.
    pub(crate) fn in_field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    /// The request is for the leader.
    pub(crate) fn not_leader(detail: String, leader: Option<String>) -> Self {
        Self { leader, ..Self::new(ProblemKind::NotLeader, detail) }
    }

    pub(crate) fn unknown_service(name: &str) -> Self {
        Self::new(ProblemKind::UnknownService, format!("there is no service \"{name}\""))
    }

    pub(crate) fn unknown_path(uri: &Uri) -> Self {
        Self::new(ProblemKind::UnknownPath, format!("{} does not exist", uri.path()))
    }

    pub(crate) fn wrong_method(method: &Method, uri: &Uri) -> Self {
        Self::new(ProblemKind::WrongMethod, format!("{} does not support {method}", uri.path()))
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let kind = match fault {
            Fault::UnknownService(_) => ProblemKind::UnknownService,
            Fault::Unavailable(_) => ProblemKind::Unavailable,
        };
        Self::new(kind, fault.to_string())
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        let kind = match error {
            AskError::UnknownService(_) => ProblemKind::UnknownService,
            AskError::OutsideBounds { .. } => ProblemKind::OutsideBounds,
            AskError::NotPossible { .. } => ProblemKind::NotPossible,
            AskError::Unavailable(_) => ProblemKind::Unavailable,
        };
        let hint = match &error {
            AskError::NotPossible { hint, .. } => Some(hint.as_str().into()),
            _ => None,
        };
        Self { hint, ..Self::new(kind, error.to_string()) }
    }
}

impl From<ReloadError> for Problem {
    fn from(error: ReloadError) -> Self {
        let kind = match error {
            ReloadError::Invalid(_) => ProblemKind::InvalidConfiguration,
            ReloadError::Unavailable(_) => ProblemKind::Unavailable,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<Overdue> for Problem {
    fn from(overdue: Overdue) -> Self {
        let kind = match overdue {
            Overdue::Full => ProblemKind::Busy,
            Overdue::TimedOut { .. } => ProblemKind::Overdue,
            Overdue::Died => ProblemKind::Broken,
        };
        Self::new(kind, overdue.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let needs_token = self.is(ProblemKind::TokenNeeded);
        let passes = self.is(ProblemKind::Busy) || self.is(ProblemKind::Unavailable);
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        let media = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media);
        if needs_token {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if passes {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
