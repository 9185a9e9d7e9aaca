//! `flyball agent` beside real containers, and a controller that comes from somewhere else.

use std::fs::{self, File};
use std::process::Child;
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig};
use flyball_agent::{AgentClient, Answer};

use crate::stage::Stage;
use crate::support::{Daemon, Place, flyball, until};
use flyball_testkit::docker::{IMAGE, Lab};

/// An agent's process; dead when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the kernel itself counts for a container now: v1 in nanoseconds, else v2 in microseconds.
fn used_ns(id: &str) -> u64 {
    let v1 = fs::read_to_string(format!("/sys/fs/cgroup/cpuacct/docker/{id}/cpuacct.usage"));
    if let Ok(text) = v1 {
        return text.trim().parse().unwrap();
    }
    let places = [format!("docker/{id}"), format!("system.slice/docker-{id}.scope")];
    let stat = places
        .iter()
        .find_map(|place| fs::read_to_string(format!("/sys/fs/cgroup/{place}/cpu.stat")).ok());
    let stat = stat.unwrap();
    let us = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")).unwrap();
    us.parse::<u64>().unwrap() * 1000
}

fn reported_ns(answer: &Answer, id: &str) -> Option<u64> {
    answer.containers.iter().find(|it| *it.0 == *id).map(|it| it.1)
}

/// A container that burns all that it gets of a tenth of a core.
fn burning() -> ContainerCreateBody {
    let host = HostConfig { nano_cpus: Some(100_000_000), ..Default::default() };
    ContainerCreateBody {
        image: Some(IMAGE.into()),
        env: Some(vec!["BURN=1".to_owned()]),
        host_config: Some(host),
        ..Default::default()
    }
}

#[test]
fn an_agent_reports_what_the_kernel_counts_for_real_containers_and_follows_their_coming_and_going()
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let Some(lab) = runtime.block_on(Lab::up()) else { return };
    let place = Place::new();
    let busy = runtime.block_on(lab.run_body("busy", burning()));
    let log = place.path().join("agent.log");
    let mut agent = flyball(["agent", "--listen", "127.0.0.1:0"]);
    let _agent = Running(agent.stderr(File::create(&log).unwrap()).spawn().unwrap());
    let address = until("the agent's address", || {
        let log = fs::read_to_string(&log).unwrap();
        log.split_once(" on http://")?.1.split_once("/v1/cpu\n")?.0.parse().ok()
    });
    let ask = || runtime.block_on(AgentClient::new(address, None).ask()).unwrap();
    let (first, begun) = (ask(), Instant::now());
    // Enough for 1 % to be more than a tick of the scheduler.
    until("a second of work", || (used_ns(&busy) > 1_000_000_000).then_some(()));
    let (before, answer, after) = (used_ns(&busy), ask(), used_ns(&busy));
    let reported = reported_ns(&answer, &busy).unwrap();
    let off = |kernel: u64| kernel.abs_diff(reported) * 100;
    assert!(off(before) <= before && off(after) <= after, "{before} {reported} {after}");
    // And its clock goes as ours does.
    let passed = Duration::from_nanos(answer.at_ns - first.at_ns);
    assert!(passed.abs_diff(begun.elapsed()) < Duration::from_millis(500), "{passed:?}");
    let held = answer.containers.iter().find(|it| *it.0 == *busy).unwrap().2;
    assert!(held.is_some_and(|ns| ns > 0), "{held:?}");

    let later = runtime.block_on(lab.run_body("later", burning()));
    until("the second container", || reported_ns(&ask(), &later));
    let remove = bollard::query_parameters::RemoveContainerOptionsBuilder::new().force(true);
    runtime.block_on(async {
        lab.client().await.remove_container("busy", Some(remove.build())).await.unwrap();
    });
    until("the end of the first", || reported_ns(&ask(), &busy).is_none().then_some(()));
}

#[test]
fn a_controller_that_comes_without_its_state_keeps_the_count_until_its_window_is_full() {
    const HOLD: Duration = Duration::from_secs(4);
    let Some(stage) = Stage::set() else { return };
    let more = "min = 1\nmax = 5\npolicy = { governor = { hold = \"4s\" } }\n";
    stage.place.configure(&stage.service("web", more));
    let mut daemon = Daemon::start(&stage.place);
    daemon.until_settled("web", 1);
    daemon.post("/api/v1/services/web/scale", &serde_json::json!({ "to": 4, "for": "1h" }));
    daemon.until_settled("web", 4);
    let before = stage.containers("web");
    daemon.kill();

    let elsewhere = Place::new();
    // It does not have the key that the containers are signed with.
    let trusting =
        stage.service("web", more).replace("[docker]\n", "[docker]\ntrust_marks = true\n");
    elsewhere.configure(&trusting);
    let (begun, daemon) = (Instant::now(), Daemon::start(&elsewhere));
    let mut held = false;
    let kept = until("a smaller count", || {
        let decision = daemon.service("web")["decision"].to_string();
        held |= decision.contains("warm_up");
        (stage.containers("web").len() < 4).then(|| begun.elapsed())
    });
    println!("4 replicas kept for {kept:?}");
    assert!(held && kept >= HOLD, "{kept:?}");
    let left = stage.containers("web");
    assert!(left.keys().all(|id| before.contains_key(id)), "none of them was started again");
}
