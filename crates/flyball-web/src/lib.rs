//! The HTTP API and the dashboard. All data comes through one interface, [`Daemon`]. Nothing that
//! happens here can delay or change a decision, except a manual override, which goes through
//! [`Daemon::ask`] and is accepted or refused as a whole.

mod access;
mod api_state;
mod assets;
mod blocking_pool;
mod counters;
mod daemon;
mod event_dedup;
mod events;
mod feed;
mod leader;
mod metrics;
mod openapi;
mod openapi_types;
mod overrides;
mod problem;
mod reads;
mod refusals;
mod requests;
mod routes;
mod server;
mod stalled;
mod summary;
mod view;
mod window;

pub use assets::PLOTLY;
pub use counters::{Counters, LOOK_ENDS_S, Spread};
pub use daemon::{AskError, Daemon, Fault, History, ManualAsk, Which};
pub use feed::{Event, Feed, ReplicaChange};
pub use flyball_token::Token;
pub use leader::{LeaderStatus, Role};
pub use server::{Server, WebError, WebSettings, serve};
pub use summary::{Explained, decided, notices, summary};
pub use view::{
    LastSeen, ManualView, NodeView, Notice, NoticeKind, PolicyView, ReplicaState, ReplicaView,
    RuleName, ServiceView, Threshold,
};
