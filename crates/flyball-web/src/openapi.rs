//! The OpenAPI document. It is built from the routes that are served, so a path is described if and
//! only if it exists.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Info, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::access::Access;
use crate::api::{Gap, Problem, ReplicaChange, SampleEvent, StreamBegin};
use crate::window::Only;

const ABOUT: &str = "The state and decisions of flyball, and manual overrides. Times are milliseconds \
    since 1970-01-01 UTC. Values that were not measured are null, never 0. Errors are problem documents \
    (RFC 9457) that name the invalid field. Unknown fields are rejected.";

/// Says of each call whether this server wants a token for it.
pub(crate) fn require_tokens(document: &mut OpenApi, access: &Access) {
    let require = |operation: &mut Option<Operation>, needed: bool| {
        if let Some(operation) = operation.as_mut().filter(|_| needed) {
            let none: [&str; 0] = [];
            operation.security = Some(vec![SecurityRequirement::new("token", none)]);
        }
    };
    for (path, item) in &mut document.paths.paths {
        require(&mut item.post, access.token.is_some());
        require(&mut item.get, access.read_token.is_some() && Access::holds_figures(path));
    }
}

/// The document without its paths; those add themselves.
pub(crate) fn frame() -> OpenApi {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("Required if token_file or read_token_file is set"));
    let components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(token.build()))
        .schema(ReplicaChange::name(), ReplicaChange::schema())
        .schema(SampleEvent::name(), SampleEvent::schema())
        .schema(StreamBegin::name(), StreamBegin::schema())
        .schema(Gap::name(), Gap::schema())
        .schema(Problem::name(), Problem::schema())
        .schema(Only::name(), Only::schema());
    let mut info = Info::new("flyball", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    OpenApiBuilder::new().info(info).components(Some(components.build())).build()
}
