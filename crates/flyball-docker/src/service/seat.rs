//! When the balancer of a service is looked for.

use std::time::Duration;

use tokio::time::Instant;

use crate::networks::BalancerPlace;

/// A balancer may be recreated, or join another network, while flyball runs.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Until it is known where the balancer is.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What one service knows of its balancer.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    pub(crate) place: BalancerPlace,
    /// When it was looked for last.
    looked_at: Option<Instant>,
}

impl Seat {
    /// Whether it is time to look for it; if so, it is taken for looked for.
    pub(crate) fn is_due(&mut self) -> bool {
        let pause = if self.place == BalancerPlace::Unknown { LOOK_AGAIN } else { LOOK_EVERY };
        let due = self.looked_at.is_none_or(|at| at.elapsed() >= pause);
        if due {
            self.looked_at = Some(Instant::now());
        }
        due
    }
}
