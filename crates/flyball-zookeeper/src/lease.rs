//! How long a leader may continue without an answer from ZooKeeper: two thirds of a session,
//! counted from when the last answered request was sent.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment of the clock that leases go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Duration);

impl Moment {
    pub(crate) fn now() -> Self {
        Self(Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default())
    }
}

/// Until when a leader may act.
///
/// ZooKeeper elects no other leader until a session has passed since it last heard from this one,
/// and it heard no earlier than the *sending* of the request that it answered last. So a leader may
/// act for two thirds of a session from that moment; the last third is for work that was already
/// started. The clock includes suspended time, so a machine that slept wakes without a term.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    session: Duration,
    until: Moment,
}

impl Lease {
    /// From a question that was sent at `sent` and answered.
    pub(crate) fn new(session: Duration, sent: Moment) -> Self {
        Self { session, until: Moment(sent.0 + session * 2 / 3) }
    }

    /// Another question was answered. One that was sent before the last one changes nothing.
    pub(crate) fn renew(&mut self, sent: Moment) {
        self.until = self.until.max(Self::new(self.session, sent).until);
    }

    pub(crate) fn holds(&self, now: Moment) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment(Duration::from_millis(ms))
    }

    #[test]
    fn a_lease_ends_a_third_of_a_session_before_anybody_else_can_lead() {
        let session = Duration::from_secs(6);
        let mut lease = Lease::new(session, at(1_000));
        assert!(lease.holds(at(4_999)) && !lease.holds(at(5_000)));
        lease.renew(at(3_000));
        assert!(lease.holds(at(6_999)) && !lease.holds(at(7_000)));
        // An answer that comes late counts from when its question was sent.
        lease.renew(at(2_000));
        assert!(!lease.holds(at(7_000)));
    }
}
