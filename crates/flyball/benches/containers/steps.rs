//! From a load four times as high to the first request served by a new container.

use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;

use crate::Reach;
use crate::course::{Course, Events, logging_every_step, spans};
use crate::figures::{Measured, median_of, table};
use crate::pulse::Pulse;
use crate::stage::Stage;
use crate::starts::clear;
use crate::support::Daemon;

/// Requests per second before the step, and after.
const RATES: (u32, u32) = (30, 120);
/// CPU of one request and cores of one replica: 80 requests/s.
const WORK_US: u32 = 5_000;
const CORES: f64 = 0.4;
/// How long the daemon keeps a surplus.
const HOLD: Duration = Duration::from_secs(4);
/// How long the load was steady before a step: the daemon knows steps from noise by their rarity.
const CALM: Duration = Duration::from_secs(16);
/// Within this time a pool is back to one replica.
const CALM_LIMIT: Duration = Duration::from_secs(90);

/// One container of 80 requests/s under 30/s. Each step goes to 120/s, one and a half times what it
/// can do, waits for the first answer of a container that was not there before, and goes back
/// until one container has been enough for a while. The governor decides; it knows the load only
/// from HAProxy's counters.
pub(crate) fn measure(stage: &Stage, reach: Reach, steps: u32) -> Measured {
    let (reach_name, hold_s) = (reach.name(), HOLD.as_secs());
    let more = format!(
        "min = 1\nmax = 6\ncpus = {CORES}\nreach = {reach_name:?}\n\
         env = {{ WORK_US = \"{WORK_US}\" }}\n\
         policy = {{ governor = {{ hold = \"{hold_s}s\" }} }}\n"
    );
    stage.place.configure(&stage.service("web", &more));
    let events = Events::follow(stage);
    let daemon = logging_every_step(stage);
    daemon.until_settled("web", 1);
    stage.until_served();
    let pulse = Pulse::start(&stage.runtime, stage.front(), RATES.0);
    let mut courses = Vec::new();
    // The first step is not counted: it lets the daemon measure the start lag.
    for step in 0..=steps {
        calm(&daemon, step > 0);
        // Spread over the phases of the daemon's looks.
        sleep(Duration::from_millis(u64::from(step) * 37 % 100));
        let (known, begun) = (pulse.known(), Timestamp::now());
        pulse.set(RATES.1);
        let course = Course::follow(begun, &known, &pulse, (&daemon, &events));
        pulse.set(RATES.0);
        eprintln!("step {step} of {steps}");
        if step > 0 {
            courses.push(course);
        }
    }
    let (sent, failed) = pulse.counts();
    daemon.stop();
    clear(stage);
    report(reach, &courses, sent, &failed)
}

fn report(reach: Reach, courses: &[Course], sent: u64, failed: &[String]) -> Measured {
    let target_ms = match reach {
        Reach::Published => 700.0,
        Reach::Host => 500.0,
    };
    let rows = spans(courses);
    let total = median_of(&rows, "total");
    let mut missed = Vec::new();
    if total > target_ms {
        missed.push(format!("{total:.0} ms, at most {target_ms:.0}"));
    }
    if let Some(first) = failed.first() {
        missed.push(format!("{} of {sent} requests failed: {first}", failed.len()));
    }
    let name = format!("steps, {}", reach.name());
    let more = [format!("the median may be {target_ms:.0} ms; {} of {sent} failed", failed.len())];
    let mut json = json!({
        "steps": courses.len(),
        "target_ms": target_ms,
        "requests_per_s": [RATES.0, RATES.1],
        "requests_per_s_per_replica": 80,
        "cores_per_replica": CORES,
        "arrivals": "evenly spaced, a connection each",
        "start_lag": "measured",
        "hold_s": HOLD.as_secs(),
        "calm_s": CALM.as_secs(),
        "requests": sent,
        "requests_failed": failed.len(),
    });
    rows.iter().for_each(|(name, times)| json[*name] = times.json());
    Measured { table: table(&name, &rows, &more), name, missed, json }
}

/// Waits until one replica has served alone for [`CALM`], the cost of a request is known,
/// and (if asked for) the start lag is measured.
fn calm(daemon: &Daemon, measured: bool) {
    let began = Instant::now();
    let mut since = Instant::now();
    while since.elapsed() < CALM {
        let view = daemon.service("web");
        let seen = &view["decision"]["signals"];
        let alone = view["replicas"].as_array().is_some_and(|all| all.len() == 1);
        let learnt = !seen["work_s"].is_null() && (!measured || seen["start_lag_measured"] == true);
        if !(alone && seen["ready"] == 1 && seen["waiting"] == 0 && learnt) {
            since = Instant::now();
        }
        assert!(began.elapsed() < CALM_LIMIT, "the daemon does not calm down: {view}");
        sleep(Duration::from_millis(100));
    }
}
