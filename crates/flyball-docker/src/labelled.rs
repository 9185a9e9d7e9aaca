//! Lists the containers with flyball's labels, and finds out who wrote them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::DockerError;
use crate::client::{ASK_LIMIT, Client, INSPECT_LIMIT};
use crate::discovery::Seen;
use crate::labels::{ENABLE, SERVICE, service_of};
use crate::provenance::{Labels, Provenance, ours};
use crate::standing::{Standing, Why};

/// A listing does not wait longer for those of which it is not known who wrote their labels: the
/// daemon may be about to start or stop one, and all others wait with it.
const PATIENCE: Duration = Duration::from_secs(2);

impl Client {
    /// Every container with a label of ours, running or not, and what its labels are worth.
    pub(crate) async fn see(self: &Arc<Self>) -> Result<Vec<Seen>, DockerError> {
        self.see_with(&self.docker()?).await
    }

    pub(crate) async fn see_with(
        self: &Arc<Self>,
        docker: &Docker,
    ) -> Result<Vec<Seen>, DockerError> {
        let all = self.list_with(docker).await?;
        let ids: BTreeSet<&str> = all.iter().filter_map(|c| c.id.as_deref()).collect();
        self.origins.retain(&ids);
        self.tell_apart(docker, &ids).await;
        let seen = |summary: ContainerSummary| {
            let labels = summary.labels.as_ref();
            let standing = summary.id.as_deref().zip(labels);
            let standing = standing.and_then(|(id, labels)| self.standing_of(id, labels));
            (summary, standing)
        };
        Ok(all.into_iter().map(seen).collect())
    }

    async fn list_with(&self, docker: &Docker) -> Result<Vec<ContainerSummary>, DockerError> {
        // Docker lists what has all of several labels, and not what has one of them.
        let (named, enabled) = tokio::try_join!(
            self.list_labelled(docker, SERVICE),
            self.list_labelled(docker, ENABLE)
        )?;
        let has_name = |labels: &HashMap<String, String>| labels.contains_key(SERVICE);
        let unnamed = enabled.into_iter().filter(|it| !it.labels.as_ref().is_some_and(has_name));
        let all = named.into_iter().chain(unnamed);
        Ok(all.filter(|it| it.labels.as_ref().and_then(service_of).is_some()).collect())
    }

    async fn list_labelled(
        &self,
        docker: &Docker,
        label: &str,
    ) -> Result<Vec<ContainerSummary>, DockerError> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        self.ask("list containers", ASK_LIMIT, docker.list_containers(Some(options))).await
    }

    /// Finds out who wrote the labels of the containers `ids`, as far as that is not known. One
    /// that the daemon keeps to itself delays the others only briefly: its answer is there at a
    /// later listing.
    pub(crate) async fn tell_apart(self: &Arc<Self>, docker: &Docker, ids: &BTreeSet<&str>) {
        let mut asked = JoinSet::new();
        for id in self.origins.take_unknown(ids) {
            let (client, docker) = (Arc::clone(self), docker.clone());
            asked.spawn(async move {
                if let Err(error) = client.ask_provenance(&docker, &id).await {
                    tracing::debug!(container = id, %error, "cannot tell who wrote its labels");
                }
                client.origins.asked(&id);
            });
        }
        let _late = timeout(PATIENCE, async { while asked.join_next().await.is_some() {} }).await;
        asked.detach_all();
    }

    async fn ask_provenance(&self, docker: &Docker, id: &str) -> Result<(), DockerError> {
        // Never closed.
        let _place = self.inspections.acquire().await;
        let asked = docker.inspect_container(id, None::<InspectContainerOptions>);
        let answer = self.ask("inspect a container", INSPECT_LIMIT, asked).await?;
        self.provenance_in(docker, &answer).await.map(drop)
    }

    /// The provenance of a container that was just inspected.
    async fn provenance_in(
        &self,
        docker: &Docker,
        answer: &ContainerInspectResponse,
    ) -> Result<Arc<Provenance>, DockerError> {
        let id = answer.id.clone().unwrap_or_default();
        if let Some(known) = self.origins.of(&id) {
            return Ok(known);
        }
        let obeyed = self.settings.labels_from_images;
        let image = match &answer.image {
            Some(image) if !obeyed => self.image_labels(docker, image).await?,
            _ => None,
        };
        Ok(self.origins.keep(id, Provenance::of(answer, image.as_deref(), obeyed)))
    }

    /// The labels of an image that say something to flyball; `None` if there is no such image.
    async fn image_labels(
        &self,
        docker: &Docker,
        id: &str,
    ) -> Result<Option<Arc<Labels>>, DockerError> {
        if let Some(known) = self.origins.image(id) {
            return Ok(Some(known));
        }
        let asked = self.ask("inspect an image", ASK_LIMIT, docker.inspect_image(id)).await;
        let image = match asked {
            Ok(image) => image,
            Err(DockerError::ImageNotFound { .. } | DockerError::Refused { status: 404, .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let labels = image.config.and_then(|config| config.labels).unwrap_or_default();
        let labels = Arc::new(ours(labels));
        self.origins.keep_image(id.to_owned(), Arc::clone(&labels));
        Ok(Some(labels))
    }

    /// What the labels of a listed container are worth; `None` while that is not known. Whom
    /// flyball started is known without a request.
    pub(crate) fn standing_of(
        &self,
        id: &str,
        labels: &HashMap<String, String>,
    ) -> Option<Standing> {
        let signer = &self.settings.signer;
        let known = self.origins.of(id);
        let known = known.or_else(|| signer.knows(labels).then(Arc::default))?;
        let standing = Standing::of(labels, known, signer);
        if standing == Standing::Nothing(Why::Unsigned) && self.origins.mark_unsigned(id) {
            let service = service_of(labels).unwrap_or_default();
            let short = id.get(..12).unwrap_or(id);
            tracing::warn!(
                "{}: container {short} is left alone: {}",
                service.escape_debug(),
                Why::Unsigned.says()
            );
        }
        Some(standing)
    }

    /// The same of one that was just inspected.
    pub(crate) async fn standing_in(
        &self,
        answer: &ContainerInspectResponse,
    ) -> Result<Standing, DockerError> {
        let none = HashMap::new();
        let labels = answer.config.as_ref().and_then(|config| config.labels.as_ref());
        let labels = labels.unwrap_or(&none);
        let signer = &self.settings.signer;
        let provenance = match self.origins.of(answer.id.as_deref().unwrap_or_default()) {
            Some(known) => known,
            None if signer.knows(labels) => Arc::default(),
            None => self.provenance_in(&self.docker()?, answer).await?,
        };
        Ok(Standing::of(labels, provenance, signer))
    }
}
