//! How a count is recommended. Each rule has a file: its settings, its recommendations with the terms
//! that give the count again, its pace and windows, and what is drawn of it. The enums and matches
//! here join them.

mod advised;
mod external;
mod governor;
mod step;
mod target;

use serde::{Deserialize, Serialize};

use crate::adjustment::Chain;
use crate::bounds::Bounds;
use crate::line::Line;
use crate::memory::Memory;
use crate::observation::Observation;
use crate::signals::Signals;
use crate::timing::{Timing, Windows};
use crate::units::replicas_for;

pub use advised::{AdviceState, AdviceTerms, Advised};
pub use governor::{BUSY_CAP, Backlog, CpuTerms, Governor, Objective, PileUp, Utilization};
pub use step::{StepRule, Threshold};
pub use target::{Ratio, Target};

/// How a count is recommended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Demand at the balancer times measured work per request; the default.
    Governor(Governor),
    /// A mean CPU to keep, by the arithmetic of Kubernetes' horizontal pod autoscaler.
    Target(Target),
    /// One more above a threshold, one less below another: the 2014 sketch's rule.
    Step(StepRule),
    /// One more or one fewer while another program says so.
    Advised(Advised),
    /// Only a person or another program changes the count.
    External,
}

/// What rules and guards may look at.
pub(crate) struct Context<'a> {
    pub(crate) bounds: Bounds,
    pub(crate) timing: &'a Timing,
    pub(crate) windows: Windows,
    pub(crate) observation: &'a Observation,
    pub(crate) signals: &'a Signals,
}

/// A line in the chart of mean CPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuLine {
    /// What it means, in a few words.
    pub label: &'static str,
    /// Its height as a share of the CPU limit, in 0..1.
    pub share: f64,
}

impl CpuLine {
    fn new(label: &'static str, share: f64) -> Self {
        Self { label, share }
    }
}

/// Where a rule scales, as closely as two levels of mean CPU can express: for programs that watch it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Triggers {
    /// The share of the CPU limit that calls for more replicas.
    pub out_at: f64,
    /// The share that calls for fewer.
    pub in_at: f64,
    /// The shortest time that the mean is taken over; 0 where any will do.
    pub window_ms: u64,
}

impl Rule {
    /// All signals' recommendations, in a fixed order; empty when no signal can be read.
    pub(crate) fn recommend(&self, memory: &Memory, context: &Context<'_>) -> Vec<Recommendation> {
        let woken = || woken(context.signals);
        match self {
            Self::Governor(rule) => rule.recommend(memory, context),
            Self::Target(rule) => {
                rule.recommend(memory, context).or_else(woken).into_iter().collect()
            }
            Self::Step(rule) => {
                rule.recommend(context.signals).or_else(woken).into_iter().collect()
            }
            Self::Advised(rule) => {
                std::iter::once(rule.recommend(context)).chain(woken()).collect()
            }
            Self::External => vec![external::recommend(context)],
        }
    }

    /// How soon the count follows; never removes more than was recommended.
    pub(crate) fn pace(
        &self,
        chain: &mut Chain,
        memory: &mut Memory,
        context: &Context<'_>,
        recommendations: &[Recommendation],
    ) {
        match self {
            Self::Governor(_) => governor::hold(chain, memory, context, recommendations),
            Self::Target(rule) => rule.pace(chain, memory, context, !recommendations.is_empty()),
            Self::Step(rule) => step::pace(chain, memory, context, rule.cooldown_ms),
            Self::Advised(rule) => rule.pace(chain, memory, context),
            Self::External => {}
        }
    }

    /// Learns from what came of earlier decisions.
    pub(crate) fn learn(&self, memory: &mut Memory, context: &Context<'_>) {
        match self {
            Self::Governor(Governor { objective: Some(objective), .. }) => {
                governor::learn(*objective, memory, context);
            }
            Self::Governor(_) => {}
            Self::Target(_) | Self::Step(_) | Self::Advised(_) | Self::External => {}
        }
    }

