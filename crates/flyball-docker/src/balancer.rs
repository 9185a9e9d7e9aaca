//! Where the balancer is among Docker's networks.
//!
//! A balancer reports the host name of its machine. In a container that is the container's id or
//! its configured name; on the Docker host it is the host's name.

use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use tokio::time::Instant;

use crate::DockerError;
use crate::host::{ASK_LIMIT, Core};
use crate::networks::{BalancerPlace, Networks, name_of};
use crate::service::Service;

/// A balancer may be recreated, or join another network, while flyball runs.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Until it is known where the balancer is.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// More containers than this are not looked through for one with the balancer's host name.
const CONTAINERS_MAX: usize = 200;

/// What one service knows of its balancer.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    pub(crate) place: BalancerPlace,
    /// When it was looked for last.
    looked_at: Option<Instant>,
}

impl Seat {
    /// Whether it is time to look for it; if so, it is taken for looked for.
    pub(crate) fn is_due(&mut self) -> bool {
        let pause = if self.place == BalancerPlace::Unknown { LOOK_AGAIN } else { LOOK_EVERY };
        let due = self.looked_at.is_none_or(|at| at.elapsed() >= pause);
        if due {
            self.looked_at = Some(Instant::now());
        }
        due
    }
}

/// Looks for the balancer, whose machine calls itself `host_name`, and has the containers of
/// `service` read again if it is elsewhere than before.
pub(crate) async fn look(service: Arc<Service>, host_name: Option<String>) {
    let place = match &host_name {
        Some(host_name) => match service.core.docker() {
            Ok(docker) => find(&service.core, &docker, host_name).await,
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
    core: &Core,
    docker: &Docker,
    host_name: &str,
) -> Result<BalancerPlace, DockerError> {
    if is_host(core, docker, host_name).await {
        return Ok(BalancerPlace::Host);
    }
    // A container's own host name is the beginning of its id, by which it is found at once.
    let by_name = inspect(core, docker, host_name).await;
    if let Ok(answer) = by_name
        && calls_itself(&answer, host_name)
    {
        return Ok(place_of(&answer));
    }
    let running = ListContainersOptionsBuilder::new().build();
    let listed = docker.list_containers(Some(running));
    let all = core.ask("list containers", ASK_LIMIT, listed).await?;
    for id in all.into_iter().filter_map(|container| container.id).take(CONTAINERS_MAX) {
        if let Ok(answer) = inspect(core, docker, &id).await
            && calls_itself(&answer, host_name)
        {
            return Ok(place_of(&answer));
        }
    }
    Ok(BalancerPlace::Unknown)
}

/// Whether `host_name` is that of the Docker host itself. A proxy in front of the daemon may not let
/// that question pass: then it is this machine's name that counts, if flyball runs on it.
async fn is_host(core: &Core, docker: &Docker, host_name: &str) -> bool {
    match core.ask("read its name", ASK_LIMIT, docker.info()).await {
        Ok(info) => info.name.as_deref() == Some(host_name),
        Err(_) => {
            let contained = std::path::Path::new("/.dockerenv").exists();
            !contained
                && core.machine.is_loopback()
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
    core: &Core,
    docker: &Docker,
    id: &str,
) -> Result<ContainerInspectResponse, DockerError> {
    let asked = docker.inspect_container(id, None::<InspectContainerOptions>);
    core.ask("inspect a container", ASK_LIMIT, asked).await
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
