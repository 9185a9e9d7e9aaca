//! Beside Docker Compose: what each of its commands does to copies and to requests. With the
//! Compose of Debian 12 and with that of Debian 13.

/// Loads the machine.
mod alone {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use flyball_testkit::compose::Compose;
    use serde_json::json;

    use crate::project::{Project, versions};
    use crate::stage::Stage;
    use crate::support::{Daemon, Steady, until, until_within, was_load};

    const PER_S: u32 = 200;
    /// A start, a readiness and a drain for each replica, on a loaded machine.
    const ROLL_LIMIT: Duration = Duration::from_secs(60);
    const SOME_LOOKS: Duration = Duration::from_secs(5);
    const LABELS: [(&str, &str); 7] = [
        ("flyball.service", "web"),
        ("flyball.port", "8080"),
        ("flyball.min", "2"),
        ("flyball.max", "6"),
        ("flyball.balancer", "haproxy"),
        ("flyball.policy", "external"),
        ("flyball.ready.http", "/"),
    ];

    /// Waits until exactly `count` containers run, all of this version, and all are ready.
    fn until_rolled(stage: &Stage, daemon: &Daemon, version: &str, count: usize) {
        let all = || {
            let found = versions(stage, "web");
            let rolled = found.len() == count && found.values().all(|it| it == version);
            (rolled && daemon.seen("web", "ready") == u64::try_from(count).ok()).then_some(())
        };
        until_within(ROLL_LIMIT, &format!("{count} of version {version}"), all);
        daemon.until_settled("web", u64::try_from(count).unwrap());
    }

    fn copies(stage: &Stage) -> BTreeMap<String, String> {
        let mut all = stage.containers("web");
        all.retain(|_, name| name.contains("-fb-"));
        all
    }

    fn scale(daemon: &Daemon, count: u64) {
        daemon.post("/api/v1/services/web/scale", &json!({ "to": count }));
        daemon.until_settled("web", count);
    }

    /// Each command at a scaled count and under load: the copies stay what they are.
    fn commands_leave_copies_alone(compose: Option<Compose>) {
        let Some(compose) = compose else { return };
        let Some(stage) = Stage::set() else { return };
        let project = Project::new(&stage, &compose, "shop");
        let daemon = project.begin(&stage, &LABELS, 2);
        scale(&daemon, 4);
        let before = copies(&stage);
        assert_eq!(before.len(), 3, "{before:?}");
        let pull = &["pull", "--ignore-pull-failures"][..];
        let commands: [&[&[&str]]; 4] = [
            &[&["up", "-d"]],
            &[&["up", "-d", "--scale", "web=1"]],
            &[&["restart"]],
            // No registry has the image, which ends `pull` of 1.29 with an error: what is on the
            // host stays.
            &[pull, &["up", "-d"]],
        ];
        for words in commands {
            let load = Steady::start(stage.front(), PER_S);
            let run = |words: &&[&str]| match words[0] {
                "pull" => project.attempt(words).1,
                _ => project.run(words),
            };
            let said: String = words.iter().map(run).collect();
            // Some looks, in which nothing may happen.
            std::thread::sleep(SOME_LOOKS);
            daemon.until_settled("web", 4);
            let report = load.finish();
            let (failed, requests) = (report.failed, report.requests);
            eprintln!("{} {words:?}: {failed} of {requests} failed", compose.version);
            assert_eq!(copies(&stage), before, "{words:?}: {said}");
            assert_eq!(report.failed, 0, "{words:?}: {:?}", report.failures);
            assert!(was_load(&report, PER_S), "{report:?}");
        }
        let own = compose.container("shop", "web", 1);
        let all = project.run(&["ps", "-a"]);
        assert!(all.contains(&own) && all.matches("-fb-").count() == 3, "{all}");
        let said = project.run(&["down"]);
        eprintln!("{} down: {said}", compose.version);
        until_within(ROLL_LIMIT, "no container", || {
            stage.wait(stage.lab.names()).is_empty().then_some(())
        });
        assert!(stage.wait(stage.rig.servers()).is_empty());
        // What is left of it is the network, if copies were in it.
        project.run(&["down"]);
    }

