//! `aws:T`, `aws:T:20`: AWS target tracking on mean CPU usage, as ECS services have it; the rules
//! are those of the user guides of AWS Application Auto Scaling and EC2 Auto Scaling.

use flyball_core::observation::Observation;
use flyball_core::units::{Timestamp, replicas_for};

use super::RivalCount;
use super::scrape::{Recent, Scrape, Ticker, asked, mean};

/// Datapoints above the target that start scaling out.
pub const HIGH_POINTS: usize = 3;
/// Datapoints below `LOW_SHARE` of the target that start scaling in, of 60 s each.
pub const LOW_POINTS: usize = 15;
/// The same where datapoints are of 20 s: not published, taken as the same quarter of an hour.
pub const LOW_POINTS_FAST: usize = 45;
/// Scale-in begins below this share of the target (ECS; EC2 groups use 0.7).
pub const LOW_SHARE: f64 = 0.9;
/// Whole periods until a datapoint is there to be judged. AWS publishes 363 s from a rise to the
/// trigger, so one period is kinder to it than its own figure.
pub const LATE_PERIODS: usize = 1;

/// What its users may set; the defaults are those of ECS, but for the target, which has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The mean CPU to keep, a share in (0, 1] (`TargetValue`).
    pub target: f64,
    /// The span of a datapoint: 60 s, or 20 s at high resolution; above 0.
    pub period_ms: u64,
    /// `ScaleOutCooldown`.
    pub out_cooldown_ms: u64,
    /// `ScaleInCooldown`.
    pub in_cooldown_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { target: 0.70, period_ms: 60_000, out_cooldown_ms: 300_000, in_cooldown_ms: 300_000 }
    }
}

/// The rule with its memory: an alarm above the target, a slower one below nine tenths of it, a
/// count in proportion, a cooldown each way. It has no bounds. A missing datapoint never scales in.
///
/// Example: 4 replicas at 100 % with a target of 70 %: 3 minutes above, 4 x 100/70 = 5.7, so 6.
#[derive(Clone, Debug)]
pub struct Aws {
    settings: Settings,
    periods: Ticker,
    scrape: Scrape,
    points: Recent<Option<f64>>,
    /// Scaling out from this count at this time: until the cooldown is over a larger wish is
    /// reckoned from the same count.
    out: Option<(Timestamp, u32)>,
    in_at: Option<Timestamp>,
    wish: Option<RivalCount>,
}

impl Aws {
    /// With `settings`, and no datapoint yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            periods: Ticker::every(settings.period_ms),
            scrape: Scrape::default(),
            points: Recent::default(),
            out: None,
            in_at: None,
            wish: None,
        }
    }

    pub(super) fn recommend(&mut self, seen: &Observation) -> RivalCount {
        if let Some(engine) = seen.engine.value()
            && self.periods.ticks(seen.at)
        {
            self.scrape.take(engine);
            let kept_ms = self.settings.period_ms * 60;
            self.points.push(seen.at, mean(&self.scrape.serving(seen)), kept_ms);
            let wish = self.judge(seen.at, asked(seen));
            self.wish = Some(wish);
        }
        RivalCount::again(self.wish.as_ref(), seen, "datapoint")
    }

    fn low_points(&self) -> usize {
        if self.settings.period_ms < 60_000 { LOW_POINTS_FAST } else { LOW_POINTS }
    }

    fn judge(&mut self, now: Timestamp, current: u32) -> RivalCount {
        let target = self.settings.target;
        let points: Vec<Option<f64>> = self.points.all().rev().skip(LATE_PERIODS).collect();
        let all = |count: usize, holds: &dyn Fn(f64) -> bool| {
            points.len() >= count && points.iter().take(count).all(|p| p.is_some_and(holds))
        };
        let high = all(HIGH_POINTS, &|cpu| cpu > target);
        let low = all(self.low_points(), &|cpu| cpu < LOW_SHARE * target);
        let latest = points.first().copied().flatten();
        let (count, from) = match latest {
            Some(cpu) if high => self.scale_out(now, current, cpu),
            Some(cpu) if low => self.scale_in(now, current, cpu),
            _ => (current, current),
        };
        let state = if high {
            "above"
        } else if low {
            "long below"
        } else {
            "near"
        };
        let cpu = latest.map_or("no".to_owned(), |cpu| format!("{:.0} %", cpu * 100.0));
        let reason = format!("{cpu} cpu, {state} {:.0} %, from {from} -> {count}", target * 100.0);
        RivalCount { count, reason }
    }

    fn scale_out(&mut self, now: Timestamp, current: u32, cpu: f64) -> (u32, u32) {
        let Settings { target, out_cooldown_ms, .. } = self.settings;
        let cooling = self.out.filter(|(at, _)| now.ms_since(*at) < out_cooldown_ms);
        let from = cooling.map_or(current, |(_, from)| from);
        let count = replicas_for(f64::from(from) * cpu / target).max(current);
        if count > current {
            self.out = Some((now, from));
            self.in_at = None;
        }
        (count, from)
    }

    fn scale_in(&mut self, now: Timestamp, current: u32, cpu: f64) -> (u32, u32) {
        let Settings { target, in_cooldown_ms, .. } = self.settings;
        if self.in_at.is_some_and(|at| now.ms_since(at) < in_cooldown_ms) {
            return (current, current);
        }
        // What is removed is rounded down, so what stays is rounded up.
        let count = replicas_for(f64::from(current) * cpu / target).clamp(1, current.max(1));
        if count < current {
            self.in_at = Some(now);
        }
        (count, current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(target: f64) -> Aws {
        Aws::new(Settings { target, ..Settings::default() })
    }

    /// Judges one datapoint a minute, in percent (-1: none); the counts after each.
    fn minutes(rule: &mut Aws, mut count: u32, points: &[i32]) -> Vec<u32> {
        let mut counts = Vec::new();
        for (minute, point) in (0_u64..).zip(points) {
            let now = Timestamp::from_ms(minute * 60_000);
            let cpu = (*point >= 0).then(|| f64::from(*point) / 100.0);
            rule.points.push(now, cpu, 3_600_000);
            count = rule.judge(now, count).count;
            counts.push(count);
        }
        counts
    }

    #[test]
    fn scaling_out_waits_for_three_datapoints_and_their_delay() {
        let mut rule = at(0.70);
        assert_eq!(minutes(&mut rule, 4, &[100, 100, 100, 100]), [4, 4, 4, 6]);
    }

    #[test]
    fn a_cooldown_lets_only_a_larger_count_from_the_same_start_through() {
        // 4 x 80/70 = 4.6 -> 5; then 4 x 105/70 = 6, not 5 x 105/70 = 8.
        let mut rule = at(0.70);
        let counts = minutes(&mut rule, 4, &[80, 80, 80, 80, 105, 105, 80]);
        assert_eq!(counts, [4, 4, 4, 5, 5, 6, 6]);
    }

    #[test]
    fn scaling_in_takes_a_quarter_of_an_hour_and_one_gap_stops_it() {
        let mut rule = at(0.50);
        assert_eq!(minutes(&mut rule, 10, &[20; 16]).last(), Some(&4));
        let mut points = [20; 20];
        points[10] = -1;
        assert_eq!(minutes(&mut at(0.50), 10, &points).last(), Some(&10));
    }

    #[test]
    fn nothing_is_removed_within_a_tenth_below() {
        let mut rule = at(0.50);
        assert_eq!(minutes(&mut rule, 10, &[46; 40]).last(), Some(&10));
    }
}
