//! Why an objective cannot be kept, where more headroom is not allowed or would come too late, and
//! what would keep it.

use crate::decision::Decision;
use crate::memory::{ObjectiveTerm, span};
use crate::rules::{Arithmetic, Utilization};
use crate::units::replicas_for;

impl Decision {
    /// The sentence for people; `None` while the objective is kept, or nothing tells whether.
    pub fn broken_objective(&self) -> Option<String> {
        let (terms, objective) = self.objective()?;
        objective.was_late.filter(|was| *was > objective.late)?;
        self.at_maximum(objective).or_else(|| self.starts_too_late(terms, objective))
    }

    fn objective(&self) -> Option<(&Utilization, ObjectiveTerm)> {
        self.recommendations.iter().find_map(|one| match &one.arithmetic {
            Arithmetic::Utilization(terms) => Some((terms, terms.objective?)),
            _ => None,
        })
    }

    fn at_maximum(&self, objective: ObjectiveTerm) -> Option<String> {
        let wished = self.recommendations.iter().map(|wish| wish.count).max()?;
        let max = self.bounds.max;
        let late = objective.late * 100.0;
        (wished > max).then(|| {
            format!(
                "{late} % cannot be kept with {max} replicas: {wished} would be started above max"
            )
        })
    }

    fn starts_too_late(&self, terms: &Utilization, objective: ObjectiveTerm) -> Option<String> {
        let misses = objective.misses.filter(|misses| misses.share > objective.late)?;
        let needed = replicas_for(objective.replicas_at_top(terms.work_s, terms.busy_cap)?);
        let late = objective.late * 100.0;
        let starts = span(self.signals.start_lag_ms);
        let (share, growth) = (misses.share * 100.0, misses.growth);
        let max = self.bounds.max;
        let help = if needed <= max {
            format!("min = {needed} would keep it")
        } else {
            format!("{needed} replicas at all times would keep it, but max is {max}")
        };
        Some(format!(
            "{late} % cannot be kept with starts of {starts}: {share:.1} % of requests fall into \
             rises of x{growth:.1} within that time; {help}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::bounds::Bounds;
    use crate::estimate::growth::Misses;
    use crate::memory::{Lateness, Memory};
    use crate::observation::{EngineReport, Observation, Reading};
    use crate::policy::{Governor, Policy, RolloutPolicy, Rule, Timing};
    use crate::rules::Recommendation;
    use crate::units::Timestamp;

    use super::*;

    /// A decision whose objective of 1 % was broken by rises of three times.
    fn decision(max: u32) -> Decision {
        let at = Timestamp::from_ms(1_000);
        let engine = Reading::Taken { at, value: EngineReport::default() };
        let policy = Policy {
            service: "web".to_owned(),
            bounds: Bounds { min: 1, max },
            rule: Rule::Governor(Governor::default()),
            timing: Timing { start_lag_prior_ms: 300_000, ..Timing::default() },
            rollout: RolloutPolicy::default(),
            sleep: None,
        };
        let observation = Observation::new(at, engine);
        let mut decision = crate::decide::decide(&policy, &mut Memory::default(), &observation);
        let objective = ObjectiveTerm {
            late: 0.01,
            within_ms: 250,
            growth: 1.5,
            learnt_ms: 86_400_000,
            kept_ms: 0,
            misses: Some(Misses { share: 0.06, growth: 3.0, top_per_s: 90.0 }),
            reserve: 0.8,
            trim: 1.0,
            lateness: Lateness::Counted,
            was_late: Some(0.03),
        };
        let terms = Utilization {
            arrivals_per_s: 30.0,
            window_ms: 1_000,
            level_per_s: 30.0,
            level_window_ms: 1_000,
            work_s: 0.05,
            busy_cap: 0.97,
            objective: Some(objective),
        };
        decision.recommendations = vec![made_up(Arithmetic::Utilization(terms))];
        decision
    }

    fn made_up(arithmetic: Arithmetic) -> Recommendation {
        Recommendation { count: arithmetic.count(), arithmetic }
    }

    fn with(mut decision: Decision, change: impl Fn(&mut ObjectiveTerm)) -> Option<String> {
        for one in &mut decision.recommendations {
            if let Arithmetic::Utilization(terms) = &mut one.arithmetic {
                terms.objective.iter_mut().for_each(&change);
            }
        }
        decision.broken_objective()
    }

    #[test]
    fn rises_faster_than_starts_are_named_with_the_count_that_would_meet_them() {
        assert_eq!(
            decision(20).broken_objective().unwrap(),
            "1 % cannot be kept with starts of 5 min: 6.0 % of requests fall into rises of x3.0 \
             within that time; min = 6 would keep it"
        );
        let text = decision(5).broken_objective().unwrap();
        assert!(text.ends_with("6 replicas at all times would keep it, but max is 5"), "{text}");
        let lines = decision(20).lines();
        assert!(lines.iter().any(|l| l.label == "objective" && l.text.contains("x3.0")));
    }

    #[test]
    fn the_maximum_is_named_where_it_stands_in_the_way() {
        let text = decision(2).broken_objective().unwrap();
        assert_eq!(text, "1 % cannot be kept with 2 replicas: 4 would be started above max");
    }

    #[test]
    fn an_objective_that_is_kept_or_not_judged_or_missed_for_another_reason_says_nothing() {
        let shares = [None, Some(0.01), Some(0.0)];
        assert!(shares.iter().all(|was| with(decision(20), |o| o.was_late = *was).is_none()));
        assert_eq!(with(decision(20), |o| o.misses = None), None);
        let few = Misses { share: 0.005, growth: 3.0, top_per_s: 90.0 };
        assert_eq!(with(decision(20), |o| o.misses = Some(few)), None);
    }
}