    /// The history without which nothing is removed.
    pub(crate) fn warm_up_ms(&self, memory: &Memory, context: &Context<'_>) -> u64 {
        match self {
            Self::Governor(_) => governor::hold_window_ms(memory, context),
            Self::Target(rule) => rule.in_window_ms,
            Self::Step(rule) => rule.cooldown_ms,
            Self::Advised(rule) => rule.cooldown_ms,
            Self::External => 0,
        }
    }

    /// Whether a replica without a CPU reading casts doubt on its recommendation. (The target rule
    /// has its own way with gaps.)
    pub(crate) fn trusts_cpu(&self, signals: &Signals) -> bool {
        match self {
            Self::Governor(_) => signals.work_s.is_none(),
            Self::Step(_) | Self::Advised(_) => true,
            Self::Target(_) | Self::External => false,
        }
    }

    /// Whether it is asked for more replicas while requests wait, so that more may be futile.
    pub(crate) fn sees_futility(&self) -> bool {
        matches!(self, Self::Governor(_))
    }

    /// How long a surplus must last, where it is set; see [`Windows::new`].
    pub fn hold_ms(&self) -> Option<u64> {
        match self {
            Self::Governor(rule) => rule.hold_ms,
            Self::Target(_) | Self::Step(_) | Self::Advised(_) | Self::External => None,
        }
    }

    /// The time over which a replica's CPU is averaged, where it is set; see [`Windows::new`].
    pub fn cpu_window_ms(&self) -> Option<u64> {
        match self {
            Self::Target(rule) => Some(rule.cpu_window_ms),
            Self::Step(rule) => Some(rule.cpu_window_ms),
            Self::Advised(rule) => Some(rule.cpu_window_ms),
            Self::Governor(_) | Self::External => None,
        }
    }

    /// How many requests may be late, where that affects the count.
    pub fn objective(&self) -> Option<Objective> {
        match self {
            Self::Governor(rule) => rule.objective,
            Self::Target(_) | Self::Step(_) | Self::Advised(_) | Self::External => None,
        }
    }

    /// How busy replicas are at most where the count follows demand and not CPU.
    pub fn busy_cap(&self) -> Option<f64> {
        match self {
            Self::Governor(rule) => Some(rule.busy_cap),
            Self::Target(_) | Self::Step(_) | Self::Advised(_) | Self::External => None,
        }
    }

    /// How busy replicas are under a steady load, where the rule decides that.
    pub fn settled_share(&self) -> Option<f64> {
        match self {
            Self::Governor(rule) => Some(rule.busy_cap),
            Self::Target(rule) => Some(rule.cpu),
            Self::Step(rule) => Some(f64::midpoint(rule.out_at, rule.in_at)),
            Self::Advised(_) | Self::External => None,
        }
    }

    /// What to draw into the chart of mean CPU.
    pub fn cpu_lines(&self) -> Vec<CpuLine> {
        match self {
            Self::Governor(rule) => rule.cpu_lines(),
            Self::Target(rule) => rule.cpu_lines(),
            Self::Step(rule) => rule.cpu_lines(),
            Self::Advised(rule) => rule.cpu_lines(),
            Self::External => Vec::new(),
        }
    }

    /// Where it scales, for programs that watch it.
    pub fn triggers(&self) -> Triggers {
        match self {
            Self::Governor(rule) => rule.triggers(),
            Self::Target(rule) => rule.triggers(),
            Self::Step(rule) => rule.triggers(),
            Self::Advised(rule) => rule.triggers(),
            Self::External => external::TRIGGERS,
        }
    }

    /// Whether only manual overrides change the count.
    pub fn is_external(&self) -> bool {
        matches!(self, Self::External)
    }

    /// Whether it follows the advice of another program.
    pub fn is_advised(&self) -> bool {
        matches!(self, Self::Advised(_))
    }

