//! Tells labels set by the person who ran a container from labels of its image, which mean nothing
//! by default: an image's author does not operate flyball. Docker merges both, so a label with the
//! same value in the image counts as the image's.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{ContainerConfig, ContainerInspectResponse};

use crate::labels::{COMPOSE, PREFIX};
use crate::limits::{cores_of, memory_of};

/// What the classic builder writes into the command of a container that it never starts.
const NOTHING: &str = "#(nop)";

pub(crate) type Labels = BTreeMap<String, String>;

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
    pub(crate) fn of(
        answer: &ContainerInspectResponse,
        image: Option<&Labels>,
        obeyed: bool,
    ) -> Self {
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
pub(crate) fn ours(all: HashMap<String, String>) -> Labels {
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
