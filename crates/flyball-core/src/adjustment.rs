//! A guard's change of the count. The count passes from guard to guard along a chain: each change is
//! recorded as before -> after, and the next starts where the last ended.

use serde::{Deserialize, Serialize};

use crate::line::Line;
use crate::memory::Futile;
use crate::observation::Source;
use crate::signals::Signals;
use crate::sleep;
use crate::units::{Timestamp, seconds};

/// One guard's change of the count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Adjustment {
    /// The count before.
    pub before: u32,
    /// The count after.
    pub after: u32,
    /// Which guard, with the figures it went by.
    pub guard: Guard,
}

/// A check that may change or hold the count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// No replica is removed before there is a hold window of history.
    WarmUp {
        /// Until then.
        until: Timestamp,
    },
    /// A surplus is kept until it has lasted for the hold window.
    Hold {
        /// So many were still needed.
        needed: u32,
        /// When that was so for the last time.
        needed_at: Timestamp,
        /// The hold window.
        window_ms: u64,
    },
    /// Half of a surplus is removed at a time, and the next half not before `next_at`.
    HalveSurplus {
        /// The surplus.
        surplus: u32,
        /// The earliest time for the next removal.
        next_at: Timestamp,
    },
    /// What is starting is capacity already: no more is asked for until it serves and shows.
    StartingCounts {
        /// So many are starting or warming up.
        starting: u32,
    },
    /// No change so soon after the last one.
    Cooldown {
        /// Until then.
        until: Timestamp,
    },
    /// The most cautious of the counts recommended within a window.
    Window {
        /// The window.
        window_ms: u64,
    },
    /// No more than so many replicas may be added or removed within a time.
    Rate {
        /// The time.
        within_ms: u64,
    },
    /// Nothing is removed, and without the engine nothing is changed, on old or missing readings.
    Stale {
        /// Whose reading.
        source: Source,
        /// How old it is, or how long it has been missing.
        age_ms: u64,
    },
    /// Nothing is removed while errors may explain why less arrives.
    Errors {
        /// Errors in the last 10 s.
        errors: f64,
        /// Arrivals in the last 10 s.
        arrivals: f64,
        /// Until then at least.
        until: Timestamp,
    },
    /// Nothing is removed while replicas are sick, and for a hold window after: what they do says
    /// nothing about the load.
    Sick {
        /// So many are now.
        count: u32,
        /// Until then at least.
        until: Timestamp,
    },
    /// Nothing is added while more replicas have just brought nothing.
    Futile(Futile),
    /// The engine is busy with something of its own.
    Busy {
        /// With what.
        with: String,
    },
    /// Nothing used the service for long enough: it sleeps, whatever CPU or a rule says.
    Asleep {
        /// For so long nothing has.
        idle_ms: u64,
        /// It sleeps after so long.
        after_ms: u64,
    },
    /// The last replica stays until nothing has used the service for long enough.
    Awake {
        /// For so long nothing has.
        idle_ms: u64,
        /// It sleeps after so long.
        after_ms: u64,
    },
    /// Paused by a manual override.
    Pause {
        /// By whom.
        by: String,
        /// Until then.
        until: Option<Timestamp>,
    },
    /// Pinned by a manual override.
    Pin {
        /// By whom.
        by: String,
        /// Until then.
        until: Option<Timestamp>,
    },
    /// Replicas whose owner forbids removing them.
    Protected {
        /// So many.
        count: u32,
    },
    /// The service's bounds.
    Bounds {
        /// The floor.
        min: u32,
        /// The ceiling.
        max: u32,
    },
}

/// A count on its way through the guards.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) count: u32,
    /// Replicas that stay although the count does not ask for them.
    pub(crate) kept: u32,
    pub(crate) adjustments: Vec<Adjustment>,
}

impl Chain {
    pub(crate) fn new(count: u32) -> Self {
        Self { count, kept: 0, adjustments: Vec::new() }
    }

    pub(crate) fn set(&mut self, after: u32, guard: Guard) {
        if after != self.count {
            self.adjustments.push(Adjustment { before: self.count, after, guard });
            self.count = after;
        }
    }

    /// Sets the count, and records that also where it changes nothing, since it will.
    pub(crate) fn set_for_now(&mut self, after: u32, guard: Guard) {
        self.adjustments.push(Adjustment { before: self.count, after, guard });
        self.count = after;
    }

    /// Has nothing removed. What was decided before stays decided, and what there is beyond it (a
    /// container that somebody else started) stays too, but does not raise the count: one that
    /// comes and goes would raise it each time, and be replaced each time it is gone.
    pub(crate) fn keep(&mut self, signals: &Signals, guard: Guard) {
        let there = signals.committed();
        self.kept = self.kept.max(there);
        let after = self.count.max(signals.current);
        if after != self.count || there > after {
            self.set_for_now(after, guard);
        }
    }

