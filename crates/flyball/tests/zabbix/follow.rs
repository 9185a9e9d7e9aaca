//! The values in Zabbix are flyball's.

use std::time::Duration;

use serde_json::Value;

use crate::stack::{Stack, until};
use crate::support::Daemon;

const SOON: Duration = Duration::from_secs(30);

/// Shows that the mean and the counts that Zabbix has are those that flyball has, for `count`
/// replicas.
pub(crate) fn agrees(stack: &Stack, daemon: &Daemon, count: f64) {
    until("the same mean and counts here and there", SOON, || {
        let there = stack.last("web", "flyball.cpu.mean")?;
        let here = daemon.service("web")["decision"]["signals"]["mean_cpu"].as_f64()? * 100.0;
        let counts = ["flyball.running", "flyball.wanted", "flyball.nodes.live"];
        let same = counts.iter().all(|key| stack.last("web", key) == Some(count));
        // The windows are the same; their ends are up to an interval apart, a fifth of what is
        // averaged, in which one request more or less arrives.
        let near = (there - here).abs() < 3.0;
        if near && same {
            println!("mean CPU of {count}: {here:.1} % here, {there:.1} % there");
        }
        (near && same).then_some(())
    });
}

/// Shows that since `from_s`, in seconds since 1970, Zabbix's mean was what flyball saw within one
/// interval of reports, one of calculations and one of the record of what flyball saw, a second each,
/// through all steps of the load.
pub(crate) fn kept_up(stack: &Stack, from_s: f64) {
    let since = |key: &str| {
        let all = stack.history("web", key);
        all.into_iter().filter(|(at, _)| *at > from_s).collect::<Vec<_>>()
    };
    let (means, seen) = (since("flyball.cpu.mean"), since("flyball.cpu.seen"));
    let off = |(at, mean): &(f64, f64)| {
        let near = seen.iter().filter(|(seen_at, _)| (at - 3.0..at + 1.0).contains(seen_at));
        let (low, high) = near
            .fold((f64::MAX, f64::MIN), |(low, high), (_, seen)| (low.min(*seen), high.max(*seen)));
        (low - mean).max(mean - high).max(0.0)
    };
    let mut off: Vec<f64> = means.iter().map(off).collect();
    off.sort_by(f64::total_cmp);
    let (most, worst) = (off[off.len() * 95 / 100], off[off.len() - 1]);
    println!(
        "of {} means in Zabbix 95 % were within {most:.1} points of flyball's, all within {worst:.1}",
        off.len()
    );
    assert!(off.len() > 30 && most <= 5.0, "{off:?}");
}

/// Waits until Zabbix's mean has stayed between two limits for a few seconds.
pub(crate) fn settles_between(stack: &Stack, host: &str, low: f64, high: f64) {
    let mut since = std::time::Instant::now();
    until(&format!("a mean between {low} and {high}"), SOON, || {
        let mean = stack.last(host, "flyball.cpu.mean").unwrap_or(-1.0);
        if !(low..high).contains(&mean) {
            since = std::time::Instant::now();
        }
        (since.elapsed() > Duration::from_secs(6)).then_some(())
    });
}

impl Stack {
    /// An item of a host.
    #[track_caller]
    pub(crate) fn item(&self, host: &str, key: &str) -> Value {
        let ask = serde_json::json!({
            "host": host, "filter": { "key_": [key] }, "output": ["itemid", "lastvalue", "lastclock", "state"],
        });
        let found = self.api("item.get", ask);
        assert!(found[0].is_object(), "{host} has no item {key}");
        found[0].clone()
    }

    /// The last value of an item, unless it has none.
    pub(crate) fn last(&self, host: &str, key: &str) -> Option<f64> {
        let item = self.item(host, key);
        if item["state"] != "0" {
            return None;
        }
        item["lastvalue"].as_str()?.parse().ok()
    }

    /// The latest values of a number, newest first, with their times in seconds since 1970.
    #[track_caller]
    pub(crate) fn history(&self, host: &str, key: &str) -> Vec<(f64, f64)> {
        let item = self.item(host, key);
        let ask = serde_json::json!({
            "itemids": [item["itemid"]], "history": 0, "sortfield": "clock", "sortorder": "DESC",
            "output": "extend", "limit": 300,
        });
        let read = |value: &Value| {
            let number = |key: &str| value[key].as_str().unwrap().parse::<f64>().unwrap();
            (number("clock") + number("ns") / 1e9, number("value"))
        };
        self.api("history.get", ask).as_array().unwrap().iter().map(read).collect()
    }

    /// When an item began to be high, before `end_s`: both in seconds since 1970.
    #[track_caller]
    pub(crate) fn high_since(&self, host: &str, key: &str, end_s: f64) -> f64 {
        let values = self.history(host, key);
        let before = values.iter().filter(|(at, _)| *at <= end_s);
        let high = before.take_while(|(_, value)| *value >= 30.0);
        high.last().unwrap_or_else(|| panic!("{key} was not high at {end_s}: {values:?}")).0
    }
}
