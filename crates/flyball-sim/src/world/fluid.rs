//! Requests as a fluid: weeks in seconds. Every serving replica gets the same share; what one
//! request meets is not followed, so there are no latencies, only waits. Between two looks nothing
//! changes but the load, so time passes in pieces of one rate each.

mod observe;

use std::collections::BTreeSet;

use flyball_core::observation::Route;
use flyball_core::plan::Step;
use flyball_core::units::{ReplicaId, Timestamp, seconds};

use super::backlog::{Backlog, Flow};
use super::requests::arrivals::MS;
use super::requests::service::Times;
use super::{ORIGIN, Physics};
use crate::score::{ScoreSpan, ScoreTotals};
use crate::seed::{Purpose, Seed};
use crate::trace::Trace;

/// A world in which requests are a fluid.
#[derive(Debug)]
pub struct Fluid<'a> {
    physics: Physics,
    lags: StartLags,
    trace: &'a Trace,
    demand: &'a [u32],
    /// Since the trace began.
    now_ms: u64,
    /// In the order of their names.
    replicas: Vec<Replica>,
    /// Some of them were told to stop.
    any_stopped: bool,
    backlog: Backlog,
    arrived: f64,
    unserved: f64,
    /// Times at which something ends that a daemon is woken by.
    wakes: BTreeSet<u64>,
    shown: observe::Shown,
    ledger: ScoreTotals,
    supply: Vec<Supply>,
}

/// How long starts take, one after another.
#[derive(Debug)]
struct StartLags {
    times: Times,
    seed: Seed,
    starts: u32,
}

impl StartLags {
    fn next_ms(&mut self) -> u64 {
        self.starts += 1;
        let lag_ns = self.times.draw_ns(&mut self.seed.lane(Purpose::StartLags, self.starts - 1));
        lag_ns.saturating_add(MS / 2) / MS
    }
}

#[derive(Debug)]
struct Replica {
    id: ReplicaId,
    asked_at: Timestamp,
    ready_at: Timestamp,
    route: Option<Route>,
    drained_at: Option<Timestamp>,
    first_served_at: Option<Timestamp>,
    used_ns: f64,
    served: f64,
    /// It was told to stop, and is swept out before time passes or a look is made.
    stopped: bool,
}

/// Replicas at the end of one step of the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supply {
    /// Replicas that serve.
    pub serving: u32,
    /// Replicas that are paid for.
    pub paid: u32,
}

impl<'a> Fluid<'a> {
    /// A world at the beginning of `trace`, with `first` replicas of `service` that serve already.
    /// `demand` is the least count that would do, for each step of the trace.
    pub fn new(
        physics: Physics,
        trace: &'a Trace,
        demand: &'a [u32],
        service: &str,
        first: u32,
        seed: Seed,
    ) -> Self {
        let old = |number| Replica {
            id: ReplicaId::numbered(service, u64::from(number)),
            asked_at: Timestamp::from_ms(0),
            ready_at: Timestamp::from_ms(physics.start_lag_ms.min(ORIGIN.as_ms() / 2)),
            route: Some(Route::Routed),
            drained_at: None,
            first_served_at: Some(Timestamp::from_ms(ORIGIN.as_ms() / 2)),
            used_ns: 0.0,
            served: 0.0,
            stopped: false,
        };
        Self {
            physics,
            lags: StartLags { times: physics.start_lags(), seed, starts: 0 },
            trace,
            demand,
            now_ms: 0,
            replicas: (1..=first).map(old).collect(),
            any_stopped: false,
            backlog: Backlog::default(),
            arrived: 0.0,
            unserved: 0.0,
            wakes: BTreeSet::new(),
            shown: observe::Shown::default(),
            ledger: ScoreTotals::default(),
            supply: Vec::with_capacity(trace.values.len()),
        }
    }

    /// Milliseconds since the trace began.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The same moment on the clock that contenders see.
    pub fn now(&self) -> Timestamp {
        ORIGIN.plus_ms(self.now_ms)
    }

    /// The next moment at which a start or a drain ends, which wakes a daemon; it may be now.
    pub fn next_wake_ms(&self) -> Option<u64> {
        self.wakes.first().copied()
    }

    /// The mean load of the last whole step, once there was one.
    pub fn last_load(&self) -> Option<f64> {
        let step = self.step_at(self.now_ms);
        self.trace.values.get(step.checked_sub(1)?).copied()
    }

    /// What happened so far, and the supply in each step.
    pub fn into_records(self) -> (ScoreTotals, Vec<Supply>) {
        (self.ledger, self.supply)
    }

    /// The ledger, to note decisions in.
    pub fn ledger(&mut self) -> &mut ScoreTotals {
        &mut self.ledger
    }

    /// Requests waiting.
    pub fn waiting(&self) -> f64 {
        self.backlog.waiting()
    }

