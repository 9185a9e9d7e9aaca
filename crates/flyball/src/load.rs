//! Open-loop HTTP load: each request is sent on schedule, once, whatever happens to earlier ones.
//! Latency counts from the scheduled time, so a stall shows for everyone who would have come during
//! it.

mod connections;
mod report;

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};

use connections::Connections;
use report::Book;
pub use report::{Failure, LoadReport, Progress};

/// Most connections that one load opens by default.
pub const MOST_CONNECTIONS: usize = 2000;

/// Longest wait for an answer by default, from the scheduled time.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A request that is answered later than this, from the scheduled time, is slow: what people notice.
pub const SLOW: Duration = Duration::from_millis(250);

/// How often progress is reported.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What to send where and when.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where the requests go.
    pub target: SocketAddr,
    /// What they ask for, as in `/`.
    pub path: String,
    /// When each is sent, from the start and in order.
    pub arrivals: Vec<Duration>,
    /// Most connections at once; a request that finds none free waits, and its wait counts.
    pub connections: usize,
    /// From the scheduled time: a request without a whole answer by then has failed.
    pub answer_within: Duration,
}

impl Load {
    /// `arrivals` at `/` of `target`, with the usual limits.
    pub fn new(target: SocketAddr, arrivals: Vec<Duration>) -> Self {
        let (connections, answer_within) = (MOST_CONNECTIONS, ANSWER_WITHIN);
        Self { target, path: "/".to_owned(), arrivals, connections, answer_within }
    }
}

/// Sends `load` from a thread of its own, so that nothing else delays it, until all is answered or
/// `stop` is ready; tells `progress` ten times a second.
///
/// Dropping the future stops the load too.
///
/// # Errors
///
/// If the path is none, or the thread or its runtime cannot be had; never because requests fail.
pub async fn send(
    load: Load,
    stop: impl Future<Output = ()> + Send + 'static,
    progress: impl FnMut(&Progress) + Send + 'static,
) -> Result<LoadReport> {
    let (mut reply, report) = oneshot::channel();
    let body = move || {
        let outcome = on_this_thread(&load, progress, async {
            tokio::select! { () = stop => (), () = reply.closed() => () }
        });
        // Once the receiver is gone, there is no one to report to.
        drop(reply.send(outcome));
    };
    std::thread::Builder::new().name("load".to_owned()).spawn(body)?;
    report.await.context("the load's thread ended early")?
}

fn on_this_thread(
    load: &Load,
    progress: impl FnMut(&Progress),
    stop: impl Future<Output = ()>,
) -> Result<LoadReport> {
    let connections = Rc::new(Connections::new(load.target, &load.path, load.connections)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, drive(load, connections, progress, stop))
}

async fn drive(
    load: &Load,
    connections: Rc<Connections>,
    mut progress: impl FnMut(&Progress),
    stop: impl Future<Output = ()>,
) -> Result<LoadReport> {
    let start = Instant::now();
    let mut book = Book::new(load.arrivals.len())?;
    let mut open = JoinSet::new();
    let mut arrivals = load.arrivals.iter().map(|after| start + *after).peekable();
    let mut tell = interval(TELL_EVERY);
    tell.set_missed_tick_behavior(MissedTickBehavior::Skip);
    tokio::pin!(stop);
    while arrivals.peek().is_some() || !open.is_empty() {
        let next = arrivals.peek().copied();
        tokio::select! {
            biased;
            () = &mut stop => {
                book.stopped();
                break;
            }
            () = sleep_until(next.unwrap_or(start)), if next.is_some() => {
                let now = Instant::now();
                while let Some(due) = arrivals.next_if(|due| *due <= now) {
                    book.sent(due - start, now - due);
                    let deadline = due + load.answer_within;
                    open.spawn_local(exchange(connections.clone(), due, deadline));
                }
            }
            _ = tell.tick() => progress(&book.progress(start.elapsed())),
            Some(ended) = open.join_next() => book.ended(start, ended?),
        }
    }
    while let Some(ended) = open.try_join_next() {
        book.ended(start, ended?);
    }
    progress(&book.progress(start.elapsed()));
    Ok(book.close(start.elapsed(), connections.most_open()))
}

/// What became of one request.
struct Exchange {
    due: Instant,
    ended: Instant,
    outcome: Result<(), connections::Refusal>,
}

async fn exchange(connections: Rc<Connections>, due: Instant, deadline: Instant) -> Exchange {
    let outcome = timeout_at(deadline, connections.exchange()).await;
    let outcome = outcome.unwrap_or_else(|_| {
        let waited = (deadline - due).as_secs_f64();
        Err(connections::Refusal { status: None, reason: format!("no answer within {waited} s") })
    });
    Exchange { due, ended: Instant::now(), outcome }
}

#[cfg(test)]
mod tests;
