//! The `[docker]` table. Without it, no container label defines a service.

use std::path::PathBuf;

use super::Permits;
use super::permits::PERMITS;
use crate::reader::{DOCKER_HOST, FLAG, Field, PATH, Span, section};

section! {
    /// The Docker host for services with `engine = "docker"`. With this table, even an empty one,
    /// services are also found by labels.
    DockerKeys "docker" => pub Docker {
        /// The address of Docker: `unix:///PATH`, or `tcp://IP:PORT` without encryption.
        host: String = DOCKER_HOST, default "\"unix:///var/run/docker.sock\"";
        /// Where the cgroups of that host are mounted here. CPU usage is read from their files.
        cgroup_mount: PathBuf = PATH, default "\"/sys/fs/cgroup\"";
        /// Whether services are found by the labels of containers. `false`: all labels are ignored.
        labels: bool = FLAG, default "true";
        /// What labels may set.
        permits: Permits = PERMITS, group "";
        /// Whether labels that a container inherits from its image count, so that the authors of an
        /// image can configure its services.
        labels_from_images: bool = FLAG, default "false";
        /// Whether flyball treats a container with `flyball.managed=true` as its own even if it is
        /// not signed with the key in `state_dir`. Use this if that directory is not kept or was
        /// lost. Anyone who may label containers can then join any service.
        trust_marks: bool = FLAG, default "false";
    }
}

/// The Docker host, and where it says that no label is obeyed.
pub(crate) fn docker(table: Field<DockerKeys>) -> Option<(Docker, Option<Span>)> {
    let given = !table.is_absent();
    let keys = table.value?;
    let forbidden = keys.labels.given().filter(|(labels, _)| !**labels).map(|(_, at)| at.clone());
    let mut docker = keys.all()?;
    docker.labels &= given;
    Some((docker, forbidden))
}
