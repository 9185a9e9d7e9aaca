//! Errors between flyball and a Docker host.
//!
//! No error contains the value of an environment variable.

mod meaning;

use flyball_engine::Hint;

pub(crate) use meaning::deepest;

/// A Docker host, or something on it, that does not do what is needed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DockerError {
    /// The address of the host cannot be one.
    #[error("docker host {host:?} is not an address that flyball can use")]
    Address {
        /// As it was written.
        host: String,
    },
    /// Nothing listens there.
    #[error("docker is not running at {host}: {why}")]
    NotRunning {
        /// The address.
        host: String,
        /// What the system said.
        why: String,
    },
    /// The socket belongs to others.
    #[error("no permission to use docker at {host}")]
    Permission {
        /// The address.
        host: String,
    },
    /// The daemon speaks only versions of its API that are too old.
    #[error("docker at {host} speaks API {found}; flyball needs {needed}")]
    TooOld {
        /// The address.
        host: String,
        /// The newest that it speaks.
        found: String,
        /// The oldest that will do.
        needed: String,
    },
    /// No answer came in time.
    #[error("docker did not answer within {limit_s} s: {what}")]
    Silent {
        /// What it was asked.
        what: String,
        /// How long it had, in seconds.
        limit_s: u64,
    },
    /// An answer broke off, or was none.
    #[error("docker gave no usable answer: {what}: {why}")]
    Broken {
        /// What it was asked.
        what: String,
        /// What was wrong with it.
        why: String,
    },
    /// There is no such image, here or at its registry.
    #[error("image not found: {image}")]
    ImageNotFound {
        /// The image.
        image: String,
    },
    /// The image is not here, and its registry could not be asked.
    #[error("image {image} is not on the host, and its registry cannot be reached: {why}")]
    RegistryUnreachable {
        /// The image.
        image: String,
        /// What the daemon said.
        why: String,
    },
    /// The registry does not give the image to this client.
    #[error("the registry refuses image {image}: {why}")]
    RegistryRefused {
        /// The image.
        image: String,
        /// What the daemon said.
        why: String,
    },
    /// The image could not be pulled for another reason.
    #[error("cannot pull image {image}: {why}")]
    PullFailed {
        /// The image.
        image: String,
        /// What the daemon said.
        why: String,
    },
    /// Something between flyball and the daemon does not let the request pass.
    #[error("docker at {host} does not allow flyball to {what}: {why}")]
    NotAllowed {
        /// The address.
        host: String,
        /// What it was asked.
        what: String,
        /// What was answered.
        why: String,
    },
    /// The disk of the host is full.
    #[error("no space left on the docker host: {what}: {why}")]
    NoSpace {
        /// What was being done.
        what: String,
        /// What the daemon said.
        why: String,
    },
    /// A port to publish on is taken, or all of them are.
    #[error("no free port on the docker host: {why}")]
    NoPort {
        /// What was said.
        why: String,
    },
    /// The stream of events ends again and again.
    #[error("docker keeps closing its event stream within 5 s: {why}")]
    EventsCut {
        /// How it ended.
        why: String,
    },
    /// Another container has the name.
    #[error("container name {name} is taken by another container")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// There is no such network.
    #[error("docker network not found: {network}")]
    NetworkNotFound {
        /// Its name.
        network: String,
    },
    /// The container is not in the network that it is to be reached in.
    #[error("container {container} is not in network {network}; it is in {}", list(joined))]
    NotInNetwork {
        /// Which one.
        container: String,
        /// As it was written.
        network: String,
        /// The networks that it is in.
        joined: Vec<String>,
    },
    /// The container is in several networks, and nothing says which one leads to the balancer.
    #[error(
        "container {container} is in {} networks, and it is unclear in which one the balancer \
         reaches it: {}", joined.len(), list(joined)
    )]
    NetworkUnclear {
        /// Which one.
        container: String,
        /// The networks that it is in.
        joined: Vec<String>,
    },
    /// The balancer is in none of the networks of the container.
    #[error(
        "the balancer's container {balancer} is in none of the networks of {container}: {}",
        list(joined)
    )]
    BalancerElsewhere {
        /// Which one is not reached.
        container: String,
        /// The container of the balancer.
        balancer: String,
        /// The networks that the one not reached is in.
        joined: Vec<String>,
    },
    /// The container is in no network.
    #[error("container {container} has no network")]
    NoNetwork {
        /// Which one.
        container: String,
    },
    /// The container has no network of its own, so that a copy would be somewhere else.
    #[error(
        "container {container} cannot be copied: it shares the network of container {with}, where \
         a copy would have the same address and port"
    )]
    SharesNetwork {
        /// Which one.
        container: String,
        /// Whose network it is.
        with: String,
    },
    /// The container is in the host's network, where all copies would serve on one port.
    #[error(
        "container {container} cannot be copied: it is in the host's network, where every copy \
         would listen on port {port}"
    )]
    HostNetwork {
        /// Which one.
        container: String,
        /// The port that it serves on.
        port: u16,
    },
    /// A CPU limit that no container can have.
    #[error("service {service}: cpus must be at least 0.01, not {cores}")]
    Cpus {
        /// Whose.
        service: String,
        /// As it was written.
        cores: f64,
    },
    /// A CPU limit that this host cannot give.
    #[error("docker refuses the cpu limit: {why}")]
    CpusRefused {
        /// What the daemon said.
        why: String,
    },
    /// A name that no container can have.
    #[error("service {service}: its name cannot be part of a container name")]
    ServiceName {
        /// The name.
        service: String,
    },
    /// The container's own command cannot be run.
    #[error("the container's command cannot be run: {why}")]
    Command {
        /// What the daemon said.
        why: String,
    },
    /// No image is named, and no container is there to be copied.
    #[error("service {service}: there is no container to copy")]
    NoTemplate {
        /// Whose.
        service: String,
    },
    /// No image is named, so that none can be deployed.
    #[error("service {service} has no image of its own: its replicas are copies of a container")]
    NoImage {
        /// Whose.
        service: String,
    },
    /// Something that cannot change while a service runs would have to.
    #[error("{key} cannot change while flyball runs: the old value goes on until a restart")]
    Fixed {
        /// Its name.
        service: String,
        /// What would have to change.
        key: &'static str,
    },
    /// Nothing is left of which replicas of this generation could be made.
    #[error("service {service}: no container of generation {generation} runs that could be copied")]
    NoGeneration {
        /// Whose.
        service: String,
        /// Which one.
        generation: String,
    },
    /// A copy would have more than the container that it is copied from.
    #[error(
        "service {service}: a copy of {container} would exceed it: {field} is {original} in the \
         original and {copy} in the copy"
    )]
    Exceeds {
        /// Whose.
        service: String,
        /// The container to copy.
        container: String,
        /// As Docker's API calls it.
        field: String,
        /// What the original has.
        original: String,
        /// What the copy would have.
        copy: String,
    },
    /// Replicas would serve on no port.
    #[error("service {service}: the port must be above 0")]
    PortZero {
        /// Whose.
        service: String,
    },
    /// The engine was made outside of an async runtime.
    #[error("docker at {host}: a running tokio runtime with I/O and time is required")]
    NoRuntime {
        /// The address.
        host: String,
    },
    /// Any other answer that is an error.
    #[error("docker refused the request to {what}: {why} (status {status})")]
    Refused {
        /// What it was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What the daemon said.
        why: String,
    },
}