    /// The trace's step at `at_ms`; after the end the load stays as it was last.
    fn step_at(&self, at_ms: u64) -> usize {
        let step = usize::try_from(at_ms / self.trace.step_ms).unwrap_or(usize::MAX);
        step.min(self.trace.values.len())
    }

    /// Lets time pass until `to_ms`. After the trace's end its last load goes on, unscored.
    pub fn pass_to(&mut self, to_ms: u64) {
        self.sweep();
        while self.now_ms < to_ms {
            let step = self.step_at(self.now_ms);
            let scored = step < self.trace.values.len();
            let last = self.trace.values.len() - 1;
            let step_end_ms = match scored {
                true => (step as u64 + 1) * self.trace.step_ms,
                false => to_ms,
            };
            let load = self.trace.values[step.min(last)];
            let demand = self.demand[step.min(last)];
            let end_ms = step_end_ms.min(to_ms);
            let mut piece = self.flow(load, end_ms - self.now_ms);
            self.now_ms = end_ms;
            if scored {
                piece.demand = demand;
                self.ledger.add(&piece);
            }
            if scored && end_ms == step_end_ms {
                self.ledger.end_step(demand, piece.serving);
                let paid = u32::try_from(self.replicas.len()).unwrap_or(u32::MAX);
                self.supply.push(Supply { serving: piece.serving, paid });
            }
        }
        while self.wakes.first().is_some_and(|wake| *wake <= self.now_ms) {
            self.wakes.pop_first();
        }
    }

    /// One piece of time at one load.
    fn flow(&mut self, load: f64, span_ms: u64) -> ScoreSpan {
        let now = self.now();
        let physics = self.physics;
        let serving = self.replicas.iter().filter(|r| r.serves()).count();
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 replicas")]
        let count = serving as f64;
        let flow = Flow { arrivals: load, capacity: physics.replica_capacity * count };
        let limit_s = seconds(physics.wait_limit_ms);
        let piece = self.backlog.pass(flow, seconds(span_ms), physics.overload, limit_s);
        self.arrived += piece.arrived;
        self.unserved += piece.unserved;
        if piece.served > 0.0 {
            let served = piece.served / count;
            let used_ns = served / physics.replica_capacity * 1e9;
            for replica in self.replicas.iter_mut().filter(|r| r.serves()) {
                replica.served += served;
                replica.used_ns += used_ns;
                replica.first_served_at.get_or_insert(now);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 replicas")]
        let paid_s = self.replicas.len() as f64 * seconds(span_ms);
        ScoreSpan { serving: u32::try_from(serving).unwrap_or(u32::MAX), paid_s, ..piece }
    }

    /// Carries out one step of a plan.
    pub fn carry_out(&mut self, step: &Step) {
        let now = self.now();
        match step {
            Step::Start { replica, .. } => self.start(replica.clone()),
            Step::Route { replica, .. } => {
                self.shown.outdated = true;
                if let Some(replica) = self.find(replica) {
                    replica.route = Some(Route::Routed);
                    replica.drained_at = None;
                }
            }
            Step::Drain { replica } => {
                let drained_at = now.plus_ms(self.physics.drain_ms.max(1));
                self.shown.outdated = true;
                if let Some(replica) = self.find(replica) {
                    replica.route = Some(Route::Draining);
                    replica.drained_at = Some(drained_at);
                    self.wakes.insert(drained_at.ms_since(ORIGIN));
                }
            }
            Step::Stop { replica, .. } => {
                self.shown.outdated = true;
                if let Some(replica) = self.find(replica) {
                    replica.stopped = true;
                    self.any_stopped = true;
                }
            }
            // No engine of this world keeps a count of its own.
            Step::Scale { .. } => {}
        }
    }

    fn find(&mut self, id: &ReplicaId) -> Option<&mut Replica> {
        let place = self.replicas.binary_search_by(|r| r.id.cmp(id)).ok()?;
        self.replicas.get_mut(place).filter(|r| !r.stopped)
    }

    /// Takes out, at once, those that were told to stop since the last time.
    fn sweep(&mut self) {
        if std::mem::take(&mut self.any_stopped) {
            self.replicas.retain(|r| !r.stopped);
        }
    }

    fn start(&mut self, id: ReplicaId) {
        let ready_at = self.now().plus_ms(self.lags.next_ms());
        self.wakes.insert(ready_at.ms_since(ORIGIN));
        self.shown.outdated = true;
        let replica = Replica {
            id,
            asked_at: self.now(),
            ready_at,
            route: None,
            drained_at: None,
            first_served_at: None,
            used_ns: 0.0,
            served: 0.0,
            stopped: false,
        };
        // A new one has the highest number, so this is the end of the list.
        let place = self.replicas.partition_point(|r| r.id < replica.id);
        self.replicas.insert(place, replica);
    }
}

impl Replica {
    fn serves(&self) -> bool {
        self.route == Some(Route::Routed)
    }
}
