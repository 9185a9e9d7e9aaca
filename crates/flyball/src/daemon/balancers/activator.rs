//! The activators: where requests wait for services without a ready replica. Each service behind
//! HAProxy has an address of its own, since HAProxy cannot say whom a request is for; all services
//! with host names share one more.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use flyball_config::{self as config, Config, Service};
use flyball_core::observation::{BalancerReport, Route, ServerReport};
use flyball_haproxy::ServerOptions;
use flyball_proxy::{Activator, HostEntry, Proxy, ProxyError, Rejection};
use tokio::sync::Mutex;

use super::proxy::{ProxyHost, Served};
use crate::clock;
use crate::failure::Failure;
use crate::finding::Finding;

/// The port of activators that flyball chooses an address for.
const PORT: u16 = 7879;
/// So many addresses are tried: another flyball on this machine may have a service of that name.
const TRIES: u32 = 16;

/// What all activators share.
pub(super) struct ActivatorHost {
    listen: Option<SocketAddr>,
    /// How others reach this machine, where that was said.
    address: Option<IpAddr>,
    by_host: Mutex<Option<Activator>>,
}

impl ActivatorHost {
    pub(super) fn of(config: &Config) -> Self {
        let config::Daemon { activator, activator_address, .. } = &config.daemon;
        Self { listen: *activator, address: *activator_address, by_host: Mutex::default() }
    }

    /// Listens where all services are reached by their host names.
    pub(super) async fn open(&mut self, proxies: &ProxyHost) -> Result<(), Failure> {
        let Some(listen) = self.listen else { return Ok(()) };
        let opened = Activator::bind(proxies.connections(listen), clock::now).await;
        let failed = |error: ProxyError| {
            let failure = Failure::new(format!("activator in [flyball]: {error}"));
            match error.hint() {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        };
        let opened = opened.map_err(failed)?;
        tracing::info!("activator for all services with a host name: {}", opened.address());
        *self.by_host.get_mut() = Some(opened);
        Ok(())
    }

    pub(super) async fn close(&self) {
        if let Some(activator) = self.by_host.lock().await.take() {
            activator.shutdown().await;
        }
    }

    /// `proxy`, reached by the host names of `service`, too.
    pub(super) fn serve(&self, service: &Service, proxy: Proxy) -> Served {
        let hosts = self.hosts(service, &proxy);
        Served { proxy, hosts }
    }

    fn hosts(&self, service: &Service, proxy: &Proxy) -> Option<HostEntry> {
        // It is locked only while it closes.
        let by_host = self.by_host.try_lock().ok()?;
        let activator = by_host.as_ref().filter(|_| !service.hosts.is_empty())?;
        Some(activator.serve(service.hosts.iter().cloned(), proxy))
    }

    /// The activator of a service behind HAProxy, listening; `None` if it is to have none, or can
    /// have none.
    pub(super) async fn build(
        &self,
        service: &Service,
        proxies: &ProxyHost,
    ) -> Result<Option<Served>, Failure> {
        let config::Balancer::Haproxy { backend, slots } = &service.balancer else {
            return Ok(None);
        };
        let words = ServerOptions { words: backend.options.clone(), ..ServerOptions::default() };
        if let Some(word) = words.beyond_plain_http() {
            if service.activator != config::Activator::Off {
                tracing::warn!(
                    "{}: HAProxy answers 503 while there is no replica: the activator passes on \
                     plain HTTP/1, and haproxy.options has `{word}`; hint: set min = 1",
                    service.name
                );
            }
            return Ok(None);
        }
        let mut last = None;
        for listen in self.candidates(service) {
            match Proxy::bind(proxies.settings(service, listen, *slots), clock::now).await {
                Ok(proxy) => {
                    let at = self.reached_at(proxy.address());
                    tracing::info!("{}: requests wait for a first replica at {at}", service.name);
                    return Ok(Some(self.serve(service, proxy)));
                }
                Err(error) => last = Some(error),
            }
        }
        match last {
            None => Ok(None),
            Some(error) => Err(Failure::of_service(&service.name, &error, error.hint())),
        }
    }

    /// Where the activator of `service` listens, unless that is taken.
    pub(super) fn expected(&self, service: &Service) -> Option<SocketAddr> {
        self.candidates(service).next()
    }

    fn candidates(&self, service: &Service) -> impl Iterator<Item = SocketAddr> + use<> {
        let (name, address) = (service.name.clone(), self.address);
        let (given, tries) = match service.activator {
            config::Activator::Off => (None, 0),
            config::Activator::At(address) => (Some(address), 0),
            config::Activator::Automatic => (None, TRIES),
        };
        given.into_iter().chain((0..tries).map(move |nth| chosen(&name, nth, address)))
    }

    /// Where HAProxy finds what listens at `listen`.
    pub(super) fn reached_at(&self, listen: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.address.unwrap_or(listen.ip()), listen.port())
    }
}

/// The same for the same service at every start: HAProxy may still have it from the last one, and
/// a port that changed could be another program's by now. On loopback each service has an address,
/// elsewhere a port.
fn chosen(service: &str, nth: u32, address: Option<IpAddr>) -> SocketAddr {
    let hash = service
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let number = hash.wrapping_add(nth);
    match address {
        None => {
            let [_, a, b, c] = number.to_be_bytes();
            // Not 127.0.0.x, where everything else is.
            SocketAddr::from((Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254)), PORT))
        }
        Some(address) => {
            let [.., above] = (number % 1_000).to_be_bytes();
            SocketAddr::new(address, PORT + 1 + u16::from(above))
        }
    }
}

