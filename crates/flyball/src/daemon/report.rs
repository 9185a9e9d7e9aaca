//! What the loops saw, on its way to Zabbix.
//!
//! Decides which figures of a look are reported and how often. Does not know how they get there.
//! Invariant: a loop hands in a pointer and goes on; when the queue is full the look is not
//! reported, and that is counted and said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flyball_config::Zabbix;
use flyball_core::observation::{Phase, ReplicaReport};
use flyball_core::record::Sample;
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_zabbix::{Moments, Reporter, Value, discovery};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::board::Live;
use super::zabbix::{HostNames, sender};
use crate::clock;
use crate::failure::Failure;

/// Looks that may wait to be read: a second of 250 services that look every 250 ms. Each is a
/// pointer to what the board shows anyway.
const QUEUE_MAX: usize = 1_024;
/// What waits when flyball ends may take so long to get through.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// One look.
struct Seen {
    live: Arc<Live>,
    /// Its sample, if the journal has it.
    sample: Option<Sample>,
}

/// Where a loop hands its looks in.
#[derive(Clone)]
pub(crate) struct Witness {
    queue: mpsc::Sender<Seen>,
    lost: Arc<AtomicU64>,
}

impl Witness {
    /// Hands in a look that is worth reporting; never waits.
    pub(crate) fn tell(&self, live: Arc<Live>, sample: Option<Sample>) {
        let known = live.decision.seen.engine_age_ms.is_some();
        if sample.is_none() && !(known && live.decision.is_change()) {
            return;
        }
        if self.queue.try_send(Seen { live, sample }).is_err()
            && self.lost.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!("looks come faster than they can be reported to Zabbix: some are not");
        }
    }
}

/// Everything that reports.
pub(crate) struct Reporting {
    witness: Witness,
    stop: watch::Sender<bool>,
    task: JoinHandle<Reporter>,
}

impl Reporting {
    /// Begins to report to the Zabbix of the configuration.
    pub(crate) fn start(zabbix: &Zabbix) -> Result<Self, Failure> {
        let reporter = Reporter::start(sender(zabbix)?, clock::wall_ms);
        let (queue, looks) = mpsc::channel(QUEUE_MAX);
        let scribe = Scribe {
            names: HostNames::new(zabbix),
            interval_ms: zabbix.interval_ms,
            moments: Moments::default(),
            services: BTreeMap::new(),
        };
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(scribe.run(looks, reporter, stopped));
        Ok(Self { witness: Witness { queue, lost: Arc::default() }, stop, task })
    }

    pub(crate) fn witness(&self) -> Witness {
        self.witness.clone()
    }

    /// Ends after the loops have; what waits is delivered if Zabbix is there.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        match self.task.await {
            Ok(reporter) => reporter.close(CLOSE_LIMIT).await,
            Err(error) => tracing::error!("reporting to Zabbix failed: {error}"),
        }
    }
}

/// Writes looks as values.
struct Scribe {
    names: HostNames,
    interval_ms: u64,
    moments: Moments,
    services: BTreeMap<String, Told>,
}

/// What was told of one service.
struct Told {
    host: Arc<str>,
    /// When each replica's CPU was told last.
    cpu_at: Option<Timestamp>,
    /// The item's key of each replica: made once, since they are told again and again.
    keys: BTreeMap<ReplicaId, Arc<str>>,
}

impl Scribe {
    /// Until told to stop; gives the reporter back, so that it can be closed.
    async fn run(
        mut self,
        mut looks: mpsc::Receiver<Seen>,
        reporter: Reporter,
        mut stop: watch::Receiver<bool>,
    ) -> Reporter {
        loop {
            let seen = tokio::select! {
                seen = looks.recv() => seen,
                _ = stop.changed() => break,
            };
            let Some(seen) = seen else { break };
            self.tell(&seen, &reporter);
        }
        while let Ok(seen) = looks.try_recv() {
            self.tell(&seen, &reporter);
        }
        reporter
    }

    fn tell(&mut self, seen: &Seen, reporter: &Reporter) {
        let (live, decision) = (&seen.live, &seen.live.decision);
        let service = &decision.service;
        if !self.services.contains_key(service) {
            let host = self.names.of(service);
            let told = Told { host, cpu_at: None, keys: BTreeMap::new() };
            self.services.insert(service.clone(), told);
        }
        let Some(told) = self.services.get_mut(service) else { return };
        let changed = told.follow(live);
        if let Some(keys) = changed {
            reporter.set_list(&told.host, keys);
        }
        let mut values = Vec::new();
        if let Some(sample) = &seen.sample {
            values.extend(figures(&told.host, sample, &mut self.moments));
        }
        if decision.is_change() {
            let at = self.moments.at(decision.wall_ms);
            values.push(Value::text(&told.host, "flyball.decision", &decision.to_string(), at));
        }
        let due = |at: Timestamp| decision.at.ms_since(at) >= self.interval_ms;
        if seen.sample.is_some() && told.cpu_at.is_none_or(due) {
            told.cpu_at = Some(decision.at);
            values.extend(told.shares(live, &mut self.moments));
        }
        reporter.push(values);
    }
}

impl Told {
    /// Keeps in step with the replicas that there are; their list, if it is another one. While the
    /// engine says nothing, the replicas are taken to be there still.
    fn follow(&mut self, live: &Live) -> Option<String> {
        let engine = live.engine.as_ref()?;
        let there = || engine.replicas.iter().filter(|r| r.phase != Phase::Stopping);
        let same = there().count() == self.keys.len()
            && there().all(|replica| self.keys.contains_key(&replica.id));
        if same && self.cpu_at.is_some() {
            return None;
        }
        let before = std::mem::take(&mut self.keys);
        for replica in there() {
            let key = before.get(&replica.id).cloned();
            let key = key.unwrap_or_else(|| format!("flyball.cpu[{}]", replica.id).into());
            self.keys.insert(replica.id.clone(), key);
        }
        let names: Vec<&str> = self.keys.keys().map(ReplicaId::as_str).collect();
        Some(discovery(&names))
    }

    /// The CPU of each replica that serves, in percent of its limit: those of which the mean is
    /// here, so that the one over there is of the same. One without a reading has no value.
    fn shares(&self, live: &Live, moments: &mut Moments) -> Vec<Value> {
        let serves = |r: &&ReplicaReport| r.phase == Phase::Ready && !live.draining.contains(&r.id);
        let value = |replica: &ReplicaReport| {
            let (key, (busy, _)) = (self.keys.get(&replica.id)?, live.shares.get(&replica.id)?);
            let at = moments.at(live.decision.wall_ms);
            Value::number(&self.host, Arc::clone(key), (*busy)? * 100.0, at)
        };
        let replicas = live.engine.iter().flat_map(|engine| &engine.replicas);
        replicas.filter(serves).filter_map(value).collect()
    }
}

fn figures(host: &Arc<str>, sample: &Sample, moments: &mut Moments) -> Vec<Value> {
    let mut at = || moments.at(sample.wall_ms);
    let mut values = vec![Value::count(host, "flyball.wanted", sample.desired.into(), at())];
    if let Some(ready) = sample.ready {
        values.push(Value::count(host, "flyball.running", ready.into(), at()));
    }
    if let Some(mean) = sample.mean_cpu {
        values.extend(Value::number(host, "flyball.cpu.seen", mean * 100.0, at()));
    }
    values
}
