//! The client side: accepts connections and serves HTTP/1 on them.
//!
//! Decides how many clients there may be and when their connections end. Leaves every request to
//! [`crate::exchange`]. Invariant: a connection is not cut while it has a request, unless the proxy
//! is ending.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::exchange;
use crate::headers::Peer;
use crate::settings::span;
use crate::shared::{Client, Phase, Shared, reached};
use crate::socket::{ClientSocket, Held};
use crate::watched::{Watch, Watched};

/// Pause after an accept that failed for want of file descriptors or memory, so that the loop
/// does not spin while connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Accepts until the proxy stops serving.
pub(crate) async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut phase: watch::Receiver<Phase>,
) {
    let room = Arc::new(Semaphore::new(shared.settings.connections_max));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(span(shared.settings.header_limit_ms));
    // Head and a small body in one plain write: cheaper than a vectored one, and large bodies are
    // copied by the kernel anyway.
    http.writev(false);
    let clients = phase.clone();
    loop {
        let accepted = tokio::select! {
            accepted = accept_one(&listener, &room) => accepted,
            () = reached(&mut phase, Phase::Finishing) => return,
        };
        match accepted {
            Ok((stream, address, permit)) => {
                let (shared, peer) = (Arc::clone(&shared), Peer::new(address.ip()));
                let client = Client { shared, peer, held: Held::default(), phase: clients.clone() };
                tokio::spawn(serve(stream, Arc::new(client), http.clone(), permit));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn accept_one(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, address, permit))
}

async fn serve(
    stream: TcpStream,
    client: Arc<Client>,
    http: http1::Builder,
    _room: OwnedSemaphorePermit,
) {
    let mut phase = client.phase.clone();
    let stall_limit = span(client.shared.settings.stall_limit_ms);
    let socket = ClientSocket::new(stream, client.held.clone());
    let io = TokioIo::new(Watched::new(socket, stall_limit, Watch::Writes));
    let service = service_fn(move |request| exchange::answer(Arc::clone(&client), request));
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
