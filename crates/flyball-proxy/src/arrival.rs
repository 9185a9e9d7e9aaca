//! When a request has arrived, for whoever goes by the load.
//!
//! Decides nothing about the request. A request without a body has arrived with its head; one with a
//! body when that is whole, or when a replica answers it: a body that never comes is no work, and
//! whoever opens many such requests asks for no replicas by that.
//! Invariant: a request is counted once, and before any error that it ends in.

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
