//! How the horizontal pod autoscaler follows its own recommendations: windows and rates. Windows
//! can only keep the count, rates only shorten a change; neither turns its direction.

use flyball_core::units::{Timestamp, replicas_for};

use super::super::scrape::Recent;

/// A surplus must not have been needed for 300 s
/// (`--horizontal-pod-autoscaler-downscale-stabilization`).
pub const DOWN_WINDOW_MS: u64 = 300_000;
/// Without a `behavior`, the count may double or reach 4 at each sync, whichever is more.
const UP_FACTOR: u32 = 2;
const UP_MINIMUM: u32 = 4;

/// A `behavior` as written in the API; the default is what it means where it is left empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Behavior {
    /// Scale-up takes the smallest count of this time.
    pub up_window_ms: u64,
    /// Scale-down takes the largest count of this time.
    pub down_window_ms: u64,
    /// So many may be added within a period ...
    pub up_pods: u32,
    /// ... or this share of the count at its beginning, whichever is more.
    pub up_share: f64,
    /// This share of the count at the period's beginning may be removed within it.
    pub down_share: f64,
    /// The period.
    pub period_ms: u64,
}

impl Default for Behavior {
    fn default() -> Self {
        Self {
            up_window_ms: 0,
            down_window_ms: DOWN_WINDOW_MS,
            up_pods: 4,
            up_share: 1.0,
            down_share: 1.0,
            period_ms: 15_000,
        }
    }
}

/// How a recommendation is followed, with its memory.
#[derive(Clone, Debug)]
pub struct Pace {
    rules: Rules,
    recent: Recent<u32>,
    added: Recent<u32>,
    removed: Recent<u32>,
}

/// Whether there is a `behavior`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rules {
    /// There is none: the largest count of a window, at most doubled at a sync.
    Plain {
        /// The window.
        down_window_ms: u64,
    },
    /// There is one.
    Behavior(Behavior),
}

impl Rules {
    /// Scale-down takes the largest count of this time.
    pub fn down_window_ms(self) -> u64 {
        match self {
            Self::Plain { down_window_ms } => down_window_ms,
            Self::Behavior(behavior) => behavior.down_window_ms,
        }
    }
}

impl Pace {
    /// By `rules`, and nothing recommended yet.
    pub fn new(rules: Rules) -> Self {
        let (recent, added, removed) = Default::default();
        Self { rules, recent, added, removed }
    }

    /// The count at `now`, where there are `current` and `wanted` is recommended. At the first
    /// call the current count counts as recommended.
    pub fn follow(&mut self, now: Timestamp, current: u32, wanted: u32) -> u32 {
        let count = match self.rules {
            Rules::Plain { down_window_ms } => {
                let counts = self.remember(now, current, wanted, down_window_ms);
                let most = counts.recent.all().max().unwrap_or(wanted);
                most.min((current.saturating_mul(UP_FACTOR)).max(UP_MINIMUM))
            }
            Rules::Behavior(behavior) => self.behave(now, current, wanted, behavior),
        };
        let up = count.saturating_sub(current);
        let down = current.saturating_sub(count);
        let period_ms = self.period_ms();
        for (events, change) in [(&mut self.added, up), (&mut self.removed, down)] {
            if change > 0 {
                events.push(now, change, period_ms);
            }
        }
        count
    }

    fn period_ms(&self) -> u64 {
        match self.rules {
            Rules::Plain { .. } => 0,
            Rules::Behavior(behavior) => behavior.period_ms,
        }
    }

    fn remember(&mut self, now: Timestamp, current: u32, wanted: u32, window_ms: u64) -> &Self {
        if self.recent.is_empty() {
            self.recent.push(now, current, window_ms);
        }
        self.recent.push(now, wanted, window_ms);
        self
    }

