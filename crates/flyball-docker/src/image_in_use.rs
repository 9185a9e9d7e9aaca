//! Which image the replicas of a service are made from, and which they were made from before.
//!
//! A name may mean another image tomorrow: replicas are made from an id, until somebody deploys.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flyball_core::generation::Generation;
use flyball_engine::Hint as _;
use tokio::time::sleep;

use crate::service::Service;
use crate::{DockerError, generation, pull};

/// Generations that can be gone back to after the last of their replicas has ended.
const PAST_MAX: usize = 8;
/// Until there is a connection.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A registry that does not give an image is asked again after that.
const PULL_AGAIN: Duration = Duration::from_secs(60);
/// As many digits of an image's id as Docker shows.
const SHORT_ID: usize = 12;

/// An image, and what replicas of it are made as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InUse {
    /// As it was written.
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) generation: Generation,
}

/// The images of one service.
#[derive(Debug, Default)]
pub(crate) struct Images {
    current: Option<InUse>,
    past: VecDeque<InUse>,
    /// Whether the image of the settings is being looked up, or was.
    pub(crate) followed: bool,
    /// What the owner must know of the current image, or of the lack of one.
    pub(crate) note: Option<String>,
}

impl InUse {
    /// With the first digits of its id, since its name may mean another image by now.
    pub(crate) fn shown(&self) -> String {
        shown(&self.name, &self.id)
    }
}

/// An image for people.
pub(crate) fn shown(name: &str, id: &str) -> String {
    let digits = id.rsplit(':').next().unwrap_or(id);
    let short = digits.get(..SHORT_ID).unwrap_or(digits);
    // One that was started by its id has no other name.
    if name.is_empty() || name == id { short.to_owned() } else { format!("{name} ({short})") }
}

impl Images {
    pub(crate) fn current(&self) -> Option<&InUse> {
        self.current.as_ref()
    }

    /// The image that replicas of `generation` are made from.
    pub(crate) fn of(&self, generation: Generation) -> Option<&InUse> {
        self.known().find(|image| image.generation == generation)
    }

    /// The current one, then earlier ones.
    pub(crate) fn known(&self) -> impl Iterator<Item = &InUse> {
        self.current.iter().chain(&self.past)
    }

    pub(crate) fn set(&mut self, image: InUse) {
        self.past.retain(|past| past.generation != image.generation);
        let before = self.current.take().filter(|before| before.generation != image.generation);
        if let Some(before) = before {
            self.past.push_front(before);
            self.past.truncate(PAST_MAX);
        }
        self.current = Some(image);
    }
}

/// Looks up the image of the settings until that is known; it is pulled if it is missing.
pub(crate) async fn follow(service: Arc<Service>) {
    while !service.is_closed() && service.images().current().is_none() {
        let pause = match current(&service).await {
            Ok(_) => return,
            Err(DockerError::NotRunning { .. }) => LOOK_AGAIN,
            Err(error) => {
                service.images().note = Some(error.with_hint());
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

/// Pulls `image`, or the one in use by its name, and makes replicas from it from now on.
pub(crate) async fn deploy(
    service: &Service,
    image: Option<String>,
) -> Result<Generation, DockerError> {
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
    let name = image.filter(|_| service.settings.image.is_some());
    let name = name.or_else(used).or_else(|| service.settings.image.clone());
    name.ok_or_else(|| DockerError::NoImage { service: service.name().to_owned() })
}

fn in_use(service: &Service, name: String, id: String) -> InUse {
    let signer = &service.client.settings.signer;
    let generation = generation::of_image(&service.settings, &id, signer);
    InUse { name, id, generation }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(number: u64) -> InUse {
        let generation = Generation::of_digest((number + 1) << 16);
        InUse { name: format!("shop:{number}"), id: format!("sha256:{number:064x}"), generation }
    }

    #[test]
    fn earlier_images_are_remembered_each_once_and_so_many() {
        let mut images = Images::default();
        (0..20).for_each(|number| images.set(image(number)));
        images.set(image(18));
        images.set(image(18));
        assert_eq!(images.current(), Some(&image(18)));
        assert_eq!(images.of(image(19).generation), Some(&image(19)));
        assert_eq!(images.of(image(3).generation), None);
        assert_eq!(images.known().count(), 1 + PAST_MAX);
        assert_eq!(images.known().filter(|known| **known == image(18)).count(), 1);
    }

    #[test]
    fn an_image_is_shown_with_the_digits_that_docker_shows() {
        let id = format!("sha256:0123456789ab{}", "0".repeat(52));
        assert_eq!(shown("shop:1", &id), "shop:1 (0123456789ab)");
        assert_eq!(shown(&id, &id), "0123456789ab");
    }
}
