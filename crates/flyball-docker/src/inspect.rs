//! Inspects a container for its service.

use bollard::query_parameters::InspectContainerOptions;
use tokio::time::Instant;

use crate::DockerError;
use crate::client::{Client, INSPECT_LIMIT};
use crate::service::{Action, Service, Taken};

/// An answer that was overtaken by an event is asked for again.
const INSPECT_TRIES: u32 = 3;

/// What an inspection brought.
#[derive(Debug)]
pub(crate) enum Inspected {
    /// The service knows the container, or that it is none of its; and what is to be done.
    Known(Option<Action>),
    /// There was no answer.
    Unknown,
}

/// Inspects one container for its service.
pub(crate) async fn inspect(client: &Client, service: &Service, id: &str) -> Inspected {
    // Never closed.
    let Ok(_place) = client.inspections.acquire().await else { return Inspected::Unknown };
    for _ in 0..INSPECT_TRIES {
        let asked = Instant::now();
        let answer = client
            .call("inspect a container", INSPECT_LIMIT, |docker| async move {
                docker.inspect_container(id, None::<InspectContainerOptions>).await
            })
            .await;
        match answer {
            Ok(answer) => match client.standing_in(&answer).await {
                Ok(standing) if !service.settings().members.admit(&standing) => {
                    service.gone(id);
                    return Inspected::Known(None);
                }
                Ok(standing) => match service.take(&answer, &standing, asked) {
                    Taken::Yes(action) => return Inspected::Known(action),
                    Taken::Overtaken => {}
                },
                Err(error) => {
                    tracing::debug!(container = id, %error, "cannot tell who wrote its labels");
                    return Inspected::Unknown;
                }
            },
            Err(DockerError::Refused { status: 404, .. }) => {
                service.gone(id);
                return Inspected::Known(None);
            }
            Err(error) => {
                tracing::debug!(container = id, %error, "no inspection");
                return Inspected::Unknown;
            }
        }
    }
    Inspected::Unknown
}
