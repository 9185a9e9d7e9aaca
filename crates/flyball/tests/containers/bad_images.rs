//! Images that do not work: the old generation serves all along, and `flyball deploy --wait` says
//! why with its exit status and in words.

/// Loads the machine.
mod alone {
    use std::time::{Duration, Instant};

    use crate::stage::Stage;
    use crate::support::Daemon;
    use crate::versions::Versions;

    const PER_S: u32 = 200;
    const START_LIMIT: Duration = Duration::from_secs(4);
    const ABORT_AFTER: u32 = 2;
    /// Starting and removing containers, beside waiting for them.
    const SLACK: Duration = Duration::from_secs(10);
    const MORE: &str = "policy = \"external\"\nmin = 2\nmax = 6\ndrain = \"2s\"\n\
        start_limit = \"4s\"\nabort_after = 2\n";

    fn begin(stage: &Stage) -> Daemon {
        stage.wait(stage.lab.image("v0", &["ENV VERSION=v0"]));
        let service = stage.service("web", MORE).replace("flyball-lab:1", "flyball-lab:v0");
        stage.place.configure(&service);
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 2);
        stage.until_served();
        daemon
    }

    /// Deploys an image of such `lines`, of which `flyball deploy --wait` says `why` it does not work.
    fn is_given_up(lines: &[&str], why: &str) {
        let Some(stage) = Stage::set() else { return };
        stage.wait(stage.lab.image("bad", lines));
        let daemon = begin(&stage);
        let before = stage.containers("web");
        let load = Versions::start(stage.front(), PER_S);
        let began = Instant::now();
        let ran = daemon.ask(&["deploy", "web", "--image", "flyball-lab:bad", "--wait"]);
        let took = began.elapsed();
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("not deployed: rollout to"), "{ran:?}");
        assert!(ran.stderr.contains(why), "{ran:?}");
        assert!(took < ABORT_AFTER * START_LIMIT + SLACK, "{took:?}");
        let view = daemon.until_settled("web", 2);
        assert_eq!(stage.containers("web"), before, "{view}");
        assert!(daemon.status().contains(why), "{}", daemon.status());
        let told = load.finish();
        eprintln!("{lines:?}: given up after {took:?}, {} requests, none failed", told.requests());
        told.assert_none_failed();
        told.assert_in_order(&[]);
    }

    #[test]
    fn an_image_that_ends_at_once_is_given_up_and_the_old_one_serves() {
        is_given_up(&["ENV EXIT=3"], "cannot open the shop");
    }

    #[test]
    fn an_image_that_is_never_ready_is_given_up_and_the_old_one_serves() {
        is_given_up(&["ENV DELAY_MS=3600000"], "not ready after 4 s");
    }

    #[test]
    fn an_image_whose_health_check_fails_is_given_up_and_the_old_one_serves() {
        let check = "HEALTHCHECK --interval=500ms --retries=2 CMD [\"/app\", \"probe\"]";
        is_given_up(&["ENV SICK=1000000", check], "health check");
    }
}
