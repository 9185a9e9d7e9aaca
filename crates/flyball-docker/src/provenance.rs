//! Tells labels set by the person who ran a container from labels of its image.
//!
//! Docker merges both, so a label with the same value in the image counts as the image's. By
//! default those labels mean nothing, because an image's author does not operate flyball.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerConfig, ContainerInspectResponse};
use bollard::query_parameters::InspectContainerOptions;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::DockerError;
use crate::facts::{cores_of, memory_of};
use crate::host::{ASK_LIMIT, Core, INSPECT_LIMIT};
use crate::labels::{COMPOSE, PREFIX, SERVICE};
use crate::standing::{Standing, Why};

/// Images whose labels are remembered; a host that runs more is asked again now and then.
const IMAGES_KEPT: usize = 256;
/// A listing does not wait longer for those of which it is not known who wrote their labels: the
/// daemon may be about to start or stop one, and all others wait with it.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the classic builder writes into the command of a container that it never starts.
const NOTHING: &str = "#(nop)";

type Labels = BTreeMap<String, String>;

/// What is known of the labels of one container. None of it changes while the container exists,
/// but for its limits (`docker update`).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Provenance {
    /// Those of flyball and of Compose that its image does not say.
    pub(crate) own: Labels,
    /// Names of flyball's labels that are its image's.
    pub(crate) of_image: BTreeSet<String>,
    /// What its image is called.
    pub(crate) image: String,
    /// Whether `docker build` made it.
    pub(crate) building: bool,
    /// Cores that it may use; `None`: not limited.
    pub(crate) cpus: Option<f64>,
    /// Bytes that it may use; `None`: not limited.
    pub(crate) memory_bytes: Option<u64>,
}

impl Provenance {
    /// Separates the labels in `answer`. `image`: those of its image; `None` where that is no more,
    /// and so nothing is known of it. `obeyed`: whether images may have a say.
    fn of(answer: &ContainerInspectResponse, image: Option<&Labels>, obeyed: bool) -> Self {
        let config = answer.config.clone().unwrap_or_default();
        let building = is_building(&config);
        let labels = ours(config.labels.unwrap_or_default());
        let is_own = |name: &str, value: &str| match image {
            _ if obeyed => true,
            Some(image) => image.get(name).is_none_or(|of_image| of_image != value),
            None => false,
        };
        let (own, of_image): (Labels, Labels) =
            labels.into_iter().partition(|(name, value)| is_own(name, value));
        let flyballs = of_image.into_keys().filter(|name| name.starts_with(PREFIX));
        let host = answer.host_config.as_ref();
        Self {
            own,
            of_image: flyballs.collect(),
            image: config.image.unwrap_or_default(),
            building,
            cpus: host.and_then(cores_of),
            memory_bytes: host.and_then(memory_of),
        }
    }
}

/// Of all labels, those that say something to flyball.
fn ours(all: HashMap<String, String>) -> Labels {
    let ours = |name: &str| name.starts_with(PREFIX) || name.starts_with(COMPOSE);
    all.into_iter().filter(|(name, _)| ours(name)).collect()
}

/// Whether the classic builder made the container: from an image by its bare id, or from none at
/// all. (BuildKit's are no containers of Docker's.) Who runs a container names an image.
fn is_building(config: &ContainerConfig) -> bool {
    let image = config.image.as_deref().unwrap_or_default();
    let is_id = |id: &str| id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let bare = image.strip_prefix("sha256:").is_some_and(is_id);
    let nothing = config.cmd.iter().flatten().any(|word| word.contains(NOTHING));
    image.is_empty() || bare || nothing
}

/// What was found out already, and what is being asked.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    containers: BTreeMap<String, Arc<Provenance>>,
    images: BTreeMap<String, Arc<Labels>>,
    asking: BTreeSet<String>,
    /// Containers of which was said that flyball's marks on them are none.
    told: BTreeSet<String>,
}

impl Origins {
    /// Forgets the containers that are none of `ids`.
    pub(crate) fn retain(&self, ids: &BTreeSet<&str>) {
        let mut known = self.known();
        known.containers.retain(|id, _| ids.contains(id.as_str()));
        known.told.retain(|id| ids.contains(id.as_str()));
    }

    /// Forgets one container, of which something has changed.
    pub(crate) fn forget(&self, id: &str) {
        self.known().containers.remove(id);
    }

    fn of(&self, id: &str) -> Option<Arc<Provenance>> {
        self.known().containers.get(id).cloned()
    }

