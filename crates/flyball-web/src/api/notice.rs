//! What people should know of a service, in the order of urgency.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A notice: a state that you should know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// Which.
    pub kind: NoticeKind,
    /// Whether it needs attention now; the others are on purpose.
    pub pressing: bool,
    /// One short sentence without times; the page shows those in the reader's time zone.
    pub text: String,
    /// Since when, where that is known.
    pub since_wall_ms: Option<i64>,
    /// Until when at the latest, if it ends by itself.
    pub until_wall_ms: Option<i64>,
}

impl Notice {
    /// A state without times.
    pub fn new(kind: NoticeKind, text: impl Into<String>) -> Self {
        let pressing = kind.is_pressing();
        Self { kind, pressing, text: text.into(), since_wall_ms: None, until_wall_ms: None }
    }

    /// Something that is wrong and has no kind of its own.
    pub fn trouble(text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Trouble, text)
    }

    /// The same with the time since which it is so.
    #[must_use]
    pub fn since(self, wall_ms: i64) -> Self {
        Self { since_wall_ms: Some(wall_ms), ..self }
    }

    /// The same with the time until which it is so at the latest.
    #[must_use]
    pub fn until(self, wall_ms: i64) -> Self {
        Self { until_wall_ms: Some(wall_ms), ..self }
    }
}

/// What kind of state it is; the page draws each with its own shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// No trustworthy reading.
    Blind,
    /// Starts failed one after another: the next one is delayed, or under way.
    StartsHeld,
    /// Replicas fail, or all of them share a fault.
    Sick,
    /// A replica takes too long to become ready, and none or too few serve.
    NotReady,
    /// Too many requests fail.
    Failing,
    /// A rollout was given up; the old generation serves.
    RolloutAborted,
    /// Something else is wrong: the engine is busy, the journal was moved aside.
    Trouble,
    /// More replicas did not help: something else is too slow.
    Futile,
    /// More requests are late than may be, and more headroom would come too late.
    ObjectiveMissed,
    /// Needs more than its maximum, or uses all of it.
    AtMaximum,
    /// Replicas are being replaced by a new generation, or will be.
    Rollout,
    /// Paused by a manual override.
    Paused,
    /// Kept at a count by a manual override.
    Pinned,
    /// A surplus is kept on purpose.
    Held,
}

impl NoticeKind {
    /// Whether it needs attention now.
    pub const fn is_pressing(self) -> bool {
        match self {
            Self::Blind
            | Self::StartsHeld
            | Self::Sick
            | Self::NotReady
            | Self::Failing
            | Self::RolloutAborted
            | Self::Trouble
            | Self::Futile
            | Self::ObjectiveMissed
            | Self::AtMaximum => true,
            Self::Rollout | Self::Paused | Self::Pinned | Self::Held => false,
        }
    }
}
