//! `static:N`, `static:mean`, `static:peak`: the same count always.
//!
//! Decides nothing at run time. Invariant: the count never changes.

use super::Wish;

/// The same count always.
#[derive(Clone, Debug)]
pub struct Fixed {
    count: u32,
}

impl Fixed {
    /// Keeps `count`.
    pub fn new(count: u32) -> Self {
        Self { count }
    }

    pub(super) fn recommend(&self) -> Wish {
        Wish { count: self.count, reason: format!("always {}", self.count) }
    }
}
