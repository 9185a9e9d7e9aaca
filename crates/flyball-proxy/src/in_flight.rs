//! One request while it is with a replica: its permit, connection and clock. It ends exactly once:
//! completed, failed or abandoned.

use std::sync::Arc;
use std::time::Instant;

use hyper::StatusCode;

use crate::eject::Failure;
use crate::ignored::Ignored;
use crate::server::Connection;
use crate::shared::Client;
use crate::upstreams::Permit;

/// A request that a replica has begun to answer. Dropping it gives the permit back.
pub(crate) struct InFlight {
    client: Arc<Client>,
    permit: Permit,
    connection: Option<Connection>,
    arrived: Instant,
    ending: Ending,
    /// The answer counts as an error already: its status was 5xx.
    failed: bool,
    /// Where it does not keep the service awake.
    pub(crate) ignored: Option<Ignored>,
}

/// What becomes of the connection to the replica when the answer has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It can serve the next request.
    Keep,
    /// It is cut: the request was not sent whole, and will not be.
    Cut,
}

impl InFlight {
    /// A replica began an answer over `connection`.
    pub(crate) fn new(
        client: Arc<Client>,
        permit: Permit,
        connection: Connection,
        arrived: Instant,
        ending: Ending,
    ) -> Self {
        permit.server.answered(client.shared.clock);
        let connection = Some(connection);
        Self { client, permit, connection, arrived, ending, failed: false, ignored: None }
    }

    /// The status of the answer is known.
    pub(crate) fn judge(&mut self, status: StatusCode) {
        self.failed = status.is_server_error();
        if self.failed {
            self.client.shared.meter.failed();
        }
    }

    /// The answer came to its end.
    pub(crate) fn complete(mut self) {
        self.client.shared.meter.ended(self.arrived);
        if self.ending == Ending::Keep
            && let Some(connection) = self.connection.take()
        {
            self.permit.server.put_idle(connection, self.client.shared.settings.idle_max);
        }
    }

    /// The answer broke off: one error, whatever its status was.
    pub(crate) fn fail(self) {
        if !self.failed {
            self.client.shared.meter.failed();
            self.client.shared.upstreams.failed(&self.permit.server, Failure::Broken);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.ending == Ending::Cut
            && let Some(connection) = self.connection.take()
        {
            connection.cut();
        }
    }
}
