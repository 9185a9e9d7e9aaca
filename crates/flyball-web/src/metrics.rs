//! `GET /metrics`, for Prometheus. Labels are services' names, words of closed lists and the names
//! of replicas that are sick now, so their number is bounded. A figure that was not measured is
//! left out, never 0.

use std::fmt;

use flyball_core::rollout::RolloutState;
use flyball_core::sick::Cause;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::api::{LeaderStatus, NoticeKind, ReplicaState, Role, ServiceView};
use crate::counters::Spread;
use crate::daemon::{Daemon, History};
use crate::summary::states;

pub(crate) use prometheus_text::CONTENT_TYPE;

/// All metrics of `daemon` in the Prometheus text format; `readers` is the number of event clients.
pub(crate) fn exposition(daemon: &dyn Daemon, readers: usize) -> Result<String, fmt::Error> {
    let (views, leader, history) = (daemon.services(), daemon.leader(), daemon.history());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Snapshot { views, leader, history, readers }));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Snapshot {
    views: Vec<ServiceView>,
    leader: LeaderStatus,
    history: Option<History>,
    readers: usize,
}

/// A label of a sample besides the service, and its value.
type Part = Option<(&'static str, &'static str)>;

const STATES: [(ReplicaState, &str); 5] = [
    (ReplicaState::Starting, "starting"),
    (ReplicaState::Ready, "ready"),
    (ReplicaState::Draining, "draining"),
    (ReplicaState::Unhealthy, "unhealthy"),
    (ReplicaState::Stopping, "stopping"),
];

const ROLLOUTS: [(RolloutState, &str); 4] = [
    (RolloutState::Rolling, "rolling"),
    (RolloutState::Paused, "paused"),
    (RolloutState::Waiting, "waiting"),
    (RolloutState::Aborted, "aborted"),
];

const CAUSES: [(Cause, &str); 3] =
    [(Cause::Engine, "engine"), (Cause::Probe, "probe"), (Cause::Balancer, "balancer")];

const NOTICES: [(NoticeKind, &str); 14] = [
    (NoticeKind::Blind, "blind"),
    (NoticeKind::StartsHeld, "starts_held"),
    (NoticeKind::Sick, "sick"),
    (NoticeKind::NotReady, "not_ready"),
    (NoticeKind::Failing, "failing"),
    (NoticeKind::Futile, "futile"),
    (NoticeKind::ObjectiveMissed, "objective_missed"),
    (NoticeKind::RolloutAborted, "rollout_aborted"),
    (NoticeKind::Rollout, "rollout"),
    (NoticeKind::Trouble, "trouble"),
    (NoticeKind::AtMaximum, "at_maximum"),
    (NoticeKind::Paused, "paused"),
    (NoticeKind::Pinned, "pinned"),
    (NoticeKind::Held, "held"),
];

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.program(&mut encoder)?;
        self.replicas(&mut encoder)?;
        self.sick(&mut encoder)?;
        self.rollout(&mut encoder)?;
        self.load(&mut encoder)?;
        self.look(&mut encoder)
    }
}

impl Snapshot {
    fn program(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "The running version; always 1";
        let mut family =
            encoder.encode_descriptor("flyball_build_info", help, None, MetricType::Gauge)?;
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
        let help = "Clients connected to the event stream";
        let family =
            encoder.encode_descriptor("flyball_event_readers", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(self.readers).unwrap_or(i64::MAX)).encode(family)?;
        self.history(encoder)?;
        self.leader(encoder)
    }

    /// A standby has none.
    fn history(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(History { kept, lost }) = self.history else { return Ok(()) };
        let help = "1 while the journal is being written, 0 while it cannot be";
        let family =
            encoder.encode_descriptor("flyball_journal_up", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(kept)).encode(family)?;
        let help = "Records that could not be written since flyball started";
        let name = "flyball_journal_lost_records";
        let family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(lost).encode(family)
    }

    /// A standalone flyball has none.
    fn leader(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let is_leader = match self.leader.role {
            Role::Standalone => return Ok(()),
            Role::Leader => 1_i64,
            Role::Standby => 0,
        };
        let help = "1 while this flyball is the leader, 0 while it is on standby";
        let family = encoder.encode_descriptor("flyball_leader", help, None, MetricType::Gauge)?;
        ConstGauge::new(is_leader).encode(family)?;
        let Some(term) = self.leader.term else { return Ok(()) };
        let help = "The number of the leadership term, as far as this flyball knows";
        let family =
            encoder.encode_descriptor("flyball_leader_term", help, None, MetricType::Gauge)?;
        ConstGauge::new(term).encode(family)
    }

