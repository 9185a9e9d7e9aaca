//! New versions of the service that come in the middle of it all, some of which do not run.

use std::collections::{BTreeMap, BTreeSet};

use flyball_core::generation::Generation;
use flyball_core::observation::EngineReport;
use flyball_core::rollout::RolloutOrder;
use flyball_core::units::ReplicaId;

use super::super::requests::arrivals::unit;
use super::story::SAFETY_LOOKS;
use crate::seed::{Purpose, Seed, Stream};

/// So many stories have deploys at all.
const STORIES: f64 = 0.5;
/// How often there is one, for each look.
const OFTEN: f64 = 0.04;
/// So many of the versions do not run.
const BROKEN: f64 = 0.3;
/// How often a rollout is paused or goes on, for each look.
const PAUSES: f64 = 0.02;

/// What is deployed, and what each replica was made as.
#[derive(Debug)]
pub(super) struct Deploys {
    chance: Stream,
    /// Whether this story has any.
    happen: bool,
    version: u64,
    broken: BTreeSet<Generation>,
    made: BTreeMap<ReplicaId, Generation>,
    paused: bool,
    back_to: Option<Generation>,
}

impl Deploys {
    pub(super) fn new(seed: Seed) -> Self {
        // The story has the first lane of faults, the stage the second.
        let mut chance = seed.lane(Purpose::Faults, 2);
        let happen = unit(&mut chance) < STORIES;
        Self {
            chance,
            happen,
            version: 1,
            broken: BTreeSet::new(),
            made: BTreeMap::new(),
            paused: false,
            back_to: None,
        }
    }

    fn generation(&self) -> Generation {
        Generation::of_digest(self.version << 32)
    }

    /// What operators do at `look`.
    pub(super) fn begin(&mut self, look: u32) {
        if !self.happen || look < 5 {
            return;
        }
        if look < SAFETY_LOOKS / 2 && unit(&mut self.chance) < OFTEN {
            self.version += 1;
            self.back_to = None;
            if unit(&mut self.chance) < BROKEN {
                self.broken.insert(self.generation());
            }
        }
        if unit(&mut self.chance) < PAUSES {
            self.paused = !self.paused;
        }
        if unit(&mut self.chance) < PAUSES {
            self.back_to = self.made.values().next().copied();
        }
    }

    /// Nobody is in the way any more. A version that does not run stays so while another one does,
    /// which goes on; where none of `there` is of such a one, somebody deploys one that runs.
    pub(super) fn mend<'a>(&mut self, there: impl Iterator<Item = &'a ReplicaId>) {
        self.paused = false;
        let made = |id| self.made.get(id).is_some_and(|made| !self.broken.contains(made));
        if !there.into_iter().any(made) {
            self.broken.clear();
            self.version += 1;
            self.back_to = None;
        }
    }

    pub(super) fn order(&self) -> RolloutOrder {
        RolloutOrder { paused: self.paused, deployed: None, back_to: self.back_to }
    }

    /// Writes down what the engine makes, and what it made each replica as.
    pub(super) fn show(&self, engine: &mut EngineReport) {
        if self.happen {
            engine.generation = Some(self.generation());
            for replica in &mut engine.replicas {
                replica.generation = self.made.get(&replica.id).copied();
            }
        }
    }

    /// A replica is started as `generation`; whether it will not run.
    pub(super) fn start(&mut self, replica: &ReplicaId, generation: Option<Generation>) -> bool {
        let Some(generation) = generation else { return false };
        self.made.entry(replica.clone()).or_insert(generation);
        self.broken.contains(&generation)
    }
}
