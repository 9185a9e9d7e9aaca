//! What one look saw, each part with its own time: raw counters as their sources gave them, so that
//! live, recorded and simulated looks are treated alike. A part that could not be read is
//! [`Reading::Missing`], never zero.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::generation::Generation;
use crate::rollout::RolloutOrder;
use crate::units::{ReplicaId, Timestamp};

/// All that one look at one service saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// When the look was made.
    pub at: Timestamp,
    /// The same moment as wall-clock time, in milliseconds since 1970-01-01 UTC. Only shown, never
    /// calculated with: this clock may be set back.
    pub wall_ms: i64,
    /// What the engine knows of its replicas.
    pub engine: Reading<EngineReport>,
    /// What the balancer counted; `None` where the service has no balancer.
    pub balancer: Option<Reading<BalancerReport>>,
    /// The manual override in force, set by a person or a program.
    pub manual: Option<Manual>,
    /// What another program that watches the service says; `None` where none is asked.
    #[serde(default)]
    pub advice: Option<Reading<Advice>>,
    /// Replicas that no longer pass the probe by which they became ready, again and again. Empty
    /// where nobody asks them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failing: BTreeMap<ReplicaId, ProbeFailure>,
    /// What an operator asked for about the service's generations.
    #[serde(default)]
    pub rollout: RolloutOrder,
}

impl Observation {
    /// What is seen of a service that has an engine and nothing else.
    pub fn new(at: Timestamp, engine: Reading<EngineReport>) -> Self {
        Self {
            at,
            wall_ms: 0,
            engine,
            balancer: None,
            manual: None,
            advice: None,
            failing: BTreeMap::new(),
            rollout: RolloutOrder::default(),
        }
    }
}

/// How a replica fails its probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeFailure {
    /// Whether it does not answer at all. One with too much to do may not, either: such a failure
    /// counts for nothing while the balancer sees it answer requests.
    pub silent: bool,
    /// What it did, as the end of a sentence: "`GET /` was answered with 500".
    pub why: String,
}

/// Whether a reply with `status` says that who sent it fails: a server error, but for the two that
/// blame the request (501, 505), which HAProxy's `observe layer7` leaves out, too.
pub const fn is_failure(status: u16) -> bool {
    status >= 500 && status != 501 && status != 505
}

/// What another program that watches the service asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// More replicas.
    More,
    /// Fewer replicas.
    Fewer,
    /// As many as there are.
    Keep,
}

/// A source of readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What runs replicas.
    Engine,
    /// What spreads requests.
    Balancer,
    /// CPU counters of replicas.
    Cpu,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "the engine",
            Self::Balancer => "the balancer",
            Self::Cpu => "cpu",
        })
    }
}

/// A value with the moment it was true, or the moment since which there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// The source said `value` at `at`.
    Taken {
        /// When the source said it.
        at: Timestamp,
        /// What it said.
        value: T,
    },
    /// The source has said nothing since `since`.
    Missing {
        /// When it last spoke, or when it was first asked.
        since: Timestamp,
        /// Why, in the source's words; empty if it just did not answer.
        why: String,
    },
}

impl<T> Reading<T> {
    /// The value, if there is one, however old.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Taken { value, .. } => Some(value),
            Self::Missing { .. } => None,
        }
    }

    /// The value if it is no older than `limit_ms` at `now`.
    pub fn fresh(&self, now: Timestamp, limit_ms: u64) -> Option<&T> {
        self.value().filter(|_| self.age_ms(now) <= limit_ms)
    }

    /// Milliseconds since the value was true, if there is one.
    pub(crate) fn value_age_ms(&self, now: Timestamp) -> Option<u64> {
        self.value().map(|_| self.age_ms(now))
    }

    /// Milliseconds since the value was true, or since there has been none.
    pub fn age_ms(&self, now: Timestamp) -> u64 {
        match self {
            Self::Taken { at, .. } => now.ms_since(*at),
            Self::Missing { since, .. } => now.ms_since(*since),
        }
    }
}

