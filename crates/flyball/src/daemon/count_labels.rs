//! Services defined by the labels of Swarm services or Marathon apps. A service that loses its
//! labels keeps its count, and nothing changes while the system does not answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::{Config, Described, ServiceLabels};
use flyball_docker::swarm::{LabelledSwarm, SwarmManagers};
use flyball_mesos::marathon::{LabelledApp, Marathon};
use tokio::sync::watch;
use tokio::time::sleep;

use super::owners::Owners;
use super::said::Said;
use super::supervisor::Supervisor;

/// They are asked each second or two anyway.
const INTERVAL: Duration = Duration::from_secs(1);
/// A service that was missing this many times in a row is gone: `docker stack rm` and `deploy`
/// again take some seconds.
const ABSENCES_MAX: u32 = 10;

/// What has services with a count and with labels.
pub(super) enum Source {
    Swarm(Arc<SwarmManagers>),
    Marathon(Arc<Marathon>),
}

impl Source {
    async fn claims(&self) -> Result<Vec<Claim>, String> {
        match self {
            Self::Swarm(managers) => {
                let found = managers.discovered().await;
                found.map(|found| claims_of_swarm(&found)).map_err(|error| error.to_string())
            }
            Self::Marathon(marathon) => {
                let found = marathon.discovered().await;
                found.map(|found| claims_of_apps(&found)).map_err(|error| error.to_string())
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Swarm(_) => "swarm service",
            Self::Marathon(_) => "app",
        }
    }
}

/// Keeps `supervisor` in step with the labels there until it is stopped.
pub(super) async fn follow(
    config: Config,
    source: Source,
    supervisor: Arc<Supervisor>,
    owners: Owners<String>,
    mut stop: watch::Receiver<bool>,
) {
    let (kept, said, of) = (BTreeMap::new(), Said::default(), source.name());
    let mut followed = Followed { config, supervisor, of, kept, owners, said };
    while !*stop.borrow() {
        match source.claims().await {
            Ok(found) => followed.keep_up(&found).await,
            // The adapter has logged it already.
            Err(error) => tracing::debug!("cannot find services by labels: {error}"),
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            _ = stop.changed() => {}
        }
    }
}

/// A service that is managed, or had an owner in an earlier run.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    /// Whether its loop was begun here.
    begun: bool,
    /// How often it was missing in a row.
    absences: u32,
}

impl Kept {
    /// Whether its loop was asked to end, and may not have ended yet.
    fn is_ending(self) -> bool {
        self.begun && self.absences >= ABSENCES_MAX
    }
}

struct Followed {
    config: Config,
    supervisor: Arc<Supervisor>,
    /// What carries the labels.
    of: &'static str,
    kept: BTreeMap<String, Kept>,
    /// Which of those that carry its label a service is.
    owners: Owners<String>,
    said: Said,
}

impl Followed {
    /// Takes in one whole listing.
    async fn keep_up(&mut self, found: &[Claim]) {
        let (found, refused) = speaking(found, &self.owners);
        for (name, text) in refused {
            self.said.say(&name, &text);
        }
        for (name, claim) in &found {
            if !self.config.services.contains_key(name) {
                self.owners.bind(name, owner(claim).to_owned());
            }
        }
        let described = self.config.labelled(&found);
        for (name, errors) in &described.refused {
            self.said.say(name, &errors.to_string());
        }
        for (name, note) in &described.notes {
            self.said.say(name, note);
        }
        for service in described.services.into_values() {
            self.look_after(service).await;
        }
        self.leave_alone(&found);
        self.said.end_round(&self.supervisor);
    }

    async fn look_after(&mut self, service: flyball_config::Service) {
        let name = service.name.clone();
        if self.kept.get(&name).is_some_and(|kept| kept.begun) {
            return;
        }
        match self.supervisor.prepare(&service, None).await {
            Ok(ready) => {
                tracing::info!("{name}: found by the labels of its {}", self.of);
                self.supervisor.begin(ready);
                self.kept.insert(name, Kept { begun: true, absences: 0 });
            }
            Err(failure) => self.said.say(&name, &failure.to_string()),
        }
    }

