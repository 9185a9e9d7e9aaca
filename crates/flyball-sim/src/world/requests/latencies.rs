//! How long requests took, and what became of them. `arrived` = `served` + `unserved` + those still
//! on their way, and a latency runs from the moment a request was due, so that a stall counts for
//! all who came in it.

use flyball_core::observation::LatencyReport;
use hdrhistogram::Histogram;

use super::arrivals::{MS, nanos};

/// Highest latency told apart from higher ones, in microseconds: one hour.
const HIGHEST_US: u64 = 3_600_000_000;
/// What a balancer tells covers the last ten seconds.
const SLICE_NS: u64 = 10_000 * MS;
/// The worst p99 is sought over windows of five minutes.
const WINDOW_NS: u64 = 300_000 * MS;

/// Requests and their latencies.
#[derive(Clone, Debug)]
pub struct Latencies {
    limit_ns: u64,
    /// Requests that arrived.
    pub arrived: u64,
    /// Requests that were answered.
    pub served: u64,
    /// Of these, those that took longer than the limit.
    pub late: u64,
    /// Requests that were refused, given up, or lost with their replica.
    pub unserved: u64,
    longest_wait_ns: u64,
    all: Histogram<u64>,
    window: Histogram<u64>,
    window_end_ns: u64,
    worst_window_us: u64,
    slice: Histogram<u32>,
    slice_end_ns: u64,
    told: Option<LatencyReport>,
}

impl Latencies {
    /// None yet; a request is late after `limit_ms`.
    pub fn new(limit_ms: u64) -> Self {
        Self {
            limit_ns: limit_ms * MS,
            arrived: 0,
            served: 0,
            late: 0,
            unserved: 0,
            longest_wait_ns: 0,
            all: histogram(),
            window: histogram(),
            window_end_ns: WINDOW_NS,
            worst_window_us: 0,
            slice: slice(),
            slice_end_ns: SLICE_NS,
            told: None,
        }
    }

    /// Work on a request begins, `wait_ns` after it arrived.
    pub(super) fn waited(&mut self, wait_ns: u64) {
        self.longest_wait_ns = self.longest_wait_ns.max(wait_ns);
    }

    /// A request that was due at `due_ns` was answered at `now_ns`.
    pub fn answered(&mut self, due_ns: u64, now_ns: u64) {
        let took_ns = now_ns - due_ns;
        self.served += 1;
        self.late += u64::from(took_ns > self.limit_ns);
        let took_us = took_ns / 1_000;
        self.window.saturating_record(took_us);
        self.slice.saturating_record(took_us);
    }

    /// Lets time pass up to `now_ns`; to be called at least once within each ten seconds.
    pub fn pass(&mut self, now_ns: u64) {
        if now_ns >= self.slice_end_ns {
            self.slice_end_ns = (now_ns / SLICE_NS + 1) * SLICE_NS;
            self.told = report(&self.slice);
            self.slice.reset();
        }
        if now_ns >= self.window_end_ns {
            self.window_end_ns = (now_ns / WINDOW_NS + 1) * WINDOW_NS;
            self.close_window();
        }
    }

    fn close_window(&mut self) {
        if self.window.is_empty() {
            return;
        }
        let p99_us = self.window.value_at_quantile(0.99);
        self.worst_window_us = self.worst_window_us.max(p99_us);
        // Cannot fail: both have the same bounds.
        let _ = self.all.add(&self.window);
        self.window.reset();
    }

    /// What a balancer would tell: the last full slice of ten seconds.
    pub fn told(&self) -> Option<LatencyReport> {
        self.told
    }

    /// The figures of the whole run.
    pub fn sum_up(mut self) -> Summary {
        self.close_window();
        let ms = |us| milliseconds(us);
        let quantile = |q| (!self.all.is_empty()).then(|| ms(self.all.value_at_quantile(q)));
        Summary {
            arrived: self.arrived,
            served: self.served,
            late: self.late,
            unserved: self.unserved,
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            worst_p99_ms: (!self.all.is_empty()).then(|| ms(self.worst_window_us)),
            longest_wait_s: nanos(self.longest_wait_ns) / 1e9,
        }
    }
}

/// Requests of a whole run.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Requests that arrived.
    pub arrived: u64,
    /// Requests that were answered.
    pub served: u64,
    /// Of these, those that took longer than the limit.
    pub late: u64,
    /// Requests that were refused, given up, or lost with their replica.
    pub unserved: u64,
    /// Half of the answers took no longer; none without an answer.
    pub p50_ms: Option<f64>,
    /// 99 of 100 answers took no longer, all in one histogram; none without an answer.
    pub p99_ms: Option<f64>,
    /// The same of the worst five minutes; none without an answer.
    pub worst_p99_ms: Option<f64>,
    /// The longest that a request which was worked on had waited before, in seconds.
    pub longest_wait_s: f64,
}

impl Summary {
    /// Percent of the requests that were answered too late or not at all; 0 if none arrived.
    pub fn over_limit_pct(&self) -> f64 {
        percent(self.late + self.unserved, self.arrived)
    }

    /// Percent of the requests that were not answered; 0 if none arrived.
    pub fn unserved_pct(&self) -> f64 {
        percent(self.unserved, self.arrived)
    }
}

#[expect(clippy::cast_precision_loss, reason = "requests of a run stay far below 2^52")]
fn percent(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 * 100.0 }
}

fn report(slice: &Histogram<u32>) -> Option<LatencyReport> {
    (!slice.is_empty()).then(|| LatencyReport {
        window_ms: SLICE_NS / MS,
        count: slice.len(),
        p50_ms: milliseconds(slice.value_at_quantile(0.5)),
        p99_ms: milliseconds(slice.value_at_quantile(0.99)),
    })
}

#[expect(clippy::cast_precision_loss, reason = "latencies stay far below 2^52 us")]
fn milliseconds(us: u64) -> f64 {
    us as f64 / 1_000.0
}

#[expect(clippy::expect_used, reason = "the bounds are constants that every test tries out")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HIGHEST_US, 3).expect("valid bounds")
}

#[expect(clippy::expect_used, reason = "the bounds are constants that every test tries out")]
fn slice() -> Histogram<u32> {
    Histogram::new_with_bounds(1, HIGHEST_US, 2).expect("valid bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_five_minutes_are_found_and_not_averaged_away() {
        let mut latencies = Latencies::new(100);
        for second in 0..900_u64 {
            let took_ms = if (300..600).contains(&second) { 500 } else { 10 };
            let now_ns = second * 1_000 * MS + took_ms * MS;
            latencies.pass(now_ns);
            latencies.arrived += 1;
            latencies.answered(second * 1_000 * MS, now_ns);
        }
        let sum = latencies.sum_up();
        assert_eq!((sum.served, sum.late), (900, 300));
        assert!((sum.worst_p99_ms.unwrap() - 500.0).abs() < 1.0, "{sum:?}");
        assert!((sum.p50_ms.unwrap() - 10.0).abs() < 0.1, "{sum:?}");
        assert!((sum.over_limit_pct() - 100.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_run_without_requests_has_no_latency_and_nothing_over_the_limit() {
        let sum = Latencies::new(100).sum_up();
        assert_eq!((sum.p99_ms, sum.worst_p99_ms), (None, None));
        assert!(sum.over_limit_pct().abs() < 1e-9);
    }
}
