//! When a request counts as arrived, for scaling by load: with its head if it has no body,
//! otherwise when the body is complete or a replica answers. A body that never comes is no work, so
//! such requests cannot cause scale-out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::meter::Meter;

/// One request's arrival.
#[derive(Clone)]
pub(crate) struct Arrival(Arc<Inner>);

struct Inner {
    meter: Arc<Meter>,
    counted: AtomicBool,
    /// Whether it keeps the service awake.
    wakeful: bool,
}

impl Arrival {
    pub(crate) fn new(meter: &Arc<Meter>, wakeful: bool) -> Self {
        let (meter, counted) = (Arc::clone(meter), AtomicBool::new(false));
        Self(Arc::new(Inner { meter, counted, wakeful }))
    }

    /// The request has arrived.
    pub(crate) fn count(&self) {
        if !self.0.counted.swap(true, Relaxed) {
            self.0.meter.arrived(self.0.wakeful);
        }
    }
}
