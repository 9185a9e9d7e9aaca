//! Which Mesos master leads.
//!
//! Decides it as Mesos itself does: of the nodes `json.info_NUMBER` that masters keep, the one with
//! the lowest number, passing over what is no such node. Invariant: while ZooKeeper cannot be asked
//! the last answer stands, for masters lead on without it for a while.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use zookeeper_client::Client;

use crate::{Ensemble, ZookeeperError};

/// As Mesos's own.
const SESSION: Duration = Duration::from_secs(10);
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// A watch tells of every change; this is for the one that is lost.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);
/// Masters are three or five.
const NODES_MAX: usize = 100;
const PREFIX: &str = "json.info_";

/// The leading master's `HOST:PORT`, kept up to date until every receiver is gone; `None` while
/// none leads, and before the first answer.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn follow_mesos(ensemble: Ensemble) -> watch::Receiver<Option<String>> {
    let (leader, told) = watch::channel(None);
    tokio::spawn(async move {
        tokio::select! {
            () = follow(&ensemble, &leader) => {}
            () = leader.closed() => {}
        }
    });
    told
}

async fn follow(ensemble: &Ensemble, leader: &watch::Sender<Option<String>>) {
    let mut said = None;
    loop {
        let Err(why) = session(ensemble, leader).await;
        if said.as_ref() != Some(&why) {
            tracing::warn!("who leads mesos is not known anew: {why}");
            said = Some(why);
        }
        sleep(PAUSE).await;
    }
}

/// Looks until ZooKeeper no longer answers.
async fn session(
    ensemble: &Ensemble,
    leader: &watch::Sender<Option<String>>,
) -> Result<std::convert::Infallible, ZookeeperError> {
    let client = ensemble.connect(SESSION).await?;
    loop {
        let listing = client.list_and_watch_children(&ensemble.path);
        let (names, change) = ensemble.ask("list masters", ASK_LIMIT, listing).await?;
        let found = lowest(ensemble, &client, names).await?;
        leader.send_if_modified(|known| {
            let new = *known != found;
            if new {
                tracing::info!(
                    "the leading mesos master is {}",
                    found.as_deref().unwrap_or("none")
                );
                *known = found;
            }
            new
        });
        let _looked_at_again_either_way = timeout(LOOK_AGAIN, change.changed()).await;
    }
}

async fn lowest(
    ensemble: &Ensemble,
    client: &Client,
    names: Vec<String>,
) -> Result<Option<String>, ZookeeperError> {
    for name in in_order(names) {
        let path = format!("{}/{name}", ensemble.path);
        let read = ensemble.ask("read a master", ASK_LIMIT, client.get_data(&path)).await;
        match read {
            Ok((data, _)) => match address(&data) {
                Some(address) => return Ok(Some(address)),
                None => tracing::debug!(path, "no master that can be read"),
            },
            // It may have gone since it was listed.
            Err(ZookeeperError::Refused { why, .. }) => tracing::debug!(path, why, "not read"),
            Err(other) => return Err(other),
        }
    }
    Ok(None)
}

/// The nodes of masters, the one that came first to the front.
fn in_order(names: Vec<String>) -> Vec<String> {
    let number = |name: &String| name.strip_prefix(PREFIX)?.parse::<u64>().ok();
    let mut masters: Vec<(u64, String)> =
        names.into_iter().filter_map(|name| Some((number(&name)?, name))).collect();
    masters.sort();
    masters.truncate(NODES_MAX);
    masters.into_iter().map(|(_, name)| name).collect()
}

/// Where a master is, by what it says of itself.
fn address(data: &[u8]) -> Option<String> {
    let info: Value = serde_json::from_slice(data).ok()?;
    let place = info.get("address")?;
    let text = |key: &str| place.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let host = text("ip").or_else(|| text("hostname"))?;
    let port = place.get("port")?.as_u64().filter(|port| (1..=65_535).contains(port))?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Some(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_number_leads_and_other_nodes_are_passed_over() {
        let names = [
            "json.info_0000000012",
            "log_replicas",
            "info_0000000001",
            "json.info_",
            "json.info_0000000009",
            "json.info_x",
        ];
        let order = in_order(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(order, ["json.info_0000000009", "json.info_0000000012"]);
    }

    #[test]
    fn a_master_is_where_it_says_or_unreadable() {
        let info = br#"{"address":{"hostname":"m1","ip":"10.0.0.1","port":5050},"ip":16777343}"#;
        assert_eq!(address(info).as_deref(), Some("10.0.0.1:5050"));
        let named = br#"{"address":{"hostname":"m1","port":5050}}"#;
        assert_eq!(address(named).as_deref(), Some("m1:5050"));
        for bad in [&b""[..], b"{}", b"\xff\x00", br#"{"address":{"ip":"10.0.0.1","port":0}}"#] {
            assert_eq!(address(bad), None);
        }
    }
}
