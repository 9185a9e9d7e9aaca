//! `kpa:T`, `kpa:T:inflight`: Knative's pod autoscaler on concurrency, by its documentation
//! ("Autoscaling") and source. `inflight` leaves out requests that wait at the balancer; as shipped
//! they count, because the activator reports them.

use std::collections::VecDeque;

use flyball_core::observation::Observation;
use flyball_core::units::{Timestamp, replicas_for, seconds};

use super::RivalCount;
use super::scrape::{Ticker, ready};

/// It decides every 2 s.
const TICK_MS: u64 = 2_000;
/// Requests that one replica works on at once where nobody says: a target in percent is of these.
const SLOTS: u32 = 4;

/// What its users may set; the defaults are Knative's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The share of what a pod may hold that it should hold (`target-utilization-percentage`).
    pub target: f64,
    /// Which requests count.
    pub counting: Counting,
    /// The stable window, in seconds; above 0 (`stable-window`).
    pub stable_s: u64,
    /// The panic window, as a share of the stable one (`panic-window-percentage`).
    pub panic_window: f64,
    /// It panics when the panic window asks for this many times the ready pods
    /// (`panic-threshold-percentage`).
    pub panic_threshold: f64,
    /// The count may grow to this many times the ready pods at once (`max-scale-up-rate`) ...
    pub up_rate: f64,
    /// ... and fall to this part of them (`max-scale-down-rate`); above 1.
    pub down_rate: f64,
    /// The last pod stays so long after the stable window is empty
    /// (`scale-to-zero-grace-period`).
    pub grace_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            target: 0.70,
            counting: Counting::All,
            stable_s: 60,
            panic_window: 0.10,
            panic_threshold: 2.0,
            up_rate: 1_000.0,
            down_rate: 2.0,
            grace_ms: 30_000,
        }
    }
}

impl Settings {
    /// The panic window, in whole seconds; at least 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a window; the cast saturates"
    )]
    fn panic_s(&self) -> u64 {
        ((seconds(self.stable_s * 1_000) * self.panic_window).round() as u64).max(1)
    }
}

/// Which requests count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Those in pods and those that wait: as shipped.
    All,
    /// Those in pods alone.
    InFlight,
}

/// The rule with its memory: requests in the system averaged over a stable and a panic window,
/// divided by the target for one pod. It has no bounds, and divides by ready pods only: what is
/// starting is no capacity to it. While it panics, its count never falls.
///
/// Example: 10 in the system over 60 s and 60 over 6 s, 3 each, 2 ready: 4 by the stable window, 20
/// by the panic window; 20 / 2 is over the threshold of 2: it panics and asks for 20.
#[derive(Clone, Debug)]
pub struct Kpa {
    settings: Settings,
    /// Requests for each ready pod; above 0.
    target: f64,
    ticks: Ticker,
    average: Average,
    mode: Mode,
    zero_since: Option<Timestamp>,
    wish: Option<RivalCount>,
}

/// Whether it panics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mode {
    /// When the threshold was last crossed, while it panics.
    panic_at: Option<Timestamp>,
    /// The largest count wished for since it panics.
    most: u32,
}

impl Kpa {
    /// With `settings`, where a pod holds four requests, and nothing seen yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            target: settings.target * f64::from(SLOTS),
            ticks: Ticker::every(TICK_MS),
            average: Average::over_at_most(settings.stable_s),
            mode: Mode::default(),
            zero_since: None,
            wish: None,
        }
    }

    /// The same where a pod holds `slots` requests.
    pub(super) fn for_slots(self, slots: u32) -> Self {
        Self { target: self.settings.target * f64::from(slots), ..self }
    }

    pub(super) fn recommend(&mut self, seen: &Observation) -> RivalCount {
        self.average.see(seen.at, self.requests(seen));
        if self.ticks.ticks(seen.at) {
            self.wish = self.tick(seen).or(self.wish.take());
        }
        RivalCount::again(self.wish.as_ref(), seen, "count of requests")
    }

    fn requests(&self, seen: &Observation) -> Option<f64> {
        let report = seen.balancer.as_ref()?.value()?;
        let in_flight: f64 = report.servers.values().map(|s| f64::from(s.in_flight)).sum();
        let waiting = if self.settings.counting == Counting::All { report.waiting } else { 0 };
        Some(in_flight + f64::from(waiting))
    }

    fn tick(&mut self, seen: &Observation) -> Option<RivalCount> {
        let now = seen.at;
        let stable_s = self.settings.stable_s;
        let panic_s = self.settings.panic_s();
        let stable = self.average.over(stable_s)?;
        let panic = self.average.over(panic_s)?;
        let ready = ready(seen);
        let asked = stable / self.target;
        let asked_in_panic = panic / self.target;
        let count = self.mode.count(&self.settings, now, ready, asked, asked_in_panic);
        let panics = if self.mode.panic_at.is_some() { ", panics" } else { "" };
        let reason = format!(
            "{stable:.1} over {stable_s} s and {panic:.1} over {panic_s} s / {:.2} each, {ready} ready{panics} -> {count}",
            self.target
        );
        if stable > 0.0 {
            self.zero_since = None;
        } else {
            let since = *self.zero_since.get_or_insert(now);
            if now.ms_since(since) < self.settings.grace_ms {
                return Some(RivalCount { count: count.max(1), reason });
            }
        }
        Some(RivalCount { count, reason })
    }
}

