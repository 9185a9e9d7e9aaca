//! What systemd is told, if it started flyball: that flyball is ready, that its loops run, that it
//! stops. A loop that is stuck is no longer vouched for, so that `WatchdogSec` restarts flyball.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use flyball_core::units::Timestamp;
use sd_notify::NotifyState;
use tokio::time::{interval, sleep};

use crate::clock;
use crate::daemon::Registry;

/// A loop that has not looked for this many of its own intervals is stuck.
const INTERVALS_MAX: u64 = 3;
/// But never sooner than this: a machine that swaps delays everything for some seconds.
const SILENCE_MIN_MS: u64 = 10_000;
/// How often it is seen whether every service had its first look.
const READY_POLL: Duration = Duration::from_millis(50);
/// Once this is over, flyball is ready whatever is still missing: an engine that does not answer
/// must not keep the page from being served.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// The last look of a loop, and when its next one is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastLook {
    pub(crate) service: String,
    pub(crate) at: Timestamp,
    pub(crate) next_look_ms: u64,
}

impl LastLook {
    /// For how long the loop has been silent, if that is longer than it may be.
    fn overdue_ms(&self, now: Timestamp) -> Option<u64> {
        let silent_ms = now.ms_since(self.at);
        let allowed_ms = self.next_look_ms.saturating_mul(INTERVALS_MAX).max(SILENCE_MIN_MS);
        (silent_ms > allowed_ms).then_some(silent_ms)
    }
}

/// Reports to systemd until the task is dropped; returns at once where there is no systemd.
pub(crate) async fn report(registry: Arc<Registry>) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let looked = async {
        while !registry.all_have_looked() {
            sleep(READY_POLL).await;
        }
    };
    let _late = tokio::time::timeout(READY_LIMIT, looked).await;
    ready("running");
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    // Half of the limit, as sd_watchdog_enabled(3) advises.
    let mut ticks = interval((limit / 2).max(Duration::from_millis(1)));
    let mut vouched = true;
    loop {
        ticks.tick().await;
        let stuck = stuck(&registry.last_looks(), clock::now());
        if stuck.is_none() {
            tell(&[NotifyState::Watchdog]);
        } else if let Some(why) = stuck.as_ref().filter(|_| vouched) {
            tracing::error!("{why}; systemd will restart flyball in {} s", limit.as_secs());
        }
        vouched = stuck.is_none();
    }
}

/// Says that flyball serves, as `status`: `systemctl status` shows it.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that flyball stops in order.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Which loop is stuck, in words; `None` while all of them look.
fn stuck(looks: &[LastLook], now: Timestamp) -> Option<String> {
    let mut all = looks.iter();
    all.find_map(|look| {
        let silent_ms = look.overdue_ms(now)?;
        let (service, due_ms) = (&look.service, look.next_look_ms);
        Some(format!("{service}: no look for {silent_ms} ms, one is due every {due_ms} ms"))
    })
}

fn tell(state: &[NotifyState<'_>]) {
    let told: io::Result<()> = sd_notify::notify(state);
    if let Err(error) = told {
        tracing::warn!("cannot tell systemd about flyball's state: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at_ms: u64, next_look_ms: u64) -> LastLook {
        LastLook { service: "web".into(), at: Timestamp::from_ms(at_ms), next_look_ms }
    }

    #[test]
    fn a_loop_is_stuck_after_three_of_its_intervals_and_ten_seconds() {
        let now = Timestamp::from_ms(100_000);
        let silent = |ms: u64, next| stuck(&[look(100_000 - ms, next)], now);
        assert_eq!(silent(10_000, 200), None);
        assert!(silent(10_001, 200).is_some());
        assert_eq!(silent(15_000, 5_000), None);
        let why = silent(15_001, 5_000).unwrap();
        assert_eq!(why, "web: no look for 15001 ms, one is due every 5000 ms");
    }

    #[test]
    fn one_that_is_stuck_among_many_is_named() {
        let looks = [look(99_000, 200), LastLook { service: "shop".into(), ..look(0, 200) }];
        assert!(stuck(&looks, Timestamp::from_ms(100_000)).unwrap().starts_with("shop: "));
        assert_eq!(stuck(&[], Timestamp::from_ms(100_000)), None);
    }
}
