//! The name of the machine that HAProxy runs on.

use crate::haproxy::Haproxy;
use crate::settings::HaproxySettings;
use crate::wire::Wire;

impl Haproxy {
    /// The host name of HAProxy's machine, or of its container; `None` while it does not answer.
    /// One call.
    pub async fn node(&self) -> Option<String> {
        node(&self.shared.wire).await
    }

    /// The same of a HAProxy that is not connected to. Asks, and changes nothing.
    pub async fn node_at(settings: &HaproxySettings) -> Option<String> {
        node(&Wire::new(settings.socket.clone(), settings.call_limit_ms)).await
    }
}

async fn node(wire: &Wire) -> Option<String> {
    let info = wire.ask("show info").await.ok()?;
    name_in(&info).map(str::to_owned)
}

fn name_in(info: &str) -> Option<&str> {
    let name = info.lines().find_map(|line| line.strip_prefix("node: "))?.trim();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_among_everything_else() {
        let info = "Name: HAProxy\nVersion: 2.6.12\nnode: 4a9ce1d80f00\nStopping: 0\n";
        assert_eq!(name_in(info), Some("4a9ce1d80f00"));
        assert_eq!(name_in("Name: HAProxy\nnode: \n"), None);
        assert_eq!(name_in("Name: HAProxy\n"), None);
    }
}