impl Mode {
    /// The count at `now`, where `ready` pods serve and the stable and the panic window ask for so
    /// many pods, in parts of pods.
    pub fn count(
        &mut self,
        settings: &Settings,
        now: Timestamp,
        ready: u32,
        stable: f64,
        panic: f64,
    ) -> u32 {
        let pods = f64::from(ready.max(1));
        let by_stable = replicas_for(stable);
        let by_panic = replicas_for(panic);
        let up = replicas_for(settings.up_rate * pods);
        let down = if ready == 0 { 0 } else { replicas_for((pods / settings.down_rate).floor()) };
        if f64::from(by_panic) / pods >= settings.panic_threshold {
            self.panic_at = Some(now);
        } else if self.panic_at.is_some_and(|at| now.ms_since(at) > settings.stable_s * 1_000) {
            *self = Self::default();
        }
        let by_stable = by_stable.clamp(down, up);
        let by_panic = by_panic.clamp(down, up);
        if self.panic_at.is_none() {
            return by_stable;
        }
        self.most = self.most.max(by_stable).max(by_panic);
        self.most
    }
}

/// Requests in the system, in buckets of one second.
#[derive(Clone, Debug)]
struct Average {
    /// The longest window that is asked for, in seconds.
    window_max_s: u64,
    /// The newest bucket is the last; one without a report counts 0.
    buckets: VecDeque<Option<f64>>,
    looked_at: Option<Timestamp>,
    reported: bool,
}

impl Average {
    fn over_at_most(window_max_s: u64) -> Self {
        Self { window_max_s, buckets: VecDeque::new(), looked_at: None, reported: false }
    }

    /// A report stands for the seconds since the look before it; `None` leaves them empty.
    fn see(&mut self, now: Timestamp, requests: Option<f64>) {
        let second = |at: Timestamp| at.as_ms() / 1_000;
        let before = self.looked_at.replace(now).map_or(second(now).wrapping_sub(1), second);
        let missed = second(now).wrapping_sub(before).min(self.window_max_s);
        for _ in 0..missed {
            if self.buckets.len() as u64 == self.window_max_s {
                self.buckets.pop_front();
            }
            self.buckets.push_back(requests);
        }
        self.reported |= requests.is_some();
    }

