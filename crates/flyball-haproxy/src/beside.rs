//! What a backend has besides flyball's servers: the opt-in, and the other servers' weights.

use crate::mark;
use crate::settings::TemplateServers;
use crate::stat::{Admin, Server, Snapshot};

/// The disabled server by which a backend's own configuration asks for flyball.
pub(crate) const MARKER: &str = "flyball";

/// HAProxy's own bound.
const WEIGHT_MAX: u16 = 256;

/// Whether the backend's configuration asks for flyball. An enabled server of that name is just a
/// server.
pub(crate) fn asks(snapshot: &Snapshot) -> bool {
    snapshot.servers.get(MARKER).is_some_and(|server| server.admin == Admin::Maintenance)
}

/// The servers of flyball's, by name.
pub(crate) fn ours<'a>(
    snapshot: &'a Snapshot,
    template_servers: Option<&'a TemplateServers>,
) -> impl Iterator<Item = (&'a str, &'a Server)> {
    servers(snapshot).filter(move |(name, _)| is_ours(name, template_servers))
}

/// The servers of others, by name; those that share the requests are no backups.
pub(crate) fn others<'a>(
    snapshot: &'a Snapshot,
    template_servers: Option<&'a TemplateServers>,
) -> impl Iterator<Item = (&'a str, &'a Server)> {
    let own = [MARKER, mark::ACTIVATOR];
    servers(snapshot)
        .filter(move |(name, _)| !is_ours(name, template_servers) && !own.contains(name))
}

fn servers(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &Server)> {
    snapshot.servers.iter().map(|(name, server)| (name.as_str(), server))
}

fn is_ours(name: &str, template_servers: Option<&TemplateServers>) -> bool {
    template_servers.map_or_else(
        || mark::replica(name).is_some(),
        |template_servers| template_servers.has(name),
    )
}

/// The weight of flyball's servers: `own` where they are alone, else the least that a server of
/// another server has, so that no hand-written one loses more than an equal share.
pub(crate) fn weight(
    snapshot: &Snapshot,
    template_servers: Option<&TemplateServers>,
    own: u16,
) -> u16 {
    let sharing = others(snapshot, template_servers).filter(|(_, server)| !server.is_backup);
    let theirs = sharing.filter_map(|(_, server)| server.weight);
    theirs.filter(|weight| *weight > 0).min().map_or(own, |weight| weight.min(WEIGHT_MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::settings::Mode;
    use crate::stat::{Backend, Process};

    fn server(weight: u16) -> Server {
        Server {
            admin: Admin::Ready,
            address: None,
            in_flight: 0,
            served: 0,
            good: 0,
            is_backup: false,
            weight: Some(weight),
            id: None,
            coming: false,
            fault: None,
        }
    }

    fn snapshot(servers: &[(&str, Server)]) -> Snapshot {
        let servers = servers.iter().map(|(name, server)| ((*name).to_owned(), server.clone()));
        let servers: BTreeMap<_, _> = servers.collect();
        let backend = Backend {
            arrivals: 0,
            errors: 0,
            failures: flyball_core::observation::FailureCounts::default(),
            queued: 0,
            algorithm: "leastconn".to_owned(),
            cookie: String::new(),
            mode: Mode::Http,
        };
        Snapshot { process: Process::default(), backend, servers }
    }

    #[test]
    fn a_backend_asks_for_flyball_by_a_disabled_server_of_its_name() {
        let disabled = Server { admin: Admin::Maintenance, ..server(1) };
        assert!(asks(&snapshot(&[("flyball", disabled.clone())])));
        assert!(!asks(&snapshot(&[("flyball", server(1))])));
        assert!(!asks(&snapshot(&[("Flyball", disabled)])));
        assert!(!asks(&snapshot(&[])));
    }

    #[test]
    fn beside_others_flyballs_servers_have_the_least_weight_that_one_of_them_has() {
        let ours = ("fb-web-1", server(100));
        let marker = ("flyball", server(1));
        let spare = ("spare", Server { is_backup: true, ..server(1) });
        let alone = snapshot(&[ours.clone(), marker.clone(), spare.clone()]);
        assert_eq!(weight(&alone, None, 100), 100);
        let drained = ("drained", server(0));
        let beside = [ours, marker, spare, ("blue", server(7)), ("green", server(20)), drained];
        assert_eq!(weight(&snapshot(&beside), None, 100), 7);
        let template_servers = TemplateServers { prefix: "dyn".into(), count: 2 };
        let templated = snapshot(&[("dyn1", server(1)), ("dyn2", server(1)), ("dyn3", server(3))]);
        assert_eq!(weight(&templated, Some(&template_servers), 100), 3);
    }
}
