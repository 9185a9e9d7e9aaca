//! Picks the Marathon to ask next: the reported leader, then the configured addresses in turn. An
//! unreachable leader is skipped for a while, since the others forward requests to it. Every
//! configured address is tried again and again.

use std::time::Duration;

use tokio::time::Instant;

use super::settings::MarathonPlaces;

/// How long a leader's name that led nowhere is not followed.
const DISTRUST: Duration = Duration::from_secs(60);

/// Where to look, in turn.
#[derive(Debug)]
pub(super) struct Places {
    settings: MarathonPlaces,
    next: usize,
    /// Whom the last answer named, to be tried before all others.
    leader: Option<String>,
    distrusted: Option<(String, Instant)>,
}

impl Places {
    pub(super) fn new(settings: MarathonPlaces) -> Self {
        Self { settings, next: 0, leader: None, distrusted: None }
    }

    /// The place to try now; `None` while there is no leader.
    pub(super) fn next(&mut self) -> Option<String> {
        if let Some(leader) = self.leader.take() {
            // Taken back once it was reached.
            self.distrusted = Some((leader.clone(), Instant::now()));
            return Some(leader);
        }
        match &self.settings {
            MarathonPlaces::At(all) => {
                let place = all.get(self.next % all.len().max(1)).cloned();
                self.next = self.next.wrapping_add(1);
                place
            }
            MarathonPlaces::Elected(leader) => leader.borrow().clone(),
        }
    }

    /// The place `at` answers.
    pub(super) fn reached(&mut self, at: &str) {
        self.distrusted.take_if(|(place, _)| place == at);
        if let MarathonPlaces::At(all) = &self.settings
            && let Some(index) = all.iter().position(|place| place == at)
        {
            // It is the first to be tried again.
            self.next = index;
        }
    }

    /// The place `at` does not answer (any more).
    pub(super) fn lost(&mut self, at: &str) {
        if let MarathonPlaces::At(all) = &self.settings
            && all.get(self.next % all.len().max(1)).is_some_and(|place| place == at)
        {
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Whether the leader that the place `at` named is to be asked instead.
    pub(super) fn follows(&self, at: &str, leader: &str) -> bool {
        let followed = matches!(self.settings, MarathonPlaces::At(_));
        let recent =
            |(place, since): &(String, Instant)| place == leader && since.elapsed() < DISTRUST;
        at != leader && followed && !self.distrusted.as_ref().is_some_and(recent)
    }

    /// The place `at` named a leader; whether that is tried next.
    pub(super) fn named(&mut self, at: &str, leader: &str) -> bool {
        let follows = self.follows(at, leader);
        if follows {
            self.leader = Some(leader.to_owned());
        }
        follows
    }

    /// The elected leader, if it is not `at`.
    pub(super) fn elected_another(&self, at: &str) -> Option<String> {
        match &self.settings {
            MarathonPlaces::At(_) => None,
            MarathonPlaces::Elected(leader) => leader.borrow().clone().filter(|now| now != at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(all: &[&str]) -> Places {
        Places::new(MarathonPlaces::At(all.iter().map(|at| (*at).to_owned()).collect()))
    }

    #[test]
    fn all_are_tried_in_turn_and_the_one_that_answered_first() {
        let mut places = places(&["a:1", "b:1", "c:1"]);
        let tried: Vec<_> = (0..4).filter_map(|_| places.next()).collect();
        assert_eq!(tried, ["a:1", "b:1", "c:1", "a:1"]);
        places.reached("b:1");
        assert_eq!(places.next().as_deref(), Some("b:1"));
        places.reached("b:1");
        places.lost("b:1");
        assert_eq!(places.next().as_deref(), Some("c:1"));
    }

    #[test]
    fn a_leader_is_followed_once_and_left_while_its_name_leads_nowhere() {
        let mut places = places(&["a:1", "b:1"]);
        assert!(places.named("a:1", "inner:8080"));
        assert_eq!(places.next().as_deref(), Some("inner:8080"));
        assert_eq!(places.next().as_deref(), Some("a:1"));
        assert!(!places.named("a:1", "inner:8080"), "it was not reached a moment ago");
        assert!(places.named("a:1", "b:1"));
        assert_eq!(places.next().as_deref(), Some("b:1"));
        places.reached("b:1");
        assert!(places.named("a:1", "b:1"), "it was reached");
    }
}
