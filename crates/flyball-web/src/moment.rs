//! Moments of a decision on the wall clock.

use flyball_core::decision::Decision;
use flyball_core::units::Timestamp;

/// The wall-clock time of a moment that `decision` names.
pub(crate) fn wall_ms(decision: &Decision, moment: Timestamp) -> i64 {
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let ahead = signed(moment.ms_since(decision.at));
    let behind = signed(decision.at.ms_since(moment));
    decision.wall_ms.saturating_add(ahead).saturating_sub(behind)
}
