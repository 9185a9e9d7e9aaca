//! The work of one request, in replica-seconds: CPU used over requests served by the same replicas.
//! There is no result before 50 requests and half a replica-second were measured. The caller leaves
//! out replicas that are still warming up.

use crate::units::seconds;

/// Time after which a measurement weighs 1/e: long enough to even out single heavy requests, short
/// enough that a deploy which doubles the cost is half believed within 4 minutes.
const MEMORY_S: f64 = 300.0;
/// Requests needed before the figure is used: the mean of 20 exponential costs is within a fifth of
/// the truth two times in three, which is better than any guess from CPU that saturates.
const SERVED_MIN: f64 = 20.0;
/// Replica-seconds needed before the figure is used.
const BUSY_MIN_S: f64 = 0.5;

/// The running figure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    busy_s: f64,
    served: f64,
}

impl Work {
    /// Lets `span_ms` pass: what was measured before weighs less.
    pub fn fade(&mut self, span_ms: u64) {
        let keep = (-seconds(span_ms) / MEMORY_S).exp();
        self.busy_s *= keep;
        self.served *= keep;
    }

    /// Takes in `busy_s` replica-seconds in which `served` requests were answered.
    ///
    /// A span without an answer is left out while nothing is being worked on (`idle`): background
    /// CPU of a quiet service is not the cost of a request.
    pub fn see(&mut self, busy_s: f64, served: u64, idle: bool) {
        if served == 0 && idle {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a difference far below 2^52")]
        let served = served as f64;
        self.busy_s += busy_s;
        self.served += served;
    }

    /// Takes in what a request cost an earlier run: as twice the least that is used, so that it is
    /// gone after a few minutes and new measurements soon outweigh it.
    pub fn recall(&mut self, per_request_s: f64) {
        if per_request_s.is_finite() && per_request_s > 0.0 {
            self.served = 2.0 * SERVED_MIN.max(BUSY_MIN_S / per_request_s);
            self.busy_s = self.served * per_request_s;
        }
    }

    /// Replica-seconds for one request; `None` while too little was measured.
    pub fn per_request_s(&self) -> Option<f64> {
        let enough = self.served >= SERVED_MIN && self.busy_s >= BUSY_MIN_S;
        enough.then(|| self.busy_s / self.served)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_evidence_says_nothing() {
        let mut work = Work::default();
        work.see(0.4, 19, false);
        assert_eq!(work.per_request_s(), None);
        work.see(0.2, 41, false);
        assert!((work.per_request_s().unwrap() - 0.01).abs() < 1e-12);
    }

    #[test]
    fn what_an_earlier_run_measured_is_used_for_minutes_and_outweighed_soon() {
        for cost in [0.001, 0.02, 3.0] {
            let mut work = Work::default();
            work.recall(cost);
            work.fade(180_000);
            assert!((work.per_request_s().unwrap() / cost - 1.0).abs() < 1e-9, "{cost}");
            let mut unused = work;
            unused.fade(60_000);
            assert_eq!(unused.per_request_s(), None, "{cost}");
            work.see(cost * 2.0 * 10_000.0, 10_000, false);
            assert!(work.per_request_s().unwrap() > cost * 1.8, "{cost}");
        }
        let mut work = Work::default();
        [0.0, -1.0, f64::NAN, f64::INFINITY].into_iter().for_each(|cost| work.recall(cost));
        assert_eq!(work, Work::default());
    }

    #[test]
    fn a_change_of_cost_is_half_believed_after_four_minutes() {
        let mut work = Work::default();
        for second in 0..2_000 {
            work.fade(1_000);
            let cost = if second < 1_760 { 0.01 } else { 0.02 };
            work.see(cost * 50.0, 50, false);
        }
        let cost = work.per_request_s().unwrap();
        assert!((0.0150..0.0165).contains(&cost), "{cost}");
    }
}
