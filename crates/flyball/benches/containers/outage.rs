//! HAProxy's socket away for a minute, under load: requests are served on, nothing is removed, and
//! what is asked for afterwards is done within two looks.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::figures::Measured;
use crate::stage::Stage;
use crate::starts::clear;
use crate::support::{Daemon, Steady, until};

const AWAY: Duration = Duration::from_secs(60);
/// Two looks at the longest interval that there is, and what a busy machine may be late.
const BACK_MAX: Duration = Duration::from_secs(5);
const PER_S: u32 = 100;

pub(crate) fn measure(stage: &Stage) -> Measured {
    stage.place.configure(&stage.service("web", "policy = \"external\"\nmin = 3\nmax = 6\n"));
    let daemon = Daemon::start(&stage.place);
    daemon.until_settled("web", 3);
    stage.until_served();
    let before = stage.containers("web");
    let load = Steady::lasting(stage.front(), PER_S, 300);
    let (socket, aside) = (stage.rig.path("admin.sock"), stage.rig.path("aside.sock"));
    fs::rename(&socket, &aside).unwrap();
    sleep(AWAY);
    let kept = stage.containers("web") == before;
    fs::rename(&aside, &socket).unwrap();
    let back = Instant::now();
    daemon.post("/api/v1/services/web/scale", &json!({ "to": 4 }));
    until("a server more", || (stage.wait(stage.rig.servers()).len() == 4).then_some(()));
    let took = back.elapsed();
    let warnings = daemon.log_count("WARN");
    let report = load.finish();
    daemon.stop();
    clear(stage);
    let mut missed = Vec::new();
    if !kept {
        missed.push("containers changed while the socket was away".to_owned());
    }
    if took > BACK_MAX {
        missed.push(format!("{took:?} until a fourth server was there, at most {BACK_MAX:?}"));
    }
    if report.failed > 0 {
        missed.push(format!("{} requests failed: {:?}", report.failed, report.failures));
    }
    let table = format!(
        "outage\nHAProxy's socket away for {} s: {} of {} requests failed, logged in {warnings} \
         lines; a fourth server {:.2} s after it was back, its start included\n",
        AWAY.as_secs(),
        report.failed,
        report.requests,
        took.as_secs_f64(),
    );
    let json = json!({
        "away_s": AWAY.as_secs(),
        "back_ms": took.as_millis(),
        "back_max_ms": BACK_MAX.as_millis(),
        "containers_kept": kept,
        "warnings": warnings,
        "requests": report.requests,
        "failed": report.failed,
    });
    Measured { name: "outage".to_owned(), missed, table, json }
}