/// That HAProxy, on the machine `node`, cannot find the activator of `service` at `at`.
pub(super) fn unreachable(
    service: &Service,
    at: SocketAddr,
    node: Option<&str>,
) -> Option<Finding> {
    let own = flyball_docker::own_host_name()?;
    let elsewhere = node.filter(|node| *node != own && at.ip().is_loopback())?;
    let key = format!("services.{}.activator", service.name);
    let text = format!("HAProxy is on {elsewhere} and cannot reach {at}, which is on {own} alone");
    let hint = "set activator_address in [flyball] to the IP address at which HAProxy reaches this \
                machine, or activator of the service to an address there";
    Some(Finding { ok: false, ..Finding::good(&key, text).hint(hint) })
}

/// What HAProxy and an activator saw together. What the activator answered itself was an answer of
/// a server to HAProxy, though no replica's.
#[derive(Debug, Default)]
pub(super) struct Sum {
    epoch: u64,
    /// What the activator had counted when this epoch began.
    base: Own,
    /// Errors never become fewer: HAProxy counts an answer later than the activator does.
    errors: u64,
    by_replicas: u64,
}

/// Answers of the activator's own, ever.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    by_balancer: u64,
    unreachable: u64,
    pages: u64,
}

impl Sum {
    pub(super) fn of(&mut self, mut report: BalancerReport, activator: &Proxy) -> BalancerReport {
        let seen = activator.observe();
        let refusals = activator.refusals();
        let own = Own {
            by_balancer: seen.failures.by_balancer,
            unreachable: seen.failures.unreachable,
            pages: refusals.get(&Rejection::Starting).copied().unwrap_or(0),
        };
        self.count(&mut report, own);
        report.waiting = report.waiting.saturating_add(seen.waiting);
        for (replica, server) in seen.servers {
            match report.servers.get_mut(&replica) {
                Some(both) => add(both, &server),
                // HAProxy has deleted it already; here it still has requests.
                None if server.in_flight > 0 => {
                    report
                        .servers
                        .insert(replica, ServerReport { route: Route::Draining, ..server });
                }
                None => {}
            }
        }
        report
    }

    fn count(&mut self, report: &mut BalancerReport, own: Own) {
        if self.epoch != report.epoch {
            *self = Self { epoch: report.epoch, base: own, ..Self::default() };
        }
        let by_balancer = own.by_balancer - self.base.by_balancer;
        let unreachable = own.unreachable - self.base.unreachable;
        let pages = own.pages - self.base.pages;
        self.errors = self.errors.max(report.errors.saturating_sub(pages));
        let ours = by_balancer + unreachable + pages;
        self.by_replicas = self.by_replicas.max(report.failures.by_replicas.saturating_sub(ours));
        report.errors = self.errors;
        report.failures.by_replicas = self.by_replicas;
        report.failures.by_balancer += by_balancer;
        report.failures.unreachable += unreachable;
    }
}

fn add(both: &mut ServerReport, here: &ServerReport) {
    both.in_flight = both.in_flight.saturating_add(here.in_flight);
    both.served = both.served.saturating_add(here.served);
    both.first_served_at = both.first_served_at.into_iter().chain(here.first_served_at).min();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_the_same_address_at_every_start_and_none_that_others_commonly_have() {
        for name in ["web", "api", "a", "shop-42"] {
            let first = chosen(name, 0, None);
            assert_eq!(first, chosen(name, 0, None));
            let IpAddr::V4(ip) = first.ip() else { panic!("{first}") };
            assert!(ip.is_loopback() && ip.octets()[1] > 0 && first.port() == PORT, "{first}");
        }
        assert_ne!(chosen("web", 0, None), chosen("api", 0, None));
        let elsewhere = chosen("web", 0, Some([10, 0, 0, 5].into()));
        assert!(elsewhere.ip() == IpAddr::from([10, 0, 0, 5]) && elsewhere.port() > PORT);
    }

    #[test]
    fn what_the_activator_answers_itself_is_not_blamed_on_replicas_and_never_uncounted() {
        let mut sum = Sum::default();
        let own = |pages, by_balancer| Own { pages, by_balancer, unreachable: 0 };
        let mut counted = |epoch, errors, own| {
            let mut report = BalancerReport { epoch, errors, ..BalancerReport::default() };
            report.failures.by_replicas = errors;
            sum.count(&mut report, own);
            let failures = report.failures;
            (report.errors, failures.by_replicas, failures.by_balancer)
        };
        assert_eq!(counted(1, 5, own(2, 1)), (5, 5, 0), "from before flyball started");
        assert_eq!(counted(1, 10, own(4, 2)), (8, 7, 1));
        assert_eq!(counted(1, 10, own(5, 2)), (8, 7, 1), "HAProxy has not counted it yet");
        assert_eq!(counted(1, 11, own(5, 2)), (8, 7, 1));
        assert_eq!(counted(2, 1, own(6, 3)), (1, 1, 0), "after a reload");
    }
}
