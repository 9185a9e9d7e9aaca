//! The labels by which containers are known.
//!
//! Decides which container belongs to which service, whether flyball started it, and whether it
//! may be removed. Does not know what the settings in other labels mean.
//! Invariant: a container without [`MANAGED`] is somebody else's, and protected unless it says
//! otherwise.

use std::collections::{BTreeMap, HashMap};

use bollard::models::ContainerSummary;

/// Every label of ours begins with this.
pub const PREFIX: &str = "flyball.";
/// The service that a container belongs to.
pub const SERVICE: &str = "flyball.service";
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

/// The project that Compose made a container for.
pub(crate) const COMPOSE_PROJECT: &str = "com.docker.compose.project";
/// Its service within the project.
pub(crate) const COMPOSE_SERVICE: &str = "com.docker.compose.service";
/// Its number within the service.
pub(crate) const COMPOSE_NUMBER: &str = "com.docker.compose.container-number";
/// Which container it replaces; true of no copy.
pub(crate) const COMPOSE_REPLACE: &str = "com.docker.compose.replace";

/// A service that exists because a container says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledService {
    /// What its `flyball.service` label says.
    pub service: String,
    /// The container that speaks for it: the newest one that flyball did not start, those that run
    /// first; where there is none, the newest copy.
    pub container: String,
    /// That container's labels that begin with `flyball.`, as they were written; the marks of a
    /// single replica are left out.
    pub labels: BTreeMap<String, String>,
    /// How many of its containers run.
    pub running: usize,
    /// How many of its containers flyball did not start, whether they run or not.
    pub own: usize,
    /// How many are flyball's copies of such containers, whether they run or not.
    pub copies: usize,
}

/// Whether flyball started the container.
pub(crate) fn managed(labels: &HashMap<String, String>) -> bool {
    is(labels, MANAGED, "true")
}

/// Whether the container must not be removed.
pub(crate) fn protected(labels: &HashMap<String, String>) -> bool {
    let allowed = managed(labels) || is(labels, PROTECT, "false");
    is(labels, PROTECT, "true") || !allowed
}

fn is(labels: &HashMap<String, String>, name: &str, value: &str) -> bool {
    labels.get(name).is_some_and(|found| found.trim().eq_ignore_ascii_case(value))
}

/// The services of `containers`, in the order of their names.
pub(crate) fn services_of(containers: &[ContainerSummary]) -> Vec<LabelledService> {
    let mut by_service: BTreeMap<&str, Vec<&ContainerSummary>> = BTreeMap::new();
    for container in containers {
        let labels = container.labels.as_ref();
        if let Some(service) = labels.and_then(|labels| labels.get(SERVICE)) {
            by_service.entry(service).or_default().push(container);
        }
    }
    by_service.into_iter().filter_map(|(service, all)| labelled(service, &all)).collect()
}

fn labelled(service: &str, all: &[&ContainerSummary]) -> Option<LabelledService> {
    let speaks = |c: &&&ContainerSummary| {
        let own = c.labels.as_ref().is_some_and(managed);
        (!own, runs(c), c.created, c.id.clone())
    };
    let speaker = all.iter().max_by_key(speaks)?;
    let labels = speaker.labels.iter().flatten();
    let count = |such: &dyn Fn(&HashMap<String, String>) -> bool| {
        all.iter().filter(|c| c.labels.as_ref().is_some_and(such)).count()
    };
    let kept = labels.filter(|(name, _)| {
        name.starts_with(PREFIX) && ![MANAGED, REPLICA, COPY].contains(&name.as_str())
    });
    Some(LabelledService {
        service: service.to_owned(),
        container: name_of(speaker),
        labels: kept.map(|(name, value)| (name.clone(), value.clone())).collect(),
        running: all.iter().filter(|container| runs(container)).count(),
        own: count(&|labels| !managed(labels)),
        copies: count(&|labels| managed(labels) && is(labels, COPY, "true")),
    })
}

fn runs(container: &ContainerSummary) -> bool {
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
    use bollard::models::ContainerSummaryStateEnum;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn container(name: &str, created: i64, pairs: &[(&str, &str)]) -> ContainerSummary {
        ContainerSummary {
            id: Some(name.to_owned()),
            names: Some(vec![format!("/other/{name}"), format!("/{name}")]),
            created: Some(created),
            state: Some(ContainerSummaryStateEnum::RUNNING),
            labels: Some(labels(pairs)),
            ..Default::default()
        }
    }

    #[test]
    fn what_flyball_did_not_start_is_protected_unless_it_says_otherwise() {
        assert!(protected(&labels(&[])));
        assert!(!protected(&labels(&[(PROTECT, "false")])));
        assert!(!protected(&labels(&[(MANAGED, "true")])));
        assert!(protected(&labels(&[(MANAGED, "true"), (PROTECT, " True")])));
        assert!(protected(&labels(&[(PROTECT, "perhaps")])));
    }

    #[test]
    fn the_newest_container_that_is_not_ours_speaks_for_a_service() {
        let containers = [
            container("a", 1, &[(SERVICE, "web"), ("flyball.min", "2"), ("other", "x")]),
            container("b", 2, &[(SERVICE, "web"), ("flyball.min", "3")]),
            container("c", 3, &[(SERVICE, "web"), (MANAGED, "true"), (REPLICA, "web-1")]),
            container("d", 4, &[("unrelated", "x")]),
        ];
        let found = services_of(&containers);
        let wanted = [(SERVICE, "web"), ("flyball.min", "3")];
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].container.as_str(), found[0].running), ("b", 3));
        assert_eq!((found[0].own, found[0].copies), (2, 0));
        assert_eq!(found[0].labels, labels(&wanted).into_iter().collect());
    }

    #[test]
    fn a_service_of_which_only_copies_are_left_is_still_found() {
        let marks = [(SERVICE, "web"), (MANAGED, "true"), (REPLICA, "web-1"), (COPY, "true")];
        let found = services_of(&[container("c", 3, &marks)]);
        assert_eq!(found[0].labels, labels(&[(SERVICE, "web")]).into_iter().collect());
        assert_eq!((found[0].own, found[0].copies), (0, 1));
    }

    #[test]
    fn a_stopped_container_of_its_own_still_speaks_for_a_service() {
        let mut own = container("a", 1, &[(SERVICE, "web"), ("flyball.min", "2")]);
        own.state = Some(ContainerSummaryStateEnum::EXITED);
        let copy = container("c", 3, &[(SERVICE, "web"), (MANAGED, "true"), (COPY, "true")]);
        let found = services_of(&[own, copy]);
        assert_eq!((found[0].container.as_str(), found[0].own, found[0].copies), ("a", 1, 1));
    }
}
