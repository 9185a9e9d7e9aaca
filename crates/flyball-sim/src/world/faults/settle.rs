//! Whether a service comes to rest once nothing breaks any more. A look that states until when it
//! waits (a hold window, a start that was put off, errors that taint, a replica on its way within
//! its lag) is not counted: its end is bounded and was said. It ends, one way or another.

use std::fmt;

use flyball_core::decision::Decision;
use flyball_core::guard::Guard;
use flyball_core::observation::{Observation, Phase};
use flyball_core::policy::{Bounds, Policy};
use flyball_core::rollout::RolloutState;
use flyball_core::rules::Arithmetic;
use flyball_core::units::{Timestamp, replicas_for};

use super::super::requests::World;
use super::story::{Kind, LIVENESS_LOOKS, Story};

/// Looks that do not say what they wait for, until it must have settled.
const LOOKS_MAX: u32 = 20;
/// Looks without any change that count as rest.
const REST_LOOKS: u32 = 15;

/// How a service did not settle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// It was still changing after the looks that it may take.
    StillChanging,
    /// All stated waits together lasted longer than any of them may.
    StillWaiting,
    /// It came to rest at a count that does not fit the load.
    NotSensible {
        /// Where it came to rest.
        desired: u32,
        /// The least that serves the load.
        least: u32,
        /// The most that can be explained.
        most: u32,
    },
    /// The count went up and down again, or down and up, under a steady load.
    Oscillates {
        /// Turns.
        turns: u32,
    },
}

pub(super) enum Standing {
    NotYet,
    /// After so many counted looks.
    Settled(u32),
    Failed(Unsettled),
}

/// The looks since the faults stopped.
#[derive(Debug)]
pub(super) struct Settling {
    policy: Policy,
    since: Option<Timestamp>,
    sensible: Sensible,
    looks: u32,
    counted: u32,
    rest: u32,
    desired: Option<u32>,
    last_turn: i64,
    turns: u32,
}

/// Turns that a start-up from chaos may take: up for what waits, then down to the level, then up
/// again where the removal of halves went one too far.
const TURNS_MAX: u32 = 3;

impl Settling {
    pub(super) fn new(story: &Story) -> Self {
        Self {
            policy: story.policy.clone(),
            since: None,
            sensible: Sensible::of(story),
            looks: 0,
            counted: 0,
            rest: 0,
            desired: None,
            last_turn: 0,
            turns: 0,
        }
    }

    pub(super) fn see(
        &mut self,
        seen: &Observation,
        decision: &Decision,
        world: &World,
    ) -> Standing {
        self.looks += 1;
        let change = i64::from(decision.desired)
            - i64::from(self.desired.replace(decision.desired).unwrap_or(decision.desired));
        if change != 0 {
            self.turns += u32::from(change.signum() == -self.last_turn);
            self.last_turn = change.signum();
        }
        let ready = world.replicas.iter().filter(|r| r.phase == Some(Phase::Ready)).count();
        let all = world.replicas.iter().filter(|r| r.phase.is_some()).count();
        let count = decision.desired as usize;
        let quiet = change == 0 && decision.plan.is_empty() && (ready, all) == (count, count);
        self.rest = if quiet { self.rest + 1 } else { 0 };
        self.counted += u32::from(!quiet && !waits(seen, decision));
        // CPU is a mean over a window that began while things broke.
        let since = *self.since.get_or_insert(seen.at);
        let window_ms = self.policy.windows(decision.signals.start_lag_ms).cpu_ms;
        let fresh = seen.at.ms_since(since) > window_ms;
        if self.rest >= REST_LOOKS && fresh && !holds(decision) {
            return self.judge(decision);
        }
        if self.counted > LOOKS_MAX {
            return Standing::Failed(Unsettled::StillChanging);
        }
        if self.looks >= LIVENESS_LOOKS - 50 {
            return Standing::Failed(Unsettled::StillWaiting);
        }
        Standing::NotYet
    }

