//! Zabbix's figures are flyball's.

use std::time::Duration;

use serde_json::Value;

use crate::stack::{Stack, until};
use crate::support::Daemon;

const SOON: Duration = Duration::from_secs(30);

/// Shows that the mean and the counts that Zabbix has are those that flyball has.
pub(crate) fn agrees(stack: &Stack, daemon: &Daemon) {
    until("the same mean here and there", SOON, || {
        let there = stack.last("web", "flyball.cpu.mean")?;
        let here = daemon.service("web")["decision"]["seen"]["mean_cpu"].as_f64()? * 100.0;
        let counts = (stack.last("web", "flyball.running"), stack.last("web", "flyball.wanted"));
        let live = stack.last("web", "flyball.nodes.live");
        // The windows are the same, their ends are up to an interval apart.
        let near = (there - here).abs() < 3.0;
        (near && counts == (Some(1.0), Some(1.0)) && live == Some(1.0)).then_some(())
    });
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
            "host": host, "filter": { "key_": [key] }, "output": ["itemid", "lastvalue", "state"],
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
}