    #[test]
    fn compose_1_leaves_copies_alone() {
        commands_leave_copies_alone(Compose::installed());
    }

    #[test]
    fn compose_2_leaves_copies_alone() {
        commands_leave_copies_alone(Compose::new());
    }

    #[test]
    fn a_version_that_ends_at_once_leaves_the_old_copies_in_service() {
        let Some(compose) = Compose::new() else { return };
        let Some(stage) = Stage::set() else { return };
        let mut project = Project::new(&stage, &compose, "shop");
        let daemon = project.begin(&stage, &LABELS, 2);
        scale(&daemon, 3);
        let before = copies(&stage);
        let load = Steady::start(stage.front(), PER_S);
        project.more = "      EXIT: \"3\"\n".to_owned();
        project.write("bad", &LABELS);
        project.run(&["up", "-d"]);
        until_within(ROLL_LIMIT, "the end of the rollout", || {
            let view = daemon.service("web");
            (view["decision"]["rollout"]["state"] == "aborted").then_some(())
        });
        let view = daemon.service("web")["decision"]["rollout"].clone();
        let why = view["why"].as_str().unwrap_or_default().to_owned();
        assert!(why.contains("cannot open the shop"), "{view}");
        let now = copies(&stage);
        assert!(before.keys().all(|id| now.contains_key(id)), "{before:?} {now:?}");
        project.more = String::new();
        project.write("good", &LABELS);
        project.run(&["up", "-d"]);
        until_rolled(&stage, &daemon, "good", 3);
        let report = load.finish();
        eprintln!("a bad version: {} of {} requests failed", report.failed, report.requests);
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(was_load(&report, PER_S), "{report:?}");
    }

    /// What the guide says of `restart` where nobody else serves.
    #[test]
    fn a_restart_of_the_only_replica_costs_no_more_than_its_start() {
        let Some(compose) = Compose::new() else { return };
        let Some(stage) = Stage::set() else { return };
        let project = Project::new(&stage, &compose, "shop");
        let alone = LABELS.map(|(name, value)| (name, if value == "2" { "1" } else { value }));
        let daemon = project.begin(&stage, &alone, 1);
        let load = Steady::start(stage.front(), PER_S);
        let began = Instant::now();
        project.run(&["restart"]);
        daemon.until_settled("web", 1);
        let took = began.elapsed();
        let report = load.finish();
        eprintln!(
            "{} restart of the only one in {took:?}: {} of {} requests failed: {:?}",
            compose.version, report.failed, report.requests, report.failures
        );
        let during = u64::try_from(took.as_millis()).unwrap() * u64::from(PER_S) / 1_000;
        assert!(report.failed <= during, "{report:?}");
        assert_eq!(versions(&stage, "web").len(), 1);
    }

    #[test]
    fn a_second_project_that_claims_the_name_is_refused_in_the_open() {
        let Some(compose) = Compose::new() else { return };
        let Some(stage) = Stage::set() else { return };
        let shop = Project::new(&stage, &compose, "shop");
        let daemon = shop.begin(&stage, &LABELS, 2);
        let load = Steady::start(stage.front(), PER_S);
        let other = Project::new(&stage, &compose, "other");
        other.write("other", &LABELS);
        other.run(&["up", "-d"]);
        let refused = "container other-web-1 is ignored and not a replica";
        until("a word in the log", || (daemon.log_count(refused) > 0).then_some(()));
        until("a notice", || {
            let notices = daemon.service("web")["notices"].to_string();
            notices.contains(refused).then_some(())
        });
        daemon.until_settled("web", 2);
        let report = load.finish();
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert_eq!(stage.wait(stage.rig.servers()).len(), 2);
        let view = daemon.service("web")["replicas"].to_string();
        assert!(!view.contains("other-web"), "{view}");
    }
}
