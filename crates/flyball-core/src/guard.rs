//! The rules that may change or hold a count, in a fixed order. Each change is recorded as before
//! -> after, the next starts where the last ended, and the bounds come last.
//!
//! The order: the rule's own pace (hold window, cooldown, rates), then doubt (stale readings, sick
//! replicas, errors, replicas that do not help, a busy engine), then manual overrides and protected
//! replicas, then the bounds.

mod futility;
mod pace;
mod trust;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::memory::Memory;
use crate::observation::{Ask, Observation, Phase};
use crate::policy::{Policy, Rule};
use crate::recommend::{Recommendation, largest};
use crate::signals::Signals;
use crate::units::{Timestamp, seconds};

pub use crate::memory::Futile;

/// One guard's change of the count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adjustment {
    /// The count before.
    pub before: u32,
    /// The count after.
    pub after: u32,
    /// Which guard, with the figures it went by.
    pub guard: Guard,
}

/// A rule that may change or hold the count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// A source of readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What runs replicas.
    Engine,
    /// What spreads requests.
    Balancer,
    /// CPU counters of replicas.
    Cpu,
}

/// What the guards made of a count.
#[derive(Clone, Debug, PartialEq)]
pub struct Guarded {
    /// The desired number of replicas.
    pub desired: u32,
    /// How many of those that there are stay for now; never fewer than `desired`.
    pub kept: u32,
    /// Every guard that moved the count or keeps replicas, in their order.
    pub adjustments: Vec<Adjustment>,
}

/// A count on its way through the guards.
#[derive(Debug)]
struct Chain {
    count: u32,
    /// Replicas that stay although the count does not ask for them.
    kept: u32,
    adjustments: Vec<Adjustment>,
}

impl Chain {
    fn set(&mut self, after: u32, guard: Guard) {
        if after != self.count {
            self.adjustments.push(Adjustment { before: self.count, after, guard });
            self.count = after;
        }
    }

    /// Sets the count, and records that also where it changes nothing, since it will.
    fn set_for_now(&mut self, after: u32, guard: Guard) {
        self.adjustments.push(Adjustment { before: self.count, after, guard });
        self.count = after;
    }

    /// Has nothing removed. What was decided before stays decided, and what there is beyond it (a
    /// container that somebody else started) stays too, but does not raise the count: one that
    /// comes and goes would raise it each time, and be replaced each time it is gone.
    fn keep(&mut self, context: &Context<'_>, guard: Guard) {
        let there = context.signals.committed();
        self.kept = self.kept.max(there);
        let after = self.count.max(context.signals.current);
        if after != self.count || there > after {
            self.set_for_now(after, guard);
        }
    }

    /// Sets the count, overriding every guard before.
    fn set_by_hand(&mut self, after: u32, guard: Guard) {
        self.kept = 0;
        self.set_for_now(after, guard);
    }

    /// Raises the count to `floor`.
    fn at_least(&mut self, floor: u32, guard: Guard) {
        self.set(self.count.max(floor), guard);
    }
}

/// What a guard may look at.
struct Context<'a> {
    policy: &'a Policy,
    observation: &'a Observation,
    signals: &'a Signals,
    recommendations: &'a [Recommendation],
}

/// The final count, what is kept beyond it, and every guard that had a part in that.
pub fn guard(
    policy: &Policy,
    memory: &mut Memory,
    observation: &Observation,
    signals: &Signals,
    recommendations: &[Recommendation],
) -> Guarded {
    let context = Context { policy, observation, signals, recommendations };
    let count = largest(recommendations, signals.current);
    let mut chain = Chain { count, kept: 0, adjustments: Vec::new() };
    match &policy.rule {
        Rule::Governor(_) => pace::hold(&mut chain, memory, &context),
        Rule::Target(rule) => pace::target(&mut chain, memory, &context, rule),
        Rule::Step(rule) => pace::step(&mut chain, memory, &context, rule.cooldown_ms),
        Rule::Advised(rule) => pace::advised(&mut chain, memory, &context, rule),
        Rule::External => {}
    }
    pace::warm_up(&mut chain, memory, &context);
    trust::sick(&mut chain, memory, &context);
    trust::errors(&mut chain, memory, &context);
    trust::stale(&mut chain, memory, &context);
    if let Rule::Governor(_) = &policy.rule {
        futility::futility(&mut chain, memory, &context);
    }
    trust::busy(&mut chain, &context);
    manual(&mut chain, memory, &context);
    protected(&mut chain, memory, &context);
    let bounds = policy.bounds;
    chain.set(bounds.clamp(chain.count), Guard::Bounds { min: bounds.min, max: bounds.max });
    let kept = chain.kept.min(bounds.max).max(chain.count);
    Guarded { desired: chain.count, kept, adjustments: chain.adjustments }
}

