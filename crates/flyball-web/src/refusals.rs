//! How a request may be refused, as it is described to clients.
//!
//! Decides nothing: `problem` says which refusal has which status. Invariant: what stands here is
//! described at every route that names it.

use utoipa::IntoResponses;

use crate::problem::Document;

/// How any request may be refused.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "described to clients")]
pub(crate) enum Refusals {
    /// The request is not one that can be read
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] Document),
    /// A token is needed, or that is not the token
    #[response(status = 401, content_type = "application/problem+json")]
    TokenNeeded(#[to_schema] Document),
    /// The token may only read, or the request comes from another site, or through a proxy where
    /// no token is set
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] Document),
    /// There is no such thing
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] Document),
    /// The request took too long to come
    #[response(status = 408, content_type = "application/problem+json")]
    SlowRequest(#[to_schema] Document),
    /// The path and query are too long
    #[response(status = 414, content_type = "application/problem+json")]
    TargetTooLong(#[to_schema] Document),
    /// The request names another host
    #[response(status = 421, content_type = "application/problem+json")]
    WrongHost(#[to_schema] Document),
    /// A field is wrong, and named
    #[response(status = 422, content_type = "application/problem+json")]
    WrongField(#[to_schema] Document),
    /// The headers are too many or too large
    #[response(status = 431, content_type = "application/problem+json")]
    HeadersTooLarge(#[to_schema] Document),
    /// Not available at the moment, or another flyball acts, which is named
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Document),
    /// The answer did not come in time
    #[response(status = 504, content_type = "application/problem+json")]
    Overdue(#[to_schema] Document),
}

/// How a wish may be refused besides.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "described to clients")]
pub(crate) enum WishRefusals {
    /// The body is too large
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Document),
    /// The body is not JSON
    #[response(status = 415, content_type = "application/problem+json")]
    WrongMedia(#[to_schema] Document),
}
