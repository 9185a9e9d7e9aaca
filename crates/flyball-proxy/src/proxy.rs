//! The public interface of this crate. Only [`Proxy::shutdown`] and [`Proxy::changed`] wait for
//! clients or replicas.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flyball_core::observation::BalancerReport;
use flyball_core::units::{ReplicaId, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::listen::{self, Requests};
use crate::rejection::Rejection;
use crate::settings::{ProxyError, ProxySettings, span};
use crate::shared::{Part, Phase, Shared};
use crate::start::{HeldRequests, Start};
use crate::times::Times;

/// How long tasks that were asked to end may take.
const ENDING_LIMIT: Duration = Duration::from_secs(1);

/// The balancer of one service. Dropping it cuts every connection; see [`Proxy::shutdown`].
pub struct Proxy {
    address: SocketAddr,
    epoch: u64,
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
}

impl Proxy {
    /// Listens and serves at once. Must be called inside a tokio runtime with I/O and time.
    ///
    /// `clock` dates [`flyball_core::observation::ServerReport::first_served_at`].
    ///
    /// # Errors
    /// The address cannot be listened on, or a setting would let no request through.
    pub async fn bind(
        settings: ProxySettings,
        clock: fn() -> Timestamp,
    ) -> Result<Self, ProxyError> {
        settings.check()?;
        let unusable = |source| ProxyError::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let shared = Arc::new(Shared::new(settings, clock));
        let (phase, serving) = watch::channel(Phase::Serving);
        tokio::spawn(listen::accept(listener, Arc::clone(&shared), Requests::Own, serving));
        Ok(Self { address, epoch: clock().as_ms(), shared, phase })
    }

    /// What a door for several services needs to pass on requests for this one.
    pub(crate) fn part(&self) -> Part {
        Part { shared: Arc::clone(&self.shared), phase: self.phase.clone() }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has been counted so far. `latency` covers requests that a replica answered to the end.
    pub fn observe(&self) -> BalancerReport {
        let (waiting, servers) = self.shared.upstreams.report();
        let meter = &self.shared.meter;
        let wakeful = (!self.shared.ignore.is_empty()).then(|| {
            let in_flight = servers.values().map(|server| server.in_flight).sum();
            meter.wakeful(in_flight)
        });
        BalancerReport {
            epoch: self.epoch,
            arrivals: meter.arrivals(),
            errors: meter.errors(),
            failures: meter.failures(),
            waiting,
            servers,
            latency: meter.latency(),
            late: meter.late(),
            wakeful,
            trouble: self.shared.upstreams.trouble(),
        }
    }

    /// Requests answered here and not by a replica, by reason; every reason is listed.
    pub fn refusals(&self) -> BTreeMap<Rejection, u64> {
        self.shared.meter.refusals()
    }

    /// Why clients are turned away, if one was within the last half minute.
    pub fn crowded(&self) -> Option<String> {
        let full = self.shared.meter.turned_away.recent()?;
        Some(format!("clients are turned away: {}", self.shared.settings.in_words(full)))
    }

    /// The requests that wait for a replica; `None` while none does.
    pub fn held(&self) -> Option<HeldRequests> {
        self.shared.upstreams.held()
    }

    /// What those are told who wait while no replica is ready.
    pub fn tell_start(&self, start: Start) {
        self.shared.start.set(start);
    }

    /// How long the requests took that a replica answered to the end, since the start.
    pub fn times(&self) -> Times {
        self.shared.meter.times()
    }

    /// Lets `replica` have requests at `address`; those waiting for a replica get it at once.
    ///
    /// Does nothing if it has them already; puts a draining one back. With another address than
    /// before, the replica is a new server, and the old one drains.
    pub fn route(&self, replica: &ReplicaId, address: SocketAddr) {
        self.shared.upstreams.route(replica, address);
    }

    /// Gives `replica` no new requests, and forgets it when the last of its own has ended.
    ///
    /// Has no deadline: it ends with its requests, or when the replica breaks their connections.
    /// Does nothing if the replica is unknown.
    pub fn drain(&self, replica: &ReplicaId) {
        self.shared.upstreams.drain(replica);
    }

    /// Returns when something has happened that a control loop should look at now: a request
    /// began to wait where none did, a draining replica is idle, a connect failed, a replica is out
    /// for failing or back.
    ///
    /// What happened between two calls is not missed. For one caller; it may return as often as
    /// requests arrive, so the caller sets the pace.
    pub async fn changed(&self) {
        self.shared.upstreams.news.notified().await;
    }

    /// Takes no new connections, lets running requests finish for at most `limit_ms`, then cuts
    /// what is left. Clients that keep their connection are asked to close it.
    pub async fn shutdown(self, limit_ms: u64) {
        self.phase.send_replace(Phase::Finishing);
        if timeout(span(limit_ms), self.phase.closed()).await.is_err() {
            self.phase.send_replace(Phase::Ending);
            let _ = timeout(ENDING_LIMIT, self.phase.closed()).await;
        }
    }
}