impl Hint for DockerError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Address { .. } => {
                "write unix:///var/run/docker.sock or tcp://127.0.0.1:2375".into()
            }
            Self::NotRunning { .. } => "start it (systemctl start docker), or set host".into(),
            Self::Permission { .. } => {
                "add the user to the group docker (usermod -aG docker USER) and log in again".into()
            }
            Self::TooOld { .. } => "update docker".into(),
            Self::Silent { .. } => "check the daemon's log (journalctl -u docker)".into(),
            Self::ImageNotFound { image } => format!("check the name: docker pull {image}"),
            Self::RegistryUnreachable { image, .. } => {
                format!("pull it beforehand (docker pull {image}), or check the host's network")
            }
            Self::NoSpace { .. } => "docker system df shows what uses it".into(),
            Self::NoPort { .. } => {
                "widen net.ipv4.ip_local_port_range, or publish on another address".into()
            }
            Self::NameTaken { name } => format!("inspect it: docker inspect {name}"),
            Self::NetworkNotFound { network } => {
                format!("create it (docker network create {network}), or see docker network ls")
            }
            Self::Cpus { .. } => "leave cpus out for no limit".into(),
            Self::CpusRefused { .. } => "set cpus to at most what the host has".into(),
            Self::ServiceName { .. } => {
                "use letters, digits, '_', '.' and '-', at most 128 of them".into()
            }
            Self::NoTemplate { service } => format!(
                "name an image, or start a container with label flyball.service={service} (a \
                 service of the file then needs adopt = true)"
            ),
            Self::NoImage { .. } => {
                "change the container (docker compose up -d): its copies follow".into()
            }
            Self::Fixed { service, .. } => format!("restart flyball to change it for {service}"),
            Self::NoGeneration { service, .. } => format!(
                "bring it back (docker compose up -d, flyball deploy {service} --image IMAGE), or \
                 go on with the current one: flyball deploy {service}"
            ),
            Self::Exceeds { .. } => {
                "describe the service in flyball.toml to give its replicas more, \
                 or permit its labels to (labels_may in [docker])"
                    .into()
            }
            Self::Broken { .. } => "does a Docker daemon listen there? set host".into(),
            Self::NotAllowed { .. } => {
                "a proxy in front of docker's socket must let it pass; flyball needs CONTAINERS, \
                 EVENTS, IMAGES, NETWORKS, PING, VERSION and POST"
                    .into()
            }
            Self::EventsCut { .. } => {
                "is there a proxy in front of docker's socket? it must keep GET /events open".into()
            }
            Self::RegistryRefused { image, .. } => {
                format!("log in and pull it on the host (docker login, docker pull {image})")
            }
            Self::NotInNetwork { .. }
            | Self::NetworkUnclear { .. }
            | Self::BalancerElsewhere { .. }
            | Self::NoNetwork { .. }
            | Self::SharesNetwork { .. }
            | Self::HostNetwork { .. } => return self.network_hint(),
            Self::PortZero { .. }
            | Self::Command { .. }
            | Self::NoRuntime { .. }
            | Self::PullFailed { .. }
            | Self::Refused { .. } => return None,
        };
        Some(hint)
    }
}

impl DockerError {
    /// What can be done about the networks of a container.
    fn network_hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotInNetwork { .. } => {
                "set network (label flyball.network) to one of those; the name in the Compose file \
                 also works"
                    .into()
            }
            Self::NetworkUnclear { joined, .. } => {
                let example = joined.first().map_or("NAME", String::as_str);
                format!(
                    "set network to the one that the balancer is also in (label \
                     flyball.network={example})"
                )
            }
            Self::BalancerElsewhere { balancer, joined, .. } => {
                let example = joined.first().map_or("NETWORK", String::as_str);
                format!("docker network connect {example} {balancer}, or the same in Compose")
            }
            Self::NoNetwork { .. } => {
                "give it a network: without one, no request reaches it".into()
            }
            Self::SharesNetwork { .. } => {
                "outside of that network a copy might bypass a VPN; keep min and max at 1, or take \
                 the container out of flyball"
                    .into()
            }
            Self::HostNetwork { .. } => {
                "set reach = \"host\" (label flyball.reach=host) and have the program listen on \
                 the port in the variable PORT"
                    .into()
            }
            _ => return None,
        };
        Some(hint)
    }
}

fn list(names: &[String]) -> String {
    names.join(", ")
}
