//! Requests per second and p99 of the embedded balancer compared with HAProxy: same run, same
//! backend, same pinning. Figures go to stdout, progress to stderr.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_proxy::{Proxy, ProxySettings};
use serde_json::{Value, json};

/// What the embedded balancer must reach of HAProxy's requests per second.
const TARGET_RATIO: f64 = 0.85;
/// CPU of the balancer under test.
const BALANCER_CPU: &str = "1";
/// CPU of the load and the backend.
const LOAD_CPU: &str = "0";
const START_LIMIT: Duration = Duration::from_secs(5);
const PACKAGES: [(&str, &str); 3] =
    [("haproxy", "haproxy"), ("wrk", "wrk"), ("nginx", "nginx-light")];

#[derive(Parser)]
struct Args {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Rounds per balancer.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Seconds per round.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Kept connections of the load.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Be the balancer in front of this backend (used by the bench itself).
    #[arg(long, hide = true)]
    serve: Option<SocketAddr>,
}

/// A program of this bench; ends with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One balancer, or none: the backend itself as the upper bound.
struct Subject {
    name: &'static str,
    address: SocketAddr,
    process: Option<Running>,
    rounds: Vec<Round>,
}

/// What one round of load saw.
struct Round {
    requests_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    failed: u64,
    /// CPU time of the balancer's thread per request.
    cpu_us: Option<f64>,
}

/// HAProxy is what people would install instead; nginx on loopback is a backend that is never the
/// bottleneck of either. The balancer under test has CPU 1 to itself, load and backend share CPU 0.
/// Rounds are interleaved and each ratio is taken within its round, then the median over the rounds,
/// so that other work on the machine meets both alike.
fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(backend) = args.serve {
        return serve(backend);
    }
    let cores = std::thread::available_parallelism()?.get();
    ensure!(cores >= 2, "this bench pins to two CPUs, and this machine has {cores}");
    for (program, package) in PACKAGES {
        install_if_absent(program, package)?;
    }
    let folder = tempfile::tempdir()?;
    let backend = start_nginx(folder.path())?;
    let mut subjects =
        [start_flyball(backend.address)?, start_haproxy(folder.path(), backend.address)?, backend];
    let load_before = load_average();
    for subject in &subjects {
        measure(subject, args.connections, 1)?;
    }
    for round in 1..=args.rounds {
        for subject in &mut subjects {
            let seen = measure(subject, args.connections, args.seconds)?;
            let rate = seen.requests_per_s;
            eprintln!("round {round}/{}: {:8} {rate:>7.0} requests/s", args.rounds, subject.name);
            subject.rounds.push(seen);
        }
    }
    report(&args, &subjects, &load_before)
}

/// The balancer under test, with the settings it has by default.
fn serve(backend: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let proxy = Proxy::bind(ProxySettings::default(), clock).await?;
        proxy.route(&ReplicaId::new("backend"), backend);
        println!("{}", proxy.address());
        std::future::pending().await
    })
}

fn clock() -> Timestamp {
    static START: OnceLock<Instant> = OnceLock::new();
    let ms = START.get_or_init(Instant::now).elapsed().as_millis();
    Timestamp::from_ms(u64::try_from(ms).unwrap_or(u64::MAX))
}

fn start_flyball(backend: SocketAddr) -> anyhow::Result<Subject> {
    let mut command = pinned(BALANCER_CPU, &std::env::current_exe()?);
    command.args(["--serve", &backend.to_string()]).stdout(Stdio::piped());
    let mut process = Running(command.spawn().context("cannot start the embedded balancer")?);
    let stdout = process.0.stdout.take().context("no pipe from the embedded balancer")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line.trim().parse().context("the embedded balancer did not start")?;
    Ok(Subject { name: "flyball", address, process: Some(process), rounds: Vec::new() })
}

fn start_haproxy(folder: &Path, backend: SocketAddr) -> anyhow::Result<Subject> {
    let address = free_address()?;
    let config = folder.join("haproxy.cfg");
    // Forwarding the client's address, and connections shared by all clients: what flyball does.
    fs::write(
        &config,
        format!(
            "global\n  nbthread 1\n  maxconn 4096\n\
             defaults\n  mode http\n  option forwardfor\n  http-reuse always\n\
             \x20 timeout connect 2s\n  timeout client 30s\n  timeout server 60s\n  timeout queue 30s\n\
             frontend web\n  bind {address}\n  default_backend web\n\
             backend web\n  balance leastconn\n  server backend {backend}\n"
        ),
    )?;
    let mut command = pinned(BALANCER_CPU, Path::new("haproxy"));
    command.arg("-q").arg("-db").arg("-f").arg(config).stdout(Stdio::null());
    started("haproxy", command, address)
}