    fn judge(&self, decision: &Decision) -> Standing {
        let desired = decision.desired;
        let least = self.sensible.least;
        let most = self.sensible.most(decision);
        let turns = self.turns;
        if !(least..=most).contains(&desired) {
            return Standing::Failed(Unsettled::NotSensible { desired, least, most });
        }
        if turns > TURNS_MAX {
            return Standing::Failed(Unsettled::Oscillates { turns });
        }
        Standing::Settled(self.counted)
    }
}

/// Whether the decision says until when it keeps more than is needed.
fn holds(decision: &Decision) -> bool {
    let wished = decision.recommendations.iter().map(|wish| wish.count).max().unwrap_or(0);
    // The margin of a count on the edge, which is needed anew at each look and stays, is no wait.
    let on_edge = decision.bounds.clamp(wished) + 1;
    let stated = |guard: &Guard| match guard {
        Guard::Hold { needed, needed_at, .. } => *needed > on_edge || *needed_at < decision.at,
        Guard::WarmUp { .. }
        | Guard::HalveSurplus { .. }
        | Guard::Cooldown { .. }
        | Guard::Errors { .. } => true,
        _ => false,
    };
    decision.adjustments.iter().any(|step| stated(&step.guard)) || decision.held_starts.is_some()
}

fn waits(seen: &Observation, decision: &Decision) -> bool {
    let figures = &decision.signals;
    let engine = seen.engine.value();
    let stopping = engine.is_some_and(|e| e.replicas.iter().any(|r| r.phase == Phase::Stopping));
    // It states how many replicas it still has to replace.
    let rolls = decision.rollout.as_ref().is_some_and(|r| r.state == RolloutState::Rolling);
    holds(decision) || rolls || figures.starting > 0 || figures.draining > 0 || stopping
}

/// The least count that serves the steady load, and what the most that can be explained follows
/// from.
#[derive(Debug)]
struct Sensible {
    least: u32,
    bounds: Bounds,
    /// The work that may be reckoned with and how busy replicas are at most, where the rule says
    /// so.
    work: Option<(f64, f64)>,
}

impl Sensible {
    fn of(story: &Story) -> Self {
        let bounds = story.policy.bounds;
        let work_s = story.setup.work.mean_ms / 1_000.0 / f64::from(story.setup.workers);
        let busy = story.steady_per_s * work_s;
        let uneven = if story.setup.imbalance_cv > 0.0 { 1.5 } else { 1.0 };
        let least = replicas_for(busy / uneven).clamp(bounds.min, bounds.max);
        let work = story.policy.rule.busy_cap().map(|busy_cap| {
            // What a request costs is remembered for minutes: twice the work, cold starts and slow
            // replicas are still in the figure.
            let doubled = if story.has(Kind::WorkDoubles) { 2.0 } else { 1.0 };
            let cold = if story.setup.cold.factor > 1.0 { 1.5 } else { 1.0 };
            // Without a balancer, by CPU.
            let cap = if story.setup.balanced { busy_cap } else { busy_cap.min(0.6) };
            (busy * 1.15 * doubled * cold * uneven, cap)
        });
        Self { least, bounds, work }
    }

    /// With an objective, what `decision` says that it has learnt comes on top.
    fn most(&self, decision: &Decision) -> u32 {
        let Bounds { min, max } = self.bounds;
        let Some((busy, cap)) = self.work else { return max };
        let learnt = decision.recommendations.iter().find_map(|one| match &one.arithmetic {
            Arithmetic::Utilization(terms) => terms.objective,
            _ => None,
        });
        let replicas = learnt.map_or(busy / cap, |objective| objective.replicas(busy, cap));
        (replicas_for(replicas) + 1).clamp(min.max(self.least), max)
    }
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StillChanging => f.write_str("still changing, without stating what it waits for"),
            Self::StillWaiting => f.write_str("still waiting"),
            Self::NotSensible { desired, least, most } => {
                write!(f, "settled at {desired}, but {least} to {most} fit the load")
            }
            Self::Oscillates { turns } => write!(f, "the count turned {turns} times"),
        }
    }
}
