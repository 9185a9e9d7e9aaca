//! Services defined by labels. What is found is started; what a service becomes whose labels are
//! gone depends on what carries them.

mod containers;
mod counted;
mod said;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::{Config, Service, ServiceLabels};
use flyball_docker::Owner;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::engines::docker;
use super::owners::Owners;
use super::state_dir::StateDir;
use super::supervisor::Supervisor;
use crate::failure::Failure;
use containers::Containers;
use counted::CountedServices;
use said::Said;

/// Begins to follow the labels that `config` wants followed.
pub(super) fn follow_all(
    config: &Config,
    home: &StateDir,
    supervisor: &Arc<Supervisor>,
    stopped: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) -> Result<(), Failure> {
    let engines = &supervisor.engines;
    let mut all = Vec::new();
    if config.docker.labels {
        let base = Base::new(config, supervisor, home, docker::OWNERS);
        all.push(Followed::Containers(Containers::new(base, engines.docker()?)));
    }
    for source in engines.counted(config)? {
        let base = Base::new(config, supervisor, home, source.owners());
        all.push(Followed::Counted(CountedServices::new(base, source)));
    }
    for followed in all {
        tasks.spawn(follow(followed, stopped.clone()));
    }
    Ok(())
}

/// What labels are read from.
enum Followed {
    Containers(Containers),
    Counted(CountedServices),
}

impl Followed {
    fn interval(&self) -> Duration {
        match self {
            Self::Containers(_) => containers::INTERVAL,
            Self::Counted(_) => counted::INTERVAL,
        }
    }

    /// Takes in one whole listing. Nothing changes where there is none.
    /// By the configuration in force, which a reload may have changed.
    async fn look(&mut self) -> Result<(), String> {
        match self {
            Self::Containers(containers) => {
                containers.base.follow_config();
                containers.look().await
            }
            Self::Counted(services) => {
                services.base.follow_config();
                services.look().await
            }
        }
    }
}

async fn follow(mut followed: Followed, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        // The adapter has logged it already.
        if let Err(error) = followed.look().await {
            tracing::debug!("cannot find services by labels: {error}");
        }
        tokio::select! {
            () = sleep(followed.interval()) => {}
            _ = stop.changed() => {}
        }
    }
}

/// What is the same whatever carries the labels. `O` says whom a service belongs to.
struct Base<O> {
    config: Arc<Config>,
    supervisor: Arc<Supervisor>,
    owners: Owners<O>,
    said: Said,
    /// What runs.
    followed: BTreeMap<String, FollowedService>,
}

/// A service that runs as its labels describe it.
struct FollowedService {
    /// As they did last.
    described: Service,
    /// As far as that could be applied.
    in_force: Service,
}

impl<O: Clone + PartialEq + Serialize + DeserializeOwned> Base<O> {
    /// With the owners in the file `owners` of the state directory.
    fn new(config: &Config, supervisor: &Arc<Supervisor>, home: &StateDir, owners: &str) -> Self {
        Self {
            config: Arc::new(config.clone()),
            supervisor: Arc::clone(supervisor),
            owners: Owners::open(home.file(owners)),
            said: Said::default(),
            followed: BTreeMap::new(),
        }
    }

    fn follow_config(&mut self) {
        self.config = self.supervisor.config();
    }

    /// The services that `labels` describe. What is wrong with the others is said.
    fn described(&mut self, labels: &ServiceLabels) -> BTreeMap<String, Service> {
        let described = self.config.labelled(labels);
        for (name, errors) in &described.refused {
            self.said.say(name, &errors.to_string());
        }
        for (name, note) in &described.notes {
            self.said.say(name, note);
        }
        described.services
    }

    /// Applies labels that have changed to the service that runs.
    fn follow_labels(&mut self, service: &Service, owner: Option<&Owner>) {
        let name = &service.name;
        let Some(followed) = self.followed.get_mut(name) else { return };
        if followed.described == *service {
            return;
        }
        let change = self.supervisor.change(&followed.in_force, service.clone(), owner);
        let Some(change) = change else { return };
        *followed = FollowedService { described: service.clone(), in_force: change.in_force };
        for line in &change.applied {
            tracing::info!("changed labels: {line}");
        }
        for line in &change.kept {
            tracing::warn!("changed labels: {line}");
        }
    }

    fn begin_to_follow(&mut self, service: &Service) {
        let (described, in_force) = (service.clone(), service.clone());
        self.followed.insert(service.name.clone(), FollowedService { described, in_force });
    }

    /// Begins to manage a service, unless something keeps it from that, which is said.
    async fn begin(
        &mut self,
        service: &Service,
        owner: Option<&Owner>,
        found_by: impl fmt::Display,
    ) -> bool {
        let name = &service.name;
        match self.supervisor.prepare(service, owner).await {
            Ok(ready) => {
                tracing::info!("{name}: found by {found_by}");
                self.supervisor.begin(ready);
                self.begin_to_follow(service);
                true
            }
            Err(failure) => {
                self.said.say(name, &failure.to_string());
                false
            }
        }
    }
}
