//! Every sample of the journal arrives once, whatever happens to Zabbix meanwhile.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::drive::watched;
use crate::stack::{Stack, until};
use crate::support::{Daemon, FLYBALL};

const SOON: Duration = Duration::from_secs(60);

/// How long the server is away: seconds here, minutes where the environment asks for it. Its
/// database is away a third of that.
pub(crate) fn outage() -> Duration {
    let set = std::env::var("FLYBALL_OUTAGE_S").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(set.unwrap_or(5))
}

pub(crate) fn every_sample_arrives_once_whatever_happens_to_zabbix(stack: &mut Stack) {
    let trapper = format!("127.0.0.1:{}", stack.trapper_port);
    let service = format!(
        "[services.web]\nengine = \"process\"\nlisten = \"127.0.0.1:0\"\nmin = 1\nmax = 4\n\
         command = [{FLYBALL:?}, \"sample-service\", \"--port\", \"{{port}}\"]\n"
    );
    let place = watched(stack, &trapper, &service);
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 1);
    until("a first value", SOON, || stack.last("web", "flyball.wanted").filter(|v| *v > 0.0));
    let start = now_ms(&daemon);
    // Long enough for a mean pace.
    sleep((outage() / 3).max(Duration::from_secs(8)));
    let calm_end = now_ms(&daemon);

    stack.kill_server();
    sleep(outage());
    stack.start_server();
    sleep(Duration::from_secs(3));
    stack.stop_database();
    sleep((outage() / 3).max(Duration::from_secs(5)));
    stack.start_database();
    sleep(Duration::from_secs(3));
    stack.stop_server();
    sleep(Duration::from_secs(3));
    stack.start_server();
    let end = now_ms(&daemon);

    let samples = samples(&daemon, start, end);
    let mut missing = Vec::new();
    let arrived = until("every sample", SOON, || {
        let arrived = arrived(stack, start, end);
        let there = |ms: &&i64| arrived.contains_key(*ms);
        let now: Vec<i64> = samples.iter().filter(|ms| !there(ms)).map(|ms| ms - start).collect();
        if now != missing {
            println!("{} of {} samples are missing: {now:?}", now.len(), samples.len());
            missing = now;
        }
        missing.is_empty().then_some(arrived)
    });
    let twice: Vec<_> = arrived.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(arrived.len(), samples.len(), "nothing arrived that was not journalled");
    let (calm, rough) = (pace(&samples, start, calm_end), pace(&samples, calm_end, end));
    println!(
        "{} samples arrived once; one each {calm:.0} ms in calm, {rough:.0} ms in trouble",
        samples.len()
    );
    assert!(rough / calm <= 1.05, "looks were slower in trouble: {calm} ms, {rough} ms");
    assert!(daemon.log_count("Zabbix is back") >= 2, "{}", daemon.log());
}

fn now_ms(daemon: &Daemon) -> i64 {
    daemon.service("web")["now_wall_ms"].as_i64().unwrap()
}

/// The times of the journal's samples.
fn samples(daemon: &Daemon, start: i64, end: i64) -> Vec<i64> {
    // The journal writes twice a second.
    sleep(Duration::from_secs(1));
    let path = format!("/api/v1/services/web/samples?from={start}&to={end}&points=2000");
    let list = daemon.get(&path).json();
    list.as_array().unwrap().iter().map(|sample| sample["wall_ms"].as_i64().unwrap()).collect()
}

/// How often each moment's count arrived, by the times that flyball gave.
fn arrived(stack: &Stack, start: i64, end: i64) -> BTreeMap<i64, usize> {
    let item = stack.item("web", "flyball.wanted");
    let ask = json!({
        "itemids": [item["itemid"]], "history": 3, "output": "extend",
        "time_from": start / 1_000, "time_till": end / 1_000 + 1,
    });
    let mut times = BTreeMap::new();
    for value in stack.api("history.get", ask).as_array().unwrap() {
        let number = |value: &Value| value.as_str().unwrap().parse::<i64>().unwrap();
        let ms = number(&value["clock"]) * 1_000 + number(&value["ns"]) / 1_000_000;
        if (start..end).contains(&ms) {
            *times.entry(ms).or_default() += 1;
        }
    }
    times
}

/// The mean time between two samples, in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "minutes in milliseconds")]
fn pace(samples: &[i64], start: i64, end: i64) -> f64 {
    let within: Vec<&i64> = samples.iter().filter(|ms| (start..end).contains(ms)).collect();
    (*within[within.len() - 1] - *within[0]) as f64 / (within.len() - 1) as f64
}
