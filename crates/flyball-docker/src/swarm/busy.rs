//! Whether a service must be left alone now. While an update runs, is paused or rolls back, any
//! change would clear that state, resume a paused bad rollout, or turn a rollback into one to the
//! bad spec.

use std::collections::BTreeMap;

/// `true` on a service that is being changed manually for a while.
pub(super) const HOLD: &str = "flyball.hold";

/// Why a service must not be changed with this state of its update and these labels, if those are
/// obeyed.
pub(super) fn busy(
    state: Option<&str>,
    message: Option<&str>,
    labels: &BTreeMap<String, String>,
    obeyed: bool,
) -> Option<String> {
    let label = labels.get(HOLD).filter(|_| obeyed);
    let held = label.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    let what = match state.unwrap_or_default() {
        "updating" => "its update is in progress",
        "paused" => "its update is paused (docker service update, or docker service rollback)",
        "rollback_started" => "its update is being rolled back",
        "rollback_paused" => "its rollback is paused (docker service update fixes it)",
        _ => return held.then(|| format!("its label {HOLD}=true")),
    };
    Some(match message.filter(|message| !message.is_empty()) {
        Some(message) => format!("{what}: {message}"),
        None => what.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_hold_until_they_are_over_and_a_label_as_long_as_it_stands() {
        let none = BTreeMap::new();
        for state in ["updating", "paused", "rollback_started", "rollback_paused"] {
            assert!(busy(Some(state), None, &none, true).is_some(), "{state}");
        }
        for state in [None, Some("completed"), Some("rollback_completed")] {
            assert_eq!(busy(state, Some("update completed"), &none, true), None);
        }
        let held = BTreeMap::from([(HOLD.to_owned(), "True".to_owned())]);
        assert!(busy(None, None, &held, true).unwrap().contains(HOLD));
        assert_eq!(busy(None, None, &held, false), None, "where no label is obeyed");
    }
}
