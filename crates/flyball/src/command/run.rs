//! `flyball run`: the daemon, until it is told to stop.
//!
//! Decides nothing. Invariant: SIGINT and SIGTERM end it in order; a second one is not needed.

use std::process::ExitCode;

use flyball_config::Env;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::ConfigFile;
use crate::daemon::Daemon;
use crate::failure::Failure;

pub(crate) async fn run(file: ConfigFile) -> Result<ExitCode, Failure> {
    let config = flyball_config::load(&file.config, &Env::of_process())?;
    let stopped = stopped_by_signal()?;
    let daemon = Daemon::start(&config).await?;
    tracing::info!(
        "flyball {}: page and API on http://{}/",
        env!("CARGO_PKG_VERSION"),
        daemon.address()
    );
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
    Ok(ExitCode::SUCCESS)
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
