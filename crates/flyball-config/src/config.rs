//! A validated configuration. `Debug` shows the names of variables and never their values, which
//! may be secrets.

use std::collections::BTreeMap;
use std::path::Path;

use crate::service::Service;
use crate::systems::{
    Daemon, Docker, Ha, Haproxy, Marathon, Mesos, Notify, NotifyUrl, Proxy, Swarm, Zabbix,
};

/// A validated configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The daemon's own settings.
    pub daemon: Daemon,
    /// The Docker host, for services that run there.
    pub docker: Docker,
    /// The managers of the Swarm, for services that run there.
    pub swarm: Swarm,
    /// The Mesos cluster, for services that run there.
    pub mesos: Mesos,
    /// The Marathon, for apps of it.
    pub marathon: Marathon,
    /// Several flyballs of which one acts, if there are several.
    pub ha: Option<Ha>,
    /// The embedded proxies of services.
    pub proxy: Proxy,
    /// The HAProxy, for services that it balances.
    pub haproxy: Haproxy,
    /// The Zabbix that services are reported to, if any.
    pub zabbix: Option<Zabbix>,
    /// Who is told what needs attention, by the name of the target.
    pub notify: BTreeMap<String, Notify>,
    /// The services of the file by name; at least one unless services are found by labels.
    pub services: BTreeMap<String, Service>,
}

impl Config {
    /// The files that hold a secret, each with its key.
    pub fn secret_files(&self) -> Vec<(&'static str, &Path)> {
        let zabbix = self.zabbix.as_ref();
        let api = zabbix.and_then(|zabbix| zabbix.api.as_ref());
        let key_file = zabbix.and_then(|zabbix| zabbix.own_certificate.as_ref()).map(|own| &own.1);
        let all = [
            ("flyball.token_file", self.daemon.token_file.as_ref()),
            ("flyball.read_token_file", self.daemon.read_token_file.as_ref()),
            ("swarm.agent_token_file", self.swarm.agent_token_file.as_ref()),
            ("mesos.secret_file", self.mesos.secret_file.as_ref()),
            ("marathon.credentials_file", self.marathon.credentials_file.as_ref()),
            ("marathon.token_file", self.marathon.token_file.as_ref()),
            ("zabbix.token_file", api.map(|api| &api.token_file)),
            ("zabbix.key_file", key_file),
        ];
        let of_targets = self.notify.values().flat_map(|target| {
            let url_file = match &target.url {
                NotifyUrl::File(path) => Some(path),
                NotifyUrl::Text(_) => None,
            };
            [("notify.url_file", url_file), ("notify.token_file", target.token_file.as_ref())]
        });
        let all = all.into_iter().chain(of_targets);
        all.filter_map(|(key, path)| Some((key, path?.as_path()))).collect()
    }
}
