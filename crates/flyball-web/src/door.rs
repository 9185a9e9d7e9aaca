//! What all routes share, and how much of it there is.
//!
//! Decides nothing. Invariant: whatever can be taken from it is bounded.

use std::sync::Arc;

use axum::extract::State;
use flyball_net::Clients;
use tokio::sync::watch;

use crate::access::Access;
use crate::asks::ParseDuration;
use crate::assets::Assets;
use crate::daemon::Daemon;
use crate::lane::Lane;
use crate::once::Once;

/// A wish by hand is a few dozen bytes.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// What all routes share.
pub(crate) struct Door {
    pub(crate) daemon: Arc<dyn Daemon>,
    pub(crate) access: Access,
    pub(crate) parse_duration_ms: ParseDuration,
    pub(crate) assets: Assets,
    /// For questions that read the journal.
    pub(crate) reads: Lane,
    /// For wishes, so that a journal that hangs does not keep anybody from scaling by hand.
    pub(crate) asks: Lane,
    /// Events that have been acted on.
    pub(crate) once: Once,
    /// Who is connected.
    pub(crate) clients: Arc<Clients>,
    /// Turns true when the server shall end.
    pub(crate) stopped: watch::Receiver<bool>,
}

pub(crate) type Shared = State<Arc<Door>>;
