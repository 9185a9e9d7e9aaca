//! Whether a service sleeps, as the API shows it.

use flyball_core::decision::Decision;
use flyball_core::sleep::{SleepState, Wake};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::moment::wall_ms;

/// Whether a service sleeps, since when, and what woke it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SleepView {
    /// Whether it has no replica because nobody uses it.
    pub asleep: bool,
    /// Since when it sleeps; null while it does not.
    pub since_wall_ms: Option<i64>,
    /// For how long nothing has used it, in milliseconds; null while it sleeps, or was not seen
    /// completely yet.
    pub idle_ms: Option<u64>,
    /// It sleeps after so long without use, in milliseconds.
    pub after_ms: u64,
    /// When it last woke; null where it has not since flyball started.
    pub woken_wall_ms: Option<i64>,
    /// What woke it then: "a request that waited".
    pub woken_by: Option<String>,
    /// All of that in one line.
    pub text: String,
}

impl SleepView {
    pub(crate) fn of(decision: &Decision) -> Option<Self> {
        let sleep = decision.sleep.as_ref()?;
        let (since, idle_ms) = match sleep.state {
            SleepState::Unknown => (None, None),
            SleepState::Awake { idle_ms } | SleepState::FallingAsleep { idle_ms } => {
                (None, Some(idle_ms))
            }
            SleepState::Asleep { since } => (Some(since), None),
        };
        let wake: Option<&Wake> = sleep.last_wake.as_ref();
        Some(Self {
            asleep: decision.is_asleep(),
            since_wall_ms: since.map(|since| wall_ms(decision, since)),
            idle_ms,
            after_ms: sleep.after_ms,
            woken_wall_ms: wake.map(|wake| wall_ms(decision, wake.at)),
            woken_by: wake.map(|wake| wake.cause.to_string()),
            text: sleep.words(decision.at),
        })
    }
}
