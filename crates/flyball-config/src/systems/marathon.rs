//! The `[marathon]` table.

use std::path::PathBuf;

use super::permits::PERMITS;
use super::{Ensemble, Permits};
use crate::reader::{FLAG, Field, MARATHON, PATH, Reports, section};

section! {
    /// The Marathon for services with `engine = "marathon"`. CPU usage is read from the agents of
    /// the cluster in `[mesos]`.
    MarathonKeys "marathon" {
        /// The addresses of Marathon instances, in the order in which they are tried:
        /// `http://HOST:PORT,HOST:PORT`, or with TLS `https://HOST:PORT,HOST:PORT`. Or the
        /// ZooKeeper through which flyball finds and follows the leader:
        /// `zk://HOST:PORT,HOST:PORT/marathon`.
        url: (MarathonPlace, bool) = MARATHON, default "\"http://127.0.0.1:8080\"";
        /// CA certificates (PEM) to trust for Marathon.
        ca_file: Option<PathBuf> = PATH, optional "the system's";
        /// Whether services are found by the labels of apps. `false`: all labels are ignored.
        labels: Option<bool> = FLAG, optional "true if this table is present";
        /// What labels may set.
        permits: Permits = PERMITS, group "";
        /// A file with `USER:PASSWORD` on one line, for a Marathon that requires HTTP basic
        /// authentication. It is read again for each connection.
        credentials_file: Option<PathBuf> = PATH, optional "no credentials";
        /// A file with a DC/OS token, as an alternative to `credentials_file`. It is read again for
        /// each connection.
        token_file: Option<PathBuf> = PATH, optional "no token";
    }
}

/// A Marathon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marathon {
    /// Where it is found.
    pub place: MarathonPlace,
    /// Whether it is asked with TLS.
    pub tls: bool,
    /// Who may sign for it; `None`: whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// A file with `USER:PASSWORD`, which it is shown.
    pub credentials_file: Option<PathBuf>,
    /// A file with a token of DC/OS, which it is shown.
    pub token_file: Option<PathBuf>,
    /// Whether services are also to be found by the labels of apps.
    pub labels: bool,
    /// Whether `flyball.hold=true` is obeyed: unless the file says that no label is.
    pub obeys_hold: bool,
    /// What those may say.
    pub permits: Permits,
}

/// How a Marathon is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarathonPlace {
    /// At each of these `HOST:PORT`; at least one.
    At(Vec<String>),
    /// By what Marathons write into ZooKeeper.
    Elected(Ensemble),
}

pub(crate) fn marathon(table: Field<MarathonKeys>, reports: &mut Reports) -> Option<Marathon> {
    let given = !table.is_absent();
    let keys = table.value?;
    let both = (&keys.credentials_file.value, &keys.token_file.value);
    if let (Some(Some(_)), Some(Some(_))) = both {
        let instead = "keep the one that Marathon requires";
        keys.token_file.refuse_beside("credentials_file", instead, reports);
    }
    let (place, tls) = keys.url.value?;
    let labels = keys.labels.value?;
    Some(Marathon {
        place,
        tls,
        ca_file: keys.ca_file.value?,
        credentials_file: keys.credentials_file.value?,
        token_file: keys.token_file.value?,
        labels: labels.unwrap_or(given),
        obeys_hold: labels.unwrap_or(true),
        permits: keys.permits.value?,
    })
}
