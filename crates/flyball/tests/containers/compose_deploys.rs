//! A labelled service of Compose whose labels change, and one that is deployed by hand.

/// Loads the machine.
mod alone {
    use std::time::Duration;

    use flyball_testkit::compose::Compose;
    use serde_json::json;

    use crate::project::{Project, versions};
    use crate::stage::Stage;
    use crate::support::{Daemon, Steady, until_within, was_load};

    const PER_S: u32 = 200;
    const ROLL_LIMIT: Duration = Duration::from_secs(60);
    const LABELS: [(&str, &str); 7] = [
        ("flyball.service", "web"),
        ("flyball.port", "8080"),
        ("flyball.min", "2"),
        ("flyball.max", "3"),
        ("flyball.balancer", "haproxy"),
        ("flyball.policy", "external"),
        ("flyball.ready.http", "/"),
    ];

    fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
        let others = LABELS.into_iter().filter(|(label, _)| *label != name);
        others.chain([(name, value)]).collect()
    }

    fn until_all(stage: &Stage, daemon: &Daemon, version: &str, count: usize) {
        until_within(ROLL_LIMIT, &format!("{count} of {version}"), || {
            let found = versions(stage, "web");
            let all = found.len() == count && found.values().all(|it| it == version);
            all.then_some(())
        });
        daemon.until_settled("web", u64::try_from(count).unwrap());
    }

    fn until_max(daemon: &Daemon, max: u64) {
        until_within(ROLL_LIMIT, &format!("a maximum of {max}"), || {
            (daemon.service("web")["bounds"]["max"] == max).then_some(())
        });
    }

    #[test]
    fn changed_labels_take_effect_also_in_the_middle_of_a_rollout() {
        let Some(compose) = Compose::new() else { return };
        let Some(stage) = Stage::set() else { return };
        let project = Project::new(&stage, &compose, "shop");
        let daemon = project.begin(&stage, &LABELS, 2);
        let load = Steady::start(stage.front(), PER_S);
        project.write("v0", &with("flyball.max", "5"));
        project.run(&["up", "-d"]);
        until_max(&daemon, 5);
        assert_eq!(daemon.log_count("changed labels: web: max 3 -> 5"), 1, "{}", daemon.log());
        daemon.post("/api/v1/services/web/scale", &json!({ "to": 4 }));
        until_all(&stage, &daemon, "v0", 4);
        project.write("v1", &with("flyball.max", "6"));
        project.run(&["up", "-d"]);
        until_max(&daemon, 6);
        project.write("v1", &with("flyball.max", "4"));
        project.run(&["up", "-d"]);
        until_max(&daemon, 4);
        until_all(&stage, &daemon, "v1", 4);
        // What cannot change is said, and the rest goes on.
        project.write("v1", &with("flyball.balancer", "none"));
        project.run(&["up", "-d"]);
        until_within(ROLL_LIMIT, "a notice", || {
            let notices = daemon.service("web")["notices"].to_string();
            notices.contains("balancer, with its listen, slots and backend").then_some(())
        });
        let report = load.finish();
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(was_load(&report, PER_S), "{report:?}");
    }

    #[test]
    fn a_labelled_service_that_is_updated_by_hand_waits_for_flyball_deploy() {
        let Some(compose) = Compose::new() else { return };
        let Some(stage) = Stage::set() else { return };
        let project = Project::new(&stage, &compose, "shop");
        let manual = with("flyball.update", "manual");
        let daemon = project.begin(&stage, &manual, 2);
        daemon.post("/api/v1/services/web/scale", &json!({ "to": 3 }));
        until_all(&stage, &daemon, "v0", 3);
        let load = Steady::start(stage.front(), PER_S);
        project.write("v1", &manual);
        project.run(&["up", "-d"]);
        until_within(ROLL_LIMIT, "it waits", || {
            (daemon.service("web")["rollout"]["state"] == "waiting").then_some(())
        });
        let old = versions(&stage, "web").values().filter(|it| *it == "v0").count();
        assert_eq!(old, 2, "the copies stay");
        let ran = daemon.ask(&["deploy", "web", "--wait"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        until_all(&stage, &daemon, "v1", 3);
        let report = load.finish();
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(was_load(&report, PER_S), "{report:?}");
    }
}
