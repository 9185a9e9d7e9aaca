//! What the API says: the server builds these types, the command line reads them, and the OpenAPI
//! document describes them. Decisions and samples are the core's own records.

mod event;
mod explained;
mod leader;
mod notice;
mod override_request;
mod problem;
mod rollout;
mod service;
mod sleep;

pub use event::ReplicaChange;
pub(crate) use event::{Gap, SampleEvent, StreamBegin};
pub use explained::Explained;
pub use leader::{LeaderStatus, Role};
pub use notice::{Notice, NoticeKind};
pub use override_request::{PauseRequest, ScaleBy, ScaleRequest, ScaleTo};
pub use problem::{Problem, ProblemKind};
pub use rollout::{DeployRequest, DeployView, GenerationView, ReloadReport};
pub use service::{
    HeldView, LastSeen, ManualView, NodeView, PolicyView, ReplicaState, ReplicaView, RuleName,
    Service, ServiceView, Threshold,
};
pub use sleep::SleepView;
