//! A warning that could come thousands of times: logged at once, then once a minute with the count.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(60);

/// One kind of warning.
#[derive(Debug, Default)]
pub struct WarningLimit {
    said: Option<Instant>,
    /// How often it was suppressed since.
    unsaid: u64,
}

impl WarningLimit {
    /// Logs the warning `what`, unless it was logged within the last minute.
    pub fn warn(&mut self, what: impl FnOnce() -> String) {
        if let Some(unsaid) = self.due(Instant::now()) {
            match unsaid {
                0 => tracing::warn!("{}", what()),
                more => tracing::warn!("{} (and {more} more in the last minute)", what()),
            }
        }
    }

    /// How often it was suppressed since the last time, if it may be logged at `now`.
    fn due(&mut self, now: Instant) -> Option<u64> {
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < PAUSE) {
            self.unsaid += 1;
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_once_a_minute() {
        let (mut seldom, begin) = (WarningLimit::default(), Instant::now());
        let said: Vec<u64> =
            (0..1_500).filter_map(|n| seldom.due(begin + Duration::from_millis(100 * n))).collect();
        assert_eq!(said, [0, 599, 599]);
    }
}