fn start_nginx(folder: &Path) -> anyhow::Result<Subject> {
    let address = free_address()?;
    let config = folder.join("nginx.conf");
    let folder = folder.display();
    fs::write(
        &config,
        format!(
            "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr error;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n  access_log off;\n  keepalive_requests 100000000;\n\
             \x20 client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n\
             \x20 fastcgi_temp_path {folder}/fastcgi;\n  uwsgi_temp_path {folder}/uwsgi;\n\
             \x20 scgi_temp_path {folder}/scgi;\n\
             \x20 server {{ listen {address}; location / {{ return 200 \"hello from the backend\\n\"; }} }}\n}}\n"
        ),
    )?;
    let mut command = pinned(LOAD_CPU, Path::new("nginx"));
    command.arg("-c").arg(config).arg("-e").arg("stderr").stdout(Stdio::null());
    started("direct", command, address)
}

fn started(
    name: &'static str,
    mut command: Command,
    address: SocketAddr,
) -> anyhow::Result<Subject> {
    let mut process = Running(command.spawn().with_context(|| format!("cannot start {name}"))?);
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        if let Some(status) = process.0.try_wait()? {
            bail!("{name} ended at once: {status}");
        }
        ensure!(began.elapsed() < START_LIMIT, "{name} does not listen on {address}");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Subject { name, address, process: Some(process), rounds: Vec::new() })
}

fn measure(subject: &Subject, connections: u32, seconds: u32) -> anyhow::Result<Round> {
    let cpu_before = cpu_ns(subject);
    let output = pinned(LOAD_CPU, Path::new("wrk"))
        .args(["-t1", "--latency", &format!("-c{connections}"), &format!("-d{seconds}s")])
        .arg(format!("http://{}/", subject.address))
        .output()
        .context("cannot start wrk")?;
    let cpu_after = cpu_ns(subject);
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "wrk failed: {text}");
    let mut round =
        parse_wrk(&text).with_context(|| format!("cannot read wrk's report:\n{text}"))?;
    let requests = round.requests_per_s * f64::from(seconds);
    round.cpu_us =
        cpu_before.zip(cpu_after).map(|(before, after)| (after - before) / 1e3 / requests);
    Ok(round)
}

