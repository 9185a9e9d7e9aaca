//! Requests on their way: to a replica or into the queue, through the work, out. A request goes to
//! the replica with the fewest, equals in turn, as with HAProxy's `leastconn` and the embedded
//! balancer. Requests are served in order of arrival, and no replica holds more than its slots.

use std::cmp::Reverse;

use flyball_core::observation::{Phase, Route};

use super::World;
use super::arrivals::{MS, nanos, whole};
use super::loads::CLOSED;
use super::replica::{Change, Kind, Replica, Request};

/// The end of work on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Done {
    at_ns: u64,
    slot: u32,
    losses: u32,
    due_ns: u64,
}

impl World {
    /// Lets time pass until `until_ns`, or until something happens that wakes a loop, but not
    /// before `from_ns`. Returns whether it was woken.
    pub fn advance(&mut self, until_ns: u64, from_ns: u64) -> bool {
        loop {
            let done_ns = self.done.peek().map_or(u64::MAX, |Reverse(done)| done.at_ns);
            let change_ns = self.changes.peek().map_or(u64::MAX, |Reverse(change)| change.at_ns);
            let at_ns = done_ns.min(change_ns).min(self.next_arrival_ns);
            if self.news && self.setup.wakes && at_ns > from_ns {
                self.now_ns = self.now_ns.max(from_ns);
                self.settle();
                return true;
            }
            if at_ns > until_ns {
                break;
            }
            self.now_ns = at_ns;
            if at_ns == done_ns {
                self.end();
            } else if at_ns == change_ns {
                self.change();
            } else {
                self.arrive();
            }
        }
        self.now_ns = until_ns;
        self.settle();
        false
    }

    fn settle(&mut self) {
        self.news = false;
        self.latencies.pass(self.now_ns);
        self.drop_impatient();
    }

    fn arrive(&mut self) {
        let due_ns = self.next_arrival_ns;
        let next_ns = self.arrivals.next_ns();
        self.next_arrival_ns = next_ns.map_or(u64::MAX, |ns| self.arrivals_ns + ns);
        self.counters.arrivals += 1;
        self.latencies.arrived += 1;
        let drawn_ns = self.setup.work.draw_ns(&mut self.work_chance);
        let work_ns = whole(nanos(drawn_ns) * self.work_factor).max(1);
        let request = Request { due_ns, work_ns };
        match self.least_busy() {
            Some(slot) => self.give(slot, request),
            None if self.line.len() >= self.setup.waiting_max => {
                self.turned_away += u64::from(self.setup.waiting_max > 0);
                self.fail(1);
            }
            None => {
                self.news |= self.line.is_empty();
                self.line.push_back(request);
            }
        }
    }

    /// The open replica with the fewest requests that has a slot left.
    fn least_busy(&mut self) -> Option<usize> {
        let count = self.loads.len();
        self.turn = if self.turn + 1 < count { self.turn + 1 } else { 0 };
        self.loads.least(self.turn, self.setup.slots.unwrap_or(CLOSED - 1))
    }

    fn give(&mut self, slot: usize, request: Request) {
        self.loads.set(slot, self.loads.at(slot) + 1);
        let replica = &mut self.replicas[slot];
        replica.in_flight += 1;
        if replica.working < self.setup.workers {
            self.begin(slot, request);
        } else {
            replica.queue.push_back(request);
        }
    }

    fn begin(&mut self, slot: usize, request: Request) {
        let now_ns = self.now_ns;
        let replica = &mut self.replicas[slot];
        replica.accrue(now_ns, &self.setup);
        replica.working += 1;
        let slowness = replica.slowness_at(now_ns, self.setup.cold);
        let at_ns = now_ns.saturating_add(whole(nanos(request.work_ns) * slowness).max(1));
        let losses = replica.losses;
        let due_ns = request.due_ns;
        self.latencies.waited(now_ns - due_ns);
        let slot = u32::try_from(slot).unwrap_or(u32::MAX);
        self.done.push(Reverse(Done { at_ns, slot, losses, due_ns }));
    }

    fn end(&mut self) {
        let Some(Reverse(done)) = self.done.pop() else { return };
        let slot = done.slot as usize;
        let now_ns = self.now_ns;
        let replica = &mut self.replicas[slot];
        if replica.losses != done.losses {
            return;
        }
        replica.accrue(now_ns, &self.setup);
        replica.working -= 1;
        replica.served += 1;
        replica.first_served_ns.get_or_insert(now_ns);
        if gave_up(done.due_ns, now_ns, self.setup.patience_ms) {
            self.latencies.unserved += 1;
        } else {
            self.latencies.answered(done.due_ns, now_ns);
        }
        self.release(slot);
        self.work_on(slot);
        self.fill(slot);
        self.leave(slot);
    }

    fn release(&mut self, slot: usize) {
        self.replicas[slot].in_flight -= 1;
        let load = self.loads.at(slot);
        if load != CLOSED {
            self.loads.set(slot, load - 1);
        }
    }

