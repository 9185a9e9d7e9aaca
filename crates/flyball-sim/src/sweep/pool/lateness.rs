//! The share of requests that waits longer than the limit, in 0..=1. While b requests wait, the
//! next one waits b over the rate of service. Otherwise it comes from Erlang's formula for the
//! slots of all replicas together, so that a pool at 99 % pays for its waits.

use super::super::load::PER_S;

/// A request that waits longer than this is over the limit, in seconds.
pub const LIMIT_S: f64 = 0.25;
/// Requests that one replica works on at once.
pub const SLOTS: f64 = 4.0;

/// One tick of the fluid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fluid {
    /// Waiting at its beginning.
    pub(super) before: f64,
    /// Waiting at its end.
    pub(super) after: f64,
    /// Requests that arrived in it.
    pub(super) arrived: f64,
    /// Requests that could be served each second.
    pub(super) per_s: f64,
}

impl Fluid {
    /// The share of the requests that arrived which wait too long, where `serving` replicas did
    /// `busy` replicas' worth of work.
    pub(super) fn late_share(self, serving: u32, busy: f64) -> f64 {
        if self.arrived <= 0.0 {
            return 0.0;
        }
        if serving == 0 {
            return 1.0;
        }
        if self.before <= 0.0 && self.after <= 0.0 {
            let servers = f64::from(serving) * SLOTS;
            return waits_longer(servers, busy * SLOTS, SLOTS / PER_S);
        }
        let limit = LIMIT_S * self.per_s;
        let low = self.before.min(self.after);
        let high = self.before.max(self.after);
        if high <= limit {
            0.0
        } else if low >= limit {
            1.0
        } else {
            (high - limit) / (high - low)
        }
    }
}

/// The chance to wait longer than the limit among `servers` servers that take `service_s` for a
/// request while `offered` of them are busy on average: Erlang's C, and an exponential tail
/// (Erlang 1917; any textbook on queues).
fn waits_longer(servers: f64, offered: f64, service_s: f64) -> f64 {
    let spare = servers - offered;
    if spare <= 0.0 {
        return 1.0;
    }
    let tail = (-spare * LIMIT_S / service_s).exp();
    // Below a millionth the rest of the formula cannot matter.
    if tail < 1e-6 {
        return 0.0;
    }
    let (mut blocked, mut server) = (1.0, 1.0);
    while server <= servers {
        blocked = offered * blocked / (server + offered * blocked);
        server += 1.0;
    }
    let busy = offered / servers;
    tail * blocked / (1.0 - busy * (1.0 - blocked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_makes_requests_wait_in_a_busy_pool() {
        // One server half busy: half wait, and of these exp(-0.5 x 0.25 / 0.25) over the limit.
        let single = waits_longer(1.0, 0.5, 0.25);
        assert!((single - 0.5 * (-0.5_f64).exp()).abs() < 1e-12, "{single}");
        assert!(waits_longer(40.0, 39.0, 0.2) > 0.1);
        assert!(waits_longer(40.0, 28.0, 0.2) < 1e-4);
    }

    #[test]
    fn a_queue_that_fills_makes_the_later_part_late() {
        let fluid = Fluid { before: 0.0, after: 20.0, arrived: 60.0, per_s: 20.0 };
        assert_eq!(fluid.late_share(1, 1.0), 0.75);
        assert_eq!(Fluid { before: 10.0, ..fluid }.late_share(1, 1.0), 1.0);
    }
}
