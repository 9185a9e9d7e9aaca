//! `flyball run`: the daemon, until it is told to stop.
//!
//! Decides nothing. Invariant: SIGINT and SIGTERM end it in order; a second one is not needed.

use std::process::ExitCode;

use flyball_config::{Config, MINIMAL};
use tokio::signal::unix::{SignalKind, signal};

use crate::access;
use crate::cli::ConfigFile;
use crate::command::configuration;
use crate::daemon::{Daemon, Standby, open_docker};
use crate::failure::Failure;
use crate::office::Office;

pub(crate) async fn run(file: ConfigFile) -> Result<ExitCode, Failure> {
    let config = configuration(&file)?;
    let mut stopped = std::pin::pin!(stopped_by_signal()?);
    // Managers of a Swarm may come back; the Docker host is asked only where nothing else is named.
    if config.services.is_empty() && !config.swarm.labels && !config.marathon.labels {
        docker_answers(&config).await?;
    }
    let office = match &config.ha {
        None => None,
        Some(ha) => {
            let candidate = Office::stand(&config, ha);
            let standby = Standby::serve(&config, &candidate).await?;
            let office = tokio::select! {
                office = Office::enter(candidate) => office?,
                name = &mut stopped => {
                    tracing::info!("{name}: stopping");
                    return Ok(ExitCode::SUCCESS);
                }
            };
            standby.leave().await;
            Some(office)
        }
    };
    let shared = office.as_ref().map(Office::candidate);
    let daemon = Daemon::start(&config, shared).await?;
    tracing::info!(
        "flyball {}: page and API on http://{}/",
        env!("CARGO_PKG_VERSION"),
        daemon.address()
    );
    access::say(&config);
    for (name, service) in &config.services {
        let bounds = service.policy.bounds;
        let slot = daemon.board().slot(name);
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
    let name = stopped.await;
    tracing::info!("{name}: stopping");
    daemon.stop().await;
    // Only now may another one act.
    drop(office);
    Ok(ExitCode::SUCCESS)
}

/// Without a file there is nothing to do but what the labels of containers say.
async fn docker_answers(config: &Config) -> Result<(), Failure> {
    let asked = open_docker(config)?.check().await;
    asked.map(drop).map_err(|error| {
        let why = error.hint().map(|hint| format!("{hint}; ")).unwrap_or_default();
        Failure::new(format!("no configuration, and no services by labels: {error}"))
            .hint(format!("{why}or write flyball.toml:\n{MINIMAL}"))
    })
}

/// Returns the name of the first signal that asks to stop. Listening begins at once.
pub(crate) fn stopped_by_signal() -> Result<impl Future<Output = &'static str>, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| Failure::new(format!("cannot listen for signals: {error}")))
    };
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    })
}
