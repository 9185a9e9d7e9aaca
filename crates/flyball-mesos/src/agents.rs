//! Parses the names and addresses of agents in the forms that Mesos uses. No name is resolved: an
//! agent without a numeric address is unknown, because its tasks could not be reached.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    /// What people call its machine.
    pub(crate) name: String,
    /// Where its own API is.
    pub(crate) at: SocketAddr,
    /// What the paths of that API begin with, such as `/slave(1)`.
    pub(crate) path: String,
    /// Whether the master hears of it.
    pub(crate) active: bool,
}

impl Agent {
    /// As in an offer: `{"address":{"hostname":...,"ip":...,"port":...},"path":"/slave(1)"}`.
    pub(crate) fn of_url(url: &Value) -> Option<Self> {
        let address = url.get("address")?;
        let ip: IpAddr = address.get("ip")?.as_str()?.parse().ok()?;
        let port = u16::try_from(address.get("port")?.as_u64()?).ok()?;
        let path = url.get("path").and_then(Value::as_str).unwrap_or_default();
        let name = address.get("hostname").and_then(Value::as_str).unwrap_or_default();
        Self::at(name, SocketAddr::new(ip, port), path.trim_start_matches('/'))
    }

    /// As in a list of agents: its `hostname`, and its `pid`, such as `slave(1)@10.0.0.5:5051`.
    pub(crate) fn of_pid(name: &str, pid: &str) -> Option<Self> {
        let (actor, at) = pid.split_once('@')?;
        Self::at(name, at.parse().ok()?, actor)
    }

    fn at(name: &str, at: SocketAddr, actor: &str) -> Option<Self> {
        let plain = actor.bytes().all(|b| b.is_ascii_alphanumeric() || b"()_-".contains(&b));
        plain.then(|| Self {
            name: if name.is_empty() { at.ip().to_string() } else { name.to_owned() },
            at,
            path: format!("/{}", if actor.is_empty() { "slave(1)" } else { actor }),
            active: true,
        })
    }

    /// Where a task's port is reached.
    pub(crate) fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.at.ip(), port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_the_same_in_an_offer_and_in_a_list() {
        let url = serde_json::json!({
            "scheme": "http", "path": "/slave(1)", "query": [], "fragment": "",
            "address": { "hostname": "n1", "ip": "10.0.0.5", "port": 5051 },
        });
        let agent = Agent::of_url(&url).unwrap();
        assert_eq!(Some(&agent), Agent::of_pid("n1", "slave(1)@10.0.0.5:5051").as_ref());
        assert_eq!(agent.address(31_000).to_string(), "10.0.0.5:31000");
        assert_eq!(Agent::of_pid("", "slave(1)@10.0.0.5:5051").unwrap().name, "10.0.0.5");
        for bad in ["", "slave(1)", "slave(1)@host:5051", "a b@1.2.3.4:5", "../x@1.2.3.4:5"] {
            assert_eq!(Agent::of_pid("n1", bad), None, "{bad}");
        }
    }
}
