//! The headroom beyond the cap that a service has learnt to need, and by which steps it moves.

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// What a window that misses the limit adds: ten of them in a row, 100 s, are 20 % more replicas.
/// At twice that a single bad minute is paid for half an hour, at half a change takes ten minutes.
pub(crate) const STEP: f64 = 0.02;
/// Windows that keep the limit for each that misses it where the headroom comes to rest, since each
/// gives so much less back: a miss every three minutes.
const KEPT_PER_MISS: f64 = 19.0;
/// Six tenths more replicas at most: an 85 % busy cap is one of 53 % then, where a queue has next
/// to no part in how long a request takes; what is late then is late for another reason.
pub(crate) const MOST: f64 = 1.6;
/// Windows are judged no closer together than this: rolling ones would be judged many times.
const APART_MS: u64 = 10_000;

/// The running figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Headroom {
    pub(crate) factor: f64,
    judged_at: Option<Timestamp>,
}

/// The term of a recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HeadroomTerm {
    /// So many times as many replicas as the cap asks for.
    pub factor: f64,
    /// To keep 99 of 100 requests within this, in milliseconds.
    pub slo_ms: u64,
}

impl Default for Headroom {
    fn default() -> Self {
        Self { factor: 1.0, judged_at: None }
    }
}

impl Headroom {
    /// What it adds to a recommendation; `None` while that is nothing, or without a limit.
    pub(crate) fn spare(&self, slo_ms: Option<u64>) -> Option<HeadroomTerm> {
        let slo_ms = slo_ms?;
        (self.factor > 1.0).then_some(HeadroomTerm { factor: self.factor, slo_ms })
    }

    pub(crate) fn judge(&mut self, now: Timestamp, missed: bool) {
        let step = if missed { STEP } else { -STEP / KEPT_PER_MISS };
        self.factor = (self.factor + step).clamp(1.0, MOST);
        self.judged_at = Some(now);
    }

    pub(crate) fn is_due(&self, now: Timestamp, window_ms: u64) -> bool {
        self.judged_at.is_none_or(|at| now.ms_since(at) >= window_ms.max(APART_MS))
    }
}
