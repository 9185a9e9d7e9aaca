//! `jcwimer`: the docker-swarm-autoscaler script on Prometheus and cAdvisor, by its published rule:
//! one replica at a time, on the sum of a service's CPU usage.

use flyball_core::observation::Observation;
use flyball_core::units::seconds;

use super::RivalCount;
use super::scrape::{Recent, Scrape, Ticker, asked};
use super::threshold::Threshold;

/// Prometheus scrapes every 30 s.
pub const SCRAPE_MS: u64 = 30_000;
/// The time a rate is taken over.
pub const RATE_MS: u64 = 300_000;

/// What its users may set; the defaults are its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// A sum over this share of one core adds one.
    pub out_at: f64,
    /// A sum under this share removes one; less than `out_at`.
    pub in_at: f64,
    /// Time from one check to the next; above 0.
    pub interval_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { out_at: 0.85, in_at: 0.25, interval_ms: 60_000 }
    }
}

impl Settings {
    pub(super) fn rule(self) -> Threshold {
        let Self { out_at, in_at, .. } = self;
        Threshold { out_at, in_at, inclusive: false, bounds: None }
    }
}

/// The rule with its memory: every 60 s the sum of a service's CPU usage on one node, as a
/// percentage of one core, over 5 minutes; over 85 one more, under 25 one less. All replicas are
/// taken to be on one node. The rule does not divide by the count: on a busy service the sum never
/// falls below 85, so the count runs to its bound.
#[derive(Clone, Debug)]
pub struct Jcwimer {
    rule: Threshold,
    checks: Ticker,
    scrapes: Ticker,
    scrape: Scrape,
    used_s: Recent<f64>,
    wish: Option<RivalCount>,
}

impl Jcwimer {
    /// With `settings`, and no check yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            rule: settings.rule(),
            checks: Ticker::every(settings.interval_ms),
            scrapes: Ticker::every(SCRAPE_MS),
            scrape: Scrape::default(),
            used_s: Recent::default(),
            wish: None,
        }
    }

    pub(super) fn recommend(&mut self, seen: &Observation) -> RivalCount {
        let current = asked(seen);
        if self.checks.ticks(seen.at) && !self.used_s.is_empty() {
            let used_s: f64 = self.used_s.younger(seen.at, RATE_MS).sum();
            let share = used_s / seconds(RATE_MS);
            let count = self.rule.step(current, share);
            let percent = 100.0 * share;
            let levels = self.rule.levels(100.0);
            let reason = format!("{percent:.0} % of one core, of {levels}, {current} -> {count}");
            self.wish = Some(RivalCount { count, reason });
        }
        if let Some(engine) = seen.engine.value()
            && self.scrapes.ticks(seen.at)
        {
            self.scrape.take(engine);
            self.used_s.push(seen.at, self.scrape.used_s(), RATE_MS);
        }
        RivalCount::again(self.wish.as_ref(), seen, "check")
    }
}
