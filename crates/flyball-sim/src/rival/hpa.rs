//! `hpa:T`: the Horizontal Pod Autoscaler on CPU utilization, by the Kubernetes documentation and the
//! controller's source. Above one replica KEDA ends in the same formula, since it feeds an HPA.
//! Example: 4 ready at 90 % with a target of 50 %: 4 x 1.8 = 7.2, so 8.

mod grid;
mod pace;

use flyball_core::observation::{EngineReport, Observation, Phase, ReplicaReport};
use flyball_core::units::{Timestamp, replicas_for};

use super::RivalCount;
use super::scrape::{Scrape, Ticker, asked};
use grid::Grid;

pub use grid::StepLoad;
pub use pace::{Behavior, DOWN_WINDOW_MS, Pace, Rules};

/// What its users may set; the defaults are Kubernetes' own, but for the target, which has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The mean CPU to keep, a share in (0, 1].
    pub target: f64,
    /// A ratio this close to 1 moves nothing (`--horizontal-pod-autoscaler-tolerance`).
    pub tolerance: f64,
    /// How a recommendation is followed.
    pub rules: Rules,
    /// The controller looks this often (`--horizontal-pod-autoscaler-sync-period`); above 0.
    pub sync_ms: u64,
    /// The metrics server scrapes this often, in its shipped manifests; above 0. A rate needs two
    /// scrapes, and the controller sees the one before its sync: 15 to 30 s old in the middle.
    pub scrape_ms: u64,
    /// So long after its start a pod's CPU counts only if it is ready and was for the whole of the
    /// metric's window (`--horizontal-pod-autoscaler-cpu-initialization-period`).
    pub initialization_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            target: 0.80,
            tolerance: 0.10,
            rules: Rules::Plain { down_window_ms: DOWN_WINDOW_MS },
            sync_ms: 15_000,
            scrape_ms: 15_000,
            initialization_ms: 300_000,
        }
    }
}

/// One pod as the controller groups it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pod {
    /// Ready, using this share of its request.
    Ready(f64),
    /// Ready by its probe, but without a metric.
    Missing,
    /// Not ready, or so young that its CPU is that of its start.
    Unready,
}

/// The rule with its memory.
#[derive(Clone, Debug)]
pub struct Hpa {
    settings: Settings,
    pace: Pace,
    /// Once it was asked on a grid, the grid's wish stands between steps, too.
    grid: Grid,
    scrape: Scrape,
    scrapes: Ticker,
    syncs: Ticker,
    wish: Option<RivalCount>,
}

impl Hpa {
    /// With `settings`, and no sync yet. On a grid only target, tolerance and the window of the
    /// scale-down are there.
    pub fn new(settings: Settings) -> Self {
        let Settings { target, tolerance, rules, sync_ms, scrape_ms, .. } = settings;
        Self {
            settings,
            pace: Pace::new(rules),
            grid: Grid::new(target, tolerance, rules.down_window_ms()),
            scrape: Scrape::default(),
            scrapes: Ticker::every(scrape_ms),
            syncs: Ticker::every(sync_ms),
            wish: None,
        }
    }

    pub(super) fn recommend(&mut self, seen: &Observation) -> RivalCount {
        if let Some(wish) = self.grid.wish() {
            return wish.clone();
        }
        if self.syncs.ticks(seen.at) {
            self.wish = Some(self.sync(seen));
        }
        if let Some(engine) = seen.engine.value()
            && self.scrapes.ticks(seen.at)
        {
            self.scrape.take(engine);
        }
        RivalCount::again(self.wish.as_ref(), seen, "sync")
    }

    /// The wish after a whole step of a trace: the ratio rule alone, from the exact load.
    pub(super) fn recommend_on_grid(&mut self, step: StepLoad, count: u32) -> RivalCount {
        self.grid.recommend(step, count)
    }

    /// The count it holds under a steady `load`.
    pub(super) fn settled(&self, load: f64, capacity: f64) -> u32 {
        self.grid.settled(load, capacity)
    }

