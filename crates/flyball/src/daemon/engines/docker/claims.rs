//! Which container's labels define a service when several claim it. The daemon and `flyball check`
//! share this.

use std::collections::{BTreeMap, BTreeSet};

use flyball_config::{Config, Described, Engine, Limits, ServiceLabels, Source};
use flyball_docker::{Discovery, Ignored, LabelledService, Owner, Why};

use crate::daemon::owners::Owners;

const NETWORK_LABEL: &str = "flyball.network";

/// What one listing comes to.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// The one claim that counts for each service; the file's are among them.
    pub(crate) chosen: BTreeMap<String, LabelledService>,
    /// Remarks by service, each once.
    pub(crate) remarks: Vec<(String, String)>,
}

impl Claims {
    /// The claims in `found` beside the services of the file. No owner is recorded yet.
    pub(crate) fn of(config: &Config, found: &Discovery, owners: &Owners<Owner>) -> Self {
        let mut claims = Self::default();
        let mut by_service: BTreeMap<&str, Vec<&LabelledService>> = BTreeMap::new();
        for claim in &found.services {
            by_service.entry(&claim.service).or_default().push(claim);
        }
        for (name, all) in by_service {
            match config.services.get(name).map(|service| &service.engine) {
                Some(engine) => claims.see_of_file(name, &all, engine),
                None => claims.see(name, &all, owners),
            }
        }
        for ignored in &found.ignored {
            claims.remarks.extend(remark(ignored));
        }
        claims
    }

    /// A service of the file: what it may adopt is the engine's business.
    fn see_of_file(&mut self, name: &str, all: &[&LabelledService], engine: &Engine) {
        let own = all.iter().filter(|claim| claim.own > 0);
        if matches!(engine, Engine::Docker(container) if container.adopt) {
            self.chosen.extend(own.take(1).map(|claim| (name.to_owned(), (*claim).clone())));
            return;
        }
        for claim in own {
            let text = format!(
                "container {} is not a replica: the configuration file defines the service \
                 without adopt = true",
                claim.container
            );
            self.remarks.push((name.to_owned(), text));
        }
    }

    fn see(&mut self, name: &str, all: &[&LabelledService], owners: &Owners<Owner>) {
        let first = all.iter().copied().min_by_key(|claim| rank(claim));
        let bound = owners.of(name).or_else(|| first.map(|claim| &claim.owner));
        for claim in all {
            if Some(&claim.owner) == bound {
                self.remarks.extend(of_image(claim).map(|text| (name.to_owned(), text)));
                self.chosen.insert(name.to_owned(), (*claim).clone());
            } else if let Some(bound) = bound.filter(|_| claim.own > 0) {
                let (container, owner) = (&claim.container, &claim.owner);
                let text = format!(
                    "container {container} is ignored and not a replica: it belongs to {owner}, \
                     but the service belongs to {bound} (name it otherwise: flyball.enable=true in \
                     place of flyball.service; or let both share it: the same flyball.owner)"
                );
                self.remarks.push((name.to_owned(), text));
            }
        }
    }

    /// The labels of the services, for the configuration to read.
    pub(crate) fn labels(&self) -> ServiceLabels {
        let own = self.chosen.iter().filter(|(_, claim)| claim.own > 0);
        own.map(|(name, claim)| (name.clone(), described(claim))).collect()
    }
}

/// Who was first: the owner whose container flyball has copied, otherwise the owner of the oldest
/// container.
fn rank(claim: &LabelledService) -> (bool, bool, Option<i64>) {
    (claim.copies == 0, claim.own == 0, claim.since_s)
}

/// The labels of one claim.
pub(crate) fn described(claim: &LabelledService) -> Described {
    let limits = Limits {
        cpus: claim.cpus,
        memory_bytes: claim.memory_bytes,
        networks: claim.networks.clone(),
    };
    Described { labels: in_docker(claim), source: Source::Container(limits) }
}

/// The labels of a claim, with a network that they name as the Compose file does called as Docker
/// calls it: only so can it be told whether its container has it, also where an image is named.
fn in_docker(claim: &LabelledService) -> BTreeMap<String, String> {
    let mut labels = claim.labels.clone();
    if let (Some(project), Some(network)) = (&claim.project, labels.get_mut(NETWORK_LABEL)) {
        let long = format!("{project}_{network}");
        if !claim.networks.contains(network) && claim.networks.contains(&long) {
            *network = long;
        }
    }
    labels
}

/// A remark on ignored labels of the image, if there are any.
fn of_image(claim: &LabelledService) -> Option<String> {
    let named: BTreeSet<String> =
        claim.of_image.iter().map(|name| name.escape_debug().to_string()).take(5).collect();
    let list = named.into_iter().collect::<Vec<_>>().join(", ");
    (!list.is_empty()).then(|| {
        format!(
            "labels of its image are ignored: {list} (to use them, set labels_from_images = true \
             in [docker])"
        )
    })
}

fn remark(ignored: &Ignored) -> Option<(String, String)> {
    let Ignored { service, container, why } = ignored;
    let text = match why {
        Why::Image => format!("container {container} is ignored: {}", why.says()),
        // Each step of a build has a name of its own.
        Why::Building => "containers of docker build carry its label; they are never \
                          services"
            .to_owned(),
        // That has been said where it was seen.
        Why::Unsigned => return None,
    };
    Some((service.escape_debug().to_string(), text))
}

#[cfg(test)]
mod tests {
    use flyball_config::{Env, parse};

    use super::*;

    fn compose(project: &str) -> Owner {
        Owner::Compose { project: project.into(), service: "web".into() }
    }

