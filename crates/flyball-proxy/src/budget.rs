//! Limits client connections: for all proxies of the process together, and per client. No service
//! can take another one's guaranteed share of half of all connections.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long it is shown that a client was turned away: longer than a user takes from one look at
/// the page to the next.
const SHOWN_FOR: Duration = Duration::from_secs(30);

/// The client connections of all proxies that share it.
#[derive(Debug)]
pub struct Budget {
    max: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Connections by service, of every service that has a proxy.
    services: BTreeMap<u64, usize>,
    next_service: u64,
}

/// One proxy's part in a budget.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    service: u64,
    /// The most that this proxy may have, and one client of it.
    max: usize,
    per_client: usize,
    clients: Mutex<HashMap<IpAddr, usize>>,
}

/// The right to one open connection; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    share: Arc<Share>,
    /// `None` for a trusted proxy, which stands for many clients.
    client: Option<IpAddr>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken, as far as this service may have them.
    All,
    /// This client has as many as one may have.
    Client,
}

/// When a client was last turned away, and why.
#[derive(Debug, Default)]
pub(crate) struct TurnedAway(Mutex<Option<(Instant, Full)>>);

impl TurnedAway {
    pub(crate) fn record(&self, full: Full) {
        *lock(&self.0) = Some((Instant::now(), full));
    }

    /// Why clients are turned away, if one was within [`SHOWN_FOR`].
    pub(crate) fn recent(&self) -> Option<Full> {
        let last = *lock(&self.0);
        last.filter(|(at, _)| at.elapsed() < SHOWN_FOR).map(|(_, full)| full)
    }
}

impl Budget {
    /// At most `max` connections together; at least one.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max: max.max(1), counts: Mutex::default() })
    }

    /// How many connections there may be together.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// A part for one more proxy, of at most `max`, and `per_client` for one client.
    ///
    /// A client is an IPv4 address or a /64 network of IPv6, which one household or machine has.
    pub(crate) fn join(self: &Arc<Self>, max: usize, per_client: usize) -> Arc<Share> {
        let mut counts = lock(&self.counts);
        let service = counts.next_service;
        counts.next_service += 1;
        counts.services.insert(service, 0);
        let budget = Arc::clone(self);
        Arc::new(Share { budget, service, max, per_client, clients: Mutex::default() })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counts {
    /// Whether `service` may have one more of `max`: it has not had its own part yet, or the others'
    /// parts stay free for them.
    fn has_room(&self, service: u64, own: usize, max: usize) -> bool {
        let open: usize = self.services.values().sum();
        let part = (max / 2 / self.services.len().max(1)).max(1);
        let kept_for = |count: &usize| part.saturating_sub(*count);
        let others = self.services.iter().filter(|(other, _)| **other != service);
        let kept: usize = others.map(|(_, count)| kept_for(count)).sum();
        open < max && (own < part || open + kept < max)
    }
}

impl Share {
    /// A place for a connection from `client`; `trusted` if it is a proxy that stands for many
    /// clients.
    pub(crate) fn take(self: &Arc<Self>, client: IpAddr, trusted: bool) -> Result<Place, Full> {
        let client = (!trusted).then(|| household(client));
        // Lock order: `clients`, then the budget's `counts`, here and when a place is dropped. Both
        // are held from the check to the count, so that two clients cannot take the last place.
        let mut clients = lock(&self.clients);
        if client.and_then(|client| clients.get(&client)).is_some_and(|n| *n >= self.per_client) {
            return Err(Full::Client);
        }
        let mut counts = lock(&self.budget.counts);
        let own = counts.services.get(&self.service).copied().unwrap_or(0);
        if own >= self.max || !counts.has_room(self.service, own, self.budget.max) {
            return Err(Full::All);
        }
        counts.services.insert(self.service, own + 1);
        if let Some(client) = client {
            *clients.entry(client).or_default() += 1;
        }
        drop((counts, clients));
        Ok(Place { share: Arc::clone(self), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let share = &self.share;
        let mut clients = lock(&share.clients);
        if let Some(count) = lock(&share.budget.counts).services.get_mut(&share.service) {
            *count = count.saturating_sub(1);
        }
        let Some(client) = self.client else { return };
        if let Some(count) = clients.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                clients.remove(&client);
            }
        }
    }
}

impl Drop for Share {
    /// The last of its places is gone by then, since each keeps its share.
    fn drop(&mut self) {
        lock(&self.budget.counts).services.remove(&self.service);
    }
}

/// What one client has: an IPv4 address, or the network that an IPv6 address is in.
fn household(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        plain @ IpAddr::V4(_) => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    /// As many places as `share` gives to different clients, up to `count`.
    fn fill(share: &Arc<Share>, count: usize) -> Vec<Place> {
        (0..count).map_while(|_| share.take(client(1), true).ok()).collect()
    }

    #[test]
    fn one_client_has_its_bound_and_others_are_not_asked_for_it() {
        let share = Budget::new(100).join(100, 3);
        let places: Vec<Place> = (0..3).map(|_| share.take(client(1), false).unwrap()).collect();
        assert_eq!(share.take(client(1), false).unwrap_err(), Full::Client);
        assert!(share.take("::ffff:192.0.2.1".parse().unwrap(), false).is_err(), "the same one");
        assert!(share.take(client(2), false).is_ok());
        assert!(share.take(client(1), true).is_ok(), "a trusted proxy");
        drop(places);
        assert!(share.take(client(1), false).is_ok());
        assert!(lock(&share.clients).is_empty(), "no client is remembered for ever");
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let share = Budget::new(100).join(100, 1);
        let _first = share.take("2001:db8::1".parse().unwrap(), false).unwrap();
        assert!(share.take("2001:db8::2".parse().unwrap(), false).is_err());
        assert!(share.take("2001:db8:0:1::1".parse().unwrap(), false).is_ok());
    }

    #[test]
    fn a_service_that_takes_all_it_can_get_leaves_the_others_their_part() {
        let budget = Budget::new(100);
        let services: Vec<_> = (0..5).map(|_| budget.join(100, 100)).collect();
        // Ten are each one's own; the other fifty are first come, first served.
        let greedy = fill(&services[0], 1_000);
        assert_eq!(greedy.len(), 60);
        let others: Vec<_> = services[1..].iter().map(|share| fill(share, 1_000)).collect();
        assert!(others.iter().all(|places| places.len() == 10), "{others:?}");
        drop(greedy);
        assert_eq!(fill(&services[1], 1_000).len(), 50, "what is free again is there for all");
    }

    #[test]
    fn a_service_that_is_gone_keeps_nothing() {
        let budget = Budget::new(100);
        let (left, gone) = (budget.join(100, 100), budget.join(100, 100));
        let places = fill(&gone, 10);
        drop((gone, places));
        assert_eq!(fill(&left, 1_000).len(), 100);
    }

    #[test]
    fn a_proxy_has_a_bound_of_its_own_beside_that_of_all() {
        let budget = Budget::new(100);
        assert_eq!(fill(&budget.join(7, 100), 1_000).len(), 7);
    }
}
