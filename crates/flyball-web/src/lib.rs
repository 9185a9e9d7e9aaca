//! The door for people and programs: an HTTP API and one live page that say what flyball does
//! and why.
//!
//! Reads and asks through one port, [`Daemon`]; knows neither the loop nor the journal behind it.
//! Invariant: nothing that happens at this door can delay or change a decision, except a wish made
//! by hand, which goes through [`Daemon::ask`] and is answered or refused as a whole.

mod access;
mod asks;
mod assets;
mod daemon;
mod events;
mod lane;
mod problem;
mod routes;
mod server;
mod view;
mod window;
mod words;

pub use access::Token;
pub use assets::PLOTLY;
pub use daemon::{AskError, Daemon, Fault, ManualAsk};
pub use server::{Server, WebError, WebSettings, serve};
pub use view::{
    ManualView, Notice, NoticeKind, PolicyView, ReplicaState, ReplicaView, RuleName, ServiceView,
    Threshold,
};
pub use words::{Explained, notices, summary};
