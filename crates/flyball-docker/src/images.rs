//! The image that the replicas of a service are made from, and those that they were made from before.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use flyball_core::generation::Generation;
use flyball_core::units::Timestamp;
use flyball_engine::GenerationInfo;

use crate::DockerSettings;

/// Generations that can be gone back to after the last of their replicas has ended.
const PAST_MAX: usize = 8;
/// As many digits of an image's id as Docker shows.
const SHORT_ID: usize = 12;

/// An image, and what replicas of it are made as.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InUse {
    /// As it was written.
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) generation: Generation,
    /// When it was looked up or deployed.
    pub(crate) since: Timestamp,
    /// The settings that are in the generation, beside the image.
    pub(crate) settings: Arc<DockerSettings>,
}

/// The images of one service.
#[derive(Debug, Default)]
pub(crate) struct Images {
    current: Option<InUse>,
    past: VecDeque<InUse>,
    /// Generations of which a replica was ready, of those that are known.
    served: BTreeSet<Generation>,
    /// Whether the image of the settings is being looked up, or was.
    pub(crate) followed: bool,
    /// What the owner must know of the current image, or of the lack of one.
    pub(crate) note: Option<String>,
}

impl InUse {
    /// With the first digits of its id, since its name may mean another image by now.
    fn shown(&self) -> String {
        shown(&self.name, &self.id)
    }

    /// Whether it served is known to [`Images`].
    pub(crate) fn info(&self) -> GenerationInfo {
        let Self { generation, since, .. } = *self;
        GenerationInfo { generation, what: self.shown(), since, served: false }
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

    /// A replica of `generation` is ready.
    pub(crate) fn serve(&mut self, generation: Generation) {
        self.served.insert(generation);
    }

    pub(crate) fn has_served(&self, generation: Generation) -> bool {
        self.served.contains(&generation)
    }

    pub(crate) fn set(&mut self, image: InUse) {
        self.past.retain(|past| past.generation != image.generation);
        let before = self.current.take().filter(|before| before.generation != image.generation);
        if let Some(before) = before {
            self.past.push_front(before);
            self.past.truncate(PAST_MAX);
        }
        self.current = Some(image);
        let known: BTreeSet<Generation> = self.known().map(|known| known.generation).collect();
        self.served.retain(|generation| known.contains(generation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(number: u64) -> InUse {
        let generation = Generation::of_digest((number + 1) << 16);
        let (name, id) = (format!("shop:{number}"), format!("sha256:{number:064x}"));
        let settings = Arc::new(DockerSettings::new("web", 80));
        InUse { name, id, generation, since: Timestamp::from_ms(number), settings }
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
