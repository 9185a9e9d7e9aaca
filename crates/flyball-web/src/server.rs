//! Listens, and leads each connection to the routes and away again.
//!
//! Knows nothing of services. Invariant: connections are bounded in number, in the size of their
//! headers and in their life, and once told to stop the server ends within [`GRACE`].

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use flyball_token::Token;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::access::Access;
use crate::asks::ParseDuration;
use crate::assets::Assets;
use crate::daemon::Daemon;
use crate::door::{Door, READERS_MAX};
use crate::lane::Lane;
use crate::routes::router;
use crate::stalled::Stalled;

/// Those that follow the events, and as many for everything else: a page keeps up to six open. The
/// rest waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 2 * READERS_MAX;
/// Above the bounds that are refused in words, see `routes`: what is beyond these, too, is refused
/// by the parser with a bare 431.
const HEADER_BYTES_MAX: usize = 128 * 1024;
const HEADERS_MAX: usize = 1_000;
/// How long a client may take to send its headers, and how long an idle connection is kept.
const HEADER_LIMIT: Duration = Duration::from_secs(15);
/// A connection is asked to end after this time, so that none is held for ever.
const CONNECTION_LIMIT: Duration = Duration::from_secs(600);
/// How long answers under way may still take once their connection shall end.
const GRACE: Duration = Duration::from_secs(3);
/// Names are looked up once, at the start.
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);
/// The pause after the system gave no connection, such as when it is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A page that answers later than this is no longer live.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Journal reads, and wishes, under way at once.
const READS_MAX: usize = 8;
const ASKS_MAX: usize = 4;

/// How the server is set up.
#[derive(Clone, Debug)]
pub struct WebSettings {
    /// Where it listens, such as `127.0.0.1:7878`; port 0 takes a free one. A name here is one
    /// that the server answers to, besides IP addresses and `localhost`.
    pub listen: String,
    /// What changing calls must present; needed unless `listen` is a loopback address.
    pub token: Option<Token>,
    /// What reading calls must present where anybody else can reach the server, if they must;
    /// `token` may read, too.
    pub read_token: Option<Token>,
    /// Turns a duration such as "1h" into milliseconds, or says what is wrong with it.
    pub parse_duration_ms: fn(&str) -> Result<u64, String>,
}

/// A server at work.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
    /// Closed with the port.
    port: oneshot::Receiver<Infallible>,
}

impl Server {
    /// Waits until the port is free, which it is as soon as the server was told to stop. Answers
    /// under way may take longer, and nobody waits for them.
    pub async fn port_free(self) {
        let _closed = self.port.await;
    }

    /// Waits until the server has ended, which it does soon after it was told to stop.
    pub async fn finished(self) {
        if self.task.await.is_err() {
            tracing::error!(address = %self.address, "the web server died");
        }
    }
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address is not one.
    #[error("cannot listen on \"{listen}\": {why}")]
    Address {
        /// As it was set.
        listen: String,
        /// What the look-up said.
        why: String,
    },
    /// The address is taken or may not be taken.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address can be reached by others and there is no token.
    #[error("cannot listen on {address} without a token: others can reach that address")]
    TokenMissing {
        /// Which address.
        address: SocketAddr,
    },
}

impl WebError {
    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Address { .. } => {
                Some("write an address and a port, such as listen = \"127.0.0.1:7878\"".to_owned())
            }
            Self::TokenMissing { .. } => {
                Some("set token_file = \"...\", or listen on 127.0.0.1".to_owned())
            }
            Self::Bind { address, source } => match source.kind() {
                io::ErrorKind::AddrInUse => Some(format!(
                    "is another flyball running? ask it: `curl http://{address}/healthz`; \
                     or use another port: listen = \"{}\"",
                    SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(7878))
                )),
                io::ErrorKind::PermissionDenied => {
                    Some("ports below 1024 need a privilege: use a higher one".to_owned())
                }
                io::ErrorKind::AddrNotAvailable => {
                    Some("this machine has no such address: use 127.0.0.1 or 0.0.0.0".to_owned())
                }
                _ => None,
            },
        }
    }
}

