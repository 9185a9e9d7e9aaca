//! Services that come and go with the labels of containers.
//!
//! Decides which services the labels describe now, and keeps the crew in step with that. Does not
//! know what labels mean (the configuration does). Invariant: a service is let go only after its
//! containers were missing several times over; while Docker does not answer, nothing changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::{Config, ServiceLabels};
use flyball_docker::DockerHost;
use tokio::sync::watch;
use tokio::time::sleep;

use super::crew::Crew;

/// Containers come and go in seconds, so looking more often would find nothing more.
const INTERVAL: Duration = Duration::from_secs(2);
/// A service whose containers were missing so many times in a row is gone; once may be a recreation.
const MISSES_MAX: u32 = 5;

/// Keeps `crew` in step with the labels on `host` until told to stop.
pub(super) async fn follow(
    config: Config,
    host: Arc<DockerHost>,
    crew: Arc<Crew>,
    mut stop: watch::Receiver<bool>,
) {
    let mut followed = Followed { config, crew, misses: BTreeMap::new(), told: BTreeMap::new() };
    while !*stop.borrow() {
        match host.discover().await {
            Ok(found) => {
                let labels = found.into_iter().map(|s| (s.service, s.labels)).collect();
                followed.keep_up(&labels).await;
            }
            // The host says so itself.
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
    /// Services by label that run, and how often their containers were missing since.
    misses: BTreeMap<String, u32>,
    /// What was said last about each service, so that it is said once.
    told: BTreeMap<String, String>,
}

impl Followed {
    async fn keep_up(&mut self, labels: &ServiceLabels) {
        let found = self.config.labelled(labels);
        for (name, errors) in &found.refused {
            self.tell(name, &errors.to_string());
        }
        for (name, note) in &found.notes {
            self.tell(name, note);
        }
        for (name, service) in &found.services {
            if self.misses.insert(name.clone(), 0).is_some() {
                continue;
            }
            match self.crew.prepare(service).await {
                Ok(ready) => {
                    self.told.remove(name);
                    tracing::info!("{name}: found by its labels");
                    self.crew.begin(ready);
                }
                Err(failure) => {
                    self.misses.remove(name);
                    self.tell(name, &failure.to_string());
                }
            }
        }
        self.let_go(labels);
    }

    fn let_go(&mut self, labels: &ServiceLabels) {
        for (name, misses) in &mut self.misses {
            *misses = if labels.contains_key(name) { 0 } else { *misses + 1 };
        }
        let gone: Vec<String> = self
            .misses
            .iter()
            .filter(|(_, misses)| **misses >= MISSES_MAX)
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            tracing::info!("{name}: its containers are gone");
            self.misses.remove(&name);
            self.crew.retire(&name);
        }
    }

    fn tell(&mut self, name: &str, what: &str) {
        if self.told.get(name).is_some_and(|told| told == what) {
            return;
        }
        self.told.insert(name.to_owned(), what.to_owned());
        tracing::warn!("{name}: {what}");
    }
}
