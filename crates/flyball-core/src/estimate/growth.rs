//! By how much the load may grow within one start lag: a margin in logarithms that moves up with
//! each miss and down otherwise, so that in the long run the share of misses is the one that was
//! asked for, whatever the load does (docs/design/020).

use serde::{Deserialize, Serialize};

use crate::estimate::loads::{Loads, lags};
use crate::units::{Timestamp, seconds};

/// What one whole start lag of misses adds to the margin, and of hits takes from it times the share
/// of misses that is asked for.
const GAIN: f64 = 0.2;
/// A miss counts as often as it is so far beyond the margin, up to `TIMES_MOST`.
const MISS_UNIT: f64 = 0.05;
const TIMES_MOST: f64 = 4.0;
/// The margin before anything was learnt, for starts of 10 s. With the square root of the start
/// lag: so does the spread of a sum of independent changes grow.
const FIRST: f64 = 0.1;
/// It never falls below this, likewise: a quiet week says little of the next rise.
const LEAST: f64 = 0.05;
const REFERENCE_LAG_S: f64 = 10.0;
/// Six times the load is the most that is planned for.
const MOST: f64 = 1.79;
/// A rise from nothing is by no number of times: more than this is not shown.
const MOST_SHOWN: f64 = 100.0;
/// Near the highest load of late only this part of the margin is planned beyond it: what was just
/// that high seldom grows as it does from its depth.
const AT_THE_TOP: f64 = 0.2;
/// The highest load is forgotten within so many start lags (to 1/e).
const TOP_LAGS: f64 = 120.0;
/// The usual load is the mean over so many start lags, of at least `REFERENCE_LAG_S`.
const USUAL_LAGS: f64 = 50.0;
/// Rises beyond the plan tell something from so many start lags on, and are remembered for
/// `MISSED_LAGS` (to 1/e).
const TELLING_LAGS: f64 = 20.0;
const MISSED_LAGS: f64 = 100.0;
/// A promise is about requests and not about seconds: a moment counts as many times as the usual
/// one as it brings requests, up to this.
const WEIGHT_MOST: f64 = 5.0;

/// The running figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Growth {
    loads: Loads,
    margin: Option<f64>,
    usual_per_s: Option<f64>,
    top_per_s: f64,
    learnt_ms: u64,
    missed: Missed,
}

/// Requests of late, those that came while the load had grown beyond the plan, and the logarithms
/// of that growth: all three fade.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Missed {
    requests: f64,
    missed: f64,
    grown: f64,
}

/// Rises that no plan from before them would have met.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Misses {
    /// The share of requests that came in them.
    pub share: f64,
    /// By how many times the load grew within a start lag.
    pub growth: f64,
    /// The highest load of late, per second.
    pub top_per_s: f64,
}

/// What one run learnt, for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GrowthMargin {
    /// The margin, in logarithms.
    pub margin: f64,
    /// The start lag that it is for, in milliseconds.
    pub lag_ms: u64,
    /// The usual load, per second.
    pub usual_per_s: f64,
    /// The highest load of late, per second.
    pub top_per_s: f64,
    /// The time over which it was learnt, in milliseconds.
    pub learnt_ms: u64,
}

/// One look at the load.
#[derive(Clone, Copy, Debug)]
pub struct LoadLook {
    /// When.
    pub now: Timestamp,
    /// What is planned with, per second.
    pub load_per_s: f64,
    /// What came in just now, per second.
    pub recent_per_s: f64,
    /// The start lag in use.
    pub lag_ms: u64,
    /// Since the last look; 0 where there was none that this one goes on from.
    pub elapsed_ms: u64,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grown {
    /// Whether the load had grown beyond what was planned one start lag ago.
    pub missed: bool,
    /// How much the moment counts.
    pub weight: f64,
}

impl Growth {
    /// So many times `load_per_s` are to be planned for.
    pub fn factor(&self, load_per_s: f64, lag_ms: u64) -> f64 {
        let margin = self.margin(lag_ms);
        let top = self.top_per_s.max(self.loads.largest()).max(load_per_s);
        let grown = (load_per_s * margin.exp()).min(top * (AT_THE_TOP * margin).exp());
        if load_per_s > 0.0 { (grown / load_per_s).max(1.0) } else { 1.0 }
    }

    /// The time over which it was learnt.
    pub fn learnt_ms(&self) -> u64 {
        self.learnt_ms
    }

