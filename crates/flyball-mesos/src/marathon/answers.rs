//! Answers of Marathon about apps, tasks and its launch queue, in current and old form. A missing
//! or null field is `None` or empty, never an error. An app is never written back from these types.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(super) struct OneApp {
    pub(super) app: AppAnswer,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ManyApps {
    #[serde(default)]
    pub(super) apps: Vec<AppAnswer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AppAnswer {
    pub(super) id: String,
    pub(super) instances: Option<u32>,
    pub(super) cpus: Option<f64>,
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) container: ContainerAnswer,
    #[serde(deserialize_with = "or_default")]
    pub(super) networks: Vec<NetworkAnswer>,
    #[serde(deserialize_with = "or_default")]
    pub(super) port_definitions: Vec<PortAnswer>,
    /// Of versions before 1.5: the app has addresses of its own.
    pub(super) ip_address: Option<Value>,
    #[serde(deserialize_with = "or_default")]
    pub(super) health_checks: Vec<Value>,
    #[serde(deserialize_with = "or_default")]
    pub(super) readiness_checks: Vec<Value>,
    #[serde(deserialize_with = "or_default")]
    pub(super) readiness_check_results: Vec<ReadyAnswer>,
    pub(super) task_kill_grace_period_seconds: Option<f64>,
    #[serde(deserialize_with = "or_default")]
    pub(super) deployments: Vec<IdAnswer>,
    #[serde(deserialize_with = "or_default")]
    pub(super) constraints: Vec<Value>,
    #[serde(deserialize_with = "or_default")]
    pub(super) require_ports: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) tasks: Vec<TaskAnswer>,
    pub(super) last_task_failure: Option<FailureAnswer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerAnswer {
    #[serde(deserialize_with = "or_default")]
    pub(super) port_mappings: Vec<PortAnswer>,
    #[serde(deserialize_with = "or_default")]
    pub(super) docker: DockerAnswer,
}

/// Before 1.5 the ports and the network of a container stood here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DockerAnswer {
    pub(super) network: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) port_mappings: Vec<PortAnswer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NetworkAnswer {
    pub(super) mode: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PortAnswer {
    pub(super) port: Option<u16>,
    pub(super) container_port: Option<u16>,
    pub(super) host_port: Option<u16>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ReadyAnswer {
    pub(super) task_id: String,
    pub(super) ready: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct IdAnswer {
    pub(super) id: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TaskAnswer {
    pub(super) id: String,
    pub(super) host: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) ip_addresses: Vec<AddressAnswer>,
    #[serde(deserialize_with = "or_default")]
    pub(super) ports: Vec<u16>,
    pub(super) slave_id: Option<String>,
    pub(super) state: Option<String>,
    pub(super) staged_at: Option<String>,
    pub(super) started_at: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) health_check_results: Vec<HealthAnswer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AddressAnswer {
    pub(super) ip_address: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct HealthAnswer {
    pub(super) alive: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FailureAnswer {
    pub(super) task_id: String,
    pub(super) state: Option<String>,
    pub(super) message: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct InfoAnswer {
    pub(super) version: String,
    #[serde(rename = "frameworkId")]
    pub(super) framework: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct QueueAnswer {
    #[serde(deserialize_with = "or_default")]
    pub(super) queue: Vec<WaitingAnswer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WaitingAnswer {
    #[serde(deserialize_with = "or_default")]
    pub(super) app: IdAnswer,
    pub(super) count: u32,
    #[serde(deserialize_with = "or_default")]
    pub(super) delay: DelayAnswer,
    #[serde(deserialize_with = "or_default")]
    pub(super) processed_offers_summary: OffersAnswer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DelayAnswer {
    pub(super) time_left_seconds: f64,
    pub(super) overdue: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct OffersAnswer {
    pub(super) processed_offers_count: u64,
    #[serde(deserialize_with = "or_default")]
    pub(super) reject_summary_last_offers: Vec<RejectAnswer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RejectAnswer {
    pub(super) reason: String,
    pub(super) declined: u64,
    pub(super) processed: u64,
}

/// What a change was answered with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChangeAnswer {
    #[serde(rename = "deploymentId")]
    pub(super) deployment: Option<String>,
}

fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}
