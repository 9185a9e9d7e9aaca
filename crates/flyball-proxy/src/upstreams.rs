//! The servers of one service, how busy each is, and the queue of waiting requests. A server's
//! in-flight count is the number of its live [`Permit`]s and never exceeds `slots`. The queue is
//! strictly first in, first out.

mod asleep;
mod judge;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flyball_core::observation::{Route, ServerReport};
use flyball_core::units::ReplicaId;
use tokio::sync::{Notify, oneshot};

use crate::eject::{Conduct, Failure};
use crate::server::Server;

/// How long a server is left out after its first failed connect.
///
/// Without this a dead server would be the least busy one and draw every request. Short, because a
/// full accept queue looks the same as a dead process and passes in milliseconds; doubled each
/// time, because a dead one stays dead until it is drained; bounded, because one that came back
/// must be found without help.
const LEFT_OUT_FIRST: Duration = Duration::from_millis(25);
/// The longest a server is left out.
const LEFT_OUT_MAX: Duration = Duration::from_millis(800);

/// Servers and the line in front of them, behind one lock that is held for nanoseconds.
///
/// One lock rather than a counter per server: picking the least busy, keeping to the slots and
/// first come first served are one decision.
pub(crate) struct Upstreams {
    state: Mutex<State>,
    slots: u32,
    waiting_max: usize,
    /// The share of the servers that may be out.
    eject_max: f64,
    /// Notified when the control loop should look.
    pub(crate) news: Notify,
}

#[derive(Default)]
struct State {
    /// Ascending by key, because keys are given in the order of joining.
    servers: Vec<Entry>,
    line: BTreeMap<Ticket, Waiter>,
    next_key: u64,
    next_ticket: u64,
    /// Where the next search begins, so that equals take turns.
    turn: usize,
    /// Whether any server is out.
    any_out: bool,
    /// When somebody last got the page to wait with.
    visited: Option<Instant>,
}

struct Entry {
    server: Arc<Server>,
    route: Route,
    in_flight: u32,
    /// Connects that failed since the last that did not.
    failures: u32,
    left_out: bool,
    conduct: Conduct,
}

/// A request in line.
struct Waiter {
    call: oneshot::Sender<Permit>,
    /// Since when it is shown as waiting, if it is.
    since: Option<Instant>,
}

/// A request's place in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// The right to have one request on a server; dropping it gives the place to the next in line.
pub(crate) struct Permit {
    upstreams: Arc<Upstreams>,
    pub(crate) server: Arc<Server>,
    pub(crate) ticket: Ticket,
    /// Whether this request shows if the server has recovered.
    trial: bool,
}

/// What a request gets when it asks for a server.
pub(crate) enum Admission {
    Admitted(Permit),
    Waiting(Wait),
    /// Nothing is free and the line is full.
    Full,
}

/// A place in the line; dropping it leaves the line.
pub(crate) struct Wait {
    upstreams: Arc<Upstreams>,
    ticket: Ticket,
    called: oneshot::Receiver<Permit>,
}

impl Upstreams {
    pub(crate) fn new(slots: Option<u32>, waiting_max: usize, eject_max: f64) -> Self {
        Self {
            state: Mutex::default(),
            slots: slots.unwrap_or(u32::MAX),
            waiting_max,
            eject_max,
            news: Notify::new(),
        }
    }

