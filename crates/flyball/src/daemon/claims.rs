//! Which Swarm service or app defines a service when several claim it. The daemon and
//! `flyball check` share this.

use flyball_config::{Described, ServiceLabels, Source};
use flyball_engine::labels::Labelled;

use super::owners::Owners;

/// A Swarm service or an app whose label names a service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    pub(super) service: String,
    pub(super) described: Described,
}

impl Claim {
    /// `source` is what carries the labels in its system.
    pub(super) fn of(found: Labelled, source: impl FnOnce(String) -> Source) -> Self {
        let described = Described { labels: found.labels, source: source(found.name) };
        Self { service: found.service, described }
    }
}

/// What carries the labels, which is also whose they are.
pub(super) fn owner(described: &Described) -> &str {
    match &described.source {
        Source::Swarm(name) | Source::App(name) => name,
        // No container carries these.
        Source::Container(_) => "",
    }
}

/// For each service the one claim that counts, that of its recorded owner or else the first by
/// name; and remarks on the others.
pub(crate) fn chosen(
    claims: &[Claim],
    owners: &Owners<String>,
) -> (ServiceLabels, Vec<(String, String)>) {
    let mut found = ServiceLabels::new();
    let mut refused = Vec::new();
    for Claim { service, described } in claims {
        let owner = owner(described);
        let bound = owners.of(service).map(String::as_str);
        let bound = bound.or_else(|| found.get(service).map(self::owner));
        match bound.filter(|bound| *bound != owner) {
            None => drop(found.insert(service.clone(), described.clone())),
            Some(bound) => {
                let text = format!("{owner} is ignored: the service belongs to {bound}");
                refused.push((service.clone(), text));
            }
        }
    }
    (found, refused)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn app(id: &str) -> Claim {
        let described = Described { labels: BTreeMap::new(), source: Source::App(id.into()) };
        Claim { service: "web".into(), described }
    }

    #[test]
    fn an_app_that_comes_later_takes_no_service_from_the_one_that_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut owners = Owners::open(folder.path().join("owners"));
        let both = [app("/a/evil"), app("/shop/web")];
        let (found, refused) = chosen(&both, &owners);
        assert_eq!((owner(&found["web"]), refused.len()), ("/a/evil", 1));
        owners.bind("web", "/shop/web".into());
        let (found, refused) = chosen(&both, &owners);
        assert_eq!(owner(&found["web"]), "/shop/web");
        assert_eq!(refused[0].1, "/a/evil is ignored: the service belongs to /shop/web");
        let (found, _) = chosen(&both[..1], &owners);
        assert!(found.is_empty(), "nor while it is gone for a moment");
    }
}
