//! What many races come to: the cost at which a policy keeps a limit of late requests, at its best
//! setting for each load, and with one setting chosen on half of the loads and judged on the
//! others. A limit that was not kept has no cost, never a large one.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::field::Family;
use super::race::Result;

/// Resamples of a bootstrap interval.
const RESAMPLES: usize = 2_000;

/// One setting on one load, the mean over seeds.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct Entry {
    /// The setting's name.
    pub setting: String,
    /// The trace.
    pub trace: String,
    /// The start lag, in seconds.
    pub start_lag_s: u64,
    /// What came of it.
    pub result: Result,
}

/// All entries of one start lag.
#[derive(Clone, Debug)]
pub struct Table {
    entries: Vec<Entry>,
    traces: Vec<String>,
}

/// A policy with one setting, chosen on some loads and judged on the others.
#[derive(Clone, Debug, PartialEq)]
pub struct ChosenSetting {
    /// The setting.
    pub setting: String,
    /// Median cost over the ideal on the loads it was not chosen on.
    pub cost_ratio: f64,
    /// Mean share of late requests there, in percent.
    pub over_limit_pct: f64,
}

/// What one setting came to on all loads.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingResult {
    /// The setting.
    pub setting: String,
    /// Loads on which it kept to the limit.
    pub kept: usize,
    /// Median of the cost over the ideal, kept or not.
    pub cost_median: f64,
    /// Its mean.
    pub cost_mean: f64,
    /// Mean share of late requests, in percent.
    pub late_mean_pct: f64,
    /// Median of the share of late requests, in percent.
    pub late_median_pct: f64,
}

impl Table {
    /// The setting of `family` that keeps to the limit on most loads, and of those the cheapest.
    pub fn single(&self, family: &Family, limit_pct: f64) -> Option<SettingResult> {
        let results = family.settings.iter().filter_map(|s| self.result(s, limit_pct));
        results.min_by(|a, b| b.kept.cmp(&a.kept).then(a.cost_median.total_cmp(&b.cost_median)))
    }

    /// What `setting` came to.
    pub fn result(&self, setting: &str, limit_pct: f64) -> Option<SettingResult> {
        let entries: Vec<&Entry> = self.entries.iter().filter(|e| e.setting == setting).collect();
        let cost: Vec<f64> = entries.iter().map(|e| e.result.cost_ratio).collect();
        let late: Vec<f64> = entries.iter().map(|e| e.result.over_limit_pct).collect();
        Some(SettingResult {
            setting: setting.to_owned(),
            kept: late.iter().filter(|late| **late <= limit_pct).count(),
            cost_mean: mean(&cost),
            cost_median: median(cost)?,
            late_mean_pct: mean(&late),
            late_median_pct: median(late)?,
        })
    }

    /// For each load on which `before` kept to the limit, the cost of `setting` over that of it.
    pub fn cost_where_kept(&self, setting: &str, before: &str, limit_pct: f64) -> Vec<f64> {
        let of = |setting: &str, trace: &String| {
            self.entries.iter().find(|e| e.setting == setting && e.trace == *trace)
        };
        let ratio = |trace: &String| {
            let before = of(before, trace).filter(|e| e.result.over_limit_pct <= limit_pct)?;
            Some(of(setting, trace)?.result.cost_ratio / before.result.cost_ratio)
        };
        self.traces.iter().filter_map(ratio).collect()
    }
    /// Takes the entries of one start lag.
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut traces: Vec<String> = entries.iter().map(|e| e.trace.clone()).collect();
        traces.sort();
        traces.dedup();
        Self { entries, traces }
    }

    /// The traces, in the order of their names.
    pub fn traces(&self) -> &[String] {
        &self.traces
    }

    /// The lowest cost at which `family` kept within `limit_pct`, for each trace.
    pub fn best(&self, family: &Family, limit_pct: f64) -> Vec<Option<f64>> {
        let on = |trace: &String| {
            let costs = self.of(family).filter(|e| e.trace == *trace);
            let kept = costs.filter(|e| e.result.over_limit_pct <= limit_pct);
            kept.map(|e| e.result.cost_ratio).min_by(f64::total_cmp)
        };
        self.traces.iter().map(on).collect()
    }

    /// The lowest of all of `families`, for each trace.
    pub fn best_of(&self, families: &[&Family], limit_pct: f64) -> Vec<Option<f64>> {
        let all: Vec<Vec<Option<f64>>> =
            families.iter().map(|family| self.best(family, limit_pct)).collect();
        let lowest =
            |trace: usize| all.iter().filter_map(|costs| costs[trace]).min_by(f64::total_cmp);
        (0..self.traces.len()).map(lowest).collect()
    }

    /// The cheapest setting within `limit_pct` on every other trace, judged on the rest; `first`
    /// says which half chooses. `None` if no setting keeps to the limit there.
    pub fn judge(&self, family: &Family, limit_pct: f64, first: bool) -> Option<ChosenSetting> {
        let chooses = |trace: &str| {
            let index = self.traces.iter().position(|t| t == trace).unwrap_or(0);
            index.is_multiple_of(2) == first
        };
        let figures = |setting: &str, half: bool| {
            let entries = self.of(family).filter(|e| e.setting == setting);
            let entries: Vec<&Entry> = entries.filter(|e| chooses(&e.trace) == half).collect();
            let costs = entries.iter().map(|e| e.result.cost_ratio).collect();
            let late: Vec<f64> = entries.iter().map(|e| e.result.over_limit_pct).collect();
            Some((median(costs)?, mean(&late)))
        };
        let kept = family.settings.iter().filter_map(|setting| {
            let (cost, late) = figures(setting, true)?;
            (late <= limit_pct).then_some((cost, setting))
        });
        let (_, setting) = kept.min_by(|a, b| a.0.total_cmp(&b.0))?;
        let (cost_ratio, over_limit_pct) = figures(setting, false)?;
        Some(ChosenSetting { setting: setting.clone(), cost_ratio, over_limit_pct })
    }

    /// Median over traces of the cost and of late requests of one setting, and the worst of both.
    pub fn setting(&self, setting: &str) -> Option<[f64; 4]> {
        let of = |figure: fn(&Result) -> f64| {
            let entries = self.entries.iter().filter(|e| e.setting == setting);
            entries.map(|e| figure(&e.result)).collect::<Vec<f64>>()
        };
        let cost = of(|r| r.cost_ratio);
        let late = of(|r| r.over_limit_pct);
        Some([median(cost.clone())?, largest(&cost), median(late.clone())?, largest(&late)])
    }

    fn of<'a>(&'a self, family: &'a Family) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(|e| family.settings.contains(&e.setting))
    }
}

