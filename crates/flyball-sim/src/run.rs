//! One contender, one trace, one world: what came of it.
//!
//! Decides when the contender looks. Does not know how the world works. Invariant: every decision
//! is checked against the core's invariants before it is carried out.

mod parallel;

use flyball_core::decision::Decision;
use flyball_core::invariants::{self, Broken};
use flyball_core::plan::Step;
use flyball_core::policy::{Bounds, Policy, Rule, Timing};

use crate::contender::{Contender, Foresight, Name};
use crate::rival::StepLoad;
use crate::score::Score;
use crate::trace::Trace;
use crate::world::fluid::{Fluid, Supply};
use crate::world::{ORIGIN, Physics};

pub use parallel::all;

/// Changes kept for reading; of more, the first are kept and the rest counted.
pub const CHANGES_MAX: usize = 50_000;
/// Looks at one moment, at most: a start without lag takes a second look to route.
const LOOKS_AT_ONCE_MAX: u32 = 4;
/// After the trace its last load goes on for so many looks, but at least for an hour; in the last
/// quarter of that the count must not change any more.
const SETTLE_LOOKS: u64 = 20;
const SETTLE_MS: u64 = 3_600_000;

/// Everything about a run but the contender and the trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How the world behaves.
    pub physics: Physics,
    /// How few and how many replicas there may be.
    pub bounds: Bounds,
    /// Time from look to look; `None`: as each contender decides.
    pub look_ms: Option<u64>,
    /// Where chance comes from.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let bounds = Bounds { min: 1, max: 100_000 };
        Self { physics: Physics::default(), bounds, look_ms: None, seed: 1 }
    }
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The contender's name.
    pub policy: String,
    /// The trace's name.
    pub trace: String,
    /// Where chance came from.
    pub seed: u64,
    /// The start lag that was set, in milliseconds.
    pub start_lag_ms: u64,
    /// The figures.
    pub score: Score,
    /// Supply at the end of each step of the trace.
    pub supply: Vec<Supply>,
    /// The looks that changed the count, at most [`CHANGES_MAX`].
    pub changes: Vec<Change>,
    /// Changes beyond those.
    pub changes_dropped: usize,
    /// Whether the count came to rest under the trace's last load.
    pub settled: bool,
}

/// A look that changed the count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When, in milliseconds since the trace began.
    pub at_ms: u64,
    /// The count before.
    pub before: u32,
    /// The count after.
    pub after: u32,
    /// What decided it.
    pub reason: String,
}

/// A run that could not be made or was ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting makes no sense.
    #[error("{what}\nhint: {hint}")]
    Impossible {
        /// Which, with its value.
        what: String,
        /// What would be right.
        hint: String,
    },
    /// A decision broke an invariant.
    #[error(transparent)]
    Broken(#[from] Box<Breach>),
}

/// A decision that broke an invariant, which ends the run.
#[derive(Debug, thiserror::Error)]
#[error(
    "{policy} broke an invariant {at_s} s into {trace} (seed {seed}): {broken}\n{decision}\nhint: this is a bug: please report it with the trace and the command"
)]
pub struct Breach {
    /// Whose decision.
    pub policy: String,
    /// On which trace.
    pub trace: String,
    /// How far into it.
    pub at_s: u64,
    /// The seed.
    pub seed: u64,
    /// What it broke.
    pub broken: Broken,
    /// The whole decision.
    pub decision: Decision,
}

/// Runs the policy called `name` over `trace`, requests as a fluid.
///
/// # Errors
///
/// A setting that makes no sense, or a decision that broke an invariant.
pub fn fluid(name: &Name, trace: &Trace, settings: &Settings) -> Result<Outcome, RunError> {
    check(trace, settings)?;
    let physics = settings.physics;
    let demand = trace.demand(physics.replica_capacity);
    let foresight =
        Foresight { demand: &demand, step_ms: trace.step_ms, start_lag_ms: physics.start_lag_ms };
    fluid_of(name.contender(&policy(settings), foresight), trace, &demand, settings)
}

