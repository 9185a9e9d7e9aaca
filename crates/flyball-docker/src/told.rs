//! Whether somebody else is taking the containers of a service down.
//!
//! Decides when nothing may be started because of it. Goes by what the daemon tells of others'
//! orders, and does not know why they were given.
//! Invariant: only an order that was heard holds anything; a crash, a kill and a lost connection
//! never do.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// Whoever takes a service down tells its containers to stop one after another: replicas started
/// in between would outlive it. Compose on a loaded machine needs about a second for fifty; half of
/// this is too little then, twice as much is felt by whoever restarts one container by hand.
const SETTLE: Duration = Duration::from_secs(2);
/// `SIGHUP`, `SIGUSR1` and `SIGUSR2` make programs read their files anew.
const NO_ENDS: [&str; 3] = ["1", "10", "12"];
/// What `docker kill` and the kernel end it with: the floor is restored at once.
const KILL: &str = "9";

/// Orders of others to stop containers of one service.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Those that were told and have not run anew since.
    ids: BTreeSet<String>,
    /// When the latest one was told.
    at: Option<Instant>,
    /// All of them were told, and none that flyball did not start has run since.
    down: bool,
}

impl Told {
    /// Somebody else sent `signal` to the container `id`. `living` are the ids of all that run.
    /// True if that was the last one of the service.
    pub(crate) fn hear<'a>(
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
    pub(crate) fn risen(&mut self, id: &str) {
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
            return Some("all its containers were stopped by somebody else");
        }
        let fresh = self.at.is_some_and(|at| now.duration_since(at) < SETTLE);
        fresh.then_some("its containers are being stopped by somebody else")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(told: &mut Told, id: &str, signal: &str, living: &[&str], now: Instant) -> bool {
        let living: Vec<String> = living.iter().map(|id| (*id).to_owned()).collect();
        told.hear(id, signal, living.iter(), now)
    }

    #[test]
    fn one_container_that_is_stopped_holds_for_a_moment_and_all_of_them_until_one_runs() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert!(!hear(&mut told, "a", "15", &["a", "b"], now));
        assert!(told.hold(now).is_some());
        assert_eq!(told.hold(now + SETTLE), None);
        assert!(hear(&mut told, "b", "3", &["a", "b"], now));
        assert!(!hear(&mut told, "b", "15", &["b"], now), "it is said once");
        assert!(told.hold(now + 100 * SETTLE).is_some());
        // One that is on its way out still runs.
        told.serves("a");
        assert!(told.hold(now + 100 * SETTLE).is_some());
        told.risen("a");
        told.serves("a");
        assert_eq!(told.hold(now + 100 * SETTLE), None);
    }

    #[test]
    fn kills_reloads_and_lost_connections_hold_nothing() {
        let (mut told, now) = (Told::default(), Instant::now());
        for signal in ["9", "1", "10", "12"] {
            assert!(!hear(&mut told, "a", signal, &["a"], now));
        }
        assert_eq!(told.hold(now), None);
        hear(&mut told, "a", "15", &["a"], now);
        told.forget();
        assert_eq!(told.hold(now), None);
    }
}
