//! Looks up the image that the replicas of a service are made from.
//!
//! A name may mean another image tomorrow: replicas are made from an id, until somebody deploys.

use std::sync::Arc;
use std::time::Duration;

use flyball_core::generation::Generation;
use flyball_engine::Hint as _;
use tokio::time::sleep;

use crate::images::InUse;
use crate::service::Service;
use crate::{DockerError, DockerSettings, generation, pull};

/// Until there is a connection.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A registry that does not give an image is asked again after that.
const PULL_AGAIN: Duration = Duration::from_secs(60);

/// Looks up the image of the settings until that is known; it is pulled if it is missing.
pub(crate) async fn follow(service: Arc<Service>) {
    while !service.is_closed() && service.images().current().is_none() {
        let pause = match current(&service).await {
            Ok(_) => return,
            Err(DockerError::NotRunning { .. }) => LOOK_AGAIN,
            Err(error) => {
                // Where nothing runs yet, each start that fails says it.
                if service.has_containers() {
                    service.images().note = Some(error.with_hint());
                }
                PULL_AGAIN
            }
        };
        sleep(pause).await;
    }
}

/// The image to make replicas from; looked up where it is not known yet.
pub(crate) async fn current(service: &Service) -> Result<InUse, DockerError> {
    if let Some(current) = service.images().current().cloned() {
        return Ok(current);
    }
    let name = named(service, None)?;
    let id = pull::have(&service.client, &name).await?;
    let found = in_use(service, name, id);
    let mut images = service.images();
    // Somebody may have deployed another one meanwhile.
    let current = images.current().cloned();
    let current = current.unwrap_or_else(|| {
        images.note = None;
        images.set(found.clone());
        found
    });
    drop(images);
    service.changed.notify_one();
    Ok(current)
}

/// Pulls `image`, or the one in use by its name, and makes replicas from it from now on. Copies are
/// what their original is already.
pub(crate) async fn deploy(
    service: &Service,
    image: Option<String>,
) -> Result<Generation, DockerError> {
    if service.settings().image.is_none() && image.is_none() {
        let none = || DockerError::NoTemplate { service: service.name().to_owned() };
        return service.generation_of_copies().ok_or_else(none);
    }
    let name = named(service, image)?;
    let (id, note) = newest(service, &name).await?;
    let found = in_use(service, name, id);
    let generation = found.generation;
    let mut images = service.images();
    images.note = note;
    images.set(found);
    drop(images);
    service.changed.notify_one();
    Ok(generation)
}

/// Makes replicas as `settings` say, of the image in use: at once, or with the deploy that follows.
/// Copies follow once their originals have been inspected again.
pub(crate) fn reconfigure(
    service: &Service,
    settings: DockerSettings,
    deploy_follows: bool,
) -> Option<Generation> {
    let image = service.settings().image.clone();
    let copies = image.is_none();
    service.set_settings(DockerSettings { image, ..settings });
    if copies {
        service.reread();
        return None;
    }
    let mut images = service.images();
    let current = images.current().cloned().filter(|_| !deploy_follows)?;
    let made = in_use(service, current.name, current.id);
    let generation = made.generation;
    images.set(made);
    drop(images);
    service.changed.notify_one();
    Some(generation)
}

/// The image that the registry has under `name`. One that was built on the host may be in none.
async fn newest(service: &Service, name: &str) -> Result<(String, Option<String>), DockerError> {
    let client = &service.client;
    let error = match pull::renew(client, name).await {
        Ok(id) => return Ok((id, None)),
        Err(error) => error,
    };
    let elsewhere = matches!(
        error,
        DockerError::ImageNotFound { .. }
            | DockerError::RegistryUnreachable { .. }
            | DockerError::RegistryRefused { .. }
    );
    match pull::find(client, name).await {
        Ok(Some(id)) if elsewhere => {
            let note = format!("{name} was not pulled; its image on the host is used: {error}");
            tracing::warn!("{}: {note}", service.name());
            Ok((id, Some(note)))
        }
        _ => Err(error),
    }
}

fn named(service: &Service, image: Option<String>) -> Result<String, DockerError> {
    let used = || service.images().current().map(|image| image.name.clone());
    let settings = service.settings();
    let name = image.filter(|_| settings.image.is_some());
    let name = name.or_else(used).or_else(|| settings.image.clone());
    name.ok_or_else(|| DockerError::NoImage { service: service.name().to_owned() })
}

fn in_use(service: &Service, name: String, id: String) -> InUse {
    let (signer, settings) = (&service.client.settings.signer, service.settings());
    let generation = generation::of_image(&settings, &id, signer);
    InUse { name, id, generation, since: service.client.now(), settings }
}