    fn sync(&mut self, seen: &Observation) -> RivalCount {
        let current = asked(seen);
        let Some(engine) = seen.engine.value() else { return kept(current, "no pods known") };
        let pods = self.pods(seen.at, engine);
        let Settings { target, tolerance, .. } = self.settings;
        let Some((wanted, why)) = count(&pods, current, target, tolerance) else {
            return kept(current, "no metrics of ready pods");
        };
        let count = self.pace.follow(seen.at, current, wanted);
        let pace =
            if count == wanted { String::new() } else { format!(", {count} by window and rate") };
        RivalCount { count, reason: format!("{why} -> {wanted}{pace}") }
    }

    fn pods(&self, now: Timestamp, engine: &EngineReport) -> Vec<Pod> {
        let there = engine.replicas.iter().filter(|r| r.phase != Phase::Stopping);
        there.map(|replica| self.group(now, replica)).collect()
    }

    fn group(&self, now: Timestamp, replica: &ReplicaReport) -> Pod {
        let Some(ready_at) = replica.ready_at.filter(|_| replica.phase == Phase::Ready) else {
            return Pod::Unready;
        };
        let Some(metric) = self.scrape.share(&replica.id) else { return Pod::Missing };
        let young = now < replica.asked_at.plus_ms(self.settings.initialization_ms);
        if young && metric.at < ready_at.plus_ms(metric.window_ms) {
            return Pod::Unready;
        }
        Pod::Ready(metric.share)
    }
}

fn kept(count: u32, why: &str) -> RivalCount {
    RivalCount { count, reason: format!("{why}: {count} kept") }
}

/// The count that brings the mean over `pods` to `target`, and its arithmetic; `None` while no
/// ready pod has a metric. `current` is what is kept where nothing is to be moved.
pub fn count(pods: &[Pod], current: u32, target: f64, tolerance: f64) -> Option<(u32, String)> {
    // 55 % of 50 % is a tenth over, as documented, whatever the last bit of the quotient says.
    let tolerance = tolerance + 1e-9;
    let mut shares: Vec<f64> = pods
        .iter()
        .filter_map(|pod| match pod {
            Pod::Ready(share) => Some(*share),
            Pod::Missing | Pod::Unready => None,
        })
        .collect();
    let ratio = ratio(&shares, target)?;
    let missing = pods.iter().filter(|pod| **pod == Pod::Missing).count();
    let unready = pods.iter().filter(|pod| **pod == Pod::Unready).count();
    let ready = u32::try_from(shares.len() + missing).unwrap_or(u32::MAX);
    let assumed_idle = if ratio > 1.0 { unready } else { 0 };
    if missing == 0 && assumed_idle == 0 {
        let count = from_ratio(ratio, tolerance, current, ready);
        return Some((count, format!("ratio {ratio:.3} x {ready} ready")));
    }
    if ratio < 1.0 {
        shares.extend(std::iter::repeat_n(target.max(1.0), missing));
    } else if ratio > 1.0 {
        shares.extend(std::iter::repeat_n(0.0, missing + assumed_idle));
    }
    let assumed = self::ratio(&shares, target)?;
    let all = u32::try_from(shares.len()).unwrap_or(u32::MAX);
    let why = format!(
        "ratio {ratio:.3}, with {missing} missing and {unready} unready {assumed:.3} x {all}"
    );
    let flips = (ratio < 1.0 && assumed > 1.0) || (ratio > 1.0 && assumed < 1.0);
    let count = from_ratio(assumed, tolerance, current, all);
    let contradicts = (assumed < 1.0 && count > current) || (assumed > 1.0 && count < current);
    Some((if flips || contradicts { current } else { count }, why))
}

/// `ceil(ratio * pods)`, or `current` if `ratio` is within `tolerance` of 1, compared as written:
/// 1.1 is not within 0.1, since the difference is a hair more. NaN moves nothing.
pub fn from_ratio(ratio: f64, tolerance: f64, current: u32, pods: u32) -> u32 {
    let moves = (ratio - 1.0).abs() > tolerance;
    if moves { replicas_for(ratio * f64::from(pods)) } else { current }
}

