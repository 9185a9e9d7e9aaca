//! The services of one system, each kept by its engine alone.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// All services whose engines still exist.
#[derive(Debug)]
pub struct Services<T>(Mutex<Vec<Weak<T>>>);

impl<T> Default for Services<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Services<T> {
    /// Adds a service, and forgets those whose engine was dropped.
    pub fn add(&self, service: &Arc<T>) {
        let mut services = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        services.retain(|known| known.strong_count() > 0);
        services.push(Arc::downgrade(service));
    }

    /// Those that there are now.
    pub fn all(&self) -> Vec<Arc<T>> {
        let services = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        services.iter().filter_map(Weak::upgrade).collect()
    }
}
