//! The sample service: each request burns real CPU, and a scheduler of slices and pauses keeps the
//! process at its share of a core. While requests wait, it uses that share exactly, within one
//! slice.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use rustix::time::{ClockId, clock_gettime};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::{LocalSet, yield_now};

/// What each answer repeats.
const ANSWER: &str = "ok\n";

/// The environment variable that holds the replica's name.
pub(crate) const REPLICA_VARIABLE: &str = "FLYBALL_REPLICA";

/// The header in which every answer carries the replica's name.
pub(crate) const REPLICA_HEADER: &str = "x-flyball-replica";

/// CPU burned without letting others in: short beside any request, long beside what a pause costs.
/// To be woken takes 0.1 ms of CPU on a busy virtual machine: at half of this a fifth of the share
/// would go into pauses.
const SLICE: Duration = Duration::from_millis(1);

/// Most connections at once; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 2048;

/// Most time that unfinished requests get after SIGTERM.
const FINISH_WITHIN: Duration = Duration::from_secs(30);

/// Most time for which unused CPU is made up while requests wait: longer starvation is lost.
const MADE_UP_FOR: Duration = Duration::from_millis(250);

/// Settings of the sample service.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Where it listens; port 0 takes any.
    pub(crate) listen: SocketAddr,
    /// Part of one core that it may use, above 0 and at most 1.
    pub(crate) share: f64,
    /// CPU that one request burns; 0 answers at once.
    pub(crate) work: Duration,
    /// Its name in every answer, if it has one.
    pub(crate) replica: Option<String>,
    /// Size of each answer.
    pub(crate) answer_bytes: usize,
    /// Who answers 500 at once, but at `/healthz`.
    pub(crate) broken: Option<String>,
}

impl Sample {
    /// A service at `listen` named by the environment.
    pub(crate) fn named_by_environment(listen: SocketAddr, share: f64, work: Duration) -> Self {
        Self::new(listen, share, work, std::env::var(REPLICA_VARIABLE).ok())
    }

    /// A service at `listen` that answers `ok`.
    pub(crate) fn new(
        listen: SocketAddr,
        share: f64,
        work: Duration,
        replica: Option<String>,
    ) -> Self {
        Self { listen, share, work, replica, answer_bytes: ANSWER.len(), broken: None }
    }
}

/// Serves until SIGTERM or SIGINT, finishes what it has, and returns.
///
/// # Errors
///
/// If the share is not in (0, 1], the name is no header value, the port cannot be bound, or
/// requests are still unfinished 30 s after the signal.
pub(crate) fn run(sample: &Sample) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let listener = bind(sample.listen).await?;
        let stop = async {
            tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
        };
        serve(sample, listener, stop).await
    })
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Serves `listener` until `stop`; must run inside a [`LocalSet`] on a thread of its own, because
/// the CPU it accounts for is that of the thread.
async fn serve(
    sample: &Sample,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let replica = Rc::new(Replica::new(sample)?);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted?,
        };
        let Some((stream, place)) = accepted else { continue };
        let answering = replica.clone();
        let service = service_fn(move |request| answer(answering.clone(), request));
        // No read timeout: idle connections belong to the balancer's pool, which ends them.
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::task::spawn_local(async move {
            // A connection that breaks is its client's affair.
            drop(connection.await);
            drop(place);
        });
    }
    drop(listener);
    let finished = tokio::time::timeout(FINISH_WITHIN, graceful.shutdown()).await;
    finished.context("requests were unfinished 30 s after the signal")
}

/// The next connection, as soon as there is a place for it; none if it broke before it was taken.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Result<Option<(TcpStream, OwnedSemaphorePermit)>> {
    let place = places.clone().acquire_owned().await?;
    match listener.accept().await {
        Ok((stream, _)) => Ok(stream.set_nodelay(true).is_ok().then_some((stream, place))),
        Err(_) => {
            // Out of descriptors, most likely: they come back as connections end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(None)
        }
    }
}

/// What every request needs.
struct Replica {
    name: Option<HeaderValue>,
    work: Duration,
    cpu: VirtualCpu,
    body: Bytes,
    broken: bool,
}

