//! What may change about a service while it runs. Its engine and its balancer stay.

use flyball_config::{Ready, Service};
use flyball_core::policy::Policy;

/// How a service is decided for and probed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServiceSettings {
    pub(crate) policy: Policy,
    /// When a started replica counts as ready.
    pub(crate) ready: Ready,
    /// Between two probes of a ready replica; 0: it is not probed.
    pub(crate) liveness_ms: u64,
    /// The share of its requests that may fail before that is a notice.
    pub(crate) error_limit: f64,
}

impl From<&Service> for ServiceSettings {
    fn from(service: &Service) -> Self {
        Self {
            policy: service.policy.clone(),
            ready: service.ready.clone(),
            liveness_ms: service.liveness_ms,
            error_limit: service.error_limit,
        }
    }
}
