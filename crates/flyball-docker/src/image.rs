//! Images that need no registry, for the demo, and the removal of what was made from them.
//!
//! Only containers of the named service that carry flyball's mark are removed.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListContainersOptionsBuilder, RemoveImageOptions,
};
use futures_util::StreamExt;

use crate::client::ASK_LIMIT;
use crate::labels::{MANAGED, SERVICE};
use crate::remove::remove_by_id;
use crate::{DockerError, DockerHost};

/// For some hundred megabytes on a slow disk.
const IMPORT_LIMIT: Duration = Duration::from_secs(120);

impl DockerHost {
    /// Makes the image `name:tag` of `root`, a tar archive of all files in it.
    ///
    /// # Errors
    /// What the daemon has against it: no space, no permission, no usable archive.
    pub async fn import_image(
        &self,
        name: &str,
        tag: &str,
        root: Vec<u8>,
    ) -> Result<(), DockerError> {
        let docker = self.client.connect().await?;
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(name).tag(tag).build();
        let body = bollard::body_full(root.into());
        let imported = async {
            let mut steps = std::pin::pin!(docker.create_image(Some(options), Some(body), None));
            while let Some(step) = steps.next().await {
                step?;
            }
            Ok(())
        };
        self.client.ask(&format!("import image {name}:{tag}"), IMPORT_LIMIT, imported).await
    }

    /// Removes an image; that it is not there is a success.
    ///
    /// # Errors
    /// A container uses it, or the daemon cannot be asked.
    pub async fn remove_image(&self, image: &str) -> Result<(), DockerError> {
        let docker = self.client.connect().await?;
        let removed = docker.remove_image(image, None::<RemoveImageOptions>, None);
        match self.client.ask("remove an image", IMPORT_LIMIT, removed).await {
            Ok(_) | Err(DockerError::ImageNotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes every container that flyball started for `service`, running or not, at once.
    ///
    /// # Errors
    /// The first one that could not be removed; the others are tried all the same.
    pub async fn remove_service(&self, service: &str) -> Result<(), DockerError> {
        let docker = self.client.connect().await?;
        let marks = vec![format!("{SERVICE}={service}"), format!("{MANAGED}=true")];
        let filters = HashMap::from([("label", marks)]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let listed = docker.list_containers(Some(options));
        let all = self.client.ask("list containers", ASK_LIMIT, listed).await?;
        let mut outcome = Ok(());
        for id in all.into_iter().filter_map(|container| container.id) {
            outcome = outcome.and(remove_by_id(&self.client, &id).await);
        }
        outcome
    }
}
