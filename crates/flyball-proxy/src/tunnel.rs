//! An upgraded connection: bytes both ways until one side ends. The upgrade request stays in flight
//! exactly as long as the tunnel.

use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::sync::watch;

use crate::in_flight::InFlight;
use crate::shared::{Phase, reached};
use crate::watched::{Watch, Watched};

/// Carries bytes between `client` and `replica` until both have ended, one fails, nothing has
/// moved for `quiet_limit`, or the proxy ends.
pub(crate) async fn carry(
    client: OnUpgrade,
    replica: OnUpgrade,
    flight: InFlight,
    quiet_limit: Duration,
    mut phase: watch::Receiver<Phase>,
) {
    let carrying = async {
        let (client, replica) = tokio::try_join!(client, replica)?;
        let mut client = watched(client, quiet_limit);
        let mut replica = watched(replica, quiet_limit);
        copy_bidirectional(&mut client, &mut replica).await?;
        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    };
    tokio::select! {
        carried = carrying => {
            if let Err(error) = carried {
                tracing::debug!(error, "upgraded connection broke");
            }
        }
        () = reached(&mut phase, Phase::Ending) => {}
    }
    drop(flight);
}

fn watched(side: Upgraded, quiet_limit: Duration) -> Watched<TokioIo<Upgraded>> {
    Watched::new(TokioIo::new(side), quiet_limit, Watch::Both)
}
