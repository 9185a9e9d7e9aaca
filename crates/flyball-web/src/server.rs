//! How the server begins and ends: its address, its bounds, and the service of each connection.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use flyball_net::{Connection, HttpServer, Limits, ServerSettings, Token};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::access::Access;
use crate::api_state::ApiState;
use crate::assets::Assets;
use crate::blocking_pool::BlockingPool;
use crate::daemon::Daemon;
use crate::requests::ParseDuration;
use crate::routes::router;
use crate::stalled::Stalled;

const SERVER: ServerSettings = ServerSettings {
    cannot_accept: "the API cannot accept a connection",
    no_place: "the API has too many connections, rejecting a client from",
    refusal: b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\
        connection: close\r\n\r\n",
    // Above the bounds that are refused in words, see `routes`: what is beyond these, too, is
    // refused by the parser with a bare 431.
    header_bytes_max: 128 * 1024,
    headers_max: 1_000,
    header_limit: Duration::from_secs(15),
    grace: Duration::from_secs(3),
};
/// Names are looked up once, at the start.
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);
/// A page that answers later than this is no longer live.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// A reload may add services, whose systems are asked first; below the limit of any request.
const RELOAD_LIMIT: Duration = Duration::from_secs(9);
const RELOADS_MAX: usize = 2;
/// Journal reads, and manual overrides, in progress at once.
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
    /// What reading calls must present, if they must; `token` may read, too.
    pub read_token: Option<Token>,
    /// Connections at once, of which at most a quarter are of one client without a token;
    /// [`WebSettings::CONNECTIONS_MAX`] unless descriptors are scarce.
    pub connections_max: usize,
    /// Turns a duration such as "1h" into milliseconds, or says what is wrong with it.
    pub parse_duration_ms: fn(&str) -> Result<u64, String>,
}

impl WebSettings {
    /// Half of them for those that follow the events, and as many for everything else: a page keeps
    /// up to six open.
    pub const CONNECTIONS_MAX: usize = 512;
}

/// A server at work.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
    /// Turns true as soon as the port is free.
    stopped: watch::Receiver<bool>,
}

impl Server {
    /// Waits until the port is free, which it is as soon as the server was told to stop. Answers
    /// under way may take longer, and nobody waits for them.
    pub async fn port_free(mut self) {
        let _free = self.stopped.wait_for(|stop| *stop).await;
    }

    /// Waits until the server has ended, which it does soon after it was told to stop.
    pub async fn finished(self) {
        if self.task.await.is_err() {
            tracing::error!(address = %self.address, "the web server ended unexpectedly");
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
    #[error("cannot listen on {address} without a token: other machines can reach that address")]
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
                    Some("ports below 1024 require a privilege: use a higher port".to_owned())
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
    let (token, read_token) = (settings.token, settings.read_token);
    let server = HttpServer::new(listener, Limits::of(settings.connections_max), SERVER);
    let stopped = server.stopped();
    let tokens = [token.clone(), read_token.clone()];
    let following = tokens.into_iter().flatten().map(|token| tokio::spawn(token.follow()));
    let following: Vec<JoinHandle<()>> = following.collect();
    let state = ApiState {
        daemon,
        access: Access { bound_name: host_of(&settings.listen).to_owned(), token, read_token },
        parse_duration_ms: settings.parse_duration_ms as ParseDuration,
        assets: Assets::new(),
        reads: BlockingPool::new(READS_MAX, ANSWER_LIMIT),
        asks: BlockingPool::new(ASKS_MAX, ANSWER_LIMIT),
        reloads: BlockingPool::new(RELOADS_MAX, RELOAD_LIMIT),
        once: crate::event_dedup::EventDedup::default(),
        clients: server.clients(),
        stopped: stopped.clone(),
    };
    let task = tokio::spawn(async move {
        let routes = router(Arc::new(state));
        server.run(stop, Stalled::new, |place| answering(routes.clone(), place)).await;
        following.iter().for_each(JoinHandle::abort);
    });
    Ok(Server { address, task, stopped })
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

/// What answers the requests of the connection at `place`, which learns of each.
fn answering(
    routes: Router,
    place: Arc<Connection>,
) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + use<>
{
    let routes = TowerToHyperService::new(routes);
    service_fn(move |mut request: Request<Incoming>| {
        let place = Arc::clone(&place);
        place.asked();
        request.extensions_mut().insert(Arc::clone(&place));
        let answer = routes.call(request);
        async move {
            let answer = answer.await;
            place.answered();
            answer
        }
    })
}
