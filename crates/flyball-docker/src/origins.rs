//! Remembers who wrote the labels of which container.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::provenance::{Labels, Provenance};

/// Images whose labels are remembered; a host that runs more is asked again now and then.
const IMAGES_KEPT: usize = 256;

/// What was found out already, and what is being asked.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    containers: BTreeMap<String, Arc<Provenance>>,
    images: BTreeMap<String, Arc<Labels>>,
    asking: BTreeSet<String>,
    /// Containers of which was said that flyball's marks on them are none.
    told: BTreeSet<String>,
}

impl Origins {
    /// Forgets the containers that are none of `ids`.
    pub(crate) fn retain(&self, ids: &BTreeSet<&str>) {
        let mut known = self.known();
        known.containers.retain(|id, _| ids.contains(id.as_str()));
        known.told.retain(|id| ids.contains(id.as_str()));
    }

    /// Forgets one container, of which something has changed.
    pub(crate) fn forget(&self, id: &str) {
        self.known().containers.remove(id);
    }

    pub(crate) fn of(&self, id: &str) -> Option<Arc<Provenance>> {
        self.known().containers.get(id).cloned()
    }

    /// Keeps what was found of a container, unless it is known already.
    pub(crate) fn keep(&self, id: String, found: Provenance) -> Arc<Provenance> {
        Arc::clone(self.known().containers.entry(id).or_insert_with(|| Arc::new(found)))
    }

    /// The labels of an image, if they are remembered.
    pub(crate) fn image(&self, id: &str) -> Option<Arc<Labels>> {
        self.known().images.get(id).cloned()
    }

    /// Takes note that flyball's marks on a container are none; false if that was said before.
    pub(crate) fn mark_unsigned(&self, id: &str) -> bool {
        self.known().told.insert(id.to_owned())
    }

    pub(crate) fn keep_image(&self, id: String, labels: Arc<Labels>) {
        let mut known = self.known();
        if known.images.len() >= IMAGES_KEPT {
            known.images.clear();
        }
        known.images.insert(id, labels);
    }

    /// Takes those of `ids` that are unknown and not being asked about.
    pub(crate) fn take_unknown(&self, ids: &BTreeSet<&str>) -> Vec<String> {
        let mut known = self.known();
        let Known { containers, asking, .. } = &mut *known;
        let unknown = ids.iter().filter(|id| !containers.contains_key(**id));
        unknown.filter(|id| asking.insert((**id).to_owned())).map(|id| (*id).to_owned()).collect()
    }

    pub(crate) fn asked(&self, id: &str) {
        self.known().asking.remove(id);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
