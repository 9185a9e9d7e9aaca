//! Each recommendation worked out a second time, from its terms as they are printed. Written from
//! the rules' documents, not from their code: whoever changes an arithmetic changes it here as
//! well, or its decisions are refused.

use crate::observation::{Ask, Observation};
use crate::policy::Policy;
use crate::rules::{AdviceState, Arithmetic, Backlog, Objective, Ratio, Rule, Utilization};
use crate::signals::Signals;

/// The share of their time that replicas work while they work a backlog off.
const WORKING_OFF: f64 = 0.95;

/// The count that the terms give.
pub(super) fn count(arithmetic: &Arithmetic) -> u32 {
    match arithmetic {
        Arithmetic::Utilization(terms) => utilization(terms),
        Arithmetic::Backlog(terms) => backlog(terms),
        Arithmetic::Cpu(terms) => {
            whole((terms.used + terms.held.unwrap_or_default()) / terms.share)
        }
        Arithmetic::PileUp(terms) => terms.ready.saturating_mul(3).div_ceil(2),
        Arithmetic::Waiting { waiting } => u32::from(*waiting > 0),
        Arithmetic::Ratio(terms) => ratio(terms),
        Arithmetic::Threshold(terms) => match terms.mean {
            mean if mean >= terms.out_at => terms.current.saturating_add(terms.by),
            mean if mean <= terms.in_at => terms.current.saturating_sub(terms.by),
            _ => terms.current,
        },
        Arithmetic::Advised(terms) => match terms.said {
            AdviceState::More => terms.current.saturating_add(terms.by),
            AdviceState::Fewer => terms.current.saturating_sub(terms.by),
            AdviceState::Keep | AdviceState::Nothing { .. } => terms.current,
        },
        Arithmetic::Asked { count, .. } => *count,
    }
}

/// Whole replicas that do so much work; what floating point adds is forgiven.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and NaN becomes 0"
)]
fn whole(replicas: f64) -> u32 {
    (replicas - 1e-9).ceil() as u32
}

/// The larger of both rates times the work of a request, and with an objective as much more as it
/// may grow, over the cap; then what is kept against chance, and the trim of all of it.
fn utilization(terms: &Utilization) -> u32 {
    let busy = f64::max(terms.arrivals_per_s, terms.level_per_s) * terms.work_s;
    let Some(objective) = terms.objective else { return whole(busy / terms.busy_cap) };
    let grown = busy * objective.growth;
    let reserve = f64::min(grown, 1.0) * objective.reserve;
    whole((grown / terms.busy_cap + reserve) * objective.trim)
}

/// What arrives with 5 % to spare, and what has come to wait by the time that help is there, within
/// the time that it may take.
fn backlog(terms: &Backlog) -> u32 {
    let short = f64::max(0.0, terms.busy - f64::from(terms.ready));
    let waits = f64::from(terms.waiting) * terms.work_s + short * terms.due_s;
    whole(terms.busy / WORKING_OFF + f64::min(waits, terms.most) / terms.work_off_s)
}

/// Kubernetes' rule: the ratio of used to wanted CPU over those that have a reading; replicas
/// without one count as idle where the ratio asks for more, and as fully busy where it asks for
/// fewer, and nothing changes if that turns the answer round.
fn ratio(terms: &Ratio) -> u32 {
    let measured = f64::from(terms.measured);
    let plain = terms.used / (measured * terms.target);
    let near_one = |ratio: f64| (ratio - 1.0).abs() <= terms.tolerance + 1e-9;
    let more = plain >= 1.0;
    if terms.missing == 0 && (terms.starting == 0 || plain <= 1.0) {
        return if near_one(plain) { terms.current } else { whole(plain * measured) };
    }
    let missing = f64::from(terms.missing);
    let starting = f64::from(terms.starting);
    let (used, all) = if more {
        (terms.used, measured + missing + starting)
    } else {
        (terms.used + missing * f64::max(1.0, terms.target), measured + missing)
    };
    let assumed = used / (all * terms.target);
    let count = whole(assumed * all);
    let turned = more != (assumed >= 1.0);
    let backwards = if assumed >= 1.0 { count <= terms.current } else { count > terms.current };
    if near_one(assumed) || turned || backwards { terms.current } else { count }
}

