//! Requests one by one: queues, latencies, and replicas that start, serve, drain, crash and leave.
//! When the n-th request arrives and what work it is depend on the load and the seed alone, never
//! on what was decided. Time is in nanoseconds, in observations in milliseconds.

pub mod arrivals;
mod breaks;
mod flow;
pub mod latencies;
mod loads;
mod observe;
mod orders;
pub mod replica;
pub mod run;
pub mod service;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use flyball_core::observation::Exit;
use flyball_core::units::{ReplicaId, Timestamp};

use super::ORIGIN;
use crate::seed::{Purpose, Seed, Stream};
use arrivals::{Arrivals, MS};
use latencies::{Latencies, Summary};
use loads::Loads;
use replica::{Replica, ReplicaEnd, Request};
use service::Times;

/// How replicas and their balancer behave, the same for every contender.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Time that a replica works on one request.
    pub work: Times,
    /// Requests that a replica works on at once, each at full speed; at least 1. Those beyond wait
    /// in the replica, first come first served.
    pub workers: u32,
    /// Requests that the balancer gives one replica at most; further ones wait at the balancer.
    /// `None`: it gives away all it gets, and only replicas queue.
    pub slots: Option<u32>,
    /// Requests that wait at the balancer at most; further ones are refused.
    pub waiting_max: usize,
    /// A request without an answer by then has given up; 0 waits forever.
    pub patience_ms: u64,
    /// A request that takes longer than this is late.
    pub limit_ms: u64,
    /// Time from a start to readiness.
    pub start_lag: Times,
    /// A replica that has just become ready.
    pub cold: Cold,
    /// How differently fast replicas are: standard deviation over mean of the time for the same
    /// work. 0: all the same.
    pub imbalance_cv: f64,
    /// Time from the order to stop until a replica without requests is gone.
    pub stop_ms: u64,
    /// Time until one with requests is killed.
    pub grace_ms: u64,
    /// Age of counters when they are seen.
    pub metric_lag_ms: u64,
    /// CPU that one replica may use.
    pub cpu_limit_cores: f64,
    /// Whether there is a balancer; without one, ready replicas get requests some other way.
    pub balanced: bool,
    /// Whether events wake the loop, as the embedded balancer's and an engine on this machine do.
    pub wakes: bool,
}

/// How a replica behaves before it is at full speed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cold {
    /// The first requests take so many times as long; 1 is no cold start.
    pub factor: f64,
    /// For so long after readiness.
    pub ms: u64,
    /// The share of its CPU limit that a replica uses while it starts.
    pub start_share: f64,
}

impl Default for Setup {
    /// Replicas of one core that serve 20 requests/s, one after another.
    fn default() -> Self {
        Self {
            work: Times::same(50.0),
            workers: 1,
            slots: Some(2),
            waiting_max: 4_096,
            patience_ms: 30_000,
            limit_ms: 250,
            start_lag: Times::same(1_000.0),
            cold: Cold { factor: 1.0, ms: 0, start_share: 0.0 },
            imbalance_cv: 0.0,
            stop_ms: 50,
            grace_ms: 10_000,
            metric_lag_ms: 0,
            cpu_limit_cores: 1.0,
            balanced: true,
            wakes: false,
        }
    }
}

/// Replicas, their balancer, and the requests between them.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) setup: Setup,
    seed: Seed,
    pub(super) now_ns: u64,
    arrivals: Arrivals,
    /// When the arrivals began.
    arrivals_ns: u64,
    next_arrival_ns: u64,
    work_chance: Stream,
    /// Work of each request, times this.
    pub(super) work_factor: f64,
    /// What becomes of replicas that are started now.
    pub(super) fate: ReplicaEnd,
    pub(super) replicas: Vec<Replica>,
    /// Where each name was put last.
    places: BTreeMap<ReplicaId, usize>,
    /// Places that can be used again.
    free: BTreeSet<usize>,
    /// Requests in each replica that may get more, closed for the others.
    loads: Loads,
    turn: usize,
    line: VecDeque<Request>,
    done: BinaryHeap<Reverse<flow::Done>>,
    changes: BinaryHeap<Reverse<replica::Change>>,
    /// Starts so far: each draws from a lane of its own.
    starts: u32,
    paid: Paid,
    pub(super) counters: Counters,
    pub(super) exits: VecDeque<Exit>,
    latencies: Latencies,
    /// Requests that were refused because too many waited, where some may wait.
    turned_away: u64,
    shown: observe::Shown,
    /// Something happened that a live loop would be woken by.
    news: bool,
}