impl Replica {
    fn new(sample: &Sample) -> Result<Self> {
        let share = sample.share;
        ensure!(share > 0.0 && share <= 1.0, "a share of {share} is not above 0 and at most 1");
        let name = sample.replica.as_deref().map(HeaderValue::from_str).transpose();
        let name = name.with_context(|| format!("{REPLICA_VARIABLE} is no header value"))?;
        let body: Bytes = ANSWER.bytes().cycle().take(sample.answer_bytes).collect();
        let broken = sample.broken.is_some() && sample.broken == sample.replica;
        Ok(Self { name, work: sample.work, cpu: VirtualCpu::new(share), body, broken })
    }
}

async fn answer(
    replica: Rc<Replica>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let healthz = request.uri().path() == "/healthz";
    let whole = drain(request.into_body()).await;
    let fails = replica.broken && !healthz;
    if !healthz && whole && !fails {
        replica.cpu.work(replica.work).await;
    }
    let mut response = Response::new(Full::from(replica.body.clone()));
    if !whole {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    } else if fails {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    if let Some(name) = &replica.name {
        response.headers_mut().insert(REPLICA_HEADER, name.clone());
    }
    Ok(response)
}

/// Reads a request's body away; false if it broke off.
async fn drain(mut body: Incoming) -> bool {
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return false;
        }
    }
    true
}

/// A part of one core, given to one request after the other.
struct VirtualCpu {
    share: f64,
    /// Held while a request burns; waiters get it in the order in which they came.
    turn: Mutex<()>,
    credit: RefCell<Credit>,
}

/// CPU that may be used now, in seconds; negative after a slice that took too much.
struct Credit {
    seconds: f64,
    seen_at: Instant,
    seen_cpu: Duration,
}

impl VirtualCpu {
    fn new(share: f64) -> Self {
        let credit = Credit { seconds: 0.0, seen_at: Instant::now(), seen_cpu: thread_cpu() };
        Self { share, turn: Mutex::new(()), credit: RefCell::new(credit) }
    }

    /// Burns `work` of CPU when its turn comes, at the pace of the share.
    ///
    /// What pauses and other connections take meanwhile is part of the work: it is dear on a busy
    /// machine, and a request would cost more there than it was told to.
    async fn work(&self, work: Duration) {
        let asked_at = Instant::now();
        let _turn = self.turn.lock().await;
        self.forget_idle_time(asked_at);
        let begun = thread_cpu();
        loop {
            let left = work.saturating_sub(thread_cpu().saturating_sub(begun));
            if left.is_zero() {
                break;
            }
            let slice = left.min(SLICE);
            self.wait_for(slice).await;
            burn(slice);
            yield_now().await;
        }
        self.account();
    }

    /// CPU time that was not used while idle is lost, except for one initial slice.
    fn forget_idle_time(&self, asked_at: Instant) {
        let idle = asked_at > self.credit.borrow().seen_at;
        self.account();
        if idle {
            let mut credit = self.credit.borrow_mut();
            credit.seconds = credit.seconds.min(SLICE.as_secs_f64());
        }
    }

    async fn wait_for(&self, slice: Duration) {
        loop {
            let missing = slice.as_secs_f64() - self.account();
            if missing <= 0.0 {
                return;
            }
            tokio::time::sleep(Duration::from_secs_f64(missing / self.share)).await;
        }
    }

    /// Brings the credit up to now and returns it, in seconds.
    fn account(&self) -> f64 {
        let mut credit = self.credit.borrow_mut();
        let (now, cpu) = (Instant::now(), thread_cpu());
        let earned = now.duration_since(credit.seen_at).as_secs_f64() * self.share;
        let used = cpu.saturating_sub(credit.seen_cpu).as_secs_f64();
        let most = SLICE.as_secs_f64() + MADE_UP_FOR.as_secs_f64() * self.share;
        let seconds = (credit.seconds + earned - used).min(most);
        *credit = Credit { seconds, seen_at: now, seen_cpu: cpu };
        credit.seconds
    }
}

/// Uses at least `cpu` of this thread's CPU time.
fn burn(cpu: Duration) {
    let begun = thread_cpu();
    loop {
        for step in 0..500_u32 {
            std::hint::black_box(step.wrapping_mul(step));
        }
        if thread_cpu().saturating_sub(begun) >= cpu {
            return;
        }
    }
}

/// CPU time that this thread has used so far.
fn thread_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
