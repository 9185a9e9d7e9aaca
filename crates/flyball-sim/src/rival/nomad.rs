//! `nomad:T`, `nomad:T:S`: the Nomad autoscaler's target-value strategy on mean CPU.
//!
//! Decides by the published rule (Nomad Autoscaler documentation and source): count x metric /
//! target, rounded up, then a cooldown that stops evaluation both ways. Does not know bounds, nor
//! that anything is starting: it reckons from what runs. Invariant: within a cooldown the wish does
//! not change.
//!
//! Example: 3 running at 100 % with a target of 70 %: 3 x 1.43 = 4.3, so 5.

use flyball_core::observation::Observation;
use flyball_core::units::{Timestamp, replicas_for};

use super::Wish;
use super::meter::{Scrape, Strike, asked, mean, ready};

/// The default of a policy's `evaluation_interval`.
pub const EVALUATION_MS: u64 = 10_000;
/// The default of a policy's `cooldown`.
pub const COOLDOWN_MS: u64 = 300_000;
/// A factor this close to 1 moves nothing (`threshold`).
pub const THRESHOLD: f64 = 0.01;

/// The rule with its memory.
#[derive(Clone, Debug)]
pub struct Nomad {
    target: f64,
    cooldown_ms: u64,
    evaluations: Strike,
    scrape: Scrape,
    changed_at: Option<Timestamp>,
    wish: Option<Wish>,
}

impl Nomad {
    /// Keeps mean CPU at `target`, a share in (0, 1], with a cooldown of `cooldown_ms` both ways.
    pub fn new(target: f64, cooldown_ms: u64) -> Self {
        Self {
            target,
            cooldown_ms,
            evaluations: Strike::every(EVALUATION_MS),
            scrape: Scrape::default(),
            changed_at: None,
            wish: None,
        }
    }

    pub(super) fn recommend(&mut self, seen: &Observation) -> Wish {
        if let Some(engine) = seen.engine.value()
            && self.evaluations.strikes(seen.at)
        {
            self.scrape.take(engine);
            let cpu = mean(&self.scrape.serving(seen));
            self.evaluate(seen.at, asked(seen), ready(seen), cpu);
        }
        Wish::again(self.wish.as_ref(), seen, "evaluation")
    }

    fn evaluate(&mut self, now: Timestamp, current: u32, running: u32, cpu: Option<f64>) {
        let cools = self.changed_at.is_some_and(|at| now.ms_since(at) < self.cooldown_ms);
        let Some(cpu) = cpu.filter(|_| !cools) else { return };
        let factor = cpu / self.target;
        let near = (factor - 1.0).abs() <= THRESHOLD;
        let count = if near { current } else { replicas_for(f64::from(running) * factor) };
        if count != current {
            self.changed_at = Some(now);
        }
        let reason = format!(
            "{running} running x {:.0} % cpu / {:.0} % -> {count}",
            cpu * 100.0,
            self.target * 100.0
        );
        self.wish = Some(Wish { count, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_change_then_a_cooldown_both_ways() {
        let mut rule = Nomad::new(0.70, COOLDOWN_MS);
        let mut at = |s: u64, current, running, cpu| {
            rule.evaluate(Timestamp::from_ms(s * 1_000), current, running, cpu);
            rule.wish.as_ref().map(|wish| wish.count)
        };
        assert_eq!(at(0, 3, 3, None), None);
        assert_eq!(at(10, 3, 3, Some(1.0)), Some(5));
        assert_eq!(at(20, 5, 3, Some(1.0)), Some(5));
        assert_eq!(at(300, 5, 5, Some(0.1)), Some(5), "cools until 310 s");
        assert_eq!(at(310, 5, 5, Some(0.1)), Some(1));
    }

    #[test]
    fn a_hundredth_off_moves_nothing() {
        let mut rule = Nomad::new(0.50, 0);
        rule.evaluate(Timestamp::from_ms(0), 9, 9, Some(0.504));
        assert_eq!(rule.wish.map(|wish| wish.count), Some(9));
    }
}
