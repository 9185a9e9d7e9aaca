//! `GET /metrics`: what Prometheus is told.
//!
//! Decides names, units and labels. Knows no route. Invariant: labels are the services' names, words of
//! closed lists and the names of replicas that are sick now, so their number is bounded; a figure that
//! was not measured is left out, never 0.

use std::fmt;

use flyball_core::health::Cause;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::counters::Spread;
use crate::daemon::{Daemon, History};
use crate::office::{OfficeView, Role};
use crate::view::{NoticeKind, ReplicaState, ServiceView};
use crate::words::states;

pub(crate) use prometheus_text::CONTENT_TYPE;

/// Everything that `daemon` knows, in the text format of Prometheus; `readers` follow the events.
pub(crate) fn exposition(daemon: &dyn Daemon, readers: usize) -> Result<String, fmt::Error> {
    let (views, office, history) = (daemon.services(), daemon.office(), daemon.history());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Snapshot { views, office, history, readers }));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Snapshot {
    views: Vec<ServiceView>,
    office: OfficeView,
    history: Option<History>,
    readers: usize,
}

/// What a family's samples tell apart besides the service: a label and its words.
type Part = Option<(&'static str, &'static str)>;

const STATES: [(ReplicaState, &str); 5] = [
    (ReplicaState::Starting, "starting"),
    (ReplicaState::Ready, "ready"),
    (ReplicaState::Draining, "draining"),
    (ReplicaState::Unhealthy, "unhealthy"),
    (ReplicaState::Stopping, "stopping"),
];

const CAUSES: [(Cause, &str); 3] =
    [(Cause::Engine, "engine"), (Cause::Probe, "probe"), (Cause::Balancer, "balancer")];

const NOTICES: [(NoticeKind, &str); 11] = [
    (NoticeKind::Blind, "blind"),
    (NoticeKind::StartsHeld, "starts_held"),
    (NoticeKind::Sick, "sick"),
    (NoticeKind::NotReady, "not_ready"),
    (NoticeKind::Failing, "failing"),
    (NoticeKind::Futile, "futile"),
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
        self.load(&mut encoder)?;
        self.look(&mut encoder)
    }
}

impl Snapshot {
    fn program(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "The running version, always 1";
        let mut family =
            encoder.encode_descriptor("flyball_build_info", help, None, MetricType::Gauge)?;
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
        let help = "Clients that follow the event stream";
        let family =
            encoder.encode_descriptor("flyball_event_readers", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(self.readers).unwrap_or(i64::MAX)).encode(family)?;
        self.history(encoder)?;
        self.office(encoder)
    }

    /// Nothing of one that stands by.
    fn history(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(History { kept, lost }) = self.history else { return Ok(()) };
        let help = "1 while history is kept, 0 while the journal cannot be written";
        let family =
            encoder.encode_descriptor("flyball_journal_up", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(kept)).encode(family)?;
        let help = "Records that could not be kept since flyball began";
        let name = "flyball_journal_lost_records";
        let family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(lost).encode(family)
    }

    /// Nothing of the only one: it always acts.
    fn office(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let acts = match self.office.role {
            Role::Alone => return Ok(()),
            Role::Acts => 1_i64,
            Role::StandsBy => 0,
        };
        let help = "1 while this one of several flyballs acts, 0 while it stands by";
        let family = encoder.encode_descriptor("flyball_acts", help, None, MetricType::Gauge)?;
        ConstGauge::new(acts).encode(family)?;
        let Some(term) = self.office.term else { return Ok(()) };
        let help = "The number of the term of whichever flyball acts, as far as this one knows";
        let family = encoder.encode_descriptor("flyball_term", help, None, MetricType::Gauge)?;
        ConstGauge::new(term).encode(family)
    }