    /// The next of the replica's own queue, without those that gave up.
    fn work_on(&mut self, slot: usize) {
        while let Some(request) = self.replicas[slot].queue.pop_front() {
            if !gave_up(request.due_ns, self.now_ns, self.setup.patience_ms) {
                self.begin(slot, request);
                return;
            }
            self.release(slot);
            self.fail(1);
        }
    }

    /// Gives `slot` requests of the line while it has room.
    pub(super) fn fill(&mut self, slot: usize) {
        let most = self.setup.slots.unwrap_or(CLOSED - 1);
        while self.loads.at(slot) < most {
            let Some(request) = self.line.pop_front() else { return };
            if gave_up(request.due_ns, self.now_ns, self.setup.patience_ms) {
                self.fail(1);
            } else {
                self.give(slot, request);
            }
        }
    }

    /// What has drained is forgotten by the balancer, and gone if it was told to stop.
    pub(super) fn leave(&mut self, slot: usize) {
        let replica = &mut self.replicas[slot];
        if replica.in_flight > 0 {
            return;
        }
        if replica.route == Some(Route::Draining) {
            replica.route = None;
            self.shown.outdated = true;
            self.news = true;
        }
        if !self.replicas[slot].exists() {
            self.free.insert(slot);
        }
    }

    /// Those in line who gave up leave it. They came in order, so the first are the oldest.
    fn drop_impatient(&mut self) {
        let now_ns = self.now_ns;
        let patience_ms = self.setup.patience_ms;
        let left = self.line.iter().take_while(|r| gave_up(r.due_ns, now_ns, patience_ms)).count();
        self.line.drain(..left);
        self.fail(left as u64);
    }

    /// `count` requests end in an error.
    pub(super) fn fail(&mut self, count: u64) {
        self.counters.errors += count;
        self.latencies.unserved += count;
    }

    /// Opens or closes `slot` for new requests, as its state says.
    pub(super) fn reopen(&mut self, slot: usize) {
        let replica = &self.replicas[slot];
        let open = replica.is_open(self.setup.balanced);
        self.loads.set(slot, if open { replica.in_flight } else { CLOSED });
        if open {
            self.fill(slot);
        }
    }

    /// Puts `replica` into the first free place.
    pub(super) fn place(&mut self, make: impl FnOnce((u32, u32)) -> Replica) -> usize {
        let slot = self.free.pop_first().unwrap_or(self.replicas.len());
        if let Some(before) = self.replicas.get_mut(slot) {
            if self.places.get(&before.id) == Some(&slot) {
                self.places.remove(&before.id);
            }
            *before = make((before.generation + 1, before.losses + 1));
        } else {
            self.replicas.push(make((0, 0)));
            self.loads.add();
        }
        self.places.insert(self.replicas[slot].id.clone(), slot);
        self.loads.set(slot, CLOSED);
        self.shown.outdated = true;
        self.paid.add(self.now_ns);
        slot
    }

    fn change(&mut self) {
        let Some(Reverse(Change { slot, generation, kind, .. })) = self.changes.pop() else {
            return;
        };
        let replica = &mut self.replicas[slot];
        if replica.generation != generation {
            return;
        }
        match (kind, replica.phase) {
            (Kind::Ready, Some(Phase::Starting)) => {
                replica.accrue(self.now_ns, &self.setup);
                replica.phase = Some(Phase::Ready);
                replica.ready_ns = Some(self.now_ns);
                self.news = true;
                self.reopen(slot);
            }
            (Kind::Ends, Some(Phase::Starting | Phase::Ready)) => self.crash(slot, "exit status 1"),
            (Kind::Stops, Some(Phase::Stopping)) if replica.in_flight == 0 => self.vanish(slot),
            (Kind::Killed, Some(Phase::Stopping)) => self.vanish(slot),
            _ => {}
        }
    }

    /// The replica is gone, and what it had with it.
    pub(super) fn vanish(&mut self, slot: usize) {
        self.lose(slot);
        let replica = &mut self.replicas[slot];
        let was_paid = replica.phase.take().is_some();
        replica.generation += 1;
        self.loads.set(slot, CLOSED);
        self.shown.outdated = true;
        self.news = true;
        if was_paid {
            self.paid.remove(self.now_ns);
        }
        self.leave(slot);
    }

    /// Everything that `slot` works on and holds is lost.
    pub(super) fn lose(&mut self, slot: usize) {
        let replica = &mut self.replicas[slot];
        replica.accrue(self.now_ns, &self.setup);
        let lost = u64::from(replica.in_flight);
        replica.losses += 1;
        replica.in_flight = 0;
        replica.working = 0;
        replica.queue.clear();
        self.fail(lost);
    }

    /// Something happens to `slot` after `after_ns`.
    pub(super) fn later(&mut self, slot: usize, after_ns: u64, kind: Kind) {
        let at_ns = self.now_ns.saturating_add(after_ns);
        let generation = self.replicas[slot].generation;
        self.changes.push(Reverse(Change { at_ns, slot, generation, kind }));
    }
}

fn gave_up(due_ns: u64, now_ns: u64, patience_ms: u64) -> bool {
    patience_ms > 0 && now_ns - due_ns > patience_ms * MS
}
