//! Other programs read the API: Prometheus's own checker, and a fuzzer that reads the API's
//! description.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Daemon, Place, installed, run, sample};

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
    let output = check.wait_with_output().unwrap();
    let text = format!("{output:?}");
    assert!(output.status.success() && output.stderr.is_empty(), "{text}");
    for name in dashboard_metrics() {
        let family = format!("# TYPE {} ", name.trim_end_matches("_bucket"));
        assert!(metrics.contains(&family), "the example dashboard draws {name}: {metrics}");
    }
}

#[test]
fn the_example_alerts_fire_when_they_should_and_only_on_metrics_that_exist() {
    let Some(promtool) = installed("promtool", "prometheus") else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/prometheus");
    for words in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let ran = run(Command::new(&promtool).args(words).current_dir(&folder));
        assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
    }
    let place = Place::with(&sample("web", 1.0, 0.5, "min = 1"));
    let metrics = Daemon::start(&place).get("/metrics").body;
    let alerts = std::fs::read_to_string(folder.join("alerts.yml")).unwrap();
    let expressions = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let words = expressions.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
    let names: BTreeSet<&str> = words.filter(|word| word.starts_with("flyball_")).collect();
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{name}: {metrics}");
    }
}

/// Every metric that the example dashboard for Grafana draws.
fn dashboard_metrics() -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/grafana/flyball.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let names: BTreeSet<String> = targets
        .filter_map(|target| target["expr"].as_str())
        .flat_map(|expr| expr.split(|c: char| !c.is_ascii_lowercase() && c != '_'))
        .filter(|word| word.starts_with("flyball_"))
        .map(str::to_owned)
        .collect();
    assert!(names.len() > 8, "{names:?}");
    names
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
        let run =
            |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
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
        let place = Place::new();
        let (token, state) = (place.write("token", "correct-horse-battery\n"), place.state());
        let service = sample("web", 1.0, 0.5, "min = 2\nmax = 5");
        place.write("flyball.toml", &format!(
            "[flyball]\nlisten = \"0.0.0.0:0\"\ntoken_file = {token:?}\nstate_dir = {state:?}\n{service}"
        ));
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 2);
        let report = place.path().join("report");
        let output = Command::new(program)
            .current_dir(place.path())
            .arg("run")
            .arg(format!("http://127.0.0.1:{}/api/v1/openapi.json", daemon.api.port()))
            .args(["--header", "Authorization: Bearer correct-horse-battery"])
            // A stream has no end to wait for; `tests/web/events.rs` covers it.
            .args(["--exclude-path", "/api/v1/events", "--exclude-checks", NOT_CHECKED])
            .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "270", "--seed", "1"])
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
        let text = String::from_utf8_lossy(&output.stdout);
        let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.artifacts");
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join("schemathesis.txt"), text.as_bytes()).unwrap();
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        // "  2104 generated, 2104 passed"
        let cases = text.lines().find_map(|line| {
            let (count, _) = line.split_once(" generated")?;
            count.trim().replace(',', "").parse::<u32>().ok()
        });
        assert!(cases >= Some(2_000), "{cases:?} cases: {text}");
    }
}