/// Whether the terms are what was seen, and what is set.
pub(super) fn hold(
    policy: &Policy,
    observation: &Observation,
    signals: &Signals,
    arithmetic: &Arithmetic,
) -> bool {
    match (arithmetic, &policy.rule) {
        (Arithmetic::Utilization(terms), Rule::Governor(rule)) => {
            Some(terms.arrivals_per_s) == signals.arrivals_per_s
                && terms.level_per_s == signals.level_per_s
                && Some(terms.work_s) == signals.work_s
                && terms.busy_cap == rule.busy_cap
                && terms.objective.map(|o| Objective { late: o.late, within_ms: o.within_ms })
                    == rule.objective
        }
        (Arithmetic::Backlog(terms), Rule::Governor(_)) => {
            let busy = signals.arrivals_per_s.zip(signals.work_s).map(|(per_s, s)| per_s * s);
            Some(terms.busy) == busy
                && (terms.waiting, terms.ready) == (signals.waiting, signals.ready)
        }
        (Arithmetic::Cpu(terms), Rule::Governor(_)) => Some(terms.used) == signals.cpu_used,
        (Arithmetic::PileUp(terms), Rule::Governor(rule)) => {
            terms.ready == signals.ready
                && terms.requests == signals.in_flight.saturating_add(signals.waiting)
                && rule.slots.is_none_or(|slots| slots == terms.per_replica)
        }
        (Arithmetic::Waiting { waiting }, _) => *waiting == signals.waiting,
        (Arithmetic::Ratio(terms), Rule::Target(rule)) => {
            (terms.current, terms.starting) == (signals.current, signals.starting)
                && terms.measured.saturating_add(terms.missing) >= signals.ready
                && (terms.target, terms.tolerance) == (rule.cpu, rule.tolerance)
        }
        (Arithmetic::Threshold(terms), Rule::Step(rule)) => {
            Some(terms.mean) == signals.mean_cpu
                && (terms.current, terms.by) == (signals.current, rule.by)
                && (terms.out_at, terms.in_at) == (rule.out_at, rule.in_at)
        }
        (Arithmetic::Advised(terms), Rule::Advised(rule)) => {
            (terms.current, terms.by) == (signals.current, rule.by)
        }
        (Arithmetic::Asked { count, .. }, Rule::External) => {
            let asked = match observation.manual.as_ref().map(|manual| &manual.ask) {
                Some(Ask::Pin(pinned)) => *pinned,
                Some(Ask::Pause) | None => signals.current,
            };
            *count == asked
        }
        // A signal that the rule does not have.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::decide::decide;
    use crate::invariants::{Broken, check};
    use crate::memory::Memory;
    use crate::observation::{EngineReport, Manual, Reading};
    use crate::policy::{Bounds, RolloutPolicy, Timing};
    use crate::rules::{Recommendation, Threshold};
    use crate::units::Timestamp;

    use super::*;

    /// A recommendation whose count follows from its terms, though the terms follow from nothing.
    fn made_up(arithmetic: Arithmetic) -> Recommendation {
        Recommendation { count: arithmetic.count(), arithmetic }
    }

    #[test]
    fn a_count_that_follows_from_made_up_terms_does_not_add_up() {
        let at = Timestamp::from_ms(60_000);
        let manual = Manual { ask: Ask::Pin(3), until: None, by: "cli".to_owned() };
        let engine = Reading::Taken { at, value: EngineReport::default() };
        let observation = Observation { manual: Some(manual), ..Observation::new(at, engine) };
        let policy = Policy {
            service: "web".to_owned(),
            bounds: Bounds { min: 0, max: 9 },
            rule: Rule::External,
            timing: Timing::default(),
            rollout: RolloutPolicy::default(),
            sleep: None,
        };
        let decision = decide(&policy, &mut Memory::default(), &observation);
        assert_eq!((decision.desired, check(&policy, &observation, &decision)), (3, Vec::new()));
        let threshold = Threshold { mean: 0.9, out_at: 0.3, in_at: 0.1, by: 3, current: 0 };
        let asked = Arithmetic::Asked { count: 3, by: "nobody".to_owned() };
        for (arithmetic, manual) in
            [(Arithmetic::Threshold(threshold), observation.manual.clone()), (asked, None)]
        {
            let mut decision = decision.clone();
            decision.recommendations = vec![made_up(arithmetic)];
            let observation = Observation { manual, ..observation.clone() };
            let broken = check(&policy, &observation, &decision);
            assert!(matches!(broken[..], [Broken::DoesNotAddUp(_)]), "{broken:?}");
        }
    }
}
