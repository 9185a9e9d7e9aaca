//! State shared by all parts of one proxy, and by all requests of one client. A [`Client`] lives as
//! long as any task started for it, so waiting until its phase has no readers waits for all of
//! them.

use std::sync::Arc;
use std::time::Duration;

use flyball_core::units::Timestamp;
use tokio::sync::watch;

use crate::headers::Peer;
use crate::ignored::IgnoreList;
use crate::interim::Interim;
use crate::meter::Meter;
use crate::settings::ProxySettings;
use crate::socket::Held;
use crate::start::StartInfo;
use crate::upstreams::Upstreams;

/// One proxy, as its requests see it.
pub(crate) struct Shared {
    pub(crate) settings: ProxySettings,
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) meter: Arc<Meter>,
    /// What is known of the start that requests wait for.
    pub(crate) start: StartInfo,
    pub(crate) ignore: IgnoreList,
}

impl Shared {
    pub(crate) fn new(settings: ProxySettings, clock: fn() -> Timestamp) -> Self {
        let upstreams = Upstreams::new(settings.slots, settings.waiting_max, settings.eject_max);
        let meter = Meter::new(settings.late_after_ms.map(Duration::from_millis));
        let (upstreams, meter) = (Arc::new(upstreams), Arc::new(meter));
        let (start, ignore) = (StartInfo::default(), IgnoreList::new(&settings.ignore));
        Self { settings, clock, upstreams, meter, start, ignore }
    }
}

/// One service's proxy, as a door of several services needs it.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) shared: Arc<Shared>,
    /// The service's own: its end ends what was passed on to it.
    pub(crate) phase: watch::Sender<Phase>,
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
