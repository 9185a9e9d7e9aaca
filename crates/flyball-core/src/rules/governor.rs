//! The governor: arrivals times the work of one request, compared with the capacity that already
//! runs. It does not use CPU as a signal where the work of a request is known: CPU saturates,
//! arrivals do not, so a load four times as high is seen as four times as high at the first look.
//! Without a fresh balancer reading it never recommends fewer than there are.
//!
//! Example: 212 requests/s at 0.031 replica-seconds are 6.57 replicas' worth. At most 85 % busy:
//! 6.57 / 0.85 = 7.7, so 8.

mod hold;
mod objective;
mod terms;

use serde::{Deserialize, Serialize};

use super::{Arithmetic, Context, CpuLine, Recommendation, Triggers};
use crate::memory::Memory;
use crate::observation::Observation;
use crate::signals::Signals;
use crate::units::seconds;

pub(super) use hold::{hold, hold_window_ms};
pub(super) use objective::learn;
pub use objective::{BUSY_CAP, Objective};
pub use terms::{Backlog, CpuTerms, PileUp, Utilization};

/// Mean CPU to come down to while the cost of a request is unknown: low enough that a replica which
/// saturates at once (100 %) asks for two thirds more.
const CPU_SHARE: f64 = 0.60;
/// Requests in one replica that count as a pile if its slots are not declared.
const PILE: u32 = 8;
/// Waiting work below this many replica-seconds is left to the utilization cap.
const BACKLOG_MIN: f64 = 0.3;
/// A backlog is worked off within this time or `WORK_OFF_LAGS` of the start lag, whichever is
/// longer: sooner would start replicas that come too late to help. On square bursts with replicas
/// that start in 10 s, 3 s make a fifth more requests late at the same cost; at 1 s a load of six
/// times as much starts ten times the replicas that it needs.
const WORK_OFF_S: f64 = 2.0;
/// See `WORK_OFF_S`: at a quarter fewer recorded loads with starts of 5 min keep to 1 % of late
/// requests; at a twentieth a backlog of 10 s of load asks for twice as many replicas again.
const WORK_OFF_LAGS: f64 = 0.1;
/// A backlog counts for no more than this many seconds of the load.
const BACKLOG_MAX_S: f64 = 10.0;

/// Settings of the governor: how busy replicas may be, and how long a surplus is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Governor {
    /// The largest share of its time that a replica should be busy, in (0, 1].
    pub busy_cap: f64,
    /// Requests one replica works on at once, where its owner declared it.
    pub slots: Option<u32>,
    /// How long a surplus must last before it is removed; `None`: three start lags, within 10 s and
    /// 5 min.
    pub hold_ms: Option<u64>,
    /// How many requests may be late; `None`: the cap alone says how many replicas there are.
    #[serde(default)]
    pub objective: Option<Objective>,
}

impl Default for Governor {
    fn default() -> Self {
        // 0.85: the middle of the range in which simulated cost and late requests balanced (0.80
        // safe .. 0.90 lean). At 0.95 a third more requests wait; at 0.70 a fifth more is paid.
        Self { busy_cap: 0.85, slots: None, hold_ms: None, objective: None }
    }
}

impl Governor {
    pub(super) fn recommend(&self, memory: &Memory, context: &Context<'_>) -> Vec<Recommendation> {
        let signals = context.signals;
        let mut recommendations = match (signals.arrivals_per_s, signals.work_s) {
            (Some(per_s), Some(work_s)) => from_demand(self, memory, signals, per_s, work_s),
            (Some(_), None) => {
                [cpu(CPU_SHARE, signals), pile_up(self, signals)].into_iter().flatten().collect()
            }
            (None, _) => without_balancer(self, context.observation, signals),
        };
        // Nothing runs, so nothing was measured: one replica is enough to find out.
        if signals.waiting > 0 && signals.committed() == 0 {
            recommendations.push(Arithmetic::Waiting { waiting: signals.waiting });
        }
        recommendations.into_iter().map(Arithmetic::recommend).collect()
    }

    pub(super) fn cpu_lines(&self) -> Vec<CpuLine> {
        vec![CpuLine::new("busy cap", self.busy_cap)]
    }

    /// Half of what a replica should do at most leaves room for one replica fewer.
    pub(super) fn triggers(&self) -> Triggers {
        Triggers { out_at: self.busy_cap, in_at: self.busy_cap / 2.0, window_ms: 0 }
    }
}

fn from_demand(
    rule: &Governor,
    memory: &Memory,
    signals: &Signals,
    per_s: f64,
    work_s: f64,
) -> Vec<Arithmetic> {
    let utilization = Utilization {
        arrivals_per_s: per_s,
        window_ms: signals.arrivals_window_ms,
        level_per_s: signals.level_per_s,
        level_window_ms: signals.level_window_ms,
        work_s,
        busy_cap: rule.busy_cap,
        objective: rule.objective.map(|objective| {
            objective.term(memory, per_s.max(signals.level_per_s), signals.start_lag_ms)
        }),
    };
    let backlog = backlog(per_s, work_s, signals).map(Arithmetic::Backlog);
    [Some(Arithmetic::Utilization(utilization)), backlog].into_iter().flatten().collect()
}

/// Only while something waits, or more arrives than the ready replicas can do.
fn backlog(per_s: f64, work_s: f64, signals: &Signals) -> Option<Backlog> {
    let busy = per_s * work_s;
    let waits = f64::from(signals.waiting) * work_s > BACKLOG_MIN;
    if !waits && busy <= f64::from(signals.ready) {
        return None;
    }
    let lag_s = seconds(signals.start_lag_ms);
    Some(Backlog {
        waiting: signals.waiting,
        work_s,
        busy,
        ready: signals.ready,
        due_s: if signals.starting > 0 { seconds(signals.starting_due_ms) } else { lag_s },
        work_off_s: WORK_OFF_S.max(lag_s * WORK_OFF_LAGS),
        most: BACKLOG_MAX_S.max(lag_s) * busy.max(signals.level_per_s * work_s),
    })
}

/// Replicas' worth of CPU in use and of time held back. CPU alone under-tells where work comes in
/// bursts: a replica that is at its limit in every second period is half busy by its mean, and
/// every request that met a full period waited.
fn cpu(share: f64, signals: &Signals) -> Option<Arithmetic> {
    let ready = f64::from(signals.ready);
    let held = signals.held_cpu.map(|held| held * ready);
    Some(Arithmetic::Cpu(CpuTerms { used: signals.cpu_used?, held, share }))
}

fn pile_up(rule: &Governor, signals: &Signals) -> Option<Arithmetic> {
    let per_replica = rule.slots.unwrap_or(PILE);
    let requests = signals.in_flight.saturating_add(signals.waiting);
    let piled = requests > signals.ready.saturating_mul(per_replica) && signals.ready > 0;
    let terms = PileUp { ready: signals.ready, requests, per_replica };
    piled.then_some(Arithmetic::PileUp(terms))
}

/// A service that has no balancer goes by CPU both ways; one that lost it only outwards, and not
/// before its replicas are busier than the cap that its count was chosen for.
fn without_balancer(
    rule: &Governor,
    observation: &Observation,
    signals: &Signals,
) -> Vec<Arithmetic> {
    let lost = observation.balancer.is_some();
    let recommendation = cpu(if lost { rule.busy_cap } else { CPU_SHARE }, signals);
    let outwards =
        |recommendation: &Arithmetic| !lost || recommendation.count() >= signals.committed();
    recommendation.into_iter().filter(outwards).collect()
}
