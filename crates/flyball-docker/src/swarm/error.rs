//! Errors between flyball and the managers of a Swarm.
//!
//! No error contains the value of an environment variable.

use flyball_engine::Hint;
use flyball_engine::text::one_line;

use crate::DockerError;

/// The managers, or a service of theirs, that do not do what is needed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SwarmError {
    /// The daemon itself cannot be talked to.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The daemon is not a manager.
    #[error("docker at {host} is not a swarm manager: {why}")]
    NotAManager {
        /// The address.
        host: String,
        /// What the daemon said.
        why: String,
    },
    /// No manager is named.
    #[error("no swarm manager is configured")]
    NoManagers,
    /// There is no such service.
    #[error("swarm service not found: {service}")]
    NoService {
        /// Its name in the Swarm.
        service: String,
    },
    /// Its mode has no count.
    #[error("swarm service {service} is in {mode} mode, which has no count to change")]
    NotReplicated {
        /// Its name in the Swarm.
        service: String,
        /// `global`, or `job`.
        mode: &'static str,
    },
    /// The service was changed externally since it was read: expected, and the next look sees it.
    #[error("swarm service {service} was changed externally in the meantime")]
    Conflict {
        /// Its name in the Swarm.
        service: String,
    },
    /// It is being updated or held: expected, and the next look sees it.
    #[error("swarm service {service} is left alone: {why}")]
    Busy {
        /// Its name in the Swarm.
        service: String,
        /// With what.
        why: String,
    },
    /// Its replicas would serve on no port.
    #[error("service {service}: the port must be above 0")]
    PortZero {
        /// Whose.
        service: String,
    },
}

impl SwarmError {
    /// Whether nothing is wrong: the next look decides again.
    pub fn is_expected(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Busy { .. })
    }

    /// The same where it was no manager that was asked.
    pub(crate) fn into_docker(self) -> DockerError {
        match self {
            Self::Docker(error) => error,
            other => DockerError::Broken { what: "answer".into(), why: other.to_string() },
        }
    }

    /// What a status other than 2xx means for the request to do `what`.
    pub(super) fn refused(host: &str, what: &str, status: u16, message: &str) -> Self {
        if let Some(error) = DockerError::of_proxy(host, what, status, message) {
            return Self::Docker(error);
        }
        let why = one_line(message);
        if status == 503 && why.contains("not a swarm manager") {
            return Self::NotAManager { host: host.into(), why };
        }
        Self::Docker(DockerError::Refused { what: what.into(), status, why })
    }
}

impl Hint for SwarmError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Docker(error) => return error.hint(),
            Self::NotAManager { .. } => {
                "set managers under [swarm] (docker node ls lists them)".into()
            }
            Self::NoManagers => "write managers = [\"unix:///var/run/docker.sock\"]".into(),
            Self::NoService { .. } => {
                "docker service ls lists the names; in a stack, they start with the stack's name: \
                 set swarm_service"
                    .into()
            }
            Self::NotReplicated { service, .. } => {
                format!("recreate it without --mode, or leave {service} out of flyball")
            }
            Self::Conflict { .. } | Self::Busy { .. } | Self::PortZero { .. } => return None,
        })
    }
}
