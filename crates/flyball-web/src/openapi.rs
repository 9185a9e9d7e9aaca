//! The API's own description.
//!
//! Decides what is said of the whole; each path describes itself beside its code. Invariant: it is
//! made from the routes that are served, so a path is described if and only if it is there.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Info, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::feed::ReplicaChange;
use crate::problem::Document;

const ABOUT: &str = "What flyball does and why, and a hand on the wheel. Times are milliseconds \
    since 1970-01-01 UTC. What was not measured is null, never 0. Errors are problem documents \
    (RFC 9457) that name the field that is wrong. Unknown fields are refused.";

/// The document without its paths; those add themselves.
pub(crate) fn frame() -> OpenApi {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("Needed for changes where others than this machine can reach flyball"));
    let components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(token.build()))
        .schema(ReplicaChange::name(), ReplicaChange::schema())
        .schema(Document::name(), Document::schema());
    let mut info = Info::new("flyball", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    OpenApiBuilder::new().info(info).components(Some(components.build())).build()
}
