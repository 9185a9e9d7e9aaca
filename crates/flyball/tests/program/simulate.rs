//! `flyball simulate` as people type it: what it prints, what it refuses, how it ends.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::support::{FLYBALL, Place, Ran, clean, flyball, run};

/// Twenty minutes at two heights.
fn load() -> String {
    let row = |minute: u32| format!("{},{}\n", minute * 60, if minute % 10 < 5 { 10 } else { 35 });
    "seconds,requests_per_second\n".to_owned() + &(0..20).map(row).collect::<String>()
}

fn simulate(place: &Place, text: &str, words: &[&str]) -> Ran {
    let path = place.write("load.csv", text);
    let all = ["simulate", "--trace", path.to_str().unwrap()];
    run(&mut flyball([&all[..], words].concat()))
}

fn lines(output: &Ran) -> Vec<Value> {
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn requests_have_latencies_and_the_same_seed_gives_the_same_figures() {
    let place = Place::new();
    let words = ["--mode", "requests", "--replica-capacity", "10", "--start-lag", "5s..15s"];
    let words =
        [&words[..], &["--policy", "governor", "--policy", "static:peak", "--json"]].concat();
    let output = simulate(&place, &load(), &words);
    let runs = lines(&output);
    assert_eq!(runs.len(), 2);
    for run in &runs {
        assert!(run["p99_ms"].as_f64() >= Some(100.0) && run["worst_p99_ms"].is_f64(), "{run}");
        assert!(run["over_limit_pct"].is_f64() && run["cost_ratio"].as_f64() > Some(0.9), "{run}");
        assert_eq!((&run["start_lag_s"], &run["start_lag_p99_s"]), (&5.0.into(), &15.0.into()));
    }
    assert_eq!(runs[1]["unserved_pct"], 0.0, "{}", runs[1]);
    assert_eq!(simulate(&place, &load(), &words).stdout, output.stdout);
    let other = simulate(&place, &load(), &[&words[..], &["--seed", "2"]].concat());
    assert_ne!(other.stdout, output.stdout);
    let fluid = lines(&simulate(&place, &load(), &["--replica-capacity", "10", "--json"]));
    assert!(fluid[0]["p99_ms"].is_null(), "{}", fluid[0]);
}

#[test]
fn the_table_and_the_page_say_the_same_in_both_depths() {
    let place = Place::new();
    let page = place.path().join("page.html");
    for (mode, latency) in [("fluid", false), ("requests", true)] {
        let words = ["--mode", mode, "--replica-capacity", "10", "--policy", "hpa:70"];
        let report = ["--report", page.to_str().unwrap()];
        let output = simulate(&place, &load(), &[&words[..], &report].concat());
        assert_eq!(output.code, Some(0), "{output:?}");
        assert_eq!(output.stdout.contains("99 % within"), latency, "{}", output.stdout);
        assert_eq!(output.stderr, format!("the report is in {}\n", page.display()));
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.contains(r#""policy":"hpa:70""#), "the page has no data");
        assert_eq!(text.contains(r#""p99_ms":null"#), !latency);
    }
}

#[test]
fn a_limit_that_no_request_can_keep_is_reported() {
    let place = Place::new();
    let words = ["--mode", "requests", "--replica-capacity", "2", "--policy", "static:peak"];
    let output = simulate(&place, &load(), &words);
    assert_eq!(output.code, Some(0), "{output:?}");
    let warning = "a request of load takes 500 ms, longer than the limit of 250 ms\nhint: ";
    assert!(output.stderr.starts_with(warning), "{}", output.stderr);
}

#[test]
fn what_cannot_be_used_ends_with_2_and_one_message() {
    let (place, good) = (Place::new(), ["--replica-capacity", "10"]);
    let refused = |text: &str, words: &[&str], message: &str| {
        let output = simulate(&place, text, words);
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
        assert!(place.plain(&output.stderr).contains(message), "{message}: {}", output.stderr);
        assert!(
            output.stderr.contains("hint: ") || output.stderr.contains("For more info"),
            "{}",
            output.stderr
        );
    };
    let row = |row: &str| format!("seconds,cores\n0,1\n60,1\n{row}\n");
    refused("", &good, "error: PLACE/load.csv:1: no values");
    refused(&row("60,1"), &good, "error: PLACE/load.csv:4: time 60 s is not after 60 s");
    refused(&row("30,1"), &good, "error: PLACE/load.csv:4: time 30 s is not after 60 s");
    refused(&row("180,1"), &good, "error: PLACE/load.csv:4: 180 s follows 60 s");
    refused(&row("120,NaN"), &good, "error: PLACE/load.csv:4: `NaN` is not a finite number");
    refused(&row("120,-1"), &good, "error: PLACE/load.csv:4: `-1` is not a finite number");
    for mode in ["fluid", "requests"] {
        for capacity in ["0", "NaN", "inf", "1e-9"] {
            let words = ["--mode", mode, "--replica-capacity", capacity];
            refused(&load(), &words, "error: ");
        }
        refused(&load(), &["--mode", mode, "--replica-capacity=-1"], "a replica cannot serve -1");
    }
    refused(&load(), &[], "--replica-capacity");
    refused(
        &load(),
        &["--replica-capacity", "10", "--policy", "magic"],
        "policy `magic`: unknown policy",
    );
    let unknown = ["--replica-capacity", "10", "--policy", "governor:warm=2"];
    refused(&load(), &unknown, "policy `governor:warm=2`: governor has no setting `warm`");
    refused(&load(), &unknown, "hint: its settings and their defaults: governor:cap=85%,late=");
    refused(&load(), &["--replica-capacity", "10", "--min", "9", "--max", "3"], "bounds 9..3");
    refused(&load(), &["--replica-capacity", "10", "--start-lag", "60s..20s"], "--start-lag");
    refused(&load(), &["--replica-capacity", "10", "--grid", "7s"], "cannot be resampled to steps");
    let cores = row("120,1");
    let words = ["--replica-capacity", "1", "--mode", "requests", "--request-cpu", "0s"];
    refused(&cores, &words, "a request cannot take 0 s of CPU");
    let missing = run(&mut flyball(["simulate", "--trace", "/no/such", "--replica-capacity", "1"]));
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.stderr.starts_with("error: /no/such:0: cannot read"), "{}", missing.stderr);
}

#[test]
fn settings_of_a_policy_are_taken_by_name_and_for_short_and_stand_in_the_help() {
    let place = Place::new();
    let figures = |policy: &str| {
        let words = ["--replica-capacity", "10", "--json", "--policy", policy];
        let output = simulate(&place, &load(), &words);
        assert_eq!(output.code, Some(0), "{output:?}");
        output.stdout.replacen(policy, "POLICY", 1)
    };
    assert_eq!(figures("governor:70"), figures("governor:cap=70%"));
    assert_ne!(figures("governor:70"), figures("governor"));
    assert_ne!(figures("hpa:70,tolerance=0%,window=0s"), figures("hpa:70"));
    for command in ["simulate", "decide"] {
        let help = run(&mut flyball([command, "--help"])).stdout;
        for line in ["cap=85%: ", "late=SHARE: ", "up-pods=N: ", "target-rps=1000: "] {
            assert!(help.contains(line), "{line} is missing in {help}");
        }
    }
}

#[test]
fn crlf_and_a_byte_order_mark_change_nothing() {
    let place = Place::new();
    let words = ["--replica-capacity", "10", "--json"];
    let plain = simulate(&place, &load(), &words);
    let marked = simulate(&place, &format!("\u{feff}{}", load().replace('\n', "\r\n")), &words);
    assert_eq!((plain.code, plain.stdout), (Some(0), marked.stdout));
}

#[test]
fn a_count_that_does_not_come_to_rest_ends_with_4_and_all_figures() {
    // One replica is 24 % busy and wants another, two are 12 % busy and want one gone.
    let text = "seconds,requests_per_second\n".to_owned()
        + &(0..30).map(|minute| format!("{},2.4\n", minute * 60)).collect::<String>();
    let place = Place::new();
    let output = simulate(&place, &text, &["--replica-capacity", "10", "--policy", "step:20:15"]);
    assert_eq!(output.code, Some(4), "{output:?}");
    assert!(output.stdout.contains("step:20:15"), "{}", output.stdout);
    assert!(
        output.stderr.contains("the count of step:20:15 did not settle after load"),
        "{}",
        output.stderr
    );
}

#[test]
fn ten_gigabytes_are_refused_within_bounded_memory() {
    let place = Place::new();
    let sparse = place.write("sparse.csv", "seconds,cores\n0,1\n60,1\n");
    File::options().write(true).open(&sparse).unwrap().set_len(10_000_000_000).unwrap();
    let output = bounded(&sparse.display().to_string(), |_| ());
    assert!(output.stderr.contains("sparse.csv:4: longer than 1024 bytes"), "{output:?}");
    let output = bounded("-", |mut rows| {
        let mut second = 0_u64;
        let _refused = rows.write_all(b"seconds,cores\n");
        loop {
            let block: String = (second..second + 5_000).map(|s| format!("{s},1\n")).collect();
            second += 5_000;
            // The reader has seen enough.
            if rows.write_all(block.as_bytes()).is_err() {
                return;
            }
        }
    });
    assert!(output.stderr.contains(":16000002: more than 16000000 values"), "{output:?}");
}

/// Reads a trace with at most 400 MB of addresses; `write` is what comes on standard input.
fn bounded(trace: &str, write: impl FnOnce(std::io::PipeWriter) + Send + 'static) -> Ran {
    let (input, rows) = std::io::pipe().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 400000 && exec \"$@\"", "sh", FLYBALL, "simulate"]);
    command.args(["--trace", trace, "--replica-capacity", "1"]);
    clean(&mut command);
    let writer = thread::spawn(|| write(rows));
    let output = run(command.stdin(Stdio::from(input)));
    drop(command);
    writer.join().unwrap();
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
    output
}
