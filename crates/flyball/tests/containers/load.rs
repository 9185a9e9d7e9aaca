//! Requests that last, so that a replica is drained with some of them under way. The load ends with
//! the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::support::DEADLINE;

/// How long they last, one after another.
const LASTING_MS: [u64; 4] = [50, 400, 1_500, 5_000];

/// Callers of long requests.
pub(crate) struct Long {
    over: Arc<AtomicBool>,
    callers: Vec<JoinHandle<(usize, Vec<String>)>>,
}

impl Long {
    /// `callers` that ask again and again.
    pub(crate) fn start(target: SocketAddr, callers: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let call = |first| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || ask_until(target, first, &over))
        };
        let callers = (0..callers).map(call).collect();
        Self { over, callers }
    }

    /// Ends them: how many requests there were, and what failed.
    pub(crate) fn finish(self) -> (usize, Vec<String>) {
        self.over.store(true, Ordering::Relaxed);
        let done = self.callers.into_iter().map(|caller| caller.join().unwrap());
        done.fold((0, Vec::new()), |(sent, mut failed), (more, bad)| {
            failed.extend(bad);
            (sent + more, failed)
        })
    }
}

fn ask_until(target: SocketAddr, first: usize, over: &AtomicBool) -> (usize, Vec<String>) {
    let (mut sent, mut failed) = (0, Vec::new());
    for ms in LASTING_MS.into_iter().cycle().skip(first) {
        if over.load(Ordering::Relaxed) {
            break;
        }
        sent += 1;
        let began = std::time::Instant::now();
        let at = jiff::Timestamp::now();
        if let Err(why) = get(target, &format!("/sleep/{ms}")) {
            failed.push(format!("sleep {ms} begun {at} after {:?}: {why}", began.elapsed()));
        }
    }
    (sent, failed)
}

/// One request on a connection of its own: who answered it with 200, or what came instead.
pub(crate) fn get(target: SocketAddr, path: &str) -> Result<String, String> {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&target, DEADLINE)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {target}\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        std::io::Result::Ok(text)
    };
    let text = ask().map_err(|error| error.to_string())?;
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") && body.ends_with('\n') => {
            Ok(body.trim_end().to_owned())
        }
        _ => Err(text),
    }
}