    fn leave_alone(&mut self, found: &ServiceLabels) {
        for name in self.owners.services() {
            self.kept.entry(name).or_default();
        }
        let of = self.of;
        let (supervisor, kept, owners) = (&self.supervisor, &mut self.kept, &mut self.owners);
        kept.retain(|name, kept| {
            if found.contains_key(name) {
                if kept.is_ending() {
                    // Once its loop has ended, it starts like any other service that is found.
                    return !supervisor.forget(name);
                }
                kept.absences = 0;
                return true;
            }
            kept.absences += 1;
            if kept.begun && kept.absences == ABSENCES_MAX {
                tracing::info!("{name}: no longer managed: no {of} carries its label any more");
                supervisor.end(name);
            }
            let over = kept.absences >= ABSENCES_MAX && (!kept.begun || supervisor.forget(name));
            if over {
                owners.release(name);
            }
            !over
        });
    }
}

/// A Swarm service or an app whose label names a service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    service: String,
    described: Described,
}

/// What carries the labels, which is also whose they are.
fn owner(described: &Described) -> &str {
    match &described.source {
        flyball_config::Source::Swarm(name) | flyball_config::Source::App(name) => name,
        // No container carries these.
        flyball_config::Source::Container(_) => "",
    }
}

/// For each service the one claim that counts, that of its recorded owner or else the first by
/// name; and remarks on the others.
pub(crate) fn speaking(
    claims: &[Claim],
    owners: &Owners<String>,
) -> (ServiceLabels, Vec<(String, String)>) {
    let mut found = ServiceLabels::new();
    let mut refused = Vec::new();
    for Claim { service, described } in claims {
        let owner = owner(described);
        let bound = owners.of(service).map(String::as_str);
        let bound = bound.or_else(|| found.get(service).map(self::owner));
        match bound.filter(|bound| *bound != owner) {
            None => drop(found.insert(service.clone(), described.clone())),
            Some(bound) => {
                let text = format!("{owner} is ignored: the service belongs to {bound}");
                refused.push((service.clone(), text));
            }
        }
    }
    (found, refused)
}

/// What services of a Swarm claim.
pub(crate) fn claims_of_swarm(found: &[LabelledSwarm]) -> Vec<Claim> {
    let claim = |it: &LabelledSwarm| Claim {
        service: it.service.clone(),
        described: Described {
            labels: it.labels.clone(),
            source: flyball_config::Source::Swarm(it.swarm_service.clone()),
        },
    };
    found.iter().map(claim).collect()
}

/// The same of apps.
pub(crate) fn claims_of_apps(found: &[LabelledApp]) -> Vec<Claim> {
    let claim = |it: &LabelledApp| Claim {
        service: it.service.clone(),
        described: Described {
            labels: it.labels.clone(),
            source: flyball_config::Source::App(it.app.clone()),
        },
    };
    found.iter().map(claim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(id: &str) -> LabelledApp {
        LabelledApp { service: "web".into(), app: id.into(), labels: BTreeMap::new() }
    }

    #[test]
    fn an_app_that_comes_later_takes_no_service_from_the_one_that_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut owners = Owners::open(folder.path().join("owners"));
        let both = claims_of_apps(&[app("/a/evil"), app("/shop/web")]);
        let (found, refused) = speaking(&both, &owners);
        assert_eq!((owner(&found["web"]), refused.len()), ("/a/evil", 1));
        owners.bind("web", "/shop/web".into());
        let (found, refused) = speaking(&both, &owners);
        assert_eq!(owner(&found["web"]), "/shop/web");
        assert_eq!(refused[0].1, "/a/evil is ignored: the service belongs to /shop/web");
        let (found, _) = speaking(&both[..1], &owners);
        assert!(found.is_empty(), "nor while it is gone for a moment");
    }
}
