//! Placeholder types for guards; see below.
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// One guard's change of the count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// The count before.
    pub before: u32,
    /// The count after.
    pub after: u32,
    /// Which guard, with the figures it went by.
    pub guard: Guard,
}

/// A rule that may change or hold the count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The count stays within the service's bounds.
    Bounds {
        /// The floor.
        min: u32,
        /// The ceiling.
        max: u32,
    },
    /// A surplus is kept until it has lasted.
    Hold {
        /// Until when at least.
        until: Timestamp,
    },
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
