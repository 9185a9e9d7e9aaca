//! Containers that flyball did not start sleep: they are stopped or frozen, and stay where they are.
//! What flyball started is removed instead.

use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::StopContainerOptionsBuilder;
use tokio::time::sleep;

use crate::DockerError;
use crate::grace::stop_limit;
use crate::service::Service;
use crate::settings::SleepMode;

pub(crate) const PAUSE_LIMIT: Duration = Duration::from_secs(20);
/// How often one that is on its way to sleep, or awake, is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A stop without an end is given up after ten minutes, and so is waiting for it.
const LOOKS_MAX: u32 = 12_600;

/// Puts a container to sleep.
pub(crate) async fn put_to_sleep(service: Arc<Service>, id: String, mode: SleepMode) {
    // Never closed.
    let Ok(_place) = service.client.ends.acquire().await else { return };
    until(|| !service.is_waking(&id)).await;
    let put = match mode {
        SleepMode::Stop => stop(&service, &id).await,
        SleepMode::Pause => pause(&service, &id).await,
    };
    match put {
        Ok(()) => service.slept(&id),
        Err(error) => service.end_failed(&id, error.to_string()),
    }
}

async fn stop(service: &Service, id: &str) -> Result<(), DockerError> {
    let (grace_s, own_s) = service.stop_timeout(id);
    let limit = stop_limit(grace_s.map(i64::from).or(own_s));
    let options = StopContainerOptionsBuilder::new();
    let options = grace_s.map_or_else(|| options.clone(), |s| options.clone().t(s)).build();
    let stopped = service.client.call("stop a container", limit, |docker| async move {
        docker.stop_container(id, Some(options)).await
    });
    stopped.await
}

async fn pause(service: &Service, id: &str) -> Result<(), DockerError> {
    let paused = service.client.call("pause a container", PAUSE_LIMIT, |docker| async move {
        docker.pause_container(id).await
    });
    match paused.await {
        Err(DockerError::Refused { status: 409, why, .. }) if why.contains("already paused") => {
            Ok(())
        }
        outcome => outcome,
    }
}

/// Waits until it is so, within bounds.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..LOOKS_MAX {
        if is_so() {
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}
