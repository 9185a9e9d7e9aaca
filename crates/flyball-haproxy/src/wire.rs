//! One command at a time over a connection of its own.
//!
//! Decides nothing about what is said. A connection is not kept: one that outlives a reload stays
//! with the process that is going, and keeps it from ending. Invariant: every call ends within its
//! limit, waiting for the one before included, so that what is seen is never older than a change
//! that was made before it.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::HaproxyError;
use crate::settings::Socket;

/// More than 10,000 servers fill with 2.3 MB; an answer that is longer is none of HAProxy's.
const ANSWER_MAX: u64 = 16 << 20;

/// The way to one HAProxy.
pub(crate) struct Wire {
    pub(crate) socket: Socket,
    limit_ms: u64,
    turn: Mutex<()>,
}

impl Wire {
    pub(crate) fn new(socket: Socket, limit_ms: u64) -> Self {
        Self { socket, limit_ms, turn: Mutex::default() }
    }

    /// The whole answer to `commands`, which are separated by `;`.
    pub(crate) async fn ask(&self, commands: &str) -> Result<String, HaproxyError> {
        let call = async {
            let _turn = self.turn.lock().await;
            match &self.socket {
                Socket::Unix(path) => self.exchange(UnixStream::connect(path), commands).await,
                Socket::Tcp(place) => {
                    self.exchange(TcpStream::connect(place.as_str()), commands).await
                }
            }
        };
        timeout(Duration::from_millis(self.limit_ms), call).await.map_err(|_| self.silent())?
    }

    pub(crate) fn silent(&self) -> HaproxyError {
        HaproxyError::Silent { socket: self.socket.clone(), limit_ms: self.limit_ms }
    }

    async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        connect: impl Future<Output = io::Result<S>>,
        commands: &str,
    ) -> Result<String, HaproxyError> {
        let broken = |source| HaproxyError::Unreachable { socket: self.socket.clone(), source };
        let mut stream = connect.await.map_err(broken)?;
        let line = format!("{commands}\n");
        stream.write_all(line.as_bytes()).await.map_err(broken)?;
        let mut answer = Vec::new();
        let read = stream.take(ANSWER_MAX + 1).read_to_end(&mut answer).await.map_err(broken)?;
        let garbled =
            |why: &str| HaproxyError::Garbled { command: commands.into(), why: why.to_owned() };
        if read as u64 > ANSWER_MAX {
            return Err(garbled("it is longer than 16 MiB"));
        }
        String::from_utf8(answer).map_err(|_| garbled("it is not text"))
    }
}
