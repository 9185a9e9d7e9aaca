//! Services defined by the labels of Swarm services or Marathon apps. A service that loses its
//! labels keeps its count, and nothing changes while the system does not answer.

use std::collections::BTreeMap;
use std::time::Duration;

use flyball_config::{Service, ServiceLabels};

use super::Base;
use crate::daemon::claims::{Claim, chosen, owner};
use crate::daemon::engines::hosts::Counted;

/// They are asked each second or two anyway.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// A service that was missing this many times in a row is gone: `docker stack rm` and `deploy`
/// again take some seconds.
const ABSENCES_MAX: u32 = 10;

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

/// Keeps the supervisor in step with the labels in a system.
pub(super) struct CountedServices {
    /// An owner is that one of those with the label of a service which the service is.
    pub(super) base: Base<String>,
    source: Counted,
    kept: BTreeMap<String, Kept>,
}

impl CountedServices {
    pub(super) fn new(base: Base<String>, source: Counted) -> Self {
        Self { base, source, kept: BTreeMap::new() }
    }

    pub(super) async fn look(&mut self) -> Result<(), String> {
        let found = self.source.discover().await?;
        self.keep_up(&found).await;
        Ok(())
    }

    /// Takes in one whole listing.
    async fn keep_up(&mut self, found: &[Claim]) {
        let (found, refused) = chosen(found, &self.base.owners);
        for (name, text) in refused {
            self.base.said.say(&name, &text);
        }
        for (name, claim) in &found {
            if !self.base.config.services.contains_key(name) {
                self.base.owners.bind(name, owner(claim).to_owned());
            }
        }
        for service in self.base.described(&found).into_values() {
            self.look_after(&service).await;
        }
        self.leave_alone(&found);
        self.base.said.end_round(&self.base.supervisor);
    }

    async fn look_after(&mut self, service: &Service) {
        let name = &service.name;
        if self.kept.get(name).is_some_and(|kept| kept.begun) {
            return self.base.follow_labels(service, None);
        }
        let found_by = format!("the labels of its {}", self.source.carrier());
        if self.base.begin(service, None, found_by).await {
            self.kept.insert(name.clone(), Kept { begun: true, absences: 0 });
        }
    }

    fn leave_alone(&mut self, found: &ServiceLabels) {
        for name in self.base.owners.services() {
            self.kept.entry(name).or_default();
        }
        let of = self.source.carrier();
        let Base { supervisor, owners, .. } = &mut self.base;
        self.kept.retain(|name, kept| {
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
