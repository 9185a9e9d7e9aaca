//! Names of the labels that flyball reads and writes.
//!
//! Whether a label can be trusted is decided in `standing`.

use std::collections::{BTreeMap, HashMap};

use bollard::models::ContainerSummary;

pub use flyball_engine::labels::{PREFIX, SERVICE};

/// `true` on a container of a Compose project makes a service of it without another name; `false`
/// on any container makes none.
pub const ENABLE: &str = "flyball.enable";
/// The name of a replica that flyball started.
pub const REPLICA: &str = "flyball.replica";
/// `true` on what flyball started.
pub const MANAGED: &str = "flyball.managed";
/// `true` on what flyball copied from a container: it goes with the last one that was there before.
pub const COPY: &str = "flyball.copy";
/// `true` forbids removing a container, `false` allows it for one that flyball did not start.
pub const PROTECT: &str = "flyball.protect";
/// The port that a container serves on.
pub const PORT: &str = "flyball.port";
/// Whom a container belongs to, where Compose does not say it.
pub const OWNER: &str = "flyball.owner";
/// What a replica was made as, on what flyball started.
pub const GENERATION: &str = "flyball.generation";
/// What shows that flyball set the other marks.
pub const SIGNATURE: &str = "flyball.signature";

/// Every label of Compose's begins with this.
pub(crate) const COMPOSE: &str = "com.docker.compose.";
/// The project that Compose made a container for.
pub(crate) const COMPOSE_PROJECT: &str = "com.docker.compose.project";
/// Its service within the project.
pub(crate) const COMPOSE_SERVICE: &str = "com.docker.compose.service";
/// Its number within the service.
pub(crate) const COMPOSE_NUMBER: &str = "com.docker.compose.container-number";
/// `True` on what Compose did not start to be one of its service: it counts no such container, and
/// so neither removes nor renames one.
pub(crate) const COMPOSE_ONEOFF: &str = "com.docker.compose.oneoff";
/// Which container it replaces; true of no copy.
pub(crate) const COMPOSE_REPLACE: &str = "com.docker.compose.replace";

/// The service that a container with these labels names: in so many words, or by its Compose project
/// and the service within.
pub(crate) fn service_in<'a>(label: impl Fn(&str) -> Option<&'a String>) -> Option<String> {
    let enabled = label(ENABLE).map(|found| is(found, "true"));
    match (enabled, label(SERVICE)) {
        (Some(false), _) => None,
        (_, Some(service)) => Some(service.clone()),
        (None, None) => None,
        (Some(true), None) => {
            let (project, service) = (label(COMPOSE_PROJECT)?, label(COMPOSE_SERVICE)?);
            Some(format!("{project}-{service}"))
        }
    }
}

/// The same of a container's labels, whoever wrote them.
pub(crate) fn service_of(labels: &HashMap<String, String>) -> Option<String> {
    service_in(|name| labels.get(name))
}

/// Whether the labels say that flyball started the container.
pub(crate) fn managed(labels: &HashMap<String, String>) -> bool {
    labels.get(MANAGED).is_some_and(|found| is(found, "true"))
}

/// The same of labels whose writer is known.
pub(crate) fn is_managed(labels: &BTreeMap<String, String>) -> bool {
    labels.get(MANAGED).is_some_and(|found| is(found, "true"))
}

/// Whether the labels say that flyball copied the container from another one.
pub(crate) fn copy(labels: &HashMap<String, String>) -> bool {
    labels.get(COPY).is_some_and(|found| is(found, "true"))
}

/// Whether a container must not be removed: one that flyball did not start, unless it says
/// otherwise.
pub(crate) fn protected(protect: Option<&str>, started: bool) -> bool {
    let says = |value: &str| protect.is_some_and(|found| is(found, value));
    says("true") || !(started || says("false"))
}

/// Whether a container says itself that it must not be removed.
pub(crate) fn stays(protect: Option<&str>) -> bool {
    protect.is_some_and(|found| is(found, "true"))
}

fn is(found: &str, value: &str) -> bool {
    found.trim().eq_ignore_ascii_case(value)
}

/// Whether a container exists as more than what is left of it.
pub(crate) fn runs(container: &ContainerSummary) -> bool {
    use bollard::models::ContainerSummaryStateEnum::{PAUSED, RESTARTING, RUNNING};
    container.state.is_some_and(|state| [RUNNING, PAUSED, RESTARTING].contains(&state))
}

/// A container's own name. Links give it others, which contain a second slash.
pub(crate) fn name_of(container: &ContainerSummary) -> String {
    let names = container.names.iter().flatten().filter_map(|name| name.strip_prefix('/'));
    let own = names.min_by_key(|name| name.matches('/').count());
    own.or(container.id.as_deref()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_flyball_did_not_start_is_protected_unless_it_says_otherwise() {
        assert!(protected(None, false));
        assert!(!protected(Some("false"), false));
        assert!(!protected(None, true));
        assert!(protected(Some(" True"), true));
        assert!(protected(Some("perhaps"), false));
    }

    #[test]
    fn a_service_is_named_by_its_label_or_by_its_project() {
        let named = |pairs: &[(&str, &str)]| {
            service_of(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        let compose = [(COMPOSE_PROJECT, "shop"), (COMPOSE_SERVICE, "web")];
        let with = |more: &[(&'static str, &'static str)]| named(&[&compose, more].concat());
        assert_eq!(with(&[(ENABLE, "true")]).as_deref(), Some("shop-web"));
        assert_eq!(with(&[(ENABLE, "true"), (SERVICE, "api")]).as_deref(), Some("api"));
        assert_eq!(with(&[(ENABLE, "false"), (SERVICE, "api")]), None);
        assert_eq!(with(&[]), None);
        assert_eq!(named(&[(ENABLE, "true")]), None, "it is in no project");
    }

    #[test]
    fn a_containers_own_name_is_the_one_without_a_link_in_it() {
        let names = Some(vec!["/other/web".to_owned(), "/web".to_owned()]);
        assert_eq!(name_of(&ContainerSummary { names, ..Default::default() }), "web");
    }
}
