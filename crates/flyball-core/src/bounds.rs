//! How few and how many replicas a service may have.

use serde::{Deserialize, Serialize};

/// How few and how many replicas there may be; `min <= max`, and `max >= 1` unless the service is
/// being let go: then both are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Bounds {
    /// The floor, kept whatever else is known or not known.
    pub min: u32,
    /// The ceiling.
    pub max: u32,
}

impl Bounds {
    /// `count` brought within the bounds.
    pub fn clamp(self, count: u32) -> u32 {
        count.min(self.max).max(self.min)
    }
}
