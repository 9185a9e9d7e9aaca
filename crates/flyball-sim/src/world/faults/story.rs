//! What is drawn for one seed: a service, its load, and what breaks when. Most stories leave out
//! most kinds of fault, because faults that always come together hide each other. Times are
//! multiples of the interval, so that a story means the same to a fast service and to a slow one.

use std::fmt;

use flyball_core::policy::{
    Bounds, Governor, Objective, Policy, RolloutPolicy, Rule, StepRule, Surge, Target, Timing,
};

use super::super::requests::arrivals::{below, nanos, unit};
use super::super::requests::service::{Spread, Times};
use super::super::requests::{Cold, Setup};
use crate::seed::{Purpose, Seed, Stream};

/// Looks in which anything may break.
pub(super) const SAFETY_LOOKS: u32 = 110;
/// Looks after that: more than any wait that a decision states.
pub(super) const LIVENESS_LOOKS: u32 = 900;

/// A service, its load and its faults.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) policy: Policy,
    pub(super) setup: Setup,
    pub(super) interval_ms: u64,
    /// Requests per second in the steady phase.
    pub(super) steady_per_s: f64,
    /// Requests per second, one step for each look.
    pub(super) per_s: Vec<f64>,
    pub(super) faults: Vec<Fault>,
}

/// Something that is broken for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// The look at which it begins.
    pub(super) from: u32,
    /// The first look at which it is over.
    pub(super) until: u32,
}

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One replica ends.
    CrashOne,
    /// All end at once.
    CrashAll,
    /// Replicas end soon after they became ready.
    CrashLoop,
    /// Replicas end before they are ready.
    StartsFail,
    /// Replicas never become ready.
    StartsHang,
    /// Somebody else starts replicas.
    Foreign,
    /// Somebody protects some replicas.
    Protect,
    /// CPU counters begin again.
    CpuReset,
    /// Some CPU counters are missing.
    CpuMissing,
    /// The engine says nothing.
    EngineSilent,
    /// The engine repeats its last report, with its time.
    EngineStale,
    /// The engine's reports are some looks old, with their time.
    EngineLate,
    /// Half of the orders to the engine are lost.
    EngineHalf,
    /// The engine is busy with something of its own.
    EngineBusy,
    /// The balancer says nothing.
    BalancerSilent,
    /// The balancer repeats its last report, with its time.
    BalancerStale,
    /// Half of the orders to the balancer are lost.
    BalancerHalf,
    /// The balancer restarts and keeps its servers.
    BalancerReset,
    /// The balancer restarts and knows no servers.
    BalancerForgets,
    /// Flyball does not get to look for a long time.
    ClockGap,
    /// Flyball restarts, and its memory is gone.
    Restart,
    /// Somebody pins a count.
    Pin,
    /// Somebody pauses the service.
    Pause,
    /// Nobody comes.
    LoadZero,
    /// Fifty times as many come.
    LoadJump,
    /// A request is twice the work.
    WorkDoubles,
}

impl Kind {
    const ALL: [Self; 26] = [
        Self::CrashOne,
        Self::CrashAll,
        Self::CrashLoop,
        Self::StartsFail,
        Self::StartsHang,
        Self::Foreign,
        Self::Protect,
        Self::CpuReset,
        Self::CpuMissing,
        Self::EngineSilent,
        Self::EngineStale,
        Self::EngineLate,
        Self::EngineHalf,
        Self::EngineBusy,
        Self::BalancerSilent,
        Self::BalancerStale,
        Self::BalancerHalf,
        Self::BalancerReset,
        Self::BalancerForgets,
        Self::ClockGap,
        Self::Restart,
        Self::Pin,
        Self::Pause,
        Self::LoadZero,
        Self::LoadJump,
        Self::WorkDoubles,
    ];

    /// The longest that it lasts, in looks.
    fn looks_max(self) -> u64 {
        match self {
            // Fifty times the load is fifty times the time to simulate.
            Self::LoadJump => 2,
            Self::WorkDoubles | Self::LoadZero => 60,
            _ => 25,
        }
    }
}

/// Draws from the stream of faults.
struct Dice(Stream);

impl Dice {
    fn range(&mut self, from: u64, to: u64) -> u64 {
        from + below(to - from + 1, &mut self.0)
    }

    fn whether(&mut self, chance: f64) -> bool {
        unit(&mut self.0) < chance
    }

    fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * unit(&mut self.0)
    }

    fn count(&mut self, from: u64, to: u64) -> u32 {
        u32::try_from(self.range(from, to)).unwrap_or(u32::MAX)
    }
}

impl Story {
    /// The story of `seed`.
    pub(super) fn draw(seed: Seed) -> Self {
        let mut dice = Dice(seed.stream(Purpose::Faults));
        let interval_ms = [200, 500, 1_000, 2_000]
            [usize::from(dice.whether(0.5)) * 2 + usize::from(dice.whether(0.5))];
        let lag_looks = dice.range(1, 6);
        let mut policy = policy(&mut dice, interval_ms, lag_looks);
        let setup = setup(&mut dice, interval_ms, lag_looks);
        if !setup.balanced {
            // Nobody would hear the request that ends its sleep.
            policy.bounds.min = policy.bounds.min.max(1);
        }
        // Within the bounds there is a count that serves it.
        let most = f64::from(policy.bounds.max) * 0.7;
        let busy = dice.between(0.3, most.min(6.0));
        let steady_per_s = busy / (setup.work.mean_ms / 1_000.0) * f64::from(setup.workers);
        let faults = faults(&mut dice);
        let per_s = load(&mut dice, steady_per_s, &faults);
        Self { policy, setup, interval_ms, steady_per_s, per_s, faults }
    }

