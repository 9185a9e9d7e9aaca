//! What `flyball check` has found so far, and the services that it looks at.

use flyball_config::{Config, Service, ServiceLabels};

use super::claims::{Claim, chosen};
use super::owners::Owners;
use crate::finding::Finding;

/// Grows with each system that is asked.
pub(crate) struct Preflight {
    pub(crate) services: Vec<Service>,
    pub(crate) findings: Vec<Finding>,
}

impl Preflight {
    /// The services of the file.
    pub(crate) fn of(config: &Config) -> Self {
        Self { services: config.services.values().cloned().collect(), findings: Vec::new() }
    }

    /// Adds the services that `labels` describe.
    pub(crate) fn describe(&mut self, config: &Config, labels: &ServiceLabels) {
        let found = config.labelled(labels);
        for errors in found.refused.values() {
            self.findings.extend(errors.problems.iter().map(Finding::of_problem));
        }
        self.remark(found.notes);
        self.services.extend(found.services.into_values());
    }

    /// Adds the services that labels of Swarm services or apps describe; who was first is in `file`.
    pub(crate) fn claimed(&mut self, config: &Config, claims: &[Claim], file: &str) {
        let owners = Owners::open(config.daemon.state_dir.join(file));
        let (labels, refused) = chosen(claims, &owners);
        self.remark(refused);
        self.describe(config, &labels);
    }

    /// Adds information about services that is not a fault.
    pub(crate) fn remark(&mut self, remarks: impl IntoIterator<Item = (String, String)>) {
        let finding = |(name, text)| Finding::good(format!("services.{name}"), text);
        self.findings.extend(remarks.into_iter().map(finding));
    }
}
