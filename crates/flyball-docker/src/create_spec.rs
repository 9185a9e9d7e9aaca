//! The request that creates the container of one replica. Every container carries flyball's marks
//! and has no restart policy. A copy takes no address, name or port from its original.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, EndpointSettings, HostConfig,
    HostConfigLogConfig, NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use flyball_core::generation::Generation;
use flyball_core::units::ReplicaId;

use crate::copy::{self, CopiedNetworks};
use crate::labels::{
    COMPOSE_NUMBER, COMPOSE_ONEOFF, COMPOSE_PROJECT, COMPOSE_REPLACE, COMPOSE_SERVICE, COPY,
    GENERATION, MANAGED, PORT, PROTECT, REPLICA, SERVICE, SIGNATURE,
};
use crate::networks::mode_of;
use crate::settings::Publish;
use crate::{DockerSettings, Signer};

/// Shares the network of the host itself.
const HOST_NETWORK: &str = "host";

/// One container to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CreateSpec {
    pub(crate) name: String,
    pub(crate) body: ContainerCreateBody,
    /// Networks to join before it starts; older daemons take only one with the creation.
    pub(crate) further: Vec<(String, EndpointSettings)>,
}

/// Which replica is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) settings: &'a DockerSettings,
    pub(crate) replica: &'a ReplicaId,
    /// The port it should serve on.
    pub(crate) port: u16,
    /// What it is made as, as far as that is known.
    pub(crate) generation: Option<Generation>,
    pub(crate) signer: &'a Signer,
}

impl CreateSpec {
    /// A container of `image`, as the settings say.
    pub(crate) fn of_image(wanted: Wanted<'_>, image: &str) -> Self {
        let settings = wanted.settings;
        let mut body = ContainerCreateBody { image: Some(image.into()), ..Default::default() };
        let own = match &settings.publish {
            Publish::ContainerAddress { network } => network.as_ref(),
            Publish::Address(_) | Publish::HostNetwork => None,
        };
        let names = settings.networks.iter().chain(own);
        let networks = names.map(|name| (name.clone(), endpoint())).collect();
        let further = wanted.shape(&mut body, HashMap::new(), networks);
        Self { name: wanted.replica.to_string(), body, further }
    }

    /// A copy of `template`, which [`copy::refuse`] has nothing against; `number` is its number
    /// within a Compose service.
    ///
    /// # Errors
    /// A configuration that cannot be taken over, in the parser's words.
    pub(crate) fn copy(
        wanted: Wanted<'_>,
        template: &ContainerInspectResponse,
        number: Option<u64>,
    ) -> Result<Self, serde_json::Error> {
        let mut body = copy::body_of(template)?;
        let mut labels = body.labels.take().unwrap_or_default();
        labels.retain(|name, _| ![PROTECT, COMPOSE_REPLACE, GENERATION].contains(&name.as_str()));
        // What is started from an image is nobody's copy, also where one like it was at hand.
        if wanted.settings.image.is_none() {
            labels.insert(COPY.into(), "true".into());
        }
        if labels.contains_key(COMPOSE_PROJECT) {
            labels.insert(COMPOSE_ONEOFF.into(), "True".into());
        }
        let name = match number.and_then(|number| compose_name(&labels, number)) {
            Some((name, number)) => {
                labels.insert(COMPOSE_NUMBER.into(), number.to_string());
                name
            }
            None => wanted.replica.to_string(),
        };
        let CopiedNetworks { first, all } = copy::networks_of(template);
        let host = body.host_config.get_or_insert_default();
        host.network_mode = match mode_of(template) {
            Some(HOST_NETWORK) => Some(HOST_NETWORK.into()),
            _ => first,
        };
        let further = wanted.shape(&mut body, labels, all);
        Ok(Self { name, body, further })
    }
}

