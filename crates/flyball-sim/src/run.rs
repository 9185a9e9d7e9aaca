//! One contender, one trace, one world: what came of it. Common to every run: settings, what cannot
//! be run, how rest is judged. `fluid` and `requests` are the two depths. Both make their outcome
//! of the same figures.

mod fluid;
mod notes;
mod parallel;
mod requests;

use flyball_core::decision::Decision;
use flyball_core::invariants::Broken;
use flyball_core::policy::{Bounds, Policy, RolloutPolicy, Rule, SleepPolicy, Timing};
use flyball_core::units::seconds;

use crate::contender::{Contender, Foresight};
use crate::score::Score;
use crate::trace::Trace;
use crate::world::Physics;
use crate::world::fluid::Supply;
use notes::Notes;

pub use fluid::{fluid, fluid_by_rule};
pub use parallel::all;
pub use requests::{Requests, WAITING_MAX, requests};

/// Changes kept for reading; of more, the first are kept and the rest counted. More would make a
/// page that no browser likes.
pub const CHANGES_MAX: usize = 2_000;
/// More requests, or core-seconds, than this are not counted to the last one.
const ARRIVALS_MAX: f64 = 1e15;
/// The most replicas that a run may have.
pub const REPLICAS_MAX: u32 = 100_000;
/// After the trace its last load goes on for so many looks, but at least for an hour; in the last
/// quarter of that the count must not change any more.
const SETTLE_LOOKS: u64 = 20;
const SETTLE_MS: u64 = 3_600_000;
/// In that hour looks are no closer than this, the longest that a policy chooses by itself, ...
const SETTLE_LOOK_MS: u64 = 2_000;
/// ... but for so many where rest begins to be judged: looks of milliseconds would make millions.
const CLOSE_LOOKS: u64 = 1_000;

/// Everything about a run but the contender and the trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How the world behaves.
    pub physics: Physics,
    /// How few and how many replicas there may be.
    pub bounds: Bounds,
    /// Time from look to look; `None`: as each contender decides.
    pub interval_ms: Option<u64>,
    /// After so long without load flyball's own policies have no replica, in milliseconds; `None`:
    /// each decides alone. Needs a minimum of 0.
    pub sleep_after_ms: Option<u64>,
    /// Where chance comes from.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let bounds = Bounds { min: 1, max: REPLICAS_MAX };
        let physics = Physics::default();
        Self { physics, bounds, interval_ms: None, sleep_after_ms: None, seed: 1 }
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
    /// The start lag that was set, in milliseconds: of half of the starts, where they differ.
    pub start_lag_ms: u64,
    /// The time that 99 of 100 starts stay within, where they differ.
    pub start_lag_p99_ms: Option<u64>,
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
    /// Requests that were refused because a million waited already, which counts as unserved; 0
    /// where requests are not followed one by one.
    pub turned_away: u64,
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

impl Outcome {
    fn new(
        contender: &Contender,
        trace: &Trace,
        settings: &Settings,
        notes: Notes,
        score: Score,
        supply: Vec<Supply>,
    ) -> Self {
        let quiet_from_ms =
            trace.duration_ms() + settle_ms(settings.interval_ms.unwrap_or(0)) / 4 * 3;
        let settled = notes.at_rest_from(quiet_from_ms);
        let physics = settings.physics;
        let Notes { changes, changes_dropped, .. } = notes;
        Self {
            policy: contender.name().to_owned(),
            trace: trace.name.clone(),
            seed: settings.seed,
            start_lag_ms: physics.start_lag_ms,
            start_lag_p99_ms: physics.start_lag_p99_ms,
            score,
            supply,
            changes,
            changes_dropped,
            settled,
            turned_away: 0,
        }
    }
}

/// How long the load goes on after the trace, with looks `interval_ms` apart.
fn settle_ms(interval_ms: u64) -> u64 {
    SETTLE_MS.max(SETTLE_LOOKS * interval_ms)
}

/// The time to the next look, `since_ms` after the trace, of a policy that would take
/// `interval_ms`.
fn settle_interval_ms(since_ms: u64, interval_ms: u64, settle_ms: u64) -> u64 {
    let judged_from_ms = settle_ms / 4 * 3;
    let close = judged_from_ms..judged_from_ms.saturating_add(interval_ms * CLOSE_LOOKS);
    if close.contains(&since_ms) { interval_ms } else { interval_ms.max(SETTLE_LOOK_MS) }
}

