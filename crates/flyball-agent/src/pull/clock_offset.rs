//! Converts times of another machine's clock to the local clock. While an offset holds, two
//! readings keep the distance they had on the remote clock, however long their answers took.

use flyball_core::units::Timestamp;

/// How far the two clocks may have come apart. An answer may be [`super::client::LIMIT`] = 500 ms on
/// its way, so that half would take that for a drift; with twice as much a reading would look two
/// seconds older than it is. Two quartz clocks need hours for this, a machine that slept an instant.
const DRIFT_MAX_MS: u64 = 1_000;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockOffset {
    there_ns: u64,
    here: Timestamp,
}

/// The time that an answer took: it was read in between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) asked_at: Timestamp,
    pub(crate) answered_at: Timestamp,
}

impl Span {
    /// In the middle, the error is at most half of the time that the answer took.
    fn middle(self) -> Timestamp {
        self.asked_at.plus_ms(self.answered_at.ms_since(self.asked_at) / 2)
    }
}

impl ClockOffset {
    pub(crate) fn new(there_ns: u64, span: Span) -> Self {
        Self { there_ns, here: span.middle() }
    }

    /// The local moment of `there_ns`, which must not lie before the offset.
    pub(crate) fn here(self, there_ns: u64) -> Timestamp {
        self.here.plus_ms(there_ns.saturating_sub(self.there_ns) / 1_000_000)
    }

    /// Whether the clocks still agree.
    pub(crate) fn holds(self, there_ns: u64, span: Span) -> bool {
        let (expected, seen) = (self.here(there_ns), span.middle());
        expected.ms_since(seen).max(seen.ms_since(expected)) <= DRIFT_MAX_MS
    }
}
