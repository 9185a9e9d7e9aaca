//! New generations of replicas and changes of the file, while requests go on.

/// Measurements under load.
mod alone {
    use std::collections::BTreeSet;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use rustix::process::Signal;
    use serde_json::{Value, json};

    use crate::support::{
        Daemon, Place, Steady, flyball, free_port, run, sample, signal, until, was_load,
    };

    const DEPLOYS: usize = 20;
    const PER_S: u32 = 200;

    fn generations(view: &Value) -> BTreeSet<String> {
        let replicas = view["replicas"].as_array().unwrap();
        replicas.iter().map(|it| it["generation"].as_str().unwrap().to_owned()).collect()
    }

    fn ids(view: &Value) -> Vec<String> {
        let replicas = view["replicas"].as_array().unwrap();
        replicas.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    }

    /// A service at a count of `min`, with what a deploy needs to be quick.
    fn fixed(name: &str, min: u32, more: &str) -> String {
        let more = format!(
            "policy = \"external\"\nmin = {min}\nmax = 6\ninterval = \"50ms\"\ndrain = \"5s\"\n{more}"
        );
        sample(name, 1.0, 0.5, &more)
    }

    #[test]
    fn twenty_deploys_in_a_row_under_load_fail_no_request() {
        let place = Place::with(&fixed("web", 2, ""));
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 2);
        let load = Steady::start(daemon.address_of("web"), PER_S);
        let mut seen = generations(&daemon.service("web"));
        let mut longest = Duration::ZERO;
        for _ in 0..DEPLOYS {
            let begun = Instant::now();
            let ran = daemon.ask(&["deploy", "web", "--wait", "--timeout", "30s"]);
            longest = longest.max(begun.elapsed());
            assert_eq!(ran.code, Some(0), "{ran:?}");
            let view = daemon.service("web");
            let now = generations(&view);
            assert_eq!(now.len(), 1, "{view}");
            assert!(seen.is_disjoint(&now), "an old generation is back: {now:?}");
            seen.extend(now);
        }
        let report = load.finish();
        println!(
            "{DEPLOYS} deploys, the longest took {longest:?}; {} requests, p99 {:?} ms",
            report.requests, report.p99_ms
        );
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(was_load(&report, PER_S), "{report:?}");
        assert_eq!(seen.len(), DEPLOYS + 1);
        // (2 replicas / surge of 1) x (start lag + drain) + 5 s.
        assert!(longest < Duration::from_secs(10), "{longest:?}");
    }

    #[test]
    fn a_command_that_ends_at_once_is_given_up_and_the_old_one_serves_all_along() {
        let place = Place::with(&fixed("web", 2, "abort_after = 2"));
        let daemon = Daemon::start(&place);
        let before = daemon.until_settled("web", 2);
        let load = Steady::start(daemon.address_of("web"), PER_S);
        let broken = fixed("web", 2, "abort_after = 2").replace("{port}", "no-port");
        place.configure(&broken);
        let ran = daemon.ask(&["reload"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains("replicas are made as generation"), "{ran:?}");
        let view = until("the rollout is given up", || {
            let view = daemon.service("web");
            (view["rollout"]["state"] == "aborted").then_some(view)
        });
        assert_eq!(ids(&view), ids(&before), "the old ones");
        let why = view["rollout"]["why"].as_str().unwrap();
        assert!(why.contains("exit status 2") && why.contains("no-port"), "{why}");
        assert!(daemon.status().contains("rollout to "), "{}", daemon.status());
        let ran = daemon.ask(&["deploy", "web", "--wait", "--timeout", "30s"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("not deployed: rollout to"), "{ran:?}");
        assert!(ran.stderr.contains("no-port"), "the cause: {ran:?}");
        let ran = daemon.ask(&["rollback", "web", "--wait", "--timeout", "30s"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let view = daemon.until_settled("web", 2);
        assert_eq!((ids(&view), generations(&view)), (ids(&before), generations(&before)));
        assert!(view["rollout"].is_null(), "{view}");
        let report = load.finish();
        println!("{} requests while two rollouts were given up", report.requests);
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(was_load(&report, PER_S), "{report:?}");
    }

    #[test]
    fn ten_invalid_and_ten_valid_changes_of_the_file_under_load_fail_no_request() {
        let (port, other) = (free_port(), free_port());
        let listen = |port: u16| format!("listen = \"127.0.0.1:{port}\"\n");
        let file = |max: u32, web: &str| {
            let web = fixed("web", 2, &format!("{}{web}", listen(port)));
            web.replace("max = 6", &format!("max = {max}")) + &fixed("api", 2, &listen(other))
        };
        let place = Place::with(&file(6, ""));
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 2);
        let api = daemon.until_settled("api", 2);
        let loads = [("web", PER_S), ("api", PER_S)]
            .map(|(name, per_s)| Steady::start(daemon.address_of(name), per_s));
        let web = daemon.until_settled("web", 2);
        for round in 0..10_u32 {
            place.configure(&file(6, "drian = \"3s\""));
            signal(daemon.pid(), Signal::HUP);
            let count = usize::try_from(round).unwrap() + 1;
            until("the error in the log", || {
                (daemon.log_count("the configuration file is invalid") >= count).then_some(())
            });
            assert!(daemon.status().contains("the configuration file is invalid"));
            let max = 7 + round;
            // Every other time something that makes other replicas.
            let env = format!("env = {{ ROUND = \"{}\" }}", round.div_ceil(2));
            place.configure(&file(max, &env));
            signal(daemon.pid(), Signal::HUP);
            until("the new maximum", || {
                (daemon.service("web")["bounds"]["max"] == max).then_some(())
            });
            until("one generation everywhere", || {
                let view = daemon.service("web");
                (view["rollout"].is_null() && generations(&view).len() == 1).then_some(())
            });
        }
        let now = daemon.until_settled("web", 2);
        assert_ne!(generations(&now), generations(&web));
        let untouched = daemon.service("api");
        assert_eq!((ids(&untouched), generations(&untouched)), (ids(&api), generations(&api)));
        assert!(!daemon.status().contains("the configuration file is invalid"));
        for load in loads {
            let report = load.finish();
            println!("{} requests, p99 {:?} ms", report.requests, report.p99_ms);
            assert_eq!(report.failed, 0, "{:?}", report.failures);
            assert!(was_load(&report, PER_S), "{report:?}");
        }
    }

    #[test]
    fn services_come_and_go_with_the_file_and_what_cannot_change_is_named() {
        let place = Place::with(&fixed("web", 1, ""));
        let daemon = Daemon::start(&place);
        let web = daemon.until_settled("web", 1);
        place.configure(&(fixed("web", 1, "") + &fixed("api", 2, "")));
        let ran = daemon.ask(&["reload"]);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), "applied      api: added\n"),
            "{ran:?}"
        );
        daemon.until_settled("api", 2);
        place.configure(&fixed("web", 1, &format!("listen = \"127.0.0.1:{}\"", free_port())));
        let ran = daemon.ask(&["reload"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.contains("applied      api: removed"), "{ran:?}");
        assert!(ran.stdout.contains("not applied  web: balancer"), "{ran:?}");
        assert!(daemon.status().contains("until a restart"), "{}", daemon.status());
        until("the end of api", || {
            (daemon.get("/api/v1/services/api").status == 404).then_some(())
        });
        until("its processes' end", || (place.replicas().len() == 1).then_some(()));
        assert_eq!(ids(&daemon.service("web")), ids(&web));
        place.configure(&fixed("web", 1, "drian = \"3s\""));
        let ran = daemon.ask(&["reload"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.stderr.contains("hint: did you mean drain?"), "{ran:?}");
        let away = run(&mut flyball(["reload", "--daemon", &format!("127.0.0.1:{}", free_port())]));
        assert_eq!(away.code, Some(2), "{away:?}");
    }

    #[test]
    fn a_rollout_is_paused_resumed_superseded_and_rolled_back() {
        let place = Place::with(&fixed("web", 3, ""));
        let daemon = Daemon::start(&place);
        let before = daemon.until_settled("web", 3);
        let load = Steady::start(daemon.address_of("web"), PER_S);
        let refused = daemon.ask(&["rollback", "web"]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("has no earlier generation to go back to\nhint: "));
        daemon.post("/api/v1/services/web/deploy", &json!({}));
        assert_eq!(daemon.ask(&["rollout", "pause", "web"]).code, Some(0));
        until("it is paused", || {
            (daemon.service("web")["rollout"]["state"] == "paused").then_some(())
        });
        sleep(Duration::from_millis(500));
        let paused = generations(&daemon.service("web"));
        assert!(!paused.is_disjoint(&generations(&before)), "old ones are left: {paused:?}");
        assert_eq!(daemon.ask(&["rollout", "resume", "web"]).code, Some(0));
        daemon.post("/api/v1/services/web/deploy", &json!({}));
        let ran = daemon.ask(&["deploy", "web", "--wait"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let newest = generations(&daemon.until_settled("web", 3));
        assert_eq!(newest.len(), 1);
        daemon.post("/api/v1/services/web/deploy", &json!({}));
        let ran = daemon.ask(&["rollback", "web", "--wait"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(generations(&daemon.until_settled("web", 3)), newest);
        let image = daemon.ask(&["deploy", "web", "--image", "web:2"]);
        assert!(image.code == Some(2) && image.stderr.contains("hint: "), "{image:?}");
        let report = load.finish();
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(was_load(&report, PER_S), "{report:?}");
    }

    #[test]
    fn an_order_outlives_flyball() {
        let place = Place::with(&fixed("web", 2, ""));
        let mut daemon = Daemon::start(&place);
        daemon.until_settled("web", 2);
        let view = daemon.ask(&["deploy", "web", "--wait", "--json"]);
        assert_eq!(view.code, Some(0), "{view:?}");
        daemon.ask(&["rollout", "pause", "web"]);
        let before = daemon.service("web")["deploy"].clone();
        daemon.kill();
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 2);
        assert_eq!(daemon.service("web")["deploy"], before);
        assert!(daemon.service("web")["deploy"]["paused"].as_bool().unwrap());
        assert!(daemon.service("web")["rollout"].is_null(), "all replicas are new");
    }
}
