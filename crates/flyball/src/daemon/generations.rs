//! The generations of a service as they are shown: what the engine can make, and what runs.

use std::collections::BTreeMap;

use flyball_core::generation::Generation;
use flyball_core::observation::{Phase, ReplicaReport};
use flyball_engine::GenerationInfo;
use flyball_web::GenerationView;

use super::live::Live;
use super::registry::ServiceState;
use crate::clock;

/// Those of `slot` at a look, the newest last; none where the engine knows no generations. Of
/// those that no replica has, only the current one and what a rollback can go to.
pub(super) fn of(live: &Live, slot: &ServiceState) -> Vec<GenerationView> {
    let Some(engine) = &live.engine else { return Vec::new() };
    let Some(offered) = engine.generation else { return Vec::new() };
    let current = slot.deploys.order().back_to.unwrap_or(offered);
    let known = slot.running_engine().map(|engine| engine.generations()).unwrap_or_default();
    let known: BTreeMap<Generation, GenerationInfo> =
        known.into_iter().map(|info| (info.generation, info)).collect();
    let mut all: Vec<Generation> = engine.replicas.iter().filter_map(|r| r.generation).collect();
    all.extend(known.values().filter(|info| info.served).map(|info| info.generation));
    all.extend([offered, current]);
    all.sort_unstable();
    all.dedup();
    let shown = all.into_iter().map(|generation| {
        view(generation, known.get(&generation), &engine.replicas, generation == current)
    });
    let mut shown: Vec<GenerationView> = shown.collect();
    shown.sort_by_key(|view| (view.since_wall_ms, view.generation));
    shown
}

fn view(
    generation: Generation,
    info: Option<&GenerationInfo>,
    replicas: &[ReplicaReport],
    current: bool,
) -> GenerationView {
    let own = || replicas.iter().filter(|replica| replica.generation == Some(generation));
    let count = |all: usize| u32::try_from(all).unwrap_or(u32::MAX);
    let asked = own().map(|replica| replica.asked_at).min();
    GenerationView {
        generation,
        what: info.map(|info| info.what.clone()),
        replicas: count(own().count()),
        ready: count(own().filter(|replica| replica.phase == Phase::Ready).count()),
        protected: count(own().filter(|replica| replica.protected).count()),
        since_wall_ms: info.map(|info| info.since).or(asked).map(clock::wall_of),
        current,
    }
}
