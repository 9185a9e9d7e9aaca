//! What comes in the middle of a rollout: more load, another count, another deploy, a rollback, the
//! death of flyball. And what a reload changes of containers.

/// Loads the machine.
mod alone {
    use std::thread;
    use std::time::Duration;

    use flyball::load::Load;
    use serde_json::{Value, json};

    use crate::project::versions;
    use crate::stage::Stage;
    use crate::support::{Daemon, Steady, until, until_within};
    use crate::versions::Versions;

    const PER_S: u32 = 200;
    const ROLL_LIMIT: Duration = Duration::from_secs(60);
    /// Replicas that need a moment, so that there is a middle.
    const SLOW: &str = "ENV DELAY_MS=700";
    const FIXED: &str = "policy = \"external\"\nmin = 3\nmax = 6\ndrain = \"2s\"\n";

    fn images(stage: &Stage, count: u32) {
        for version in 0..count {
            let line = format!("ENV VERSION=v{version}");
            stage.wait(stage.lab.image(&format!("v{version}"), &[&line, SLOW]));
        }
    }

    fn begin(stage: &Stage, more: &str, count: u64) -> Daemon {
        let service = stage.service("web", more).replace("flyball-lab:1", "flyball-lab:v0");
        stage.place.configure(&service);
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", count);
        stage.until_served();
        daemon
    }

    fn deploy(daemon: &Daemon, version: &str) {
        let image = format!("flyball-lab:{version}");
        daemon.post("/api/v1/services/web/deploy", &json!({ "image": image }));
    }

    /// Waits until a container of this version runs beside others.
    fn until_mixed(stage: &Stage, version: &str) {
        until_within(ROLL_LIMIT, "a mix of versions", || {
            let found = versions(stage, "web");
            let new = found.values().filter(|it| *it == version).count();
            (new > 0 && new < found.len()).then_some(())
        });
    }

    /// Waits until exactly `count` containers run, all of this version.
    fn until_all(stage: &Stage, daemon: &Daemon, version: &str, count: usize) {
        until_within(ROLL_LIMIT, &format!("{count} of {version}"), || {
            let found = versions(stage, "web");
            let all = found.len() == count && found.values().all(|it| it == version);
            all.then_some(())
        });
        daemon.until_settled("web", u64::try_from(count).unwrap());
    }

    #[test]
    fn a_fourfold_load_in_the_middle_of_a_deploy_is_answered() {
        let Some(stage) = Stage::set() else { return };
        images(&stage, 2);
        let more = "min = 2\nmax = 8\ndrain = \"2s\"\nslots = 4\nstart_lag = \"1s\"\n";
        let daemon = begin(&stage, more, 2);
        let lasting = |per_s: u32| {
            let every = Duration::from_secs(1) / per_s;
            let arrivals = (0..per_s * 120).map(|n| every * n).collect();
            Steady::of(Load { path: "/sleep/100".to_owned(), ..Load::new(stage.front(), arrivals) })
        };
        // 3 requests at once, then 12: with 4 slots each, more than two replicas serve at once.
        let steady = lasting(30);
        until("some load", || (daemon.seen("web", "ready") == Some(2)).then_some(()));
        deploy(&daemon, "v1");
        until_mixed(&stage, "v1");
        let step = lasting(90);
        let grown = until_within(ROLL_LIMIT, "a larger count", || {
            let view = daemon.service("web");
            let desired = view["decision"]["desired"].as_u64()?;
            (desired >= 4).then_some((desired, !view["rollout"].is_null()))
        });
        until_within(ROLL_LIMIT, "all are new", || {
            let found = versions(&stage, "web");
            (found.len() >= 4 && found.values().all(|it| it == "v1")).then_some(())
        });
        let (steady, step) = (steady.finish(), step.finish());
        eprintln!(
            "count and whether the rollout lasted: {grown:?}; {} of {} requests failed",
            steady.failed + step.failed,
            steady.requests + step.requests
        );
        assert_eq!((steady.failed, step.failed), (0, 0), "{:?}", step.failures);
    }

    #[test]
    fn a_service_is_scaled_out_in_the_middle_of_a_rollout() {
        let Some(stage) = Stage::set() else { return };
        images(&stage, 2);
        let daemon = begin(&stage, FIXED, 3);
        let load = Versions::start(stage.front(), PER_S);
        deploy(&daemon, "v1");
        until_mixed(&stage, "v1");
        daemon.post("/api/v1/services/web/scale", &json!({ "to": 5 }));
        until_all(&stage, &daemon, "v1", 5);
        load.finish().assert_none_failed();
    }

