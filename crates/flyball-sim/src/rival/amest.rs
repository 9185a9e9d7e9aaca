//! `amest`: the AMEST autoscaler for Docker Swarm, on median CPU usage, one replica at a time. The
//! rule and the defaults are those it publishes.

use flyball_core::observation::Observation;

use super::RivalCount;
use super::scrape::{Scrape, Ticker, asked};
use super::threshold::Threshold;

/// `docker stats` compares two readings of so much apart.
pub const STATS_MS: u64 = 2_000;

/// What its users may set; the defaults are its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Its label for the fewest replicas.
    pub min: u32,
    /// Its label for the most; at least `min`.
    pub max: u32,
    /// A median over this share of the limit adds one.
    pub out_at: f64,
    /// A median under this share removes one; less than `out_at`.
    pub in_at: f64,
    /// Time from one check to the next; above 0.
    pub interval_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { min: 2, max: 15, out_at: 0.85, in_at: 0.25, interval_ms: 300_000 }
    }
}

impl Settings {
    pub(super) fn rule(self) -> Threshold {
        let Self { min, max, out_at, in_at, .. } = self;
        Threshold { out_at, in_at, inclusive: false, bounds: Some((min, max)) }
    }
}

/// The rule with its memory: every 300 s the median CPU usage of the tasks, as `docker stats` takes
/// it over one or two seconds; over 85 % one more, under 25 % one less, within its own labels'
/// default bounds of 2 and 15. It does not see requests.
#[derive(Clone, Debug)]
pub struct Amest {
    checks: Ticker,
    scrape: Scrape,
    rule: Threshold,
    wish: Option<RivalCount>,
}

impl Amest {
    /// With `settings`, and no check yet.
    pub fn new(settings: Settings) -> Self {
        let checks = Ticker::every(settings.interval_ms);
        Self { checks, scrape: Scrape::default(), rule: settings.rule(), wish: None }
    }

    pub(super) fn recommend(&mut self, seen: &Observation) -> RivalCount {
        let due = self.checks.ticks(seen.at);
        if let Some(engine) = seen.engine.value()
            && (due || self.checks.due_ms(seen.at) <= STATS_MS)
        {
            self.scrape.take(engine);
        }
        let current = asked(seen);
        if due && let Some(median) = median(self.scrape.serving(seen)) {
            let count = self.rule.step(current, median);
            let reason = format!(
                "median cpu {:.0} % of {}, {current} -> {count}",
                median * 100.0,
                self.rule.levels(100.0)
            );
            self.wish = Some(RivalCount { count, reason });
        }
        RivalCount::again(self.wish.as_ref(), seen, "check")
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
