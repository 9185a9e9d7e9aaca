//! The data of the events in the stream.

use flyball_core::record::Sample;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::service::ReplicaState;

/// The first event of each stream.
#[derive(Serialize, ToSchema)]
pub(crate) struct StreamBegin {
    /// Whether the stream goes on where the reader left off.
    pub(crate) resumed: bool,
    pub(crate) version: &'static str,
}

/// Events were missed: the reader should read the whole state again.
#[derive(Serialize, ToSchema)]
pub(crate) struct Gap {
    /// How many; null if nobody knows.
    missed: Option<u64>,
}

impl Gap {
    /// The data of the event.
    pub(crate) fn data(missed: Option<u64>) -> String {
        serde_json::to_string(&Self { missed }).unwrap_or_default()
    }
}

/// A replica that came, went or changed its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplicaChange {
    /// Its service.
    pub service: String,
    /// Its name.
    pub replica: String,
    /// What it was doing; `None` if it was not there.
    pub from: Option<ReplicaState>,
    /// What it is doing; `None` if it is gone.
    pub to: Option<ReplicaState>,
    /// When that was seen, in milliseconds since 1970-01-01 UTC.
    pub wall_ms: i64,
}

/// Figures of a service, as an event.
#[derive(Serialize, ToSchema)]
pub(crate) struct SampleEvent {
    pub(crate) service: String,
    pub(crate) sample: Sample,
}