    /// The mean over `window_s`, or over as long as there has been; `None` without any report.
    fn over(&self, window_s: u64) -> Option<f64> {
        let count = (self.buckets.len() as u64).min(window_s);
        let newest = self.buckets.iter().rev().take(usize::try_from(count).ok()?);
        let sum: f64 = newest.flatten().sum();
        (self.reported && count > 0).then(|| sum / seconds(count * 1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tick: second, ready pods, and the pods that the stable and the panic window ask for.
    type Tick = (u64, u32, f64, f64);
    /// A case: runs of reports (the value, -1 for none, and for how many seconds), the window and
    /// the mean over it.
    type Averaged = (&'static str, &'static [(i32, u64)], u64, Option<f64>);

    #[test]
    #[rustfmt::skip]
    fn counts_are_those_worked_out_by_hand() {
        let cases: [(&str, &[Tick], u32); 26] = [
            ("what the stable window asks for",        &[(0, 4, 3.0, 3.0)], 3),
            ("rounded up",                             &[(0, 4, 3.1, 3.1)], 4),
            ("up to what is asked",                    &[(0, 4, 7.0, 7.0)], 7),
            ("down by half at a time",                 &[(0, 9, 1.0, 1.0)], 4),
            ("down by half again",                     &[(0, 9, 1.0, 1.0), (2, 4, 1.0, 1.0)], 2),
            ("the last one may go",                    &[(0, 1, 0.0, 0.0)], 0),
            ("two to one",                             &[(0, 2, 0.0, 0.0)], 1),
            ("none ready counts as one",               &[(0, 0, 1.0, 1.0)], 1),
            ("none ready has no floor",                &[(0, 0, 0.0, 0.0)], 0),
            ("a thousandfold at most",                 &[(0, 1, 5000.0, 1.0)], 1000),
            ("a thousandfold in panic, too",           &[(0, 1, 1.0, 5000.0)], 1000),
            ("just under twice is no panic",           &[(0, 4, 4.0, 7.0)], 4),
            ("twice is panic",                         &[(0, 4, 4.0, 8.0)], 8),
            ("rounded up to twice is panic",           &[(0, 4, 4.0, 7.1)], 8),
            ("one ready panics at two",                &[(0, 1, 1.0, 1.1)], 2),
            ("none ready panics at two",               &[(0, 0, 0.5, 1.5)], 2),
            ("panic takes the larger window",          &[(0, 2, 9.0, 4.0)], 9),
            ("panic never falls",                      &[(0, 2, 2.0, 8.0), (2, 2, 3.0, 5.0)], 8),
            ("panic rises further",                    &[(0, 2, 2.0, 8.0), (2, 2, 3.0, 12.0)], 12),
            ("panic stays once pods are ready",        &[(0, 2, 2.0, 8.0), (30, 8, 3.0, 3.0)], 8),
            ("panic stays for 60 s to the second",     &[(0, 2, 2.0, 8.0), (60, 8, 5.0, 5.0)], 8),
            ("panic ends after 60 s",                  &[(0, 2, 2.0, 8.0), (62, 8, 5.0, 5.0)], 5),
            ("each crossing begins the 60 s anew",     &[(0, 2, 2.0, 8.0), (40, 2, 2.0, 4.0), (62, 8, 5.0, 5.0)], 8),
            ("and ends 60 s after the last",           &[(0, 2, 2.0, 8.0), (40, 2, 2.0, 4.0), (102, 8, 5.0, 5.0)], 5),
            ("starting pods are not seen: still over", &[(0, 2, 2.0, 4.0), (62, 2, 4.0, 4.0)], 4),
            ("a new panic forgets the old largest",    &[(0, 2, 2.0, 20.0), (62, 20, 4.0, 4.0), (64, 2, 2.0, 6.0)], 6),
        ];
        for (name, ticks, expected) in cases {
            let mut mode = Mode::default();
            let count = ticks.iter().fold(0, |_, &(s, ready, stable, panic)| {
                let now = Timestamp::from_ms(s * 1_000);
                mode.count(&Settings::default(), now, ready, stable, panic)
            });
            assert_eq!(count, expected, "{name}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn averages_are_those_worked_out_by_hand() {
        let cases: [Averaged; 12] = [
            ("nothing reported at all",          &[(-1, 10)], 60, None),
            ("one report",                       &[(6, 1)], 60, Some(6.0)),
            ("a young window covers what is",    &[(6, 10), (12, 10)], 60, Some(9.0)),
            ("a full window",                    &[(6, 60)], 60, Some(6.0)),
            ("older than the window is gone",    &[(600, 60), (6, 60)], 60, Some(6.0)),
            ("half of it old",                   &[(0, 30), (8, 30)], 60, Some(4.0)),
            ("the panic window sees the new",    &[(0, 54), (8, 6)], 6, Some(8.0)),
            ("the stable one a tenth of it",     &[(0, 54), (10, 6)], 60, Some(1.0)),
            ("panic, half way in",               &[(2, 57), (8, 3)], 6, Some(5.0)),
            ("a gap counts 0",                   &[(6, 3), (-1, 3)], 6, Some(3.0)),
            ("a window all gaps is 0",           &[(6, 30), (-1, 6)], 6, Some(0.0)),
            ("zero is a report",                 &[(0, 5)], 6, Some(0.0)),
        ];
        for (name, runs, window_s, expected) in cases {
            let mut average = Average::over_at_most(60);
            let reports = runs.iter().flat_map(|&(value, s)| (0..s).map(move |_| value));
            for (second, value) in (1_u64..).zip(reports) {
                let value = (value >= 0).then(|| f64::from(value));
                average.see(Timestamp::from_ms(second * 1_000), value);
            }
            assert_eq!(average.over(window_s), expected, "{name}");
        }
    }

    #[test]
    fn a_look_after_ten_seconds_stands_for_ten_seconds() {
        let mut average = Average::over_at_most(60);
        for (second, requests) in [(10, 0.0), (20, 4.0), (30, 8.0)] {
            average.see(Timestamp::from_ms(second * 1_000), Some(requests));
        }
        assert_eq!(average.over(6), Some(8.0));
        assert_eq!(average.over(20), Some(6.0));
    }
}