/// What an engine knows of one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineReport {
    /// Every replica that exists or is on its way, in the order of their names.
    pub replicas: Vec<ReplicaReport>,
    /// The latest exits that flyball did not ask for, oldest first, at most 20.
    pub exits: Vec<Exit>,
    /// What the engine is busy with of its own (a rollout, a deployment), while it is.
    pub busy: Option<String>,
    /// Why replicas that were asked for are not starting, while they are not.
    pub pending: Option<String>,
    /// What the owner of the service should know, apart from replicas that do not start: a sentence
    /// each, with what to do about it.
    #[serde(default)]
    pub notices: Vec<String>,
    /// The count that the engine keeps by itself; `None` where each replica is started and stopped
    /// by name.
    #[serde(default)]
    pub count: Option<EngineCount>,
    /// What the readiness check of each starting replica was last answered, as a sentence. Whoever
    /// looks fills it in; engines leave it empty.
    #[serde(default)]
    pub not_ready: BTreeMap<ReplicaId, String>,
    /// What a replica that starts now is made as; `None` where the engine does not know it (yet), or
    /// replaces replicas by itself.
    #[serde(default)]
    pub generation: Option<Generation>,
}

/// The count of an engine that starts and ends replicas itself until there are so many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineCount {
    /// The count that was last set in the engine, by anyone.
    pub wanted: u32,
    /// Who leaves when that is lowered.
    pub leaving: Leaving,
}

/// Who leaves when the count of an engine is lowered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// Whoever lowers the count names them.
    Chosen,
    /// The engine picks; so far as can be predicted these leave, first to go first.
    Predicted(Vec<ReplicaId>),
}

/// One replica as its engine sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// Its name.
    pub id: ReplicaId,
    /// How far it has come.
    pub phase: Phase,
    /// When it was asked for (for an adopted replica: when it was created).
    pub asked_at: Timestamp,
    /// When it first passed its readiness probe.
    pub ready_at: Option<Timestamp>,
    /// Where it serves; `None` until that is known.
    pub address: Option<SocketAddr>,
    /// CPU time it has used since it started; `None` while there is no reading.
    pub cpu: Option<CpuCounter>,
    /// How long its CPU limit has held it back; `None` while there is no reading, and where nothing
    /// limits it or nobody counts.
    #[serde(default)]
    pub throttled: Option<ThrottleCounter>,
    /// Cores it may use; always above 0.
    pub cpu_limit_cores: f64,
    /// Whether its owner forbids removing it.
    pub protected: bool,
    /// Whether it may be stopped all the same once its service sleeps: it stays there, and is
    /// started again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_sleep: bool,
    /// What it was made as; `None` where that is not known. Such a one is never replaced for it.
    #[serde(default)]
    pub generation: Option<Generation>,
}

impl ReplicaReport {
    /// A replica of which no more is known; it may use one core.
    pub fn new(id: ReplicaId, phase: Phase, asked_at: Timestamp) -> Self {
        Self {
            id,
            phase,
            asked_at,
            ready_at: None,
            address: None,
            cpu: None,
            throttled: None,
            cpu_limit_cores: 1.0,
            protected: false,
            may_sleep: false,
            generation: None,
        }
    }
}

/// How far a replica has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Asked for, not yet ready.
    Starting,
    /// Passed its readiness probe.
    Ready,
    /// It was ready and says itself that it cannot serve now; it may become ready again.
    Unhealthy,
    /// Told to stop, or leaving by itself; it still exists.
    Stopping,
}

/// A counter of CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuCounter {
    /// When it was read.
    pub at: Timestamp,
    /// CPU time used since the replica started, in nanoseconds, over all its cores and children.
    pub used_ns: u64,
}

/// A counter of the time in which a replica had work to do and was kept from it by its CPU limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrottleCounter {
    /// When it was read.
    pub at: Timestamp,
    /// Time held back since the replica started, in nanoseconds. The kernel adds up the time of
    /// each processor that waited, so this may grow faster than time passes.
    pub held_ns: u64,
}

/// A replica that ended without being asked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Which one.
    pub replica: ReplicaId,
    /// When it ended.
    pub at: Timestamp,
    /// How long it had been ready, in milliseconds; `None` if it never was.
    pub ready_ms: Option<u64>,
    /// Its exit status, signal or start error, with its last words where there are any.
    pub reason: String,
}