    #[test]
    #[ignore = "fails: a look before the generations are known takes the successor for wanted"]
    fn a_rollout_goes_on_after_a_sigkill_and_the_count_stays() {
        let Some(stage) = Stage::set() else { return };
        images(&stage, 2);
        let mut daemon = begin(&stage, FIXED, 3);
        let load = Versions::start(stage.front(), PER_S);
        deploy(&daemon, "v1");
        until_mixed(&stage, "v1");
        daemon.kill();
        let daemon = Daemon::start(&stage.place);
        until_within(ROLL_LIMIT, "all are new", || {
            let view = daemon.service("web");
            // One that drains runs until it is stopped, and is beyond the surge.
            let stays = |replica: &&Value| replica["state"] != "draining";
            let staying = view["replicas"].as_array().unwrap().iter().filter(stays).count();
            assert!(staying <= 4, "the count grew: {view}");
            let found = versions(&stage, "web");
            (found.len() == 3 && found.values().all(|it| it == "v1")).then_some(())
        });
        daemon.until_settled("web", 3);
        assert_eq!(daemon.service("web")["decision"]["desired"], 3);
        load.finish().assert_none_failed();
    }

    #[test]
    fn a_second_deploy_takes_the_place_of_the_first() {
        let Some(stage) = Stage::set() else { return };
        images(&stage, 3);
        let daemon = begin(&stage, FIXED, 3);
        let load = Versions::start(stage.front(), PER_S);
        let wait = |version: &str| {
            let image = format!("flyball-lab:{version}");
            daemon.ask(&["deploy", "web", "--image", &image, "--wait"])
        };
        let (first, second) = thread::scope(|scope| {
            let first = scope.spawn(|| wait("v1"));
            until_mixed(&stage, "v1");
            let second = wait("v2");
            (first.join().unwrap(), second)
        });
        assert_eq!((first.code, second.code), (Some(1), Some(0)), "{first:?} {second:?}");
        assert!(first.stderr.contains("superseded by a later order"), "{first:?}");
        until_all(&stage, &daemon, "v2", 3);
        load.finish().assert_none_failed();
    }

    #[test]
    fn a_rollback_in_the_middle_brings_the_old_one_back_everywhere() {
        let Some(stage) = Stage::set() else { return };
        images(&stage, 2);
        let daemon = begin(&stage, FIXED, 3);
        let load = Versions::start(stage.front(), PER_S);
        deploy(&daemon, "v1");
        until_mixed(&stage, "v1");
        let ran = daemon.ask(&["rollback", "web", "--wait"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        until_all(&stage, &daemon, "v0", 3);
        load.finish().assert_none_failed();
    }

    /// The limits of each container of the service: cores, bytes, and the command.
    fn made(stage: &Stage) -> Vec<(i64, i64, Vec<String>)> {
        let all = stage.containers("web").into_keys();
        all.map(|id| {
            let seen = async { stage.lab.client().await.inspect_container(&id, None).await };
            let seen = stage.wait(seen).unwrap();
            let host = seen.host_config.unwrap();
            let command = seen.config.unwrap().cmd.unwrap_or_default();
            (host.nano_cpus.unwrap_or(0), host.memory.unwrap_or(0), command)
        })
        .collect()
    }

    #[test]
    fn a_reload_rolls_out_whatever_makes_a_container_and_a_rollback_takes_it_back() {
        let Some(stage) = Stage::set() else { return };
        let write = |more: &str| {
            let fixed = "policy = \"external\"\nmin = 2\nmax = 6\ndrain = \"2s\"\n";
            stage.place.configure(&stage.service("web", &format!("{fixed}{more}")));
        };
        write("cpus = 0.5\nenv = { VERSION = \"v0\" }\n");
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 2);
        stage.until_served();
        let load = Versions::start(stage.front(), PER_S);
        write(
            "cpus = 0.25\nmemory = \"64MiB\"\nenv = { VERSION = \"v1\" }\n\
             command = [\"/app\", \"serve\"]\n",
        );
        let ran = daemon.ask(&["reload"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains("replicas are made as generation"), "{ran:?}");
        until_all(&stage, &daemon, "v1", 2);
        let limited = (250_000_000, 64 << 20, vec!["/app".to_owned(), "serve".to_owned()]);
        assert_eq!(made(&stage), vec![limited; 2]);
        let ran = daemon.ask(&["rollback", "web", "--wait"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        until_all(&stage, &daemon, "v0", 2);
        assert!(made(&stage).iter().all(|it| (it.0, it.1) == (500_000_000, 0)));
        // What is known of containers that run cannot change.
        write("cpus = 0.5\nenv = { VERSION = \"v0\" }\nreach = \"host\"\n");
        let ran = daemon.ask(&["reload"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.contains("cannot change while flyball runs"), "{ran:?}");
        load.finish().assert_none_failed();
    }
}