    /// Rises beyond the plan; `None` before so much was seen that they tell something.
    pub fn misses(&self, lag_ms: u64) -> Option<Misses> {
        let Missed { requests, missed, grown } = self.missed;
        let known = lags(self.learnt_ms, lag_ms) >= TELLING_LAGS && missed > 0.0;
        let growth = (grown / missed).exp();
        let top_per_s = self.top_per_s.max(self.loads.largest());
        known.then(|| Misses { share: missed / requests, growth, top_per_s })
    }

    /// What it has come to; `None` before anything was learnt.
    pub fn learnt(&self, lag_ms: u64) -> Option<GrowthMargin> {
        Some(GrowthMargin {
            margin: self.margin?,
            lag_ms,
            usual_per_s: self.usual_per_s?,
            top_per_s: self.top_per_s,
            learnt_ms: self.learnt_ms,
        })
    }

    /// Goes on from what an earlier run learnt, of which `trust` is believed.
    pub fn recall(&mut self, learnt: GrowthMargin, trust: f64) {
        let GrowthMargin { margin, lag_ms, usual_per_s, top_per_s, learnt_ms } = learnt;
        if !(margin.is_finite() && usual_per_s.is_finite() && top_per_s.is_finite()) {
            return;
        }
        let first = of_lag(FIRST, lag_ms);
        let margin = first + (margin - first) * trust;
        self.margin = Some(margin.clamp(of_lag(LEAST, lag_ms), MOST));
        self.usual_per_s = Some(usual_per_s.max(0.0));
        self.top_per_s = top_per_s.max(0.0) * trust;
        self.learnt_ms = learnt_ms;
    }

    /// Takes in one look, where a share of `misses` is to be missed in the long run.
    pub fn see(&mut self, look: LoadLook, misses: f64) -> Grown {
        let weight = self.weigh(look);
        self.loads.see(look.now, look.load_per_s, look.lag_ms);
        let before = self.loads.one_lag_ago(look.lag_ms).filter(|_| look.elapsed_ms > 0);
        let Some(planned) = before else { return Grown { missed: false, weight } };
        let margin = self.margin(look.lag_ms);
        let beyond = self.needed(planned, look.recent_per_s) - margin;
        self.missed.see(look, planned, beyond > 0.0);
        let by = if beyond > 0.0 {
            (1.0 - misses) * (beyond / MISS_UNIT).clamp(1.0, TIMES_MOST)
        } else {
            -misses
        };
        let passed = lags(look.elapsed_ms, look.lag_ms);
        let step = weight * GAIN * passed.min(0.5) * by;
        self.margin = Some((margin + step).clamp(of_lag(LEAST, look.lag_ms), MOST));
        self.top_per_s = (self.top_per_s * (-passed / TOP_LAGS).exp()).max(planned);
        self.learnt_ms = self.learnt_ms.saturating_add(look.elapsed_ms);
        Grown { missed: beyond > 0.0, weight }
    }

    /// The margin with which `planned` would have been enough for `recent`.
    fn needed(&self, planned: f64, recent: f64) -> f64 {
        let ln = |per_s: f64| (recent / per_s.max(1e-9)).max(1e-9).ln();
        let grown = ln(planned);
        if grown <= 0.0 { grown } else { grown.max(ln(self.top_per_s.max(planned)) / AT_THE_TOP) }
    }

    fn margin(&self, lag_ms: u64) -> f64 {
        self.margin.unwrap_or(of_lag(FIRST, lag_ms)).min(MOST)
    }

