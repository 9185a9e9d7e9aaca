//! How a container is started.
//!
//! Decides what it is made from (the image of the settings or the service's newest container), and
//! that a missing image is pulled. Does not know whether it serves once it runs.
//! Invariant: what was created and could not be started, or is not wanted any more, is removed.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerSummary, NetworkConnectRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptions,
    StartContainerOptions,
};
use flyball_core::units::ReplicaId;
use futures_util::StreamExt;

use crate::birth::{Birth, Wanted};
use crate::end::remove_by_id;
use crate::host::{Core, INSPECT_LIMIT};
use crate::labels::{SERVICE, managed};
use crate::ports::Port;
use crate::pump::inspect;
use crate::service::Service;
use crate::settings::Publish;
use crate::{DockerError, copy};

const CREATE_LIMIT: Duration = Duration::from_secs(60);
/// On a busy machine, with its network; 3 s were measured on two cores at full load.
const START_LIMIT: Duration = Duration::from_secs(60);
const PULL_LIMIT: Duration = Duration::from_secs(600);
/// Names that Compose would give and other containers have, one after another.
const NAMES_TRIED: u32 = 8;

/// Carries out the order for `replica`.
pub(crate) async fn start(service: Arc<Service>, replica: ReplicaId) {
    // Never closed.
    let Ok(_place) = service.core.starts.acquire().await else { return };
    if !service.wanted(&replica) {
        service.ordered_done(&replica);
        return;
    }
    match born(&service, &replica).await {
        Ok(()) => service.ordered_done(&replica),
        Err(error) => {
            tracing::debug!(%replica, %error, "a container was not started");
            service.failed(&replica, format!("cannot start: {error}"));
        }
    }
}

async fn born(service: &Arc<Service>, replica: &ReplicaId) -> Result<(), DockerError> {
    let core = &service.core;
    // Held until the container has its own.
    let port = port_of(service, &service.ports_taken())?;
    let number = port.as_ref().map_or(service.settings.port, |port| port.number);
    let wanted = Wanted { settings: &service.settings, replica, port: number };
    let (id, further) = match &service.settings.image {
        Some(image) => {
            let birth = Birth::of_image(wanted, image);
            (create(core, &birth).await?, birth.further)
        }
        None => copy_newest(service, wanted).await?,
    };
    if !service.wanted(replica) {
        return remove_by_id(core, &id).await;
    }
    if let Err(error) = run(core, &id, further).await {
        if let Err(left) = remove_by_id(core, &id).await {
            tracing::warn!(container = id, %left, "what could not be started is still there");
        }
        return Err(error);
    }
    // Who cancels it from now on finds a container to stop.
    inspect(Arc::clone(core), Arc::clone(service), id).await;
    Ok(())
}

/// Networks that a container has yet to join.
type Further = Vec<(String, bollard::models::EndpointSettings)>;

/// Creates a copy of the service's newest container; gives its id and the networks to join.
async fn copy_newest(
    service: &Service,
    wanted: Wanted<'_>,
) -> Result<(String, Further), DockerError> {
    let core = &service.core;
    let template = template(core, service.name()).await?;
    copy::refuse(&template, &service.settings, &service.balancer())?;
    let mut refused = None;
    for _ in 0..NAMES_TRIED {
        let number = service.reserve_number(wanted.replica, refused);
        let birth =
            Birth::copy(wanted, &template, number).map_err(|error| DockerError::Broken {
                what: "describe the container to copy".into(),
                why: error.to_string(),
            })?;
        match create(core, &birth).await {
            // A container that is not the service's may have the name, as one of an older Compose.
            Err(DockerError::NameTaken { .. }) if birth.name != wanted.replica.as_str() => {
                refused = number;
            }
            created => return Ok((created?, birth.further)),
        }
    }
    Err(DockerError::NameTaken { name: format!("{} and {NAMES_TRIED} more", wanted.replica) })
}

fn port_of(
    service: &Service,
    taken: &std::collections::BTreeSet<u16>,
) -> Result<Option<Port>, DockerError> {
    match service.settings.publish {
        Publish::HostNetwork => service.core.ports.take(taken).map(Some),
        Publish::Address(_) | Publish::ContainerAddress { .. } => Ok(None),
    }
}

