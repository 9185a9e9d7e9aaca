//! What all parts of one proxy have in common, and what all requests of one client have.
//!
//! Decides nothing. Invariant: a [`Client`] lives as long as anything that was started for it, so
//! that whoever waits for the phase to have no more readers has waited for all of them.

use std::sync::Arc;

use flyball_core::units::Timestamp;
use tokio::sync::watch;

use crate::headers::Peer;
use crate::interim::Interim;
use crate::meter::Meter;
use crate::roster::Roster;
use crate::settings::ProxySettings;
use crate::socket::Held;

/// One proxy, as its requests see it.
pub(crate) struct Shared {
    pub(crate) settings: ProxySettings,
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) roster: Arc<Roster>,
    pub(crate) meter: Meter,
}

/// One client connection.
pub(crate) struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
    pub(crate) held: Held,
    pub(crate) interim: Interim,
    pub(crate) phase: watch::Receiver<Phase>,
}

/// How far a proxy is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// New connections and requests are welcome.
    Serving,
    /// Requests that have arrived are finished; nothing new is taken.
    Finishing,
    /// Whatever is left is dropped.
    Ending,
}

/// Returns once `phase` is `at` or later, or nobody is left to say so.
pub(crate) async fn reached(phase: &mut watch::Receiver<Phase>, at: Phase) {
    // An error means that the proxy was dropped, which ends every phase.
    let _ = phase.wait_for(|now| *now >= at).await;
}
