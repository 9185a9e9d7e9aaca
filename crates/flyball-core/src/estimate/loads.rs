//! The load of each moment back to one start lag ago, in at most 50 figures: what was planned with
//! then has to serve now.

use std::collections::VecDeque;

use crate::units::{Timestamp, seconds};

/// Figures for one start lag. While the measured lag moves by less than half they stay as they are.
const SLOTS: u64 = 32;
/// The shortest time that one figure stands for.
const SLOT_MIN_MS: u64 = 20;

/// The largest load of each slot of time, newest last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loads {
    slot_ms: u64,
    newest: u64,
    slots: VecDeque<f32>,
}

impl Loads {
    /// Takes in the load at `now`; a slot without a look keeps the load before it.
    pub fn see(&mut self, now: Timestamp, per_s: f64, lag_ms: u64) {
        let slot_ms = (lag_ms / SLOTS).max(SLOT_MIN_MS);
        if slot_ms * 2 > self.slot_ms * 3 || slot_ms * 3 < self.slot_ms * 2 {
            *self = Self { slot_ms, ..Self::default() };
        }
        #[expect(clippy::cast_possible_truncation, reason = "a rate needs no more than 24 bits")]
        let load = per_s as f32;
        let slot = now.as_ms() / self.slot_ms;
        let (passed, kept) = (slot.saturating_sub(self.newest), lag_ms / self.slot_ms + 1);
        self.newest = self.newest.max(slot);
        match self.slots.back_mut() {
            Some(last) if passed == 0 => *last = last.max(load),
            Some(last) if passed <= kept => {
                let before = *last;
                self.slots.extend((1..passed).map(|_| before));
                self.slots.push_back(load);
            }
            _ => self.slots = VecDeque::from([load]),
        }
        while self.slots.len() as u64 > kept {
            self.slots.pop_front();
        }
    }

    /// The load one start lag ago; `None` while that is before the first look.
    pub fn one_lag_ago(&self, lag_ms: u64) -> Option<f64> {
        let back = usize::try_from(lag_ms / self.slot_ms.max(1)).ok()?;
        let place = self.slots.len().checked_sub(1)?.checked_sub(back)?;
        self.slots.get(place).copied().map(f64::from)
    }

    /// The largest load since then.
    pub fn largest(&self) -> f64 {
        self.slots.iter().copied().map(f64::from).fold(0.0, f64::max)
    }
}

/// A time in start lags.
pub(crate) fn lags(span_ms: u64, lag_ms: u64) -> f64 {
    seconds(span_ms) / seconds(lag_ms.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn it_knows_the_load_of_one_lag_ago_and_the_largest_since() {
        let mut loads = Loads::default();
        for second in 0..20_u32 {
            assert_eq!(loads.one_lag_ago(10_000).is_some(), second > 10, "{second}");
            loads.see(at(u64::from(second) * 1_000), f64::from(second), 10_000);
        }
        let before = loads.one_lag_ago(10_000).unwrap();
        assert!((8.0..=10.0).contains(&before), "{before}");
        assert_eq!(loads.largest(), 19.0);
    }

    #[test]
    fn a_lag_of_hours_takes_no_more_room_than_one_of_seconds() {
        for lag_ms in [1, 999, 10_000, 90_000_000] {
            let mut loads = Loads::default();
            for tenth in 0..2_000 {
                loads.see(at(tenth * lag_ms.max(40) / 10), 1.0, lag_ms);
            }
            assert!(loads.slots.len() <= 50, "{lag_ms}: {}", loads.slots.len());
        }
    }

    #[test]
    fn another_lag_or_a_long_silence_begins_again() {
        let mut loads = Loads::default();
        (0..40).for_each(|second| loads.see(at(second * 1_000), 5.0, 10_000));
        loads.see(at(40_000), 5.0, 60_000);
        assert_eq!(loads.one_lag_ago(60_000), None);
        (40..140).for_each(|second| loads.see(at(second * 1_000), 5.0, 60_000));
        assert_eq!(loads.one_lag_ago(60_000), Some(5.0));
        loads.see(at(999_000), 7.0, 60_000);
        assert_eq!((loads.one_lag_ago(60_000), loads.largest()), (None, 7.0));
    }
}
