//! Services that come and go with the labels of containers.
//!
//! Decides which services the labels describe now, and when one is let go. Does not know what
//! labels mean (the configuration does) nor how replicas are taken away (its loop does).
//! Invariant: a service is let go only after whole listings showed none of its own containers for
//! a stated time; while Docker does not answer, nothing changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::{Config, ServiceLabels};
use flyball_docker::{DockerHost, LabelledService};
use tokio::sync::watch;
use tokio::time::sleep;

use super::crew::Crew;

/// Containers come and go in seconds, so looking more often would find nothing more. What is looked
/// at is the host's own listing: asking the daemon each time cost it over 1 % of a core for 100
/// containers.
const INTERVAL: Duration = Duration::from_secs(2);
/// A service whose own containers were missing so many times in a row, 10 s, is gone. A script
/// that removes a container and runs the next one needs a second, on a loaded machine three: half
/// would take its service down in between; twice keeps what nobody wants any more for 20 s.
const ABSENCES_MAX: u32 = 5;

/// Keeps `crew` in step with the labels on `host` until told to stop.
pub(super) async fn follow(
    config: Config,
    host: Arc<DockerHost>,
    crew: Arc<Crew>,
    mut stop: watch::Receiver<bool>,
) {
    let (register, told) = (Register::default(), BTreeMap::new());
    let mut followed = Followed { config, crew, register, told };
    while !*stop.borrow() {
        match host.discovered().await {
            Ok(found) => followed.keep_up(&found).await,
            // The host says so itself.
            Err(error) => tracing::debug!("services cannot be found by labels: {error}"),
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            _ = stop.changed() => {}
        }
    }
}

/// The services by label that are known, and how often their own containers were missing.
#[derive(Debug, Default)]
struct Register {
    services: BTreeMap<String, Stay>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    /// Looked after; its own containers were missing so many times in a row.
    Kept { absences: u32 },
    /// Not looked after: only copies were there, so many times in a row.
    Orphaned { absences: u32 },
    /// Its copies are being taken away.
    LetGo,
}

impl Register {
    /// Takes in one whole listing; gives those whose own containers are gone for good.
    fn see(&mut self, found: &[LabelledService]) -> Vec<String> {
        for orphaned in found.iter().filter(|s| s.own == 0 && s.copies > 0) {
            let name = orphaned.service.clone();
            self.services.entry(name).or_insert(Stay::Orphaned { absences: 0 });
        }
        let has_own = |name: &str| found.iter().any(|s| s.own > 0 && s.service == name);
        let mut gone = Vec::new();
        self.services.retain(|name, stay| match stay {
            Stay::LetGo => true,
            Stay::Kept { absences } if has_own(name) => {
                *absences = 0;
                true
            }
            // It begins as any other that is found.
            Stay::Orphaned { .. } if has_own(name) => false,
            Stay::Orphaned { .. } if found.iter().all(|s| s.service != *name) => false,
            Stay::Kept { absences } | Stay::Orphaned { absences } => {
                *absences += 1;
                if *absences >= ABSENCES_MAX {
                    gone.push(name.clone());
                }
                true
            }
        });
        gone
    }
}

struct Followed {
    config: Config,
    crew: Arc<Crew>,
    register: Register,
    /// What was said last about each service, so that it is said once.
    told: BTreeMap<String, String>,
}

impl Followed {
    /// Takes in one whole listing.
    async fn keep_up(&mut self, found: &[LabelledService]) {
        self.end_let_go();
        let by_file = |s: &&LabelledService| self.config.services.contains_key(&s.service);
        let own = labels_of(found.iter().filter(|s| s.own > 0));
        let foreign: Vec<_> = found.iter().filter(|s| !by_file(s)).cloned().collect();
        for name in self.register.see(&foreign) {
            self.let_go(&name, found).await;
        }
        let described = self.config.labelled(&own);
        for (name, errors) in &described.refused {
            self.tell(name, &errors.to_string());
        }
        for (name, note) in &described.notes {
            self.tell(name, note);
        }
        for service in described.services.into_values() {
            self.look_after(service).await;
        }
    }

