//! The process that a reload replaced, which still serves its requests out of sight.
//!
//! In doubt it counts as running, but never for longer than the drain limit.

use flyball_core::units::Timestamp;

use crate::stat::Process;

/// A process that was replaced.
#[derive(Clone, Debug)]
pub(crate) struct Departed {
    pid: u32,
    since: Timestamp,
    /// Whether HAProxy's process ids are valid here.
    is_visible: bool,
}

impl Departed {
    /// `before` answered until `now`, when `after` did.
    pub(crate) fn new(before: &Process, after: &Process, now: Timestamp) -> Self {
        Self { pid: before.pid, since: now, is_visible: is_haproxy(after.pid) }
    }

    /// Whether it may still have requests at `now`.
    pub(crate) fn may_live(&self, now: Timestamp, drain_limit_ms: u64) -> bool {
        now.ms_since(self.since) < drain_limit_ms && (!self.is_visible || is_haproxy(self.pid))
    }
}

fn is_haproxy(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "haproxy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_cannot_be_seen_is_there_for_the_drain_limit() {
        let process = |pid| Process { pid, ..Process::default() };
        let began = Timestamp::from_ms(1_000);
        // No process has the number 0.
        let departed = Departed::new(&process(0), &process(0), began);
        assert!(departed.may_live(began.plus_ms(29_999), 30_000));
        assert!(!departed.may_live(began.plus_ms(30_000), 30_000));
    }

    #[test]
    fn a_process_that_could_be_seen_and_cannot_any_more_is_gone() {
        let departed = Departed { pid: 0, since: Timestamp::from_ms(0), is_visible: true };
        assert!(!departed.may_live(Timestamp::from_ms(1), 30_000));
    }
}
