//! The collection of Compose services: what `flyball check` reports of each, and that `flyball run`
//! bears it out.

mod collection;

/// Loads the machine.
mod alone {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::time::Duration;

    use bollard::models::HealthStatusEnum;
    use serde_json::Value;

    use flyball_testkit::compose::Compose;

    use super::collection::{Ran, SHAPES, Shape, Verdict};
    use crate::stage::Stage;
    use crate::support::{Daemon, flyball, free_port, run_within, until, until_within};

    /// All replicas start at once.
    const READY_LIMIT: Duration = Duration::from_secs(60);
    const CHECK_LIMIT: Duration = Duration::from_secs(60);
    /// What the file sets for a service that labels describe, too.
    const DESCRIBED: &str = "[services.described]\nengine = \"docker\"\nimage = \"flyball-lab:1\"\n\
        port = 8080\ncpus = 0.5\nbalancer = \"none\"\npolicy = \"external\"\nmin = 2\n\
        ready = { http = \"/\" }\n";

    #[test]
    fn what_check_reports_of_a_compose_service_is_what_becomes_of_it() {
        let Some(mut stage) = Stage::set() else { return };
        let Some(compose) = Compose::installed() else { return };
        up(&stage, &compose);
        let tables = stage.tables().replace("[haproxy]", "labels_may = [\"reach\"]\n[haproxy]");
        stage.place.configure(&format!("{tables}{DESCRIBED}"));
        let findings = judged(&stage);
        assert_eq!(services(&findings), SHAPES.iter().map(|shape| shape.name).collect());
        let daemon = Daemon::start(&stage.place);
        for shape in SHAPES.iter().filter(|shape| shape.ran == Ran::Ready) {
            let ready = || (daemon.seen(shape.name, "ready") == Some(2)).then_some(());
            until_within(READY_LIMIT, shape.name, ready);
        }
        stage.until_served();
        for shape in SHAPES {
            refused(shape, &daemon);
        }
        // It waits for starts under way, of which a killed Docker would leave parts.
        daemon.stop();
        // An orderly end of 100 containers takes as long as their start.
        stage.lab.kill_daemon();
    }

    /// Brings the Compose file up.
    fn up(stage: &Stage, compose: &Compose) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/containers/compose_shapes");
        stage.wait(stage.lab.network("shapes_outside"));
        let mut command = compose.command(&folder, &stage.lab.host());
        command.args(["up", "-d"]).env("COMPOSE_PROJECT_NAME", "shapes");
        for name in ["FIXED_PORT", "HOST_PORT", "REACHED_PORT"] {
            command.env(name, free_port().to_string());
        }
        let output = run_within(&mut command, Duration::from_secs(120));
        assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
        let unhealthy = || {
            let listed = stage.containers("never-healthy").into_keys().next()?;
            let seen = async { stage.lab.client().await.inspect_container(&listed, None).await };
            let health = stage.wait(seen).unwrap().state?.health?.status?;
            (health == HealthStatusEnum::UNHEALTHY).then_some(())
        };
        until("an unhealthy container", unhealthy);
    }

    /// What `flyball check` finds, and it is right. On a machine under load a container may not
    /// answer in time, which it reports; then it is asked again.
    fn judged(stage: &Stage) -> Vec<Value> {
        for tries_left in [2, 1, 0] {
            let findings = checked(stage);
            let faults: Vec<String> =
                SHAPES.iter().filter_map(|shape| misjudged(shape, &findings)).collect();
            if faults.is_empty() {
                return findings;
            }
            let late = faults.iter().all(|fault| fault.contains(": no answer within 2 s"));
            assert!(late && tries_left > 0, "{}", faults.join("\n"));
        }
        unreachable!("the last try returns or fails")
    }

    /// What `flyball check` finds, a line each.
    fn checked(stage: &Stage) -> Vec<Value> {
        let config = stage.place.config();
        let mut check = flyball(["check", "--json", "-c", config.to_str().unwrap()]);
        let output = run_within(&mut check, CHECK_LIMIT);
        assert_eq!(output.code, Some(1), "{output:?}");
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The service that a finding is about; none for what is about flyball itself.
    fn service_of(finding: &Value) -> Option<&str> {
        let key = finding["key"].as_str().unwrap();
        let key = key.strip_prefix("services.").or(key.strip_prefix("labels of service "))?;
        key.split('.').next()
    }

    fn services(findings: &[Value]) -> BTreeSet<&str> {
        findings.iter().filter_map(service_of).collect()
    }

    fn verdict_of(finding: &Value) -> Verdict {
        let key = finding["key"].as_str().unwrap();
        // How it is probed and what HAProxy has are figures, as long as there is nothing to do.
        let figure = key.ends_with(".ready") || key.ends_with(".haproxy");
        match (finding["ok"] == true, finding.get("hint")) {
            (false, _) => Verdict::Wrong,
            (true, Some(_)) => Verdict::Warning,
            (true, None) if figure || finding["text"] == "containers can be started" => Verdict::Ok,
            (true, None) => Verdict::Notice,
        }
    }

    /// How the reports about a service differ from what they must be.
    fn misjudged(shape: &Shape, findings: &[Value]) -> Option<String> {
        let all = || findings.iter().filter(|found| service_of(found) == Some(shape.name));
        let worst = all().map(verdict_of).max()?;
        let matches = |finding: &&Value| {
            let text = finding["text"].as_str().unwrap();
            let hint = finding["hint"].as_str().unwrap_or_default();
            verdict_of(finding) == worst && format!("{text}; {hint}").contains(shape.words)
        };
        let right = worst == shape.verdict && all().any(|finding| matches(&finding));
        (!right).then(|| format!("{shape:?}: {:#?}", all().collect::<Vec<_>>()))
    }

    /// Waits until the log gives the reason why a service that must not have its replicas has none.
    fn refused(shape: &Shape, daemon: &Daemon) {
        let Ran::Refused(words) = shape.ran else { return };
        let begin = format!(" WARN {}", shape.name);
        until(&format!("{}: {words}", shape.name), || {
            let log = daemon.log();
            log.lines().any(|line| line.contains(&begin) && line.contains(words)).then_some(())
        });
        let view = daemon.get(&format!("/api/v1/services/{}", shape.name));
        if view.status != 404 {
            let ready = view.json()["decision"]["signals"]["ready"].as_u64();
            assert!(ready < Some(2), "{}: {view:?}", shape.name);
        }
    }
}