    async fn look_after(&mut self, service: flyball_config::Service) {
        let name = service.name.clone();
        match self.register.services.get(&name) {
            Some(Stay::Kept { .. }) => return,
            Some(Stay::LetGo) => {
                tracing::info!("{name}: its containers are back");
                self.crew.keep(&name);
            }
            Some(Stay::Orphaned { .. }) | None => match self.crew.prepare(&service).await {
                Ok(ready) => {
                    self.told.remove(&name);
                    tracing::info!("{name}: found by its labels");
                    self.crew.begin(ready);
                }
                Err(failure) => return self.tell(&name, &failure.to_string()),
            },
        }
        self.register.services.insert(name, Stay::Kept { absences: 0 });
    }

    /// Has the copies of a service taken away that no container of its own stands for any more.
    async fn let_go(&mut self, name: &str, found: &[LabelledService]) {
        let left = found.iter().find(|s| s.service == name);
        if matches!(self.register.services.get(name), Some(Stay::Orphaned { .. })) {
            let described = self.config.labelled(&labels_of(left.into_iter()));
            let refused = described.refused.values().map(ToString::to_string).next();
            if let Some(why) = refused {
                return self.tell(name, &why);
            }
            let Some(service) = described.services.get(name) else { return };
            match self.crew.prepare(service).await {
                Ok(ready) => self.crew.begin(ready),
                Err(failure) => return self.tell(name, &failure.to_string()),
            }
        }
        let copies = left.map_or(0, |s| s.copies);
        tracing::info!(
            "{name}: let go: none of its own containers was there for {} s; flyball's copies \
             ({copies}) are drained and removed",
            ABSENCES_MAX * u32::try_from(INTERVAL.as_secs()).unwrap_or(u32::MAX)
        );
        self.crew.let_go(name);
        self.register.services.insert(name.to_owned(), Stay::LetGo);
    }

    /// Forgets those of which nothing is left.
    fn end_let_go(&mut self) {
        let (crew, told) = (&self.crew, &mut self.told);
        self.register.services.retain(|name, stay| {
            let over = *stay == Stay::LetGo && crew.forget(name);
            if over {
                told.remove(name);
            }
            !over
        });
    }

    fn tell(&mut self, name: &str, what: &str) {
        if self.told.get(name).is_some_and(|told| told == what) {
            return;
        }
        self.told.insert(name.to_owned(), what.to_owned());
        tracing::warn!("{name}: {what}");
    }
}

fn labels_of<'a>(services: impl Iterator<Item = &'a LabelledService>) -> ServiceLabels {
    services.map(|s| (s.service.clone(), s.labels.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(own: usize, copies: usize) -> Vec<LabelledService> {
        let (service, container) = ("web".to_owned(), "shop-web-1".to_owned());
        let labels = BTreeMap::new();
        let found = LabelledService { service, container, labels, running: own, own, copies };
        if own + copies == 0 { Vec::new() } else { vec![found] }
    }

    fn kept() -> Register {
        Register { services: BTreeMap::from([("web".to_owned(), Stay::Kept { absences: 0 })]) }
    }

    /// At which of the listings the service was given up.
    fn gone_at(mut register: Register, own_and_copies: &[(usize, usize)]) -> Option<usize> {
        let gone =
            |(own, copies): &(usize, usize)| !register.see(&listing(*own, *copies)).is_empty();
        own_and_copies.iter().position(gone)
    }

    #[test]
    fn a_service_is_let_go_once_its_own_containers_were_missing_for_the_grace() {
        assert_eq!(gone_at(kept(), &[(1, 2), (0, 2), (0, 2), (0, 2), (0, 2), (0, 2)]), Some(5));
        assert_eq!(gone_at(kept(), &[(0, 0); 5]), Some(4));
    }

    #[test]
    fn a_recreated_container_keeps_its_service_and_so_does_a_stopped_one() {
        assert_eq!(gone_at(kept(), &[(0, 2), (0, 2), (0, 2), (0, 2), (1, 2), (0, 2)]), None);
        assert_eq!(gone_at(kept(), &[(1, 0); 20]), None);
    }

    #[test]
    fn copies_that_an_earlier_run_left_go_after_the_grace_and_others_containers_never() {
        assert_eq!(gone_at(Register::default(), &[(0, 2); 5]), Some(4));
        assert_eq!(gone_at(Register::default(), &[(0, 2), (1, 2), (1, 2), (1, 2), (1, 2)]), None);
        let mut of_an_image = listing(0, 2);
        of_an_image[0].copies = 0;
        let mut register = Register::default();
        assert!((0..20).all(|_| register.see(&of_an_image).is_empty()));
    }
}
