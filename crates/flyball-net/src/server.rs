//! Accepts HTTP/1 connections and closes them. They are limited in number (see `clients`), in the
//! size of their headers and in their duration, and a server that has to stop ends within its grace.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::{Clients, Connection, Limits, Stream, WarningLimit};

/// A connection is asked to end after this time, so that none is held for ever, read or not.
const CONNECTION_LIMIT: Duration = Duration::from_secs(600);
/// The pause after the system gave no connection, such as when it is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server's bounds, and how its warnings begin.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// The system gives no connection; a colon and the error follow.
    pub cannot_accept: &'static str,
    /// There is no place for a client; its address follows.
    pub no_place: &'static str,
    /// What such a client is sent; may be empty.
    pub refusal: &'static [u8],
    /// All headers of a request together.
    pub header_bytes_max: usize,
    /// Their number.
    pub headers_max: usize,
    /// How long a client may take to send its headers, and how long an idle connection is kept.
    pub header_limit: Duration,
    /// How long answers under way may still take once their connection shall end.
    pub grace: Duration,
}

/// An open port and everyone who is connected to it.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    settings: ServerSettings,
    clients: Arc<Clients>,
    stop_all: watch::Sender<bool>,
}

impl HttpServer {
    /// Nobody is connected yet.
    pub fn new(listener: TcpListener, limits: Limits, settings: ServerSettings) -> Self {
        let clients = Clients::new(limits);
        Self { listener, settings, clients, stop_all: watch::Sender::new(false) }
    }

    /// Who is connected.
    pub fn clients(&self) -> Arc<Clients> {
        Arc::clone(&self.clients)
    }

    /// Turns true when all connections shall end. The port is free by then.
    pub fn stopped(&self) -> watch::Receiver<bool> {
        self.stop_all.subscribe()
    }

    /// Accepts connections until `stop` is ready, then ends them all. `prepare` makes the stream that
    /// is read and written; `service` makes what answers the requests of one connection.
    pub async fn run<T, S, B>(
        self,
        stop: impl Future<Output = ()>,
        prepare: fn(TcpStream) -> T,
        service: impl Fn(Arc<Connection>) -> S,
    ) where
        T: Stream + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
            + Send
            + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let Self { listener, settings, clients, stop_all } = self;
        let (mut failed, mut refused) = (WarningLimit::default(), WarningLimit::default());
        let mut open = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                Some(_) = open.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    failed.warn(|| format!("{}: {error}", settings.cannot_accept));
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(place) = clients.admit(from.ip()).map(Arc::new) else {
                refused.warn(|| format!("{} {}", settings.no_place, from.ip()));
                // Whoever does not take it in sees the connection close.
                let _told = stream.try_write(settings.refusal);
                continue;
            };
            let _latency_only = stream.set_nodelay(true);
            let service = service(Arc::clone(&place));
            open.spawn(converse(prepare(stream), service, place, settings, stop_all.subscribe()));
        }
        drop(listener);
        stop_all.send_replace(true);
        while open.join_next().await.is_some() {}
    }
}

/// Answers one connection's requests until it ends, has lived long enough or has to make room, or
/// all shall stop.
async fn converse<T, S, B>(
    stream: T,
    service: S,
    place: Arc<Connection>,
    settings: ServerSettings,
    mut stopped: watch::Receiver<bool>,
) where
    T: Stream + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_limit)
        .max_buf_size(settings.header_bytes_max)
        .max_headers(settings.headers_max)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke off");
            }
            return;
        }
        () = place.closed() => {
            tracing::debug!("a connection was closed to make room for another one");
            return;
        }
        _ = stopped.wait_for(|stop| *stop) => {}
        () = sleep(CONNECTION_LIMIT) => {}
    }
    connection.as_mut().graceful_shutdown();
    if timeout(settings.grace, connection).await.is_err() {
        tracing::debug!("a connection was cut off: its client took too long");
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::service::service_fn;
    use tokio::io::AsyncReadExt as _;
    use tokio::sync::oneshot;

    use super::*;

    const SETTINGS: ServerSettings = ServerSettings {
        cannot_accept: "the test cannot accept a client",
        no_place: "the test has no place for",
        refusal: b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
        header_bytes_max: 16 << 10,
        headers_max: 32,
        header_limit: Duration::from_secs(10),
        grace: Duration::from_secs(1),
    };

    #[tokio::test]
    async fn a_client_without_a_place_is_told_so_and_the_port_is_free_once_all_shall_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = HttpServer::new(listener, Limits::of(1), SETTINGS);
        let (clients, mut stopped) = (server.clients(), server.stopped());
        let held = clients.admit("127.0.0.1".parse().unwrap()).unwrap();
        held.asked();
        let (stop, asked) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(
            async move { drop(asked.await) },
            std::convert::identity,
            |_| service_fn(async |_| Ok(Response::new(Full::<Bytes>::default()))),
        ));
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut told = Vec::new();
        client.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, SETTINGS.refusal);
        drop(stop);
        stopped.wait_for(|stop| *stop).await.unwrap();
        TcpListener::bind(address).await.unwrap();
        running.await.unwrap();
    }
}
