//! Other autoscalers' rules, by their published arithmetic and defaults, one file for each. Bounds
//! and how a count is reached are the core's, the same for all. A rival sees the same
//! [`Observation`] as flyball and carries its own memory.

pub mod amest;
pub mod aws;
pub mod fixed;
pub mod hpa;
pub mod jcwimer;
pub mod kpa;
pub mod marathon_lb;
pub mod nomad;
pub mod oracle;
mod scrape;
pub mod sketch;
mod threshold;

use flyball_core::observation::{Observation, Phase};

pub use amest::Amest;
pub use aws::Aws;
pub use fixed::Fixed;
pub use hpa::{Hpa, StepLoad};
pub use jcwimer::Jcwimer;
pub use kpa::Kpa;
pub use marathon_lb::MarathonLb;
pub use nomad::Nomad;
pub use oracle::Oracle;
pub use sketch::Sketch;

/// A rival's wish for a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RivalCount {
    /// The count.
    pub count: u32,
    /// The rule's arithmetic with its figures, in one line.
    pub reason: String,
}

impl RivalCount {
    /// `wish` again, as a rival that acts at a period of its own repeats it; the count that was
    /// last asked for while there is none, since there was `no` occasion yet.
    fn again(wish: Option<&Self>, seen: &Observation, no: &str) -> Self {
        wish.cloned()
            .unwrap_or_else(|| Self { count: scrape::asked(seen), reason: format!("no {no} yet") })
    }
}

/// Every rival there is.
#[derive(Clone, Debug)]
pub enum Rival {
    /// The same count always.
    Fixed(Fixed),
    /// Whoever knows the load to come.
    Oracle(Oracle),
    /// Kubernetes' horizontal pod autoscaler.
    Hpa(Box<Hpa>),
    /// Knative's pod autoscaler.
    Kpa(Kpa),
    /// AWS target tracking.
    Aws(Aws),
    /// The Nomad autoscaler's target-value strategy.
    Nomad(Nomad),
    /// AMEST for Docker Swarm.
    Amest(Amest),
    /// jcwimer's script for Docker Swarm.
    Jcwimer(Jcwimer),
    /// marathon-lb-autoscale.
    MarathonLb(MarathonLb),
    /// The 2014 sketch.
    Sketch(Sketch),
}

impl Rival {
    /// The same rival where a replica works on `slots` requests at once: a target in percent of
    /// what it may hold is of these.
    #[must_use]
    pub fn for_slots(self, slots: Option<u32>) -> Self {
        match (self, slots) {
            (Self::Kpa(rival), Some(slots)) => Self::Kpa(rival.for_slots(slots)),
            (rival, _) => rival,
        }
    }

    /// The wish at this look. Looks come in the order of their time and may come at any interval,
    /// also several at one moment: a rival that acts at a period of its own repeats its last wish
    /// in between. A reading that is missing is the rival's own to deal with, by its rules.
    pub fn recommend(&mut self, seen: &Observation) -> RivalCount {
        match self {
            Self::Fixed(rival) => rival.recommend(),
            Self::Oracle(rival) => rival.recommend(seen),
            Self::Hpa(rival) => rival.recommend(seen),
            Self::Kpa(rival) => rival.recommend(seen),
            Self::Aws(rival) => rival.recommend(seen),
            Self::Nomad(rival) => rival.recommend(seen),
            Self::Amest(rival) => rival.recommend(seen),
            Self::Jcwimer(rival) => rival.recommend(seen),
            Self::MarathonLb(rival) => rival.recommend(seen),
            Self::Sketch(rival) => rival.recommend(seen),
        }
    }

    /// The wish at a look of which there is one for each step of the trace: a rival that has a form
    /// for that grid goes by the step's load, the others by what they see.
    pub fn recommend_on_grid(&mut self, seen: &Observation, step: StepLoad) -> RivalCount {
        match self {
            Self::Hpa(rival) => rival.recommend_on_grid(step, existing(seen)),
            _ => self.recommend(seen),
        }
    }

    /// The count it holds under a steady load; `None` if that is what the load needs.
    pub fn settled(&self, load: f64, capacity: f64) -> Option<u32> {
        match self {
            Self::Fixed(rival) => Some(rival.recommend().count),
            Self::Hpa(rival) => Some(rival.settled(load, capacity)),
            _ => None,
        }
    }
}

/// Replicas that exist and are not on their way out.
pub(crate) fn existing(seen: &Observation) -> u32 {
    let replicas = seen.engine.value().map(|engine| engine.replicas.as_slice()).unwrap_or_default();
    let count = replicas.iter().filter(|r| r.phase != Phase::Stopping).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}
