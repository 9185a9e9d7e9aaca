//! Recent requests: failed ones by who failed them, and answered ones. Counters that started again
//! (another epoch, or a smaller count) add nothing.

use crate::estimate::bins::Bins;
use crate::observation::BalancerReport;
use crate::trouble::LastMinute;
use crate::units::Timestamp;

const BIN_MS: u64 = 1_000;
/// What people are shown is over this time: long enough to see a share of a percent at a few
/// requests a second, short enough to see within a glance that it is over.
const WINDOW_MS: u64 = 60_000;
/// As many bins as the minute has, and the one that is being filled.
const FAILED_BINS: usize = 61;
/// What is answered is never asked for over more than 10 s.
const ANSWERED_BINS: usize = 11;

/// Requests by what became of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Requests {
    last: Option<Counted>,
    failed: Bins,
    by_replicas: Bins,
    by_balancer: Bins,
    unreachable: Bins,
    answered: Bins,
}

/// The counters as they stood at one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    at: Timestamp,
    epoch: u64,
    failed: u64,
    by_replicas: u64,
    by_balancer: u64,
    unreachable: u64,
    answered: u64,
}

impl Default for Requests {
    fn default() -> Self {
        let bins = || Bins::new(BIN_MS, FAILED_BINS);
        Self {
            last: None,
            failed: bins(),
            by_replicas: bins(),
            by_balancer: bins(),
            unreachable: bins(),
            answered: Bins::new(BIN_MS, ANSWERED_BINS),
        }
    }
}

impl Counted {
    fn of(at: Timestamp, report: &BalancerReport) -> Self {
        let open = report.servers.values().map(|server| u64::from(server.in_flight));
        let open = open.sum::<u64>() + u64::from(report.waiting);
        let open = open.saturating_add(report.errors);
        Self {
            at,
            epoch: report.epoch,
            failed: report.errors,
            by_replicas: report.failures.by_replicas,
            by_balancer: report.failures.by_balancer,
            unreachable: report.failures.unreachable,
            answered: report.arrivals.saturating_sub(open),
        }
    }
}

impl Requests {
    /// Takes in what the balancer had counted at `at`.
    pub(super) fn see(&mut self, at: Timestamp, report: &BalancerReport) {
        let now = Counted::of(at, report);
        let Some(before) = self.last.replace(now).filter(|before| before.epoch == now.epoch) else {
            return;
        };
        #[expect(clippy::cast_precision_loss, reason = "a difference far below 2^52")]
        let more = |before: u64, now: u64| now.checked_sub(before).map(|more| more as f64);
        if let Some(more) = more(before.answered, now.answered) {
            self.answered.add(before.at, at, more);
        }
        // Also where nothing failed: all of them cover the same time.
        for (bins, before_count, count) in [
            (&mut self.failed, before.failed, now.failed),
            (&mut self.by_replicas, before.by_replicas, now.by_replicas),
            (&mut self.by_balancer, before.by_balancer, now.by_balancer),
            (&mut self.unreachable, before.unreachable, now.unreachable),
        ] {
            if let Some(more) = more(before_count, count) {
                bins.add_rare(before.at, at, more);
            }
        }
    }

    /// Failed requests within `window_ms`, with the span really covered; `None` without a reading.
    pub(super) fn failed(&self, now: Timestamp, window_ms: u64) -> Option<(f64, u64)> {
        self.failed.sum(now, window_ms)
    }

    /// Requests answered without an error within `window_ms`, likewise; 10 s at most.
    pub(super) fn answered(&self, now: Timestamp, window_ms: u64) -> Option<(f64, u64)> {
        self.answered.sum(now, window_ms)
    }

    /// The last minute beside its `arrivals`, in whole requests; `None` without a reading.
    pub(super) fn last_minute(&self, now: Timestamp, arrivals: f64) -> Option<LastMinute> {
        let (failed, window_ms) = self.failed.sum(now, WINDOW_MS)?;
        let whole = |bins: &Bins| bins.sum(now, WINDOW_MS).map_or(0.0, |(sum, _)| sum.round());
        let failed = failed.round();
        let (by_replicas, by_balancer, unreachable) = if failed > 0.0 {
            (whole(&self.by_replicas), whole(&self.by_balancer), whole(&self.unreachable))
        } else {
            (0.0, 0.0, 0.0)
        };
        Some(LastMinute {
            window_ms,
            // A request may arrive before the minute and fail within it.
            arrivals: arrivals.round().max(failed),
            failed,
            by_replicas,
            by_balancer,
            unreachable,
        })
    }

    /// The time that the last minute is over.
    pub(super) const fn window_ms() -> u64 {
        WINDOW_MS
    }
}