    fn replicas(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let of_state = |view: &ServiceView, state| {
            let count = view.replicas.iter().filter(|replica| replica.state == state).count();
            f64::from(u32::try_from(count).unwrap_or(u32::MAX))
        };
        self.gauges(encoder, "flyball_replicas", "Replicas by state", |view| {
            let sighted = view.decision.as_ref().is_some_and(|d| d.signals.engine_age_ms.is_some());
            let all = STATES.map(|(state, word)| (Some(("state", word)), of_state(view, state)));
            if sighted { all.to_vec() } else { Vec::new() }
        })?;
        self.gauges(encoder, "flyball_replicas_wanted", "Desired number of replicas", |view| {
            figure(view.decision.as_ref().map(|d| f64::from(d.desired)))
        })?;
        self.gauges(encoder, "flyball_replicas_min", "Minimum number of replicas", |view| {
            figure(Some(f64::from(view.bounds.min)))
        })?;
        self.gauges(encoder, "flyball_replicas_max", "Maximum number of replicas", |view| {
            figure(Some(f64::from(view.bounds.max)))
        })?;
        let help = "1 while a service sleeps, 0 while it is awake; absent where it never sleeps";
        self.gauges(encoder, "flyball_asleep", help, |view| {
            let decision = view.decision.as_ref().filter(|decision| decision.sleep.is_some());
            figure(decision.map(|decision| f64::from(u8::from(decision.is_asleep()))))
        })?;
        let help = "Mean CPU usage of ready replicas, as a share of their CPU limit";
        self.gauges(encoder, "flyball_cpu_ratio", help, |view| {
            figure(view.decision.as_ref().and_then(|d| d.signals.mean_cpu))
        })?;
        let help = "Total time that replicas existed since flyball started";
        self.counters(encoder, "flyball_replica_seconds", help, |view| {
            figure(Some(view.counters.replica_s))
        })?;
        let help = "Decisions that changed the count, by direction";
        self.counters(encoder, "flyball_scalings", help, |view| {
            vec![
                (Some(("direction", "out")), whole(view.counters.outs)),
                (Some(("direction", "in")), whole(view.counters.ins)),
            ]
        })
    }

