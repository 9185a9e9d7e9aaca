//! Starts a container, from the configured image or as a copy of the service's newest container.
//!
//! A container that was created and cannot be started, or is no longer wanted, is removed.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerSummary, NetworkConnectRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptions,
    StartContainerOptions,
};
use flyball_core::units::ReplicaId;
use flyball_engine::ports::{Port, Ports, TRIES};
use futures_util::StreamExt;

use crate::client::{Client, INSPECT_LIMIT};
use crate::confinement::{Excess, excess};
use crate::create_spec::{CreateSpec, Wanted};
use crate::discovery::Seen;
use crate::labels::{SERVICE, SIGNATURE, managed};
use crate::owner::Owner;
use crate::remove::{carry_out, look_again, remove_by_id};
use crate::service::Service;
use crate::settings::Publish;
use crate::standing::Members;
use crate::{DockerError, DockerSettings, copy};

const CREATE_LIMIT: Duration = Duration::from_secs(60);
/// On a busy machine, with its network; 3 s were measured on two cores at full load.
const START_LIMIT: Duration = Duration::from_secs(60);
const PULL_LIMIT: Duration = Duration::from_secs(600);
/// Names that Compose would give and other containers have, one after another.
const NAMES_TRIED: u32 = 8;

/// Carries out the order for `replica`.
pub(crate) async fn start(service: Arc<Service>, replica: ReplicaId) {
    // Never closed.
    let Ok(_place) = service.client.starts.acquire().await else { return };
    if !service.wanted(&replica) {
        return carry_out(&service, service.ordered_done(&replica));
    }
    match create_and_start(&service, &replica).await {
        Ok(()) => carry_out(&service, service.ordered_done(&replica)),
        Err(error) => {
            tracing::debug!(%replica, %error, "a container was not started");
            service.failed(&replica, format!("cannot start: {error}"));
        }
    }
}

async fn create_and_start(service: &Arc<Service>, replica: &ReplicaId) -> Result<(), DockerError> {
    let client = &service.client;
    // Held until the container has its own.
    let port = port_of(service, &service.ports_taken())?;
    let number = port.as_ref().map_or(service.settings.port, Port::number);
    let signer = client.settings.signer.as_ref();
    let wanted = Wanted { settings: &service.settings, replica, port: number, signer };
    let (id, further) = match &service.settings.image {
        Some(image) => {
            let spec = CreateSpec::of_image(wanted, image);
            (create(client, &spec).await?, spec.further)
        }
        None => copy_newest(service, wanted).await?,
    };
    if !service.wanted(replica) {
        return remove_by_id(client, &id).await;
    }
    if let Err(error) = run(client, &id, further).await {
        if let Err(left) = remove_by_id(client, &id).await {
            tracing::warn!(container = id, %left, "a container that could not be started was not removed");
        }
        return Err(error);
    }
    // Who cancels it from now on finds a container to stop.
    look_again(Arc::clone(client), Arc::clone(service), id).await;
    Ok(())
}

/// Networks that a container has yet to join.
type Further = Vec<(String, bollard::models::EndpointSettings)>;

/// Creates a copy of the service's newest container; gives its id and the networks to join.
async fn copy_newest(
    service: &Service,
    wanted: Wanted<'_>,
) -> Result<(String, Further), DockerError> {
    let client = &service.client;
    let template = template(service).await?;
    copy::refuse(&template, &service.settings, &service.balancer())?;
    let mut refused = None;
    for _ in 0..NAMES_TRIED {
        let number = service.reserve_number(wanted.replica, refused);
        let spec =
            CreateSpec::copy(wanted, &template, number).map_err(|error| DockerError::Broken {
                what: "describe the container to copy".into(),
                why: error.to_string(),
            })?;
        refuse_more(&service.settings, &template, &spec)?;
        match create(client, &spec).await {
            // A container that is not the service's may have the name, as one of an older Compose.
            Err(DockerError::NameTaken { .. }) if spec.name != wanted.replica.as_str() => {
                refused = number;
            }
            created => return Ok((created?, spec.further)),
        }
    }
    Err(DockerError::NameTaken { name: format!("{} and {NAMES_TRIED} more", wanted.replica) })
}

fn port_of(service: &Service, taken: &BTreeSet<u16>) -> Result<Option<Port>, DockerError> {
    match service.settings.publish {
        Publish::HostNetwork => host_port(&service.client.ports, taken).map(Some),
        Publish::Address(_) | Publish::ContainerAddress { .. } => Ok(None),
    }
}

/// A port that is free on every address of this machine and that `taken` does not hold.
fn host_port(ports: &Ports, taken: &BTreeSet<u16>) -> Result<Port, DockerError> {
    let none = |why: String| DockerError::NoPort { why };
    let port = ports.take(Ipv4Addr::UNSPECIFIED, taken).map_err(|error| none(error.to_string()))?;
    port.ok_or_else(|| none(format!("{TRIES} tries gave only ports in use")))
}

/// Creates a container; its image is pulled if it is missing.
async fn create(client: &Client, spec: &CreateSpec) -> Result<String, DockerError> {
    match create_once(client, spec).await {
        Err(DockerError::ImageNotFound { .. }) => {
            pull(client, spec.body.image.as_deref().unwrap_or_default()).await?;
            create_once(client, spec).await
        }
        // A flyball whose key is lost left its containers, and with them their names.
        Err(DockerError::NameTaken { name }) if is_left(client, &name).await => {
            let labels = spec.body.labels.as_ref();
            let signature = labels.and_then(|labels| labels.get(SIGNATURE)?.get(..6));
            let name = format!("{}-{}", spec.name, signature.unwrap_or_default());
            create_once(client, &CreateSpec { name, ..spec.clone() }).await
        }
        outcome => outcome,
    }
}

