//! Services that come and go with the labels of Swarm services, or of apps of Marathon.
//!
//! Decides which services the labels describe now, and when one is left alone again. Does not know
//! what labels mean (the configuration does).
//! Invariant: a service that is left alone keeps its count. While nobody answers, nothing
//! changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::{Config, ServiceLabels};
use flyball_docker::swarm::{LabelledSwarm, SwarmManagers};
use flyball_mesos::marathon::{LabelledApp, Marathon};
use tokio::sync::watch;
use tokio::time::sleep;

use super::crew::Crew;

/// They are asked each second or two anyway.
const INTERVAL: Duration = Duration::from_secs(1);
/// A service that was missing so many times in a row is gone: `docker stack rm` and `deploy` again
/// take some seconds.
const ABSENCES_MAX: u32 = 10;

/// What labels need not say, since they are on what runs the tasks.
const ENGINE: &str = "flyball.engine";
const SWARM_NAME: &str = "flyball.swarm-service";
const APP_NAME: &str = "flyball.app";

/// What has services with a count and with labels.
pub(super) enum Source {
    Swarm(Arc<SwarmManagers>),
    Marathon(Arc<Marathon>),
}

impl Source {
    async fn labels(&self) -> Result<ServiceLabels, String> {
        match self {
            Self::Swarm(managers) => {
                let found = managers.discovered().await;
                found.map(|found| labels_of_swarm(&found)).map_err(|error| error.to_string())
            }
            Self::Marathon(marathon) => {
                let found = marathon.discovered().await;
                found.map(|found| labels_of_apps(&found)).map_err(|error| error.to_string())
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

/// Keeps `crew` in step with the labels there until told to stop.
pub(super) async fn follow(
    config: Config,
    source: Source,
    crew: Arc<Crew>,
    mut stop: watch::Receiver<bool>,
) {
    let (kept, told, of) = (BTreeMap::new(), BTreeMap::new(), source.name());
    let mut followed = Followed { config, crew, of, kept, told };
    while !*stop.borrow() {
        match source.labels().await {
            Ok(found) => followed.keep_up(&found).await,
            // That has been said already.
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
    /// What carries the labels.
    of: &'static str,
    /// Those that are looked after, and how often they were missing in a row.
    kept: BTreeMap<String, u32>,
    /// What was said last about each service, so that it is said once.
    told: BTreeMap<String, String>,
}

impl Followed {
    /// Takes in one whole listing.
    async fn keep_up(&mut self, found: &ServiceLabels) {
        let described = self.config.labelled(found);
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
                tracing::info!("{name}: found by the labels of its {}", self.of);
                self.crew.begin(ready);
                self.kept.insert(name, 0);
            }
            Err(failure) => self.tell(&name, &failure.to_string()),
        }
    }

    fn leave_alone(&mut self, found: &ServiceLabels) {
        let of = self.of;
        let (crew, kept) = (&self.crew, &mut self.kept);
        kept.retain(|name, absences| {
            if found.contains_key(name) {
                return true;
            }
            *absences += 1;
            if *absences == ABSENCES_MAX {
                tracing::info!("{name}: left alone: no {of} has its label any more");
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
pub(crate) fn labels_of_swarm(found: &[LabelledSwarm]) -> ServiceLabels {
    let described = |service: &LabelledSwarm| {
        let mut labels = service.labels.clone();
        labels.entry(ENGINE.to_owned()).or_insert_with(|| "swarm".to_owned());
        labels.entry(SWARM_NAME.to_owned()).or_insert_with(|| service.swarm_service.clone());
        (service.service.clone(), labels)
    };
    found.iter().map(described).collect()
}

/// The same of apps.
pub(crate) fn labels_of_apps(found: &[LabelledApp]) -> ServiceLabels {
    let described = |app: &LabelledApp| {
        let mut labels = app.labels.clone();
        labels.entry(ENGINE.to_owned()).or_insert_with(|| "marathon".to_owned());
        labels.entry(APP_NAME.to_owned()).or_insert_with(|| app.app.clone());
        (app.service.clone(), labels)
    };
    found.iter().map(described).collect()
}
