//! `flyball run`: the daemon, until SIGINT or SIGTERM stops it in order. SIGHUP reads the
//! configuration again.

use std::process::ExitCode;
use std::sync::Arc;

use flyball_config::{Config, MINIMAL};
use flyball_engine::Hint as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::access;
use crate::cli::ConfigFile;
use crate::command::configuration;
use crate::daemon::engines::docker;
use crate::daemon::{Daemon, Standby, labelled};
use crate::failure::Failure;
use crate::leadership::Leadership;
use crate::systemd;

pub(crate) async fn run(file: ConfigFile) -> Result<ExitCode, Failure> {
    let config = configuration(&file)?;
    let mut stopped = std::pin::pin!(stopped_by_signal()?);
    // One that comes on standby is remembered until this flyball is the leader.
    let mut hangups = listen(SignalKind::hangup())?;
    // Managers of a Swarm may come back; the Docker host is asked only where nothing else is named.
    if config.services.is_empty() && !labelled::beside_docker(&config) {
        docker_answers(&config).await?;
    }
    let leadership = match &config.ha {
        None => None,
        Some(ha) => {
            let candidate = Leadership::stand(&config, ha);
            let standby = Standby::serve(&config, &candidate).await?;
            systemd::ready("standby");
            let leadership = tokio::select! {
                leadership = Leadership::enter(candidate) => leadership?,
                name = &mut stopped => {
                    tracing::info!("{name}: stopping");
                    systemd::stopping();
                    return Ok(ExitCode::SUCCESS);
                }
            };
            standby.leave().await;
            Some(leadership)
        }
    };
    let shared = leadership.as_ref().map(Leadership::candidate);
    let mut daemon = Daemon::start(&config, shared).await?;
    daemon.reload_by(Box::new(move || configuration(&file)));
    tracing::info!(
        "flyball {}: dashboard and API on http://{}/",
        env!("CARGO_PKG_VERSION"),
        daemon.address()
    );
    access::say(&config);
    for (name, service) in &config.services {
        let bounds = service.policy.bounds;
        let slot = daemon.registry().slot(name);
        match slot.as_ref().and_then(|slot| slot.address) {
            Some(at) => {
                tracing::info!(
                    "{name}: {}..{} replicas, served on http://{at}/",
                    bounds.min,
                    bounds.max
                )
            }
            None => tracing::info!("{name}: {}..{} replicas", bounds.min, bounds.max),
        }
    }
    let reports = tokio::spawn(systemd::report(Arc::clone(daemon.registry())));
    let name = loop {
        tokio::select! {
            name = &mut stopped => break name,
            Some(()) = hangups.recv() => daemon.registry().reload_soon(),
        }
    };
    tracing::info!("{name}: stopping");
    // Loops that end in order are not stuck.
    reports.abort();
    systemd::stopping();
    daemon.stop().await;
    // Only now may another flyball become the leader.
    drop(leadership);
    Ok(ExitCode::SUCCESS)
}

/// Without a file the only services are those that container labels define.
async fn docker_answers(config: &Config) -> Result<(), Failure> {
    let asked = docker::open_to_read(config)?.check().await;
    asked.map(drop).map_err(|error| {
        let why = error.hint().map(|hint| format!("{hint}; ")).unwrap_or_default();
        Failure::new(format!("no configuration file, and cannot find services by labels: {error}"))
            .hint(format!("{why}or write flyball.toml:\n{MINIMAL}"))
    })
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::new(format!("cannot listen for signals: {error}")))
}

/// Returns the name of the first signal that asks to stop. Listening begins at once.
pub(crate) fn stopped_by_signal() -> Result<impl Future<Output = &'static str>, Failure> {
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    })
}