fn parse_wrk(text: &str) -> Option<Round> {
    let after =
        |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
    let broken = after("Socket errors:").map_or(0, |counts| {
        counts.split(", ").filter_map(|count| count.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    });
    let refused = after("Non-2xx or 3xx responses:").map_or(Some(0), |count| count.parse().ok())?;
    Some(Round {
        requests_per_s: after("Requests/sec:")?.parse().ok()?,
        p50_ms: milliseconds(after("50%")?)?,
        p99_ms: milliseconds(after("99%")?)?,
        failed: broken + refused,
        cpu_us: None,
    })
}

/// wrk writes `812.00us`, `1.25ms` or `1.02s`.
fn milliseconds(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let per_unit = match &text[digits.len()..] {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * per_unit)
}

/// CPU time of the subject's first thread, its only one.
fn cpu_ns(subject: &Subject) -> Option<f64> {
    let pid = subject.process.as_ref()?.0.id();
    let schedstat = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    schedstat.split(' ').next()?.parse().ok()
}

fn report(args: &Args, subjects: &[Subject], load_before: &str) -> anyhow::Result<()> {
    let [flyball, haproxy, direct] = subjects else { bail!("three subjects") };
    let ratio = |of: fn(&Round) -> f64| {
        let pairs = flyball.rounds.iter().zip(&haproxy.rounds);
        rounded(median(pairs.map(|(ours, theirs)| of(ours) / of(theirs)).collect()), 3)
    };
    let figures = json!({
        "bench": "proxy",
        "ratio_requests_per_s": ratio(|round| round.requests_per_s),
        "ratio_p99": ratio(|round| round.p99_ms),
        "ratio_cpu_per_request": ratio(|round| round.cpu_us.unwrap_or(f64::NAN)),
        "target_ratio_requests_per_s": TARGET_RATIO,
        "failed": subjects.iter().flat_map(|subject| &subject.rounds).map(|r| r.failed).sum::<u64>(),
        "flyball": figures_of(flyball),
        "haproxy": figures_of(haproxy),
        "direct": figures_of(direct),
        "conditions": {
            "rounds": args.rounds,
            "seconds_per_round": args.seconds,
            "connections": args.connections,
            "figures": "medians over interleaved rounds, ratios within a round",
            "balancer": format!("one thread on CPU {BALANCER_CPU}"),
            "load_and_backend": format!("wrk with one thread, nginx with one process, on CPU {LOAD_CPU}"),
            "answer": "200 with 23 bytes, kept connections on both sides",
            "haproxy": version("haproxy", "-v"),
            "wrk": version("wrk", "-v"),
            "nginx": version("nginx", "-v"),
            "build": if cfg!(debug_assertions) { "debug" } else { "release" },
            "cpu": cpu_model(),
            "cpus": std::thread::available_parallelism()?.get(),
            "load_average_before": load_before,
            "load_average_after": load_average(),
        },
    });
    if args.json {
        println!("{figures:#}");
        return Ok(());
    }
    println!(
        "{:8} {:>12} {:>8} {:>8} {:>14}",
        "", "requests/s", "p50 ms", "p99 ms", "CPU us/request"
    );
    for subject in subjects {
        let cell = |of| middle(subject, of);
        println!(
            "{:8} {:>12.0} {:>8.2} {:>8.2} {:>14.1}",
            subject.name,
            cell(|round| round.requests_per_s),
            cell(|round| round.p50_ms),
            cell(|round| round.p99_ms),
            cell(|round| round.cpu_us.unwrap_or(f64::NAN)),
        );
    }
    println!("{} of HAProxy's requests/s, target {TARGET_RATIO}", figures["ratio_requests_per_s"]);
    Ok(())
}

fn figures_of(subject: &Subject) -> Value {
    json!({
        "requests_per_s": rounded(middle(subject, |round| round.requests_per_s), 0),
        "p50_ms": rounded(middle(subject, |round| round.p50_ms), 3),
        "p99_ms": rounded(middle(subject, |round| round.p99_ms), 3),
        "cpu_us_per_request": rounded(middle(subject, |round| round.cpu_us.unwrap_or(f64::NAN)), 2),
    })
}

fn middle(subject: &Subject, of: fn(&Round) -> f64) -> f64 {
    median(subject.rounds.iter().map(of).collect())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => figures[len / 2],
        len => f64::midpoint(figures[len / 2 - 1], figures[len / 2]),
    }
}

fn rounded(figure: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (figure * scale).round() / scale
}

fn pinned(cpu: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cpu]).arg(found(program).unwrap_or_else(|| program.to_owned()));
    command.stdin(Stdio::null());
    command
}

fn install_if_absent(program: &str, package: &str) -> anyhow::Result<()> {
    if found(Path::new(program)).is_some() {
        return Ok(());
    }
    let hint = format!("hint: apt-get install {package}");
    let user =
        fs::metadata("/proc/self").map(|itself| std::os::unix::fs::MetadataExt::uid(&itself))?;
    ensure!(user == 0, "{program} is not installed, and only root can install it\n{hint}");
    eprintln!("installing {package}");
    let status = Command::new("apt-get")
        .args([
            "-o",
            "DPkg::Lock::Timeout=120",
            "install",
            "-y",
            "--no-install-recommends",
            package,
        ])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("{program} is not installed, and there is no apt-get\n{hint}"))?;
    ensure!(status.success(), "cannot install {package}\n{hint}, perhaps after apt-get update");
    Ok(())
}

/// Where a program is; servers are often outside a user's path.
fn found(program: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .map(|folder| folder.join(program))
        .find(|p| p.is_file())
}

/// An address that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The first line a program prints about itself.
fn version(program: &str, flag: &str) -> String {
    let Some(path) = found(Path::new(program)) else { return "unknown".to_owned() };
    let Ok(output) = Command::new(path).arg(flag).output() else { return "unknown".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or("unknown").trim().to_owned()
}

fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}

fn load_average() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}
