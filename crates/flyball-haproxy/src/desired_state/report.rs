//! The report: what was seen in HAProxy, never what was ordered.

use flyball_core::observation::{BalancerReport, Reading, Route, ServerReport};
use flyball_core::units::ReplicaId;

use super::DesiredState;
use super::order::Order;
use crate::stat::{Admin, Snapshot};

impl DesiredState {
    /// The last thing that was seen, with its own time.
    pub(crate) fn reading(&self) -> Reading<BalancerReport> {
        match &self.seen {
            Some((at, snapshot)) => Reading::Taken { at: *at, value: self.report(snapshot) },
            None => Reading::Missing {
                since: self.started,
                why: self.silence.clone().unwrap_or_default(),
            },
        }
    }

    fn report(&self, snapshot: &Snapshot) -> BalancerReport {
        let server = |(replica, order): (&ReplicaId, &Order)| {
            let seen = self.row(replica, order, snapshot);
            let behind = order.route == Route::Draining && self.left_behind.contains(replica);
            let route = match seen {
                Some(server) if server.takes_requests() => Route::Routed,
                Some(server) if server.admin == Admin::Ready => order.route,
                Some(server) if server.is_used() || order.template_server.is_none() => {
                    Route::Draining
                }
                _ if behind => Route::Draining,
                _ => return None,
            };
            let in_flight = seen.map_or(0, |server| server.in_flight);
            Some((
                replica.clone(),
                ServerReport {
                    route,
                    in_flight: if behind { in_flight.max(1) } else { in_flight },
                    served: seen.map_or(0, |server| server.served),
                    first_served_at: self.first_served.get(replica).copied(),
                    health: self.sick.health(replica),
                },
            ))
        };
        BalancerReport {
            epoch: snapshot.process.epoch(),
            arrivals: snapshot.backend.arrivals,
            errors: snapshot.backend.errors,
            failures: snapshot.backend.failures,
            waiting: snapshot.backend.queued,
            servers: self.orders.iter().filter_map(server).collect(),
            latency: None,
            late: None,
            wakeful: None,
            trouble: self.refusal.clone().or_else(|| self.sick.trouble()),
        }
    }
}
