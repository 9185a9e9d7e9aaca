//! The largest value within a sliding time, in at most 64 entries. Times are rounded up to 1/60 of
//! the window, so a value may be held that much too long, but never too short.

use std::collections::VecDeque;

use crate::units::Timestamp;

const SLOTS: u64 = 60;

/// A sliding maximum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowMax {
    /// Values falling, times rising: an entry is dropped once a later one is as large.
    entries: VecDeque<(Timestamp, u32)>,
}

impl WindowMax {
    /// Takes in `value` at `now` and forgets what is older than `window_ms`.
    pub fn push(&mut self, now: Timestamp, value: u32, window_ms: u64) {
        while self.entries.front().is_some_and(|(at, _)| now.ms_since(*at) > window_ms) {
            self.entries.pop_front();
        }
        while self.entries.back().is_some_and(|(_, last)| *last <= value) {
            self.entries.pop_back();
        }
        let slot_ms = (window_ms / SLOTS).max(1);
        let slot_end = Timestamp::from_ms(now.as_ms().div_ceil(slot_ms).saturating_mul(slot_ms));
        let shared = self.entries.back().is_some_and(|(at, _)| *at >= slot_end);
        if !shared {
            self.entries.push_back((slot_end, value));
        }
    }

    /// The largest value, and when it was last seen; `None` before the first.
    pub fn max(&self) -> Option<(Timestamp, u32)> {
        self.entries.front().copied()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(window: &mut WindowMax, at_ms: u64, value: u32) -> u32 {
        window.push(Timestamp::from_ms(at_ms), value, 60_000);
        window.max().unwrap().1
    }

    #[test]
    fn a_peak_holds_for_the_window_and_then_goes() {
        let mut window = WindowMax::default();
        assert_eq!(push(&mut window, 1_000, 9), 9);
        for at in (2_000..=61_000).step_by(100) {
            assert_eq!(push(&mut window, at, 4), 9, "at {at}");
        }
        assert_eq!(push(&mut window, 62_100, 4), 4);
    }

    #[test]
    fn many_pushes_keep_few_entries() {
        let mut window = WindowMax::default();
        for at in 0..60_000_u32 {
            push(&mut window, u64::from(at), 60_000 - at);
        }
        assert!(window.entries.len() <= 64, "{}", window.entries.len());
    }
}