/// Creates a container; its image is pulled if it is missing.
async fn create(core: &Core, birth: &Birth) -> Result<String, DockerError> {
    match create_once(core, birth).await {
        Err(DockerError::ImageNotFound { .. }) => {
            pull(core, birth.body.image.as_deref().unwrap_or_default()).await?;
            create_once(core, birth).await
        }
        outcome => outcome,
    }
}

async fn create_once(core: &Core, birth: &Birth) -> Result<String, DockerError> {
    let options = CreateContainerOptionsBuilder::new().name(&birth.name).build();
    let body = birth.body.clone();
    let what = format!("create container {}", birth.name);
    let made = core
        .call(&what, CREATE_LIMIT, |docker| async move {
            docker.create_container(Some(options), body).await
        })
        .await?;
    Ok(made.id)
}

async fn pull(core: &Core, image: &str) -> Result<(), DockerError> {
    let _turn = core.pull.lock().await;
    let docker = core.docker()?;
    if core.ask("find an image", INSPECT_LIMIT, docker.inspect_image(image)).await.is_ok() {
        return Ok(());
    }
    tracing::info!(image, "pulling an image");
    let name = if image.contains('@') || image.rsplit('/').next().is_some_and(|n| n.contains(':')) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    };
    let options = CreateImageOptionsBuilder::new().from_image(&name).build();
    let pulled = async {
        let mut steps = std::pin::pin!(docker.create_image(Some(options), None, None));
        while let Some(step) = steps.next().await {
            step?;
        }
        Ok(())
    };
    let what = format!("pull image {image}");
    core.ask(&what, PULL_LIMIT, pulled).await.map_err(|error| error.of_pull(image))
}

async fn run(core: &Core, id: &str, further: Further) -> Result<(), DockerError> {
    for (network, endpoint) in further {
        let container = id.to_owned();
        let request = NetworkConnectRequest { container, endpoint_config: Some(endpoint) };
        core.call("connect a container", START_LIMIT, |docker| async move {
            docker.connect_network(&network, request).await
        })
        .await?;
    }
    core.call("start a container", START_LIMIT, |docker| async move {
        docker.start_container(id, None::<StartContainerOptions>).await
    })
    .await
}

/// The container that a service without an image is copied from.
async fn template(core: &Core, service: &str) -> Result<ContainerInspectResponse, DockerError> {
    let all = core.list().await?;
    let id = newest(&all, service)
        .ok_or_else(|| DockerError::NoTemplate { service: service.to_owned() })?;
    core.call("inspect a container", INSPECT_LIMIT, |docker| async move {
        docker.inspect_container(&id, None::<InspectContainerOptions>).await
    })
    .await
}

/// The newest of those that flyball did not start, which say what the service is; of these, and of
/// its copies where there are no others, the newest one that runs; where none does, the newest.
fn newest(all: &[ContainerSummary], service: &str) -> Option<String> {
    use bollard::models::ContainerSummaryStateEnum::RUNNING;
    let of_service = |c: &&ContainerSummary| {
        c.labels.as_ref().and_then(|labels| labels.get(SERVICE)).is_some_and(|name| name == service)
    };
    let age = |c: &&ContainerSummary| {
        let own = !c.labels.as_ref().is_some_and(managed);
        (own, c.state == Some(RUNNING), c.created, c.id.clone())
    };
    all.iter().filter(of_service).max_by_key(age)?.id.clone()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bollard::models::ContainerSummaryStateEnum::{EXITED, RUNNING};

    use super::*;

    #[test]
    fn the_newest_running_container_is_copied_and_a_dead_one_only_for_want_of_it() {
        let container = |id: &str, created, state| ContainerSummary {
            id: Some(id.to_owned()),
            created: Some(created),
            state: Some(state),
            labels: Some(HashMap::from([(SERVICE.to_owned(), "web".to_owned())])),
            ..Default::default()
        };
        let mut all =
            vec![container("a", 1, RUNNING), container("b", 2, RUNNING), container("c", 3, EXITED)];
        assert_eq!(newest(&all, "web").as_deref(), Some("b"));
        let mut copy = container("d", 4, RUNNING);
        copy.labels.as_mut().unwrap().insert("flyball.managed".to_owned(), "true".to_owned());
        all.push(copy);
        assert_eq!(newest(&all, "web").as_deref(), Some("b"), "not a copy of a copy");
        all.truncate(0);
        all.push(container("c", 3, EXITED));
        assert_eq!(newest(&all, "web").as_deref(), Some("c"));
        assert_eq!(newest(&all, "api"), None);
    }
}
