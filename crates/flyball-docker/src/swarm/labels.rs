//! Finds Swarm services that have the label `flyball.service`.

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

/// Those of `services`, in the order of their names, then of those that Swarm gives them.
pub(super) fn services_of(services: &[ServiceAnswer]) -> Vec<LabelledSwarm> {
    let labelled = |service: &ServiceAnswer| {
        let labels = service.spec.labels.iter();
        let ours = labels.filter(|(label, _)| label.starts_with(PREFIX));
        Some(LabelledSwarm {
            service: service.spec.labels.get(SERVICE)?.clone(),
            swarm_service: service.spec.name.clone(),
            labels: ours.map(|(label, value)| (label.clone(), value.clone())).collect(),
        })
    };
    let mut found: Vec<LabelledSwarm> = services.iter().filter_map(labelled).collect();
    found.sort_by(|a, b| (&a.service, &a.swarm_service).cmp(&(&b.service, &b.swarm_service)));
    found
}
