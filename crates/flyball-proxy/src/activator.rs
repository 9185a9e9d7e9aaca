//! One address for the requests of several services, told apart by their host names. Whatever
//! happens to a request then is the business of its service's own proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flyball_core::units::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::hosts::Hosts;
use crate::listen::{self, Requests};
use crate::proxy::Proxy;
use crate::settings::{ProxyError, ProxySettings};
use crate::shared::{Phase, Shared};

/// How long clients of a door that closes get to end their requests.
const GOODBYE: Duration = Duration::from_secs(5);

/// The shared address. Dropping it cuts every connection; see [`Activator::shutdown`].
pub struct Activator {
    address: SocketAddr,
    hosts: Arc<Hosts>,
    phase: watch::Sender<Phase>,
}

/// That a service is reached by its host names; dropping it ends that.
pub struct HostEntry {
    hosts: Arc<Hosts>,
    names: Vec<String>,
    shared: Arc<Shared>,
}

impl Activator {
    /// Listens and answers at once. Of `settings`, what concerns connections counts.
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
        let hosts = Arc::<Hosts>::default();
        let shared = Arc::new(Shared::new(settings, clock));
        let (phase, serving) = watch::channel(Phase::Serving);
        tokio::spawn(listen::accept(
            listener,
            shared,
            Requests::ByHost(Arc::clone(&hosts)),
            serving,
        ));
        Ok(Self { address, hosts, phase })
    }

    /// Where balancers send what they have no server for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes requests for `names` on to `proxy`. Of two services with one name, the later has it.
    pub fn serve(&self, names: impl IntoIterator<Item = String>, proxy: &Proxy) -> HostEntry {
        let names: Vec<String> = names.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        let part = proxy.part();
        self.hosts.lock().extend(names.iter().map(|name| (name.clone(), part.clone())));
        HostEntry { hosts: Arc::clone(&self.hosts), names, shared: part.shared }
    }

    /// Takes no new connections, and gives those there are a while to end.
    pub async fn shutdown(self) {
        self.phase.send_replace(Phase::Finishing);
        if timeout(GOODBYE, self.phase.closed()).await.is_err() {
            self.phase.send_replace(Phase::Ending);
        }
    }
}

impl Drop for HostEntry {
    fn drop(&mut self) {
        let mut hosts = self.hosts.lock();
        for name in &self.names {
            // A later service may have it by now.
            if hosts.get(name).is_some_and(|part| Arc::ptr_eq(&part.shared, &self.shared)) {
                hosts.remove(name);
            }
        }
    }
}
