//! What it costs to look at many containers five times a second. The containers idle; looking at
//! them is all that flyball does.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::figures::Measured;
use crate::stage::Stage;
use crate::starts::clear;
use crate::support::{Daemon, until};

/// Of one core, for flyball.
const SHARE_MAX: f64 = 3.0;
/// Of one core, for dockerd: as much as its own idle time swings between two turns.
const DOCKERD_MAX: f64 = 0.5;
const TURNS: u32 = 3;
const TURN: Duration = Duration::from_secs(20);
/// Containers started in one go.
const WAVE: u64 = 20;

/// In turns with a Docker daemon that gets no requests, so that flyball's part of its CPU time is the
/// difference.
pub(crate) fn measure(stage: &Stage, containers: u64) -> Measured {
    let more = format!(
        "policy = \"external\"\nmin = 1\nmax = {containers}\ncpus = 0.5\nreach = \"host\"\n\
         interval = \"200ms\"\n"
    );
    stage.place.configure(&stage.service("web", &more));
    let mut daemon = Daemon::start(&stage.place);
    daemon.until_settled("web", 1);
    let mut count = 1;
    while count < containers {
        count = (count + WAVE).min(containers);
        daemon.post("/api/v1/services/web/scale", &json!({ "to": count }));
        until("the wave", || (daemon.seen("web", "ready") == Some(count)).then_some(()));
    }
    let (mut looked, mut idle) = (Spent::default(), Spent::default());
    for turn in 1..=TURNS {
        let interval_ms = daemon.service("web")["decision"]["next_look_ms"].as_u64();
        assert_eq!(interval_ms, Some(200), "five looks a second");
        sleep(Duration::from_secs(2));
        looked.add(stage, Some(&daemon));
        daemon.kill();
        sleep(Duration::from_secs(2));
        idle.add(stage, None);
        daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", containers);
        eprintln!("turn {turn} of {TURNS}");
    }
    daemon.stop();
    clear(stage);
    report(containers, &looked, &idle)
}

fn report(containers: u64, looked: &Spent, idle: &Spent) -> Measured {
    let (flyball, with, without) =
        (looked.share(looked.flyball), looked.share(looked.docker), idle.share(idle.docker));
    let haproxy = looked.share(looked.haproxy);
    let added = with - without;
    let mut missed = Vec::new();
    if flyball > SHARE_MAX {
        missed.push(format!("flyball takes {flyball:.1} % of a core, at most {SHARE_MAX} %"));
    }
    if added > DOCKERD_MAX {
        missed.push(format!("dockerd takes {added:.1} % of a core more, at most {DOCKERD_MAX} %"));
    }
    let table = format!(
        "looks: {containers} containers, five looks a second, % of one core\n\
         flyball                {flyball:8.2}   (at most {SHARE_MAX})\n\
         dockerd, looked at     {with:8.2}\n\
         dockerd, left alone    {without:8.2}\n\
         HAProxy, looked at     {haproxy:8.2}\n"
    );
    let round = |share: f64| (share * 100.0).round() / 100.0;
    let json = json!({
        "containers": containers,
        "looks_per_s": 5,
        "flyball_percent": round(flyball),
        "flyball_percent_max": SHARE_MAX,
        "dockerd_percent": round(with),
        "dockerd_idle_percent": round(without),
        "dockerd_added_percent_max": DOCKERD_MAX,
        "haproxy_percent": round(haproxy),
        "turns": TURNS,
        "turn_s": TURN.as_secs(),
    });
    Measured { name: "looks".to_owned(), missed, table, json }
}

/// CPU time of some turns, in hundredths of a second.
#[derive(Default)]
struct Spent {
    over: Duration,
    flyball: f64,
    docker: f64,
    haproxy: f64,
}

impl Spent {
    fn add(&mut self, stage: &Stage, daemon: Option<&Daemon>) {
        let dockerd = stage.lab.pid();
        let haproxy = stage.wait(stage.rig.ask("show info"));
        let worker = haproxy.lines().find_map(|line| line.strip_prefix("Pid: ")?.parse().ok());
        let now = || {
            let docker = ticks(dockerd) + children(dockerd).into_iter().map(ticks).sum::<f64>();
            (daemon.map_or(0.0, |daemon| ticks(daemon.pid())), docker, ticks(worker.unwrap()))
        };
        let (before, began) = (now(), Instant::now());
        sleep(TURN);
        let after = now();
        self.over += began.elapsed();
        self.flyball += after.0 - before.0;
        self.docker += after.1 - before.1;
        self.haproxy += after.2 - before.2;
    }

    /// Percent of one core: hundredths of a second per second.
    fn share(&self, spent: f64) -> f64 {
        spent / self.over.as_secs_f64()
    }
}

/// User and system time of a process, in hundredths of a second.
fn ticks(process: u32) -> f64 {
    fields(process).map_or(0.0, |fields| fields[11] + fields[12])
}

/// The direct children of a process: for dockerd, its containerd and the proxies of ports.
fn children(of: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let processes = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.filter(|pid| fields(*pid).is_some_and(|fields| fields[1] == f64::from(of))).collect()
}

/// What `/proc/PID/stat` holds behind the name, the state as 0; `None` once it has ended.
fn fields(process: u32) -> Option<Vec<f64>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect())
}
