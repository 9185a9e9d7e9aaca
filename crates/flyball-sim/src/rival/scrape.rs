//! CPU usage of replicas as a metrics pipeline outside flyball has it: scraped every 15 s or so, at
//! times of its own. A replica has no share before its second scrape; 0 is a share like any other.

use std::collections::{BTreeMap, VecDeque};

use flyball_core::observation::{CpuCounter, EngineReport, Observation, Phase, Route};
use flyball_core::units::{ReplicaId, Timestamp, seconds};

/// A replica's CPU between two scrapes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    /// The later scrape.
    pub(super) at: Timestamp,
    /// The time between both, in milliseconds.
    pub(super) window_ms: u64,
    /// The mean share of the replica's CPU limit.
    pub(super) share: f64,
    /// CPU time used, in core-seconds.
    pub(super) used_s: f64,
}

/// The latest scrape of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct Scrape {
    counters: BTreeMap<ReplicaId, CpuCounter>,
    shares: BTreeMap<ReplicaId, Share>,
}

impl Scrape {
    /// Reads every counter once. A counter that went backwards gives no share.
    pub(super) fn take(&mut self, engine: &EngineReport) {
        let mut counters = BTreeMap::new();
        let mut shares = BTreeMap::new();
        for replica in engine.replicas.iter().filter(|r| r.phase != Phase::Stopping) {
            let Some(now) = replica.cpu else { continue };
            if let Some(share) = self
                .counters
                .get(&replica.id)
                .and_then(|before| between(*before, now, replica.cpu_limit_cores))
            {
                shares.insert(replica.id.clone(), share);
            }
            counters.insert(replica.id.clone(), now);
        }
        self.counters = counters;
        self.shares = shares;
    }

    /// The share of `replica`; `None` before its second scrape.
    pub(super) fn share(&self, replica: &ReplicaId) -> Option<Share> {
        self.shares.get(replica).copied()
    }

    /// The shares of the ready replicas that take requests, in the order of their names.
    pub(super) fn serving(&self, seen: &Observation) -> Vec<f64> {
        let ids = serving(seen);
        ids.filter_map(|id| self.share(id)).map(|share| share.share).collect()
    }

    /// CPU time that all replicas used between the last two scrapes, in core-seconds.
    pub(super) fn used_s(&self) -> f64 {
        self.shares.values().map(|share| share.used_s).sum()
    }
}

fn between(before: CpuCounter, now: CpuCounter, limit_cores: f64) -> Option<Share> {
    let window_ms = now.at.ms_since(before.at);
    let used_ns = now.used_ns.checked_sub(before.used_ns)?;
    #[expect(clippy::cast_precision_loss, reason = "2^52 ns are 52 days of one core")]
    let used_s = used_ns as f64 / 1e9;
    let share = used_s / seconds(window_ms) / limit_cores;
    (window_ms > 0).then_some(Share { at: now.at, window_ms, share, used_s })
}

/// Whether a replica is being drained.
fn drains(seen: &Observation, id: &ReplicaId) -> bool {
    let report = seen.balancer.as_ref().and_then(|b| b.value());
    report.and_then(|b| b.servers.get(id)).is_some_and(|s| s.route == Route::Draining)
}

/// The replicas that are ready and take requests.
pub(super) fn serving(seen: &Observation) -> impl Iterator<Item = &ReplicaId> {
    let replicas = seen.engine.value().into_iter().flat_map(|engine| &engine.replicas);
    replicas.filter(|r| r.phase == Phase::Ready && !drains(seen, &r.id)).map(|r| &r.id)
}

/// How many replicas are ready and take requests.
pub(super) fn ready(seen: &Observation) -> u32 {
    u32::try_from(serving(seen).count()).unwrap_or(u32::MAX)
}

/// How many replicas were last asked for: those that serve and those on their way.
pub(super) fn asked(seen: &Observation) -> u32 {
    let replicas = seen.engine.value().into_iter().flat_map(|engine| &engine.replicas);
    let starting = replicas.filter(|r| r.phase == Phase::Starting).count();
    ready(seen).saturating_add(u32::try_from(starting).unwrap_or(u32::MAX))
}

/// The mean of `values`; `None` of none.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 replicas")]
    let count = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count)
}

/// Says when a rival acts: every so often, by a clock of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticker {
    period_ms: u64,
    next: Option<Timestamp>,
}

impl Ticker {
    /// Due at the first look, then every `period_ms`.
    pub(super) fn every(period_ms: u64) -> Self {
        Self { period_ms, next: None }
    }

    /// Whether it is due at `now`; looks that come late do not shift the later times, and what was
    /// missed altogether is not made up for.
    pub(super) fn ticks(&mut self, now: Timestamp) -> bool {
        let next = *self.next.get_or_insert(now);
        if now < next {
            return false;
        }
        let missed = now.ms_since(next) / self.period_ms;
        self.next = Some(next.plus_ms((missed + 1) * self.period_ms));
        true
    }

    /// Time from `now` to the next time that it is due, in milliseconds.
    pub(super) fn due_ms(&self, now: Timestamp) -> u64 {
        self.next.map_or(0, |next| next.ms_since(now))
    }
}

/// The latest values, each with its time, no older than a window.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent<T> {
    values: VecDeque<(Timestamp, T)>,
}

impl<T: Copy> Recent<T> {
    /// Adds `value` at `now` and forgets what is older than `window_ms`.
    pub(super) fn push(&mut self, now: Timestamp, value: T, window_ms: u64) {
        self.values.push_back((now, value));
        while self.values.front().is_some_and(|(at, _)| now.ms_since(*at) > window_ms) {
            self.values.pop_front();
        }
    }

    /// Those younger than `window_ms` at `now`, oldest first.
    pub(super) fn younger(&self, now: Timestamp, window_ms: u64) -> impl Iterator<Item = T> {
        let young = move |at: &Timestamp| now.ms_since(*at) < window_ms;
        self.values.iter().filter(move |(at, _)| young(at)).map(|(_, value)| *value)
    }

    /// All that are kept, oldest first.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = T> {
        self.values.iter().map(|(_, value)| *value)
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
