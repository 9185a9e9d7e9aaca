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
use crate::confinement::{Excess, excess};
use crate::discovery::Seen;
use crate::end::remove_by_id;
use crate::host::{Core, INSPECT_LIMIT};
use crate::labels::{SERVICE, SIGNATURE, managed};
use crate::owner::Owner;
use crate::ports::Port;
use crate::pump::inspect;
use crate::service::Service;
use crate::settings::Publish;
use crate::standing::Members;
use crate::{DockerError, DockerSettings};

const CREATE_LIMIT: Duration = Duration::from_secs(60);
/// On a busy machine, with its network; 3 s were measured on two cores at full load.
const START_LIMIT: Duration = Duration::from_secs(60);
const PULL_LIMIT: Duration = Duration::from_secs(600);

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
    let (numbers, taken) = service.taken();
    // Held until the container has its own.
    let port = port_of(service, &taken)?;
    let number = port.as_ref().map_or(service.settings.port, |port| port.number);
    let signer = core.settings.signer.as_ref();
    let wanted = Wanted { settings: &service.settings, replica, port: number, signer };
    let birth = match &service.settings.image {
        Some(image) => Birth::of_image(wanted, image),
        None => {
            let template = template(service).await?;
            let copy = Birth::copy(wanted, &template, &numbers).map_err(|error| {
                let what = "describe the container to copy".into();
                DockerError::Broken { what, why: error.to_string() }
            })?;
            refuse_more(&service.settings, &template, &copy)?;
            copy
        }
    };
    let id = create(core, &birth).await?;
    if !service.wanted(replica) {
        return remove_by_id(core, &id).await;
    }
    if let Err(error) = run(core, &id, birth.further).await {
        if let Err(left) = remove_by_id(core, &id).await {
            tracing::warn!(container = id, %left, "what could not be started is still there");
        }
        return Err(error);
    }
    // Who cancels it from now on finds a container to stop.
    inspect(Arc::clone(core), Arc::clone(service), id).await;
    Ok(())
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
        // A flyball whose key is lost left its containers, and with them their names.
        Err(DockerError::NameTaken { name }) if is_left(core, &name).await => {
            let labels = birth.body.labels.as_ref();
            let signature = labels.and_then(|labels| labels.get(SIGNATURE)?.get(..6));
            let name = format!("{}-{}", birth.name, signature.unwrap_or_default());
            create_once(core, &Birth { name, ..birth.clone() }).await
        }
        outcome => outcome,
    }
}

/// Whether the container called `name` carries flyball's marks without its signature.
async fn is_left(core: &Core, name: &str) -> bool {
    let asked = core.call("inspect a container", INSPECT_LIMIT, |docker| async move {
        docker.inspect_container(name, None::<InspectContainerOptions>).await
    });
    let labels = asked.await.ok().and_then(|answer| answer.config?.labels);
    labels.is_some_and(|labels| managed(&labels) && !core.settings.signer.knows(&labels))
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

async fn run(
    core: &Core,
    id: &str,
    further: Vec<(String, bollard::models::EndpointSettings)>,
) -> Result<(), DockerError> {
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

/// A copy never has more than its original, beyond what the operator granted.
fn refuse_more(
    settings: &DockerSettings,
    template: &ContainerInspectResponse,
    copy: &Birth,
) -> Result<(), DockerError> {
    let Some(excess) = excess(template, copy, settings.granted) else { return Ok(()) };
    let Excess { field, original, copy } = excess;
    let container = template.name.clone().unwrap_or_default().trim_start_matches('/').to_owned();
    Err(DockerError::Exceeds {
        service: settings.service.clone(),
        container,
        field,
        original,
        copy,
    })
}

/// The container that a service without an image is copied from.
async fn template(service: &Service) -> Result<ContainerInspectResponse, DockerError> {
    let core = &service.core;
    let all = core.see().await?;
    let name = service.name();
    let members: Vec<(&ContainerSummary, Owner)> =
        all.iter().filter_map(|seen| member(seen, name, &service.settings.members)).collect();
    let owner = service.original_of(&owners(&members));
    let mine = members.iter().filter(|(_, other)| owner.as_ref() == Some(other));
    let id = newest(mine.map(|(summary, _)| *summary))
        .ok_or_else(|| DockerError::NoTemplate { service: name.to_owned() })?;
    core.call("inspect a container", INSPECT_LIMIT, |docker| async move {
        docker.inspect_container(&id, None::<InspectContainerOptions>).await
    })
    .await
}

/// A container of the service, and whose it is.
fn member<'a>(
    (summary, standing): &'a Seen,
    service: &str,
    members: &Members,
) -> Option<(&'a ContainerSummary, Owner)> {
    let standing = standing.as_ref().filter(|standing| members.admit(standing))?;
    let labels = summary.labels.as_ref()?;
    let is_one = labels.get(SERVICE).is_some_and(|name| name == service);
    is_one.then_some((summary, standing.owner()?))
}

/// Whose they are, the owner of the oldest first.
fn owners(members: &[(&ContainerSummary, Owner)]) -> Vec<Owner> {
    let mut by_age: Vec<&(&ContainerSummary, Owner)> = members.iter().collect();
    by_age.sort_by_key(|(summary, _)| (summary.created, summary.id.clone()));
    by_age.into_iter().map(|(_, owner)| owner.clone()).collect()
}

/// The newest one that runs; where none does, the newest.
fn newest<'a>(all: impl Iterator<Item = &'a ContainerSummary>) -> Option<String> {
    use bollard::models::ContainerSummaryStateEnum::RUNNING;
    let age = |c: &&ContainerSummary| (c.state == Some(RUNNING), c.created, c.id.clone());
    all.max_by_key(age)?.id.clone()
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
        let all =
            [container("a", 1, RUNNING), container("b", 2, RUNNING), container("c", 3, EXITED)];
        assert_eq!(newest(all.iter()).as_deref(), Some("b"));
        assert_eq!(newest(all[2..].iter()).as_deref(), Some("c"));
        assert_eq!(newest(all[..0].iter()), None);
        let whose = |summary, name: &str| (summary, Owner::Named(name.to_owned()));
        let members = [whose(&all[1], "second"), whose(&all[0], "first")];
        assert_eq!(owners(&members)[0], Owner::Named("first".into()));
    }
}
