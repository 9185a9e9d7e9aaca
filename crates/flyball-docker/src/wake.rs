//! Wakes a container that sleeps, as the next replica.

use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::StartContainerOptions;
use flyball_core::units::ReplicaId;

use crate::DockerError;
use crate::asleep::{PAUSE_LIMIT, until};
use crate::remove::look_again;
use crate::service::Service;

/// On a busy machine, with its network.
const WAKE_LIMIT: Duration = Duration::from_secs(60);

/// Wakes a container, as `replica`.
pub(crate) async fn wake(service: Arc<Service>, id: String, replica: ReplicaId) {
    // Never closed.
    let Ok(_place) = service.client.starts.acquire().await else { return };
    until(|| !service.is_leaving(&id)).await;
    let woken = match service.is_paused(&id) {
        true => unpause(&service, &id).await,
        false => start(&service, &id).await,
    };
    if let Err(error) = woken {
        tracing::debug!(%replica, %error, "a container was not woken");
        service.wake_failed(&id, &replica, format!("cannot start: {error}"));
        return;
    }
    look_again(Arc::clone(&service.client), Arc::clone(&service), id.clone()).await;
    service.woken(&id);
}

async fn start(service: &Service, id: &str) -> Result<(), DockerError> {
    let started = service.client.call("start a container", WAKE_LIMIT, |docker| async move {
        docker.start_container(id, None::<StartContainerOptions>).await
    });
    started.await
}

async fn unpause(service: &Service, id: &str) -> Result<(), DockerError> {
    let resumed = service.client.call("unpause a container", PAUSE_LIMIT, |docker| async move {
        docker.unpause_container(id).await
    });
    match resumed.await {
        Err(DockerError::Refused { status: 409, why, .. }) if why.contains("not paused") => Ok(()),
        outcome => outcome,
    }
}