    fn replicas(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let of_state = |view: &ServiceView, state| {
            let count = view.replicas.iter().filter(|replica| replica.state == state).count();
            f64::from(u32::try_from(count).unwrap_or(u32::MAX))
        };
        self.gauges(encoder, "flyball_replicas", "Replicas by what they are doing", |view| {
            let sighted = view.decision.as_ref().is_some_and(|d| d.seen.engine_age_ms.is_some());
            let all = STATES.map(|(state, word)| (Some(("state", word)), of_state(view, state)));
            if sighted { all.to_vec() } else { Vec::new() }
        })?;
        self.gauges(encoder, "flyball_replicas_wanted", "Replicas that there should be", |view| {
            figure(view.decision.as_ref().map(|d| f64::from(d.desired)))
        })?;
        self.gauges(encoder, "flyball_replicas_min", "The floor of the count", |view| {
            figure(Some(f64::from(view.bounds.min)))
        })?;
        self.gauges(encoder, "flyball_replicas_max", "The ceiling of the count", |view| {
            figure(Some(f64::from(view.bounds.max)))
        })?;
        let help = "Mean share of its CPU limit that a ready replica used";
        self.gauges(encoder, "flyball_cpu_ratio", help, |view| {
            figure(view.decision.as_ref().and_then(|d| d.seen.mean_cpu))
        })?;
        let help = "Time that replicas existed, summed over them, since flyball began";
        self.counters(encoder, "flyball_replica_seconds", help, |view| {
            figure(Some(view.counters.replica_s))
        })?;
        let help = "Decisions that moved the count, by direction";
        self.counters(encoder, "flyball_scalings", help, |view| {
            vec![
                (Some(("direction", "out")), whole(view.counters.outs)),
                (Some(("direction", "in")), whole(view.counters.ins)),
            ]
        })
    }

    fn sick(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Replicas that fell sick, by who said so";
        self.counters(encoder, "flyball_sick", help, |view| {
            let count = |cause| view.counters.sick.get(&cause).copied().unwrap_or(0);
            CAUSES.map(|(cause, word)| (Some(("cause", word)), whole(count(cause)))).to_vec()
        })?;
        let help = "1 for each replica that is sick now, with who says so";
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

    fn load(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let balanced = |view: &ServiceView, of: fn(&flyball_core::seen::Seen) -> u32| {
            let seen = view.decision.as_ref().map(|d| &d.seen);
            figure(seen.filter(|s| s.balancer_age_ms.is_some()).map(|s| f64::from(of(s))))
        };
        self.counters(encoder, "flyball_requests", "Requests that arrived", |view| {
            figure(view.counters.arrivals.map(whole))
        })?;
        let help = "Requests that failed, by who failed them: a replica (5xx, or broken off), the \
                    balancer (no replica was free in time), or nobody (none took the connection)";
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
        let help = "Arrivals that the latest decision went by";
        self.gauges(encoder, "flyball_arrivals_per_second", help, |view| {
            figure(view.decision.as_ref().and_then(|d| d.seen.arrivals_per_s))
        })?;
        let help = "Requests waiting at the balancer";
        self.gauges(encoder, "flyball_requests_waiting", help, |v| balanced(v, |s| s.waiting))?;
        let help = "Requests being worked on";
        self.gauges(encoder, "flyball_requests_in_flight", help, |v| balanced(v, |s| s.in_flight))?;
        let help = "What one request costs, in replica-seconds, as measured";
        self.gauges(encoder, "flyball_request_work_seconds", help, |view| {
            figure(view.decision.as_ref().and_then(|d| d.seen.work_s))
        })?;
        let help = "Request times at the embedded balancer, waiting included";
        self.spreads(encoder, "flyball_request_duration_seconds", help, |view| {
            view.counters.latency.as_ref()
        })?;
        let help = "Requests and connections that the embedded balancer answered itself, by reason";
        self.counters(encoder, "flyball_refusals", help, |view| {
            let all = view.counters.refusals.iter();
            all.map(|(reason, count)| (Some(("reason", *reason)), whole(*count))).collect()
        })?;
        let help = "What went wrong, by where: a failed request, a look without a word from the \
                    engine or the balancer, a replica that ended by itself, a decision not \
                    carried out because it broke an invariant";
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
        let help = "How long a look took, from reading to giving out the orders";
        self.spreads(encoder, "flyball_look_duration_seconds", help, |view| {
            Some(&view.counters.looks)
        })?;
        let help = "Time since the latest decision; it should stay near the look interval";
        self.gauges(encoder, "flyball_decision_age_seconds", help, |view| {
            let age_ms = |wall_ms| view.now_wall_ms.saturating_sub(wall_ms).max(0).unsigned_abs();
            figure(view.decision.as_ref().map(|d| whole(age_ms(d.wall_ms)) / 1000.0))
        })?;
        let help = "Time from asking for a replica to its first served request, as used";
        self.gauges(encoder, "flyball_start_lag_seconds", help, |view| {
            figure(view.decision.as_ref().map(|d| whole(d.seen.start_lag_ms) / 1000.0))
        })?;
        let help = "States that must not be missed: 1 while it is so";
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
