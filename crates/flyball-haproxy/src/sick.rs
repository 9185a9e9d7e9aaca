//! The servers that HAProxy has taken out of use by itself, and what it takes to believe in them
//! again.
//!
//! Decides which of them are down in a report. Where most of a pool answers errors the fault is
//! none of its servers': all of them stay in use. Invariant: HAProxy lets a server that answers
//! errors back in after a check that may be no more than a connection, so that alone is no proof.

use std::collections::BTreeMap;

use flyball_core::observation::ServerHealth;
use flyball_core::units::{ReplicaId, Timestamp};

use crate::stat::{Fault, Server};

/// A server that answered errors, is back and gets no request is believed after this time.
const UNTRIED_MS: u64 = 10_000;

/// The servers in question.
#[derive(Default)]
pub(crate) struct Sick {
    all: BTreeMap<ReplicaId, Case>,
    /// How many servers were looked at.
    routed: usize,
}

/// What is held against one server.
#[derive(Clone, Debug)]
struct Case {
    why: String,
    /// Whether its own answers showed it, and not a check.
    by_answers: bool,
    /// Its good answers when it was last down.
    good: u64,
    /// Since when HAProxy gives it requests again.
    back_since: Option<Timestamp>,
}

impl Sick {
    /// Counters began again: what they said before is compared with nothing.
    pub(crate) fn restart(&mut self) {
        for case in self.all.values_mut() {
            case.good = 0;
        }
    }

    /// Takes in the servers that ought to get requests, as they were at `at`.
    pub(crate) fn take_in<'a>(
        &mut self,
        at: Timestamp,
        servers: impl Iterator<Item = (&'a ReplicaId, &'a Server)>,
    ) {
        let mut before = std::mem::take(&mut self.all);
        self.routed = 0;
        for (replica, server) in servers {
            self.routed += 1;
            let known = before.remove(replica);
            let case = match &server.fault {
                Some(fault) => Some(Case::of(fault, server, known)),
                None => known.and_then(|known| known.still_open(at, server)),
            };
            self.all.extend(case.map(|case| (replica.clone(), case)));
        }
    }

    /// Whether so many answer errors that the fault is not theirs: more than half.
    fn is_shared(&self) -> bool {
        self.answering_errors() * 2 > self.routed
    }

    fn answering_errors(&self) -> usize {
        self.all.values().filter(|case| case.by_answers).count()
    }

    /// Whether HAProxy should be told to use `replica` nevertheless.
    pub(crate) fn is_spared(&self, replica: &ReplicaId) -> bool {
        self.is_shared() && self.all.get(replica).is_some_and(|case| case.by_answers)
    }

    /// Whether servers are being spared: HAProxy takes them out again at any moment.
    pub(crate) fn spares(&self) -> bool {
        self.is_shared()
    }

    /// As it is reported.
    pub(crate) fn health(&self, replica: &ReplicaId) -> ServerHealth {
        match self.all.get(replica).filter(|_| !self.is_spared(replica)) {
            Some(case) => ServerHealth::Down { why: case.why.clone() },
            None => ServerHealth::Up,
        }
    }

    /// What is wrong with the servers as a whole.
    pub(crate) fn trouble(&self) -> Option<String> {
        let (failing, routed) = (self.answering_errors(), self.routed);
        self.is_shared().then(|| {
            format!("{failing} of {routed} replicas answer errors, so HAProxy keeps using all")
        })
    }
}

impl Case {
    fn of(fault: &Fault, server: &Server, known: Option<Self>) -> Self {
        let (why, by_answers) = match (fault, known) {
            (Fault::Answers(why), _) => (why.clone(), true),
            (Fault::Check(why), _) => (why.clone(), false),
            (Fault::Unsaid, Some(known)) => (known.why, known.by_answers),
            (Fault::Unsaid, None) => (fault.why().to_owned(), false),
        };
        Self { why, by_answers, good: server.good, back_since: None }
    }

    /// The case of a server that HAProxy gives requests again; `None` once it is closed.
    fn still_open(mut self, at: Timestamp, server: &Server) -> Option<Self> {
        let since = *self.back_since.get_or_insert(at);
        let proved = server.good > self.good || at.ms_since(since) >= UNTRIED_MS;
        (self.by_answers && !proved).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stat::Admin;

    fn server(good: u64, fault: Option<Fault>) -> Server {
        let (served, id, in_flight) = (good, Some(1), 0);
        let admin = Admin::Ready;
        Server { admin, address: None, in_flight, served, good, is_backup: false, id, fault }
    }

    fn answers() -> Option<Fault> {
        Some(Fault::Answers("HAProxy detected 10 consecutive errors".to_owned()))
    }

    /// What is reported of `web-0`, `web-1`... at `ms`.
    fn down(sick: &mut Sick, ms: u64, servers: &[Server]) -> Vec<bool> {
        let ids: Vec<_> = (0..servers.len()).map(|n| ReplicaId::new(format!("web-{n}"))).collect();
        sick.take_in(Timestamp::from_ms(ms), ids.iter().zip(servers));
        ids.iter().map(|id| sick.health(id) != ServerHealth::Up).collect()
    }

    #[test]
    fn a_server_that_answered_errors_is_down_until_it_has_answered_well() {
        let mut sick = Sick::default();
        let well = || server(5, None);
        assert_eq!(down(&mut sick, 1, &[server(5, answers()), well()]), [true, false]);
        // A check has passed: it says what it did no longer, and then gets requests again.
        assert_eq!(down(&mut sick, 2, &[server(5, Some(Fault::Unsaid)), well()]), [true, false]);
        assert_eq!(down(&mut sick, 3, &[server(5, None), well()]), [true, false]);
        assert_eq!(down(&mut sick, 4, &[server(6, None), well()]), [false, false]);
    }

    #[test]
    fn one_that_gets_no_request_is_believed_after_a_while() {
        let mut sick = Sick::default();
        let both = |fault| [server(5, fault), server(5, None)];
        down(&mut sick, 0, &both(answers()));
        assert!(down(&mut sick, 1_000, &both(None))[0]);
        assert!(down(&mut sick, 10_999, &both(None))[0]);
        assert!(!down(&mut sick, 11_000, &both(None))[0]);
    }

    #[test]
    fn a_failed_check_is_believed_and_so_is_one_that_passes() {
        let mut sick = Sick::default();
        let check = || Some(Fault::Check("HAProxy's check failed: L7STS".to_owned()));
        // Checks are of the replica itself, so that all may be down.
        assert_eq!(down(&mut sick, 1, &[server(0, check()), server(0, check())]), [true, true]);
        assert!(!sick.spares() && sick.trouble().is_none());
        assert_eq!(down(&mut sick, 2, &[server(0, None), server(0, check())]), [false, true]);
    }

    #[test]
    fn what_most_of_a_pool_shares_is_held_against_none() {
        let mut sick = Sick::default();
        let half = [server(0, answers()), server(0, answers()), server(0, None), server(0, None)];
        assert_eq!(down(&mut sick, 1, &half), [true, true, false, false]);
        let most =
            [server(0, answers()), server(0, answers()), server(0, answers()), server(0, None)];
        assert_eq!(down(&mut sick, 2, &most), [false; 4]);
        assert!(sick.is_spared(&ReplicaId::new("web-1")));
        let said = sick.trouble().unwrap();
        assert_eq!(said, "3 of 4 replicas answer errors, so HAProxy keeps using all");
        let only = [server(0, answers())];
        assert_eq!(
            down(&mut Sick::default(), 1, &only),
            [false],
            "the last one is never taken out"
        );
    }
}
