//! The state that all routes share. Everything in it is bounded.

use std::sync::Arc;

use axum::extract::State;
use flyball_net::Clients;
use tokio::sync::watch;

use crate::access::Access;
use crate::assets::Assets;
use crate::blocking_pool::BlockingPool;
use crate::daemon::Daemon;
use crate::event_dedup::EventDedup;
use crate::requests::ParseDuration;

/// A manual override is a few dozen bytes.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// What all routes share.
pub(crate) struct ApiState {
    pub(crate) daemon: Arc<dyn Daemon>,
    pub(crate) access: Access,
    pub(crate) parse_duration_ms: ParseDuration,
    pub(crate) assets: Assets,
    /// For queries that read the journal.
    pub(crate) reads: BlockingPool,
    /// For manual overrides, so that a journal that hangs does not block them.
    pub(crate) asks: BlockingPool,
    /// For reloads of the configuration, which take longer.
    pub(crate) reloads: BlockingPool,
    /// Events that have been acted on.
    pub(crate) once: EventDedup,
    /// Who is connected.
    pub(crate) clients: Arc<Clients>,
    /// Turns true when the server shall end.
    pub(crate) stopped: watch::Receiver<bool>,
}

pub(crate) type Shared = State<Arc<ApiState>>;