/// The balancer's counters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) epoch: u64,
    pub(super) arrivals: u64,
    pub(super) errors: u64,
}

/// Replica time that was paid for.
#[derive(Clone, Copy, Debug, Default)]
struct Paid {
    replicas: u64,
    since_ns: u64,
    replica_ns: u64,
}

impl Paid {
    fn add(&mut self, now_ns: u64) {
        self.pass(now_ns);
        self.replicas += 1;
    }

    fn remove(&mut self, now_ns: u64) {
        self.pass(now_ns);
        self.replicas -= 1;
    }

    fn pass(&mut self, now_ns: u64) {
        self.replica_ns += self.replicas * (now_ns - self.since_ns);
        self.since_ns = now_ns;
    }
}

impl World {
    /// Nothing runs and nothing has arrived yet.
    pub fn new(setup: Setup, arrivals: Arrivals, seed: Seed) -> Self {
        Self::begun_at(0, setup, arrivals, seed)
    }

    /// The arrivals begin at [`ORIGIN`], when `count` replicas of `service` have long been serving.
    pub fn running(
        setup: Setup,
        arrivals: Arrivals,
        seed: Seed,
        service: &str,
        count: u32,
    ) -> Self {
        let mut world = Self::begun_at(ORIGIN.as_ms() * MS, setup, arrivals, seed);
        (1..=count).for_each(|number| world.stand(ReplicaId::numbered(service, number.into())));
        world
    }

    fn begun_at(now_ns: u64, setup: Setup, mut arrivals: Arrivals, seed: Seed) -> Self {
        let next_arrival_ns = arrivals.next_ns().map_or(u64::MAX, |ns| now_ns + ns);
        Self {
            seed,
            now_ns,
            arrivals,
            arrivals_ns: now_ns,
            next_arrival_ns,
            work_chance: seed.stream(Purpose::ServiceTimes),
            work_factor: 1.0,
            fate: ReplicaEnd::Lives,
            replicas: Vec::new(),
            places: BTreeMap::new(),
            free: BTreeSet::new(),
            loads: Loads::new(),
            turn: 0,
            line: VecDeque::new(),
            done: BinaryHeap::new(),
            changes: BinaryHeap::new(),
            starts: 0,
            paid: Paid { since_ns: now_ns, ..Paid::default() },
            counters: Counters { epoch: 1, ..Counters::default() },
            exits: VecDeque::new(),
            latencies: Latencies::new(setup.limit_ms),
            turned_away: 0,
            shown: observe::Shown::new(setup.balanced),
            news: false,
            setup,
        }
    }

    /// Now, on the clock that contenders see.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.now_ns / MS)
    }

    /// The same in nanoseconds.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// When the load is over, in nanoseconds.
    pub fn end_ns(&self) -> u64 {
        self.arrivals_ns + self.arrivals.end_ns()
    }

    /// Replicas that get requests.
    pub fn serving(&self) -> u32 {
        self.loads.open()
    }

    /// Replicas that are paid for now.
    pub fn paid(&self) -> u32 {
        u32::try_from(self.paid.replicas).unwrap_or(u32::MAX)
    }

    /// From now on `per_s` requests come each second in equal gaps, for `span_ms`, with equal work:
    /// what chance there was is over.
    pub fn go_on_evenly(&mut self, per_s: f64, span_ms: u64) {
        self.setup.work.spread = service::Spread::Same;
        self.arrivals = Arrivals::of_rates(vec![per_s], span_ms, 0, self.seed);
        self.arrivals_ns = self.now_ns;
        self.next_arrival_ns = self.arrivals.next_ns().map_or(u64::MAX, |ns| self.now_ns + ns);
    }

    /// Replica-nanoseconds paid for so far: starting, ready, draining and stopping alike.
    pub fn replica_ns(&self) -> u64 {
        let Paid { replicas, since_ns, replica_ns } = self.paid;
        replica_ns + replicas * (self.now_ns - since_ns)
    }

    /// Requests so far.
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// Requests that were refused because [`Setup::waiting_max`] waited; 0 where none may wait.
    pub fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Requests that wait at the balancer.
    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    /// Whether every request that arrived has ended.
    pub fn is_idle(&self) -> bool {
        self.line.is_empty() && self.replicas.iter().all(|replica| replica.in_flight == 0)
    }

    /// Ends the run: the figures of all its requests.
    pub fn sum_up(self) -> Summary {
        self.latencies.sum_up()
    }

    pub(super) fn index_of(&self, id: &ReplicaId) -> Option<usize> {
        let place = *self.places.get(id)?;
        self.replicas[place].exists().then_some(place)
    }
}
