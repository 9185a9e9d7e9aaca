//! `static:N`, `static:mean`, `static:peak`: the same count always. The count never changes.

use super::RivalCount;

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

    pub(super) fn recommend(&self) -> RivalCount {
        RivalCount { count: self.count, reason: format!("always {}", self.count) }
    }
}
