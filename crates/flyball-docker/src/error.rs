//! What can go wrong between flyball and a Docker host.
//!
//! Decides which fault an answer of the daemon means and what the user can do about it. Does not
//! know what is done next.
//! Invariant: every error names the thing it is about; no value of an environment variable is in
//! any of them.

use std::io;
use std::time::Duration;

use bollard::errors::Error as Answer;

/// A Docker host, or something on it, that does not do what is needed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DockerError {
    /// The address of the host cannot be one.
    #[error("docker host {host:?} is no address that flyball can use")]
    Address {
        /// As it was written.
        host: String,
    },
    /// Nobody listens there.
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
    /// The disk of the host is full.
    #[error("no space left on the docker host: {what}: {why}")]
    NoSpace {
        /// What was being done.
        what: String,
        /// What the daemon said.
        why: String,
    },
    /// A port to publish on is taken, or all of them are.
    #[error("no port of the docker host is free: {why}")]
    NoPort {
        /// What was said.
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
    #[error("service {service}: containers cannot be named after it")]
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
    /// A copy would have more than the container that it is copied from.
    #[error(
        "service {service}: a copy of {container} would have more than it: {field} is {original} \
         there and {copy} in the copy"
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
    #[error("docker at {host}: a running tokio runtime with I/O and time is needed")]
    NoRuntime {
        /// The address.
        host: String,
    },
    /// Any other answer that is an error.
    #[error("docker refuses to {what}: {why} (status {status})")]
    Refused {
        /// What it was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What the daemon said.
        why: String,
    },
}

impl DockerError {
    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Address { .. } => {
                "write unix:///var/run/docker.sock or tcp://127.0.0.1:2375".into()
            }
            Self::NotRunning { .. } => "start it (systemctl start docker), or set host".into(),
            Self::Permission { .. } => {
                "add the user to the group docker (usermod -aG docker USER) and log in anew".into()
            }
            Self::TooOld { .. } => "update docker".into(),
            Self::Silent { .. } => "look at the daemon's log (journalctl -u docker)".into(),
            Self::ImageNotFound { image } => format!("check the name: docker pull {image}"),
            Self::RegistryUnreachable { image, .. } => {
                format!("pull it beforehand (docker pull {image}), or check the host's network")
            }
            Self::NoSpace { .. } => "docker system df shows what takes it".into(),
            Self::NoPort { .. } => {
                "widen net.ipv4.ip_local_port_range, or publish on another address".into()
            }
            Self::NameTaken { name } => format!("look at it: docker inspect {name}"),
            Self::NetworkNotFound { network } => {
                format!("make it (docker network create {network}), or see docker network ls")
            }
            Self::Cpus { .. } => "leave cpus out for no limit".into(),
            Self::CpusRefused { .. } => "set cpus to what the host has at most".into(),
            Self::ServiceName { .. } => {
                "use letters, digits, '_', '.' and '-', at most 128 of them".into()
            }
            Self::NoTemplate { service } => {
                format!(
                    "name an image, or start a container with label flyball.service={service} (a \
                     service of the file then needs adopt = true)"
                )
            }
            Self::Exceeds { .. } => {
                "describe the service in flyball.toml to give its replicas more, \
                 or permit its labels to (labels_may in [docker])"
                    .into()
            }
            Self::Broken { .. } => "does a Docker daemon listen there? set host".into(),
            Self::PortZero { .. }
            | Self::Command { .. }
            | Self::NoRuntime { .. }
            | Self::Refused { .. } => return None,
        };
        Some(hint)
    }

    pub(crate) fn silent(what: impl Into<String>, limit: Duration) -> Self {
        Self::Silent { what: what.into(), limit_s: limit.as_secs() }
    }

    /// What `answer` to the request to do `what` means.
    pub(crate) fn of(host: &str, what: &str, answer: &Answer) -> Self {
        match answer {
            Answer::DockerResponseServerError { status_code, message } => {
                Self::refused(what, *status_code, message)
            }
            Answer::DockerStreamError { error } => Self::refused(what, 500, error),
            Answer::SocketNotFoundError(path) => {
                Self::NotRunning { host: host.into(), why: format!("there is no {path}") }
            }
            Answer::UnsupportedURISchemeError { .. } => Self::Address { host: host.into() },
            Answer::RequestTimeoutError => Self::silent(what, Duration::from_secs(120)),
            other => Self::unreachable(host, what, other),
        }
    }

    fn unreachable(host: &str, what: &str, answer: &Answer) -> Self {
        match io_cause(answer) {
            Some(cause) => Self::of_io(host, what, cause),
            None => Self::Broken { what: what.into(), why: deepest(answer) },
        }
    }

    /// What the failure of a connection to the daemon means.
    pub(crate) fn of_io(host: &str, what: &str, cause: &io::Error) -> Self {
        use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
        match cause.kind() {
            PermissionDenied => Self::Permission { host: host.into() },
            ConnectionRefused | NotFound => {
                Self::NotRunning { host: host.into(), why: one_line(cause) }
            }
            _ => Self::Broken { what: what.into(), why: one_line(cause) },
        }
    }

    /// The daemon's words are all there is to go by: its status is 500 for nearly everything.
    fn refused(what: &str, status: u16, message: &str) -> Self {
        let why = one_line(message);
        let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
        if says(&["no space left on device", "disk quota exceeded"]) {
            Self::NoSpace { what: what.into(), why }
        } else if let Some(name) = quoted_after(&why, "container name ") {
            Self::NameTaken { name: name.trim_start_matches('/').to_owned() }
        } else if let Some(image) = why.split_once("No such image: ").map(|(_, image)| image) {
            Self::ImageNotFound { image: image.trim_end_matches(" (tag: latest)").to_owned() }
        } else if says(&["port is already allocated", "ports are allocated", "Ports are not avail"])
            || says(&["address already in use", "failed to bind host port"])
        {
            Self::NoPort { why }
        } else if let Some(network) = network_in(&why) {
            Self::NetworkNotFound { network }
        } else if says(&["Range of CPUs is from"]) {
            Self::CpusRefused { why }
        } else if says(&["executable file not found", "exec: ", "No command specified"]) {
            Self::Command { why }
        } else {
            Self::Refused { what: what.into(), status, why }
        }
    }

    /// What a failed pull of `image` means.
    pub(crate) fn of_pull(self, image: &str) -> Self {
        let (Self::Refused { why, .. } | Self::ImageNotFound { image: why }) = self else {
            return self;
        };
        let unreachable = ["dial tcp", "no such host", "i/o timeout", "TLS", "connection", "EOF"];
        if unreachable.iter().any(|word| why.contains(word)) {
            Self::RegistryUnreachable { image: image.into(), why }
        } else {
            Self::ImageNotFound { image: image.into() }
        }
    }
}

