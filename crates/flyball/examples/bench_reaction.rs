//! From a load step of x4 to the first request served by a new replica, through the real program.
//! The daemon's own log gives its moments; the client's clock is the same. Figures go to stdout,
//! progress to stderr.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// What the median must stay within.
const TARGET_MS: f64 = 400.0;
/// Requests per second before the step, and after.
const RATES: (u32, u32) = (15, 60);
/// CPU of one request, and the share of a core of one replica: 25 requests/s.
const WORK_MS: u32 = 4;
const SHARE: f64 = 0.1;
/// How long the daemon keeps a surplus: also the history it must have before a step.
const HOLD: Duration = Duration::from_secs(4);
/// A step that nothing answered within this time has failed.
const RUN_LIMIT: Duration = Duration::from_secs(10);
/// Within this time a daemon is up, and a pool is back to one replica.
const CALM_LIMIT: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Args {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Steps to measure.
    #[arg(long, default_value_t = 20)]
    runs: u32,
    /// Leave the requests that a replica works on at once unlimited: nothing waits at the balancer
    /// then, and only the arrivals show the step.
    #[arg(long)]
    no_slots: bool,
}

/// What one step took, in milliseconds: the parts one after another, and all of it.
#[derive(Clone, Copy)]
struct Reaction {
    /// From the step to the decision that starts a replica.
    detect: f64,
    /// From that to a process with an address.
    start: f64,
    /// From that to its first good answer to the probe.
    ready: f64,
    /// From that to the order to route requests to it.
    routed: f64,
    /// From that to the first answer that came from it.
    served: f64,
    total: f64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(args.runs > 0, "--runs must be at least 1");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(&args))
}

/// One daemon with one sample replica of 25 requests/s under 15/s. Each run steps to 60/s, waits for
/// the first answer of a replica that was not there before, and goes back until there is one replica
/// again. (At 20 requests/s, three quarters busy, a second one would rightly stay.)
async fn measure(args: &Args) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let daemon = Daemon::start(&program()?, folder.path(), slots(args)).await?;
    let load_before = load_average();
    let (answers, mut answered) = unbounded_channel();
    let rate = Arc::new(AtomicU32::new(RATES.0));
    let sending = tokio::spawn(send(daemon.service, Arc::clone(&rate), answers));
    let mut reactions = Vec::new();
    // The first step is not counted: it lets the daemon measure the start lag.
    for run in 0..=args.runs {
        daemon.calm(run > 0).await?;
        // Spread over the phases of the daemon's looks.
        sleep(Duration::from_millis(u64::from(run) * 37 % 100)).await;
        let reaction = step(&daemon, &rate, &mut answered).await?;
        eprintln!("step {run}/{}: {:.0} ms", args.runs, reaction.total);
        if run > 0 {
            reactions.push(reaction);
        }
    }
    sending.abort();
    report(args, &reactions, &load_before)
}

/// The program beside this one, brought up to date if cargo is there to do it.
fn program() -> Result<PathBuf> {
    if let Some(cargo) = std::env::var_os("CARGO") {
        let arguments =
            ["build", "--quiet", "--release", "--package", "flyball", "--bin", "flyball"];
        let built = Command::new(cargo).args(arguments).status()?;
        ensure!(built.success(), "flyball cannot be built");
    }
    let example = std::env::current_exe()?;
    let folder = example.parent().and_then(Path::parent).context("no target directory")?;
    let program = folder.join("flyball");
    ensure!(program.exists(), "{} is not there; build it for release", program.display());
    Ok(program)
}

