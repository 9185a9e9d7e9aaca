//! Which measurements of a look are reported to Zabbix, and how often. A loop never waits: when the
//! queue is full the look is not reported, which is counted and logged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flyball_config::Zabbix;
use flyball_core::observation::{CpuCounter, Phase, ReplicaReport};
use flyball_core::record::Sample;
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_zabbix::{Replica, Reporter, Value, ValueTimes};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{HostNames, api_settings, sender};
use crate::clock;
use crate::daemon::live::Live;
use crate::failure::Failure;

/// Looks that may wait to be read: a second of 250 services that look every 250 ms. Each is a
/// pointer to what the registry shows anyway.
const QUEUE_MAX: usize = 1_024;
/// What waits when flyball ends may take so long to get through.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// One look.
struct Looked {
    live: Arc<Live>,
    /// Its sample, if the journal has it.
    sample: Option<Sample>,
}

/// Where a loop hands its looks in.
#[derive(Clone)]
pub(crate) struct SampleSink {
    queue: mpsc::Sender<Looked>,
    lost: Arc<AtomicU64>,
}

impl SampleSink {
    /// Hands in a look that is worth zabbix; never waits.
    pub(crate) fn tell(&self, live: Arc<Live>, sample: Option<Sample>) {
        let known = live.decision.signals.engine_age_ms.is_some();
        if sample.is_none() && !(known && live.decision.is_change()) {
            return;
        }
        if self.queue.try_send(Looked { live, sample }).is_err()
            && self.lost.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!(
                "looks come faster than they can be reported to Zabbix: some are not \
                            reported"
            );
        }
    }
}

/// Everything that reports.
pub(crate) struct ZabbixExporter {
    sink: SampleSink,
    stop: watch::Sender<bool>,
    task: JoinHandle<Reporter>,
}

impl ZabbixExporter {
    /// Begins to report to the Zabbix of the configuration.
    pub(crate) fn start(zabbix: &Zabbix) -> Result<Self, Failure> {
        let mut reporter = Reporter::start(sender(zabbix)?, clock::wall_ms);
        if zabbix.replica_hosts {
            reporter = reporter.with_replica_hosts(api_settings(zabbix, None)?);
        }
        let (queue, looks) = mpsc::channel(QUEUE_MAX);
        let exporter = Exporter {
            names: HostNames::new(zabbix),
            interval_ms: zabbix.interval_ms,
            replica_hosts: zabbix.replica_hosts,
            moments: ValueTimes::default(),
            services: BTreeMap::new(),
        };
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(exporter.run(looks, reporter, stopped));
        Ok(Self { sink: SampleSink { queue, lost: Arc::default() }, stop, task })
    }

