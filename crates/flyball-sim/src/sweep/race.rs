//! One policy on one load. It looks at every tick, or every so many. Own rules go through the
//! core's `decide` and every decision is checked; a rival's wish is brought within the bounds and
//! carried out as its own engine would. Scoring begins for everybody at the same tick.

use flyball_core::decide::decide;
use flyball_core::invariants;
use flyball_core::memory::Memory;
use flyball_core::policy::{Bounds, Policy, RolloutPolicy, Rule, Timing};

use super::load::Load;
use super::pool::{Pool, PoolModel};
use crate::rival::Rival;
use crate::seed::Seed;

/// Who decides.
#[derive(Clone, Debug)]
pub enum Runner {
    /// One of flyball's own rules.
    Own(Rule),
    /// Another autoscaler.
    Rival(Box<Rival>),
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Result {
    /// Replica-seconds, starting and draining included, over the ideal.
    pub cost_ratio: f64,
    /// Requests over the limit or given up, in percent.
    pub over_limit_pct: f64,
    /// Times that the number of serving replicas changed.
    pub actions: u32,
    /// Decisions that broke an invariant.
    pub broken: u32,
}

/// Runs `runner` on `load` in a pool of `nature`, with a look at every tick.
pub fn race(runner: &Runner, load: &Load, nature: PoolModel, seed: Seed) -> Result {
    race_looking(runner, load, nature, seed, 1)
}

/// The same with a look at every `look_ticks`-th tick; 0 is taken as 1.
pub fn race_looking(
    runner: &Runner,
    load: &Load,
    nature: PoolModel,
    seed: Seed,
    look_ticks: usize,
) -> Result {
    let look_ticks = look_ticks.max(1);
    let first = load.demand.first().copied().unwrap_or(1);
    let mut pool = Pool::new(nature, load.tick_ms, first, seed);
    let interval_ms = load.tick_ms * look_ticks as u64;
    let mut driver = Driver::new(runner, load, nature, interval_ms);
    let mut sums = Sums::default();
    for (tick, (arrived, demand)) in load.arrivals.iter().zip(&load.demand).enumerate() {
        if tick == load.arrivals.len() / 2 {
            pool.change_work();
        }
        let passed = pool.pass(*arrived);
        if tick >= load.settle {
            sums.paid_s += f64::from(passed.paid);
            sums.ideal_s += f64::from(*demand);
            sums.arrived += passed.arrived;
            sums.late += passed.late;
            sums.actions += u32::from(passed.serving != sums.serving);
        }
        sums.serving = passed.serving;
        if tick % look_ticks == 0 {
            driver.act(&mut pool);
        }
    }
    Result {
        cost_ratio: sums.paid_s / sums.ideal_s.max(1.0),
        over_limit_pct: 100.0 * sums.late / sums.arrived.max(1.0),
        actions: sums.actions,
        broken: driver.broken,
    }
}

#[derive(Default)]
struct Sums {
    paid_s: f64,
    ideal_s: f64,
    arrived: f64,
    late: f64,
    actions: u32,
    serving: u32,
}

struct Driver {
    runner: Runner,
    policy: Policy,
    memory: Memory,
    broken: u32,
}

impl Driver {
    fn new(runner: &Runner, load: &Load, nature: PoolModel, interval_ms: u64) -> Self {
        let rule = match runner {
            Runner::Own(rule) => rule.clone(),
            Runner::Rival(_) => Rule::External,
        };
        let peak = load.demand.iter().max().copied().unwrap_or(1);
        let timing = Timing {
            interval_ms: Some(interval_ms),
            start_limit_ms: 3 * nature.start_lag_ms + 60_000,
            stale_after_ms: 3 * interval_ms,
            ..Timing::default()
        };
        let bounds = Bounds { min: 1, max: 2 * peak + 10 };
        let policy = Policy {
            service: "pool".into(),
            bounds,
            rule,
            timing,
            rollout: RolloutPolicy::default(),
            sleep: None,
        };
        Self { runner: runner.clone(), policy, memory: Memory::default(), broken: 0 }
    }

    fn act(&mut self, pool: &mut Pool) {
        match &mut self.runner {
            Runner::Own(_) => {
                let seen = pool.look();
                let decision = decide(&self.policy, &mut self.memory, seen);
                let broken = invariants::check(&self.policy, seen, &decision);
                self.broken += u32::from(!broken.is_empty());
                pool.carry_out(&decision.plan);
            }
            Runner::Rival(rival) => {
                let wish = rival.recommend(pool.look());
                pool.resize(self.policy.bounds.clamp(wish.count));
            }
        }
    }
}
