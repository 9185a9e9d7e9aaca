//! How long a start takes: from the order to the first request served through HAProxy.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig};
use jiff::Timestamp;
use serde_json::json;

use crate::Reach;
use crate::course::{Course, Events, logging_every_step, spans};
use crate::figures::{Measured, Times, median_of, table};
use crate::load::get;
use crate::pulse::Pulse;
use crate::stage::{Stage, published};
use crate::support::{free_port, until};
use flyball_testkit::docker::IMAGE;

/// Times what Docker itself needs.
const RATIO_MAX: f64 = 1.5;
/// Often enough to see the first moment at which a container serves.
const PER_S: u32 = 250;

/// In turns with what Docker itself needs (create, start, until the application answers), so that
/// other work on the machine meets both alike. The ratio counts everything from the order on: the
/// API call, the decision, the start, the probe, the server's registration and the first request.
pub(crate) fn measure(stage: &Stage, reach: Reach, rounds: u32) -> Measured {
    let more = format!("policy = \"external\"\nmin = 1\nmax = 2\nreach = {:?}\n", reach.name());
    stage.place.configure(&stage.service("web", &more));
    let events = Events::follow(stage);
    let daemon = logging_every_step(stage);
    daemon.until_settled("web", 1);
    stage.until_served();
    let pulse = Pulse::start(&stage.runtime, stage.front(), PER_S);
    let (mut courses, mut bare) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        // Spread over the phases of the daemon's looks.
        sleep(Duration::from_millis(u64::from(round) * 37 % 200));
        bare.push(bare_start(stage, reach));
        let (known, begun) = (pulse.known(), Timestamp::now());
        daemon.post("/api/v1/services/web/scale", &json!({ "to": 2 }));
        courses.push(Course::follow(begun, &known, &pulse, (&daemon, &events)));
        daemon.post("/api/v1/services/web/scale", &json!({ "to": 1 }));
        daemon.until_settled("web", 1);
        until("the container's end", || (stage.containers("web").len() == 1).then_some(()));
        if round % 10 == 0 {
            eprintln!("{round} of {rounds} starts");
        }
    }
    let failed = pulse.counts().1;
    daemon.stop();
    clear(stage);
    let bare = Times::of(bare.iter().map(|time: &Duration| time.as_secs_f64() * 1e3));
    report(reach, &courses, bare, &failed)
}

fn report(reach: Reach, courses: &[Course], bare: Times, failed: &[String]) -> Measured {
    let mut rows = spans(courses);
    let ratio = median_of(&rows, "total") / bare.median();
    rows.push(("Docker alone", bare));
    let mut missed = Vec::new();
    if ratio > RATIO_MAX {
        missed.push(format!("{ratio:.2} times what Docker itself needs, at most {RATIO_MAX}"));
    }
    if let Some(first) = failed.first() {
        missed.push(format!("{} requests failed: {first}", failed.len()));
    }
    let name = format!("starts, {}", reach.name());
    let more = [format!("total is {ratio:.2} times Docker alone (at most {RATIO_MAX})")];
    let mut json = json!({
        "rounds": courses.len(),
        "ratio": (ratio * 1000.0).round() / 1000.0,
        "ratio_max": RATIO_MAX,
        "requests_failed": failed.len(),
        "requests_per_s": PER_S,
    });
    rows.iter().for_each(|(name, times)| json[*name] = times.json());
    Measured { table: table(&name, &rows, &more), name, missed, json }
}

/// Ends what the service left, so that the next one starts on a bare machine.
pub(crate) fn clear(stage: &Stage) {
    stage.containers("web").keys().for_each(|id| stage.remove(id));
    until("HAProxy without servers", || {
        let servers = stage.wait(stage.rig.servers());
        for server in &servers {
            let name = server.split(' ').next().unwrap_or_default();
            let gone = format!("set server web/{name} state maint;del server web/{name}");
            stage.wait(stage.rig.ask(&gone));
        }
        servers.is_empty().then_some(())
    });
}

/// What Docker itself needs until the application of a new container answers.
fn bare_start(stage: &Stage, reach: Reach) -> Duration {
    let port = free_port();
    let mut body = ContainerCreateBody { image: Some(IMAGE.into()), ..Default::default() };
    body.host_config = Some(match reach {
        Reach::Published => {
            let mut host = published();
            let bindings = host.port_bindings.iter_mut().flat_map(HashMap::values_mut).flatten();
            bindings.flatten().for_each(|at| at.host_port = Some(port.to_string()));
            host
        }
        Reach::Host => HostConfig { network_mode: Some("host".into()), ..Default::default() },
    });
    if reach == Reach::Host {
        body.env = Some(vec![format!("PORT={port}")]);
    }
    let began = Instant::now();
    stage.wait(stage.lab.run_body("bare", body));
    while get(SocketAddr::from(([127, 0, 0, 1], port)), "/").is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "no answer");
        sleep(Duration::from_micros(500));
    }
    let took = began.elapsed();
    stage.remove("bare");
    took
}
