//! Placeholder types for recommendations; see below.
use serde::{Deserialize, Serialize};

/// One signal's wish for a count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The count.
    pub count: u32,
}
