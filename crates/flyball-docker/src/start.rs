//! Starts a container, from an image or as a copy of a container.
//!
//! A container that was created and cannot be started, or is no longer wanted, is removed.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, NetworkConnectRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, StartContainerOptions,
};
use flyball_core::generation::Generation;
use flyball_core::units::ReplicaId;
use flyball_engine::ports::{Port, Ports, TRIES};

use crate::client::{Client, INSPECT_LIMIT};
use crate::confinement::{Excess, excess};
use crate::create_spec::{CreateSpec, Wanted};
use crate::images::InUse;
use crate::labels::{SIGNATURE, managed};
use crate::remove::{carry_out, look_again, remove_by_id};
use crate::service::Service;
use crate::settings::Publish;
use crate::source::{Model, Source, source};
use crate::{DockerError, DockerSettings, copy, pull};

const CREATE_LIMIT: Duration = Duration::from_secs(60);
/// On a busy machine, with its network; 3 s were measured on two cores at full load.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Names that other containers have, one after another.
const NAMES_TRIED: u32 = 8;

/// Carries out the order for `replica`.
pub(crate) async fn start(
    service: Arc<Service>,
    replica: ReplicaId,
    generation: Option<Generation>,
) {
    // Never closed.
    let Ok(_place) = service.client.starts.acquire().await else { return };
    if !service.wanted(&replica) {
        return carry_out(&service, service.ordered_done(&replica));
    }
    match create_and_start(&service, &replica, generation).await {
        Ok(()) => carry_out(&service, service.ordered_done(&replica)),
        Err(error) => {
            tracing::debug!(%replica, %error, "a container was not started");
            service.failed(&replica, format!("cannot start: {error}"));
        }
    }
}

async fn create_and_start(
    service: &Arc<Service>,
    replica: &ReplicaId,
    generation: Option<Generation>,
) -> Result<(), DockerError> {
    let client = &service.client;
    // Held until the container has its own.
    let port = port_of(service, &service.ports_taken())?;
    let number = port.as_ref().map_or(service.settings().port, Port::number);
    let made = match source(service, generation).await? {
        Source::Image(image) => start_image(service, replica, number, &image).await?,
        Source::Container(model) => copy_model(service, replica, number, &model).await?,
    };
    let Made { id, further } = made;
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

/// A container that was created, and the networks that it has yet to join.
struct Made {
    id: String,
    further: Further,
}

type Further = Vec<(String, bollard::models::EndpointSettings)>;

/// Creates a container of an image: by its name, for people to read, as long as that means the same
/// image.
async fn start_image(
    service: &Service,
    replica: &ReplicaId,
    port: u16,
    image: &InUse,
) -> Result<Made, DockerError> {
    let client = &service.client;
    let settings = image.settings.as_ref();
    let generation = Some(image.generation);
    let signer = client.settings.signer.as_ref();
    let wanted = Wanted { settings, replica, port, generation, signer };
    let found = pull::find(client, &image.name).await?;
    let by = if found.as_ref() == Some(&image.id) { &image.name } else { &image.id };
    let spec = CreateSpec::of_image(wanted, by);
    let id = match create(client, &spec).await {
        // Somebody has removed it: what it was called may be had again.
        Err(DockerError::ImageNotFound { .. }) if found.is_none() => {
            let again = pull::have(client, &image.name).await?;
            if again != image.id {
                let generation = image.generation.to_string();
                return Err(DockerError::NoGeneration {
                    service: service.name().into(),
                    generation,
                });
            }
            create(client, &CreateSpec::of_image(wanted, &image.name)).await?
        }
        created => created?,
    };
    Ok(Made { id, further: spec.further })
}

/// Creates a copy of a container.
async fn copy_model(
    service: &Service,
    replica: &ReplicaId,
    port: u16,
    model: &Model,
) -> Result<Made, DockerError> {
    let (client, template) = (&service.client, &model.template);
    let signer = client.settings.signer.as_ref();
    let settings = &model.settings(&service.settings());
    let wanted = Wanted { settings, replica, port, generation: model.generation, signer };
    copy::refuse(template, settings, &service.balancer())?;
    let mut refused = None;
    for _ in 0..NAMES_TRIED {
        let number = service.reserve_number(replica, refused);
        let spec = CreateSpec::copy(wanted, template, number).map_err(|error| {
            let what = "describe the container to copy".into();
            DockerError::Broken { what, why: error.to_string() }
        })?;
        refuse_more(settings, template, &spec)?;
        match create(client, &spec).await {
            // A container that is not the service's may have the name.
            Err(DockerError::NameTaken { .. }) if spec.name != replica.as_str() => {
                refused = number;
            }
            created => return Ok(Made { id: created?, further: spec.further }),
        }
    }
    Err(DockerError::NameTaken { name: format!("{replica} and {NAMES_TRIED} more") })
}

fn port_of(service: &Service, taken: &BTreeSet<u16>) -> Result<Option<Port>, DockerError> {
    match service.settings().publish {
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

async fn create(client: &Client, spec: &CreateSpec) -> Result<String, DockerError> {
    match create_once(client, spec).await {
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
