//! The bodies of manual overrides. The server parses them by hand, see `requests`, because `serde`
//! would not say which field is wrong.

use serde::Serialize;
use utoipa::ToSchema;

/// A count to keep, or a change of the desired count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ScaleRequest {
    /// A change of the desired count.
    By(ScaleBy),
    /// A count to keep.
    To(ScaleTo),
}

/// A change of the desired count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleBy {
    /// How many more, or fewer; not 0.
    pub by: i32,
    /// For how long, at most 31 days. Default: 1 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", nullable = false)]
    pub r#for: Option<String>,
    /// The id of the event behind this request. An event that is sent again has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128, nullable = false)]
    pub event: Option<String>,
}

/// A count to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleTo {
    /// The number of replicas, within the service's bounds.
    pub to: u32,
    /// For how long, at most 31 days. Default: 1 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", nullable = false)]
    pub r#for: Option<String>,
    /// The id of the event behind this request. An event that is sent again has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128, nullable = false)]
    pub event: Option<String>,
}

/// How long to keep the count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// For how long, at most 31 days. Default: 1 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", nullable = false)]
    pub r#for: Option<String>,
}
