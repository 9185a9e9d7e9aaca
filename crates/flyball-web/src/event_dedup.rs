//! Remembers handled events, so that an event that is sent twice changes a count once. The memory
//! is bounded. An event without effect is forgotten, so that it can be sent again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Events that are remembered: a sender repeats one for minutes at most, and 1,000 services that
/// scale each second fill this in 16 s.
const EVENTS_MAX: usize = 16_384;

/// The latest events.
#[derive(Debug, Default)]
pub(crate) struct EventDedup(Mutex<VecDeque<(String, String)>>);

impl EventDedup {
    /// Takes `event` of `service`; whether it is new.
    pub(crate) fn take(&self, service: &str, event: &str) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.iter().rev().any(|(of, known)| of == service && known == event);
        if !known {
            if seen.len() == EVENTS_MAX {
                seen.pop_front();
            }
            seen.push_back((service.to_owned(), event.to_owned()));
        }
        !known
    }

    /// It led to nothing.
    pub(crate) fn forget(&self, service: &str, event: &str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|(of, known)| of != service || known != event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_service_counts_once_unless_it_led_to_nothing() {
        let once = EventDedup::default();
        assert!(once.take("web", "5-1"));
        assert!(!once.take("web", "5-1"));
        assert!(once.take("api", "5-1") && once.take("web", "5-0"));
        once.forget("web", "5-1");
        assert!(once.take("web", "5-1"));
    }
}
