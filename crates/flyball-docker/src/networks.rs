//! Picks the network in which a container is reached. Docker does not show which network leads to
//! the balancer, and a wrong one reaches nothing, so flyball never guesses among several.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{ContainerInspectResponse, EndpointSettings};

use crate::DockerError;
use crate::labels::COMPOSE_PROJECT;

/// Where requests come from, as far as Docker's networks go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum BalancerPlace {
    /// Not known, or not on this Docker host.
    #[default]
    Unknown,
    /// On the Docker host itself, which reaches all networks of its containers.
    Host,
    /// In this container, which reaches the networks that it has joined.
    Container { name: String, networks: BTreeSet<String> },
}

/// The networks of one container.
#[derive(Debug)]
pub(crate) struct Networks<'a> {
    container: &'a str,
    all: BTreeMap<&'a str, &'a EndpointSettings>,
    /// The one that it was created with.
    primary: Option<&'a str>,
    project: Option<&'a str>,
}

impl<'a> Networks<'a> {
    pub(crate) fn of(answer: &'a ContainerInspectResponse) -> Self {
        let settings = answer.network_settings.as_ref();
        let joined = settings.and_then(|settings| settings.networks.as_ref()).into_iter().flatten();
        let all: BTreeMap<_, _> = joined.map(|(name, joined)| (name.as_str(), joined)).collect();
        Self {
            container: name_of(answer),
            primary: mode_of(answer).filter(|mode| all.contains_key(mode)),
            project: labels_of(answer)
                .and_then(|labels| Some(labels.get(COMPOSE_PROJECT)?.as_str())),
            all,
        }
    }

    /// The names of all networks, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.all.keys().map(|name| (*name).to_owned()).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a EndpointSettings> {
        self.all.get(name).copied()
    }

    /// The network called `name`, as Docker or as the Compose file calls it.
    ///
    /// # Errors
    /// [`DockerError::NotInNetwork`], with those that the container is in.
    pub(crate) fn named(&self, name: &str) -> Result<&'a str, DockerError> {
        let long = self.project.map(|project| format!("{project}_{name}"));
        let known = |name: &str| self.all.get_key_value(name).map(|(name, _)| *name);
        known(name).or_else(|| known(long.as_deref()?)).ok_or_else(|| DockerError::NotInNetwork {
            container: self.container.to_owned(),
            network: name.to_owned(),
            joined: self.names(),
        })
    }

    /// The network that requests reach the container in: the `wanted` one, or the only one, or one
    /// that the balancer is in, too.
    ///
    /// # Errors
    /// There is none, or it cannot be known which one it is.
    pub(crate) fn reached(
        &self,
        wanted: Option<&str>,
        balancer: &BalancerPlace,
    ) -> Result<&'a str, DockerError> {
        if let Some(wanted) = wanted {
            return self.named(wanted);
        }
        let container = || self.container.to_owned();
        let first = self.all.keys().next().copied();
        let Some(first) = first.filter(|name| *name != "none") else {
            return Err(DockerError::NoNetwork { container: container() });
        };
        if self.all.len() == 1 {
            return Ok(first);
        }
        match balancer {
            BalancerPlace::Host => Ok(self.primary.unwrap_or(first)),
            BalancerPlace::Container { name, networks } => {
                let shared = |network: &&str| networks.contains(*network);
                let one =
                    self.primary.filter(shared).or(self.all.keys().copied().find(|n| shared(n)));
                one.ok_or_else(|| DockerError::BalancerElsewhere {
                    container: container(),
                    balancer: name.clone(),
                    joined: self.names(),
                })
            }
            BalancerPlace::Unknown => {
                Err(DockerError::NetworkUnclear { container: container(), joined: self.names() })
            }
        }
    }
}

/// A container's own name.
pub(crate) fn name_of(answer: &ContainerInspectResponse) -> &str {
    let name = answer.name.as_deref().or(answer.id.as_deref()).unwrap_or_default();
    name.trim_start_matches('/')
}

/// How a container is connected: `host`, `none`, `container:ID`, or the name of a network.
pub(crate) fn mode_of(answer: &ContainerInspectResponse) -> Option<&str> {
    let mode = answer.host_config.as_ref()?.network_mode.as_deref()?;
    // What Docker calls its default on creation is the network `bridge`.
    Some(if mode == "default" { "bridge" } else { mode })
}

pub(crate) fn labels_of(answer: &ContainerInspectResponse) -> Option<&HashMap<String, String>> {
    answer.config.as_ref()?.labels.as_ref()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(mode: &str, networks: &[&str]) -> ContainerInspectResponse {
        let joined: serde_json::Map<_, _> =
            networks.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        let answer = json!({
            "Id": "4a9c", "Name": "/shop-web-1",
            "Config": { "Labels": { COMPOSE_PROJECT: "shop" } },
            "HostConfig": { "NetworkMode": mode },
            "NetworkSettings": { "Networks": joined },
        });
        serde_json::from_value(answer).unwrap()
    }

    fn reached(
        (mode, networks): (&str, &[&str]),
        wanted: Option<&str>,
        balancer: &BalancerPlace,
    ) -> Result<String, String> {
        let answer = container(mode, networks);
        let reached = Networks::of(&answer).reached(wanted, balancer);
        reached.map(str::to_owned).map_err(|error| error.to_string())
    }

    fn balancer_in(networks: &[&str]) -> BalancerPlace {
        let networks = networks.iter().map(|name| (*name).to_owned()).collect();
        BalancerPlace::Container { name: "shop-lb-1".into(), networks }
    }

    const TWO: (&str, &[&str]) = ("shop_back", &["shop_back", "shop_front"]);

    #[test]
    fn a_named_network_is_found_by_its_own_name_and_by_the_one_in_the_compose_file() {
        let unknown = BalancerPlace::Unknown;
        for name in ["shop_front", "front"] {
            assert_eq!(reached(TWO, Some(name), &unknown).unwrap(), "shop_front");
        }
        assert_eq!(
            reached(TWO, Some("frnt"), &unknown).unwrap_err(),
            "container shop-web-1 is not in network frnt; it is in shop_back, shop_front"
        );
    }

    #[test]
    fn the_only_network_needs_no_name() {
        let one: (&str, &[&str]) = ("blue", &["blue"]);
        assert_eq!(reached(one, None, &BalancerPlace::Unknown).unwrap(), "blue");
        assert_eq!(reached(one, None, &balancer_in(&["green"])).unwrap(), "blue");
    }

    #[test]
    fn of_several_networks_the_one_that_the_balancer_is_in_is_taken() {
        assert_eq!(reached(TWO, None, &balancer_in(&["shop_front"])).unwrap(), "shop_front");
        let both = balancer_in(&["shop_front", "shop_back"]);
        assert_eq!(reached(TWO, None, &both).unwrap(), "shop_back", "the container's first");
        assert_eq!(reached(TWO, None, &BalancerPlace::Host).unwrap(), "shop_back");
        let elsewhere = reached(TWO, None, &balancer_in(&["other"])).unwrap_err();
        assert!(elsewhere.contains("shop-lb-1") && elsewhere.contains("shop_front"), "{elsewhere}");
    }

    #[test]
    fn nothing_is_guessed_between_several() {
        let unclear = reached(TWO, None, &BalancerPlace::Unknown).unwrap_err();
        assert!(unclear.contains("shop_back, shop_front"), "{unclear}");
        let none = reached(("none", &["none"]), None, &BalancerPlace::Host).unwrap_err();
        assert_eq!(none, "container shop-web-1 has no network");
    }
}
