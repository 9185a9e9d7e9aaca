//! How many servers may be ejected, and whether they share one fault. Never more than the
//! configured share is ejected, and never the last server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_core::health::share_of;
use flyball_core::observation::{Route, ServerHealth};

use super::{Entry, Permit, State, Upstreams, deliver};
use crate::eject::{Conduct, Failure, Others};
use crate::server::Server;

/// For how long and at which of its times a server is out.
type Pause = (Duration, u32);

impl Upstreams {
    /// A request to `server` failed.
    pub(crate) fn failed(self: &Arc<Self>, server: &Server, failure: Failure) {
        server.failed();
        let pause = self.lock().failed(server.key, failure, self.eject_max);
        let Some((pause, times)) = pause else { return };
        self.news.notify_one();
        let (upstreams, key) = (Arc::downgrade(self), server.key);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if let Some(upstreams) = upstreams.upgrade() {
                upstreams.let_back(key, |entry| entry.conduct.try_again(times));
            }
        });
    }

    /// A request was answered well.
    pub(crate) fn did_well(self: &Arc<Self>, permit: &Permit) {
        // Without the lock while nothing is held against the server, which is nearly always. A
        // failure at the same moment may miss this answer; at worst its streak is one too long.
        if !permit.server.did_well() {
            return;
        }
        let called = {
            let mut state = self.lock();
            let Some(entry) = state.entry(permit.server.key) else { return };
            let back = entry.conduct.answered(Instant::now(), permit.trial);
            if !entry.conduct.is_out() {
                entry.server.clear();
            }
            if !back {
                return;
            }
            state.count_out();
            self.call(&mut state)
        };
        self.news.notify_one();
        deliver(called);
    }

    /// What is wrong with the servers as a whole, beyond those that are out.
    pub(crate) fn trouble(&self) -> Option<String> {
        let (state, now) = (self.lock(), Instant::now());
        let routed: Vec<&Entry> = state.routed().collect();
        let failing: Vec<&&Entry> = routed.iter().filter(|e| e.conduct.is_failing(now)).collect();
        let first = failing.first()?;
        let (all, count, out) = (routed.len(), failing.len(), state.out());
        let what = if all == 1 {
            "the only replica fails, and still gets requests".to_owned()
        } else if count == all {
            format!("all {all} replicas fail, so none is ejected")
        } else if out >= share_of(all, self.eject_max) {
            let some =
                if count == 1 { "1 replica fails" } else { &format!("{count} replicas fail") };
            format!("{some}, but no more than {out} of {all} may be ejected")
        } else {
            format!("{count} of {all} replicas fail no more than the others do")
        };
        Some(format!("{what}; {}: {}", first.server.replica, first.conduct.in_words()))
    }
}

impl State {
    fn routed(&self) -> impl Iterator<Item = &Entry> {
        self.servers.iter().filter(|entry| entry.route == Route::Routed)
    }

    fn out(&self) -> usize {
        self.routed().filter(|entry| entry.conduct.is_out()).count()
    }

    pub(super) fn count_out(&mut self) {
        self.any_out = self.out() > 0;
    }

    /// Keeps the counters of this moment.
    pub(super) fn mark(&mut self, now: Instant) {
        for entry in &mut self.servers {
            let answers = entry.server.answers();
            entry.conduct.mark(now, answers);
        }
    }

    /// Takes in a failure. Returns for how long its server is out, if it is from now on.
    fn failed(&mut self, key: u64, failure: Failure, eject_max: f64) -> Option<Pause> {
        let now = Instant::now();
        self.mark(now);
        let others = self.others(key);
        let room = self.out() < share_of(self.routed().count(), eject_max);
        let entry = self.entry(key)?;
        let answers = entry.server.answers();
        let why = entry.conduct.failed(now, failure, answers, others);
        let mut pause = entry.conduct.trial_failed();
        if let Some(why) = why.filter(|_| room && entry.route == Route::Routed) {
            pause = Some(entry.conduct.put_out(now, why));
        }
        let times = entry.conduct.times();
        self.count_out();
        self.forgive_if_all_fail(now);
        pause.map(|pause| (pause, times))
    }

    fn others(&self, key: u64) -> Others {
        let mut others = Others::default();
        for entry in self.routed().filter(|entry| entry.server.key != key) {
            let answers = entry.server.answers();
            others.good += answers.good;
            if !entry.conduct.is_out() && !entry.conduct.fails_in_a_row() {
                others.recent = others.recent.plus(entry.conduct.recent(answers));
            }
        }
        others
    }

    /// Where the remaining servers fail as well, none is ejected: they share the fault.
    fn forgive_if_all_fail(&mut self, now: Instant) {
        let well = |entry: &Entry| !entry.conduct.is_out() && !entry.conduct.is_failing(now);
        if self.any_out && !self.routed().any(well) {
            self.let_all_back();
        }
    }

    /// Has those that are out back where no other is left. Returns whether that was so.
    pub(super) fn keep_one(&mut self) -> bool {
        let alone = self.any_out && self.routed().all(|entry| entry.conduct.is_out());
        if alone {
            self.let_all_back();
        }
        alone
    }

    fn let_all_back(&mut self) {
        self.servers.iter_mut().for_each(|entry| entry.conduct.let_back());
        self.any_out = false;
    }
}

/// What is held against a server.
pub(super) fn health(conduct: &Conduct) -> ServerHealth {
    conduct.why_out().map_or(ServerHealth::Up, |why| ServerHealth::Down { why: why.to_owned() })
}