/// Runs `rule` of the core over `trace`, as [`fluid`] runs what has a name.
///
/// # Errors
///
/// As [`fluid`].
pub fn fluid_by_rule(
    name: &str,
    rule: Rule,
    trace: &Trace,
    settings: &Settings,
) -> Result<Outcome, RunError> {
    check(trace, settings)?;
    let demand = trace.demand(settings.physics.replica_capacity);
    let contender = Contender::own(name, Policy { rule, ..policy(settings) });
    fluid_of(contender, trace, &demand, settings)
}

fn fluid_of(
    contender: Contender,
    trace: &Trace,
    demand: &[u32],
    settings: &Settings,
) -> Result<Outcome, RunError> {
    let physics = settings.physics;
    let load = trace.values.first().copied().unwrap_or(0.0);
    let first = contender.settled(load, physics.replica_capacity);
    let service = contender.policy().service.clone();
    let world = Fluid::new(physics, trace, demand, &service, first);
    let mut run = Run {
        contender,
        world,
        trace,
        settings,
        count: first,
        changes: Vec::new(),
        changes_dropped: 0,
        changed_ms: None,
    };
    run.all()?;
    Ok(run.outcome())
}

/// The policy that every contender gets, but for its rule.
fn policy(settings: &Settings) -> Policy {
    let timing = Timing::default();
    let look_ms = settings.look_ms.unwrap_or(0);
    let lag_ms = settings.physics.start_lag_ms;
    let timing = Timing {
        look_ms: settings.look_ms,
        // Three missed looks, and what meters lag behind anyway.
        stale_after_ms: timing.stale_after_ms.max(3 * look_ms) + settings.physics.metric_lag_ms,
        start_limit_ms: timing.start_limit_ms.max(3 * lag_ms),
        ..timing
    };
    let service = "service".to_owned();
    Policy { service, bounds: settings.bounds, rule: Rule::External, timing }
}

fn check(trace: &Trace, settings: &Settings) -> Result<(), RunError> {
    let impossible =
        |what: String, hint: &str| Err(RunError::Impossible { what, hint: hint.to_owned() });
    let capacity = settings.physics.replica_capacity;
    let most = trace.values.iter().copied().fold(0.0, f64::max);
    let Bounds { min, max } = settings.bounds;
    if !(capacity.is_finite() && capacity > 0.0) {
        return impossible(
            format!("a replica cannot serve {capacity}"),
            "what one replica serves in the trace's unit, above 0",
        );
    }
    if most / capacity > 100_000.0 {
        return impossible(
            format!("a load of {most} with {capacity} for each replica needs over 100000 replicas"),
            "what one replica serves must be in the trace's unit",
        );
    }
    if min > max || max == 0 {
        return impossible(format!("bounds {min}..{max} allow no count"), "min <= max, max >= 1");
    }
    if trace.values.is_empty() || settings.look_ms == Some(0) {
        return impossible("nothing to look at".to_owned(), "a trace and a look interval above 0");
    }
    Ok(())
}

struct Run<'a> {
    contender: Contender,
    world: Fluid<'a>,
    trace: &'a Trace,
    settings: &'a Settings,
    count: u32,
    changes: Vec<Change>,
    changes_dropped: usize,
    changed_ms: Option<u64>,
}

