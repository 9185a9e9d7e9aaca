//! The output of a replica: goes to the log, and its tail is kept for the exit report.
//!
//! A replica never blocks on a full pipe, and the tail is bounded.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flyball_core::units::ReplicaId;
use flyball_engine::log_tail;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinSet;

/// Kept of each stream.
const KEPT_BYTES: usize = 4096;

/// Both streams of one replica, being read.
pub(crate) struct Output {
    stdout: Tail,
    stderr: Tail,
    readers: JoinSet<()>,
}

/// The last bytes of one stream.
#[derive(Clone, Default)]
struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Output {
    /// Reads both pipes from now on until they end or this is dropped.
    pub(crate) fn listen(
        stdout: OwnedFd,
        stderr: OwnedFd,
        replica: &ReplicaId,
    ) -> io::Result<Self> {
        let mut output =
            Self { stdout: Tail::default(), stderr: Tail::default(), readers: JoinSet::new() };
        for (pipe, tail, stream) in
            [(stdout, &output.stdout, "stdout"), (stderr, &output.stderr, "stderr")]
        {
            let pipe = Receiver::from_owned_fd(pipe)?;
            output.readers.spawn(drain(pipe, tail.clone(), replica.clone(), stream));
        }
        Ok(output)
    }

    /// The last lines of standard error, or of standard output if it wrote no errors; waits for
    /// the ends of both, at most `limit`.
    pub(crate) async fn last_words(mut self, limit: Duration) -> String {
        let both_ended = async { while self.readers.join_next().await.is_some() {} };
        // A process outside of the replica may hold a pipe open: what came so far has to suffice.
        let _ = tokio::time::timeout(limit, both_ended).await;
        let words = self.stderr.last_lines();
        if words.is_empty() { self.stdout.last_lines() } else { words }
    }
}

async fn drain(mut pipe: Receiver, tail: Tail, replica: ReplicaId, stream: &'static str) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        let new = buffer.get(..length).unwrap_or_default();
        tail.push(new);
        tracing::debug!(%replica, stream, text = %String::from_utf8_lossy(new).trim_end());
    }
}

impl Tail {
    fn push(&self, new: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(new);
        let surplus = kept.len().saturating_sub(KEPT_BYTES);
        kept.drain(..surplus);
    }

    fn last_lines(&self) -> String {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log_tail::last_lines(&String::from_utf8_lossy(kept.make_contiguous()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let tail = Tail::default();
        for number in 0..10_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        assert!(tail.0.lock().unwrap().len() <= KEPT_BYTES);
        assert!(tail.last_lines().ends_with("line 9998 | line 9999"));
    }
}
