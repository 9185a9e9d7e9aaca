//! The connection to the trapper, which can be cut while both ends live on. What was accepted
//! before a cut is finished; later connections are closed.

use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::spawn;

/// Passes connections on to a port of 127.0.0.1.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    open: Arc<AtomicBool>,
}

impl Relay {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(AtomicBool::new(true));
        let gate = Arc::clone(&open);
        // Ends with the process of the test.
        spawn(move || {
            for client in listener.incoming().flatten() {
                if gate.load(Ordering::Relaxed) {
                    spawn(move || pass(&client, port));
                }
            }
        });
        Self { address, open }
    }

    pub(crate) fn cut(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    pub(crate) fn mend(&self) {
        self.open.store(true, Ordering::Relaxed);
    }
}

fn pass(client: &TcpStream, port: u16) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let (mut asks, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    spawn(move || drop(copy(&mut asks, &mut to_server)));
    let (mut answers, mut to_client) = (server, client.try_clone().unwrap());
    let _ended = copy(&mut answers, &mut to_client);
    let _gone = client.shutdown(Shutdown::Both);
}
