//! One server more and one less: through the runtime socket, compared with the old way of editing
//! haproxy.cfg and reloading. Figures go to stdout, progress to stderr.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use flyball_haproxy::Haproxy;
use flyball_testkit::haproxy;
use flyball_testkit::haproxy::{Replica, Rig, observed, routed};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a replica works on a request.
const WORK: Duration = Duration::from_millis(2);
/// Between two changes. A master that is signalled sooner after a reload loses the signal; neither
/// way is charged with that.
const PAUSE: Duration = Duration::from_millis(400);
/// No answer takes longer.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Parser)]
struct Args {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Turns per way.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Servers added and removed, one after another, per turn.
    #[arg(long, default_value_t = 6)]
    changes: usize,
    /// Kept connections of the load.
    #[arg(long, default_value_t = 16)]
    connections: usize,
}

/// What one way took, over all its turns.
#[derive(Default)]
struct Figures {
    added_ms: Vec<f64>,
    removed_ms: Vec<f64>,
    requests: u64,
    failed: u64,
    lost_signals: u32,
}

/// The way of changing HAProxy's servers that is being measured.
enum Way {
    Runtime(Haproxy),
    Reload,
}

struct Subject {
    rig: Rig,
    way: Way,
    stays: Replica,
    figures: Figures,
}

/// The load keeps its connections, as browsers and pools do, and never repeats a request, so the
/// requests that a reload cuts off are seen. Each way has a HAProxy of its own under the same load,
/// and the ways take turns, so that other work on the machine meets both alike.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let load_before = load_average();
    let mut subjects = [Subject::runtime().await?, Subject::reload().await?];
    for round in 1..=args.rounds {
        for subject in &mut subjects {
            subject.turn(round, &args).await?;
            let Figures { requests, failed, .. } = subject.figures;
            let name = subject.name();
            eprintln!(
                "turn {round}/{}: {name:7} {failed} of {requests} requests failed so far",
                args.rounds
            );
        }
    }
    report(&args, &subjects, &load_before);
    Ok(())
}

impl Subject {
    async fn runtime() -> anyhow::Result<Self> {
        let rig = Rig::start("").await.context("there is no HAProxy")?;
        let haproxy = rig.connect().await;
        let stays = Replica::start("stays", WORK).await;
        stays.route(&haproxy);
        routed(&haproxy, &stays).await;
        let way = Way::Runtime(haproxy);
        Ok(Self { rig, way, stays, figures: Figures::default() })
    }

    async fn reload() -> anyhow::Result<Self> {
        let stays = Replica::start("stays", WORK).await;
        let line = format!("server stays {}", stays.address);
        let rig = Rig::start(&line).await.context("there is no HAProxy")?;
        Ok(Self { rig, way: Way::Reload, stays, figures: Figures::default() })
    }

    fn name(&self) -> &'static str {
        match self.way {
            Way::Runtime(_) => "runtime",
            Way::Reload => "reload",
        }
    }

    /// Servers come and go one after another, under load.
    async fn turn(&mut self, round: usize, args: &Args) -> anyhow::Result<()> {
        let load = Load::start(self.rig.front, args.connections);
        load.sees("stays").await?;
        for change in 1..=args.changes {
            let replica = Replica::start(&format!("{round}-{change}"), WORK).await;
            sleep(PAUSE).await;
            let began = Instant::now();
            self.add(&replica).await;
            let served = load.sees(replica.id.as_str()).await?;
            self.figures.added_ms.push(ms(served - began));
            sleep(PAUSE).await;
            let began = Instant::now();
            self.remove(&replica).await;
            self.figures.removed_ms.push(ms(began.elapsed()));
        }
        let (requests, failed) = load.end().await;
        self.figures.requests += requests;
        self.figures.failed += failed;
        Ok(())
    }

    async fn add(&mut self, replica: &Replica) {
        match &self.way {
            Way::Runtime(haproxy) => replica.route(haproxy),
            Way::Reload => {
                let line = format!("server {} {}", replica.id, replica.address);
                self.rewrite(&line).await;
            }
        }
    }

    async fn remove(&mut self, replica: &Replica) {
        match &self.way {
            Way::Runtime(haproxy) => {
                haproxy.drain(&replica.id);
                observed(haproxy, |report| !report.servers.contains_key(&replica.id)).await;
            }
            Way::Reload => self.rewrite("").await,
        }
    }

    /// haproxy.cfg with one more line, or without it, and a reload.
    async fn rewrite(&mut self, line: &str) {
        self.rig.configure(&format!("server stays {}\n{line}", self.stays.address));
        self.figures.lost_signals += self.rig.reload().await - 1;
    }
}

/// Callers that keep their connections, and what they were answered.
struct Load {
    over: Arc<AtomicBool>,
    counts: Arc<Counts>,
    callers: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    failed: AtomicU64,
    first_seen: Mutex<BTreeMap<String, Instant>>,
}