    /// Whether no replica gets requests.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().servers.iter().all(|entry| entry.route != Route::Routed)
    }

    /// A server for a request that has just arrived.
    pub(crate) fn admit(self: &Arc<Self>) -> Admission {
        let mut state = self.lock();
        let ticket = Ticket(state.next_ticket);
        state.next_ticket += 1;
        // A newcomer never overtakes the line.
        let free = if state.line.is_empty() {
            // The last resort is a server that was left out: it may be back.
            state.pick(self.slots, None).or_else(|| state.pick_left_out(self.slots))
        } else {
            None
        };
        match free {
            Some(index) => Admission::Admitted(state.permit(self, index, ticket)),
            None if state.line.len() >= self.waiting_max => Admission::Full,
            None => Admission::Waiting(self.join(&mut state, ticket)),
        }
    }

    /// Another server, if there is one, for a request that lost its first; it keeps its place
    /// before those that came later, and is taken in even where the line is full: it was admitted.
    pub(crate) fn readmit(self: &Arc<Self>, ticket: Ticket, lost: u64) -> Admission {
        let mut state = self.lock();
        let free = state.pick(self.slots, Some(lost)).or_else(|| state.pick(self.slots, None));
        match free {
            Some(index) => Admission::Admitted(state.permit(self, index, ticket)),
            None => Admission::Waiting(self.join(&mut state, ticket)),
        }
    }

    fn join(self: &Arc<Self>, state: &mut State, ticket: Ticket) -> Wait {
        let (call, called) = oneshot::channel();
        state.line.insert(ticket, Waiter { call, since: None });
        Wait { upstreams: Arc::clone(self), ticket, called }
    }

    /// Lets `replica` at `address` have requests; at another address it is another server.
    pub(crate) fn route(self: &Arc<Self>, replica: &ReplicaId, address: SocketAddr) {
        let called = {
            let mut state = self.lock();
            let mut known = false;
            for entry in state.servers.iter_mut().filter(|e| e.server.replica == *replica) {
                let same = entry.server.address == address;
                entry.turn(if same { Route::Routed } else { Route::Draining });
                known |= same;
            }
            if !known {
                state.add(replica, address);
            }
            self.forget_drained(&mut state);
            self.call(&mut state)
        };
        deliver(called);
    }

    /// Gives `replica` no more requests; unknown replicas are drained already.
    pub(crate) fn drain(self: &Arc<Self>, replica: &ReplicaId) {
        let called = {
            let mut state = self.lock();
            for entry in state.servers.iter_mut().filter(|e| e.server.replica == *replica) {
                entry.turn(Route::Draining);
            }
            self.forget_drained(&mut state);
            // The one that is left serves, whatever it did before.
            if state.keep_one() { self.call(&mut state) } else { Vec::new() }
        };
        deliver(called);
    }

    fn forget_drained(&self, state: &mut State) {
        let before = state.servers.len();
        state.servers.retain(|entry| entry.route == Route::Routed || entry.in_flight > 0);
        if state.servers.len() < before {
            self.news.notify_one();
        }
    }

    /// A connect to `server` failed: it is left out for a while.
    pub(crate) fn connect_failed(self: &Arc<Self>, server: &Server) {
        self.news.notify_one();
        let mut state = self.lock();
        let Some(entry) = state.entry(server.key).filter(|entry| !entry.left_out) else { return };
        entry.left_out = true;
        entry.failures = entry.failures.saturating_add(1);
        let pause = left_out_for(entry.failures);
        // `failed` takes the same lock.
        drop(state);
        // However many requests find that out at once, it is one failure.
        self.failed(server, Failure::Refused);
        // Weak: a server that is left out must not keep the state of a stopped proxy.
        let (upstreams, key) = (Arc::downgrade(self), server.key);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if let Some(upstreams) = upstreams.upgrade() {
                upstreams.let_back(key, |_| {});
            }
        });
    }

    /// A connect to `server` succeeded: whatever was wrong is over.
    pub(crate) fn connected(self: &Arc<Self>, server: &Server) {
        self.let_back(server.key, |entry| entry.failures = 0);
    }

    fn let_back(self: &Arc<Self>, key: u64, change: impl FnOnce(&mut Entry)) {
        let called = {
            let mut state = self.lock();
            let Some(entry) = state.entry(key) else { return };
            change(entry);
            entry.left_out = false;
            self.call(&mut state)
        };
        deliver(called);
    }

    /// Gives permits to as many of the line as there are places, first come first served.
    fn call(self: &Arc<Self>, state: &mut State) -> Vec<(oneshot::Sender<Permit>, Permit)> {
        let mut called = Vec::new();
        while let Some((&ticket, _)) = state.line.first_key_value() {
            let Some(index) = state.pick(self.slots, None) else { break };
            let Some(waiter) = state.line.remove(&ticket) else { break };
            called.push((waiter.call, state.permit(self, index, ticket)));
        }
        called
    }

    fn release(self: &Arc<Self>, key: u64, trial: bool) {
        let called = {
            let mut state = self.lock();
            let Some(entry) = state.entry(key) else { return };
            // Cannot underflow: a permit adds one and takes one, and an entry stays until it has
            // none (`forget_drained`).
            entry.in_flight -= 1;
            if trial {
                entry.conduct.abandon_trial();
            }
            if entry.route == Route::Draining && entry.in_flight == 0 {
                self.forget_drained(&mut state);
            }
            self.call(&mut state)
        };
        deliver(called);
    }

    /// Requests that wait in line, and every server by its replica.
    ///
    /// While a replica moves to another address its servers are shown as one, with the requests of
    /// all and the answers of the newest.
    pub(crate) fn report(&self) -> (u32, BTreeMap<ReplicaId, ServerReport>) {
        let mut state = self.lock();
        state.mark(Instant::now());
        let mut servers: BTreeMap<ReplicaId, ServerReport> = BTreeMap::new();
        for Entry { server, route, in_flight, conduct, .. } in &state.servers {
            let older = servers.get(&server.replica);
            let routed = older.is_some_and(|report| report.route == Route::Routed);
            let report = ServerReport {
                route: if routed { Route::Routed } else { *route },
                in_flight: in_flight + older.map_or(0, |report| report.in_flight),
                served: server.served(),
                first_served_at: server.first_served_at(),
                health: judge::health(conduct),
            };
            servers.insert(server.replica.clone(), report);
        }
        (state.waiting(), servers)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The least busy routed server that has a place, is not left out and is not `lost`; before that
    /// one that is to be tried.
    fn pick(&mut self, slots: u32, lost: Option<u64>) -> Option<usize> {
        let fits = |entry: &Entry| {
            entry.in_flight < slots && !entry.left_out && Some(entry.server.key) != lost
        };
        if self.any_out {
            let due = |entry: &Entry| {
                entry.route == Route::Routed && fits(entry) && entry.conduct.is_due()
            };
            if let Some(index) = self.servers.iter().position(due) {
                return Some(index);
            }
        }
        self.least_busy(|entry| fits(entry) && !entry.conduct.is_out())
    }

    /// The least busy server, if every routed one is left out or out.
    fn pick_left_out(&mut self, slots: u32) -> Option<usize> {
        let mut routed = self.servers.iter().filter(|entry| entry.route == Route::Routed);
        if routed.any(|entry| !entry.left_out && !entry.conduct.is_out()) {
            return None;
        }
        self.least_busy(|entry| entry.in_flight < slots)
    }

    fn least_busy(&mut self, fits: impl Fn(&Entry) -> bool) -> Option<usize> {
        self.turn = if self.turn + 1 < self.servers.len() { self.turn + 1 } else { 0 };
        let (before, after) = self.servers.split_at(self.turn.min(self.servers.len()));
        let from_turn = (self.turn..).zip(after).chain((0..).zip(before));
        from_turn
            .filter(|(_, entry)| entry.route == Route::Routed && fits(entry))
            .min_by_key(|(_, entry)| entry.in_flight)
            .map(|(index, _)| index)
    }

    fn permit(&mut self, upstreams: &Arc<Upstreams>, index: usize, ticket: Ticket) -> Permit {
        let entry = &mut self.servers[index];
        entry.in_flight += 1;
        let trial = entry.conduct.begin_trial();
        Permit {
            upstreams: Arc::clone(upstreams),
            server: Arc::clone(&entry.server),
            ticket,
            trial,
        }
    }

    fn entry(&mut self, key: u64) -> Option<&mut Entry> {
        let index = self.servers.binary_search_by_key(&key, |entry| entry.server.key).ok()?;
        Some(&mut self.servers[index])
    }

    fn add(&mut self, replica: &ReplicaId, address: SocketAddr) {
        let server = Arc::new(Server::new(self.next_key, replica.clone(), address));
        self.next_key += 1;
        self.servers.push(Entry {
            server,
            route: Route::Routed,
            in_flight: 0,
            failures: 0,
            left_out: false,
            conduct: Conduct::default(),
        });
    }
}