/// Listens as `settings` say and serves `daemon` until `stop` is ready.
///
/// Returns as soon as the port is open; the rest goes on in tasks of its own.
///
/// # Errors
/// An address that is not one, is taken, or needs a token that is not there.
pub async fn serve(
    settings: WebSettings,
    daemon: Arc<dyn Daemon>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<Server, WebError> {
    let wanted = look_up(&settings.listen).await?;
    let loopback = wanted.ip().is_loopback();
    if !loopback && settings.token.is_none() {
        return Err(WebError::TokenMissing { address: wanted });
    }
    let bind = |source| WebError::Bind { address: wanted, source };
    let listener = TcpListener::bind(wanted).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let token = settings.token.filter(|_| !loopback);
    let read_token = settings.read_token.filter(|_| !loopback);
    let (stop_all, stopped) = watch::channel(false);
    let tokens = [token.clone(), read_token.clone()];
    let following = tokens.into_iter().flatten().map(|token| tokio::spawn(token.follow()));
    let following: Vec<JoinHandle<()>> = following.collect();
    let door = Door {
        daemon,
        access: Access { bound_name: host_of(&settings.listen).to_owned(), token, read_token },
        parse_duration_ms: settings.parse_duration_ms as ParseDuration,
        assets: Assets::new(),
        reads: Lane::new(READS_MAX, ANSWER_LIMIT),
        asks: Lane::new(ASKS_MAX, ANSWER_LIMIT),
        once: crate::once::Once::default(),
        readers: Arc::new(Semaphore::new(READERS_MAX)),
        stopped,
    };
    let (open, port) = oneshot::channel();
    let task = tokio::spawn(async move {
        accept((listener, open), router(Arc::new(door)), stop_all, stop).await;
        following.iter().for_each(JoinHandle::abort);
    });
    Ok(Server { address, task, port })
}

async fn look_up(listen: &str) -> Result<SocketAddr, WebError> {
    let wrong = |why: String| WebError::Address { listen: listen.to_owned(), why };
    let mut found = timeout(LOOKUP_LIMIT, lookup_host(listen))
        .await
        .map_err(|_| wrong(format!("no answer within {} s", LOOKUP_LIMIT.as_secs())))?
        .map_err(|error| wrong(error.to_string()))?;
    found.next().ok_or_else(|| wrong("the name has no address".to_owned()))
}

fn host_of(listen: &str) -> &str {
    listen.rsplit_once(':').map_or(listen, |(host, _)| host)
}

async fn accept(
    (listener, port): (TcpListener, oneshot::Sender<Infallible>),
    routes: Router,
    stop_all: watch::Sender<bool>,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut open = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            () = &mut stop => break,
            Some(_) = open.join_next() => continue,
            (place, accepted) = next => match accepted {
                Ok((stream, _)) => (place, stream),
                Err(error) => {
                    tracing::warn!(%error, "no connection from the system");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let (routes, stopped) = (routes.clone(), stop_all.subscribe());
        open.spawn(async move {
            converse(stream, routes, stopped).await;
            drop(place);
        });
    }
    drop(listener);
    drop(port);
    stop_all.send_replace(true);
    while open.join_next().await.is_some() {}
}

/// Answers one connection's requests until it ends, it has lived long enough, or all shall stop.
async fn converse(stream: TcpStream, routes: Router, mut stopped: watch::Receiver<bool>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(Stalled::new(stream)), TowerToHyperService::new(routes));
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke off");
            }
            return;
        }
        _ = stopped.wait_for(|stop| *stop) => {}
        () = sleep(CONNECTION_LIMIT) => {}
    }
    connection.as_mut().graceful_shutdown();
    if timeout(GRACE, connection).await.is_err() {
        tracing::debug!("a connection was cut off: its client took too long");
    }
}
