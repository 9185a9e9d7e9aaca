//! Where the balancer is among Docker's networks. A balancer reports the host name of its machine:
//! in a container the container's id or configured name, on the Docker host the host's name.

use std::sync::Arc;

use bollard::Docker;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};

use crate::DockerError;
use crate::client::{ASK_LIMIT, Client};
use crate::networks::{BalancerPlace, Networks, name_of};
use crate::service::Service;

/// More containers than this are not looked through for one with the balancer's host name.
const CONTAINERS_MAX: usize = 200;

/// Looks for the balancer, whose machine calls itself `host_name`, and has the containers of
/// `service` read again if it is elsewhere than before.
pub(crate) async fn look(service: Arc<Service>, host_name: Option<String>) {
    let place = match &host_name {
        Some(host_name) => match service.client.docker() {
            Ok(docker) => find(&service.client, &docker, host_name).await,
            Err(away) => Err(away),
        },
        None => Ok(BalancerPlace::Unknown),
    };
    let place = match place {
        Ok(place) => place,
        // What was known before holds until the daemon says otherwise.
        Err(error) => return tracing::debug!(%error, "cannot tell where the balancer is"),
    };
    let moved = {
        let mut seat = service.seat();
        let moved = seat.place != place;
        seat.place = place;
        moved
    };
    if moved {
        service.reread();
    }
}

/// Where the machine is that calls itself `host_name`.
///
/// # Errors
/// What keeps the containers from being listed.
pub(crate) async fn find(
    client: &Client,
    docker: &Docker,
    host_name: &str,
) -> Result<BalancerPlace, DockerError> {
    if is_host(client, docker, host_name).await {
        return Ok(BalancerPlace::Host);
    }
    // A container's own host name is the beginning of its id, by which it is found at once.
    let by_name = inspect(client, docker, host_name).await;
    if let Ok(answer) = by_name
        && calls_itself(&answer, host_name)
    {
        return Ok(place_of(&answer));
    }
    let running = ListContainersOptionsBuilder::new().build();
    let listed = docker.list_containers(Some(running));
    let all = client.ask("list containers", ASK_LIMIT, listed).await?;
    for id in all.into_iter().filter_map(|container| container.id).take(CONTAINERS_MAX) {
        if let Ok(answer) = inspect(client, docker, &id).await
            && calls_itself(&answer, host_name)
        {
            return Ok(place_of(&answer));
        }
    }
    Ok(BalancerPlace::Unknown)
}

/// Whether `host_name` is that of the Docker host itself. A proxy in front of the daemon may not let
/// that question pass: then it is this machine's name that counts, if flyball runs on it.
async fn is_host(client: &Client, docker: &Docker, host_name: &str) -> bool {
    match client.ask("read its name", ASK_LIMIT, docker.info()).await {
        Ok(info) => info.name.as_deref() == Some(host_name),
        Err(_) => {
            let contained = std::path::Path::new("/.dockerenv").exists();
            !contained
                && client.machine.is_loopback()
                && own_host_name().as_deref() == Some(host_name)
        }
    }
}

/// What this machine, or the container that this program runs in, calls itself.
pub fn own_host_name() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?;
    name.into_string().ok()
}

async fn inspect(
    client: &Client,
    docker: &Docker,
    id: &str,
) -> Result<ContainerInspectResponse, DockerError> {
    let asked = docker.inspect_container(id, None::<InspectContainerOptions>);
    client.ask("inspect a container", ASK_LIMIT, asked).await
}

fn calls_itself(answer: &ContainerInspectResponse, host_name: &str) -> bool {
    answer.config.as_ref().and_then(|config| config.hostname.as_deref()) == Some(host_name)
}

fn place_of(answer: &ContainerInspectResponse) -> BalancerPlace {
    let networks: std::collections::BTreeSet<String> =
        Networks::of(answer).names().into_iter().collect();
    if networks.contains("host") {
        return BalancerPlace::Host;
    }
    BalancerPlace::Container { name: name_of(answer).to_owned(), networks }
}