    fn keep_image(&self, id: String, labels: Arc<Labels>) {
        let mut known = self.known();
        if known.images.len() >= IMAGES_KEPT {
            known.images.clear();
        }
        known.images.insert(id, labels);
    }

    /// Takes those of `ids` that are unknown and not being asked about.
    fn take_unknown(&self, ids: &BTreeSet<&str>) -> Vec<String> {
        let mut known = self.known();
        let Known { containers, asking, .. } = &mut *known;
        let unknown = ids.iter().filter(|id| !containers.contains_key(**id));
        unknown.filter(|id| asking.insert((**id).to_owned())).map(|id| (*id).to_owned()).collect()
    }

    fn asked(&self, id: &str) {
        self.known().asking.remove(id);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Finds out who wrote the labels of the containers `ids`, as far as that is not known. One
    /// that the daemon keeps to itself delays the others only briefly: its answer is there at a
    /// later listing.
    pub(crate) async fn tell_apart(self: &Arc<Self>, docker: &Docker, ids: &BTreeSet<&str>) {
        let mut asked = JoinSet::new();
        for id in self.origins.take_unknown(ids) {
            let (core, docker) = (Arc::clone(self), docker.clone());
            asked.spawn(async move {
                if let Err(error) = core.ask_provenance(&docker, &id).await {
                    tracing::debug!(container = id, %error, "cannot tell who wrote its labels");
                }
                core.origins.asked(&id);
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
        let found = Arc::new(Provenance::of(answer, image.as_deref(), obeyed));
        Ok(Arc::clone(self.origins.known().containers.entry(id).or_insert(found)))
    }

    /// The labels of an image that say something to flyball; `None` if there is no such image.
    async fn image_labels(
        &self,
        docker: &Docker,
        id: &str,
    ) -> Result<Option<Arc<Labels>>, DockerError> {
        if let Some(known) = self.origins.known().images.get(id) {
            return Ok(Some(Arc::clone(known)));
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
        if standing == Standing::Nothing(Why::Unsigned)
            && self.origins.known().told.insert(id.to_owned())
        {
            let service = labels.get(SERVICE).map(String::as_str).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(config: serde_json::Value, image: Option<&[(&str, &str)]>, obeyed: bool) -> Provenance {
        let answer = json!({
            "Id": "4a", "Config": config, "HostConfig": { "NanoCpus": 500_000_000, "Memory": 1024 },
        });
        let answer = serde_json::from_value(answer).unwrap();
        let image = image
            .map(|labels| labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        Provenance::of(&answer, image.as_ref(), obeyed)
    }

    fn config() -> serde_json::Value {
        json!({ "Image": "shop:1", "Labels": {
            "flyball.service": "web", "flyball.min": "3", "other": "x",
            "com.docker.compose.project": "shop",
        } })
    }

    #[test]
    fn what_the_image_says_with_the_same_value_is_the_images() {
        let image: &[(&str, &str)] = &[("flyball.min", "3"), ("flyball.service", "evil")];
        let found = told(config(), Some(image), false);
        let own: Vec<&str> = found.own.keys().map(String::as_str).collect();
        assert_eq!(own, ["com.docker.compose.project", "flyball.service"]);
        assert_eq!(found.of_image, BTreeSet::from(["flyball.min".to_owned()]));
        assert_eq!((found.cpus, found.memory_bytes), (Some(0.5), Some(1_024)));
        assert_eq!((found.image.as_str(), found.building), ("shop:1", false));
    }

    #[test]
    fn where_the_image_is_no_more_nothing_is_believed_and_where_images_are_obeyed_all_is() {
        assert!(told(config(), None, false).own.is_empty());
        let all = told(config(), Some(&[("flyball.min", "3")]), true);
        assert_eq!((all.own.len(), all.of_image.len()), (3, 0));
    }

    #[test]
    fn containers_of_the_classic_builder_are_told_by_the_bare_id_of_their_image() {
        let id = format!("sha256:{}", "ab".repeat(32));
        for (config, building) in [
            (json!({ "Image": id }), true),
            (json!({ "Image": "" }), true),
            (json!({}), true),
            (json!({ "Image": "shop:1", "Cmd": ["/bin/sh", "-c", "#(nop) LABEL a=b"] }), true),
            (json!({ "Image": "shop:1", "Cmd": ["/app"] }), false),
            (json!({ "Image": format!("shop@{id}") }), false),
            (json!({ "Image": "abababababab" }), false),
        ] {
            assert_eq!(told(config.clone(), Some(&[]), false).building, building, "{config}");
        }
    }
}
