//! How long the stop of a container may take.

use std::time::Duration;

/// What Docker waits from the stop signal to the kill by default.
const USUAL_GRACE_S: i64 = 10;
/// For a container that Docker never kills: it is asked to stop again after that.
const ENDLESS_GRACE: Duration = Duration::from_secs(600);
/// Beyond the grace: killing, taking down the network.
const STOP_MARGIN: Duration = Duration::from_secs(20);

/// How long a stop may take with a grace of `grace_s`.
pub(crate) fn stop_limit(grace_s: Option<i64>) -> Duration {
    match u64::try_from(grace_s.unwrap_or(USUAL_GRACE_S)) {
        Ok(grace_s) => Duration::from_secs(grace_s) + STOP_MARGIN,
        Err(_) => ENDLESS_GRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_has_the_grace_and_a_margin() {
        assert_eq!(stop_limit(None), Duration::from_secs(30));
        assert_eq!(stop_limit(Some(60)), Duration::from_secs(80));
        assert_eq!(stop_limit(Some(-1)), ENDLESS_GRACE);
    }
}
