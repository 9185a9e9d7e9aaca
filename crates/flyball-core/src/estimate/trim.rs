//! So many times as many replicas as the plan asks for keep requests in time, or would still: a
//! margin in logarithms that follows what was really late (docs/design/020).

use crate::units::seconds;

/// What a share of late requests beyond the one aimed at adds within `PERIOD_S` or one start lag,
/// whichever is longer.
const GAIN: f64 = 0.4;
const PERIOD_S: f64 = 8.0;
/// Of the lateness that follows a growth beyond the plan the other half is left to the growth's own
/// margin: after one burst all of it would keep twice the replicas for days.
const GROWTH_SHARE: f64 = 0.5;
/// The margin before anything was learnt.
const FIRST: f64 = 0.1;
/// At least and at most: from 0.82 to 2.2 times. At 2.2 a queue has next to no part in how long a
/// request takes; what is late then is late for another reason.
const LEAST: f64 = -0.2;
const MOST: f64 = 0.8;

/// The running figure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trim {
    margin: Option<f64>,
    /// Another cause of lateness; `None` once nothing is late.
    cause: Option<Cause>,
}

/// Why requests are late, other than for too little headroom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The load grew beyond the plan.
    Growth,
    /// Replicas fail, or do not start.
    Failure,
}

/// What was late at one look.
#[derive(Clone, Copy, Debug)]
pub struct LateLook {
    /// The share of requests that were late.
    pub late: f64,
    /// The share that may be.
    pub most: f64,
    /// The share to aim at, below that.
    pub aim: f64,
    /// How much the moment counts.
    pub weight: f64,
    /// Since the last look.
    pub elapsed_ms: u64,
    /// The start lag in use.
    pub lag_ms: u64,
}

impl Trim {
    /// So many times as many.
    pub fn factor(&self) -> f64 {
        self.margin.unwrap_or(FIRST).exp()
    }

    /// The margin, once anything was learnt.
    pub fn margin(&self) -> Option<f64> {
        self.margin
    }

    /// Goes on from the margin of an earlier run, of which `trust` is believed.
    pub fn recall(&mut self, margin: f64, trust: f64) {
        if margin.is_finite() {
            self.margin = Some((FIRST + (margin - FIRST) * trust).clamp(LEAST, MOST));
        }
    }

    /// Takes in that something else makes requests late, until nothing is late any more.
    pub fn blame(&mut self, cause: Cause) {
        if self.cause != Some(Cause::Failure) {
            self.cause = Some(cause);
        }
    }

    /// Takes in what was late.
    pub fn see(&mut self, look: LateLook) {
        let LateLook { late, most, aim, weight, elapsed_ms, lag_ms } = look;
        self.cause = self.cause.filter(|_| late > most);
        let counted = match self.cause {
            None => late,
            Some(Cause::Growth) => most + (late - most) * GROWTH_SHARE,
            Some(Cause::Failure) => late.min(aim),
        };
        let passed = seconds(elapsed_ms) / seconds(lag_ms).max(PERIOD_S);
        let margin =
            self.margin.unwrap_or(FIRST) + GAIN * (counted - aim) * weight * passed.min(1.0);
        self.margin = Some(margin.clamp(LEAST, MOST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(late: f64) -> LateLook {
        LateLook { late, most: 0.01, aim: 0.007, weight: 1.0, elapsed_ms: 1_000, lag_ms: 1_000 }
    }

    fn after(trim: &mut Trim, late: f64, seconds: u32) -> f64 {
        (0..seconds).for_each(|_| trim.see(look(late)));
        trim.factor()
    }

    #[test]
    fn it_rises_within_minutes_and_falls_within_hours_and_stays_within_its_bounds() {
        let mut trim = Trim::default();
        let first = trim.factor();
        assert!(after(&mut trim, 0.05, 60) > first * 1.1);
        assert!((after(&mut trim, 1.0, 100) - MOST.exp()).abs() < 1e-9);
        assert!(after(&mut trim, 0.0, 600) > MOST.exp() * 0.75);
        assert!((after(&mut trim, 0.0, 10_000) - LEAST.exp()).abs() < 1e-9);
    }

    #[test]
    fn what_failing_replicas_made_late_teaches_nothing() {
        let mut trim = Trim::default();
        trim.blame(Cause::Failure);
        trim.blame(Cause::Growth);
        assert_eq!(after(&mut trim, 1.0, 100), FIRST.exp());
        assert!(after(&mut trim, 0.0, 1) < FIRST.exp());
        assert!(after(&mut trim, 1.0, 1) > FIRST.exp());
    }

    #[test]
    fn what_a_burst_made_late_counts_for_half_until_nothing_is_late() {
        let (mut trim, mut other) = (Trim::default(), Trim::default());
        trim.blame(Cause::Growth);
        let risen = |factor: f64| factor.ln() - FIRST;
        let (half, whole) = (after(&mut trim, 0.05, 5), after(&mut other, 0.05, 5));
        assert!(risen(half) < 0.6 * risen(whole), "{half} {whole}");
        after(&mut trim, 0.0, 1);
        after(&mut other, 0.0, 1);
        let (before, whole) = (trim.factor().ln(), other.factor().ln());
        let more = after(&mut trim, 0.05, 5).ln() - before;
        assert!((more - (after(&mut other, 0.05, 5).ln() - whole)).abs() < 1e-9, "{more}");
    }
}
