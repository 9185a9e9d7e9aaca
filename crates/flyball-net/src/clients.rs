//! Limits on connections. A silent connection costs a descriptor until its time is over, so a
//! client that opens hundreds could lock out all others. A new connection therefore replaces an
//! idle one, but never one that has presented a token.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// How long a connection that has to make room may still present its token. Connections of one
/// moment are accepted faster than their requests are read; without this, a burst of clients that
/// all have a token would close its own first ones. A request that was sent along is read within
/// milliseconds; twice would only keep a flood longer.
const LAST_CHANCE: Duration = Duration::from_millis(500);

/// How many there may be. A client is an IPv4 address, or the network of 64 bits that an IPv6
/// address is in. On loopback all of this machine is one client, and so is a proxy's machine.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections of one client that have presented no token.
    pub connections_of_one: usize,
    /// Connections that follow the events.
    pub followers: usize,
    /// Those of one client that have presented no token.
    pub followers_of_one: usize,
}

impl Limits {
    /// For so many connections in all: a quarter for one client, which is twenty pages with six
    /// each where there are 512; half for those that follow, since a page needs some for itself.
    /// None of them is 0.
    pub fn of(connections: usize) -> Self {
        let share = |parts: usize| (connections / parts).max(1);
        Self {
            connections: connections.max(1),
            connections_of_one: share(4),
            followers: share(2),
            followers_of_one: share(8),
        }
    }
}

/// All connections of one server.
#[derive(Debug)]
pub struct Clients {
    limits: Limits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// By number, so that the oldest comes first.
    connections: BTreeMap<u64, Entry>,
    /// Those that made room and may still present a token. They count against the limit of all, since
    /// each holds a descriptor; whoever comes takes their place first.
    leaving: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    client: IpAddr,
    stage: Stage,
    /// Whether a request on it presented a token of this server.
    known: bool,
    closed: Arc<Notify>,
}

/// What a connection is doing. In the order in which they make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Nothing was asked, or everything answered.
    Waiting,
    /// It follows the events.
    Following,
    /// A request is being answered, which does not take long.
    Answering,
}

/// One connection's place among all; given back when this is dropped.
#[derive(Debug)]
pub struct Connection {
    clients: Arc<Clients>,
    number: u64,
    closed: Arc<Notify>,
}

