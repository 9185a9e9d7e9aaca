//! The two clocks of the program. Nothing else reads the time, and [`now`] never runs backwards,
//! even if the date is set back.

use std::time::Duration;

use flyball_core::units::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// The moment by the clock that never runs backwards: milliseconds since boot, sleep left out.
pub(crate) fn now() -> Timestamp {
    #[cfg(test)]
    if let Some(passed) = simulated::passed() {
        return Timestamp::from_ms(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
    }
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let ms = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
    Timestamp::from_ms(seconds * 1000 + ms)
}

/// The same clock to the nanosecond, for how long something took.
pub(crate) fn stopwatch() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::try_from(time).unwrap_or_default()
}

/// The date, in milliseconds since 1970-01-01 UTC. May be set back; only for people to read.
pub(crate) fn wall_ms() -> i64 {
    #[cfg(test)]
    if let Some(passed) = simulated::passed() {
        return 1_700_000_000_000 + i64::try_from(passed.as_millis()).unwrap_or(0);
    }
    jiff::Timestamp::now().as_millisecond()
}

/// How long ago `wall_ms` was by the wall clock, in milliseconds; 0 for a time that is yet to come.
pub(crate) fn wall_ms_since(earlier: i64) -> u64 {
    u64::try_from(wall_ms().saturating_sub(earlier)).unwrap_or(0)
}

/// The wall-clock time of `moment`, as the clocks stand now.
pub(crate) fn wall_of(moment: Timestamp) -> i64 {
    let now = now();
    let ahead = i64::try_from(moment.ms_since(now)).unwrap_or(i64::MAX);
    let behind = i64::try_from(now.ms_since(moment)).unwrap_or(i64::MAX);
    wall_ms().saturating_add(ahead).saturating_sub(behind)
}

/// The moment that a wall-clock time stands for, as the clocks stand now; the past gives now.
pub(crate) fn moment_of(wall: i64) -> Timestamp {
    let ahead = u64::try_from(wall.saturating_sub(wall_ms())).unwrap_or(0);
    now().plus_ms(ahead)
}

/// The time of a runtime that is paused, in which an hour takes a second.
#[cfg(test)]
pub(crate) mod simulated {
    use std::cell::Cell;
    use std::time::Duration;

    use tokio::time::Instant;

    thread_local! {
        static BEGUN: Cell<Option<Instant>> = const { Cell::new(None) };
    }

    /// From now on the clocks of this thread are the runtime's, a minute after their origin.
    pub(crate) fn begin() {
        BEGUN.set(Some(Instant::now()));
    }

    pub(super) fn passed() -> Option<Duration> {
        BEGUN.get().map(|begun| begun.elapsed() + Duration::from_secs(60))
    }
}
