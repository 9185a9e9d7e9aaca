//! Sleep: a service that nobody uses for a time has no replica until somebody does. This file has the
//! settings and the words; `memory/sleep.rs` judges who sleeps, whatever rule chooses the count.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::line::Line;
use crate::units::{ReplicaId, Timestamp};

/// When a service without a minimum sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SleepPolicy {
    /// For so long nothing may have used the service: no wakeful request arrived, none was in
    /// flight, and none waited.
    pub after_ms: u64,
}

impl Default for SleepPolicy {
    /// Long enough for someone who reads a page before the next click.
    fn default() -> Self {
        Self { after_ms: 600_000 }
    }
}

/// Whether a service sleeps, for whoever shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Sleep {
    /// It sleeps after so long without use, in milliseconds.
    pub after_ms: u64,
    /// What it does now.
    pub state: SleepState,
    /// What woke it last; `None` where nothing has since flyball began to look at it.
    pub last_wake: Option<Wake>,
}

/// Whether a service sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SleepState {
    /// It was not seen completely yet.
    Unknown,
    /// It serves, or is about to.
    Awake {
        /// For so long nothing has used it, in milliseconds.
        idle_ms: u64,
    },
    /// Nothing used it for long enough: its replicas finish and leave.
    FallingAsleep {
        /// For so long nothing has used it, in milliseconds.
        idle_ms: u64,
    },
    /// It has no replica, and nothing waits for one.
    Asleep {
        /// Since then.
        since: Timestamp,
    },
}

/// When a service woke, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Wake {
    /// When it was seen.
    pub at: Timestamp,
    /// What woke it.
    pub cause: WakeCause,
}

/// What wakes a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WakeCause {
    /// Requests that wait, or that are in flight.
    Waiting {
        /// So many.
        requests: u32,
    },
    /// Requests that arrived, whatever became of them.
    Arrived {
        /// So many.
        requests: u64,
    },
    /// A replica that somebody else started.
    Started {
        /// Which one.
        replica: ReplicaId,
    },
    /// A manual override.
    Manual {
        /// By whom.
        by: String,
    },
    /// A minimum that it has at this time.
    Minimum {
        /// So many replicas.
        min: u32,
    },
}

impl fmt::Display for WakeCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { requests: 1 } => f.write_str("a request that waited"),
            Self::Waiting { requests } => write!(f, "{requests} requests that waited"),
            Self::Arrived { requests: 1 } => f.write_str("a request that arrived"),
            Self::Arrived { requests } => write!(f, "{requests} requests that arrived"),
            Self::Started { replica } => write!(f, "{replica}, which somebody else started"),
            Self::Manual { by } => write!(f, "a manual override by {by}"),
            Self::Minimum { min } => write!(f, "a minimum of {min}"),
        }
    }
}

impl Sleep {
    /// The state in words, as seen at `now`.
    pub fn words(&self, now: Timestamp) -> String {
        let after = span(self.after_ms);
        let woken = self.last_wake.as_ref().map_or_else(String::new, |wake| {
            format!("; last woken {} ago by {}", span(now.ms_since(wake.at)), wake.cause)
        });
        let state = match self.state {
            SleepState::Unknown => "not known yet whether it is in use".to_owned(),
            SleepState::Awake { idle_ms } => {
                format!("not used for {}, sleeps after {after}", span(idle_ms))
            }
            SleepState::FallingAsleep { idle_ms } => {
                format!("not used for {}: its replicas leave", span(idle_ms))
            }
            SleepState::Asleep { since } => format!("for {}", span(now.ms_since(since))),
        };
        state + &woken
    }

    /// The same as a line of an explanation.
    pub fn line(&self, now: Timestamp) -> Line {
        Line::new("sleep", self.words(now))
    }
}

/// A span as people say it: in seconds up to two minutes, in minutes up to two hours, in hours up
/// to two days.
pub fn span(ms: u64) -> String {
    match ms / 1000 {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_says_for_how_long_and_what_woke_the_service_last() {
        let now = Timestamp::from_ms(10_000_000);
        let cause = WakeCause::Waiting { requests: 1 };
        let wake = Wake { at: Timestamp::from_ms(9_400_000), cause };
        let since = Timestamp::from_ms(9_900_000);
        let mut sleep =
            Sleep { after_ms: 300_000, state: SleepState::Asleep { since }, last_wake: Some(wake) };
        assert_eq!(sleep.words(now), "for 100 s; last woken 10 min ago by a request that waited");
        sleep.last_wake = None;
        sleep.state = SleepState::Awake { idle_ms: 61_000 };
        assert_eq!(sleep.words(now), "not used for 61 s, sleeps after 5 min");
    }
}
