//! `nomad:T`, `nomad:T:S`: the Nomad autoscaler's target-value strategy on mean CPU usage, by its
//! documentation and source.

use flyball_core::observation::Observation;
use flyball_core::units::{Timestamp, replicas_for};

use super::RivalCount;
use super::scrape::{Scrape, Ticker, asked, mean, ready};

/// What its users may set; the defaults are its own, but for the target, which has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The mean CPU to keep, a share in (0, 1].
    pub target: f64,
    /// Time after a change in which nothing is evaluated (`cooldown`).
    pub cooldown_ms: u64,
    /// Time from one evaluation to the next (`evaluation_interval`); above 0.
    pub evaluation_ms: u64,
    /// A factor this close to 1 moves nothing (`threshold`).
    pub threshold: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { target: 0.70, cooldown_ms: 300_000, evaluation_ms: 10_000, threshold: 0.01 }
    }
}

/// The rule with its memory: count x metric / target, rounded up, then a cooldown that stops
/// evaluation both ways and keeps the count that was asked for. It has no bounds and counts what
/// runs, not what is starting.
///
/// Example: 3 running at 100 % with a target of 70 %: 3 x 1.43 = 4.3, so 5.
#[derive(Clone, Debug)]
pub struct Nomad {
    settings: Settings,
    evaluations: Ticker,
    scrape: Scrape,
    changed_at: Option<Timestamp>,
    wish: Option<RivalCount>,
}

impl Nomad {
    /// With `settings`, and no evaluation yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            evaluations: Ticker::every(settings.evaluation_ms),
            scrape: Scrape::default(),
            changed_at: None,
            wish: None,
        }
    }

    pub(super) fn recommend(&mut self, seen: &Observation) -> RivalCount {
        if let Some(engine) = seen.engine.value()
            && self.evaluations.ticks(seen.at)
        {
            self.scrape.take(engine);
            let cpu = mean(&self.scrape.serving(seen));
            self.evaluate(seen.at, asked(seen), ready(seen), cpu);
        }
        RivalCount::again(self.wish.as_ref(), seen, "evaluation")
    }

    fn evaluate(&mut self, now: Timestamp, current: u32, running: u32, cpu: Option<f64>) {
        let Settings { target, cooldown_ms, threshold, .. } = self.settings;
        let cools = self.changed_at.is_some_and(|at| now.ms_since(at) < cooldown_ms);
        let Some(cpu) = cpu.filter(|_| !cools) else { return };
        let factor = cpu / target;
        let near = (factor - 1.0).abs() <= threshold;
        let count = if near { current } else { replicas_for(f64::from(running) * factor) };
        if count != current {
            self.changed_at = Some(now);
        }
        let reason = format!(
            "{running} running x {:.0} % cpu / {:.0} % -> {count}",
            cpu * 100.0,
            target * 100.0
        );
        self.wish = Some(RivalCount { count, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_change_then_a_cooldown_both_ways() {
        let mut rule = Nomad::new(Settings::default());
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
        let mut rule = Nomad::new(Settings { target: 0.50, cooldown_ms: 0, ..Settings::default() });
        rule.evaluate(Timestamp::from_ms(0), 9, 9, Some(0.504));
        assert_eq!(rule.wish.map(|wish| wish.count), Some(9));
    }
}
