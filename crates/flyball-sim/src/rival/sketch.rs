//! `seed`: the 2014 sketch of HAProxy, Zabbix and six shell scripts that flyball grew from.
//!
//! Decides by its scripts: once a minute the mean CPU of the containers; at or over 30 % one more,
//! at or under 15 % one less. Does not know what is starting, and has no floor. Invariant: one
//! replica at a time, whatever the load.

use flyball_core::observation::Observation;

use super::Wish;
use super::meter::{Scrape, Strike, asked, mean};

/// Time from one check to the next: cron's shortest.
pub const INTERVAL_MS: u64 = 60_000;
/// A mean at or over this adds one.
pub const OUT_AT: f64 = 0.30;
/// A mean at or under this removes one.
pub const IN_AT: f64 = 0.15;

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
                let count = step(current, cpu);
                let reason =
                    format!("mean cpu {:.0} % of 15..30, {current} -> {count}", cpu * 100.0);
                self.wish = Some(Wish { count, reason });
            }
        }
        let kept = || Wish { count: current, reason: "no check yet".to_owned() };
        self.wish.clone().unwrap_or_else(kept)
    }
}

fn step(current: u32, cpu: f64) -> u32 {
    if cpu >= OUT_AT {
        current.saturating_add(1)
    } else if cpu <= IN_AT {
        current.saturating_sub(1)
    } else {
        current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_thresholds_belong_to_the_moves_and_it_has_no_floor() {
        let steps = [(4, 0.30), (4, 0.29), (4, 0.16), (4, 0.15), (1, 0.0)];
        assert_eq!(steps.map(|(count, cpu)| step(count, cpu)), [5, 4, 4, 3, 0]);
    }
}