/// The middle of `values`; `None` of none.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let low = values.len().checked_sub(1)? / 2;
    let high = values.len() / 2;
    Some(f64::midpoint(values[low], values[high]))
}

/// The median of costs of which those not kept are above every cost; `None` if it is one of them.
pub fn median_kept(costs: &[Option<f64>]) -> Option<f64> {
    let middle = median(costs.iter().map(|cost| cost.unwrap_or(f64::INFINITY)).collect())?;
    middle.is_finite().then_some(middle)
}

/// The largest of `values`; 0 of none.
pub fn largest(values: &[f64]) -> f64 {
    values.iter().copied().max_by(f64::total_cmp).unwrap_or(0.0)
}

fn mean(values: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few traces")]
    let count = values.len().max(1) as f64;
    values.iter().sum::<f64>() / count
}

/// The ratios of two costs on the same traces, where both are there.
pub fn ratios(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Vec<f64> {
    ours.iter().zip(theirs).filter_map(|(a, b)| Some((*a)? / (*b)?)).collect()
}

/// A 95 % interval of the median of paired `ratios`, by resampling the traces they come from.
pub fn interval(ratios: &[f64]) -> Option<(f64, f64)> {
    let mut chance = ChaCha12Rng::seed_from_u64(1);
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let again = (0..ratios.len()).map(|_| ratios[chance.random_range(0..ratios.len())]);
            median(again.collect())
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |per_mille: usize| medians.get(medians.len() * per_mille / 1000).copied();
    Some((at(25)?, at(975)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(setting: &str, trace: &str, cost_ratio: f64, over_limit_pct: f64) -> Entry {
        let result = Result { cost_ratio, over_limit_pct, ..Result::default() };
        Entry { setting: setting.into(), trace: trace.into(), start_lag_s: 10, result }
    }

    #[test]
    fn the_best_setting_is_the_cheapest_that_keeps_to_the_limit() {
        let settings = vec!["p:1".to_owned(), "p:2".to_owned()];
        let family = Family { name: "p", settings, competes: true };
        let table = Table::new(vec![
            entry("p:1", "a", 1.2, 2.0),
            entry("p:2", "a", 1.5, 0.5),
            entry("p:1", "b", 1.1, 0.0),
            entry("p:2", "b", 1.4, 0.0),
            entry("q", "a", 1.0, 0.0),
        ]);
        assert_eq!(table.best(&family, 1.0), [Some(1.5), Some(1.1)]);
        assert_eq!(table.best(&family, 0.1), [None, Some(1.1)]);
        let judged = table.judge(&family, 1.0, false).unwrap();
        assert_eq!((judged.setting.as_str(), judged.cost_ratio), ("p:1", 1.2));
    }

    #[test]
    fn a_single_setting_is_the_one_that_keeps_most_and_of_those_the_cheapest() {
        let settings = vec!["p:1".to_owned(), "p:2".to_owned(), "p:3".to_owned()];
        let family = Family { name: "p", settings, competes: true };
        let table = Table::new(vec![
            entry("p:1", "a", 1.2, 2.0),
            entry("p:1", "b", 1.1, 0.0),
            entry("p:2", "a", 1.5, 0.5),
            entry("p:2", "b", 1.4, 0.0),
            entry("p:3", "a", 1.4, 1.0),
            entry("p:3", "b", 1.3, 0.2),
        ]);
        let single = table.single(&family, 1.0).unwrap();
        assert_eq!((single.setting.as_str(), single.kept), ("p:3", 2));
        assert!((single.cost_median - 1.35).abs() < 1e-9, "{single:?}");
        assert_eq!(table.single(&family, 0.1).unwrap().kept, 1);
        assert_eq!(table.cost_where_kept("p:2", "p:1", 1.0), [1.4 / 1.1]);
    }

    #[test]
    fn medians_and_intervals_are_of_what_was_kept() {
        assert_eq!(median(vec![3.0, 1.0, 2.0, 10.0]), Some(2.5));
        assert_eq!(median_kept(&[Some(1.0), None, None]), None);
        assert_eq!(ratios(&[Some(1.0), None], &[Some(2.0), Some(1.0)]), [0.5]);
        let (low, high) = interval(&[0.9, 0.9, 0.9, 1.2]).unwrap();
        assert!(low == 0.9 && high >= 0.9, "{low} {high}");
    }
}
