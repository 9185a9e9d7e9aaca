//! Who decides: flyball's own rules or a rival, under one name and one interface.
//!
//! Decides nothing itself: own rules go straight to the core's `decide`, a rival's wish goes through
//! it as a count set from outside, so that plan, bounds and explanation come from the core for
//! everybody. Invariant: every decision of every contender is the core's [`Decision`].

pub mod name;

use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::memory::Memory;
use flyball_core::observation::{Ask, Manual, Observation};
use flyball_core::policy::{Policy, Rule};

use crate::rival::Rival;

pub use name::{Name, NameError};

/// A policy with its memory, ready to look at one service.
#[derive(Clone, Debug)]
pub struct Contender {
    name: String,
    policy: Policy,
    memory: Memory,
    rival: Option<Rival>,
}

impl Contender {
    /// One of flyball's own rules, as `policy` says.
    pub fn own(name: impl Into<String>, policy: Policy) -> Self {
        Self { name: name.into(), policy, memory: Memory::default(), rival: None }
    }

    /// A rival within the bounds and times of `policy`; its rule is replaced.
    pub fn rival(name: impl Into<String>, policy: Policy, rival: Rival) -> Self {
        let policy = Policy { rule: Rule::External, ..policy };
        Self { name: name.into(), policy, memory: Memory::default(), rival: Some(rival) }
    }

    /// The name it was asked for by, such as `hpa:70`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its policy, as the core sees it.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Decides at one look; memory is carried from look to look.
    ///
    /// What a person asked for in `seen` goes before a rival's wish.
    pub fn decide(&mut self, seen: &Observation) -> Decision {
        let Some(rival) = &mut self.rival else {
            return decide(&self.policy, &mut self.memory, seen);
        };
        let wish = rival.recommend(seen);
        let mut seen = seen.clone();
        if seen.manual.is_none() {
            let by = format!("{} ({})", self.name, wish.reason);
            seen.manual = Some(Manual { ask: Ask::Pin(wish.count), until: None, by });
        }
        decide(&self.policy, &mut self.memory, &seen)
    }
}