impl Run<'_> {
    /// Looks until the trace and the time to settle are over.
    fn all(&mut self) -> Result<(), RunError> {
        let mut next_look_ms = 0;
        let mut looks_at_once = 0;
        let mut before_ms = None;
        let mut end_ms = self.trace.duration_ms() + SETTLE_MS;
        loop {
            let now_ms = self.world.next_wake_ms().unwrap_or(u64::MAX).min(next_look_ms);
            if now_ms >= end_ms {
                self.world.pass_to(self.trace.duration_ms());
                return Ok(());
            }
            self.meter(now_ms, next_look_ms);
            self.world.pass_to(now_ms);
            looks_at_once = if before_ms == Some(now_ms) { looks_at_once + 1 } else { 0 };
            before_ms = Some(now_ms);
            if looks_at_once > LOOKS_AT_ONCE_MAX {
                continue;
            }
            let due = now_ms == next_look_ms;
            let decision = self.look(due)?;
            if due {
                let interval_ms = self.settings.look_ms.unwrap_or(decision.next_look_ms).max(1);
                next_look_ms = now_ms + interval_ms;
                end_ms = self.trace.duration_ms() + SETTLE_MS.max(SETTLE_LOOKS * interval_ms);
            }
        }
    }

    /// Meters that lag are read so long before the look that it sees them.
    fn meter(&mut self, now_ms: u64, next_look_ms: u64) {
        let lag_ms = self.settings.physics.metric_lag_ms;
        let read_ms = next_look_ms.saturating_sub(lag_ms);
        if lag_ms > 0 && read_ms > self.world.now_ms() && read_ms < now_ms {
            self.world.pass_to(read_ms);
            self.world.read_meters();
        }
    }

    fn look(&mut self, due: bool) -> Result<Decision, RunError> {
        let seen = self.world.observe();
        let on_grid = due && self.settings.look_ms == Some(self.trace.step_ms);
        let load = self.world.last_load().filter(|_| on_grid);
        let decision = match load {
            Some(load) => {
                let at_ms = self.world.now_ms();
                let capacity = self.settings.physics.replica_capacity;
                self.contender.decide_on_grid(&seen, StepLoad { at_ms, load, capacity })
            }
            None => self.contender.decide(&seen),
        };
        if let Some(broken) =
            invariants::check(self.contender.policy(), &seen, &decision).into_iter().next()
        {
            let breach = Breach {
                policy: self.contender.name().to_owned(),
                trace: self.trace.name.clone(),
                at_s: self.world.now_ms() / 1000,
                seed: self.settings.seed,
                broken,
                decision,
            };
            return Err(Box::new(breach).into());
        }
        for step in &decision.plan {
            self.world.carry_out(step);
        }
        self.note(&decision);
        Ok(decision)
    }

    fn note(&mut self, decision: &Decision) {
        let at_ms = decision.at.ms_since(ORIGIN);
        let change = i64::from(decision.desired) - i64::from(self.count);
        let before = std::mem::replace(&mut self.count, decision.desired);
        if change != 0 {
            self.changed_ms = Some(at_ms);
        }
        if at_ms >= self.trace.duration_ms() {
            return;
        }
        let started = decision.plan.iter().filter(|s| matches!(s, Step::Start { .. })).count();
        self.world.ledger().act(at_ms, change, u32::try_from(started).unwrap_or(u32::MAX));
        if change != 0 && self.changes.len() < CHANGES_MAX {
            let (after, reason) = (decision.desired, decision.reason());
            self.changes.push(Change { at_ms, before, after, reason });
        } else if change != 0 {
            self.changes_dropped += 1;
        }
    }

    fn outcome(self) -> Outcome {
        let interval_ms = self.settings.look_ms.unwrap_or(0);
        let quiet_from_ms =
            self.trace.duration_ms() + SETTLE_MS.max(SETTLE_LOOKS * interval_ms) / 4 * 3;
        let physics = self.settings.physics;
        let settled = self.changed_ms.is_none_or(|at_ms| at_ms < quiet_from_ms);
        let (ledger, supply) = self.world.into_records();
        Outcome {
            policy: self.contender.name().to_owned(),
            trace: self.trace.name.clone(),
            seed: self.settings.seed,
            start_lag_ms: physics.start_lag_ms,
            score: ledger.score(physics.replica_capacity),
            supply,
            changes: self.changes,
            changes_dropped: self.changes_dropped,
            settled,
        }
    }
}