    fn sick(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Replicas that became sick, by who reported it";
        self.counters(encoder, "flyball_sick", help, |view| {
            let count = |cause| view.counters.sick.get(&cause).copied().unwrap_or(0);
            CAUSES.map(|(cause, word)| (Some(("cause", word)), whole(count(cause)))).to_vec()
        })?;
        let help = "1 for each replica that is currently sick, with who reported it";
        let name = "flyball_replica_sick";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for view in &self.views {
            for sick in view.decision.iter().flat_map(|decision| &decision.sick) {
                let word = CAUSES.iter().find(|(cause, _)| *cause == sick.cause);
                let labels = [
                    ("service", view.name.as_str()),
                    ("replica", sick.replica.as_str()),
                    ("cause", word.map_or("", |(_, word)| word)),
                ];
                ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    /// None where the engine knows no generations.
    fn rollout(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "1 for the state that the rollout of a service is in, while there is one";
        self.gauges(encoder, "flyball_rollout_state", help, |view| {
            let now = view.rollout.as_ref().map(|rollout| rollout.state);
            let is = |state| f64::from(u8::from(now == Some(state)));
            let all = ROLLOUTS.map(|(state, word)| (Some(("state", word)), is(state)));
            if view.generations.is_empty() { Vec::new() } else { all.to_vec() }
        })?;
        let help = "Replicas by generation: the current one, or any other";
        self.gauges(encoder, "flyball_rollout_replicas", help, |view| {
            let count = |current: bool| {
                let of = view.generations.iter().filter(|of| of.current == current);
                f64::from(of.map(|of| of.replicas).sum::<u32>())
            };
            let all = [("new", true), ("old", false)]
                .map(|(word, current)| (Some(("generation", word)), count(current)));
            if view.generations.is_empty() { Vec::new() } else { all.to_vec() }
        })?;
        let help = "New replicas that failed in the rollout of a service, while there is one";
        self.gauges(encoder, "flyball_rollout_failed_replicas", help, |view| {
            figure(view.rollout.as_ref().map(|rollout| f64::from(rollout.failed)))
        })
    }

    fn load(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let balanced = |view: &ServiceView, of: fn(&flyball_core::signals::Signals) -> u32| {
            let seen = view.decision.as_ref().map(|d| &d.signals);
            figure(seen.filter(|s| s.balancer_age_ms.is_some()).map(|s| f64::from(of(s))))
        };
        self.counters(encoder, "flyball_requests", "Requests that arrived", |view| {
            figure(view.counters.arrivals.map(whole))
        })?;
        let help = "Failed requests, by cause: a replica (5xx, or it broke off the response), the \
                    balancer (no replica was free in time), or nobody (no replica accepted the \
                    connection)";
        self.counters(encoder, "flyball_requests_failed", help, |view| {
            let Some(failures) = view.counters.failures else { return Vec::new() };
            [
                ("replica", failures.by_replicas),
                ("balancer", failures.by_balancer),
                ("nobody", failures.unreachable),
            ]
            .map(|(word, count)| (Some(("by", word)), whole(count)))
            .to_vec()
        })?;
        let help = "Arrival rate that the latest decision used";
        self.gauges(encoder, "flyball_arrivals_per_second", help, |view| {
            figure(view.decision.as_ref().and_then(|d| d.signals.arrivals_per_s))
        })?;
        let help = "Requests waiting at the balancer";
        self.gauges(encoder, "flyball_requests_waiting", help, |v| balanced(v, |s| s.waiting))?;
        let help = "Requests waiting at flyball for a replica: at its proxy, or at the activator";
        self.gauges(encoder, "flyball_requests_held", help, |view| {
            figure(Some(f64::from(view.held.map_or(0, |held| held.requests))))
        })?;
        let help = "Requests in flight";
        self.gauges(encoder, "flyball_requests_in_flight", help, |v| balanced(v, |s| s.in_flight))?;
        let help = "Measured work of one request, in replica-seconds";
        self.gauges(encoder, "flyball_request_work_seconds", help, |view| {
            figure(view.decision.as_ref().and_then(|d| d.signals.work_s))
        })?;
        let help = "Request durations at the embedded balancer, including time in the queue";
        self.spreads(encoder, "flyball_request_duration_seconds", help, |view| {
            view.counters.latency.as_ref()
        })?;
        let help = "Requests and connections that the embedded balancer rejected, by reason";
        self.counters(encoder, "flyball_refusals", help, |view| {
            let all = view.counters.refusals.iter();
            all.map(|(reason, count)| (Some(("reason", *reason)), whole(*count))).collect()
        })?;
        let help = "Errors, by source: a failed request, a pass of the control loop without a \
                    reading from the engine or the balancer, a replica that ended unexpectedly, a \
                    decision not carried out because it violated an invariant";
        self.counters(encoder, "flyball_errors", help, |view| {
            let counters = &view.counters;
            let mut all: Vec<(Part, f64)> = [
                ("engine", counters.engine_silent),
                ("balancer", counters.balancer_silent),
                ("replica", counters.exits),
                ("decision", counters.refused),
            ]
            .map(|(word, count)| (Some(("source", word)), whole(count)))
            .to_vec();
            all.extend(counters.failed_requests.map(|n| (Some(("source", "request")), whole(n))));
            all
        })
    }

    fn look(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Duration of one pass of the control loop, from reading to issuing orders";
        self.spreads(encoder, "flyball_look_duration_seconds", help, |view| {
            Some(&view.counters.looks)
        })?;
        let help = "Time since the latest decision; it should stay close to the interval of the control loop";
        self.gauges(encoder, "flyball_decision_age_seconds", help, |view| {
            let age_ms = |wall_ms| view.now_wall_ms.saturating_sub(wall_ms).max(0).unsigned_abs();
            figure(view.decision.as_ref().map(|d| whole(age_ms(d.wall_ms)) / 1000.0))
        })?;
        let help =
            "Time from starting a replica to its first served request, as the policy uses it";
        self.gauges(encoder, "flyball_start_lag_seconds", help, |view| {
            figure(view.decision.as_ref().map(|d| whole(d.signals.start_lag_ms) / 1000.0))
        })?;
        let help = "1 for each kind of notice that currently applies";
        self.gauges(encoder, "flyball_notice", help, |view| {
            let now = states(view);
            let is = |kind| f64::from(u8::from(now.iter().any(|notice| notice.kind == kind)));
            NOTICES.map(|(kind, word)| (Some(("kind", word)), is(kind))).to_vec()
        })
    }

    fn gauges(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        of: impl Fn(&ServiceView) -> Vec<(Part, f64)>,
    ) -> fmt::Result {
        self.family(encoder, (name, help, MetricType::Gauge), of, |value, to| {
            ConstGauge::new(value).encode(to)
        })
    }

    fn counters(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        of: impl Fn(&ServiceView) -> Vec<(Part, f64)>,
    ) -> fmt::Result {
        self.family(encoder, (name, help, MetricType::Counter), of, |value, to| {
            ConstCounter::new(value).encode(to)
        })
    }

    fn family(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help, kind): (&str, &str, MetricType),
        of: impl Fn(&ServiceView) -> Vec<(Part, f64)>,
        write: impl Fn(f64, prometheus_client::encoding::MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, kind)?;
        for view in &self.views {
            for (part, value) in of(view) {
                let mut labels = vec![("service", view.name.as_str())];
                labels.extend(part);
                write(value, family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn spreads<'a>(
        &'a self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        of: impl Fn(&'a ServiceView) -> Option<&'a Spread>,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for view in &self.views {
            let Some(spread) = of(view) else { continue };
            let labels = [("service", view.name.as_str())];
            // The encoder adds the parts up, and writes the total as the one without an end.
            family.encode_family(&labels)?.encode_histogram::<[(&str, &str); 0]>(
                spread.sum,
                spread.total(),
                &spread.parts,
                None,
            )?;
        }
        Ok(())
    }
}

/// One sample, if there is one.
fn figure(value: Option<f64>) -> Vec<(Part, f64)> {
    value.map(|value| (None, value)).into_iter().collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn whole(count: u64) -> f64 {
    count as f64
}