    fn weigh(&mut self, look: LoadLook) -> f64 {
        let memory_s = USUAL_LAGS * seconds(look.lag_ms).max(REFERENCE_LAG_S);
        let keep = (-seconds(look.elapsed_ms) / memory_s).exp();
        let usual = self.usual_per_s.unwrap_or(look.recent_per_s);
        let usual = usual * keep + look.recent_per_s * (1.0 - keep);
        self.usual_per_s = Some(usual);
        (look.recent_per_s / usual.max(1e-9)).min(WEIGHT_MOST)
    }
}

impl Missed {
    fn see(&mut self, look: LoadLook, planned: f64, is_miss: bool) {
        let keep = (-lags(look.elapsed_ms, look.lag_ms) / MISSED_LAGS).exp();
        let requests = look.recent_per_s * seconds(look.elapsed_ms);
        let missed = if is_miss { requests } else { 0.0 };
        let grown = (look.recent_per_s / planned.max(1e-9)).clamp(1.0, MOST_SHOWN).ln();
        self.requests = self.requests * keep + requests;
        self.missed = self.missed * keep + missed;
        self.grown = self.grown * keep + missed * grown;
    }
}

fn of_lag(margin: f64, lag_ms: u64) -> f64 {
    (margin * (seconds(lag_ms) / REFERENCE_LAG_S).sqrt()).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG_MS: u64 = 10_000;

    /// Looks every second at a load; the factor at its end.
    fn after(growth: &mut Growth, from_s: u64, load: impl Iterator<Item = f64>) -> f64 {
        let mut last = 0.0;
        for (second, per_s) in (from_s..).zip(load) {
            let now = Timestamp::from_ms(second * 1_000);
            let elapsed_ms = if second == 0 { 0 } else { 1_000 };
            let (load_per_s, recent_per_s) = (per_s, per_s);
            let look = LoadLook { now, load_per_s, recent_per_s, lag_ms: LAG_MS, elapsed_ms };
            growth.see(look, 0.01);
            last = per_s;
        }
        growth.factor(last, LAG_MS)
    }

    #[test]
    fn a_steady_load_comes_down_to_the_least_and_no_further() {
        let mut growth = Growth::default();
        assert!(
            (growth.factor(50.0, LAG_MS) - FIRST.exp()).abs() < 1e-9 || growth.top_per_s == 0.0
        );
        let factor = after(&mut growth, 0, std::iter::repeat_n(50.0, 20_000));
        assert!((1.0..1.02).contains(&factor), "{factor}");
        assert_eq!(growth.margin, Some(LEAST));
    }

    #[test]
    fn after_doublings_a_doubling_is_planned_for_from_the_depth_and_little_at_the_top() {
        let mut growth = Growth::default();
        let wave = |second: u64| if second % 600 < 300 { 50.0 } else { 100.0 };
        after(&mut growth, 0, (0..6_000).map(wave));
        let depth = growth.factor(50.0, LAG_MS);
        let top = growth.factor(100.0, LAG_MS);
        assert!(depth > 1.9 && top < 1.3, "{depth} {top}");
    }

    #[test]
    fn rises_beyond_the_plan_are_told_by_their_requests_and_their_growth() {
        let mut growth = Growth::default();
        let wave = |second: u64| if second % 600 < 500 { 20.0 } else { 100.0 };
        after(&mut growth, 0, (0..100).map(wave));
        assert_eq!(growth.misses(LAG_MS), None, "too little history");
        after(&mut growth, 100, (100..1_200).map(wave));
        let misses = growth.misses(LAG_MS).unwrap();
        assert!((0.02..0.2).contains(&misses.share), "{misses:?}");
        assert!((3.0..=5.0).contains(&misses.growth), "{misses:?}");
        assert_eq!(misses.top_per_s, 100.0);
    }

    #[test]
    fn an_earlier_run_is_gone_on_from_and_one_long_ago_is_not_trusted() {
        let mut growth = Growth::default();
        let wave = |second: u64| if second % 600 < 300 { 50.0 } else { 100.0 };
        let depth = {
            after(&mut growth, 0, (0..6_000).map(wave));
            growth.factor(50.0, LAG_MS)
        };
        let learnt = growth.learnt(LAG_MS).unwrap();
        let (mut soon, mut late) = (Growth::default(), Growth::default());
        soon.recall(learnt, 1.0);
        assert!((soon.factor(50.0, LAG_MS) / depth - 1.0).abs() < 0.02);
        late.recall(learnt, 0.0);
        assert_eq!(late.margin(LAG_MS), FIRST);
        let mut odd = Growth::default();
        odd.recall(GrowthMargin { margin: f64::NAN, ..learnt }, 1.0);
        assert_eq!(odd, Growth::default());
    }

    #[test]
    fn in_the_long_run_the_share_of_misses_is_the_one_asked_for() {
        let mut growth = Growth::default();
        let (mut state, mut misses, mut level) = (1_u64, 0_u32, 4.0_f64);
        for second in 0..200_000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
            let up = if state >> 63 == 1 { 1.02 } else { 1.0 / 1.02 };
            level = (level * up).clamp(1.0, 1_000.0);
            let now = Timestamp::from_ms(u64::from(second) * 1_000);
            let (load_per_s, recent_per_s) = (level, level);
            let look =
                LoadLook { now, load_per_s, recent_per_s, lag_ms: LAG_MS, elapsed_ms: 1_000 };
            misses += u32::from(growth.see(look, 0.05).missed);
        }
        let share = f64::from(misses) / 200_000.0;
        assert!((0.005..0.06).contains(&share), "{share}");
    }

    #[test]
    fn figures_of_nothing_stay_figures() {
        let mut growth = Growth::default();
        let loads = (0..500_u32).map(|second| if second % 40 < 20 { 0.0 } else { 1e12 });
        let factor = after(&mut growth, 0, loads);
        assert!((1.0..=6.0).contains(&factor), "{factor}");
        assert_eq!(growth.factor(0.0, LAG_MS), 1.0);
    }
}
