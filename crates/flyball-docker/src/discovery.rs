//! Finds the services that containers declare by label.
//!
//! Containers of two owners are two claims, never one service.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::ContainerSummary;

use crate::labels::{
    COMPOSE_PROJECT, COPY, GENERATION, MANAGED, OWNER, PREFIX, REPLICA, SIGNATURE, copy, name_of,
    runs, service_of,
};
use crate::owner::Owner;
use crate::provenance::Provenance;
use crate::standing::{Standing, Why};

/// Labels of a single container or of the tool that made it, not settings of its service.
const MARKS: [&str; 6] = [MANAGED, REPLICA, COPY, GENERATION, OWNER, SIGNATURE];

/// One listed container, and what its labels are worth; `None` while that is not known.
pub(crate) type Seen = (ContainerSummary, Option<Standing>);

/// All that a listing says about services by label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Discovery {
    /// Each claim to a service, in the order of the services' names, then of owners.
    pub services: Vec<LabelledService>,
    /// Containers whose word does not count.
    pub ignored: Vec<Ignored>,
    /// Services with containers of which it is not known yet who wrote their labels.
    pub unclear: BTreeSet<String>,
}

/// The containers of one owner that say they are one service.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledService {
    /// What their `flyball.service` label says.
    pub service: String,
    /// Whom they belong to.
    pub owner: Owner,
    /// The container that speaks for it: the newest one that flyball did not start, those that run
    /// first; where there is none, the newest copy.
    pub container: String,
    /// That container's labels that begin with `flyball.`, as they were written, without those of
    /// its image and without marks.
    pub labels: BTreeMap<String, String>,
    /// The names of the labels that it has from its image and that are not obeyed.
    pub of_image: BTreeSet<String>,
    /// Cores that it may use; `None`: not limited.
    pub cpus: Option<f64>,
    /// Bytes that it may use; `None`: not limited.
    pub memory_bytes: Option<u64>,
    /// The networks that it is in.
    pub networks: BTreeSet<String>,
    /// The Compose project that it says it is of.
    pub project: Option<String>,
    /// How many of its containers run.
    pub running: usize,
    /// How many of its containers flyball did not start, whether they run or not.
    pub own: usize,
    /// How many are flyball's copies of such containers, whether they run or not.
    pub copies: usize,
    /// When the oldest of its own was made, in seconds since 1970-01-01 UTC.
    pub since_s: Option<i64>,
}

/// A container whose word does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The service that it names.
    pub service: String,
    /// Its name.
    pub container: String,
    /// Why not.
    pub why: Why,
}

/// What `containers` say, of which each names a service.
pub(crate) fn discover(containers: &[Seen]) -> Discovery {
    let mut found = Discovery::default();
    let mut claims: BTreeMap<(String, Owner), Vec<Member<'_>>> = BTreeMap::new();
    for (summary, standing) in containers {
        let labels = summary.labels.as_ref();
        let Some(service) = labels.and_then(service_of) else { continue };
        let (started, provenance) = match standing {
            Some(Standing::Started(provenance)) => (true, provenance),
            Some(Standing::Declared(provenance)) => (false, provenance),
            Some(Standing::Nothing(why)) => {
                let container = name_of(summary);
                found.ignored.push(Ignored { service, container, why: *why });
                continue;
            }
            None => {
                found.unclear.insert(service);
                continue;
            }
        };
        let owner = Owner::of(&provenance.own);
        let copied = labels.is_some_and(copy);
        claims.entry((service, owner)).or_default().push(Member {
            summary,
            provenance,
            started,
            copied,
        });
    }
    let services = claims.into_iter().filter_map(|((name, owner), all)| claim(&name, owner, &all));
    found.services = services.collect();
    found
}

struct Member<'a> {
    summary: &'a ContainerSummary,
    provenance: &'a Provenance,
    started: bool,
    copied: bool,
}

fn claim(service: &str, owner: Owner, all: &[Member<'_>]) -> Option<LabelledService> {
    let speaks = |member: &&Member<'_>| {
        let summary = member.summary;
        (!member.started, runs(summary), summary.created, summary.id.clone())
    };
    let speaker = all.iter().max_by_key(speaks)?;
    let kept = |(name, _): &(&String, &String)| {
        name.starts_with(PREFIX) && !MARKS.contains(&name.as_str())
    };
    let labels = speaker.provenance.own.iter().filter(kept);
    let own = || all.iter().filter(|member| !member.started);
    Some(LabelledService {
        service: service.to_owned(),
        owner,
        container: name_of(speaker.summary),
        labels: labels.map(|(name, value)| (name.clone(), value.clone())).collect(),
        of_image: speaker.provenance.of_image.clone(),
        cpus: speaker.provenance.cpus,
        memory_bytes: speaker.provenance.memory_bytes,
        networks: networks_of(speaker.summary),
        project: speaker.provenance.own.get(COMPOSE_PROJECT).cloned(),
        running: all.iter().filter(|member| runs(member.summary)).count(),
        own: own().count(),
        copies: all.iter().filter(|member| member.started && member.copied).count(),
        since_s: own().filter_map(|member| member.summary.created).min(),
    })
}

