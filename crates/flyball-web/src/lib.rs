//! The door for people and programs: an HTTP API and one live page that say what flyball does
//! and why.
//!
//! Reads and asks through one port, [`Daemon`]; knows neither the loop nor the journal behind it.
//! Invariant: nothing that happens at this door can delay or change a decision, except a wish made
//! by hand, which goes through [`Daemon::ask`] and is answered or refused as a whole.

mod access;
mod asks;
mod assets;
mod counters;
mod daemon;
mod door;
mod events;
mod feed;
mod hand;
mod lane;
mod metrics;
mod office;
mod once;
mod openapi;
mod problem;
mod reads;
mod refusals;
mod routes;
mod server;
mod shapes;
mod stalled;
mod view;
mod window;
mod words;

pub use assets::PLOTLY;
pub use counters::{Counters, LOOK_ENDS_S, Spread};
pub use daemon::{AskError, Daemon, Fault, History, ManualAsk, Which};
pub use feed::{Event, Feed, ReplicaChange};
pub use flyball_token::Token;
pub use office::{OfficeView, Role};
pub use server::{Server, WebError, WebSettings, serve};
pub use view::{
    LastSeen, ManualView, NodeView, Notice, NoticeKind, PolicyView, ReplicaState, ReplicaView,
    RuleName, ServiceView, Threshold,
};
pub use words::{Explained, decided, notices, summary};
