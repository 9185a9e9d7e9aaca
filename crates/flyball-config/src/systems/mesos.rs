//! The `[mesos]` table.

use std::path::PathBuf;

use super::Ensemble;
use crate::reader::{
    FLAG, MESOS_MASTER, PATH, PRINCIPAL, Reports, TEXT, TOKEN_FILE, of_nothing, section,
};

section! {
    /// The Mesos cluster for services with `engine = "mesos"`. Flyball registers as one framework
    /// named `flyball`. Its id is in `state_dir`; if you lose that, flyball loses its tasks.
    MesosKeys "mesos" {
        /// The address of a master (with TLS: `https://HOST:PORT`), or the ZooKeeper through which
        /// flyball finds and follows the leading master: `zk://HOST:PORT,HOST:PORT/mesos`.
        master: (MesosMaster, Option<bool>) = MESOS_MASTER, default "\"http://127.0.0.1:5050\"";
        /// The role whose resources are used; `*` for unreserved resources.
        role: String = TEXT, default "\"*\"";
        /// Whether to connect to masters and agents with TLS. Their certificates must name the
        /// addresses that flyball connects to. Only with `zk://`.
        tls: Option<bool> = FLAG, optional "true where `master` begins with `https://`";
        /// CA certificates (PEM) to trust for masters and agents.
        ca_file: Option<PathBuf> = PATH, optional "the system's";
        /// The principal of the framework. With `secret_file`, it is also the user name for masters
        /// and agents that require HTTP basic authentication.
        principal: String = PRINCIPAL, default "\"flyball\"";
        /// A file with the principal's secret. It is read again when it changes.
        secret_file: Option<PathBuf> = TOKEN_FILE, optional "no authentication";
    }
}

/// A Mesos cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mesos {
    /// Where its leading master is found.
    pub master: MesosMaster,
    /// The role that resources are offered to.
    pub role: String,
    /// Whether masters and agents are asked with TLS.
    pub tls: bool,
    /// Who may sign for them; `None`: those whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Who flyball is there.
    pub principal: String,
    /// The file with the secret; `None`: no authentication.
    pub secret_file: Option<PathBuf>,
}

/// How the leading master of a Mesos cluster is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MesosMaster {
    /// At this `HOST:PORT`, or where that one says.
    At(String),
    /// By what masters write into ZooKeeper.
    Elected(Ensemble),
}

impl Default for Mesos {
    fn default() -> Self {
        of_nothing(MesosKeys::mesos)
    }
}

impl MesosKeys {
    pub(crate) fn mesos(self, reports: &mut Reports) -> Option<Mesos> {
        let by_address = self.master.given().and_then(|((_, tls), _)| *tls);
        if let (Some(by_address), Some((Some(given), _))) = (by_address, self.tls.given())
            && *given != by_address
        {
            let scheme = if *given { "https" } else { "http" };
            let what = format!("{given} is not consistent with the scheme of master");
            let instead = format!("write master = \"{scheme}://HOST:PORT\" and remove tls");
            self.tls.refuse(&what, &instead, reports);
        }
        let (master, by_address) = self.master.value?;
        Some(Mesos {
            master,
            role: self.role.value?,
            tls: self.tls.value?.unwrap_or(false) || by_address == Some(true),
            ca_file: self.ca_file.value?,
            principal: self.principal.value?,
            secret_file: self.secret_file.value?,
        })
    }
}
