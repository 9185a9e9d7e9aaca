//! Answers of a manager about services, tasks and nodes, as far as flyball reads them. A missing or
//! null field is `None` or empty. These types drop unknown fields, so they are never written back.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ServiceAnswer {
    #[serde(rename = "ID")]
    pub(super) id: String,
    pub(super) version: VersionAnswer,
    pub(super) spec: SpecAnswer,
    pub(super) update_status: Option<UpdateAnswer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct VersionAnswer {
    pub(super) index: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct SpecAnswer {
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) mode: ModeAnswer,
    #[serde(deserialize_with = "or_default")]
    pub(super) task_template: TemplateAnswer,
    #[serde(deserialize_with = "or_default")]
    pub(super) endpoint_spec: EndpointAnswer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ModeAnswer {
    pub(super) replicated: Option<ReplicatedAnswer>,
    pub(super) global: Option<serde::de::IgnoredAny>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ReplicatedAnswer {
    pub(super) replicas: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct TemplateAnswer {
    #[serde(deserialize_with = "or_default")]
    pub(super) resources: ResourcesAnswer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ResourcesAnswer {
    #[serde(deserialize_with = "or_default")]
    pub(super) limits: LimitsAnswer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LimitsAnswer {
    #[serde(rename = "NanoCPUs")]
    pub(super) nano_cpus: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct EndpointAnswer {
    #[serde(deserialize_with = "or_default")]
    pub(super) ports: Vec<PortAnswer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct PortAnswer {
    pub(super) protocol: Option<String>,
    pub(super) target_port: Option<u16>,
    pub(super) published_port: Option<u16>,
    pub(super) publish_mode: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct UpdateAnswer {
    pub(super) state: Option<String>,
    pub(super) message: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct TaskAnswer {
    #[serde(rename = "ID")]
    pub(super) id: String,
    pub(super) created_at: Option<String>,
    #[serde(rename = "ServiceID")]
    pub(super) service_id: String,
    #[serde(rename = "NodeID")]
    pub(super) node_id: Option<String>,
    pub(super) slot: Option<u64>,
    pub(super) desired_state: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: TaskStatusAnswer,
    #[serde(deserialize_with = "or_default")]
    pub(super) networks_attachments: Vec<AttachmentAnswer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct TaskStatusAnswer {
    pub(super) state: String,
    pub(super) err: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) container_status: ContainerStatusAnswer,
    #[serde(deserialize_with = "or_default")]
    pub(super) port_status: EndpointAnswer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerStatusAnswer {
    #[serde(rename = "ContainerID")]
    pub(super) container_id: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct AttachmentAnswer {
    #[serde(deserialize_with = "or_default")]
    pub(super) network: NetworkAnswer,
    #[serde(deserialize_with = "or_default")]
    pub(super) addresses: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct NetworkAnswer {
    #[serde(deserialize_with = "or_default")]
    pub(super) spec: NetworkSpecAnswer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct NetworkSpecAnswer {
    pub(super) name: Option<String>,
    pub(super) ingress: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct NodeAnswer {
    #[serde(rename = "ID")]
    pub(super) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) spec: NodeSpecAnswer,
    #[serde(deserialize_with = "or_default")]
    pub(super) description: NodeDescriptionAnswer,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: NodeStatusAnswer,
    #[serde(deserialize_with = "or_default")]
    pub(super) manager_status: ManagerStatusAnswer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct NodeSpecAnswer {
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct NodeDescriptionAnswer {
    pub(super) hostname: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct NodeStatusAnswer {
    pub(super) state: Option<String>,
    pub(super) addr: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ManagerStatusAnswer {
    pub(super) addr: Option<String>,
}

/// The daemon writes `null` where it has nothing.
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}
