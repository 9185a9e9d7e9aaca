//! Many scale actions in both directions under a steady load: no request may fail. Short requests
//! on kept connections, and long ones of up to five seconds, so that containers are drained with
//! some of them under way.

use std::time::{Duration, Instant};

use flyball::load::Load;
use serde_json::json;

use crate::figures::Measured;
use crate::load::Long;
use crate::stage::Stage;
use crate::starts::clear;
use crate::support::{Daemon, Steady, until};

/// Ups and downs of one to four at once.
const COUNTS: [u64; 6] = [2, 4, 6, 3, 5, 1];
/// With 300,000 requests, 5 minutes: longer than the actions take on an idle machine.
const PER_S: u32 = 1_000;
/// So that a machine that stands still for a moment owes requests, not two thousand connections.
const CONNECTIONS: usize = 64;
const LONG_CALLERS: usize = 8;
/// Longer than it takes on a machine that is busy otherwise.
const SECONDS_MAX: u32 = 900;

pub(crate) fn measure(stage: &Stage, actions: u32, requests: u32) -> Measured {
    let more = "policy = \"external\"\nmin = 1\nmax = 6\ncpus = 0.5\n";
    stage.place.configure(&stage.service("web", more));
    let daemon = Daemon::start(&stage.place);
    daemon.until_settled("web", 1);
    stage.until_served();
    let at = |n| Duration::from_secs(1) * n / PER_S;
    let arrivals = (0..PER_S * SECONDS_MAX).map(at).collect();
    let load = Load { connections: CONNECTIONS, ..Load::new(stage.front(), arrivals) };
    let (short, long) = (Steady::of(load), Long::start(stage.front(), LONG_CALLERS));
    let (began, mut done) = (Instant::now(), 0);
    let sent = |began: Instant| began.elapsed().as_secs_f64() * f64::from(PER_S);
    for count in COUNTS.into_iter().cycle() {
        // Some seconds more: a busy machine is late, and the load begins a moment after it was asked.
        if done >= actions && sent(began) > f64::from(requests + 5 * PER_S) {
            break;
        }
        daemon.post("/api/v1/services/web/scale", &json!({ "to": count }));
        until("the count", || (daemon.seen("web", "ready") == Some(count)).then_some(()));
        done += 1;
        if done % 20 == 0 {
            eprintln!("{done} actions in {:.0} s", began.elapsed().as_secs_f64());
        }
    }
    let took = began.elapsed();
    daemon.post("/api/v1/services/web/scale", &json!({ "to": 1 }));
    // The last of those that drain have their longest request under way.
    std::thread::sleep(Duration::from_secs(1));
    daemon.until_settled("web", 1);
    let (report, (long_sent, long_failed)) = (short.finish(), long.finish());
    daemon.stop();
    clear(stage);
    let failed = report.failed + long_failed.len() as u64;
    let late: u64 = report.late_per_second.iter().sum();
    let mut missed = Vec::new();
    if failed > 0 {
        let first = report.failures.iter().map(|failure| format!("{failure:?}"));
        let words: Vec<String> = first.chain(long_failed.into_iter().take(10)).collect();
        missed.push(format!("{failed} requests failed:\n{}", words.join("\n")));
    }
    if report.served < u64::from(requests) {
        missed.push(format!("only {} requests served", report.served));
    }
    let table = format!(
        "volume\n{done} scale actions in {:.0} s, {} requests on kept connections and {long_sent} \
         long ones (up to 5 s): {failed} failed\nmedian {:.1} ms, 99 % {:.1} ms, longest {:.0} ms; \
         {late} were sent late\n",
        took.as_secs_f64(),
        report.served,
        report.p50_ms.unwrap_or(f64::NAN),
        report.p99_ms.unwrap_or(f64::NAN),
        report.max_ms.unwrap_or(f64::NAN),
    );
    let json = json!({
        "actions": done,
        "took_s": took.as_secs_f64().round(),
        "requests": report.served,
        "long_requests": long_sent,
        "failed": failed,
        "sent_late": late,
        "p50_ms": report.p50_ms,
        "p99_ms": report.p99_ms,
        "max_ms": report.max_ms,
        "requests_per_s": PER_S,
        "connections_max": CONNECTIONS,
        "long_callers": LONG_CALLERS,
        "counts": COUNTS,
    });
    Measured { name: "volume".to_owned(), missed, table, json }
}
