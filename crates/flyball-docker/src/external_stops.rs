//! Detects that something else is stopping the containers of a service, and holds starts meanwhile.
//!
//! Only a stop that was reported holds starts; a crash, a kill or a lost connection never does.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// A client that takes a service down stops its containers one after another: replicas started in
/// between would outlive it. Compose on a loaded machine needs about a second for fifty; half of
/// this is too little then; twice as much is noticed by a user who restarts one container manually.
const SETTLE: Duration = Duration::from_secs(2);
/// `SIGHUP`, `SIGUSR1` and `SIGUSR2` make programs reload their files.
const NO_ENDS: [&str; 3] = ["1", "10", "12"];
/// What `docker kill` and the kernel end it with: the floor is restored at once.
const KILL: &str = "9";

/// Orders of others to stop containers of one service.
#[derive(Debug, Default)]
pub(crate) struct ExternalStops {
    /// Those that were asked to stop and have not restarted since.
    ids: BTreeSet<String>,
    /// When the latest one was asked to stop.
    at: Option<Instant>,
    /// All of them were asked to stop, and no external one has run since.
    down: bool,
}

impl ExternalStops {
    /// `signal` was sent to the container `id` externally. `living` are the ids of all that run.
    /// True if that was the last one of the service.
    pub(crate) fn record_signal<'a>(
        &mut self,
        id: &str,
        signal: &str,
        mut living: impl Iterator<Item = &'a String>,
        now: Instant,
    ) -> bool {
        if signal == KILL || NO_ENDS.contains(&signal) {
            return false;
        }
        self.ids.insert(id.to_owned());
        self.at = Some(now);
        let all = living.all(|id| self.ids.contains(id));
        all && !std::mem::replace(&mut self.down, true)
    }

    /// The container `id` was started.
    pub(crate) fn started(&mut self, id: &str) {
        self.ids.remove(id);
    }

    /// A container that flyball did not start runs.
    pub(crate) fn serves(&mut self, id: &str) {
        self.down &= self.ids.contains(id);
    }

    /// What was heard may have been the end of the daemon itself.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Why nothing is started now, while that is so.
    pub(crate) fn hold(&self, now: Instant) -> Option<&'static str> {
        if self.down {
            return Some("all its containers were stopped externally");
        }
        let fresh = self.at.is_some_and(|at| now.duration_since(at) < SETTLE);
        fresh.then_some("its containers are being stopped externally")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_signal(
        told: &mut ExternalStops,
        id: &str,
        signal: &str,
        living: &[&str],
        now: Instant,
    ) -> bool {
        let living: Vec<String> = living.iter().map(|id| (*id).to_owned()).collect();
        told.record_signal(id, signal, living.iter(), now)
    }

    #[test]
    fn one_container_that_is_stopped_holds_for_a_moment_and_all_of_them_until_one_runs() {
        let (mut told, now) = (ExternalStops::default(), Instant::now());
        assert!(!record_signal(&mut told, "a", "15", &["a", "b"], now));
        assert!(told.hold(now).is_some());
        assert_eq!(told.hold(now + SETTLE), None);
        assert!(record_signal(&mut told, "b", "3", &["a", "b"], now));
        assert!(!record_signal(&mut told, "b", "15", &["b"], now), "it is said once");
        assert!(told.hold(now + 100 * SETTLE).is_some());
        // One that is on its way out still runs.
        told.serves("a");
        assert!(told.hold(now + 100 * SETTLE).is_some());
        told.started("a");
        told.serves("a");
        assert_eq!(told.hold(now + 100 * SETTLE), None);
    }

    #[test]
    fn kills_reloads_and_lost_connections_hold_nothing() {
        let (mut told, now) = (ExternalStops::default(), Instant::now());
        for signal in ["9", "1", "10", "12"] {
            assert!(!record_signal(&mut told, "a", signal, &["a"], now));
        }
        assert_eq!(told.hold(now), None);
        record_signal(&mut told, "a", "15", &["a"], now);
        told.forget();
        assert_eq!(told.hold(now), None);
    }
}