    pub(crate) fn sink(&self) -> SampleSink {
        self.sink.clone()
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
struct Exporter {
    names: HostNames,
    interval_ms: u64,
    /// Whether each replica has a host of its own, too.
    replica_hosts: bool,
    moments: ValueTimes,
    services: BTreeMap<String, ReportState>,
}

/// What was reported of one service.
struct ReportState {
    host: Arc<str>,
    /// When the replicas' CPU was last reported.
    cpu_at: Option<Timestamp>,
    replicas: BTreeMap<ReplicaId, Meter>,
}

/// What was reported of one replica.
struct Meter {
    /// The item's key, and the name of a host of its own: made once, since they are told again and
    /// again.
    key: Arc<str>,
    host: Arc<str>,
    /// The counter at the last time.
    read: Option<CpuCounter>,
}

impl Meter {
    /// CPU since the last time, in percent of the limit, so that a mean of these over any time is
    /// the mean CPU of that time; `None` at first, and where the counter is missing or began anew.
    fn percent(&mut self, replica: &ReplicaReport) -> Option<f64> {
        let now = replica.cpu?;
        let before = self.read.replace(now)?;
        let (span_ms, used_ns) =
            (now.at.ms_since(before.at), now.used_ns.checked_sub(before.used_ns)?);
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of CPU in an interval")]
        let cores = used_ns as f64 / (span_ms as f64 * 1e6);
        (span_ms > 0).then_some(cores / replica.cpu_limit_cores * 100.0)
    }
}

impl Exporter {
    /// Runs until it is stopped; returns the reporter, so that it can be closed.
    async fn run(
        mut self,
        mut looks: mpsc::Receiver<Looked>,
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

    fn tell(&mut self, seen: &Looked, reporter: &Reporter) {
        let (live, decision) = (&seen.live, &seen.live.decision);
        let service = &decision.service;
        if !self.services.contains_key(service) {
            let host = self.names.of(service);
            let told = ReportState { host, cpu_at: None, replicas: BTreeMap::new() };
            self.services.insert(service.clone(), told);
        }
        let Some(told) = self.services.get_mut(service) else { return };
        if told.follow(live, &self.names) {
            let mut replicas = Vec::new();
            for (id, meter) in &told.replicas {
                replicas.push(Replica { name: id.as_str(), host: &meter.host });
            }
            reporter.set_replicas(&told.host, &replicas);
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
            told.shares(live, self.replica_hosts, &mut self.moments, &mut values);
        }
        reporter.push(values);
    }
}

impl ReportState {
    /// Keeps in step with the replicas that there are; whether these are others than before. While
    /// the engine says nothing, the replicas are taken to be there still.
    fn follow(&mut self, live: &Live, names: &HostNames) -> bool {
        let Some(engine) = live.engine.as_ref() else { return false };
        let there = || engine.replicas.iter().filter(|r| r.phase != Phase::Stopping);
        let same = there().count() == self.replicas.len()
            && there().all(|replica| self.replicas.contains_key(&replica.id));
        if same && self.cpu_at.is_some() {
            return false;
        }
        let mut before = std::mem::take(&mut self.replicas);
        for ReplicaReport { id, .. } in there() {
            let key = || format!("flyball.cpu[{id}]").into();
            let new = || Meter { key: key(), host: names.of(id.as_str()), read: None };
            self.replicas.insert(id.clone(), before.remove(id).unwrap_or_else(new));
        }
        true
    }

    /// The CPU of each replica that serves and whose CPU is known here, which it is not while a new
    /// one warms up: those of which the mean is here, so that the one over there is of the same.
    fn shares(
        &mut self,
        live: &Live,
        replica_hosts: bool,
        moments: &mut ValueTimes,
        values: &mut Vec<Value>,
    ) {
        let own_key: Arc<str> = "flyball.cpu".into();
        for replica in live.engine.iter().flat_map(|engine| &engine.replicas) {
            let serves = replica.phase == Phase::Ready && !live.draining.contains(&replica.id);
            let Some(meter) = self.replicas.get_mut(&replica.id).filter(|_| serves) else {
                continue;
            };
            let known = live.shares.get(&replica.id).is_some_and(|(share, _)| share.is_some());
            let Some(percent) = meter.percent(replica).filter(|_| known) else { continue };
            let at = moments.at(live.decision.wall_ms);
            values.extend(Value::number(&self.host, Arc::clone(&meter.key), percent, at));
            if replica_hosts {
                values.extend(Value::number(&meter.host, Arc::clone(&own_key), percent, at));
            }
        }
    }
}

fn figures(host: &Arc<str>, sample: &Sample, moments: &mut ValueTimes) -> Vec<Value> {
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

#[cfg(test)]
mod cost;

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(at_ms: u64, used_ms: u64) -> ReplicaReport {
        let at = Timestamp::from_ms(at_ms);
        ReplicaReport {
            cpu: Some(CpuCounter { at, used_ns: used_ms * 1_000_000 }),
            cpu_limit_cores: 0.5,
            ..ReplicaReport::new(ReplicaId::new("web-1"), Phase::Ready, at)
        }
    }

    #[test]
    fn cpu_is_told_of_the_time_since_it_was_told_last() {
        let mut meter =
            Meter { key: "flyball.cpu[web-1]".into(), host: "web-1".into(), read: None };
        assert_eq!(meter.percent(&replica(1_000, 100)), None, "nothing to compare with");
        assert_eq!(meter.percent(&replica(3_000, 600)), Some(50.0));
        assert_eq!(meter.percent(&replica(3_000, 600)), None, "no time has passed");
        assert_eq!(meter.percent(&ReplicaReport { cpu: None, ..replica(4_000, 0) }), None);
        assert_eq!(meter.percent(&replica(5_000, 1_100)), Some(50.0), "over the gap");
        assert_eq!(meter.percent(&replica(6_000, 10)), None, "the counter began anew");
    }
}