impl Entry {
    fn turn(&mut self, route: Route) {
        if self.route != route {
            self.route = route;
            self.server.keep_idle(route == Route::Routed);
        }
    }
}

impl Wait {
    /// The request has arrived: it is shown as waiting from now on.
    pub(crate) fn counts(&self) {
        let mut state = self.upstreams.lock();
        let first = !state.line.values().any(|waiter| waiter.since.is_some());
        if let Some(waiter) = state.line.get_mut(&self.ticket) {
            waiter.since = Some(Instant::now());
        }
        if first {
            self.upstreams.news.notify_one();
        }
    }

    /// Waits to be called.
    pub(crate) async fn permit(&mut self) -> Option<Permit> {
        (&mut self.called).await.ok()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // A permit that was sent meanwhile lies in `called`. It is dropped after this, with the
        // lock released, and goes to the next in line.
        self.upstreams.lock().line.remove(&self.ticket);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.upstreams.release(self.server.key, self.trial);
    }
}

/// Hands over permits with the lock released: one that is no longer wanted is dropped here, and its
/// place is free again. That takes the lock, so under it this would deadlock.
fn deliver(called: Vec<(oneshot::Sender<Permit>, Permit)>) {
    for (sender, permit) in called {
        drop(sender.send(permit));
    }
}

fn left_out_for(failures: u32) -> Duration {
    // Bounded, or the shift would overflow; the longest pause is reached long before.
    let doublings = failures.saturating_sub(1).min(16);
    (LEFT_OUT_FIRST * (1 << doublings)).min(LEFT_OUT_MAX)
}

#[cfg(test)]
mod tests;