    /// Has advice that is averaged over `window_ms` over there be waited for as long here.
    pub fn follow_window(&mut self, window_ms: u64) {
        if let Self::Advised(rule) = self {
            rule.cpu_window_ms = rule.cpu_window_ms.max(window_ms);
        }
    }
}

/// One signal's recommendation for a count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Recommendation {
    /// The count.
    pub count: u32,
    /// How it comes about.
    pub arithmetic: Arithmetic,
}

/// The terms of one recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Arithmetic {
    /// Enough replicas that none is busier than the cap.
    Utilization(Utilization),
    /// Enough replicas to work off what waits.
    Backlog(Backlog),
    /// Enough replicas that mean CPU falls to a share: used while the work per request is unknown,
    /// or where there is no balancer.
    Cpu(CpuTerms),
    /// Requests pile up in replicas whose work is not known yet: half as many again.
    PileUp(PileUp),
    /// Somebody waits: at least one replica.
    Waiting {
        /// Requests waiting.
        waiting: u32,
    },
    /// The target rule's ratio.
    Ratio(Ratio),
    /// The step rule's comparison.
    Threshold(Threshold),
    /// What another program said.
    Advised(AdviceTerms),
    /// What was asked for from outside.
    Asked {
        /// The count.
        count: u32,
        /// Who asked.
        by: String,
    },
}

impl Arithmetic {
    /// The count that the terms give.
    pub fn count(&self) -> u32 {
        self.count_with(1.0)
    }

    /// The count for `slack` times the demand: what is still needed before a surplus is a surplus.
    fn count_with(&self, slack: f64) -> u32 {
        match self {
            Self::Utilization(terms) => replicas_for(terms.demand(slack)),
            Self::Backlog(terms) => replicas_for(terms.demand()),
            Self::Cpu(terms) => replicas_for(terms.demand(slack)),
            Self::PileUp(terms) => terms.count(),
            Self::Waiting { waiting } => (*waiting).min(1),
            Self::Ratio(terms) => terms.count(),
            Self::Threshold(terms) => terms.count(),
            Self::Advised(terms) => terms.count(),
            Self::Asked { count, .. } => *count,
        }
    }

    /// The recommendation that follows.
    fn recommend(self) -> Recommendation {
        Recommendation { count: self.count(), arithmetic: self }
    }

    fn line(&self) -> Line {
        match self {
            Self::Utilization(terms) => terms.line(),
            Self::Backlog(terms) => terms.line(),
            Self::Cpu(terms) => terms.line(),
            Self::PileUp(terms) => terms.line(),
            Self::Waiting { waiting } => Line::new("waiting", format!("{waiting}: at least one")),
            Self::Ratio(terms) => terms.line(),
            Self::Threshold(terms) => terms.line(),
            Self::Advised(terms) => terms.line(),
            Self::Asked { count, by } => Line::new("asked", format!("{count} by {by}")),
        }
    }
}

impl Recommendation {
    /// What its objective has come to, where it has one.
    pub(crate) fn objective_line(&self) -> Option<Line> {
        match &self.arithmetic {
            Arithmetic::Utilization(terms) => terms.objective.map(|objective| objective.line()),
            _ => None,
        }
    }

    /// The arithmetic in words, with the count that it gives.
    pub fn line(&self) -> Line {
        let mut line = self.arithmetic.line();
        line.text += &format!(" -> {}", self.count);
        line
    }
}

/// The largest recommendation; the `current` count where there is none.
pub(crate) fn largest(recommendations: &[Recommendation], current: u32) -> u32 {
    recommendations.iter().map(|r| r.count).max().unwrap_or(current)
}

/// Rules that use CPU see nothing while nothing runs: waiting requests are the signal then.
fn woken(signals: &Signals) -> Option<Recommendation> {
    let waiting = signals.waiting;
    let asleep = waiting > 0 && signals.committed() == 0;
    asleep.then(|| Arithmetic::Waiting { waiting }.recommend())
}
