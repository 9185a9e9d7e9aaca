//! Changes the count of a Swarm service. Only the version that the loop has seen is changed, so no
//! external change is lost. Each order is tried once; the next look tries again.

use serde_json::Value;

use super::answers::ServiceAnswer;
use super::busy::busy;
use super::core::Service;
use super::error::SwarmError;
use super::spec::RawService;

/// What the manager says of a version that is not the newest.
const OUT_OF_SEQUENCE: &str = "update out of sequence";

/// Sets the count of the service to `to`, if it still is what was `seen`.
pub(super) async fn scale(service: &Service, seen: Option<u32>, to: u32) -> Result<(), SwarmError> {
    let name = &service.settings.swarm_service;
    let manager = service.core.connection()?;
    let id = service.with_state(|state| state.id().map(str::to_owned));
    let id = id.ok_or_else(|| SwarmError::NoService { service: name.clone() })?;
    let path = format!("/services/{id}");
    let answer: Value = manager.get("read a service", &path).await?;
    let raw = RawService::new(answer);
    let replicas = raw.replicas(name)?;
    if let Some(why) = busy_now(&raw, service.settings.obeys_hold) {
        return Err(SwarmError::Busy { service: name.clone(), why });
    }
    if seen != Some(replicas) {
        return Err(SwarmError::Conflict { service: name.clone() });
    }
    if replicas == to {
        return Ok(());
    }
    let version = raw.version();
    let spec = raw.scaled(to);
    let path = format!("{path}/update?version={version}");
    manager.post("scale a service", &path, &spec).await.map_err(|error| meant(error, name))?;
    service.with_state(|state| state.tell(version, to));
    tracing::debug!(service = %service.settings.service, "scaled the swarm service to {to}");
    Ok(())
}

fn busy_now(raw: &RawService, obeys_hold: bool) -> Option<String> {
    let answer: ServiceAnswer = serde_json::from_value(raw.answer().clone()).ok()?;
    let update = answer.update_status.unwrap_or_default();
    busy(update.state.as_deref(), update.message.as_deref(), &answer.spec.labels, obeys_hold)
}

/// An outdated version is reported with status 500, as is nearly everything.
fn meant(error: SwarmError, service: &str) -> SwarmError {
    match error {
        SwarmError::Docker(crate::DockerError::Refused { ref why, .. })
            if why.contains(OUT_OF_SEQUENCE) =>
        {
            SwarmError::Conflict { service: service.to_owned() }
        }
        other => other,
    }
}
