//! The generations of a service: which run, and which can be made.

use std::collections::BTreeMap;

use flyball_core::generation::Generation;
use flyball_engine::GenerationInfo;

use super::Service;

impl Service {
    /// Those that run or that replicas can be made as, oldest first; the last one is what replicas
    /// are made as now, as far as that is known.
    pub(crate) fn generations(&self) -> Vec<GenerationInfo> {
        let mut all: BTreeMap<Generation, GenerationInfo> = BTreeMap::new();
        let images = self.images();
        for image in images.known() {
            let served = images.has_served(image.generation);
            all.insert(image.generation, GenerationInfo { served, ..image.info() });
        }
        let mut state = self.state();
        for container in state.containers.values() {
            let Some(generation) = container.make.generation else { continue };
            let served = container.was_ready();
            let (what, since) = (container.make.image.clone(), container.asked_at);
            let new = GenerationInfo { generation, what, since, served };
            let info = all.entry(generation).or_insert(new);
            info.since = info.since.min(since);
            info.served |= served;
        }
        let current = match self.settings().image {
            Some(_) => images.current().map(|image| image.generation),
            None => state.generation(),
        };
        let mut all: Vec<GenerationInfo> = all.into_values().collect();
        all.sort_by_key(|info| (current == Some(info.generation), info.since, info.generation));
        all
    }
}
