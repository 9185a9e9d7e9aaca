//! Services that come and go with the labels of Swarm services.
//!
//! Decides which services the labels describe now, and when one is left alone again. Does not know
//! what labels mean (the configuration does).
//! Invariant: a service that is left alone keeps its count. While no manager answers, nothing
//! changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::{Config, ServiceLabels};
use flyball_docker::swarm::{LabelledSwarm, SwarmManagers};
use tokio::sync::watch;
use tokio::time::sleep;

use super::crew::Crew;

/// The managers are asked each second anyway.
const INTERVAL: Duration = Duration::from_secs(1);
/// A service that was missing so many times in a row is gone: `docker stack rm` and `deploy` again
/// take some seconds.
const ABSENCES_MAX: u32 = 10;

/// What labels of a Swarm service need not say, since they are on one.
const ENGINE: &str = "flyball.engine";
const NAME: &str = "flyball.swarm-service";

/// Keeps `crew` in step with the labels in the Swarm until told to stop.
pub(super) async fn follow(
    config: Config,
    managers: Arc<SwarmManagers>,
    crew: Arc<Crew>,
    mut stop: watch::Receiver<bool>,
) {
    let mut followed = Followed { config, crew, kept: BTreeMap::new(), told: BTreeMap::new() };
    while !*stop.borrow() {
        match managers.discovered().await {
            Ok(found) => followed.keep_up(&found).await,
            // The managers say so themselves.
            Err(error) => tracing::debug!("services cannot be found by labels: {error}"),
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            _ = stop.changed() => {}
        }
    }
}

struct Followed {
    config: Config,
    crew: Arc<Crew>,
    /// Those that are looked after, and how often they were missing in a row.
    kept: BTreeMap<String, u32>,
    /// What was said last about each service, so that it is said once.
    told: BTreeMap<String, String>,
}

impl Followed {
    /// Takes in one whole listing.
    async fn keep_up(&mut self, found: &[LabelledSwarm]) {
        let described = self.config.labelled(&labels_of(found));
        for (name, errors) in &described.refused {
            self.tell(name, &errors.to_string());
        }
        for (name, note) in &described.notes {
            self.tell(name, note);
        }
        for service in described.services.into_values() {
            self.look_after(service).await;
        }
        self.leave_alone(found);
    }

    async fn look_after(&mut self, service: flyball_config::Service) {
        let name = service.name.clone();
        if let Some(absences) = self.kept.get_mut(&name) {
            *absences = 0;
            return;
        }
        match self.crew.prepare(&service).await {
            Ok(ready) => {
                self.told.remove(&name);
                tracing::info!("{name}: found by the labels of its swarm service");
                self.crew.begin(ready);
                self.kept.insert(name, 0);
            }
            Err(failure) => self.tell(&name, &failure.to_string()),
        }
    }

    fn leave_alone(&mut self, found: &[LabelledSwarm]) {
        let (crew, kept) = (&self.crew, &mut self.kept);
        kept.retain(|name, absences| {
            if found.iter().any(|service| service.service == *name) {
                return true;
            }
            *absences += 1;
            if *absences == ABSENCES_MAX {
                tracing::info!("{name}: left alone: no swarm service has its label any more");
                crew.end(name);
            }
            *absences < ABSENCES_MAX || !crew.forget(name)
        });
    }

    fn tell(&mut self, name: &str, what: &str) {
        if self.told.get(name).is_none_or(|told| told != what) {
            self.told.insert(name.to_owned(), what.to_owned());
            tracing::warn!("{name}: {what}");
        }
    }
}

/// The labels of each service, with what goes without saying.
pub(crate) fn labels_of(found: &[LabelledSwarm]) -> ServiceLabels {
    let described = |service: &LabelledSwarm| {
        let mut labels = service.labels.clone();
        labels.entry(ENGINE.to_owned()).or_insert_with(|| "swarm".to_owned());
        labels.entry(NAME.to_owned()).or_insert_with(|| service.swarm_service.clone());
        (service.service.clone(), labels)
    };
    found.iter().map(described).collect()
}