fn manual(chain: &mut Chain, memory: &mut Memory, context: &Context<'_>) {
    let external = context.policy.rule == Rule::External;
    let now = context.observation.at;
    let manual = context
        .observation
        .manual
        .as_ref()
        .filter(|manual| manual.until.is_none_or(|until| until > now));
    let Some(manual) = manual else {
        memory.paused_at = None;
        return;
    };
    let (by, until) = (manual.by.clone(), manual.until);
    match manual.ask {
        Ask::Pause => {
            let paused_at = *memory.paused_at.get_or_insert(context.signals.current);
            // Whoever pauses may tell the engine another count in person.
            let engine = context.observation.engine.value();
            let told = engine.and_then(|engine| Some(engine.count.as_ref()?.wanted));
            let count = told.unwrap_or(paused_at);
            chain.set_by_hand(count, Guard::Pause { by, until });
        }
        // For an external policy the pin is the recommendation itself.
        Ask::Pin(_) if external => {}
        Ask::Pin(count) => {
            memory.paused_at = None;
            chain.set_by_hand(count, Guard::Pin { by, until });
        }
    }
}

fn protected(chain: &mut Chain, memory: &Memory, context: &Context<'_>) {
    let replicas = context.observation.engine.value().map(|engine| &engine.replicas);
    let count = replicas
        .into_iter()
        .flatten()
        .filter(|r| r.protected && matches!(r.phase, Phase::Starting | Phase::Ready))
        .filter(|r| !memory.is_overdue(context.policy, context.observation.at, r))
        .count();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    chain.at_least(count, Guard::Protected { count });
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "the engine",
            Self::Balancer => "the balancer",
            Self::Cpu => "cpu",
        })
    }
}

impl Adjustment {
    /// The guard in words, as seen at `now`.
    pub fn describe(&self, now: Timestamp) -> String {
        let left = |until: &Timestamp| format!("for {} more", span(until.ms_since(now)));
        let lasting = |until: Option<&Timestamp>| {
            until.map(|until| format!(" {}", left(until))).unwrap_or_default()
        };
        match &self.guard {
            Guard::WarmUp { until } => {
                format!("warm-up     no removals {}: too little history", left(until))
            }
            Guard::Hold { needed, needed_at, window_ms } => {
                let kept_s = seconds(*window_ms);
                match (now.ms_since(*needed_at), needed) {
                    (0, _) => format!("hold        {needed} with a margin, kept for {kept_s:.0} s"),
                    (ago_ms, 1) => format!(
                        "hold        1 was needed {:.1} s ago, kept for {kept_s:.0} s",
                        seconds(ago_ms)
                    ),
                    (ago_ms, _) => format!(
                        "hold        {needed} were needed {:.1} s ago, kept for {kept_s:.0} s",
                        seconds(ago_ms)
                    ),
                }
            }
            Guard::HalveSurplus { surplus, next_at } => {
                format!(
                    "half        of the surplus of {surplus} at a time, the next in {}",
                    span(next_at.ms_since(now))
                )
            }
            Guard::StartingCounts { starting } => {
                format!("starting    {starting} starting or warming up already count")
            }
            Guard::Cooldown { until } => format!("cooldown    {}", left(until)),
            Guard::Window { window_ms } => {
                format!("window      most cautious of the last {:.0} s", seconds(*window_ms))
            }
            Guard::Rate { within_ms } => {
                format!("rate        limit for {:.0} s reached", seconds(*within_ms))
            }
            Guard::Stale { source, age_ms } => {
                format!("stale       no reading from {source} for {:.1} s", seconds(*age_ms))
            }
            Guard::Errors { errors, arrivals, until } => format!(
                "errors      {errors:.0} of {arrivals:.0} requests: no removals {}",
                left(until)
            ),
            Guard::Sick { count, until } => {
                format!("sick        {}: no removals {}", sick_in_words(*count), left(until))
            }
            Guard::Futile(futile) => {
                format!("futile      {futile}; no additions {}", left(&futile.until))
            }
            Guard::Busy { with } => format!("busy        the engine is busy: {with}"),
            Guard::Pause { by, until } => format!("paused      by {by}{}", lasting(until.as_ref())),
            Guard::Pin { by, until } => format!("pinned      by {by}{}", lasting(until.as_ref())),
            Guard::Protected { count } => format!("protected   {count} must not be removed"),
            Guard::Bounds { min, max } => {
                format!("bounds      {min}..{max}, {} asked for", self.before)
            }
        }
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
