//! A scripted peer that serves connections one after another until the test ends.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What a peer does with a connection.
#[derive(Clone)]
pub(crate) enum Act {
    /// Answers these bytes once something came, then hangs up.
    Say(Vec<u8>),
    /// Answers these bytes and keeps the line open.
    SayAndWait(Vec<u8>),
    /// Stays silent and keeps the connection open.
    Silent,
    /// Hangs up once something came.
    HangUp,
}

/// A listening peer, and all that it was sent.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Peer {
    /// One that does `acts` with one connection after another, and repeats the last one.
    pub(crate) async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&received);
        tokio::spawn(async move {
            let mut open = Vec::new();
            for number in 0.. {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let mut bytes = vec![0; 1 << 20];
                let count = stream.read(&mut bytes).await.unwrap_or(0);
                bytes.truncate(count);
                ears.lock().unwrap().push(bytes);
                match &acts[number.min(acts.len() - 1)] {
                    Act::Say(answer) => drop(stream.write_all(answer).await),
                    Act::SayAndWait(answer) => {
                        let _gone = stream.write_all(answer).await;
                        open.push(stream);
                    }
                    Act::Silent => open.push(stream),
                    Act::HangUp => {}
                }
            }
        });
        Self { address, received }
    }

    /// What it was sent, a text for each connection.
    pub(crate) fn received(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

/// Longer than a connection within the machine takes, short enough to wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(300);
