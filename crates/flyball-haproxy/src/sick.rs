//! Servers that HAProxy has taken out of use, and when they may return. HAProxy alone lets a server
//! back after two connections; here it stays out longer each time. If most of a pool returns
//! errors, all stay in use.

use std::collections::BTreeMap;

use flyball_core::observation::ServerHealth;
use flyball_core::units::{ReplicaId, Timestamp};

use crate::stat::{Fault, Server};

/// A server that answers errors is kept out for so long, and each time twice as long as before.
const HOLD_MS: u64 = 10_000;
/// It is tried again at least every 160 s.
const DOUBLED_MAX: u32 = 4;
/// One that is back and gets no request within this time is believed.
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
    /// Its good answers, and all of them, when it was last down.
    good: u64,
    served: u64,
    /// When it was taken out the last time, and how often before.
    out_since: Timestamp,
    outs_before: u32,
    /// Since when HAProxy gives it requests again.
    back_since: Option<Timestamp>,
}

impl Sick {
    /// Counters began again: what they said before is compared with nothing.
    pub(crate) fn restart(&mut self) {
        for case in self.all.values_mut() {
            (case.good, case.served) = (0, 0);
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
                Some(fault) => Some(Case::of(fault, server, known, at)),
                None => known.and_then(|known| known.still_open(at, server)),
            };
            self.all.extend(case.map(|case| (replica.clone(), case)));
        }
    }

    /// Whether so many return errors that the fault is not their own: more than half.
    fn is_shared(&self) -> bool {
        self.answering_errors() * 2 > self.routed
    }

    fn answering_errors(&self) -> usize {
        self.all.values().filter(|case| case.by_answers).count()
    }

    /// Whether HAProxy should use `replica` nevertheless.
    pub(crate) fn is_spared(&self, replica: &ReplicaId) -> bool {
        self.is_shared() && self.all.get(replica).is_some_and(|case| case.by_answers)
    }

    /// Whether `replica` should get no requests at `now`, whatever its check says.
    pub(crate) fn is_held(&self, replica: &ReplicaId, now: Timestamp) -> bool {
        !self.is_shared() && self.all.get(replica).is_some_and(|case| case.holds(now))
    }

    /// Whether any is held at `now`: HAProxy lets it back in at any moment.
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        !self.is_shared() && self.all.values().any(|case| case.holds(now))
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
    fn of(fault: &Fault, server: &Server, known: Option<Self>, at: Timestamp) -> Self {
        let (good, served) = (server.good, server.served);
        let again = known.as_ref().is_some_and(|known| known.back_since.is_some());
        match (fault, known) {
            // It had its chance, and answered errors again.
            (Fault::Answers(why), Some(known)) if again => {
                let outs_before = known.outs_before + 1;
                let (why, out_since) = (why.clone(), at);
                Self { why, good, served, out_since, outs_before, back_since: None, ..known }
            }
            (Fault::Answers(_), Some(known)) if known.by_answers => {
                Self { good, served, back_since: None, ..known }
            }
            (Fault::Unsaid, Some(known)) => Self { good, served, back_since: None, ..known },
            (fault, _) => {
                let by_answers = matches!(fault, Fault::Answers(_));
                let (why, outs_before) = (fault.why().to_owned(), 0);
                Self { why, by_answers, good, served, out_since: at, outs_before, back_since: None }
            }
        }
    }

    fn holds(&self, now: Timestamp) -> bool {
        let hold_ms = HOLD_MS << self.outs_before.min(DOUBLED_MAX);
        self.by_answers && now.ms_since(self.out_since) < hold_ms
    }

    /// The case of a server that HAProxy gives requests again; `None` once it is closed.
    fn still_open(mut self, at: Timestamp, server: &Server) -> Option<Self> {
        let since = *self.back_since.get_or_insert(at);
        let untried = server.served <= self.served && at.ms_since(since) >= UNTRIED_MS;
        let closed = !self.by_answers || server.good > self.good || untried;
        (!closed).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stat::Admin;

    fn server(good: u64, fault: Option<Fault>) -> Server {
        let (served, id, in_flight) = (good, Some(1), 0);
        let admin = Admin::Ready;
        let (address, weight, is_backup, coming) = (None, None, false, false);
        Server { admin, address, in_flight, served, good, is_backup, weight, id, coming, fault }
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
    fn one_that_answers_errors_is_kept_out_and_each_time_for_longer() {
        let mut sick = Sick::default();
        let (one, at) = (ReplicaId::new("web-0"), Timestamp::from_ms);
        let both = |fault, served| [Server { served, ..server(5, fault) }, server(5, None)];
        down(&mut sick, 0, &both(answers(), 15));
        down(&mut sick, 2_000, &both(Some(Fault::Unsaid), 15));
        assert!(sick.is_held(&one, at(9_999)) && !sick.is_held(&one, at(10_000)));
        down(&mut sick, 12_000, &both(None, 15));
        // It has got requests, and has answered nothing but errors.
        assert!(down(&mut sick, 30_000, &both(None, 18))[0]);
        assert!(down(&mut sick, 30_001, &both(answers(), 25))[0]);
        assert!(sick.is_held(&one, at(50_000)) && !sick.is_held(&one, at(50_001)));
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
    fn a_failed_check_does_not_hide_what_its_answers_show() {
        let mut sick = Sick::default();
        let check = Some(Fault::Check("HAProxy's check failed: L4TOUT".to_owned()));
        let pool = |fault| [server(0, fault), server(0, None)];
        down(&mut sick, 1, &pool(check));
        assert!(!sick.holds(Timestamp::from_ms(1)), "its check decides when it is back");
        down(&mut sick, 2, &pool(answers()));
        assert!(sick.holds(Timestamp::from_ms(2)));
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
