//! One request while it is with a replica: its seat, its connection, its clock.
//!
//! Decides what a finished request leaves behind. Does not move a byte.
//! Invariant: a flight ends exactly once, however the request does: landed, failed or abandoned.

use std::sync::Arc;
use std::time::Instant;

use crate::roster::Seat;
use crate::server::Connection;
use crate::shared::Client;

/// A request that a replica has begun to answer. Dropping it gives the seat back.
pub(crate) struct Flight {
    client: Arc<Client>,
    seat: Seat,
    connection: Option<Connection>,
    arrived: Instant,
    /// The answer counts as an error already: its status was 5xx.
    failed: bool,
}

impl Flight {
    /// A replica began an answer, with a 5xx status if `failed`, over `connection`.
    pub(crate) fn new(
        client: Arc<Client>,
        seat: Seat,
        connection: Connection,
        arrived: Instant,
        failed: bool,
    ) -> Self {
        seat.server.answered(client.shared.clock);
        if failed {
            client.shared.meter.failed();
        }
        Self { client, seat, connection: Some(connection), arrived, failed }
    }

    /// The answer came to its end: its connection can serve the next request.
    pub(crate) fn land(mut self) {
        self.client.shared.meter.ended(self.arrived);
        if let Some(connection) = self.connection.take() {
            self.seat.server.put_idle(connection, self.client.shared.settings.idle_max);
        }
    }

    /// The answer broke off: one error, whatever its status was.
    pub(crate) fn crash(self) {
        if !self.failed {
            self.client.shared.meter.failed();
        }
    }
}
