//! Finds the leading Mesos master or Marathon: the valid node with the lowest number, as they do.
//! While ZooKeeper does not answer, the last result stands, because masters lead on without it for
//! a while.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use zookeeper_client::Client;

use crate::{Ensemble, ZookeeperError};

/// As Mesos's own.
const SESSION: Duration = Duration::from_secs(10);
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// A watch reports every change; this is for the one that is lost.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);
/// Masters are three or five.
const NODES_MAX: usize = 100;

/// What is elected, and how its nodes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Elected {
    /// `json.info_NUMBER` with a description in JSON.
    Mesos,
    /// `leader-curator/_c_UUID-latch-NUMBER` with `HOST:PORT`.
    Marathon,
}

impl Elected {
    fn name(self) -> &'static str {
        match self {
            Self::Mesos => "mesos master",
            Self::Marathon => "marathon",
        }
    }

    /// Where its nodes are, below the path that its own settings name.
    fn folder(self, path: &str) -> String {
        match self {
            Self::Mesos => path.to_owned(),
            Self::Marathon => format!("{path}/leader-curator"),
        }
    }

    fn number(self, name: &str) -> Option<u64> {
        let number = match self {
            Self::Mesos => name.strip_prefix("json.info_")?,
            Self::Marathon => name.strip_prefix("_c_")?.rsplit_once("-latch-")?.1,
        };
        number.parse().ok()
    }

    fn address(self, data: &[u8]) -> Option<String> {
        match self {
            Self::Mesos => master_address(data),
            Self::Marathon => plain_address(data),
        }
    }
}

/// The leading master's `HOST:PORT`, kept up to date until every receiver is gone; `None` while
/// none leads, and before the first answer.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn follow_mesos(ensemble: Ensemble) -> watch::Receiver<Option<String>> {
    begin(ensemble, Elected::Mesos)
}

/// The same of the leading Marathon.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn follow_marathon(ensemble: Ensemble) -> watch::Receiver<Option<String>> {
    begin(ensemble, Elected::Marathon)
}

fn begin(ensemble: Ensemble, who: Elected) -> watch::Receiver<Option<String>> {
    let (leader, told) = watch::channel(None);
    tokio::spawn(async move {
        tokio::select! {
            () = follow(&ensemble, who, &leader) => {}
            () = leader.closed() => {}
        }
    });
    told
}

async fn follow(ensemble: &Ensemble, who: Elected, leader: &watch::Sender<Option<String>>) {
    let mut said = None;
    loop {
        let Err(why) = session(ensemble, who, leader).await;
        if said.as_ref() != Some(&why) {
            tracing::warn!("could not refresh the leading {}: {why}", who.name());
            said = Some(why);
        }
        sleep(PAUSE).await;
    }
}

/// Looks until ZooKeeper no longer answers.
async fn session(
    ensemble: &Ensemble,
    who: Elected,
    leader: &watch::Sender<Option<String>>,
) -> Result<std::convert::Infallible, ZookeeperError> {
    let client = ensemble.connect(SESSION).await?;
    let folder = who.folder(&ensemble.path);
    loop {
        let listing = client.list_and_watch_children(&folder);
        let (names, change) = ensemble.ask("list candidates", ASK_LIMIT, listing).await?;
        let found = lowest(ensemble, who, &client, names).await?;
        leader.send_if_modified(|known| {
            let new = *known != found;
            if new {
                tracing::info!(
                    "the leading {} is {}",
                    who.name(),
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
    who: Elected,
    client: &Client,
    names: Vec<String>,
) -> Result<Option<String>, ZookeeperError> {
    for name in in_order(who, names) {
        let path = format!("{}/{name}", who.folder(&ensemble.path));
        let read = ensemble.ask("read a candidate", ASK_LIMIT, client.get_data(&path)).await;
        match read {
            Ok((data, _)) => match who.address(&data) {
                Some(address) => return Ok(Some(address)),
                None => tracing::debug!(path, "a candidate cannot be read"),
            },
            // It may have gone since it was listed.
            Err(ZookeeperError::Refused { why, .. }) => tracing::debug!(path, why, "not read"),
            Err(other) => return Err(other),
        }
    }
    Ok(None)
}

/// The nodes of candidates, the one that came first to the front.
fn in_order(who: Elected, names: Vec<String>) -> Vec<String> {
    let number = |name: &String| who.number(name);
    let mut masters: Vec<(u64, String)> =
        names.into_iter().filter_map(|name| Some((number(&name)?, name))).collect();
    masters.sort();
    masters.truncate(NODES_MAX);
    masters.into_iter().map(|(_, name)| name).collect()
}

/// Where a Marathon is: nothing else is written there.
fn plain_address(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok()?.trim();
    let (host, port) = text.rsplit_once(':')?;
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b));
    let fine = !host.is_empty() && plain && port.parse::<u16>().is_ok_and(|port| port > 0);
    fine.then(|| text.to_owned())
}

/// Where a master is, by what it says of itself.
fn master_address(data: &[u8]) -> Option<String> {
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
        let order = in_order(Elected::Mesos, names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(order, ["json.info_0000000009", "json.info_0000000012"]);
    }

    #[test]
    fn a_master_is_where_it_says_or_unreadable() {
        let info = br#"{"address":{"hostname":"m1","ip":"10.0.0.1","port":5050},"ip":16777343}"#;
        assert_eq!(master_address(info).as_deref(), Some("10.0.0.1:5050"));
        let named = br#"{"address":{"hostname":"m1","port":5050}}"#;
        assert_eq!(master_address(named).as_deref(), Some("m1:5050"));
        for bad in [&b""[..], b"{}", b"\xff\x00", br#"{"address":{"ip":"10.0.0.1","port":0}}"#] {
            assert_eq!(master_address(bad), None);
        }
    }

    #[test]
    fn of_marathons_the_lowest_latch_leads_whatever_else_its_name_says() {
        let names = ["_c_ff-latch-0000000003", "_c_00-latch-0000000007", "latch-1", "_c_x", "lock"];
        let order = in_order(Elected::Marathon, names.map(str::to_owned).to_vec());
        assert_eq!(order, ["_c_ff-latch-0000000003", "_c_00-latch-0000000007"]);
        assert_eq!(plain_address(b"m1.example:8080\n").as_deref(), Some("m1.example:8080"));
        for bad in [&b""[..], b"m1", b":8080", b"m1:0", b"\xff:1", b"http://m1:8080", b"a b:1"] {
            assert_eq!(plain_address(bad), None, "{bad:?}");
        }
    }
}