impl Clients {
    /// None yet.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default() })
    }

    /// A place for a connection from `address`; `None` if no connection makes room.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Connection> {
        let client = client_of(address);
        let mut open = self.open();
        if open.strangers(client).count() >= self.limits.connections_of_one {
            let oldest = open.strangers(client).find(|(_, entry)| entry.stage == Stage::Waiting);
            let oldest = oldest.map(|(number, _)| number)?;
            open.make_leave(oldest);
        }
        if open.connections.len() >= self.limits.connections {
            let last = open.dispensable(|_| true)?;
            open.make_leave(last);
        }
        while open.connections.len() + open.leaving.len() >= self.limits.connections
            && let Some((_, entry)) = open.leaving.pop_first()
        {
            entry.closed.notify_one();
        }
        let number = open.next;
        open.next += 1;
        let closed = Arc::new(Notify::new());
        let stage = Stage::Waiting;
        let entry = Entry { client, stage, known: false, closed: Arc::clone(&closed) };
        open.connections.insert(number, entry);
        Some(Connection { clients: Arc::clone(self), number, closed })
    }

    /// How many follow the events now.
    pub fn followers(&self) -> usize {
        let open = self.open();
        open.connections.values().filter(|entry| entry.stage == Stage::Following).count()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// The connections of `client` that have presented no token, the oldest first.
    fn strangers(&self, client: IpAddr) -> impl Iterator<Item = (u64, &Entry)> {
        let all = self.connections.iter().map(|(number, entry)| (*number, entry));
        all.filter(move |(_, entry)| entry.client == client && !entry.known)
    }

    /// Who goes first among those that `may` go and have presented no token: one of the client
    /// that has the most such connections, the most idle, the oldest.
    fn dispensable(&self, may: impl Fn(&Entry) -> bool) -> Option<u64> {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        let strangers = || self.connections.iter().filter(|(_, entry)| !entry.known && may(entry));
        strangers().for_each(|(_, entry)| *counts.entry(entry.client).or_default() += 1);
        let (most, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let of_client = strangers().filter(|(_, entry)| entry.client == most);
        of_client.min_by_key(|(number, entry)| (entry.stage, **number)).map(|(number, _)| *number)
    }

    /// Has a connection close soon; its place is free at once.
    fn make_leave(&mut self, number: u64) {
        if let Some(entry) = self.connections.remove(&number) {
            entry.closed.notify_one();
            self.leaving.insert(number, entry);
        }
    }

    /// Gives one that was about to leave its place back: it still counts, so there is one.
    fn take_back(&mut self, number: u64) {
        if let Some(mut entry) = self.leaving.remove(&number) {
            entry.known = true;
            self.connections.insert(number, entry);
        }
    }
}

impl Connection {
    /// Returns once it has to make room, and has presented no token for a moment after that.
    pub async fn closed(&self) {
        loop {
            self.closed.notified().await;
            if self.clients.open().leaving.contains_key(&self.number) {
                // Told again, it has no chance left.
                let _ = timeout(LAST_CHANCE, self.closed.notified()).await;
            }
            if !self.clients.open().connections.contains_key(&self.number) {
                return;
            }
        }
    }

    /// A request has come.
    pub fn asked(&self) {
        self.set(|entry| entry.stage = Stage::Answering);
    }

    /// Its answer is known, and may go on if it follows the events.
    pub fn answered(&self) {
        self.set(|entry| {
            if entry.stage == Stage::Answering {
                entry.stage = Stage::Waiting;
            }
        });
    }

    /// It has presented a token of this server.
    pub fn is_known(&self) {
        self.set(|entry| entry.known = true);
        self.clients.open().take_back(self.number);
    }

    /// Lets it follow the events, in the place of a stranger if need be.
    ///
    /// # Errors
    /// Why it cannot, in words.
    pub fn follow(&self) -> Result<(), String> {
        let limits = self.clients.limits;
        let follows = |entry: &Entry| entry.stage == Stage::Following;
        let mut open = self.clients.open();
        // It makes room for another one itself just now.
        let Some(own) = open.connections.get(&self.number) else { return Ok(()) };
        let (client, known) = (own.client, own.known);
        let of_one = open.strangers(client).filter(|(_, entry)| follows(entry)).count();
        if !known && of_one >= limits.followers_of_one {
            return Err(format!("this address already has {of_one} event streams"));
        }
        let all = open.connections.values().filter(|entry| follows(entry)).count();
        if all >= limits.followers {
            match open.dispensable(follows).filter(|_| known) {
                Some(stranger) => open.make_leave(stranger),
                None => return Err(format!("there are already {all} event streams")),
            }
        }
        if let Some(own) = open.connections.get_mut(&self.number) {
            own.stage = Stage::Following;
        }
        Ok(())
    }

    fn set(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.clients.open().connections.get_mut(&self.number) {
            change(entry);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.clients.open();
        open.connections.remove(&self.number);
        open.leaving.remove(&self.number);
    }
}

/// Whoever has an IPv6 address has all others of its network of 64 bits, too.
fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn clients(connections: usize) -> Arc<Clients> {
        Clients::new(Limits::of(connections))
    }

    fn is_open(connection: &Connection) -> bool {
        connection.clients.open().connections.contains_key(&connection.number)
    }

    #[test]
    fn a_client_beyond_its_bound_loses_the_silent_connection_that_is_oldest() {
        let clients = clients(16);
        let own: Vec<_> = (0..4).map(|_| clients.admit(ONE).unwrap()).collect();
        own[0].asked();
        let fifth = clients.admit(ONE).unwrap();
        assert_eq!(own.iter().map(is_open).collect::<Vec<_>>(), [true, false, true, true]);
        for busy in own.iter().chain([&fifth]) {
            busy.asked();
        }
        assert!(clients.admit(ONE).is_none(), "nothing of it is idle");
        assert!(clients.admit(TWO).is_some());
    }

    #[test]
    fn whoever_presents_a_token_is_neither_counted_nor_closed() {
        let clients = clients(8);
        let known = || {
            let connection = clients.admit(ONE).unwrap();
            connection.is_known();
            connection
        };
        let known: Vec<_> = (0..6).map(|_| known()).collect();
        let strangers: Vec<_> = (0..2).map(|_| clients.admit(TWO).unwrap()).collect();
        let next = clients.admit(ONE).unwrap();
        assert!(known.iter().all(is_open) && !is_open(&strangers[0]) && is_open(&strangers[1]));
        next.is_known();
        let last = clients.admit(ONE).unwrap();
        last.is_known();
        assert!(!is_open(&strangers[1]));
        assert!(clients.admit(TWO).is_none(), "nobody is left who makes room");
    }

    #[test]
    fn when_all_places_are_taken_the_client_with_the_most_makes_room() {
        let clients = clients(8);
        let modest = clients.admit(TWO).unwrap();
        let many: Vec<_> = (3..10)
            .map(|n| IpAddr::from([10, 0, 0, if n < 5 { 3 } else { n }]))
            .map(|address| clients.admit(address).unwrap())
            .collect();
        assert!(clients.admit(ONE).is_some());
        assert!(is_open(&modest) && !is_open(&many[0]) && many[1..].iter().all(is_open));
    }

    #[test]
    fn followers_are_bounded_for_each_client_and_give_way_to_a_token() {
        let clients = clients(32);
        let follower = |address| {
            let connection = clients.admit(address).unwrap();
            connection.asked();
            connection.follow().map(|()| connection)
        };
        let of = |n: u8| IpAddr::from([10, 0, 1, n]);
        let all: Vec<_> = (0..16).map(|n| follower(of(n / 4)).unwrap()).collect();
        assert_eq!(clients.followers(), 16);
        assert!(follower(of(0)).unwrap_err().contains("this address already has 4 event streams"));
        assert!(follower(of(9)).unwrap_err().contains("already 16 event streams"));
        let known = clients.admit(of(0)).unwrap();
        known.is_known();
        known.follow().unwrap();
        assert_eq!((clients.followers(), all.iter().filter(|one| is_open(one)).count()), (16, 15));
        drop(all);
        assert_eq!(clients.followers(), 1);
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_a_mapped_address_is_its_ipv4() {
        let of = |text: &str| client_of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::7"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::7"), of("2001:db8:1:3::7"));
        assert_eq!(of("::ffff:10.0.0.1"), ONE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_clients_with_a_token_closes_none_of_its_own() {
        let clients = clients(16);
        let burst: Vec<_> = (0..12).map(|_| clients.admit(ONE).unwrap()).collect();
        // Their requests are read only after all have been accepted.
        burst.iter().for_each(Connection::is_known);
        assert!(burst.iter().all(is_open));
        for connection in &burst {
            assert!(timeout(LAST_CHANCE * 2, connection.closed()).await.is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_without_a_token_never_holds_more_than_the_limit_and_not_for_long() {
        let clients = clients(16);
        let flood: Vec<_> = (0..100).map(|_| clients.admit(ONE).unwrap()).collect();
        let held = |open: &Open| open.connections.len() + open.leaving.len();
        assert_eq!(held(&clients.open()), 16);
        let began = tokio::time::Instant::now();
        flood[0].closed().await;
        assert!(began.elapsed().is_zero(), "told twice, it goes at once");
        flood[95].closed().await;
        assert_eq!(began.elapsed(), LAST_CHANCE);
        assert!(is_open(&flood[99]));
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_places_are_taken_there_is_no_last_chance() {
        let clients = clients(4);
        let late = clients.admit(ONE).unwrap();
        let admit_known = |_| {
            let connection = clients.admit(TWO).unwrap();
            connection.is_known();
            connection
        };
        let known: Vec<_> = (0..4).map(admit_known).collect();
        late.is_known();
        let began = tokio::time::Instant::now();
        late.closed().await;
        assert!(began.elapsed().is_zero());
        assert!(known.iter().all(is_open));
    }
}