/// Whether the container called `name` carries flyball's marks without its signature.
async fn is_left(client: &Client, name: &str) -> bool {
    let asked = client.call("inspect a container", INSPECT_LIMIT, |docker| async move {
        docker.inspect_container(name, None::<InspectContainerOptions>).await
    });
    let labels = asked.await.ok().and_then(|answer| answer.config?.labels);
    labels.is_some_and(|labels| managed(&labels) && !client.settings.signer.knows(&labels))
}

async fn create_once(client: &Client, spec: &CreateSpec) -> Result<String, DockerError> {
    let options = CreateContainerOptionsBuilder::new().name(&spec.name).build();
    let body = spec.body.clone();
    let what = format!("create container {}", spec.name);
    let made = client
        .call(&what, CREATE_LIMIT, |docker| async move {
            docker.create_container(Some(options), body).await
        })
        .await?;
    Ok(made.id)
}

async fn pull(client: &Client, image: &str) -> Result<(), DockerError> {
    let _turn = client.pull.lock().await;
    let docker = client.docker()?;
    if client.ask("find an image", INSPECT_LIMIT, docker.inspect_image(image)).await.is_ok() {
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
    client.ask(&what, PULL_LIMIT, pulled).await.map_err(|error| error.of_pull(image))
}

async fn run(client: &Client, id: &str, further: Further) -> Result<(), DockerError> {
    for (network, endpoint) in further {
        let container = id.to_owned();
        let request = NetworkConnectRequest { container, endpoint_config: Some(endpoint) };
        client
            .call("connect a container", START_LIMIT, |docker| async move {
                docker.connect_network(&network, request).await
            })
            .await?;
    }
    client
        .call("start a container", START_LIMIT, |docker| async move {
            docker.start_container(id, None::<StartContainerOptions>).await
        })
        .await
}

/// A copy never has more than its original, beyond what the operator granted.
///
/// # Errors
/// [`DockerError::Exceeds`], with the first field in which it would.
pub(crate) fn refuse_more(
    settings: &DockerSettings,
    template: &ContainerInspectResponse,
    copy: &CreateSpec,
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
    let client = &service.client;
    let all = client.see().await?;
    let name = service.name();
    let members: Vec<Member<'_>> =
        all.iter().filter_map(|seen| Member::of(seen, name, &service.settings.members)).collect();
    let owner = service.original_of(&owners(&members));
    let id = newest(members.iter().filter(|member| owner.as_ref() == Some(&member.owner)))
        .ok_or_else(|| DockerError::NoTemplate { service: name.to_owned() })?;
    client
        .call("inspect a container", INSPECT_LIMIT, |docker| async move {
            docker.inspect_container(&id, None::<InspectContainerOptions>).await
        })
        .await
}

/// A container of the service, and whose it is.
#[derive(Debug)]
struct Member<'a> {
    summary: &'a ContainerSummary,
    owner: Owner,
    /// Whether flyball started it.
    started: bool,
}

impl<'a> Member<'a> {
    fn of((summary, standing): &'a Seen, service: &str, members: &Members) -> Option<Self> {
        let standing = standing.as_ref().filter(|standing| members.admit(standing))?;
        let named = summary.labels.as_ref()?.get(SERVICE);
        named.filter(|name| *name == service)?;
        Some(Self { summary, owner: standing.owner()?, started: standing.is_started() })
    }
}

/// Whose they are, the owner of the oldest first.
fn owners(members: &[Member<'_>]) -> Vec<Owner> {
    let mut by_age: Vec<&Member<'_>> = members.iter().collect();
    by_age.sort_by_key(|member| (member.summary.created, member.summary.id.clone()));
    by_age.into_iter().map(|member| member.owner.clone()).collect()
}

/// The newest of those that flyball did not start, which say what the service is; of these, and of
/// its copies where there are no others, the newest one that runs; where none does, the newest.
fn newest<'a>(members: impl Iterator<Item = &'a Member<'a>>) -> Option<String> {
    use bollard::models::ContainerSummaryStateEnum::RUNNING;
    let age = |member: &&Member<'_>| {
        let summary = member.summary;
        (!member.started, summary.state == Some(RUNNING), summary.created, summary.id.clone())
    };
    members.max_by_key(age)?.summary.id.clone()
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
        let all = [
            container("a", 1, RUNNING),
            container("b", 2, RUNNING),
            container("c", 3, EXITED),
            container("d", 4, RUNNING),
        ];
        let member = |summary, name: &str| Member {
            summary,
            owner: Owner::Named(name.to_owned()),
            started: false,
        };
        let mut members: Vec<Member<'_>> = all.iter().map(|c| member(c, "first")).collect();
        members[3].started = true;
        assert_eq!(newest(members.iter()).as_deref(), Some("b"), "not a copy of a copy");
        assert_eq!(newest(members[2..].iter()).as_deref(), Some("c"));
        assert_eq!(newest(members[3..].iter()).as_deref(), Some("d"));
        assert_eq!(newest(members[..0].iter()), None);
        let two = [member(&all[1], "second"), member(&all[0], "first")];
        assert_eq!(owners(&two)[0], Owner::Named("first".into()));
    }
}
