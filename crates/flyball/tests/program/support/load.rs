//! A steady open-loop load from another thread. It ends with the test.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use flyball::load::{Load, LoadReport, send};
use tokio::sync::oneshot;

/// Longer than any test lasts.
const SECONDS_MAX: u32 = 150;

/// A load that goes on until [`Self::finish`].
pub(crate) struct Steady {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<LoadReport>,
}

impl Steady {
    /// `per_s` requests per second at `/` of `target`.
    pub(crate) fn start(target: SocketAddr, per_s: u32) -> Self {
        Self::lasting(target, per_s, SECONDS_MAX)
    }

    /// The same for at most `seconds_max`.
    pub(crate) fn lasting(target: SocketAddr, per_s: u32, seconds_max: u32) -> Self {
        let at = |n: u32| Duration::from_nanos(1_000_000_000 * u64::from(n) / u64::from(per_s));
        let arrivals = (0..per_s * seconds_max).map(at);
        Self::of(Load::new(target, arrivals.collect()))
    }

    /// Any load.
    pub(crate) fn of(load: Load) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            // A test that failed has dropped its end, which stops the load, too.
            runtime.block_on(send(load, async { drop(stopped.await) }, |_| ())).unwrap()
        });
        Self { stop, thread }
    }

    /// Ends it and reports what became of it.
    pub(crate) fn finish(self) -> LoadReport {
        drop(self.stop);
        self.thread.join().unwrap()
    }
}

/// Whether at least four of five requests that were due at `per_s` were answered, however long the
/// load lasted: a quick machine is through sooner.
pub(crate) fn was_load(report: &LoadReport, per_s: u32) -> bool {
    let lasted_ms = Duration::from_secs_f64(report.elapsed_s).as_millis();
    u128::from(report.served) * 1_000 * 5 > u128::from(per_s) * lasted_ms * 4
}
