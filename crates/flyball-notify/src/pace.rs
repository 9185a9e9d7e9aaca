//! How often a target hears of the same thing: of one event of one service, at most once in a given
//! time. The end of what it did not hear of is not told either.

use std::collections::BTreeMap;

use flyball_config::NotifyEvent;

use crate::notification::{Notification, State};

/// Services and events that are remembered; beyond that the oldest is forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// What one target heard last.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    last: BTreeMap<(String, NotifyEvent), Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    at_ms: u64,
    /// It heard of the beginning, and not of the end.
    goes_on: bool,
}

impl Pace {
    /// Whether it may hear of `told` at `now_ms`, of a clock that never runs backwards.
    pub(crate) fn allows(&mut self, told: &Notification, now_ms: u64, every_ms: u64) -> bool {
        let key = (told.service.clone(), told.event);
        let heard = self.last.get(&key).copied();
        let too_soon = heard.is_some_and(|heard| now_ms.saturating_sub(heard.at_ms) < every_ms);
        let goes_on = heard.is_some_and(|heard| heard.goes_on);
        match told.state {
            State::Over => {
                if let Some(heard) = self.last.get_mut(&key) {
                    heard.goes_on = false;
                }
                goes_on
            }
            State::Began | State::Once if too_soon => false,
            state @ (State::Began | State::Once) => {
                self.last.insert(key, Heard { at_ms: now_ms, goes_on: state == State::Began });
                self.forget();
                true
            }
        }
    }

    fn forget(&mut self) {
        if self.last.len() > REMEMBERED_MAX {
            let oldest = self.last.iter().min_by_key(|(_, heard)| heard.at_ms);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.last.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(service: &str, state: State) -> Notification {
        Notification::new(service, NotifyEvent::Blind, state, "no reading", 0)
    }

    #[test]
    fn the_same_is_told_once_in_the_time_and_its_end_only_if_its_beginning_was() {
        let mut pace = Pace::default();
        let mut tell =
            |service, state, at_s: u64| pace.allows(&of(service, state), at_s * 1_000, 300_000);
        assert!(tell("web", State::Began, 0));
        assert!(tell("shop", State::Began, 1), "another service");
        assert!(tell("web", State::Over, 10));
        assert!(!tell("web", State::Began, 299), "too soon");
        assert!(!tell("web", State::Over, 310), "its beginning was not told");
        assert!(tell("web", State::Began, 311));
    }

    #[test]
    fn what_happens_at_one_moment_has_no_end() {
        let mut pace = Pace::default();
        assert!(pace.allows(&of("web", State::Once), 0, 1_000));
        assert!(!pace.allows(&of("web", State::Once), 999, 1_000));
        assert!(pace.allows(&of("web", State::Once), 1_000, 1_000));
        assert!(!pace.allows(&of("web", State::Over), 2_000, 1_000));
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut pace = Pace::default();
        for number in 0..REMEMBERED_MAX as u64 + 5 {
            assert!(pace.allows(&of(&format!("s-{number}"), State::Once), number, 1_000));
        }
        assert_eq!(pace.last.len(), REMEMBERED_MAX);
    }
}