/// A running daemon; ends with this.
struct Daemon {
    process: Child,
    log: PathBuf,
    api: SocketAddr,
    service: SocketAddr,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Daemon {
    async fn start(program: &Path, folder: &Path, slots: Option<u32>) -> Result<Self> {
        let (config, log) = (folder.join("flyball.toml"), folder.join("log"));
        fs::write(&config, configuration(program, folder, slots))?;
        let mut command = Command::new(program);
        command.arg("-v").arg("run").arg("-c").arg(&config).env_remove("FLYBALL_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let unset = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut daemon = Self { process: command.spawn()?, log, api: unset, service: unset };
        let end = Instant::now() + CALM_LIMIT;
        while daemon.service == unset {
            ensure!(Instant::now() < end, "no daemon:\n{}", daemon.log()?);
            ensure!(daemon.process.try_wait()?.is_none(), "no daemon:\n{}", daemon.log()?);
            sleep(Duration::from_millis(10)).await;
            let log = daemon.log()?;
            daemon.api = address_after(&log, "dashboard and API on http://").unwrap_or(unset);
            daemon.service = address_after(&log, "served on http://").unwrap_or(unset);
        }
        Ok(daemon)
    }

    fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    async fn view(&self) -> Result<Value> {
        let answer = get(self.api, "/api/v1/services/web").await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("half an answer")?;
        Ok(serde_json::from_str(body)?)
    }

    /// Waits until one replica has served alone for the hold window, the cost of a request is
    /// known, and (if asked for) the start lag is measured.
    async fn calm(&self, measured: bool) -> Result<()> {
        let end = Instant::now() + CALM_LIMIT;
        let mut since = Instant::now();
        while since.elapsed() < HOLD {
            let view = self.view().await?;
            let seen = &view["decision"]["signals"];
            let alone = view["replicas"].as_array().is_some_and(|all| all.len() == 1);
            let idle = seen["ready"] == 1 && seen["waiting"] == 0;
            let learnt =
                !seen["work_s"].is_null() && (!measured || seen["start_lag_measured"] == true);
            if !(alone && idle && learnt) {
                since = Instant::now();
            }
            ensure!(Instant::now() < end, "the daemon does not calm down: {view}");
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

/// Requests that a replica works on at once, where that is limited.
fn slots(args: &Args) -> Option<u32> {
    (!args.no_slots).then_some(2)
}

fn configuration(program: &Path, folder: &Path, slots: Option<u32>) -> String {
    let slots = slots.map(|slots| format!("slots = {slots}")).unwrap_or_default();
    let (state, hold_s) = (folder.join("state"), HOLD.as_secs());
    format!(
        r#"
        [flyball]
        listen = "127.0.0.1:0"
        state_dir = {state:?}
        [services.web]
        engine = "process"
        command = [{program:?}, "sample-service", "--port", "{{port}}", "--work-ms", "{WORK_MS}", "--share", "{SHARE}"]
        cpus = {SHARE}
        min = 1
        max = 8
        {slots}
        ready = {{ http = "/healthz" }}
        listen = "127.0.0.1:0"
        policy = {{ governor = {{ hold = "{hold_s}s" }} }}
        "#
    )
}

fn address_after(log: &str, words: &str) -> Option<SocketAddr> {
    log.split_once(words)?.1.split_once('/')?.0.parse().ok()
}

/// An answer: when it was there, and whose it is.
struct Answered {
    at: Timestamp,
    replica: String,
}

/// Sends requests evenly at the present `rate`, each on a connection of its own.
async fn send(target: SocketAddr, rate: Arc<AtomicU32>, answers: UnboundedSender<Answered>) {
    let mut last = Instant::now();
    loop {
        // In small pieces, so that a step counts from its moment and not from the next request.
        let due = last + Duration::from_secs(1) / rate.load(Ordering::Relaxed);
        if due > Instant::now() {
            sleep_until(due.min(Instant::now() + Duration::from_millis(1))).await;
            continue;
        }
        last = due;
        let answers = answers.clone();
        tokio::spawn(async move {
            let Ok(Ok(answer)) = timeout(CALM_LIMIT, get(target, "/")).await else { return };
            let replica = answer.lines().find_map(|line| line.strip_prefix("x-flyball-replica: "));
            if let Some(replica) = replica {
                // There is no receiver any more at the end.
                let _ =
                    answers.send(Answered { at: Timestamp::now(), replica: replica.to_owned() });
            }
        });
    }
}

/// The whole answer to one request, head and body.
async fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let ask = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Makes a step, waits for the first answer of a new replica, and goes back.
async fn step(
    daemon: &Daemon,
    rate: &AtomicU32,
    answered: &mut UnboundedReceiver<Answered>,
) -> Result<Reaction> {
    let mut known = BTreeSet::new();
    for replica in daemon.view().await?["replicas"].as_array().into_iter().flatten() {
        known.extend(replica["id"].as_str().map(str::to_owned));
    }
    while answered.try_recv().is_ok() {}
    let begun = Timestamp::now();
    rate.store(RATES.1, Ordering::Relaxed);
    let first = timeout(RUN_LIMIT, async {
        while let Some(answer) = answered.recv().await {
            if !known.contains(&answer.replica) {
                return Ok(answer);
            }
        }
        bail!("the load ended")
    });
    let first = first.await;
    rate.store(RATES.0, Ordering::Relaxed);
    let first = first.context("no answer from a new replica")??;
    reaction(&daemon.log()?, begun, &first)
}

/// Puts the parts of a reaction together from the daemon's log.
fn reaction(log: &str, begun: Timestamp, first: &Answered) -> Result<Reaction> {
    let replica = &first.replica;
    let logged_at = |words: &str| {
        let line = log.lines().find(|line| line.contains(words));
        let time = line.and_then(|line| line.split_whitespace().next());
        let time = time.with_context(|| format!("the log does not contain `{words}`"))?;
        Ok::<Timestamp, anyhow::Error>(time.parse()?)
    };
    let decided = logged_at(&format!(" start {replica} "))?;
    let runs = logged_at(&format!(" {replica} runs at "))?;
    let ready = logged_at(&format!(" {replica} is ready"))?;
    let routed = logged_at(&format!(" route {replica} at "))?;
    let ms = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64() * 1000.0;
    Ok(Reaction {
        detect: ms(begun, decided),
        start: ms(decided, runs),
        ready: ms(runs, ready),
        routed: ms(ready, routed),
        served: ms(routed, first.at),
        total: ms(begun, first.at),
    })
}

fn load_average() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

/// Median, lowest and highest of a part.
fn spread(reactions: &[Reaction], part: impl Fn(&Reaction) -> f64) -> (f64, f64, f64) {
    let mut all: Vec<f64> = reactions.iter().map(part).collect();
    all.sort_by(f64::total_cmp);
    let middle = all.len() / 2;
    let median = if all.len().is_multiple_of(2) {
        (all[middle - 1] + all[middle]) / 2.0
    } else {
        all[middle]
    };
    (median, all[0], all[all.len() - 1])
}

type Part = (&'static str, fn(&Reaction) -> f64);

const PARTS: [Part; 6] = [
    ("detect", |r| r.detect),
    ("start", |r| r.start),
    ("ready", |r| r.ready),
    ("routed", |r| r.routed),
    ("first_served", |r| r.served),
    ("total", |r| r.total),
];

fn report(args: &Args, reactions: &[Reaction], load_before: &str) -> Result<()> {
    let round = |ms: f64| (ms * 10.0).round() / 10.0;
    let figures = PARTS.map(|(name, part)| (name, spread(reactions, part)));
    let median = spread(reactions, |r| r.total).0;
    let cores = std::thread::available_parallelism()?.get();
    if args.json {
        let mut object = json!({
            "runs": reactions.len(),
            "target_ms": TARGET_MS,
            "within_target": median <= TARGET_MS,
            "conditions": {
                "requests_per_s": [RATES.0, RATES.1],
                "requests_per_s_per_replica": SHARE * 1000.0 / f64::from(WORK_MS),
                "arrivals": "evenly spaced",
                "start_lag": "measured",
                "slots": slots(args),
                "hold_s": HOLD.as_secs(),
                "cores": cores,
                "load_average_before": load_before,
            },
        });
        for (name, (median, lowest, highest)) in figures {
            let part =
                json!({ "median": round(median), "min": round(lowest), "max": round(highest) });
            object[format!("{name}_ms")] = part;
        }
        println!("{object}");
    } else {
        println!("{:14} {:>8} {:>8} {:>8}", "ms", "median", "min", "max");
        for (name, (median, lowest, highest)) in figures {
            println!("{name:14} {median:8.1} {lowest:8.1} {highest:8.1}");
        }
        println!("{} runs on {cores} cores, load average before: {load_before}", reactions.len());
    }
    ensure!(median <= TARGET_MS, "the median is over {TARGET_MS} ms");
    Ok(())
}
