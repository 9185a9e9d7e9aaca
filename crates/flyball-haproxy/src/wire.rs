//! Sends one command at a time, each over a connection of its own. A kept connection would keep the
//! old process from ending after a reload. The limit of a call includes the wait for the one
//! before, so a reading is never older than an earlier change.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::HaproxyError;
use crate::socket::Socket;

/// More than 10,000 servers fill with 2.3 MB; an answer that is longer is none of HAProxy's.
const ANSWER_MAX: u64 = 16 << 20;

/// The way to one HAProxy.
pub(crate) struct Wire {
    pub(crate) socket: Socket,
    limit_ms: u64,
    turn: Mutex<()>,
    /// The master process listens there (`haproxy -S`): it passes on what begins with `@1 `, the
    /// newest worker's number, and keeps the connection open afterwards.
    is_master: AtomicBool,
}

/// A master's answer to a command without its forwarding prefix; a worker never gives it.
const UNKNOWN: &str = "Unknown command";
/// A command of masters alone, in the list that they answer with.
const OF_MASTER: &str = "show proc ";

impl Wire {
    pub(crate) fn new(socket: Socket, limit_ms: u64) -> Self {
        let (turn, is_master) = (Mutex::default(), AtomicBool::new(false));
        Self { socket, limit_ms, turn, is_master }
    }

    /// The whole answer to `commands`, which are separated by `;`.
    pub(crate) async fn ask(&self, commands: &str) -> Result<String, HaproxyError> {
        let call = async {
            let _turn = self.turn.lock().await;
            let answer = self.connect_and_exchange(commands).await?;
            if !is_of_master(answer.as_bytes()) || self.is_master.swap(true, Relaxed) {
                return Ok(answer);
            }
            // It has done nothing of this, so nothing is done twice.
            self.connect_and_exchange(commands).await
        };
        timeout(Duration::from_millis(self.limit_ms), call).await.map_err(|_| self.silent())?
    }

    async fn connect_and_exchange(&self, commands: &str) -> Result<String, HaproxyError> {
        match &self.socket {
            Socket::Unix(path) => self.exchange(UnixStream::connect(path), commands).await,
            Socket::Tcp(place) => self.exchange(TcpStream::connect(place.as_str()), commands).await,
        }
    }

    /// Whether it has turned out that the master listens there.
    pub(crate) fn is_master(&self) -> bool {
        self.is_master.load(Relaxed)
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
        let is_master = self.is_master();
        let prefix = if is_master { "@1 " } else { "" };
        let line: Vec<String> = commands.split(';').map(|c| format!("{prefix}{c}")).collect();
        let line = format!("{}\n", line.join(";"));
        stream.write_all(line.as_bytes()).await.map_err(broken)?;
        if is_master {
            stream.shutdown().await.map_err(broken)?;
        }
        let mut answer = Vec::new();
        let mut stream = stream.take(ANSWER_MAX + 1);
        // A master that has not been recognized leaves the connection open.
        while stream.read_buf(&mut answer).await.map_err(broken)? > 0 && !is_of_master(&answer) {}
        let garbled =
            |why: &str| HaproxyError::Garbled { command: commands.into(), why: why.to_owned() };
        if answer.len() as u64 > ANSWER_MAX {
            return Err(garbled("it is longer than 16 MiB"));
        }
        String::from_utf8(answer).map_err(|_| garbled("it is not text"))
    }
}

fn is_of_master(answer: &[u8]) -> bool {
    let has = |part: &str| answer.windows(part.len()).any(|window| window == part.as_bytes());
    answer.starts_with(UNKNOWN.as_bytes()) && has(OF_MASTER)
}