/// What a balancer counted for one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BalancerReport {
    /// Changes whenever the counters began again from zero.
    pub epoch: u64,
    /// Requests that arrived, ever.
    pub arrivals: u64,
    /// Requests that ended in an error made here or by a replica (5xx, broken connection), ever.
    pub errors: u64,
    /// Who made those errors, as far as the balancer tells them apart.
    #[serde(default)]
    pub failures: FailureCounts,
    /// Requests waiting for a replica to be free.
    pub waiting: u32,
    /// Servers that flyball put there, by replica.
    pub servers: BTreeMap<ReplicaId, ServerReport>,
    /// Times of the requests that ended lately; `None` when none did.
    pub latency: Option<LatencyReport>,
    /// Requests that were late by the objective of the service, ever; `None` where nobody counts
    /// them.
    #[serde(default)]
    pub late: Option<u64>,
    /// The requests that keep the service awake, where the balancer knows others, too; `None`:
    /// all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wakeful: Option<WakefulRequests>,
    /// What is wrong with the servers as a whole, such as a fault that all of them share; `None`
    /// where nothing is, and where the balancer does not tell.
    #[serde(default)]
    pub trouble: Option<String>,
}

/// Requests that keep the service awake and wake it: all but those of monitors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakefulRequests {
    /// Those that arrived, ever; a part of all arrivals.
    pub arrivals: u64,
    /// Those in flight now, at servers of any kind: also what is forwarded past the servers that
    /// flyball put there.
    pub in_flight: u32,
}

impl BalancerReport {
    /// Arrivals that keep the service awake, ever, and such requests in flight.
    pub(crate) fn wakeful(&self) -> (u64, u32) {
        let in_flight = || {
            let servers = self.servers.values();
            servers.fold(0, |sum: u32, server| sum.saturating_add(server.in_flight))
        };
        match self.wakeful {
            Some(WakefulRequests { arrivals, in_flight }) => (arrivals, in_flight),
            None => (self.arrivals, in_flight()),
        }
    }
}

/// Failed requests by who failed them, ever. What is in none of these is not told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureCounts {
    /// A replica answered 5xx, or broke its answer off.
    pub by_replicas: u64,
    /// The balancer refused: its queue was full, or no replica was free in time.
    pub by_balancer: u64,
    /// No replica was there, or none that accepts connections.
    pub unreachable: u64,
}

/// One server of a balancer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerReport {
    /// Whether it gets new requests.
    pub route: Route,
    /// Requests it is working on or holding in a queue of its own.
    pub in_flight: u32,
    /// Requests it has answered, ever.
    pub served: u64,
    /// When it answered its first one.
    pub first_served_at: Option<Timestamp>,
    /// What the balancer holds against it.
    #[serde(default)]
    pub health: ServerHealth,
}

/// What a balancer holds against a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerHealth {
    /// Nothing.
    #[default]
    Up,
    /// It fails: though it is routed it gets no requests, but for what shows whether it has
    /// recovered. It stays down until that has shown.
    Down {
        /// What it did, as the end of a sentence: "5 answers in a row were 500".
        why: String,
    },
}

/// Whether a server gets new requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// It gets new requests.
    Routed,
    /// It finishes the requests it has and gets no more.
    Draining,
}

/// Times of requests, from arrival at the balancer to the end of the answer, waiting included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyReport {
    /// The span these figures are taken over, in milliseconds.
    pub window_ms: u64,
    /// Requests that ended in it.
    pub count: u64,
    /// Half of them took no longer than this, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 took no longer than this, in milliseconds.
    pub p99_ms: f64,
}

/// A manual override.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manual {
    /// What.
    pub ask: Ask,
    /// When it expires; `None` only for the count of an `external` policy.
    pub until: Option<Timestamp>,
    /// Who asked, as told by the door it came through: "cli", "api", "dashboard".
    pub by: String,
}

/// What a manual override asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Keep this many.
    Pin(u32),
    /// Keep as many as there are.
    Pause,
}
