//! Rate limit for log lines: at most one in [`PAUSE`], with the number of suppressed ones.

use std::time::{Duration, Instant};

/// Often enough to follow in a log, and 17,000 lines a day at worst.
const PAUSE: Duration = Duration::from_secs(5);

/// One thing that may happen often.
#[derive(Debug, Default)]
pub(crate) struct WarningLimit {
    logged_at: Option<Instant>,
    suppressed: u64,
}

impl WarningLimit {
    /// It happened at `now`. Returns how often since it was last logged, if it is time to log it.
    pub(crate) fn happened(&mut self, now: Instant) -> Option<u64> {
        self.suppressed += 1;
        if self.logged_at.is_some_and(|at| now.duration_since(at) < PAUSE) {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_logged_at_once_and_the_others_are_counted() {
        let mut seldom = WarningLimit::default();
        let began = Instant::now();
        assert_eq!(seldom.happened(began), Some(1));
        for _ in 0..1_000 {
            assert_eq!(seldom.happened(began + PAUSE / 2), None);
        }
        assert_eq!(seldom.happened(began + PAUSE), Some(1_001));
    }
}
