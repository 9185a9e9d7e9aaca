//! One address for the requests of several services, told apart by their host names. Whatever
//! happens to a request then is the business of its service's own proxy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flyball_core::units::Timestamp;
use hyper::Request;
use hyper::header::HOST;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::listen::{self, Requests};
use crate::proxy::Proxy;
use crate::rejection::Rejection;
use crate::settings::{ProxyError, ProxySettings};
use crate::shared::{Client, Phase, Shared};

/// How long clients of a door that closes get to end their requests.
const GOODBYE: Duration = Duration::from_secs(5);

/// The shared address. Dropping it cuts every connection; see [`Activator::shutdown`].
pub struct Activator {
    address: SocketAddr,
    hosts: Arc<Hosts>,
    phase: watch::Sender<Phase>,
}

/// That a service is reached by its host names; dropping it ends that.
pub struct HostsServed {
    hosts: Arc<Hosts>,
    names: Vec<String>,
    shared: Arc<Shared>,
}

/// One service's proxy, as a door of several services needs it.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) shared: Arc<Shared>,
    /// The service's own: its end ends what was passed on to it.
    pub(crate) phase: watch::Sender<Phase>,
}

/// Services by host name, in lower case.
#[derive(Default)]
pub(crate) struct Hosts(Mutex<BTreeMap<String, Part>>);

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
    pub fn serve(&self, names: impl IntoIterator<Item = String>, proxy: &Proxy) -> HostsServed {
        let names: Vec<String> = names.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        let part = proxy.part();
        self.hosts.lock().extend(names.iter().map(|name| (name.clone(), part.clone())));
        HostsServed { hosts: Arc::clone(&self.hosts), names, shared: part.shared }
    }

    /// Takes no new connections, and gives those there are a while to end.
    pub async fn shutdown(self) {
        self.phase.send_replace(Phase::Finishing);
        if timeout(GOODBYE, self.phase.closed()).await.is_err() {
            self.phase.send_replace(Phase::Ending);
        }
    }
}

impl Hosts {
    /// `client` as the service sees it that `request` is for.
    pub(crate) fn client<B>(
        &self,
        client: &Client,
        request: &Request<B>,
    ) -> Result<Arc<Client>, Rejection> {
        let part = host_of(request).and_then(|name| self.lock().get(&name).cloned());
        let Part { shared, phase } = part.ok_or(Rejection::UnknownHost)?;
        Ok(Arc::new(Client {
            shared,
            peer: client.peer.clone(),
            held: client.held.clone(),
            interim: client.interim.clone(),
            phase: phase.subscribe(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HostsServed {
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

/// The name that a request is for, without its port. An absolute target goes before the header.
fn host_of<B>(request: &Request<B>) -> Option<String> {
    let target = request.uri().authority().map(|authority| authority.host().to_owned());
    let header = || {
        let text = request.headers().get(HOST)?.to_str().ok()?;
        Some(text.parse::<hyper::http::uri::Authority>().ok()?.host().to_owned())
    };
    let name = target.or_else(header)?;
    Some(name.trim_end_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_the_name_of_its_target_or_of_its_header() {
        let name = |uri: &str, host: Option<&str>| {
            let mut request = Request::builder().uri(uri);
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            host_of(&request.body(()).unwrap())
        };
        assert_eq!(name("/", Some("Web.Example:8080")).as_deref(), Some("web.example"));
        assert_eq!(name("/", Some("web.example.")).as_deref(), Some("web.example"));
        assert_eq!(name("http://a.example/", Some("b.example")).as_deref(), Some("a.example"));
        assert_eq!(name("/", None), None);
        assert_eq!(name("/", Some("a b")), None);
    }
}
