//! `seed`: the sketch of HAProxy, Zabbix and six shell scripts of 2014 that flyball grew from: one
//! replica at a time, whatever the load.

use flyball_core::observation::Observation;

use super::RivalCount;
use super::scrape::{Scrape, Ticker, asked, mean};
use super::threshold::Threshold;

/// What its user may set; the defaults are its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// A mean at or over this share of the limit adds one.
    pub out_at: f64,
    /// A mean at or under this share removes one; less than `out_at`.
    pub in_at: f64,
    /// Time from one check to the next; above 0.
    pub interval_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        // A minute is cron's shortest.
        Self { out_at: 0.30, in_at: 0.15, interval_ms: 60_000 }
    }
}

impl Settings {
    /// There is no floor.
    pub(super) fn rule(self) -> Threshold {
        let Self { out_at, in_at, .. } = self;
        Threshold { out_at, in_at, inclusive: true, bounds: None }
    }
}

/// The rule with its memory: once a minute the mean CPU usage of the containers; at or over 30 %
/// one more, at or under 15 % one less. It does not see what is starting, and has no floor.
#[derive(Clone, Debug)]
pub struct Sketch {
    rule: Threshold,
    checks: Ticker,
    scrape: Scrape,
    wish: Option<RivalCount>,
}

impl Sketch {
    /// With `settings`, and no check yet.
    pub fn new(settings: Settings) -> Self {
        let checks = Ticker::every(settings.interval_ms);
        Self { rule: settings.rule(), checks, scrape: Scrape::default(), wish: None }
    }

    pub(super) fn recommend(&mut self, seen: &Observation) -> RivalCount {
        let current = asked(seen);
        if let Some(engine) = seen.engine.value()
            && self.checks.ticks(seen.at)
        {
            self.scrape.take(engine);
            if let Some(cpu) = mean(&self.scrape.serving(seen)) {
                let count = self.rule.step(current, cpu);
                let percent = cpu * 100.0;
                let levels = self.rule.levels(100.0);
                let reason = format!("mean cpu {percent:.0} % of {levels}, {current} -> {count}");
                self.wish = Some(RivalCount { count, reason });
            }
        }
        RivalCount::again(self.wish.as_ref(), seen, "check")
    }
}
