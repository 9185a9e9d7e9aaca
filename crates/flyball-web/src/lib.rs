//! The HTTP API and the dashboard. All data comes through one interface, [`Daemon`]. Nothing that
//! happens here can delay or change a decision, except a manual override, which goes through
//! [`Daemon::ask`] and is accepted or refused as a whole.

mod access;
mod api;
mod api_state;
mod assets;
mod blocking_pool;
mod counters;
mod daemon;
mod event_dedup;
mod feed;
mod metrics;
mod moment;
mod openapi;
mod problem;
mod refusals;
mod requests;
mod routes;
mod server;
mod stalled;
mod summary;
mod window;

pub use api::{
    DeployRequest, DeployView, Explained, GenerationView, HeldView, LastSeen, LeaderStatus,
    ManualView, NodeView, Notice, NoticeKind, PauseRequest, PolicyView, Problem, ProblemKind,
    ReloadReport, ReplicaChange, ReplicaState, ReplicaView, Role, RuleName, ScaleBy, ScaleRequest,
    ScaleTo, Service, ServiceView, SleepView, Threshold,
};
pub use assets::PLOTLY;
pub use counters::{Counters, LOOK_ENDS_S, Spread};
pub use daemon::{AskError, Daemon, Fault, History, ManualAsk, ReloadError, RolloutAsk};
pub use feed::{Event, Feed};
pub use flyball_net::Token;
pub use server::{Server, WebError, WebSettings, serve};
pub use summary::{decided, notices, summary};
