//! `jcwimer`: the docker-swarm-autoscaler script on Prometheus and cAdvisor.
//!
//! Decides by its published rule: every 60 s the sum of a service's CPU on one node, as a
//! percentage of one core, over 5 minutes; over 85 one more, under 25 one less. All replicas are
//! taken to be on one node. Does not know how many replicas share the sum: on a busy service it
//! never falls below 85, so the count runs to its bound. Invariant: one replica at a time.

use flyball_core::observation::Observation;
use flyball_core::units::seconds;

use super::Wish;
use super::meter::{Recent, Scrape, Strike, asked};
use super::threshold::Threshold;

/// Time from one check to the next.
pub const INTERVAL_MS: u64 = 60_000;
/// Prometheus scrapes every 30 s.
pub const SCRAPE_MS: u64 = 30_000;
/// The time a rate is taken over.
pub const RATE_MS: u64 = 300_000;
/// A sum over 85 % of one core adds one, one under 25 % removes one.
pub(super) const RULE: Threshold =
    Threshold { out_at: 85.0, in_at: 25.0, inclusive: false, bounds: None };

/// The rule with its memory.
#[derive(Clone, Debug)]
pub struct Jcwimer {
    checks: Strike,
    scrapes: Strike,
    scrape: Scrape,
    used_s: Recent<f64>,
    wish: Option<Wish>,
}

impl Default for Jcwimer {
    fn default() -> Self {
        Self {
            checks: Strike::every(INTERVAL_MS),
            scrapes: Strike::every(SCRAPE_MS),
            scrape: Scrape::default(),
            used_s: Recent::default(),
            wish: None,
        }
    }
}

impl Jcwimer {
    pub(super) fn recommend(&mut self, seen: &Observation) -> Wish {
        let current = asked(seen);
        if self.checks.strikes(seen.at) && !self.used_s.is_empty() {
            let used_s: f64 = self.used_s.younger(seen.at, RATE_MS).sum();
            let percent = 100.0 * used_s / seconds(RATE_MS);
            let count = RULE.step(current, percent);
            let reason = format!("{percent:.0} % of one core, of 25..85, {current} -> {count}");
            self.wish = Some(Wish { count, reason });
        }
        if let Some(engine) = seen.engine.value()
            && self.scrapes.strikes(seen.at)
        {
            self.scrape.take(engine);
            self.used_s.push(seen.at, self.scrape.used_s(), RATE_MS);
        }
        Wish::again(self.wish.as_ref(), seen, "check")
    }
}