fn foresight<'a>(demand: &'a [u32], step_ms: u64, settings: &Settings) -> Foresight<'a> {
    let physics = settings.physics;
    let start_lag_ms = physics.longest_start_lag_ms();
    let slots = Some(physics.slots);
    Foresight { demand, step_ms, start_lag_ms, slots }
}

fn broken(
    contender: &Contender,
    trace: &Trace,
    settings: &Settings,
    at_ms: u64,
    broken: Broken,
    decision: Decision,
) -> RunError {
    let policy = contender.name().to_owned();
    let trace = trace.name.clone();
    let at_s = at_ms / 1000;
    let seed = settings.seed;
    RunError::Broken(Box::new(Breach { policy, trace, at_s, seed, broken, decision }))
}

/// The policy that every contender gets, but for its rule.
fn policy(settings: &Settings) -> Policy {
    let timing = Timing::default();
    let interval_ms = settings.interval_ms.unwrap_or(0);
    let lag_ms = settings.physics.longest_start_lag_ms();
    let timing = Timing {
        interval_ms: settings.interval_ms,
        // Three missed looks, and what meters lag behind anyway.
        stale_after_ms: timing.stale_after_ms.max(3 * interval_ms) + settings.physics.metric_lag_ms,
        start_limit_ms: timing.start_limit_ms.max(3 * lag_ms),
        ..timing
    };
    let service = "service".to_owned();
    Policy {
        service,
        bounds: settings.bounds,
        rule: Rule::External,
        timing,
        rollout: RolloutPolicy::default(),
        sleep: settings.sleep_after_ms.map(|after_ms| SleepPolicy { after_ms }),
    }
}

fn impossible(what: String, hint: &str) -> Result<(), RunError> {
    Err(RunError::Impossible { what, hint: hint.to_owned() })
}

fn check(trace: &Trace, settings: &Settings) -> Result<(), RunError> {
    let capacity = settings.physics.replica_capacity;
    let most = trace.values.iter().copied().fold(0.0, f64::max);
    let Bounds { min, max } = settings.bounds;
    if settings.sleep_after_ms.is_some() && min > 0 {
        let what = format!("with a minimum of {min}, no service sleeps");
        return impossible(what, "set the minimum to 0 (--min 0)");
    }
    if !(capacity.is_finite() && capacity > 0.0) {
        return impossible(
            format!("a replica cannot serve {capacity}"),
            "what one replica serves in the trace's unit, above 0",
        );
    }
    if most / capacity > f64::from(REPLICAS_MAX) {
        return impossible(
            format!(
                "a load of {most} with {capacity} for each replica needs over {REPLICAS_MAX} replicas"
            ),
            "what one replica serves must be in the trace's unit",
        );
    }
    let arrivals = trace.values.iter().sum::<f64>() * seconds(trace.step_ms);
    if arrivals > ARRIVALS_MAX {
        return impossible(
            format!("{arrivals:.1e} arrivals in all are over {ARRIVALS_MAX:.0e}"),
            "divide the load and what one replica serves by one number",
        );
    }
    if max > REPLICAS_MAX {
        return impossible(
            format!("a maximum of {max} is over {REPLICAS_MAX} replicas"),
            "divide the load and what one replica serves by one number",
        );
    }
    if min > max || max == 0 {
        return impossible(format!("bounds {min}..{max} allow no count"), "min <= max, max >= 1");
    }
    if trace.values.is_empty() || settings.interval_ms == Some(0) {
        return impossible("nothing to look at".to_owned(), "a trace and a look interval above 0");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hour_to_settle_takes_few_looks_and_the_close_ones_where_rest_is_judged() {
        for (interval_ms, expected) in [(1, 2_800), (100, 2_750), (2_000, 1_800), (60_000, 60)] {
            let (mut now_ms, mut looks, settle_ms) = (0, 0, settle_ms(interval_ms));
            while now_ms < settle_ms {
                now_ms += settle_interval_ms(now_ms, interval_ms, settle_ms);
                looks += 1;
            }
            assert!(u64::abs_diff(looks, expected) <= 1, "{interval_ms} ms: {looks} looks");
        }
    }
}