    /// The kinds at work at `look`, each with its time.
    pub(super) fn at_work(&self, look: u32) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(move |fault| (fault.from..fault.until).contains(&look))
    }

    /// Whether `kind` was ever at work.
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.faults.iter().any(|fault| fault.kind == kind)
    }
}

/// Windows are no shorter than the start lag: below it a rule chases its own starts, as the
/// reference says of these settings.
fn policy(dice: &mut Dice, interval_ms: u64, lag_looks: u64) -> Policy {
    let min = dice.count(0, 3);
    let bounds = Bounds { min, max: min.max(2) + dice.count(0, 14) };
    let rule = match dice.range(0, 9) {
        0 => Rule::Target(Target {
            in_window_ms: interval_ms * (3 * lag_looks + dice.range(4, 12)),
            cpu_window_ms: interval_ms * 4,
            ..Target::default()
        }),
        1 => Rule::Step(StepRule {
            out_at: 0.8,
            in_at: 0.2,
            by: dice.count(1, 3),
            cooldown_ms: interval_ms * (lag_looks + dice.range(4, 10)),
            cpu_window_ms: interval_ms * 4,
        }),
        _ => Rule::Governor(Governor {
            busy_cap: dice.between(0.6, 0.95),
            slots: dice.whether(0.5).then_some(2),
            hold_ms: Some(interval_ms * (lag_looks + dice.range(0, 8))),
            objective: lag_looks
                .is_multiple_of(2)
                .then_some(Objective { late: 0.01, within_ms: 100 }),
        }),
    };
    let timing = Timing {
        interval_ms: Some(interval_ms),
        start_lag_prior_ms: interval_ms * dice.range(1, 10),
        start_limit_ms: interval_ms * (2 * lag_looks + dice.range(5, 30)),
        drain_limit_ms: interval_ms * dice.range(2, 20),
        stale_after_ms: interval_ms * dice.range(2, 6),
        ..Timing::default()
    };
    // Drawn from what was drawn before, so that stories without a deploy stay what they were.
    let surge = Surge::Count(1 + bounds.max / 6);
    let rollout = RolloutPolicy { surge, ..RolloutPolicy::default() };
    Policy { service: "web".to_owned(), bounds, rule, timing, rollout, sleep: None }
}

fn setup(dice: &mut Dice, interval_ms: u64, lag_looks: u64) -> Setup {
    let look = nanos(interval_ms);
    let work = Times {
        mean_ms: look * dice.between(0.1, 0.5),
        spread: if dice.whether(0.5) { Spread::Same } else { Spread::Exponential },
    };
    Setup {
        work,
        workers: dice.count(1, 2),
        slots: [Some(2), None][usize::from(dice.whether(0.5))],
        waiting_max: 1_000,
        patience_ms: interval_ms * 5,
        limit_ms: interval_ms,
        start_lag: Times {
            mean_ms: look * nanos(lag_looks),
            spread: if dice.whether(0.5) { Spread::Same } else { Spread::Lognormal { cv: 0.3 } },
        },
        cold: Cold {
            factor: if dice.whether(0.3) { 2.0 } else { 1.0 },
            ms: interval_ms * 2,
            start_share: if dice.whether(0.3) { 1.0 } else { 0.0 },
        },
        imbalance_cv: if dice.whether(0.2) { 0.2 } else { 0.0 },
        stop_ms: interval_ms / 4,
        grace_ms: interval_ms * 3,
        metric_lag_ms: if dice.whether(0.2) { interval_ms } else { 0 },
        cpu_limit_cores: dice.between(0.1, 4.0),
        balanced: dice.whether(0.9),
        wakes: false,
    }
}

fn faults(dice: &mut Dice) -> Vec<Fault> {
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|_| dice.whether(0.25)).collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    let count = dice.range(1, 12);
    let mut faults: Vec<Fault> = (0..count)
        .map(|_| {
            let at = usize::try_from(dice.range(0, kinds.len() as u64 - 1)).unwrap_or(0);
            let kind = kinds[at];
            let from = dice.count(3, u64::from(SAFETY_LOOKS) - 5);
            let looks = dice.count(1, kind.looks_max());
            Fault { kind, from, until: (from + looks).min(SAFETY_LOOKS) }
        })
        .collect();
    faults.sort_by_key(|fault| (fault.from, fault.until));
    faults
}

/// Now and then another level; in the end the steady one.
fn load(dice: &mut Dice, steady_per_s: f64, faults: &[Fault]) -> Vec<f64> {
    let mut level = dice.between(0.2, 1.0);
    let mut per_s = Vec::new();
    for look in 0..SAFETY_LOOKS {
        if dice.whether(0.05) {
            level = dice.between(0.1, 1.2);
        }
        let at_work =
            |kind| faults.iter().any(|f| f.kind == kind && (f.from..f.until).contains(&look));
        let factor = match (at_work(Kind::LoadZero), at_work(Kind::LoadJump)) {
            (true, _) => 0.0,
            (false, true) => 50.0,
            (false, false) => 1.0,
        };
        per_s.push(steady_per_s * level * factor);
    }
    per_s.extend((0..LIVENESS_LOOKS).map(|_| steady_per_s));
    per_s
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.policy)?;
        writeln!(f, "{:?}", self.setup)?;
        writeln!(f, "in the end {:.2} requests/s; faults, by look:", self.steady_per_s)?;
        for Fault { kind, from, until } in &self.faults {
            writeln!(f, "  {from}..{until} {kind:?}")?;
        }
        Ok(())
    }
}
