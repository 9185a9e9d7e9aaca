//! One server: an address, its idle connections, and its record of answers.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use flyball_core::units::{ReplicaId, Timestamp};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::eject::Answers;
use crate::upload::Upload;

/// This much is read from a replica at once and kept for a client that reads slowly, and this large
/// may the head of an answer be: as in HAProxy, and far below the 400 kB that hyper takes if left
/// to.
const BUFFER_MAX: usize = 16 * 1024;

/// An HTTP/1.1 connection to a server. It ends when it is dropped unused.
pub(crate) struct Connection {
    sender: SendRequest<Upload>,
    driver: AbortHandle,
}

impl Connection {
    pub(crate) fn sender(&mut self) -> &mut SendRequest<Upload> {
        &mut self.sender
    }

    /// Ends it in the middle of a request, which would otherwise be waited for.
    pub(crate) fn cut(self) {
        self.driver.abort();
    }
}

/// A replica at one address, from its first route until its last request ended.
pub(crate) struct Server {
    /// Grows with every server of a proxy; never used twice.
    pub(crate) key: u64,
    pub(crate) replica: ReplicaId,
    pub(crate) address: SocketAddr,
    served: AtomicU64,
    good: AtomicU64,
    bad: AtomicU64,
    /// Whether the next good answer changes anything.
    suspect: AtomicBool,
    first_served_at: OnceLock<Timestamp>,
    idle: Mutex<Idle>,
}

/// Unused connections, the one used last at the back: it is the likeliest to be alive still, and
/// the surplus of a past peak grows old at the front.
struct Idle {
    connections: VecDeque<(Instant, Connection)>,
    /// Cleared when the server drains.
    keep: bool,
}

impl Server {
    pub(crate) fn new(key: u64, replica: ReplicaId, address: SocketAddr) -> Self {
        Self {
            key,
            replica,
            address,
            served: AtomicU64::new(0),
            good: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            suspect: AtomicBool::new(false),
            first_served_at: OnceLock::new(),
            idle: Mutex::new(Idle { connections: VecDeque::new(), keep: true }),
        }
    }

    /// The server began an answer.
    pub(crate) fn answered(&self, clock: fn() -> Timestamp) {
        self.served.fetch_add(1, Relaxed);
        self.first_served_at.get_or_init(clock);
    }

    /// A request was answered well. Returns whether a waiter needs to know.
    pub(crate) fn did_well(&self) -> bool {
        self.good.fetch_add(1, Relaxed);
        self.suspect.load(Relaxed)
    }

    /// A request failed.
    pub(crate) fn failed(&self) {
        self.bad.fetch_add(1, Relaxed);
        self.suspect.store(true, Relaxed);
    }

    /// Nothing is held against it any more.
    pub(crate) fn clear(&self) {
        self.suspect.store(false, Relaxed);
    }

    pub(crate) fn answers(&self) -> Answers {
        Answers { good: self.good.load(Relaxed), bad: self.bad.load(Relaxed) }
    }

    pub(crate) fn served(&self) -> u64 {
        self.served.load(Relaxed)
    }

    pub(crate) fn first_served_at(&self) -> Option<Timestamp> {
        self.first_served_at.get().copied()
    }

    /// The connection used last that is still open and ready, if it was used within `limit`.
    pub(crate) fn take_idle(&self, limit: Duration) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut index = idle.connections.len();
        while index > 0 {
            index -= 1;
            let (since, connection) = &idle.connections[index];
            if since.elapsed() > limit {
                // Everything further to the front is older still.
                idle.connections.drain(..=index);
                return None;
            }
            if connection.sender.is_closed() {
                idle.connections.remove(index);
            } else if connection.sender.is_ready() {
                return idle.connections.remove(index).map(|(_, connection)| connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request, unless the server drains or `max` are kept.
    ///
    /// A connection may still be busy with its last bytes; it is passed over until it is ready.
    pub(crate) fn put_idle(&self, connection: Connection, max: usize) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock that `keep_idle` takes: a request that ends during a drain keeps no
        // connection.
        if !idle.keep || max == 0 {
            return;
        }
        if idle.connections.len() >= max {
            idle.connections.pop_front();
        }
        idle.connections.push_back((Instant::now(), connection));
    }

    /// Whether connections are kept. Turning it off closes the unused ones.
    pub(crate) fn keep_idle(&self, keep: bool) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.keep = keep;
        if !keep {
            idle.connections.clear();
        }
    }

    /// A new connection, made within `limit`. It ends when its [`Connection`] is dropped.
    pub(crate) async fn connect(&self, limit: Duration) -> io::Result<Connection> {
        let stream = timeout(limit, TcpStream::connect(self.address))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(BUFFER_MAX)
            // Most requests are a head alone: a plain write is cheaper than a vectored one.
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            if let Err(error) = driver.with_upgrades().await {
                tracing::debug!(%error, "connection to a replica ended");
            }
        });
        Ok(Connection { sender, driver: driver.abort_handle() })
    }
}