    fn behave(&mut self, now: Timestamp, current: u32, wanted: u32, rules: Behavior) -> u32 {
        let window_ms = rules.up_window_ms.max(rules.down_window_ms);
        self.remember(now, current, wanted, window_ms);
        let least =
            self.recent.younger(now, rules.up_window_ms).min().unwrap_or(wanted).min(wanted);
        let most =
            self.recent.younger(now, rules.down_window_ms).max().unwrap_or(wanted).max(wanted);
        let cautious = if current < least { least } else { current.min(most) };
        let recent = |events: &Recent<u32>| events.younger(now, rules.period_ms).sum::<u32>();
        if cautious > current {
            let start = current.saturating_sub(recent(&self.added));
            let by_share = replicas_for(f64::from(start) * (1.0 + rules.up_share));
            let limit = start.saturating_add(rules.up_pods).max(by_share).max(current);
            cautious.min(limit)
        } else {
            let start = current.saturating_add(recent(&self.removed));
            let kept = f64::from(start) * (1.0 - rules.down_share);
            let limit = replicas_for(kept.floor()).min(current);
            cautious.max(limit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<u32> {
        text.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }

    fn plain(down_window_ms: u64) -> Pace {
        Pace::new(Rules::Plain { down_window_ms })
    }

    fn behavior(behavior: Behavior) -> Pace {
        Pace::new(Rules::Behavior(behavior))
    }

    const HALF: Behavior = Behavior {
        up_window_ms: 0,
        down_window_ms: 0,
        up_pods: 2,
        up_share: 0.5,
        down_share: 0.5,
        period_ms: 60_000,
    };

    #[test]
    #[rustfmt::skip]
    fn paces_are_those_worked_out_by_hand() {
        let none = Behavior { down_window_ms: 0, ..Behavior::default() };
        let late = Behavior { up_window_ms: 60_000, down_window_ms: 0, ..Behavior::default() };
        let cases: [(&str, Pace, u32, u64, &str, &str); 20] = [
            ("plain: up at once",                   plain(300_000), 4, 15, "8", "8"),
            ("plain: at most doubled",              plain(300_000), 4, 15, "20 20 20", "8 16 20"),
            ("plain: up to four",                   plain(300_000), 1, 15, "20 20", "4 8"),
            ("plain: the first count holds",        plain(300_000), 8, 60, "2 2 2 2 2 2", "8 8 8 8 8 8"),
            ("plain: and goes after its window",    plain(300_000), 8, 60, "2 2 2 2 2 2 2", "8 8 8 8 8 8 2"),
            ("plain: the largest of the window",    plain(60_000), 5, 30, "4 3 2 2 2", "5 5 5 3 2"),
            ("plain: a peak holds anew",            plain(60_000), 2, 30, "2 6 2 2 2", "2 4 6 6 2"),
            ("plain: no window, down at once",      plain(0), 8, 15, "2", "8"),
            ("plain: no window, then down",         plain(0), 8, 15, "2 2", "8 2"),
            ("plain: steady",                       plain(300_000), 3, 15, "3 3 3", "3 3 3"),
            ("default: four or double",             behavior(none), 2, 15, "20 20 20", "6 12 20"),
            ("default: one becomes five",           behavior(none), 1, 15, "20 20", "5 10"),
            ("default: within one period",          behavior(none), 8, 5, "40 40 40 40", "16 16 16 32"),
            ("default: down without limit",         behavior(none), 20, 15, "1", "1"),
            ("default: down after 300 s",           behavior(Behavior::default()), 8, 150, "2 2 2", "8 8 2"),
            ("half: up by half",                    behavior(HALF), 10, 60, "99 99", "15 23"),
            ("half: two more where half is less",   behavior(HALF), 2, 60, "99 99", "4 6"),
            ("half: once in a period",              behavior(HALF), 10, 30, "99 99 99", "15 15 23"),
            ("half: down by half in a period",      behavior(HALF), 9, 30, "1 1 1", "4 4 2"),
            ("late: up only if asked for a minute", behavior(late), 4, 30, "8 8 8", "4 4 8"),
        ];
        for (name, mut pace, start, every_s, wanted, expected) in cases {
            let mut current = start;
            let counts: Vec<u32> = (0_u64..).zip(numbers(wanted)).map(|(step, wanted)| {
                current = pace.follow(Timestamp::from_ms(step * every_s * 1000), current, wanted);
                current
            }).collect();
            assert_eq!(counts, numbers(expected), "{name}");
        }
    }
}
