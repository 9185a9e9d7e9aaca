//! The services that describe themselves by their labels.
//!
//! Decides which services of a Swarm are to be looked after: those with `flyball.service` among the
//! labels of the service itself. Does not know what the settings in other labels mean.
//! Invariant: a service without that label is somebody else's.

use std::collections::BTreeMap;

use super::answers::ServiceAnswer;
use crate::labels::{PREFIX, SERVICE};

/// A service of a Swarm that is to be looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledSwarm {
    /// What its `flyball.service` label says.
    pub service: String,
    /// What Swarm calls it.
    pub swarm_service: String,
    /// Its labels that begin with `flyball.`, as they were written.
    pub labels: BTreeMap<String, String>,
}

/// Those of `services`, in the order of their names; of two that claim one name, the first by the
/// name that Swarm gives it.
pub(super) fn services_of(services: &[ServiceAnswer]) -> Vec<LabelledSwarm> {
    let mut found: BTreeMap<&str, &ServiceAnswer> = BTreeMap::new();
    let mut by_name: Vec<&ServiceAnswer> = services.iter().collect();
    by_name.sort_by_key(|service| service.spec.name.as_str());
    for service in by_name {
        if let Some(name) = service.spec.labels.get(SERVICE) {
            found.entry(name).or_insert(service);
        }
    }
    let labelled = |(name, service): (&str, &ServiceAnswer)| LabelledSwarm {
        service: name.to_owned(),
        swarm_service: service.spec.name.clone(),
        labels: service
            .spec
            .labels
            .iter()
            .filter(|(label, _)| label.starts_with(PREFIX))
            .map(|(label, value)| (label.clone(), value.clone()))
            .collect(),
    };
    found.into_iter().map(labelled).collect()
}
