//! Pulls an image, with the credentials of Docker's own client.

use std::time::Duration;

use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use crate::DockerError;
use crate::client::{Client, INSPECT_LIMIT};
use crate::credentials::credentials_for;

const PULL_LIMIT: Duration = Duration::from_secs(600);

/// Pulls `image` unless it is on the host; gives its id.
pub(crate) async fn have(client: &Client, image: &str) -> Result<String, DockerError> {
    if let Some(id) = find(client, image).await? {
        return Ok(id);
    }
    // One image is pulled once, however many replicas wait for it.
    let _turn = client.pull.lock().await;
    if let Some(id) = find(client, image).await? {
        return Ok(id);
    }
    fetch(client, image).await?;
    let found = find(client, image).await?;
    found.ok_or_else(|| DockerError::ImageNotFound { image: image.to_owned() })
}

/// Pulls what is called `image` now; gives its id.
pub(crate) async fn renew(client: &Client, image: &str) -> Result<String, DockerError> {
    let _turn = client.pull.lock().await;
    fetch(client, image).await?;
    let found = find(client, image).await?;
    found.ok_or_else(|| DockerError::ImageNotFound { image: image.to_owned() })
}

/// The id of `image`; `None` if it is not on the host.
pub(crate) async fn find(client: &Client, image: &str) -> Result<Option<String>, DockerError> {
    let asked = client.call("find an image", INSPECT_LIMIT, |docker| async move {
        docker.inspect_image(image).await
    });
    match asked.await {
        Ok(ImageInspect { id, .. }) => Ok(id),
        Err(DockerError::ImageNotFound { .. } | DockerError::Refused { status: 404, .. }) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn fetch(client: &Client, image: &str) -> Result<(), DockerError> {
    let folder = client.settings.docker_config.as_deref();
    let credentials = credentials_for(image, folder).await.unwrap_or_else(|why| {
        tracing::warn!("pulling {image} without credentials: {why}");
        None
    });
    let docker = client.docker()?;
    tracing::info!(image, "pulling an image");
    let options = CreateImageOptionsBuilder::new().from_image(&tagged(image)).build();
    let pulled = async {
        let mut steps = std::pin::pin!(docker.create_image(Some(options), None, credentials));
        while let Some(step) = steps.next().await {
            step?;
        }
        Ok(())
    };
    let what = format!("pull image {image}");
    client.ask(&what, PULL_LIMIT, pulled).await.map_err(|error| error.of_pull(image))
}

/// Without a tag, Docker would pull every one that there is.
fn tagged(image: &str) -> String {
    if image.contains('@') || image.rsplit('/').next().is_some_and(|n| n.contains(':')) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}