/// Measured over wanted utilization; both are whole percentages, as in the API, the measured one
/// rounded down.
fn ratio(shares: &[f64], target: f64) -> Option<f64> {
    let mean = super::scrape::mean(shares)?;
    Some((100.0 * mean + 1e-9).floor() / (100.0 * target).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: f64 = 0.10;

    #[test]
    fn a_ratio_that_is_none_moves_nothing() {
        assert_eq!(from_ratio(f64::NAN, TOLERANCE, 3, 3), 3);
        assert_eq!(from_ratio(1.1, TOLERANCE, 10, 10), 11, "1.1 - 1 is a hair over 0.1");
        assert_eq!(from_ratio(0.0, TOLERANCE, 3, 3), 0);
    }

    fn pods(text: &str) -> Vec<Pod> {
        let pod = |word: &str| match word {
            "missing" => Pod::Missing,
            "unready" => Pod::Unready,
            percent => Pod::Ready(percent.parse::<f64>().unwrap() / 100.0),
        };
        text.split_whitespace().map(pod).collect()
    }

    #[test]
    #[rustfmt::skip]
    fn counts_are_those_worked_out_by_hand() {
        let cases: [(&str, u32, u32, &str, Option<u32>); 32] = [
            ("at the target",                         3, 50, "50 50 50", Some(3)),
            ("twice the target",                      3, 50, "100 100 100", Some(6)),
            ("half the target",                       4, 50, "25 25 25 25", Some(2)),
            ("rounded up",                            3, 50, "60 60 60", Some(4)),
            ("idle",                                  4, 50, "0 0 0 0", Some(0)),
            ("tolerance above, at its edge",          4, 50, "55 55 55 55", Some(4)),
            ("tolerance above, just over",            4, 50, "56 56 56 56", Some(5)),
            ("tolerance below, at its edge",          4, 50, "45 45 45 45", Some(4)),
            ("tolerance below, just under",           10, 50, "44 44 44 44 44 44 44 44 44 44", Some(9)),
            ("a part of a percent is dropped",        4, 50, "55.9 55.9 55.9 55.9", Some(4)),
            ("the mean counts, not the largest",      4, 50, "100 20 20 20", Some(4)),
            ("uneven, down",                          4, 80, "90 10 10 10", Some(2)),
            ("saturated at 80",                       2, 80, "100 100", Some(3)),
            ("saturated at 70",                       3, 70, "100 100 100", Some(5)),
            ("more than its request",                 2, 50, "150 150", Some(6)),
            ("unready counts nothing on the way down", 4, 50, "20 20 20 unready", Some(2)),
            ("unready is idle on the way up",         3, 50, "100 100 unready", Some(4)),
            ("unready brings it into tolerance",      3, 50, "80 80 unready", Some(3)),
            ("unready flips it: kept",                4, 50, "60 60 unready unready", Some(4)),
            ("unready within tolerance of ready",     3, 50, "50 50 unready", Some(3)),
            ("down within tolerance keeps unready",   5, 50, "46 46 unready unready unready", Some(5)),
            ("missing is full on the way down",       4, 50, "10 10 10 missing", Some(3)),
            ("missing brings it into tolerance",      4, 50, "30 30 30 missing", Some(4)),
            ("missing flips it: kept",                3, 50, "40 40 missing", Some(3)),
            ("missing is idle on the way up",         3, 50, "100 100 missing", Some(4)),
            ("missing idle flips it: kept",           3, 50, "60 60 missing", Some(3)),
            ("missing and unready, up",               5, 50, "100 100 100 missing unready", Some(6)),
            ("missing and unready, down",             5, 50, "10 10 10 missing unready", Some(3)),
            ("fewer pods than asked for: not down",   9, 50, "80 80 80 missing", Some(9)),
            ("more pods than asked for: not up",    3, 50, "20 20 20 20 20 20 missing", Some(3)),
            ("only missing",                          2, 50, "missing missing", None),
            ("only unready",                          2, 50, "unready unready", None),
        ];
        for (name, current, target, text, expected) in cases {
            let counted = count(&pods(text), current, f64::from(target) / 100.0, TOLERANCE);
            assert_eq!(counted.as_ref().map(|c| c.0), expected, "{name}: {counted:?}");
        }
    }
}