impl Wanted<'_> {
    /// Puts into `body` what holds for images and copies alike; gives the networks to join later.
    fn shape(
        self,
        body: &mut ContainerCreateBody,
        mut labels: HashMap<String, String>,
        networks: BTreeMap<String, EndpointSettings>,
    ) -> Vec<(String, EndpointSettings)> {
        let settings = self.settings;
        let port = self.port.to_string();
        if !settings.command.is_empty() {
            let words = settings.command.iter().map(|word| word.replace("{port}", &port));
            body.cmd = Some(words.collect());
        }
        body.env = Some(self.env(body.env.take().unwrap_or_default(), &port));
        labels.extend(settings.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        labels.extend(self.marks(&port));
        body.labels = Some(labels);
        let mut host = body.host_config.take().unwrap_or_default();
        self.limit(&mut host);
        let further = self.connect(body, &mut host, networks);
        body.host_config = Some(host);
        further
    }

    fn marks(self, port: &str) -> Vec<(String, String)> {
        let (service, replica) = (self.settings.service.as_str(), self.replica.as_str());
        let signature = self.signer.sign(service, replica, self.generation);
        let generation = self.generation.map(String::from);
        let mut marks = vec![(SERVICE, service), (REPLICA, replica), (MANAGED, "true")];
        marks.extend([(PORT, port), (SIGNATURE, signature.as_str())]);
        marks.extend(generation.as_deref().map(|generation| (GENERATION, generation)));
        marks.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Settings win over what is copied, and the port over both unless the settings name it.
    fn env(self, copied: Vec<String>, port: &str) -> Vec<String> {
        let mut own: BTreeMap<&str, &str> = BTreeMap::from([
            ("FLYBALL_SERVICE", self.settings.service.as_str()),
            ("FLYBALL_REPLICA", self.replica.as_str()),
            ("PORT", port),
        ]);
        own.extend(self.settings.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let replaced = |variable: &String| {
            own.contains_key(variable.split_once('=').map_or(variable.as_str(), |(name, _)| name))
        };
        let mut env: Vec<String> = copied.into_iter().filter(|v| !replaced(v)).collect();
        env.extend(own.iter().map(|(name, value)| format!("{name}={value}")));
        env
    }

    #[expect(clippy::cast_possible_truncation, reason = "a float-to-int cast saturates")]
    fn limit(self, host: &mut HostConfig) {
        let settings = self.settings;
        if let Some(cores) = settings.cpus {
            host.nano_cpus = Some((cores * 1e9).round() as i64);
            (host.cpu_quota, host.cpu_period) = (None, None);
        }
        if let Some(bytes) = settings.memory_bytes {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            // What may be swapped beyond memory stays what it was.
            host.memory_swap = match (host.memory, host.memory_swap) {
                (Some(old), Some(swap)) if old > 0 && swap >= old => {
                    Some(bytes.saturating_add(swap - old))
                }
                _ => None,
            };
            host.memory = Some(bytes);
        }
        if settings.log_driver.is_some() || !settings.log_options.is_empty() {
            let options = settings.log_options.clone().into_iter().collect();
            let typ = settings.log_driver.clone();
            host.log_config = Some(HostConfigLogConfig { typ, config: Some(options) });
        }
        let name = Some(RestartPolicyNameEnum::NO);
        host.restart_policy = Some(RestartPolicy { name, maximum_retry_count: None });
        host.auto_remove = Some(false);
        host.container_id_file = None;
    }

    fn connect(
        self,
        body: &mut ContainerCreateBody,
        host: &mut HostConfig,
        mut networks: BTreeMap<String, EndpointSettings>,
    ) -> Vec<(String, EndpointSettings)> {
        let settings = self.settings;
        host.port_bindings = None;
        host.publish_all_ports = Some(false);
        let copied = host.network_mode.take();
        if settings.publish == Publish::HostNetwork || copied.as_deref() == Some(HOST_NETWORK) {
            host.network_mode = Some(HOST_NETWORK.into());
            body.exposed_ports = None;
            return Vec::new();
        }
        let port = format!("{}/tcp", self.port);
        if let Publish::Address(address) = settings.publish {
            let host_ip = Some(address.to_string());
            let binding = PortBinding { host_ip, host_port: Some(String::new()) };
            host.port_bindings = Some(HashMap::from([(port.clone(), Some(vec![binding]))]));
        }
        let exposed = body.exposed_ports.get_or_insert_default();
        if !exposed.contains(&port) {
            exposed.push(port);
        }
        let named = copied.or_else(|| settings.networks.first().cloned());
        let first = named.filter(|name| networks.contains_key(name));
        let Some(first) = first.or_else(|| networks.keys().next().cloned()) else {
            return Vec::new();
        };
        if let Some(endpoint) = networks.remove(&first) {
            let endpoints_config = Some(HashMap::from([(first.clone(), endpoint)]));
            body.networking_config = Some(NetworkingConfig { endpoints_config });
        }
        host.network_mode = Some(first);
        networks.into_iter().collect()
    }
}

fn endpoint() -> EndpointSettings {
    EndpointSettings::default()
}

/// What copy `number` of the Compose service in `labels` is called: as people look for it, and as
/// Compose calls none of its own, so that it never meets a name that is taken. `None` if they are
/// not Compose's.
fn compose_name(labels: &HashMap<String, String>, number: u64) -> Option<(String, u64)> {
    let (project, service) = (labels.get(COMPOSE_PROJECT)?, labels.get(COMPOSE_SERVICE)?);
    Some((format!("{project}-{service}-fb-{number}"), number))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings() -> DockerSettings {
        DockerSettings::new("web", 8080)
    }

    fn create_and_start(settings: &DockerSettings) -> CreateSpec {
        let (replica, signer) = (&ReplicaId::numbered("web", 7), &Signer::passing().unwrap());
        CreateSpec::of_image(
            Wanted { settings, replica, port: 8080, generation: None, signer },
            "shop:1",
        )
    }

    fn copied(settings: &DockerSettings, number: u64) -> CreateSpec {
        let template = json!({
            "Id": "4a9ce1d80f00", "Name": "/blue_web_1", "Image": "sha256:1111",
            "Config": {
                "Hostname": "4a9ce1d80f00", "Image": "shop:latest", "Env": ["A=1", "PORT=80"],
                "ExposedPorts": { "80/tcp": {} },
                "Labels": {
                    "flyball.service": "web", "flyball.protect": "true", "team": "shop",
                    COMPOSE_PROJECT: "blue", COMPOSE_SERVICE: "web", COMPOSE_NUMBER: "1",
                },
            },
            "HostConfig": {
                "NetworkMode": "blue_default", "NanoCpus": 500_000_000, "Binds": ["/srv:/srv:ro"],
                "RestartPolicy": { "Name": "always" }, "AutoRemove": true,
                "PortBindings": { "80/tcp": [{ "HostIp": "", "HostPort": "8000" }] },
            },
            "NetworkSettings": { "Networks": {
                "blue_default": {
                    "IPAddress": "172.18.0.2", "MacAddress": "02:42:ac:12:00:02",
                    "IPAMConfig": { "IPv4Address": "172.18.0.2" },
                    "Aliases": ["web", "4a9ce1d80f00", "blue_web_1"],
                },
                "back": { "IPAddress": "172.19.0.2", "Aliases": ["4a9ce1d80f00"] },
            } },
        });
        let template = serde_json::from_value(template).unwrap();
        let (replica, signer) = (&ReplicaId::numbered("web", 7), &Signer::passing().unwrap());
        let generation = Generation::parse("0123456789ab");
        let wanted = Wanted { settings, replica, port: settings.port, generation, signer };
        CreateSpec::copy(wanted, &template, Some(number)).unwrap()
    }

    #[test]
    fn an_image_becomes_a_marked_container_with_a_free_loopback_port() {
        let mut settings = settings();
        settings.command = vec!["serve".into(), "--port={port}".into()];
        (settings.cpus, settings.memory_bytes) = (Some(0.5), Some(1 << 20));
        settings.env.insert("A".into(), "x=y".into());
        let CreateSpec { name, body, further } = create_and_start(&settings);
        assert_eq!((name.as_str(), further.len()), ("web-7", 0));
        assert_eq!(body.cmd.unwrap(), ["serve", "--port=8080"]);
        assert!(body.env.unwrap().contains(&"A=x=y".to_owned()));
        assert_eq!(body.labels.unwrap()[REPLICA], "web-7");
        let host = body.host_config.unwrap();
        assert_eq!((host.nano_cpus, host.memory), (Some(500_000_000), Some(1 << 20)));
        let ports = host.port_bindings.unwrap();
        let binding = &ports["8080/tcp"].as_ref().unwrap()[0];
        assert_eq!(binding.host_ip.as_deref(), Some("127.0.0.1"));
        assert_eq!(binding.host_port.as_deref(), Some(""));
    }

    #[test]
    fn the_hosts_network_takes_the_port_in_the_environment_and_publishes_nothing() {
        let settings = DockerSettings { publish: Publish::HostNetwork, ..settings() };
        let body = create_and_start(&settings).body;
        assert!(body.env.unwrap().contains(&"PORT=8080".to_owned()));
        let host = body.host_config.unwrap();
        assert_eq!((host.network_mode.as_deref(), host.port_bindings), (Some("host"), None));
    }

    #[test]
    fn the_first_network_comes_with_the_creation_and_the_others_later() {
        let networks = vec!["front".to_owned(), "back".to_owned()];
        let network = Some("own".to_owned());
        let publish = Publish::ContainerAddress { network };
        let spec = create_and_start(&DockerSettings { networks, publish, ..settings() });
        let later: Vec<&str> = spec.further.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(later, ["back", "own"]);
        assert_eq!(spec.body.host_config.unwrap().network_mode.as_deref(), Some("front"));
    }

    #[test]
    fn a_copy_takes_neither_address_nor_name_nor_port_nor_protection() {
        let settings = DockerSettings::new("web", 80);
        let CreateSpec { name, body, further } = copied(&settings, 7);
        assert_eq!(name, "blue-web-fb-7");
        assert_eq!((body.hostname, body.image.as_deref()), (None, Some("sha256:1111")));
        let labels = body.labels.unwrap();
        assert_eq!((labels["team"].as_str(), labels[COMPOSE_NUMBER].as_str()), ("shop", "7"));
        assert_eq!(labels[COMPOSE_ONEOFF], "True", "Compose counts it as none of its own");
        assert_eq!(labels[GENERATION], "0123456789ab");
        assert!(!labels.contains_key(PROTECT));
        let host = body.host_config.unwrap();
        assert_eq!(host.binds.unwrap(), ["/srv:/srv:ro"]);
        assert_eq!((host.nano_cpus, host.auto_remove), (Some(500_000_000), Some(false)));
        assert_eq!(host.restart_policy.unwrap().name, Some(RestartPolicyNameEnum::NO));
        assert_eq!(host.port_bindings.unwrap()["80/tcp"].as_ref().unwrap().len(), 1);
        let endpoints = body.networking_config.unwrap().endpoints_config.unwrap();
        let kept = EndpointSettings { aliases: Some(vec!["web".into()]), ..endpoint() };
        assert_eq!(endpoints["blue_default"], kept);
        assert_eq!(further, [("back".to_owned(), endpoint())]);
        assert_eq!(body.env.unwrap().iter().filter(|v| v.starts_with("PORT=")).count(), 1);
    }

    #[test]
    fn a_copy_stays_in_all_networks_whichever_it_is_reached_in() {
        let network = Some("back".to_owned());
        let publish = Publish::ContainerAddress { network: network.clone() };
        let networks = network.into_iter().collect();
        let settings = DockerSettings { publish, networks, ..DockerSettings::new("web", 80) };
        let CreateSpec { body, further, .. } = copied(&settings, 7);
        let host = body.host_config.unwrap();
        assert_eq!(
            (host.network_mode.as_deref(), host.port_bindings),
            (Some("blue_default"), None)
        );
        assert_eq!(further, [("back".to_owned(), endpoint())]);
    }
}
