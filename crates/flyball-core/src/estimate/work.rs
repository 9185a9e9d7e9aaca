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
