//! What programs of others make of the API: Prometheus's own checker, and a fuzzer that reads the
//! API's description.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Daemon, Place, installed, sample};

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let Some(promtool) = installed("promtool", "prometheus") else { return };
    let place = Place::with(&sample("web", 1.0, 0.5, "min = 2"));
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 2);
    let metrics = daemon.get("/metrics").body;
    assert!(metrics.contains("flyball_replicas{service=\"web\",state=\"ready\"} 2"), "{metrics}");
    assert!(metrics.contains("flyball_request_duration_seconds_bucket"), "{metrics}");
    let mut check = Command::new(promtool);
    check.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut check = check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let said = check.wait_with_output().unwrap();
    let text = format!("{said:?}");
    assert!(said.status.success() && said.stderr.is_empty(), "{text}");
}

/// Loads the machine with thousands of requests.
mod alone {
    use std::fs;
    use std::path::PathBuf;
    use std::process::Command;

    use crate::support::{Daemon, Place, missing, sample};

    /// What a server may well answer to a request that its description allows: a count outside the
    /// service's bounds is one, so this check would call each such refusal a fault.
    const NOT_CHECKED: &str = "positive_data_acceptance";

    /// The fuzzer in an environment of its own below `target`, made once.
    fn schemathesis() -> Option<PathBuf> {
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
        let program = home.join("bin/schemathesis");
        let run = |command: &mut Command| command.output().is_ok_and(|said| said.status.success());
        let there = program.is_file()
            || (run(Command::new("python3").args(["-m", "venv"]).arg(&home))
                && run(Command::new(home.join("bin/pip")).args([
                    "install",
                    "-q",
                    "schemathesis>=4,<5",
                ])));
        if !there {
            missing("schemathesis", "python3 with venv, or the package, cannot be had");
        }
        there.then_some(program)
    }

    #[test]
    fn thousands_of_made_up_requests_are_answered_as_described_and_never_with_a_5xx() {
        let Some(program) = schemathesis() else { return };
        let place = Place::with(&sample("web", 1.0, 0.5, "min = 2\nmax = 5"));
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 2);
        let report = place.path().join("report");
        let said = Command::new(program)
            .current_dir(place.path())
            .arg("run")
            .arg(format!("http://{}/api/v1/openapi.json", daemon.api))
            // A stream has no end to wait for; `tests/web/events.rs` covers it.
            .args(["--exclude-path", "/api/v1/events", "--exclude-checks", NOT_CHECKED])
            .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "220", "--seed", "1"])
            .args(["--workers", "2", "--request-timeout", "10", "--continue-on-failure"])
            .args([
                "--suppress-health-check",
                "all",
                "--no-color",
                "--report",
                "ndjson",
                "--report-dir",
            ])
            .arg(&report)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&said.stdout);
        let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.artifacts");
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join("schemathesis.txt"), text.as_bytes()).unwrap();
        assert!(said.status.success(), "{text}\n{}", String::from_utf8_lossy(&said.stderr));
        let cases = text.lines().find_map(|line| {
            line.trim()
                .strip_suffix(" generated, ")
                .or(line.trim().split(" generated").next())
                .filter(|_| line.contains(" generated"))?
                .trim()
                .replace(',', "")
                .parse::<u32>()
                .ok()
        });
        assert!(cases >= Some(2_000), "{cases:?} cases: {text}");
    }
}
