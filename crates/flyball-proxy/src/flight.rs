//! One request while it is with a replica: its seat, its connection, its clock.
//!
//! Decides what a finished request leaves behind. Does not move a byte.
//! Invariant: a flight ends exactly once, however the request does: landed, failed or abandoned.

use std::sync::Arc;
use std::time::Instant;

use hyper::StatusCode;

use crate::eject::Failure;
use crate::roster::Seat;
use crate::server::Connection;
use crate::shared::Client;

/// A request that a replica has begun to answer. Dropping it gives the seat back.
pub(crate) struct Flight {
    client: Arc<Client>,
    seat: Seat,
    connection: Option<Connection>,
    arrived: Instant,
    ending: Ending,
    /// The answer counts as an error already: its status was 5xx.
    failed: bool,
}

/// What becomes of the connection to the replica when the answer has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It can serve the next request.
    Keep,
    /// It is cut: the request was not sent whole, and will not be.
    Cut,
}

impl Flight {
    /// A replica began an answer over `connection`.
    pub(crate) fn new(
        client: Arc<Client>,
        seat: Seat,
        connection: Connection,
        arrived: Instant,
        ending: Ending,
    ) -> Self {
        seat.server.answered(client.shared.clock);
        Self { client, seat, connection: Some(connection), arrived, ending, failed: false }
    }

    /// The status of the answer is known.
    pub(crate) fn judge(&mut self, status: StatusCode) {
        self.failed = status.is_server_error();
        if self.failed {
            self.client.shared.meter.failed();
        }
    }

    /// The answer came to its end.
    pub(crate) fn land(mut self) {
        self.client.shared.meter.ended(self.arrived);
        if self.ending == Ending::Keep
            && let Some(connection) = self.connection.take()
        {
            self.seat.server.put_idle(connection, self.client.shared.settings.idle_max);
        }
    }

    /// The answer broke off: one error, whatever its status was.
    pub(crate) fn crash(self) {
        if !self.failed {
            self.client.shared.meter.failed();
            self.client.shared.roster.failed(&self.seat.server, Failure::Broken);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.ending == Ending::Cut
            && let Some(connection) = self.connection.take()
        {
            connection.cut();
        }
    }
}
