//! The governor: arrivals times the work of one request, compared with the capacity that already
//! runs. It does not use CPU as a signal where the work of a request is known: CPU saturates,
//! arrivals do not, so a load four times as high is seen as four times as high at the first look.
//! Without a fresh balancer reading it never recommends fewer than there are.
//!
//! Example: 212 requests/s at 0.031 replica-seconds are 6.57 replicas' worth. At most 85 % busy:
//! 6.57 / 0.85 = 7.7, so 8.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Arithmetic, HeadroomTerm, Recommendation};
use crate::memory::Memory;
use crate::observation::Observation;
use crate::policy::Governor;
use crate::signals::Signals;
use crate::units::seconds;

/// Mean CPU to come down to while the cost of a request is unknown: low enough that a replica which
/// saturates at once (100 %) asks for two thirds more.
const CPU_SHARE: f64 = 0.60;
/// Requests in one replica that count as a pile if its slots are not declared.
const PILE: u32 = 8;
/// Waiting work below this many replica-seconds is left to the utilization cap.
const BACKLOG_MIN: f64 = 0.3;
/// Share of their time that replicas work while a backlog is worked off.
const DRAINING_SHARE: f64 = 0.95;
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

/// Terms of the utilization recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Utilization {
    /// Arrivals per second over `window_ms`.
    pub arrivals_per_s: f64,
    /// The time those were taken over.
    pub window_ms: u64,
    /// Arrivals per second over `level_window_ms`.
    pub level_per_s: f64,
    /// The time those were taken over.
    pub level_window_ms: u64,
    /// Replica-seconds that one request costs.
    pub work_s: f64,
    /// The largest share of its time that a replica should be busy.
    pub busy_cap: f64,
    /// What is kept beyond that, since requests were late at the cap.
    #[serde(default)]
    pub spare: Option<HeadroomTerm>,
}

impl Utilization {
    /// Replicas' worth of work that arrives.
    pub fn busy(&self) -> f64 {
        self.arrivals_per_s.max(self.level_per_s) * self.work_s
    }

    /// Replicas that do `slack` times that work at the cap, and those beyond.
    pub(super) fn demand(&self, slack: f64) -> f64 {
        self.busy() * slack / self.busy_cap * self.spare.map_or(1.0, |spare| spare.factor)
    }

    /// One request's part of those that the load was told by: the least that it can be off; 0
    /// without any.
    fn one_request(&self) -> f64 {
        let (per_s, window_ms) = if self.arrivals_per_s >= self.level_per_s {
            (self.arrivals_per_s, self.window_ms)
        } else {
            (self.level_per_s, self.level_window_ms)
        };
        let requests = per_s * seconds(window_ms);
        if requests >= 1.0 { 1.0 / requests } else { 0.0 }
    }
}

impl fmt::Display for Utilization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "utilization {:.1}/s over {:.1} s (level {:.1}/s over {:.0} s) x {:.4} replica-s = {:.2} busy, at most {:.0} %",
            self.arrivals_per_s,
            seconds(self.window_ms),
            self.level_per_s,
            seconds(self.level_window_ms),
            self.work_s,
            self.busy(),
            self.busy_cap * 100.0
        )?;
        match self.spare {
            Some(HeadroomTerm { factor, slo_ms }) => {
                write!(f, ", x {factor:.2} to keep 99 % within {slo_ms} ms")
            }
            None => Ok(()),
        }
    }
}

/// Terms of the backlog recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backlog {
    /// Requests waiting.
    pub waiting: u32,
    /// Replica-seconds that one request costs.
    pub work_s: f64,
    /// Replicas' worth of work that arrives.
    pub busy: f64,
    /// Ready replicas.
    pub ready: u32,
    /// Seconds until new capacity serves: the start lag, or what is left of it to the oldest of the
    /// replicas on their way.
    pub due_s: f64,
    /// Seconds in which the backlog is to be worked off.
    pub work_off_s: f64,
    /// The backlog counted at most, in replica-seconds.
    pub most: f64,
}

impl Backlog {
    /// Replica-seconds to work off: what waits, and what will come to wait until help is there.
    fn backlog(&self) -> f64 {
        let short = (self.busy - f64::from(self.ready)).max(0.0);
        (f64::from(self.waiting) * self.work_s + short * self.due_s).min(self.most)
    }

    /// Replicas that serve what arrives and work the backlog off in time.
    pub(super) fn demand(&self) -> f64 {
        self.busy / DRAINING_SHARE + self.backlog() / self.work_off_s
    }
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "backlog     {} waiting, {:.2} busy on {} ready for {:.1} s: {:.2} replica-s in {:.1} s + arrivals at 95 %",
            self.waiting,
            self.busy,
            self.ready,
            self.due_s,
            self.backlog(),
            self.work_off_s
        )
    }
}

/// The governor's recommendations.
pub(super) fn recommend(
    rule: &Governor,
    memory: &Memory,
    observation: &Observation,
    signals: &Signals,
) -> Vec<Recommendation> {
    let mut recommendations = match (signals.arrivals_per_s, signals.work_s) {
        (Some(per_s), Some(work_s)) => {
            let spare = memory.headroom.spare(rule);
            from_demand((rule.busy_cap, spare), per_s, work_s, signals)
        }
        (Some(_), None) => {
            [cpu(CPU_SHARE, signals), pile_up(rule, signals)].into_iter().flatten().collect()
        }
        (None, _) => without_balancer(rule, observation, signals),
    };
    // Nothing runs, so nothing was measured: one replica is enough to find out.
    if signals.waiting > 0 && signals.committed() == 0 {
        recommendations.push(Arithmetic::Waiting { waiting: signals.waiting });
    }
    recommendations.into_iter().map(Arithmetic::recommend).collect()
}

fn from_demand(
    (busy_cap, spare): (f64, Option<HeadroomTerm>),
    per_s: f64,
    work_s: f64,
    signals: &Signals,
) -> Vec<Arithmetic> {
    let utilization = Utilization {
        arrivals_per_s: per_s,
        window_ms: signals.arrivals_window_ms,
        level_per_s: signals.level_per_s,
        level_window_ms: signals.level_window_ms,
        work_s,
        busy_cap,
        spare,
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
    let (used, held) = (signals.cpu_used?, signals.held_cpu.map(|held| held * ready));
    Some(Arithmetic::Cpu { used, held, share })
}

fn pile_up(rule: &Governor, signals: &Signals) -> Option<Arithmetic> {
    let per_replica = rule.slots.unwrap_or(PILE);
    let requests = signals.in_flight.saturating_add(signals.waiting);
    let piled = requests > signals.ready.saturating_mul(per_replica) && signals.ready > 0;
    piled.then_some(Arithmetic::PileUp { ready: signals.ready, requests, per_replica })
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

/// The count that `recommendations` still need with 4 % more load and, where it was counted, one
/// request more: the margin that keeps a count from swinging when the load sits on the edge between
/// two. At 8 % smooth loads pay 1 to 3 % more for as few late requests; at 2 % noisy ones do with
/// quick starts, since what is let go is missed.
pub fn still_needed(recommendations: &[Recommendation]) -> Option<u32> {
    const EDGE: f64 = 1.04;
    let needed = |recommendation: &Recommendation| match &recommendation.arithmetic {
        Arithmetic::Utilization(terms) => {
            recommendation.arithmetic.count_with(EDGE + terms.one_request())
        }
        _ => recommendation.arithmetic.count_with(EDGE),
    };
    recommendations.iter().map(needed).max()
}
