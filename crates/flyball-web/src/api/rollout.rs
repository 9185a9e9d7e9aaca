//! Generations, deploys and reloads as the API shows and takes them.

use flyball_core::generation::Generation;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One generation of a service: what some of its replicas are made of, or new ones would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GenerationView {
    /// Which one.
    pub generation: Generation,
    /// What it is made of: an image, or a program; null if nobody knows any more.
    pub what: Option<String>,
    /// Its replicas, whatever their state.
    pub replicas: u32,
    /// Those of them that are ready.
    pub ready: u32,
    /// Those of them that only their owner may replace, such as a service's own containers.
    pub protected: u32,
    /// Since when it is known.
    pub since_wall_ms: Option<i64>,
    /// Whether replicas are to be of this one.
    pub current: bool,
}

/// The last deploy or rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeployView {
    /// When it was asked for.
    pub at_wall_ms: i64,
    /// Who asked.
    pub by: String,
    /// The image that was asked for, if one was.
    pub image: Option<String>,
    /// The generation that it came to; null while that is being prepared.
    pub generation: Option<Generation>,
    /// Why it came to nothing; what runs stays as it is then.
    pub failed: Option<String>,
    /// Whether no further replica is replaced for now.
    pub paused: bool,
    /// Whether it was a rollback.
    pub is_rollback: bool,
}

/// What to deploy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// The image to run from now on. Default: the one in use, looked up anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 512, nullable = false)]
    pub image: Option<String>,
}

/// What came of reading the configuration file again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReloadReport {
    /// What is different from now on, in a sentence each.
    pub applied: Vec<String>,
    /// What could not be applied, with why; the old value goes on.
    pub not_applied: Vec<String>,
}
