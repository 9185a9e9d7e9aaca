//! Replicas that fail get no requests, are replaced, and are reported everywhere.
//! `FLYBALL_BLACK_HOLE_S=60` makes the load last for a minute, with `sick_after` at its default.

use rustix::process::Signal;

use crate::support::{Daemon, Place, sample, signal, until};

/// Whether the service has a notice that begins so.
fn noticed(daemon: &Daemon, text: &str) -> Option<()> {
    let view = daemon.service("web");
    let notices = view["notices"].as_array()?;
    let found = notices.iter().any(|one| {
        one["kind"] == "sick" && one["text"].as_str().is_some_and(|notice| notice.starts_with(text))
    });
    found.then_some(())
}

#[test]
fn a_replica_that_hangs_is_noticed_and_replaced_and_every_interface_shows_it() {
    let more = "min = 3\nmax = 4\nliveness = \"100ms\"\nsick_after = \"500ms\"\ngrace = \"100ms\"\n\
                policy = \"external\"";
    let place = Place::with(&sample("web", 1.0, 0.5, more));
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 3);
    let before = place.replicas();
    signal(before[0], Signal::STOP);
    signal(before[1], Signal::STOP);
    let sick = until("a notice", || {
        let view = daemon.service("web");
        let replicas = view["replicas"].as_array()?.clone();
        let sick = replicas.into_iter().find(|replica| replica["state"] == "unhealthy")?;
        Some(sick["id"].as_str()?.to_owned())
    });
    let notice = format!("{sick} is sick: GET /healthz at 127.0.0.1:");
    until("the notice", || noticed(&daemon, &notice));
    let metrics = daemon.get("/metrics").body;
    let gauge =
        format!("flyball_replica_sick{{service=\"web\",replica=\"{sick}\",cause=\"probe\"}} 1");
    assert!(metrics.contains(&gauge), "{metrics}");
    let both = "flyball_sick_total{service=\"web\",cause=\"probe\"} 2";
    until("both are counted", || daemon.get("/metrics").body.contains(both).then_some(()));
    until("their end", || {
        let now = place.replicas();
        (!before[..2].iter().any(|id| now.contains(id))).then_some(())
    });
    let view = daemon.until_settled("web", 3);
    assert!(view["replicas"].as_array().unwrap().iter().all(|replica| replica["id"] != sick));
    // The third one never was.
    let counts_of =
        |text: &str| (1..=3).map(|n| daemon.log_count(&format!("web: web-{n} {text}"))).collect();
    until("a line for the end of each", || {
        let lines: Vec<usize> = counts_of("was sick and is gone");
        (lines.iter().sum::<usize>() > 0).then_some(())
    });
    let mut lines: Vec<usize> = counts_of("is sick: ");
    lines.sort_unstable();
    assert_eq!(lines, [0, 1, 1], "each is logged once");
    let lines: Vec<usize> = counts_of("was sick and is gone");
    assert_eq!(lines.iter().sum::<usize>(), 1, "the second end is counted, not written");
    assert_eq!(daemon.log_count(" recovered"), 0, "{}", daemon.log());
}

/// Measures how many requests fail.
mod alone {
    use std::time::{Duration, Instant};

    use super::noticed;
    use crate::support::{Daemon, Place, Steady, flyball, run, sample, until_within, was_load};

    #[test]
    fn a_replica_that_answers_500_at_once_costs_hardly_a_request_and_is_replaced() {
        let set = std::env::var("FLYBALL_BLACK_HOLE_S").ok().and_then(|text| text.parse().ok());
        let (lasts, sick_after) = match set {
            Some(seconds) => (Duration::from_secs(seconds), Duration::from_secs(30)),
            None => (Duration::from_secs(6), Duration::from_secs(2)),
        };
        let more = format!(
            "min = 4\nmax = 6\nsick_after = \"{}s\"\npolicy = \"external\"",
            sick_after.as_secs()
        );
        let broken = sample("web", 1.0, 0.5, &more)
            .replace("\"--work-ms\"", "\"--broken\", \"web-2\", \"--work-ms\"");
        let place = Place::with(&broken);
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 4);
        let began = Instant::now();
        let load = Steady::start(daemon.address_of("web"), 200);
        until_within(lasts, "a notice", || {
            noticed(&daemon, "web-2 is sick: 5 requests in a row failed, the last with status 500")
        });
        let noticed_after = began.elapsed();
        let config = place.config();
        let output = run(&mut flyball(["check", "-c", config.to_str().unwrap()]));
        assert!(output.stdout.contains("services.web.ready: "), "{output:?}");
        let status = daemon.status();
        assert!(status.contains("web-2 is sick: 5 requests in a row failed"), "{status}");
        until_within(sick_after + Duration::from_secs(15), "its end", || {
            let view = daemon.service("web");
            let replicas = view["replicas"].as_array()?;
            let ready = view["decision"]["signals"]["ready"] == 4;
            (ready && replicas.iter().all(|replica| replica["id"] != "web-2")).then_some(())
        });
        let replaced_after = began.elapsed();
        std::thread::sleep(lasts.saturating_sub(began.elapsed()));
        let report = load.finish();
        let all = report.served + report.failed;
        println!(
            "{} of {all} requests failed in {:.0?}; noticed after {noticed_after:.1?}, replaced \
             after {replaced_after:.1?}",
            report.failed,
            began.elapsed()
        );
        assert!(report.failed * 50 <= all, "more than 2 %: {report:?}");
        assert!(was_load(&report, 200), "{report:?}");
        assert!(replaced_after <= sick_after + Duration::from_secs(15), "{replaced_after:?}");
        assert_eq!(daemon.log_count("web: web-2 is sick: "), 1, "it is logged once");
    }
}
