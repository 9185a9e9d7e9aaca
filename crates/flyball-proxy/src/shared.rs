//! State shared by all parts of one proxy, and by all requests of one client. A [`Client`] lives as
//! long as any task started for it, so waiting until its phase has no readers waits for all of
//! them.

use std::sync::Arc;

use flyball_core::units::Timestamp;
use tokio::sync::watch;

use crate::headers::Peer;
use crate::ignored::IgnoreList;
use crate::interim::Interim;
use crate::meter::Meter;
use crate::settings::ProxySettings;
use crate::socket::Held;
use crate::upstreams::Upstreams;

/// One proxy, as its requests see it.
pub(crate) struct Shared {
    pub(crate) settings: ProxySettings,
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) ignore: IgnoreList,
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

/// Returns once `phase` is `at` or later, or no sender is left.
pub(crate) async fn reached(phase: &mut watch::Receiver<Phase>, at: Phase) {
    // An error means that the proxy was dropped, which ends every phase.
    let _ = phase.wait_for(|now| *now >= at).await;
}