impl Load {
    fn start(front: SocketAddr, connections: usize) -> Self {
        let mut load =
            Self { over: Arc::default(), counts: Arc::default(), callers: JoinSet::new() };
        for _ in 0..connections {
            let (over, counts) = (load.over.clone(), load.counts.clone());
            load.callers.spawn(async move {
                while !over.load(Relaxed) {
                    call_until_broken(front, &over, &counts).await;
                }
            });
        }
        load
    }

    /// When `body` was first answered; waits for it.
    async fn sees(&self, body: &str) -> anyhow::Result<Instant> {
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            if let Some(at) = self.counts.first_seen().get(body) {
                return Ok(*at);
            }
            sleep(Duration::from_micros(500)).await;
        }
        bail!("{body} has served nothing within {LIMIT:?}")
    }

    async fn end(mut self) -> (u64, u64) {
        self.over.store(true, Relaxed);
        while self.callers.join_next().await.is_some() {}
        (self.counts.requests.load(Relaxed), self.counts.failed.load(Relaxed))
    }
}

impl Counts {
    fn first_seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Instant>> {
        self.first_seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, answer: anyhow::Result<String>) -> bool {
        self.requests.fetch_add(1, Relaxed);
        match answer {
            Ok(body) => {
                self.first_seen().entry(body).or_insert_with(Instant::now);
                true
            }
            Err(_) => {
                self.failed.fetch_add(1, Relaxed);
                false
            }
        }
    }
}

/// Requests one after another on one connection, until one fails or HAProxy announces the last.
async fn call_until_broken(front: SocketAddr, over: &AtomicBool, counts: &Counts) {
    let Ok(mut stream) = TcpStream::connect(front).await else {
        counts.take(Err(io::Error::from(io::ErrorKind::ConnectionRefused).into()));
        return;
    };
    while !over.load(Relaxed) {
        let answer = timeout(LIMIT, call(&mut stream)).await.context("no answer");
        let (answer, last) = match answer.and_then(|answer| answer) {
            Ok((body, last)) => (Ok(body), last),
            Err(error) => (Err(error), true),
        };
        if !counts.take(answer) || last {
            return;
        }
    }
}

/// The body of a 200, and whether the connection ends with it.
async fn call(stream: &mut TcpStream) -> anyhow::Result<(String, bool)> {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    let mut text = Vec::new();
    loop {
        let mut chunk = [0; 1024];
        let read = stream.read(&mut chunk).await?;
        ensure!(read > 0, "cut off after {} bytes", text.len());
        text.extend(&chunk[..read]);
        let answer = std::str::from_utf8(&text)?;
        let Some((head, body)) = answer.split_once("\r\n\r\n") else { continue };
        ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
        if head.contains(&format!("content-length: {}", body.len())) {
            return Ok((body.to_owned(), head.contains("connection: close")));
        }
    }
}

fn report(args: &Args, subjects: &[Subject; 2], load_before: &str) {
    let [runtime, reload] = subjects;
    let ratio = median(&runtime.figures.added_ms) / median(&reload.figures.added_ms);
    let conditions = json!({
        "changes_per_way": args.rounds * args.changes * 2,
        "turns": args.rounds,
        "pause_between_changes_ms": PAUSE.as_millis(),
        "load": format!("{} kept connections, each request sent once, {} ms of work", args.connections, WORK.as_millis()),
        "figures": "added: from the order to the first answer of the new server; removed: until HAProxy holds it no more",
        "haproxy": haproxy_version(),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "load_average_before": load_before,
        "load_average_after": load_average(),
    });
    if args.json {
        let figures = json!({
            "bench": "reload",
            "ratio_added": rounded(ratio),
            "runtime": figures_of(&runtime.figures),
            "reload": figures_of(&reload.figures),
            "conditions": conditions,
        });
        println!("{figures:#}");
        return;
    }
    println!(
        "{:8} {:>9} {:>9} {:>11} {:>10} {:>7}",
        "", "added ms", "p99", "removed ms", "requests", "failed"
    );
    for subject in subjects {
        let Figures { added_ms, removed_ms, requests, failed, .. } = &subject.figures;
        println!(
            "{:8} {:>9.1} {:>9.1} {:>11.1} {requests:>10} {failed:>7}",
            subject.name(),
            median(added_ms),
            quantile(added_ms, 0.99),
            median(removed_ms),
        );
    }
}

fn figures_of(figures: &Figures) -> Value {
    json!({
        "added_median_ms": rounded(median(&figures.added_ms)),
        "added_p99_ms": rounded(quantile(&figures.added_ms, 0.99)),
        "removed_median_ms": rounded(median(&figures.removed_ms)),
        "removed_p99_ms": rounded(quantile(&figures.removed_ms, 0.99)),
        "requests": figures.requests,
        "failed": figures.failed,
        "lost_signals": figures.lost_signals,
    })
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

fn median(figures: &[f64]) -> f64 {
    quantile(figures, 0.5)
}

/// The smallest figure that at least this share of all reaches; NaN of none.
fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a few hundred figures"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

fn haproxy_version() -> String {
    let output = haproxy::program::haproxy()
        .and_then(|program| std::process::Command::new(program).arg("-v").output().ok());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.and_then(|text| Some(text.lines().next()?.to_owned())).unwrap_or_default()
}

fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}
