//! Accepts client connections and serves HTTP/1 on them. A connection with a request is not cut
//! unless the proxy is stopping. Until its request is complete, a connection uses at most 64 KB.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::budget::{Full, Place, Share};
use crate::exchange;
use crate::first_head;
use crate::headers::Peer;
use crate::hosts::Hosts;
use crate::interim::Interim;
use crate::rejection::Rejection;
use crate::seldom::WarningLimit;
use crate::settings::span;
use crate::shared::{Client, Phase, Shared, reached};
use crate::socket::{ClientSocket, Held};
use crate::watched::{Watch, Watched};

/// Pause after an accept that failed for want of file descriptors or memory, so that the loop
/// does not spin while connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// What is read ahead of a client, the largest head of a request, and what is kept of an answer for
/// a client that reads slowly. HAProxy and Node.js take heads of as much.
const BUFFER_MAX: usize = 16 * 1024;

/// Who answers the requests that arrive at an address.
#[derive(Clone)]
pub(crate) enum Requests {
    /// The one service that it belongs to.
    Own,
    /// The service of each request's host name.
    ByHost(Arc<Hosts>),
}

/// Takes in the clients of one address.
struct Acceptor {
    requests: Requests,
    address: SocketAddr,
    shared: Arc<Shared>,
    share: Arc<Share>,
    http: http1::Builder,
    clients: watch::Receiver<Phase>,
    failed: WarningLimit,
    turned_away: WarningLimit,
}

/// Accepts until the proxy stops serving.
pub(crate) async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    requests: Requests,
    mut phase: watch::Receiver<Phase>,
) {
    let settings = &shared.settings;
    let share = settings.budget.join(settings.connections_max, settings.connections_per_client);
    let http = protocol(&shared);
    let (failed, turned_away) = (WarningLimit::default(), WarningLimit::default());
    let address = listener.local_addr().unwrap_or(settings.listen);
    let clients = phase.clone();
    let mut acceptor =
        Acceptor { requests, address, shared, share, http, clients, failed, turned_away };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = reached(&mut phase, Phase::Finishing) => return,
        };
        match accepted {
            Ok((stream, address)) => acceptor.take_in(stream, address),
            Err(error) => {
                if let Some(times) = acceptor.failed.happened(Instant::now()) {
                    let at = acceptor.address;
                    tracing::warn!(%error, times, "cannot accept a client at {at}");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn protocol(shared: &Shared) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(span(shared.settings.header_limit_ms));
    // Head and a small body in one plain write: cheaper than a vectored one, and large bodies are
    // copied by the kernel anyway.
    http.writev(false).max_buf_size(BUFFER_MAX);
    http
}

impl Acceptor {
    fn take_in(&mut self, stream: TcpStream, address: SocketAddr) {
        let trusted = self.shared.settings.trusts(address.ip());
        let place = match self.share.take(address.ip(), trusted) {
            Ok(place) => place,
            Err(full) => return self.turn_away(stream, address, full),
        };
        // A client that is gone already: its next read fails.
        let _gone = stream.set_nodelay(true);
        let client = Client {
            shared: Arc::clone(&self.shared),
            peer: Peer::new(address.ip(), trusted),
            held: Held::default(),
            interim: Interim::default(),
            phase: self.clients.clone(),
        };
        let (client, requests) = (Arc::new(client), self.requests.clone());
        tokio::spawn(serve(stream, client, requests, self.http.clone(), place));
    }

    fn turn_away(&mut self, stream: TcpStream, client: SocketAddr, full: Full) {
        self.shared.meter.refused(Rejection::TooManyConnections);
        self.shared.meter.turned_away.record(full);
        if let Some(times) = self.turned_away.happened(Instant::now()) {
            let text = self.shared.settings.in_words(full);
            let (at, client) = (self.address, client.ip());
            tracing::warn!(times, "client {client} turned away at {at}: {text}");
        }
        let _gone = say_and_close(stream, &Rejection::TooManyConnections.bytes());
    }
}

/// Writes what fits into the socket's buffer, which a short answer does, and closes. What the client
/// has sent by then is taken from the kernel first: closing with that unread would cancel the answer.
fn say_and_close(stream: TcpStream, answer: &str) -> io::Result<()> {
    let mut stream = stream.into_std()?;
    let _request = stream.read(&mut [0; 4096]);
    stream.write_all(answer.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)
}

async fn serve(
    stream: TcpStream,
    client: Arc<Client>,
    requests: Requests,
    http: http1::Builder,
    _place: Place,
) {
    let mut phase = client.phase.clone();
    let settings = &client.shared.settings;
    // A connection's buffers are worth a whole head; without one it ends as it would with them.
    tokio::select! {
        biased;
        head = timeout(span(settings.header_limit_ms), first_head::arrives::<BUFFER_MAX>(&stream)) => {
            if !matches!(head, Ok(Ok(()))) {
                return;
            }
        }
        () = reached(&mut phase, Phase::Finishing) => return,
    }
    let stall_limit = span(settings.stall_limit_ms);
    let socket = ClientSocket::new(stream, client.held.clone(), client.interim.clone());
    let io = TokioIo::new(Watched::new(socket, stall_limit, Watch::Writes));
    let service = service_fn(move |request| {
        let client = match &requests {
            Requests::Own => Ok(Arc::clone(&client)),
            Requests::ByHost(hosts) => hosts.client(&client, &request),
        };
        exchange::answer(client, request)
    });
    let mut connection = pin!(http.serve_connection(io, service).with_upgrades());
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = reached(&mut phase, Phase::Finishing) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = reached(&mut phase, Phase::Ending) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection to a client ended");
    }
}
