//! The number of each server within its backend, fixed across reloads. HAProxy 2.6 puts all servers
//! without a number at the same place on the ring of `balance random` and consistent hashes: two of
//! five got requests.

use std::collections::BTreeSet;

/// HAProxy numbers the servers of its configuration from 1.
const FIRST: u32 = 1_001;

/// The numbers that are free.
pub(crate) struct Free {
    taken: BTreeSet<u32>,
    next: u32,
}

impl Free {
    /// All but those that are `taken`.
    pub(crate) fn beside(taken: impl IntoIterator<Item = u32>) -> Self {
        Self { taken: taken.into_iter().collect(), next: FIRST }
    }

    /// The lowest one.
    pub(crate) fn take(&mut self) -> u32 {
        while self.taken.contains(&self.next) {
            self.next += 1;
        }
        self.taken.insert(self.next);
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_number_that_nobody_has_is_next() {
        let mut free = Free::beside([1, 2, 1_001, 1_003]);
        assert_eq!([free.take(), free.take(), free.take()], [1_002, 1_004, 1_005]);
    }
}
