//! The objective: how many requests may be late. Two margins follow from it, both learnt: by how
//! much the load may grow until what is started now serves, and how much more or less than planned
//! keeps requests in time.

use serde::{Deserialize, Serialize};

use crate::estimate::growth::LoadLook;
use crate::estimate::lateness;
use crate::estimate::trim::{Cause, LateLook};
use crate::memory::{Counted, Lateness, Memory, ObjectiveTerm};
use crate::observation::BalancerReport;
use crate::rules::Context;
use crate::signals::Signals;
use crate::units::seconds;

/// Part of the promised share that is aimed at: what is kept to on average is broken half of the
/// time.
const AIM: f64 = 0.7;
/// How busy replicas are at most by the plan. The margins are beyond it.
pub const BUSY_CAP: f64 = 0.97;
/// So much of a replica more against chance: the wait beyond a given time depends on the capacity
/// to spare and not on its share (Erlang's C), so that a small pool needs a larger one.
const RESERVE: f64 = 0.8;
/// The newest arrivals, by which a plan is judged: so many seconds, or this part of a start lag.
const RECENT_S: f64 = 1.8;
const RECENT_LAGS: f64 = 0.2;

/// How many requests may be late.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// The largest share of requests that may be, in (0, 1).
    pub late: f64,
    /// A request that takes longer is, waiting included.
    pub within_ms: u64,
}

impl Default for Objective {
    fn default() -> Self {
        Self { late: 0.01, within_ms: 250 }
    }
}

impl Objective {
    /// The term for what arrives now.
    pub(super) fn term(self, memory: &Memory, per_s: f64, lag_ms: u64) -> ObjectiveTerm {
        let learnt = &memory.objective;
        // A queue does not show who waits in a busy replica, so nothing is saved on its word.
        let least = if learnt.lateness == Lateness::Counted { 0.0 } else { 1.0 };
        ObjectiveTerm {
            late: self.late,
            within_ms: self.within_ms,
            growth: learnt.growth.factor(per_s, lag_ms),
            learnt_ms: learnt.growth.learnt_ms(),
            kept_ms: learnt.kept_ms(),
            misses: learnt.growth.misses(lag_ms),
            reserve: RESERVE,
            trim: learnt.trim.factor().max(least),
            lateness: learnt.lateness,
            was_late: learnt.was_late(self.late),
        }
    }
}

/// Learns from one look what came of earlier ones.
pub(in crate::rules) fn learn(objective: Objective, memory: &mut Memory, context: &Context<'_>) {
    let Context { observation, timing, signals, .. } = *context;
    let now = observation.at;
    let balancer = observation.balancer.as_ref();
    let report = balancer.and_then(|b| b.fresh(now, timing.stale_after_ms));
    let (Some(report), Some(per_s)) = (report, signals.arrivals_per_s) else { return };
    let elapsed_ms = memory.objective.looked_at.map_or(0, |at| now.ms_since(at));
    memory.objective.looked_at = Some(now);
    // Over a gap nobody looked at, nothing was planned.
    let elapsed_ms = if elapsed_ms > timing.stale_after_ms { 0 } else { elapsed_ms };
    let lag_ms = signals.start_lag_ms;
    let load_per_s = per_s.max(signals.level_per_s);
    let recent_per_s = memory.readings.recent_per_s(now, recent_ms(lag_ms)).unwrap_or(load_per_s);
    let look = LoadLook { now, load_per_s, recent_per_s, lag_ms, elapsed_ms };
    let grown = memory.objective.growth.see(look, objective.late * AIM);
    if grown.missed {
        memory.objective.trim.blame(Cause::Growth);
    }
    if is_failing(memory, signals) {
        memory.objective.trim.blame(Cause::Failure);
    }
    let counted = Counted::of(report);
    let before = memory.objective.counted.replace(counted);
    let Some(before) = before.filter(|b| b.epoch == counted.epoch && elapsed_ms > 0) else {
        return;
    };
    let (source, share) = late_share(objective, before, counted, signals);
    memory.objective.lateness = source;
    let Some(share) = share.filter(|_| !is_work_itself(objective, report)) else { return };
    #[expect(clippy::cast_precision_loss, reason = "a difference far below 2^52")]
    let arrived = counted.arrivals.saturating_sub(before.arrivals) as f64;
    memory.objective.count(share, arrived, elapsed_ms, lag_ms);
    // More than there may be would not help, so nothing is learnt from what is late then.
    let helps = signals.ready < context.bounds.max || share <= objective.late;
    if helps && arrived > 0.0 {
        let (most, aim, weight) = (objective.late, objective.late * AIM, grown.weight);
        let look = LateLook { late: share, most, aim, weight, elapsed_ms, lag_ms };
        memory.objective.trim.see(look);
    }
}

/// The share of requests that were late since `before`, and by what.
fn late_share(
    objective: Objective,
    before: Counted,
    now: Counted,
    signals: &Signals,
) -> (Lateness, Option<f64>) {
    if let (Some(late_before), Some(late)) = (before.late, now.late) {
        let arrived = now.arrivals.saturating_sub(before.arrivals);
        let share = lateness::of_counts(late.saturating_sub(late_before), arrived);
        return (Lateness::Counted, share);
    }
    let Some(work_s) = signals.work_s else { return (Lateness::Unknown, None) };
    // As many requests as the ready replicas serve within the time.
    let limit = seconds(objective.within_ms) * f64::from(signals.ready) / work_s;
    let share = lateness::of_queue(before.waiting.into(), now.waiting.into(), limit);
    (Lateness::Queue, Some(share))
}

/// Whether replicas fail or do not start: headroom is not for that.
fn is_failing(memory: &Memory, signals: &Signals) -> bool {
    signals.unhealthy > 0
        || signals.trouble.failed_starts.is_some()
        || !memory.health.sick.is_empty()
}

/// Whether requests take so long without waiting: no number of replicas makes them faster.
fn is_work_itself(objective: Objective, report: &BalancerReport) -> bool {
    let median_ms = report.latency.map(|latency| latency.p50_ms);
    report.waiting == 0 && median_ms.is_some_and(|ms| ms >= seconds(objective.within_ms) * 1_000.0)
}

fn recent_ms(lag_ms: u64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive time; the cast saturates"
    )]
    let ms = (RECENT_S.max(seconds(lag_ms) * RECENT_LAGS) * 1_000.0) as u64;
    ms
}