    fn claim(
        service: &str,
        owner: Owner,
        since_s: i64,
        own: usize,
        copies: usize,
    ) -> LabelledService {
        LabelledService {
            service: service.into(),
            container: format!("of-{since_s}"),
            owner,
            labels: BTreeMap::new(),
            of_image: BTreeSet::new(),
            cpus: None,
            memory_bytes: None,
            networks: BTreeSet::new(),
            project: None,
            running: own + copies,
            own,
            copies,
            since_s: Some(since_s).filter(|_| own > 0),
        }
    }

    fn config(services: &str) -> Config {
        let env = Env { home: Some("/home/a".into()), ..Env::default() };
        parse(&format!("[docker]\n{services}"), "f", &env).unwrap()
    }

    fn see(config: &Config, services: Vec<LabelledService>, owners: &Owners<Owner>) -> Claims {
        Claims::of(config, &Discovery { services, ..Discovery::default() }, owners)
    }

    fn nobody() -> (tempfile::TempDir, Owners<Owner>) {
        let folder = tempfile::tempdir().unwrap();
        let owners = Owners::open(folder.path().join("owners"));
        (folder, owners)
    }

    #[test]
    fn whoever_was_first_keeps_a_service_and_the_other_is_named() {
        let (_folder, mut owners) = nobody();
        let both =
            || vec![claim("web", compose("evil"), 9, 1, 0), claim("web", compose("shop"), 1, 1, 0)];
        let claims = see(&config(""), both(), &owners);
        assert_eq!(claims.chosen["web"].container, "of-1");
        assert_eq!(
            claims.remarks,
            [(
                "web".to_owned(),
                "container of-9 is ignored and not a replica: it belongs to service web of the \
                 Compose project evil, but the service belongs to service web of the Compose \
                 project shop (name it otherwise: flyball.enable=true in place of \
                 flyball.service; or let both share it: the same flyball.owner)"
                    .to_owned()
            )]
        );
        // Also if it was recreated since, and also if flyball was.
        owners.bind("web", compose("shop"));
        let later =
            vec![claim("web", compose("evil"), 1, 1, 0), claim("web", compose("shop"), 9, 1, 0)];
        assert_eq!(see(&config(""), later, &owners).chosen["web"].container, "of-9");
        // Nor while its own containers are gone for a moment.
        let alone = vec![claim("web", compose("evil"), 1, 1, 0)];
        assert!(see(&config(""), alone, &owners).chosen.is_empty());
    }

    #[test]
    fn whom_flyball_has_copied_was_first_whatever_the_age() {
        let (_folder, owners) = nobody();
        let both =
            vec![claim("web", compose("evil"), 1, 1, 0), claim("web", compose("shop"), 9, 1, 2)];
        assert_eq!(see(&config(""), both, &owners).chosen["web"].container, "of-9");
    }

    #[test]
    fn a_service_of_the_file_takes_nobodys_word_unless_it_adopts() {
        let (_folder, owners) = nobody();
        let service = "[services.web]\nengine = \"docker\"\nport = 80\nbalancer = \"none\"\n";
        let image = config(&format!("{service}image = \"web:1\""));
        let found = || vec![claim("web", Owner::Unnamed, 1, 1, 0)];
        let claims = see(&image, found(), &owners);
        assert!(claims.chosen.is_empty() && claims.labels().is_empty());
        assert!(claims.remarks[0].1.contains("without adopt = true"), "{:?}", claims.remarks);
        let adopting = config(&format!("{service}adopt = true"));
        let claims = see(&adopting, found(), &owners);
        assert!(claims.remarks.is_empty() && claims.chosen.contains_key("web"));
    }

    #[test]
    fn a_network_is_named_as_in_the_compose_file_if_its_container_has_it() {
        let named = |project: Option<&str>, network: &str| {
            let mut web = claim("web", Owner::Unnamed, 1, 1, 0);
            web.project = project.map(str::to_owned);
            web.networks = ["shop_back".to_owned(), "shop_shop_back".to_owned()].into();
            web.labels = [(NETWORK_LABEL.to_owned(), network.to_owned())].into();
            described(&web).labels[NETWORK_LABEL].clone()
        };
        assert_eq!(named(Some("shop"), "back"), "shop_back");
        assert_eq!(named(Some("shop"), "shop_back"), "shop_back", "it is one already");
        assert_eq!(named(Some("shop"), "front"), "front", "its container does not have it");
        assert_eq!(named(Some("evil"), "back"), "back", "another project's");
        assert_eq!(named(None, "back"), "back");
    }

    #[test]
    fn labels_of_images_and_builds_are_passed_over_in_the_open() {
        let (_folder, owners) = nobody();
        let mut web = claim("web", Owner::Unnamed, 1, 1, 0);
        web.of_image = BTreeSet::from(["flyball.max".to_owned()]);
        let ignored = |why| Ignored { service: "api".into(), container: "x".into(), why };
        let found = Discovery {
            services: vec![web],
            ignored: vec![ignored(Why::Image), ignored(Why::Building), ignored(Why::Unsigned)],
            ..Discovery::default()
        };
        let said: Vec<String> =
            Claims::of(&config(""), &found, &owners).remarks.into_iter().map(|(_, t)| t).collect();
        assert_eq!(said.len(), 3, "{said:#?}");
        assert!(said[0].contains("flyball.max"), "{said:#?}");
        assert!(said[1].contains("labels come from its image"), "{said:#?}");
        assert!(said[2].contains("docker build"), "{said:#?}");
    }
}