fn networks_of(container: &ContainerSummary) -> BTreeSet<String> {
    let settings = container.network_settings.as_ref();
    let networks = settings.and_then(|settings| settings.networks.as_ref());
    networks.into_iter().flat_map(|networks| networks.keys().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bollard::models::ContainerSummaryStateEnum::{EXITED, RUNNING};

    use super::*;
    use crate::labels::{COMPOSE_SERVICE, ENABLE, SERVICE};

    fn provenance(own: &[(&str, &str)]) -> Arc<Provenance> {
        let own = own.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Arc::new(Provenance { own, ..Provenance::default() })
    }

    fn container(name: &str, created: i64, labels: &[(&str, &str)]) -> ContainerSummary {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ContainerSummary {
            id: Some(name.to_owned()),
            names: Some(vec![format!("/{name}")]),
            created: Some(created),
            state: Some(RUNNING),
            labels: Some(labels),
            ..Default::default()
        }
    }

    fn declared(name: &str, created: i64, labels: &[(&str, &str)]) -> Seen {
        (container(name, created, labels), Some(Standing::Declared(provenance(labels))))
    }

    fn started(name: &str, created: i64, more: &[(&str, &str)]) -> Seen {
        let mut labels = vec![(SERVICE, "web"), (MANAGED, "true"), (REPLICA, name)];
        labels.extend_from_slice(more);
        (container(name, created, &labels), Some(Standing::Started(provenance(&labels))))
    }

    #[test]
    fn the_newest_container_that_is_not_ours_speaks_for_a_service() {
        let found = discover(&[
            declared("a", 1, &[(SERVICE, "web"), ("flyball.min", "2"), ("other", "x")]),
            declared("b", 2, &[(SERVICE, "web"), ("flyball.min", "3")]),
            started("c", 3, &[]),
            declared("d", 4, &[("unrelated", "x")]),
        ]);
        assert_eq!(found.services.len(), 1);
        let web = &found.services[0];
        assert_eq!((web.container.as_str(), web.running, web.since_s), ("b", 3, Some(1)));
        assert_eq!((web.own, web.copies), (2, 0));
        let labels = [(SERVICE, "web"), ("flyball.min", "3")];
        let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(web.labels, labels.into());
    }

    #[test]
    fn a_service_of_which_only_copies_are_left_is_still_found() {
        let found = discover(&[started("c", 3, &[(COPY, "true")])]);
        let web = &found.services[0];
        assert_eq!(web.labels, BTreeMap::from([(SERVICE.to_owned(), "web".to_owned())]));
        assert_eq!((web.own, web.copies, web.since_s), (0, 1, None));
    }

    #[test]
    fn enabled_containers_of_two_projects_are_two_services() {
        let of = |project| [(ENABLE, "true"), (COMPOSE_PROJECT, project), (COMPOSE_SERVICE, "web")];
        let off = [(SERVICE, "web"), (ENABLE, "false")];
        let found = discover(&[
            declared("a", 1, &of("shop")),
            declared("b", 2, &of("other")),
            declared("c", 3, &off),
        ]);
        let names: Vec<&str> = found.services.iter().map(|it| it.service.as_str()).collect();
        assert_eq!(names, ["other-web", "shop-web"]);
    }

    #[test]
    fn a_stopped_container_of_its_own_still_speaks_for_a_service() {
        let mut own = declared("a", 1, &[(SERVICE, "web"), ("flyball.min", "2")]);
        own.0.state = Some(EXITED);
        let found = discover(&[own, started("c", 3, &[(COPY, "true")])]);
        let web = &found.services[0];
        assert_eq!((web.container.as_str(), web.own, web.copies), ("a", 1, 1));
    }

    #[test]
    fn two_owners_of_one_name_are_two_claims_and_copies_go_with_their_own() {
        let of = |project| [(SERVICE, "web"), (COMPOSE_PROJECT, project), (COMPOSE_SERVICE, "web")];
        let shop = of("shop");
        let copied = [shop[1], shop[2], (COPY, "true")];
        let found = discover(&[
            declared("shop-1", 1, &shop),
            declared("evil-1", 9, &of("evil")),
            started("web-2", 3, &copied),
        ]);
        let claims: Vec<(String, &str, usize)> = found
            .services
            .iter()
            .map(|it| (it.owner.to_string(), it.container.as_str(), it.copies))
            .collect();
        assert_eq!(
            claims,
            [
                ("service web of the Compose project evil".to_owned(), "evil-1", 0),
                ("service web of the Compose project shop".to_owned(), "shop-1", 1),
            ]
        );
    }

    #[test]
    fn whose_word_does_not_count_is_told_and_what_is_not_known_yet_is_no_absence() {
        let labels = [(SERVICE, "web")];
        let found = discover(&[
            (container("a", 1, &labels), Some(Standing::Nothing(Why::Image))),
            (container("b", 2, &[(SERVICE, "api")]), None),
        ]);
        assert!(found.services.is_empty());
        let ignored = Ignored { service: "web".into(), container: "a".into(), why: Why::Image };
        assert_eq!(found.ignored, [ignored]);
        assert_eq!(found.unclear, BTreeSet::from(["api".to_owned()]));
    }
}
