//! `flyball demo`: the daemon of `flyball run` under a real load. However it ends, it leaves
//! nothing running.

mod containers;
mod result;
mod rival;
mod service;
mod simulated;
mod trace;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::Env;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::cli::{self, DemoEngine, SampleService};
use crate::command::stopped_by_signal;
use crate::daemon::{Daemon, ServiceState};
use crate::failure::Failure;
use crate::load::{self, Load, LoadReport, Progress};
use crate::output::{note, print};
use containers::Containers;
use result::Outcome;
use trace::Shape;

/// The demo's one service, where its replicas are processes.
const SERVICE: &str = "demo";
/// CPU that one request burns, in milliseconds.
const WORK_MS: u32 = 5;
/// The share of a core that a replica may use: 20 requests/s each.
const SHARE: f64 = 0.1;
/// Requests that the balancer gives a replica at once.
const SLOTS: u32 = 2;
/// Requests per second at the height of the load: six replicas' worth.
const PEAK_PER_S: f64 = 120.0;
/// The first replica has so long to become ready.
const READY_LIMIT: Duration = Duration::from_secs(20);
/// The same arrivals every time.
const SEED: u64 = 1;

/// The hidden command that the demo's replicas run.
pub(crate) fn serve(options: &SampleService) -> Result<ExitCode, Failure> {
    let work = Duration::from_secs_f64(options.work_ms.clamp(0.0, 60_000.0) / 1000.0);
    let listen = SocketAddr::from((options.address, options.port));
    let sample = service::Sample {
        answer_bytes: options.answer_bytes,
        broken: options.broken.clone(),
        ..service::Sample::named_by_environment(listen, options.share, work)
    };
    service::run(&sample).map_err(|error| Failure::new(format!("{error:#}")))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the demo to its end, or to a signal.
pub(crate) async fn run(options: cli::Demo) -> Result<ExitCode, Failure> {
    let mut stopped = std::pin::pin!(stopped_by_signal()?);
    let folder = tempfile::Builder::new().prefix("flyball-demo-").tempdir()?;
    let containers = match options.engine {
        DemoEngine::Process => None,
        // Not cut short by a signal: what was half made could not be removed for sure.
        DemoEngine::Docker => Some(Containers::make(folder.path()).await?),
    };
    let ran = run_within(&options, folder.path(), containers.as_ref(), &mut stopped).await;
    if let Some(containers) = containers {
        containers.remove().await?;
    }
    let Some(outcome) = ran? else {
        note("stopped before the load began; nothing is left running");
        return Ok(ExitCode::from(130));
    };
    print(&if options.json { outcome.json()? } else { outcome.text() })?;
    note("nothing is left running");
    Ok(match (outcome.load.stopped, outcome.load.failed) {
        (true, _) => ExitCode::from(130),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::FAILURE,
    })
}

/// Starts a daemon for the demo's service, and ends it.
async fn run_within(
    options: &cli::Demo,
    folder: &Path,
    containers: Option<&Containers>,
    stopped: &mut (impl Future<Output = &'static str> + Unpin),
) -> Result<Option<Outcome>, Failure> {
    let text = match containers {
        None => of_processes(options.seconds, folder)?,
        Some(containers) => of_containers(options.seconds, folder, containers),
    };
    let config = flyball_config::parse(&text, "the demo's configuration", &Env::of_process())?;
    let daemon = Daemon::start(&config, None).await?;
    let service = containers.map_or(SERVICE, |containers| &containers.service);
    let front = containers.map(|containers| containers.front);
    let watched = watch_run(&daemon, service, front, options, stopped).await;
    daemon.stop().await;
    watched
}

/// The demo's service as a user would write it down.
fn of_processes(seconds: u64, state: &Path) -> Result<String, Failure> {
    let program = std::env::current_exe()?;
    Ok(format!(
        r#"
        [flyball]
        listen = "{page}"
        state_dir = {state:?}

        [services.{SERVICE}]
        engine = "process"
        command = [{program:?}, "{sample}", "--port", "{{port}}", "--work-ms", "{WORK_MS}", "--share", "{SHARE}"]
        cpus = {SHARE}
        min = 1
        max = 12
        slots = {SLOTS}
        ready = {{ http = "/healthz" }}
        drain = "10s"
        grace = "5s"
        listen = "{listen}"
        # A trace of twenty minutes is squeezed into the run, so a surplus is one sooner, too.
        policy = {{ governor = {{ hold = "{hold_ms}ms" }} }}
        "#,
        page = free_or_any(7878),
        listen = free_or_any(8080),
        sample = cli::SAMPLE_SERVICE,
        hold_ms = hold_ms(seconds),
    ))
}

/// The same in containers, in the host's network: the quickest to start, and the cheapest for each
/// request. The kernel holds them to their share.
fn of_containers(seconds: u64, state: &Path, containers: &Containers) -> String {
    let command: Vec<&str> = containers
        .command
        .iter()
        .map(String::as_str)
        .chain([cli::SAMPLE_SERVICE, "--port", "{port}", "--share", "1", "--work-ms"])
        .collect();
    let Containers { service, docker, socket, image, .. } = containers;
    format!(
        r#"
        [flyball]
        listen = "{page}"
        state_dir = {state:?}

        [docker]
        host = {docker:?}
        labels = false

        [haproxy]
        socket = {socket:?}

        [services.{service}]
        engine = "docker"
        image = {image:?}
        command = [{command}, "{WORK_MS}"]
        reach = "host"
        port = 80
        cpus = {SHARE}
        min = 1
        max = 12
        slots = {SLOTS}
        ready = {{ http = "/healthz" }}
        drain = "10s"
        grace = "5s"
        balancer = "haproxy"
        policy = {{ governor = {{ hold = "{hold_ms}ms" }} }}

        [services.{service}.haproxy]
        backend = "demo"
        "#,
        page = free_or_any(7878),
        command = command.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", "),
        hold_ms = hold_ms(seconds),
    )
}

fn hold_ms(seconds: u64) -> u64 {
    seconds * 50
}

/// `port` on loopback if it is free, else any free one.
fn free_or_any(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

/// Waits for the first replica, sends the load, and tells what came of it; `None` if it was stopped
/// before there was anything to tell.
async fn watch_run(
    daemon: &Daemon,
    service: &str,
    front: Option<SocketAddr>,
    options: &cli::Demo,
    stopped: &mut (impl Future<Output = &'static str> + Unpin),
) -> Result<Option<Outcome>, Failure> {
    let slot =
        &daemon.registry().slot(service).ok_or_else(|| Failure::new("the demo has no service"))?;
    let target = front.or(slot.address);
    let target = target.ok_or_else(|| Failure::new("the demo has no proxy"))?;
    tokio::select! {
        // A signal from before is seen first.
        biased;
        _ = &mut *stopped => return Ok(None),
        ready = timeout(READY_LIMIT, ready(slot)) => ready.map_err(|_| never_ready(slot))?,
    }
    let shape = Shape::of_excerpt(Duration::from_secs(options.seconds), PEAK_PER_S)
        .map_err(|error| Failure::new(format!("{error:#}")))?;
    let arrivals = shape.arrivals(SEED);
    note(&format!(
        "flyball demo: {} s of a real load, {} requests at up to {PEAK_PER_S:.0}/s\n\
         watch it: http://{}/",
        options.seconds,
        arrivals.len(),
        daemon.address()
    ));
    let before = slot.counters();
    let bar = progress_bar(options.seconds);
    let shown = (bar.clone(), Arc::clone(slot));
    let (stop, mut told) = watch::channel(false);
    let sent = load::send(
        Load::new(target, arrivals),
        // A closed channel ends the load as well.
        async move { drop(told.wait_for(|stop| *stop).await) },
        move |progress| show(&shown.0, &shown.1, progress),
    );
    tokio::pin!(sent);
    let report = tokio::select! {
        report = &mut sent => report,
        _ = &mut *stopped => {
            stop.send_replace(true);
            sent.await
        }
    };
    bar.finish_and_clear();
    let load: LoadReport = report.map_err(|error| Failure::new(format!("{error:#}")))?;
    let outcome = Outcome::of(load, &shape, &slot.counters().since(&before), slot)?;
    // Containers and HAProxy take their own time for everything: only this much is described.
    Ok(Some(if front.is_none() { outcome.with_simulated(&shape, slot) } else { outcome }))
}

/// Ready, and routed where a balancer says so.
async fn ready(slot: &ServiceState) {
    let served = |live: &crate::daemon::live::Live| {
        let routed = live.balancer.as_ref().is_none_or(|balancer| !balancer.servers.is_empty());
        live.decision.signals.ready > 0 && routed
    };
    while !slot.live().is_some_and(|live| served(&live)) {
        sleep(Duration::from_millis(20)).await;
    }
}

fn never_ready(slot: &ServiceState) -> Failure {
    let exit = slot.live().and_then(|live| live.engine.as_ref()?.exits.last().cloned());
    let why = exit.map_or("it does not answer".to_owned(), |exit| exit.reason);
    Failure::new(format!(
        "the sample service was not ready within {} s: {why}",
        READY_LIMIT.as_secs()
    ))
}

/// One line on a terminal of 80 columns, message included.
fn progress_bar(seconds: u64) -> ProgressBar {
    let bar = ProgressBar::new(seconds);
    let style = ProgressStyle::with_template("{bar:16} {pos:>3}/{len} s  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn show(bar: &ProgressBar, slot: &ServiceState, progress: &Progress) {
    bar.set_position(progress.elapsed.as_secs());
    let Some(live) = slot.live() else { return };
    let seen = &live.decision.signals;
    bar.set_message(format!(
        "{:>4.0}/s  {} of {} replicas  {} served  {} failed",
        seen.arrivals_per_s.unwrap_or(0.0),
        seen.ready,
        live.decision.desired,
        progress.served,
        progress.failed
    ));
}
