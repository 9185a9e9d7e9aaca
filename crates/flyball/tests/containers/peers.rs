//! The same deploys in three ways, side by side: `docker compose up -d` alone, new containers beside
//! the old ones by a script, and flyball. Run by hand; docs/guide/compose.md has the figures.

/// Loads the machine.
mod alone {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::time::{Duration, Instant};

    use flyball_testkit::compose::Compose;

    use crate::load::get;
    use crate::project::{Project, versions};
    use crate::stage::Stage;
    use crate::support::{until, until_within};
    use crate::versions::{Told, Versions};

    const PER_S: u32 = 200;
    const ROLL_LIMIT: Duration = Duration::from_secs(60);
    /// Where containers without flyball listen: twice as many as serve, for who starts new ones
    /// beside the old ones.
    const PORTS: std::ops::RangeInclusive<u16> = 18_180..=18_183;
    const LABELS: [(&str, &str); 8] = [
        ("flyball.service", "web"),
        ("flyball.port", "8080"),
        ("flyball.min", "2"),
        ("flyball.max", "6"),
        ("flyball.drain", "2s"),
        ("flyball.balancer", "haproxy"),
        ("flyball.policy", "external"),
        ("flyball.ready.http", "/"),
    ];

    fn deploys() -> u32 {
        std::env::var("FLYBALL_DEPLOYS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
    }

    fn show(what: &str, told: &Told, took: Duration) {
        let (failed, requests) = (told.failures().len(), told.requests());
        let each = took / deploys();
        eprintln!("{what}: {failed} of {requests} requests failed, {each:?} for each deploy");
    }

    /// HAProxy with a server for each port, asked five times a second.
    fn fixed_servers() -> Option<Stage> {
        let lines = PORTS.fold("option httpchk GET /\n".to_owned(), |mut lines, port| {
            let check = "check inter 200ms fastinter 100ms fall 1 rise 1";
            writeln!(lines, "server s{port} 127.0.0.1:{port} {check}").unwrap();
            lines
        });
        Stage::set_with(&lines)
    }

    /// A project of two containers with ports and a health check, and without flyball.
    fn two<'a>(stage: &Stage, compose: &'a Compose) -> Project<'a> {
        let mut project = Project::new(stage, compose, "shop");
        let ports = format!("127.0.0.1:{}-{}:8080", PORTS.start(), PORTS.end());
        project.more = format!(
            "    ports: [{ports:?}]\n    healthcheck: {{ test: [\"CMD\", \"/app\", \"probe\"], \
             interval: 1s }}\n"
        );
        project.write("v0", &[("flyball.service", "web")]);
        project.run(&["up", "-d", "--scale", "web=2"]);
        until_healthy(stage, 2);
        stage.until_served();
        project
    }

    fn until_healthy(stage: &Stage, count: usize) {
        until_within(ROLL_LIMIT, "healthy containers", || {
            let healthy = |id: &String| {
                let seen = async { stage.lab.client().await.inspect_container(id, None).await };
                let state = stage.wait(seen).ok()?.state?.health?.status?;
                (state.to_string() == "healthy").then_some(())
            };
            let all = stage.containers("web");
            (all.len() == count && all.keys().all(|id| healthy(id).is_some())).then_some(())
        });
    }

    fn with_compose_alone(compose: &Compose) -> Option<Told> {
        let stage = fixed_servers()?;
        let project = two(&stage, compose);
        let (load, began) = (Versions::start(stage.front(), PER_S), Instant::now());
        for version in 1..=deploys() {
            project.write(&format!("v{version}"), &[("flyball.service", "web")]);
            project.run(&["up", "-d", "--scale", "web=2"]);
            until_healthy(&stage, 2);
        }
        let (took, told) = (began.elapsed(), load.finish());
        show(&format!("compose {} up -d", compose.version), &told, took);
        Some(told)
    }

    /// Twice as many, wait until the new ones are healthy, stop and remove the old ones.
    fn new_ones_beside(compose: &Compose) -> Option<Told> {
        let stage = fixed_servers()?;
        let project = two(&stage, compose);
        let (load, began) = (Versions::start(stage.front(), PER_S), Instant::now());
        for version in 1..=deploys() {
            let old: BTreeMap<String, String> = stage.containers("web");
            project.write(&format!("v{version}"), &[("flyball.service", "web")]);
            project.run(&["up", "-d", "--no-recreate", "--scale", "web=4"]);
            until_healthy(&stage, 4);
            for id in old.keys() {
                stage.stop(id);
                stage.remove(id);
            }
        }
        let (took, told) = (began.elapsed(), load.finish());
        show("start second, wait healthy, stop first", &told, took);
        Some(told)
    }

    fn with_flyball(compose: &Compose) -> Option<Told> {
        let stage = Stage::set()?;
        let project = Project::new(&stage, compose, "shop");
        let daemon = project.begin(&stage, &LABELS, 2);
        let (load, began) = (Versions::start(stage.front(), PER_S), Instant::now());
        for version in 1..=deploys() {
            let version = format!("v{version}");
            project.write(&version, &LABELS);
            project.run(&["up", "-d"]);
            until_within(ROLL_LIMIT, &version, || {
                let found = versions(&stage, "web");
                (found.len() == 2 && found.values().all(|it| *it == version)).then_some(())
            });
            daemon.until_settled("web", 2);
            until("the version", || {
                (get(stage.front(), "/version").ok()? == version).then_some(())
            });
        }
        let (took, told) = (began.elapsed(), load.finish());
        show("flyball", &told, took);
        Some(told)
    }

    #[test]
    #[ignore = "a comparison that takes minutes: --run-ignored only"]
    fn flyball_fails_no_request_where_compose_alone_does() {
        let Some(compose) = Compose::new() else { return };
        let Some(alone) = with_compose_alone(&compose) else { return };
        let Some(_beside) = new_ones_beside(&compose) else { return };
        let Some(flyball) = with_flyball(&compose) else { return };
        assert!(!alone.failures().is_empty());
        flyball.assert_none_failed();
    }
}