    /// Has nothing kept that was kept so far, and sets the count to 0.
    pub(crate) fn release(&mut self, signals: &Signals, guard: Guard) {
        self.kept = 0;
        if self.count > 0 || signals.committed() > 0 {
            self.set_for_now(0, guard);
        }
    }

    /// Sets the count, overriding every guard before.
    pub(crate) fn set_by_hand(&mut self, after: u32, guard: Guard) {
        self.kept = 0;
        self.set_for_now(after, guard);
    }

    /// Raises the count to `floor`.
    pub(crate) fn at_least(&mut self, floor: u32, guard: Guard) {
        self.set(self.count.max(floor), guard);
    }
}

impl Adjustment {
    /// The guard in words, as seen at `now`.
    pub fn line(&self, now: Timestamp) -> Line {
        let left = |until: &Timestamp| format!("for {} more", span(until.ms_since(now)));
        let lasting = |until: Option<&Timestamp>| {
            until.map(|until| format!(" {}", left(until))).unwrap_or_default()
        };
        match &self.guard {
            Guard::WarmUp { until } => {
                Line::new("warm-up", format!("no removals {}: too little history", left(until)))
            }
            Guard::Hold { needed, needed_at, window_ms } => {
                let kept_s = seconds(*window_ms);
                let needed = needed_in_words(*needed, now.ms_since(*needed_at));
                Line::new("hold", format!("{needed}, kept for {kept_s:.0} s"))
            }
            Guard::HalveSurplus { surplus, next_at } => {
                let next = span(next_at.ms_since(now));
                let rule = "half of a surplus is removed at a time";
                Line::new(
                    "surplus",
                    format!("{surplus} more than needed: {rule}, the next in {next}"),
                )
            }
            Guard::StartingCounts { starting } => {
                Line::new("starting", format!("{starting} starting or warming up already count"))
            }
            Guard::Cooldown { until } => Line::new("cooldown", left(until)),
            Guard::Window { window_ms } => {
                let window_s = seconds(*window_ms);
                Line::new("window", format!("most cautious of the last {window_s:.0} s"))
            }
            Guard::Rate { within_ms } => {
                Line::new("rate", format!("limit for {:.0} s reached", seconds(*within_ms)))
            }
            Guard::Stale { source, age_ms } => {
                let age_s = seconds(*age_ms);
                Line::new("stale", format!("no reading from {source} for {age_s:.1} s"))
            }
            Guard::Errors { errors, arrivals, until } => {
                let share = format!("{errors:.0} of {arrivals:.0} requests");
                Line::new("errors", format!("{share}: no removals {}", left(until)))
            }
            Guard::Sick { count, until } => {
                let sick = sick_in_words(*count);
                Line::new("sick", format!("{sick}: no removals {}", left(until)))
            }
            Guard::Futile(futile) => {
                Line::new("futile", format!("{futile}; no additions {}", left(&futile.until)))
            }
            Guard::Busy { with } => Line::new("busy", format!("the engine is busy: {with}")),
            Guard::Asleep { idle_ms, after_ms } => {
                let (idle, after) = (sleep::span(*idle_ms), sleep::span(*after_ms));
                Line::new("sleep", format!("not used for {idle}, sleeps after {after}"))
            }
            Guard::Awake { idle_ms, after_ms } => {
                let (idle, after) = (sleep::span(*idle_ms), sleep::span(*after_ms));
                Line::new("awake", format!("used {idle} ago, sleeps after {after}"))
            }
            Guard::Pause { by, until } => {
                Line::new("paused", format!("by {by}{}", lasting(until.as_ref())))
            }
            Guard::Pin { by, until } => {
                Line::new("pinned", format!("by {by}{}", lasting(until.as_ref())))
            }
            Guard::Protected { count } => {
                Line::new("protected", format!("{count} must not be removed"))
            }
            Guard::Bounds { min, max } => {
                Line::new("bounds", format!("{min}..{max}, {} asked for", self.before))
            }
        }
    }
}

fn needed_in_words(needed: u32, ago_ms: u64) -> String {
    let ago_s = seconds(ago_ms);
    match (ago_ms, needed) {
        (0, _) => format!("{needed} with a margin"),
        (_, 1) => format!("1 was needed {ago_s:.1} s ago"),
        _ => format!("{needed} were needed {ago_s:.1} s ago"),
    }
}

fn sick_in_words(count: u32) -> String {
    match count {
        0 => "replicas failed".to_owned(),
        1 => "1 replica fails".to_owned(),
        _ => format!("{count} replicas fail"),
    }
}

/// A span as people say it: in seconds up to two minutes, in minutes up to two hours.
fn span(ms: u64) -> String {
    match ms.div_ceil(1000) {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s.div_ceil(60)),
        s => format!("{} h", s.div_ceil(3_600)),
    }
}
