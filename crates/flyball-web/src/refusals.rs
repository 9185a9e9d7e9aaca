//! How requests may be refused, described once for all routes.

use utoipa::IntoResponses;

use crate::problem::Document;

/// How any request may be refused.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "described to clients")]
pub(crate) enum Refusals {
    /// The request is malformed
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] Document),
    /// A token is required, or the token is wrong
    #[response(status = 401, content_type = "application/problem+json")]
    TokenNeeded(#[to_schema] Document),
    /// The token is read-only, or the request comes from another site, or it came through a proxy
    /// and no token is set
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] Document),
    /// Not found
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] Document),
    /// The request took too long to arrive
    #[response(status = 408, content_type = "application/problem+json")]
    SlowRequest(#[to_schema] Document),
    /// The path and query are too long
    #[response(status = 414, content_type = "application/problem+json")]
    TargetTooLong(#[to_schema] Document),
    /// The request is for another host
    #[response(status = 421, content_type = "application/problem+json")]
    WrongHost(#[to_schema] Document),
    /// A field is invalid; the response names it
    #[response(status = 422, content_type = "application/problem+json")]
    WrongField(#[to_schema] Document),
    /// Too many headers, or headers too large
    #[response(status = 431, content_type = "application/problem+json")]
    HeadersTooLarge(#[to_schema] Document),
    /// Currently unavailable, or another flyball is the leader; the response names it
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Document),
    /// The answer was not ready in time
    #[response(status = 504, content_type = "application/problem+json")]
    Overdue(#[to_schema] Document),
}

/// How a manual override may be refused, in addition.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "described to clients")]
pub(crate) enum OverrideRefusals {
    /// The body is too large
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Document),
    /// The body is not JSON
    #[response(status = 415, content_type = "application/problem+json")]
    WrongMedia(#[to_schema] Document),
}
