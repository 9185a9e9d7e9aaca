//! The time from starting a replica to its first served request. Until one was measured, the
//! policy's prior is used and reported as assumed.

use std::collections::VecDeque;

/// Starts remembered: P90 of 20 is the second longest, so one odd start does not decide.
const STARTS: usize = 20;

/// The latest start lags of one service, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartLags {
    latest_ms: VecDeque<u64>,
}

impl StartLags {
    /// Takes in one measured start.
    pub fn see(&mut self, lag_ms: u64) {
        if self.latest_ms.len() == STARTS {
            self.latest_ms.pop_front();
        }
        self.latest_ms.push_back(lag_ms);
    }

    /// The 90th percentile of the latest starts, in milliseconds; `None` before the first.
    pub fn p90_ms(&self) -> Option<u64> {
        let mut sorted: Vec<u64> = self.latest_ms.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * 9).div_ceil(10);
        sorted.get(rank.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_odd_start_in_twenty_does_not_decide() {
        let mut lags = StartLags::default();
        assert_eq!(lags.p90_ms(), None);
        for _ in 0..19 {
            lags.see(100);
        }
        lags.see(60_000);
        assert_eq!(lags.p90_ms(), Some(100));
        lags.see(60_000);
        lags.see(60_000);
        assert_eq!(lags.p90_ms(), Some(60_000));
    }
}
