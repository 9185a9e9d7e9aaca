//! How requests may be refused, described once for all routes.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema as _};

use crate::api::Problem;

/// How any request may be refused.
pub(crate) enum Refusals {}

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            (400, "The request is malformed"),
            (401, "A token is required, or the token is wrong"),
            (
                403,
                "The token is read-only, or the request comes from another site, or it \
                 came through a proxy and no token is set",
            ),
            (404, "Not found"),
            (408, "The request took too long to arrive"),
            (414, "The path and query are too long"),
            (421, "The request is for another host"),
            (422, "A field is invalid; the response names it"),
            (431, "Too many headers, or headers too large"),
            (503, "Currently unavailable, or another flyball is the leader; the response names it"),
            (504, "The answer was not ready in time"),
        ])
    }
}

/// How a manual override may be refused, in addition.
pub(crate) enum OverrideRefusals {}

impl IntoResponses for OverrideRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[(413, "The body is too large"), (415, "The body is not JSON")])
    }
}

/// How an order about generations may be refused, in addition.
pub(crate) enum RolloutRefusals {}

impl IntoResponses for RolloutRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[(409, "The service, or its engine, cannot do that; the hint says what to do")])
    }
}

/// A problem document for each status.
fn problems(described: &[(u16, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = |what: &str| {
        let response = ResponseBuilder::new().description(what);
        response.content("application/problem+json", content.clone()).build()
    };
    described.iter().map(|(status, what)| (status.to_string(), response(what).into())).collect()
}
