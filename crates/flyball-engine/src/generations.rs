//! What an engine tells of the generations that it can make.

use flyball_core::generation::Generation;
use flyball_core::units::Timestamp;

/// A generation that an engine can make replicas of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationInfo {
    /// Which one.
    pub generation: Generation,
    /// What it is made of, in a few words without any secret: an image, a program.
    pub what: String,
    /// Since when the engine knows it.
    pub since: Timestamp,
    /// Whether a replica of it was ever ready.
    pub served: bool,
}
