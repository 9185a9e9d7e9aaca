//! A decision in words. The full text is its own `Display`, the same as in the log and on the
//! command line.

use flyball_core::decision::Decision;
use flyball_core::line::Line;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A decision with its explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explained {
    /// What changes, in one line.
    pub headline: String,
    /// What decided, in one line.
    pub why: String,
    /// How old the readings are that it rests on.
    pub ages: String,
    /// The explanation, line by line.
    pub lines: Vec<Line>,
    /// The whole explanation as text.
    pub text: String,
    /// The record that all of it comes from.
    pub decision: Decision,
}

impl From<Decision> for Explained {
    fn from(decision: Decision) -> Self {
        Self {
            headline: decision.headline(),
            why: decision.reason(),
            ages: decision.ages(),
            lines: decision.lines(),
            text: decision.to_string(),
            decision,
        }
    }
}
