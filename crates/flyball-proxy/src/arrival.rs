//! When a request counts as arrived, for scaling by load: with its head if it has no body,
//! otherwise when the body is complete or a replica answers. A body that never comes is no work, so
//! such requests cannot cause scale-out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::shared::Shared;

/// One request's arrival.
#[derive(Clone)]
pub(crate) struct Arrival(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    counted: AtomicBool,
}

impl Arrival {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::new(Inner { shared: Arc::clone(shared), counted: AtomicBool::new(false) }))
    }

    /// The request has arrived.
    pub(crate) fn count(&self) {
        if !self.0.counted.swap(true, Relaxed) {
            self.0.shared.meter.arrived();
        }
    }
}
