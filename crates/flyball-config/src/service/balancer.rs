//! The balancer of a service, from its keys. Its claims are returned even if the rest is wrong, so
//! that the same run reports a clash.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{ServiceKeys, sleep};
use crate::claims::{Claim, Claims};
use crate::reader::{
    ConfigError, FLAG, Field, HAPROXY_NAME, LINES, OPTIONS, PATH, Reports, count, section, table,
};

section! {
    /// The HAProxy backend to manage. Each service needs its own.
    BackendKeys "services.NAME.haproxy" {
        /// The name of the backend in HAProxy's configuration.
        backend: Option<String> = HAPROXY_NAME, optional "the service's name", label Always;
        /// A file below `directory` in `[haproxy]` that holds the whole backend. Flyball creates it
        /// at start-up and updates it after every change, so that the servers survive a reload of
        /// HAProxy. Once the file exists, start HAProxy with it in addition to its own: `haproxy -f
        /// haproxy.cfg -f FILE`.
        file: Option<PathBuf> = PATH, optional "no file", label Never;
        /// Lines of that file besides the servers, such as `["balance leastconn"]`: backend
        /// directives that neither read nor run anything on disk.
        lines: Vec<String> = LINES, default "[]", label Never;
        /// The servers of a `server-template` line, to use with HAProxy before 2.6.
        template: Option<TemplateKeys> = table::<TemplateKeys>(), optional
            "servers are created as needed", label Allowed;
        /// Whether HAProxy also checks the servers, in addition to flyball's own probe, and takes
        /// out a server that returns 10 errors in a row (`observe`).
        check: Option<bool> = FLAG, optional
            "true where the backend has `mode http`", label Allowed;
        /// More options for each server, such as `"ssl verify none"`, in the file and at run time
        /// (`default-server` lines do not apply to servers that are created at run time). Options
        /// for checks replace flyball's own.
        options: String = OPTIONS, default "\"\"", label Allowed;
    }
}

section! {
    /// The servers that a line `server-template PREFIX COUNT 127.0.0.1:1 disabled` creates.
    TemplateKeys "services.NAME.haproxy.template" => pub Template {
        /// The prefix of the servers' names.
        prefix: String = HAPROXY_NAME, required "\"fb\"", label Allowed;
        /// The number of servers.
        count: u32 = count(1, 10_000), required "50", label Allowed;
    }
}

/// What spreads requests over the replicas of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balancer {
    /// The embedded proxy.
    Proxy {
        /// Where it takes requests; port 0: any free one.
        listen: SocketAddr,
        /// Requests that one replica works on at once; `None`: not limited.
        slots: Option<u32>,
        /// Paths (with `/` in front) and parts of user agents whose requests neither wake the
        /// service nor keep it awake.
        ignore: Vec<String>,
    },
    /// A backend of the HAProxy.
    Haproxy {
        /// The backend, which no other service has.
        backend: Backend,
        /// Requests that one replica works on at once, its `maxconn`; `None`: not limited.
        slots: Option<u32>,
    },
    /// Nothing, or something that flyball does not know.
    None,
}

/// A backend of HAProxy whose servers are the replicas of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// A file with the whole backend that flyball keeps current.
    pub file: Option<OwnedFile>,
    /// The template servers to use, for HAProxy before 2.6, which cannot make servers at run time.
    pub template: Option<Template>,
    /// Whether HAProxy checks the servers, too; `None`: where the backend is HTTP.
    pub check: Option<bool>,
    /// More words of each server, which HAProxy may refuse.
    pub options: String,
    /// Whether HAProxy's own configuration must ask for flyball: labels named the backend.
    pub must_ask: bool,
}

/// A file that only flyball writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedFile {
    /// Where it is.
    pub path: PathBuf,
    /// The lines of the backend beside its servers, each without a line end.
    pub lines: Vec<String>,
}

/// The balancer of the service `name`, and what the service wants for itself.
pub(super) fn balancer(
    keys: &ServiceKeys,
    name: &str,
    reports: &mut Reports,
) -> (Option<Balancer>, Claims) {
    let mut claims = Claims::default();
    let balancer = match keys.balancer.value {
        None => None,
        Some("none") => Some(Balancer::None),
        Some("haproxy") => haproxy(&keys.haproxy, name, &mut claims, reports)
            .and_then(|backend| Some(Balancer::Haproxy { backend, slots: keys.slots.value? })),
        Some("proxy") => {
            claims.listen = Claim::of(&keys.listen, keys.listen.value);
            let (listen, slots) = (keys.listen.value, keys.slots.value);
            listen
                .zip(slots)
                .zip(sleep::ignored(keys))
                .map(|((listen, slots), ignore)| Balancer::Proxy { listen, slots, ignore })
        }
        // A name in BALANCERS without an arm above: refused, never a proxy by accident.
        Some(name) => {
            keys.balancer.refuse(
                &format!("{name} cannot be built"),
                "use another balancer",
                reports,
            );
            None
        }
    };
    (balancer, claims)
}

fn haproxy(
    table: &Field<BackendKeys>,
    service: &str,
    claims: &mut Claims,
    reports: &mut Reports,
) -> Option<Backend> {
    let keys = table.value.as_ref()?;
    let name = keys.backend.value.clone().map(|name| name.unwrap_or_else(|| service.to_owned()));
    claims.backend = Claim::of(&keys.backend, name.clone());
    claims.file = Claim::of(&keys.file, keys.file.value.clone().flatten());
    let lines = keys.lines.value.clone();
    if keys.file.is_absent() && lines.as_ref().is_some_and(|lines| !lines.is_empty()) {
        let example = keys.file.assign("\"/etc/haproxy/flyball.cfg\"");
        let instead = format!("add {example}, the file for these lines");
        keys.lines.report(ConfigError::setting(&keys.file.path, ": missing", instead), reports);
    }
    let lines = lines?;
    let template = keys.template.value.clone()?;
    Some(Backend {
        name: name?,
        file: keys.file.value.clone()?.map(|path| OwnedFile { path, lines }),
        template: match template {
            Some(template) => Some(template.all()?),
            None => None,
        },
        check: keys.check.value?,
        options: keys.options.value.clone()?,
        must_ask: false,
    })
}
