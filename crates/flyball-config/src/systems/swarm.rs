//! The `[swarm]` table. Without it, no label of a Swarm service defines a service.

use std::path::PathBuf;

use super::permits::PERMITS;
use super::{Docker, Permits};
use crate::reader::{DOCKER_HOSTS, FLAG, Field, PATH, TEXT, section};

section! {
    /// The Docker Swarm for services with `engine = "swarm"`. With this table, even an empty one,
    /// services are also found by labels.
    SwarmKeys "swarm" => pub Swarm {
        /// The addresses of managers: `["unix:///PATH"]`, or `["tcp://IP:PORT"]` without
        /// encryption. If one does not answer, flyball tries the next.
        managers: Vec<String> = DOCKER_HOSTS, empty "the Docker host";
        /// Whether services are found by the labels of Swarm services. `false`: all labels are
        /// ignored.
        labels: bool = FLAG, default "true";
        /// What labels may set.
        permits: Permits = PERMITS, group "";
        /// The name in Swarm of the global service that runs flyball's agents, which read CPU usage
        /// on the nodes.
        agent: String = TEXT, default "\"flyball-agent\"";
        /// A file with the secret that agents require. It is read again when it changes.
        agent_token_file: Option<PathBuf> = PATH, optional "agents require no secret";
    } with {
        /// Whether `flyball.hold=true` is obeyed: unless the file says that no label is.
        obeys_hold: bool = true;
    }
}

/// The Swarm; by default that of `docker`.
pub(crate) fn swarm(table: Field<SwarmKeys>, docker: Option<&Docker>) -> Option<Swarm> {
    let given = !table.is_absent();
    let mut swarm = table.value?.all()?;
    swarm.obeys_hold = swarm.labels;
    swarm.labels &= given;
    if swarm.managers.is_empty() {
        swarm.managers = vec![docker?.host.clone()];
    }
    Some(swarm)
}
