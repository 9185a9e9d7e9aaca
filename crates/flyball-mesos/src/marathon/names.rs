//! Resolves agents that Marathon gives by name, at most once a minute.
//!
//! A name that cannot be resolved has no address, rather than an outdated one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::task::Names;

/// How long an address counts.
const FRESH: Duration = Duration::from_secs(60);
/// All names that are asked for at once are waited for so long.
const LIMIT: Duration = Duration::from_secs(2);
/// Names that are asked for at once; the others are in the next look.
const AT_ONCE: usize = 64;

/// Names and what they led to, with the time they were asked for.
#[derive(Debug, Default)]
pub(super) struct Resolver(BTreeMap<String, (Option<IpAddr>, Instant)>);

impl Resolver {
    /// The addresses of those `hosts` that are names.
    pub(super) async fn resolve<'a>(&mut self, hosts: impl Iterator<Item = &'a str>) -> Names {
        let names: BTreeSet<&str> = hosts.filter(|host| host.parse::<IpAddr>().is_err()).collect();
        self.0.retain(|name, _| names.contains(name.as_str()));
        let stale = |name: &&&str| self.0.get(**name).is_none_or(|(_, at)| at.elapsed() > FRESH);
        let due: Vec<String> =
            names.iter().filter(stale).take(AT_ONCE).map(|name| (*name).to_owned()).collect();
        let mut lookups = JoinSet::new();
        for name in due {
            lookups.spawn(async move {
                let found = timeout(LIMIT, lookup_host((name.as_str(), 0))).await;
                let first = found.ok().and_then(Result::ok).and_then(|mut all| all.next());
                (name, first.map(|at| at.ip()))
            });
        }
        while let Some(done) = lookups.join_next().await {
            let Ok((name, found)) = done else { continue };
            if found.is_none() {
                tracing::warn!("the agent {name} has no address here: its tasks get no requests");
            }
            self.0.insert(name, (found, Instant::now()));
        }
        self.0.iter().filter_map(|(name, (ip, _))| Some((name.clone(), (*ip)?))).collect()
    }
}