fn io_cause(answer: &Answer) -> Option<&io::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(answer);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

pub(crate) fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    one_line(last)
}

fn one_line(text: impl ToString) -> String {
    const CHARS: usize = 500;
    let text = text.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(CHARS).collect()
}

fn quoted_after(text: &str, words: &str) -> Option<String> {
    let (_, rest) = text.split_once(words)?;
    Some(rest.strip_prefix('"')?.split_once('"')?.0.to_owned())
}

fn network_in(why: &str) -> Option<String> {
    let rest = why.split_once("network ")?.1;
    let name =
        rest.strip_suffix(" not found").or_else(|| rest.split_once(" not found").map(|r| r.0));
    name.filter(|name| !name.contains(' ')).map(|name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(message: &str) -> DockerError {
        let message = message.to_owned();
        let answer = Answer::DockerResponseServerError { status_code: 500, message };
        DockerError::of("unix:///d.sock", "start web-1", &answer)
    }

    #[test]
    fn what_the_daemon_says_is_told_apart() {
        let taken = "Conflict. The container name \"/web-1\" is already in use by container \
                     \"4a\". You have to remove (or rename) that container";
        assert_eq!(meaning(taken), DockerError::NameTaken { name: "web-1".into() });
        let image = DockerError::ImageNotFound { image: "none:1".into() };
        assert_eq!(meaning("No such image: none:1"), image);
        let network = DockerError::NetworkNotFound { network: "blue".into() };
        assert_eq!(meaning("network blue not found"), network);
        assert!(matches!(
            meaning("driver failed: Bind for 127.0.0.1:80 failed: port is already allocated"),
            DockerError::NoPort { .. }
        ));
        assert!(matches!(
            meaning("mkdir /var/lib/docker: no space left on device"),
            DockerError::NoSpace { .. }
        ));
        assert!(matches!(
            meaning("Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"),
            DockerError::CpusRefused { .. }
        ));
        assert!(matches!(meaning("something new"), DockerError::Refused { status: 500, .. }));
    }

    #[test]
    fn an_image_that_is_not_there_and_a_registry_that_is_not_are_two_things() {
        let pull = |why: &str| meaning(why).of_pull("r.example/web:1");
        let refused = "Get \"http://r.example/v2/\": dial tcp 127.0.0.1:1: connect: refused";
        assert!(matches!(pull(refused), DockerError::RegistryUnreachable { .. }));
        assert!(matches!(pull("manifest unknown"), DockerError::ImageNotFound { .. }));
    }

    #[test]
    fn hints_say_what_to_do() {
        let error = DockerError::Permission { host: "unix:///var/run/docker.sock".into() };
        assert!(error.hint().unwrap().contains("usermod -aG docker"));
        assert_eq!(meaning("something new").hint(), None);
    }
}
