//! Who decides: flyball's own rules or a rival, behind one interface. A rival's count goes through
//! the core's `decide` as one set from outside, so that everybody's plan, bounds and explanation
//! come from the core.

pub mod name;

use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::invariants::{self, Broken};
use flyball_core::memory::Memory;
use flyball_core::observation::{Ask, Manual, Observation, Reading};
use flyball_core::policy::{Policy, Rule};
use flyball_core::units::replicas_for;

use crate::rival::{Rival, RivalCount, StepLoad};

pub use name::{Foresight, Name, NameError};

/// A policy with its memory, ready to look at one service.
#[derive(Clone, Debug)]
pub struct Contender {
    name: String,
    policy: Policy,
    memory: Memory,
    rival: Option<Rival>,
    /// A rival's latest wish, as the core was told of it.
    wished: Option<Manual>,
}

impl Contender {
    /// One of flyball's own rules, as `policy` says.
    pub fn own(name: impl Into<String>, policy: Policy) -> Self {
        let memory = Memory::default();
        Self { name: name.into(), policy, memory, rival: None, wished: None }
    }

    /// A rival within the bounds and times of `policy`; its rule is replaced.
    pub fn rival(name: impl Into<String>, policy: Policy, rival: Rival) -> Self {
        let policy = Policy { rule: Rule::External, sleep: None, ..policy };
        let memory = Memory::default();
        Self { name: name.into(), policy, memory, rival: Some(rival), wished: None }
    }

    /// The name it was asked for by, such as `hpa:70`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its policy, as the core sees it.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The count it holds under a steady `load`, where one replica serves `capacity`; at least 1
    /// and within its bounds. Every run begins there, so that nobody is judged by a beginning.
    pub fn settled(&self, load: f64, capacity: f64) -> u32 {
        let least = replicas_for(load / capacity).max(1);
        let busy = |share: f64| replicas_for(load / capacity / share).max(1);
        let count = match &self.rival {
            Some(rival) => rival.settled(load, capacity).unwrap_or(least),
            None => self.policy.rule.settled_share().map_or(least, busy),
        };
        self.policy.bounds.clamp(count)
    }

    /// Decides at one look; memory is carried from look to look.
    ///
    /// What a person asked for in `seen` goes before a rival's wish. `seen` is as it was
    /// afterwards.
    pub fn decide(&mut self, seen: &mut Observation) -> Decision {
        match &mut self.rival {
            None => decide(&self.policy, &mut self.memory, seen),
            Some(rival) => {
                let wish = rival.recommend(seen);
                self.carry_out(seen, wish)
            }
        }
    }

    /// Decides at a look of which there is one for each step of a trace, whose load is known.
    pub fn decide_on_grid(&mut self, seen: &mut Observation, step: StepLoad) -> Decision {
        match &mut self.rival {
            None => decide(&self.policy, &mut self.memory, seen),
            Some(rival) => {
                let wish = rival.recommend_on_grid(seen, step);
                self.carry_out(seen, wish)
            }
        }
    }

    /// What the latest `decision` breaks first, if anything; it was made on what is `seen`, which
    /// is as it was afterwards.
    pub fn broken(&self, seen: &mut Observation, decision: &Decision) -> Option<Broken> {
        let asked = seen.manual.clone();
        seen.manual = asked.clone().or_else(|| self.wished.clone());
        let broken = invariants::check(&self.policy, seen, decision).into_iter().next();
        seen.manual = asked;
        broken
    }

    /// A rival's wish, as if somebody had asked for it. The errors are kept from the core: that it
    /// removes nothing while they may explain a fall of the load is flyball's caution, not a
    /// rival's.
    fn carry_out(&mut self, seen: &mut Observation, wish: RivalCount) -> Decision {
        let by = format!("{}: {}", self.name, wish.reason);
        let wished = Manual { ask: Ask::Pin(wish.count), until: None, by };
        // Changed for the moment, since a copy of many replicas costs more than to decide.
        let asked = seen.manual.clone();
        seen.manual.get_or_insert_with(|| wished.clone());
        self.wished = Some(wished);
        let errors = replace_errors(seen, 0);
        let decision = decide(&self.policy, &mut self.memory, seen);
        seen.manual = asked;
        replace_errors(seen, errors);
        decision
    }
}

/// Puts `errors` in place of what the balancer counted, which is returned.
fn replace_errors(seen: &mut Observation, errors: u64) -> u64 {
    match &mut seen.balancer {
        Some(Reading::Taken { value, .. }) => std::mem::replace(&mut value.errors, errors),
        _ => 0,
    }
}
