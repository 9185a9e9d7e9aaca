//! `marathon-lb`: marathon-lb-autoscale on HAProxy's request rate and queue, by its published rule
//! and defaults. It does not see CPU usage.

use flyball_core::observation::Observation;
use flyball_core::units::{Timestamp, replicas_for, seconds};

use super::RivalCount;
use super::scrape::{Recent, Ticker, asked, mean};

/// What its users may set on its command line; the defaults are its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Requests per second that one replica should serve (`--target-rps`); above 0.
    pub target_per_s: f64,
    /// Time from one sample to the next (`--interval`); above 0.
    pub interval_ms: u64,
    /// Samples averaged (`--samples`); above 0.
    pub samples: u32,
    /// It acts when the rate of one replica is this far off the target (`--threshold-percent`), ...
    pub off_share: f64,
    /// ... or the count this far off what is wanted (`--threshold-instances`), ...
    pub off_count: u32,
    /// ... for this many intervals (`--intervals-past-threshold`).
    pub intervals_off: u32,
    /// Intervals without action after one, less those of the samples (`--cooldown`).
    pub cooldown: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            target_per_s: 1_000.0,
            interval_ms: 60_000,
            samples: 10,
            off_share: 0.5,
            off_count: 3,
            intervals_off: 3,
            cooldown: 5,
        }
    }
}

/// The rule with its memory: every 60 s the balancer's request rate and queue; the mean of ten,
/// divided by the rate that one replica should serve. It acts when that was half as much again (or
/// three replicas) off for three intervals, then waits a quarter of an hour. Nothing moves before
/// ten samples.
///
/// Example: 4,500 requests/s on 2 replicas with a target of 1,000: 5 wanted, 2,250 each is 125 %
/// off, so after three intervals 5.
#[derive(Clone, Debug)]
pub struct MarathonLb {
    settings: Settings,
    samples: Ticker,
    rates: Recent<f64>,
    before: Option<(Timestamp, u64, u64)>,
    intervals_off: u32,
    acted_at: Option<Timestamp>,
    wish: Option<RivalCount>,
}

impl MarathonLb {
    /// With `settings`, and no sample yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            samples: Ticker::every(settings.interval_ms),
            rates: Recent::default(),
            before: None,
            intervals_off: 0,
            acted_at: None,
            wish: None,
        }
    }

    pub(super) fn recommend(&mut self, seen: &Observation) -> RivalCount {
        let rate = self.rate_and_queue(seen);
        let current = asked(seen);
        if self.samples.ticks(seen.at)
            && let Some(rate) = rate
        {
            self.keep(seen.at, rate);
            self.sample(seen.at, current);
        }
        RivalCount::again(self.wish.as_ref(), seen, "mean of enough samples")
    }

    fn keep(&mut self, now: Timestamp, rate: f64) {
        let Settings { samples, interval_ms, .. } = self.settings;
        self.rates.push(now, rate, u64::from(samples) * interval_ms - 1);
    }

    /// Requests per second since the last look, and those waiting, as one figure: so it is
    /// published.
    fn rate_and_queue(&mut self, seen: &Observation) -> Option<f64> {
        let report = seen.balancer.as_ref()?.value()?;
        let before = self.before.replace((seen.at, report.epoch, report.arrivals));
        let (at, epoch, arrivals) = before.filter(|(at, ..)| *at < seen.at)?;
        let arrived = report.arrivals.checked_sub(arrivals).filter(|_| epoch == report.epoch)?;
        #[expect(clippy::cast_precision_loss, reason = "a difference far below 2^52")]
        let per_s = arrived as f64 / seconds(seen.at.ms_since(at));
        Some(per_s + f64::from(report.waiting))
    }

    fn sample(&mut self, now: Timestamp, current: u32) {
        let Settings { target_per_s, interval_ms, samples, intervals_off, cooldown, .. } =
            self.settings;
        let rates: Vec<f64> = self.rates.all().collect();
        let full = rates.len() as u64 >= u64::from(samples);
        let Some(average) = mean(&rates).filter(|_| full && current > 0) else { return };
        let wanted = replicas_for(average / target_per_s).max(1);
        let off = (average / f64::from(current) - target_per_s).abs() / target_per_s;
        let past =
            off >= self.settings.off_share || wanted.abs_diff(current) >= self.settings.off_count;
        self.intervals_off = if past { self.intervals_off.saturating_add(1) } else { 0 };
        let cooldown_ms = (u64::from(cooldown) + u64::from(samples)) * interval_ms;
        let cools = self.acted_at.is_some_and(|at| now.ms_since(at) < cooldown_ms);
        let acts = self.intervals_off >= intervals_off && !cools && wanted != current;
        if acts {
            self.acted_at = Some(now);
        }
        let count = if acts { wanted } else { current };
        let reason = format!(
            "{average:.0}/s / {target_per_s:.0} = {wanted}, off for {} of {intervals_off} -> {count}",
            self.intervals_off
        );
        self.wish = Some(RivalCount { count, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One sample a minute; the counts after each.
    fn minutes(mut count: u32, rates: &[f64]) -> Vec<u32> {
        let mut rule = MarathonLb::new(Settings { target_per_s: 100.0, ..Settings::default() });
        let mut counts = Vec::new();
        for (minute, rate) in (0_u64..).zip(rates) {
            let now = Timestamp::from_ms(minute * 60_000);
            rule.keep(now, *rate);
            rule.sample(now, count);
            count = rule.wish.as_ref().map_or(count, |wish| wish.count);
            counts.push(count);
        }
        counts
    }

    #[test]
    fn it_acts_after_ten_samples_and_three_intervals() {
        let counts = minutes(2, &[450.0; 12]);
        assert_eq!(counts[..11], [2; 11]);
        assert_eq!(counts[11], 5);
    }

    #[test]
    fn a_fifth_off_moves_nothing_and_a_quarter_of_an_hour_passes_between_moves() {
        assert_eq!(minutes(4, &[480.0; 40]).last(), Some(&4));
        let mut rates = [450.0; 40];
        rates[12..].fill(1_000.0);
        let counts = minutes(2, &rates);
        assert_eq!((counts[11], counts[25], counts[26]), (5, 5, 10));
    }
}
