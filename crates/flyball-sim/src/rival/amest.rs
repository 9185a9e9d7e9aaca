//! `amest`: the AMEST autoscaler for Docker Swarm.
//!
//! Decides by its published rule and defaults: every 300 s the median CPU of the tasks, as `docker
//! stats` takes it over one or two seconds; over 85 % one more, under 25 % one less, within its own
//! labels' default bounds of 2 and 15. Does not know requests. Invariant: one replica at a time.

use flyball_core::observation::Observation;

use super::Wish;
use super::meter::{Scrape, Strike, asked};
use super::threshold::Threshold;

/// Time from one check to the next.
pub const INTERVAL_MS: u64 = 300_000;
/// A median over 85 % adds one, one under 25 % removes one.
pub(super) const RULE: Threshold =
    Threshold { out_at: 0.85, in_at: 0.25, inclusive: false, bounds: None };
/// The default bounds of its labels.
pub const BOUNDS: (u32, u32) = (2, 15);
/// `docker stats` compares two readings of so much apart.
pub const STATS_MS: u64 = 2_000;

/// The rule with its memory.
#[derive(Clone, Debug)]
pub struct Amest {
    checks: Strike,
    scrape: Scrape,
    rule: Threshold,
    wish: Option<Wish>,
}

impl Amest {
    /// With its labels set to at least `min` and at most `max`.
    pub fn new(min: u32, max: u32) -> Self {
        let (checks, scrape) = (Strike::every(INTERVAL_MS), Scrape::default());
        let rule = Threshold { bounds: Some((min, max)), ..RULE };
        Self { checks, scrape, rule, wish: None }
    }

    pub(super) fn recommend(&mut self, seen: &Observation) -> Wish {
        let strikes = self.checks.strikes(seen.at);
        if let Some(engine) = seen.engine.value()
            && (strikes || self.checks.due_ms(seen.at) <= STATS_MS)
        {
            self.scrape.take(engine);
        }
        let current = asked(seen);
        if strikes && let Some(median) = median(self.scrape.serving(seen)) {
            let count = self.rule.step(current, median);
            let reason =
                format!("median cpu {:.0} % of 25..85, {current} -> {count}", median * 100.0);
            self.wish = Some(Wish { count, reason });
        }
        Wish::again(self.wish.as_ref(), seen, "check")
    }
}

/// The middle value, or the mean of the middle two; `None` of none.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_of_two_is_their_mean() {
        assert_eq!(median(vec![0.9, 0.1]), Some(0.5));
        assert_eq!(median(vec![0.9, 0.1, 0.2]), Some(0.2));
        assert_eq!(median(vec![]), None);
    }
}
