//! One start: decided, started by Docker, ready, routed, serving. Put together from flyball's log,
//! Docker's own events and the load's answers, all on one clock: each moment is taken where it
//! happens, and none is derived from another.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::figures::Times;
use crate::pulse::Pulse;
use crate::stage::Stage;
use crate::support::{Daemon, flyball, until};

/// One replica's moments.
pub(crate) struct Course {
    begun: Timestamp,
    decided: Timestamp,
    started: Timestamp,
    ready: Timestamp,
    routed: Timestamp,
    served: Timestamp,
}

type Span = (&'static str, fn(&Course) -> (Timestamp, Timestamp));

/// The parts one after another, then all of it, then from Docker's event on.
pub(crate) const SPANS: [Span; 7] = [
    ("detect", |c| (c.begun, c.decided)),
    ("start", |c| (c.decided, c.started)),
    ("ready", |c| (c.started, c.ready)),
    ("route", |c| (c.ready, c.routed)),
    ("first served", |c| (c.routed, c.served)),
    ("total", |c| (c.begun, c.served)),
    ("event to served", |c| (c.started, c.served)),
];

impl Course {
    /// Waits for the first answer of the next replica that has none so far.
    pub(crate) fn follow(
        begun: Timestamp,
        known: &[String],
        pulse: &Pulse,
        sources: (&Daemon, &Events),
    ) -> Self {
        let replica = until("an answer of a new container", || {
            pulse.known().into_iter().find(|replica| !known.contains(replica))
        });
        let (daemon, events) = sources;
        let log = daemon.log();
        let logged_at = |words: String| {
            let line = log.lines().find(|line| line.contains(&words));
            let time = line.and_then(|line| line.split_whitespace().next());
            let time = time.unwrap_or_else(|| panic!("the log does not contain `{words}`: {log}"));
            time.parse::<Timestamp>().unwrap()
        };
        Self {
            begun,
            decided: logged_at(format!(" start {replica} ")),
            started: until("the start event", || events.of(&replica)),
            ready: logged_at(format!(" {replica} is ready")),
            routed: logged_at(format!(" route {replica} at ")),
            served: pulse.first(&replica).unwrap(),
        }
    }
}

/// The times of each span over all `courses`.
pub(crate) fn spans(courses: &[Course]) -> Vec<(&'static str, Times)> {
    let ms = |(from, to): (Timestamp, Timestamp)| to.duration_since(from).as_secs_f64() * 1e3;
    let times = |span: fn(&Course) -> _| Times::of(courses.iter().map(|course| ms(span(course))));
    SPANS.map(|(name, span)| (name, times(span))).into()
}

/// When Docker started each container, in its own words.
pub(crate) struct Events {
    started: Arc<Mutex<BTreeMap<String, Timestamp>>>,
    task: JoinHandle<()>,
}

impl Events {
    pub(crate) fn follow(stage: &Stage) -> Self {
        let started = Arc::<Mutex<BTreeMap<String, Timestamp>>>::default();
        let (heard, docker) = (Arc::clone(&started), stage.wait(stage.lab.client()));
        let task = stage.runtime.spawn(async move {
            let filters = HashMap::from([("type", vec!["container"]), ("event", vec!["start"])]);
            let options = EventsOptionsBuilder::new().filters(&filters).build();
            let mut events = std::pin::pin!(docker.events(Some(options)));
            while let Some(Ok(event)) = events.next().await {
                let at = event.time_nano.and_then(|ns| Timestamp::from_nanosecond(ns.into()).ok());
                let attributes = event.actor.and_then(|actor| actor.attributes);
                let name = attributes.and_then(|mut all| all.remove("name"));
                if let (Some(at), Some(name)) = (at, name) {
                    heard.lock().unwrap().insert(name, at);
                }
            }
        });
        Self { started, task }
    }

    fn of(&self, name: &str) -> Option<Timestamp> {
        self.started.lock().unwrap().get(name).copied()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A daemon that logs every step.
pub(crate) fn logging_every_step(stage: &Stage) -> Daemon {
    let config = stage.place.config();
    let config = config.to_str().unwrap();
    Daemon::spawn(&stage.place, flyball(["-v", "run", "-c", config]))
}
