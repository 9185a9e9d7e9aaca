//! `seed`: the 2014 sketch of HAProxy, Zabbix and six shell scripts that flyball grew from.
//!
//! Decides by its scripts: once a minute the mean CPU of the containers; at or over 30 % one more,
//! at or under 15 % one less. Does not know what is starting, and has no floor. Invariant: one
//! replica at a time, whatever the load.

use flyball_core::observation::Observation;

use super::Wish;
use super::meter::{Scrape, Strike, asked, mean};
use super::threshold::Threshold;

/// Time from one check to the next: cron's shortest.
pub const INTERVAL_MS: u64 = 60_000;
/// A mean at or over 30 % adds one, one at or under 15 % removes one; there is no floor.
pub(super) const RULE: Threshold =
    Threshold { out_at: 0.30, in_at: 0.15, inclusive: true, bounds: None };

/// The rule with its memory.
#[derive(Clone, Debug)]
pub struct Sketch {
    checks: Strike,
    scrape: Scrape,
    wish: Option<Wish>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { checks: Strike::every(INTERVAL_MS), scrape: Scrape::default(), wish: None }
    }
}

impl Sketch {
    pub(super) fn recommend(&mut self, seen: &Observation) -> Wish {
        let current = asked(seen);
        if let Some(engine) = seen.engine.value()
            && self.checks.strikes(seen.at)
        {
            self.scrape.take(engine);
            if let Some(cpu) = mean(&self.scrape.serving(seen)) {
                let count = RULE.step(current, cpu);
                let reason =
                    format!("mean cpu {:.0} % of 15..30, {current} -> {count}", cpu * 100.0);
                self.wish = Some(Wish { count, reason });
            }
        }
        Wish::again(self.wish.as_ref(), seen, "check")
    }
}
