//! Deploys one after another, in each of three ways, while callers ask which version answers:
//! labels and Compose, a service of the file and `flyball deploy`, processes and `flyball reload`.

/// Loads the machine.
mod alone {
    use std::time::{Duration, Instant};

    use flyball_testkit::compose::Compose;
    use flyball_testkit::docker::app;

    use crate::project::{Project, versions};
    use crate::stage::Stage;
    use crate::support::{Daemon, Place, free_port, until_within};
    use crate::versions::{Roll, Versions};

    const PER_S: u32 = 200;
    const REPLICAS: u32 = 2;
    const DRAIN: Duration = Duration::from_secs(2);
    /// What a deploy may take beside its replicas' starts and drains.
    const SLACK: Duration = Duration::from_secs(5);
    const ROLL_LIMIT: Duration = Duration::from_secs(60);
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

    /// `FLYBALL_DEPLOYS` asks for more; nextest ends a test after three minutes.
    fn count() -> u32 {
        std::env::var("FLYBALL_DEPLOYS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
    }

    /// How long a deploy may take: surge is 1.
    fn limit(daemon: &Daemon) -> Duration {
        let lag = daemon.seen("web", "start_lag_ms").unwrap();
        REPLICAS * (Duration::from_millis(lag) + DRAIN) + SLACK
    }

    /// `deploy` brings a version out and returns when all replicas have it. It gives what of the
    /// time was not flyball's.
    fn course(what: &str, daemon: &Daemon, load: Versions, deploy: impl Fn(u32) -> Duration) {
        let mut rolls = Vec::new();
        let (mut slowest, mut allowed) = (Duration::ZERO, Duration::MAX);
        for version in 1..=count() {
            let began = Instant::now();
            let elsewhere = deploy(version);
            let done = Instant::now();
            rolls.push(Roll { version, began, done });
            slowest = slowest.max(done - began - elsewhere);
            allowed = allowed.min(limit(daemon));
        }
        let told = load.finish();
        let (requests, failed, deploys) = (told.requests(), told.failures().len(), rolls.len());
        eprintln!(
            "{what}: {deploys} deploys, {failed} of {requests} requests failed, p99 {:?}, \
             slowest deploy {slowest:?} of {allowed:?}",
            told.p99
        );
        told.assert_none_failed();
        told.assert_in_order(&rolls);
        assert!(slowest < allowed, "{slowest:?}, {allowed:?}");
    }

    fn with_compose(compose: Option<Compose>) {
        let Some(compose) = compose else { return };
        let Some(stage) = Stage::set() else { return };
        let project = Project::new(&stage, &compose, "shop");
        let daemon = project.begin(&stage, &LABELS, 2);
        let load = Versions::start(stage.front(), PER_S);
        course(&format!("Compose {}", compose.version), &daemon, load, |version| {
            let version = format!("v{version}");
            project.write(&version, &LABELS);
            let began = Instant::now();
            project.run(&["up", "-d"]);
            let compose_took = began.elapsed();
            until_within(ROLL_LIMIT, &version, || {
                let found = versions(&stage, "web");
                let all_new = found.len() == 2 && found.values().all(|it| *it == version);
                all_new.then_some(())
            });
            compose_took
        });
        assert_eq!(daemon.log_count("draining and removing"), 0, "it was let go: {}", daemon.log());
    }

    #[test]
    fn deploys_with_compose_1_change_versions_over_and_fail_no_request() {
        with_compose(Compose::installed());
    }

    #[test]
    fn deploys_with_compose_2_change_versions_over_and_fail_no_request() {
        with_compose(Compose::new());
    }

    #[test]
    fn deploys_of_images_change_versions_over_and_fail_no_request() {
        let Some(stage) = Stage::set() else { return };
        for version in 0..=count() {
            let line = format!("ENV VERSION=v{version}");
            stage.wait(stage.lab.image(&format!("v{version}"), &[&line]));
        }
        let more = "policy = \"external\"\nmin = 2\nmax = 6\ndrain = \"2s\"\n";
        let service = stage.service("web", more).replace("flyball-lab:1", "flyball-lab:v0");
        stage.place.configure(&service);
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 2);
        stage.until_served();
        let load = Versions::start(stage.front(), PER_S);
        course("file and flyball deploy", &daemon, load, |version| {
            let image = format!("flyball-lab:v{version}");
            let ran = daemon.ask(&["deploy", "web", "--image", &image, "--wait"]);
            assert_eq!(ran.code, Some(0), "{ran:?}");
            let found = versions(&stage, "web");
            let is_new = |it: &String| *it == format!("v{version}");
            assert!(found.len() == 2 && found.values().all(is_new), "{found:?}");
            Duration::ZERO
        });
    }

    #[test]
    fn deploys_of_processes_change_versions_over_and_fail_no_request() {
        let place = Place::new();
        let (program, port) = (app(place.path()), free_port());
        let write = |version: u32| {
            place.configure(&format!(
                "[services.web]\nengine = \"process\"\ncommand = [{program:?}]\n\
                 env = {{ VERSION = \"v{version}\" }}\nready = {{ http = \"/\" }}\nmin = 2\n\
                 max = 6\npolicy = \"external\"\ndrain = \"2s\"\n\
                 listen = \"127.0.0.1:{port}\"\n"
            ));
        };
        write(0);
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 2);
        let load = Versions::start(daemon.address_of("web"), PER_S);
        let of = |view: &serde_json::Value| -> Vec<String> {
            let replicas = view["replicas"].as_array().unwrap();
            replicas.iter().map(|it| it["generation"].to_string()).collect()
        };
        course("processes and flyball reload", &daemon, load, |version| {
            let before = of(&daemon.service("web"));
            write(version);
            let ran = daemon.ask(&["reload"]);
            assert_eq!(ran.code, Some(0), "{ran:?}");
            until_within(ROLL_LIMIT, "all are new", || {
                let view = daemon.service("web");
                let now = of(&view);
                let new = now.len() == 2 && now.iter().all(|it| !before.contains(it));
                (new && daemon.seen("web", "ready") == Some(2)).then_some(())
            });
            Duration::ZERO
        });
    }
}
