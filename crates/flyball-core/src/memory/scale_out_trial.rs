//! What raising the count has brought while requests waited. The guard `futility` follows it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// A stretch of looks at each of which requests waited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleOutTrial {
    /// Ready replicas at its first look.
    pub(crate) ready: u32,
    /// Requests answered per second before it.
    pub(crate) answered_per_s: f64,
    /// The count at the last look.
    pub(crate) count: u32,
    /// How often that rose.
    pub(crate) raises: u32,
    /// What its raises brought, once that is known to be nothing.
    pub(crate) futile: Option<Futile>,
}

/// Replicas that brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Futile {
    /// Ready replicas before and after.
    pub ready: (u32, u32),
    /// Requests answered per second before and after.
    pub answered_per_s: (f64, f64),
    /// Mean share of their CPU that the replicas use.
    pub cpu: f64,
    /// When more are tried again.
    pub until: Timestamp,
}

impl fmt::Display for Futile {
    /// `7 more replicas answer 60.2/s instead of 59.8/s and use 9 % of their CPU: something else is
    /// too slow`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (few, many) = self.ready;
        let (before, after) = self.answered_per_s;
        let more = many.saturating_sub(few);
        let cpu = self.cpu * 100.0;
        write!(
            f,
            "{more} more replicas answer {after:.1}/s instead of {before:.1}/s and use {cpu:.0} % of \
             their CPU: something else is too slow"
        )
    }
}
