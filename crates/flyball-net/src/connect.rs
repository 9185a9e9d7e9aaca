//! Connections to other programs: TCP, with or without TLS. A deadline covers the name look-up and
//! the TLS handshake, too.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

use crate::Tls;

/// What can be read and written.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection to a port of `host`, a name or an IP address without brackets, within `limit`. With
/// TLS the other side's certificate must name `host`, as it is written here.
///
/// # Errors
/// What the system or TLS said; [`io::ErrorKind::TimedOut`] once `limit` has passed.
pub async fn connect(
    (host, port): (&str, u16),
    tls: Option<&Tls>,
    limit: Duration,
) -> io::Result<Box<dyn Stream>> {
    let connecting = async {
        let stream = connect_plain((host, port)).await?;
        match tls {
            Some(tls) => tls.encrypt(host, stream).await,
            None => Ok(Box::new(stream) as Box<dyn Stream>),
        }
    };
    timeout(limit, connecting).await.unwrap_or_else(|_| {
        let why = format!("no connection within {} ms", limit.as_millis());
        Err(io::Error::new(io::ErrorKind::TimedOut, why))
    })
}

/// A connection without TLS; the caller sets the deadline.
///
/// # Errors
/// What the system said.
pub async fn connect_plain(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // Requests are written whole, and none waits for the one before.
    stream.set_nodelay(true)?;
    Ok(stream)
}
