//! Assigns template servers to replicas where HAProxy cannot add servers at run time. A template
//! server has no name of its own, so one that already has the replica's address belongs to that
//! replica. No template server serves two replicas.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::settings::TemplateServers;
use crate::stat::{Admin, Server, Snapshot};

/// The template servers that are still free, during one look.
pub(crate) struct FreeServers<'a> {
    open: BTreeMap<&'a str, &'a Server>,
}

impl<'a> FreeServers<'a> {
    pub(crate) fn new(template_servers: &TemplateServers, snapshot: &'a Snapshot) -> Self {
        let all = snapshot.servers.iter().map(|(name, server)| (name.as_str(), server));
        Self { open: all.filter(|(name, _)| template_servers.has(name)).collect() }
    }

    /// Takes `template server`; false if there is none.
    pub(crate) fn take(&mut self, template_server: &str) -> bool {
        self.open.remove(template_server).is_some()
    }

    /// Takes the template server in use that has `address`, or else a free one.
    pub(crate) fn claim(&mut self, address: SocketAddr) -> Option<String> {
        let has = |s: &Server| s.is_used() && s.address == Some(address);
        let free = |s: &Server| !s.is_used() && s.in_flight == 0;
        let found = |fits: &dyn Fn(&Server) -> bool| {
            self.open.iter().find(|(_, server)| fits(server)).map(|(name, _)| *name)
        };
        let name = found(&has).or_else(|| found(&free))?;
        self.open.remove(name);
        Some(name.to_owned())
    }

    /// The open template servers that are in use, with their addresses.
    pub(crate) fn in_use(&self) -> impl Iterator<Item = (&str, &Server, SocketAddr)> {
        let open = self.open.iter().filter(|(_, server)| server.is_used());
        open.filter_map(|(name, server)| Some((*name, *server, server.address?)))
    }
}

impl Server {
    /// Whether it serves a replica, or still has requests to finish.
    pub(crate) fn is_used(&self) -> bool {
        self.admin != Admin::Maintenance
    }
}

impl TemplateServers {
    /// Whether `name` is one of them.
    pub(crate) fn has(&self, name: &str) -> bool {
        let number = name.strip_prefix(&self.prefix).and_then(|n| n.parse::<u32>().ok());
        number.is_some_and(|n| (1..=self.count).contains(&n))
    }

    /// Their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        (1..=self.count).map(|number| format!("{}{number}", self.prefix))
    }
}
