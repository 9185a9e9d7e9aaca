//! A trace as a fluid: weeks in seconds. The contender looks at its interval, and whenever a start
//! or a drain has ended. Every decision is checked against the core's invariants before it is
//! carried out.

use flyball_core::decision::Decision;
use flyball_core::policy::{Policy, Rule};

use super::notes::Notes;
use super::{
    Outcome, RunError, Settings, broken, check, foresight, policy, settle_interval_ms, settle_ms,
};
use crate::contender::{Contender, Name};
use crate::rival::StepLoad;
use crate::seed::Seed;
use crate::trace::Trace;
use crate::world::fluid::Fluid;

/// Looks at one moment, at most: a start without lag takes a second look to route.
const LOOKS_AT_ONCE_MAX: u32 = 4;

/// Runs the policy called `name` over `trace`, requests as a fluid.
///
/// # Errors
///
/// A setting that makes no sense, or a decision that broke an invariant.
pub fn fluid(name: &Name, trace: &Trace, settings: &Settings) -> Result<Outcome, RunError> {
    check(trace, settings)?;
    let demand = trace.demand(settings.physics.replica_capacity);
    let ahead = foresight(&demand, trace.step_ms, settings);
    fluid_of(name.contender(&policy(settings), ahead), trace, &demand, settings)
}

/// Runs `rule` of the core over `trace`, as [`fluid`] runs what has a name.
///
/// # Errors
///
/// As [`fluid`].
pub fn fluid_by_rule(
    name: &str,
    rule: Rule,
    trace: &Trace,
    settings: &Settings,
) -> Result<Outcome, RunError> {
    check(trace, settings)?;
    let demand = trace.demand(settings.physics.replica_capacity);
    let contender = Contender::own(name, Policy { rule, ..policy(settings) });
    fluid_of(contender, trace, &demand, settings)
}

fn fluid_of(
    contender: Contender,
    trace: &Trace,
    demand: &[u32],
    settings: &Settings,
) -> Result<Outcome, RunError> {
    let physics = settings.physics;
    let load = trace.values.first().copied().unwrap_or(0.0);
    let first = contender.settled(load, physics.replica_capacity);
    let service = contender.policy().service.clone();
    let world = Fluid::new(physics, trace, demand, &service, first, Seed(settings.seed));
    let notes = Notes::new(first, trace.duration_ms());
    let mut run = Run { contender, world, trace, settings, notes };
    run.all()?;
    Ok(run.outcome())
}

struct Run<'a> {
    contender: Contender,
    world: Fluid<'a>,
    trace: &'a Trace,
    settings: &'a Settings,
    notes: Notes,
}

impl Run<'_> {
    /// Looks until the trace and the time to settle are over.
    fn all(&mut self) -> Result<(), RunError> {
        let mut next_look_ms = 0;
        let mut looks_at_once = 0;
        let mut before_ms = None;
        let mut end_ms = self.trace.duration_ms() + settle_ms(0);
        loop {
            let now_ms = self.world.next_wake_ms().unwrap_or(u64::MAX).min(next_look_ms);
            if now_ms >= end_ms {
                self.world.pass_to(self.trace.duration_ms());
                return Ok(());
            }
            self.meter(now_ms, next_look_ms);
            self.world.pass_to(now_ms);
            looks_at_once = if before_ms == Some(now_ms) { looks_at_once + 1 } else { 0 };
            before_ms = Some(now_ms);
            if looks_at_once > LOOKS_AT_ONCE_MAX {
                continue;
            }
            let due = now_ms == next_look_ms;
            let decision = self.look(due)?;
            if due {
                let interval_ms = self.settings.interval_ms.unwrap_or(decision.next_look_ms).max(1);
                let trace_ms = self.trace.duration_ms();
                let settle_ms = settle_ms(interval_ms);
                next_look_ms = now_ms
                    + match now_ms.checked_sub(trace_ms) {
                        Some(since_ms) => settle_interval_ms(since_ms, interval_ms, settle_ms),
                        None => interval_ms,
                    };
                end_ms = trace_ms + settle_ms;
            }
        }
    }

    /// Meters that lag are read so long before the look that it sees them.
    fn meter(&mut self, now_ms: u64, next_look_ms: u64) {
        let lag_ms = self.settings.physics.metric_lag_ms;
        let read_ms = next_look_ms.saturating_sub(lag_ms);
        if lag_ms > 0 && read_ms > self.world.now_ms() && read_ms < now_ms {
            self.world.pass_to(read_ms);
            self.world.read_meters();
        }
    }

    fn look(&mut self, due: bool) -> Result<Decision, RunError> {
        let on_grid = due && self.settings.interval_ms == Some(self.trace.step_ms);
        let at = self.world.now();
        let at_ms = self.world.now_ms();
        let load = self.world.last_load().filter(|_| on_grid);
        let capacity = self.settings.physics.replica_capacity;
        let seen = self.world.look();
        let decision = match load {
            Some(load) => self.contender.decide_on_grid(seen, StepLoad { at, load, capacity }),
            None => self.contender.decide(seen),
        };
        if let Some(broke) = self.contender.broken(seen, &decision) {
            return Err(broken(&self.contender, self.trace, self.settings, at_ms, broke, decision));
        }
        for step in &decision.plan {
            self.world.carry_out(step);
        }
        self.notes.note(at_ms, &decision, self.world.ledger());
        Ok(decision)
    }

    fn outcome(self) -> Outcome {
        let (ledger, supply) = self.world.into_records();
        let score = ledger.score(self.settings.physics.replica_capacity);
        Outcome::new(&self.contender, self.trace, self.settings, self.notes, score, supply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Unit;
    use crate::world::Physics;

    #[test]
    fn meters_that_lag_by_thousands_of_looks_are_seen_all_the_same() {
        let values = [10.0, 10.0, 40.0, 40.0, 40.0].repeat(2).into();
        let (name, unit) = ("t".to_owned(), Unit::RequestsPerSecond);
        let trace = Trace { name, unit, step_ms: 900_000, values };
        let physics =
            Physics { replica_capacity: 10.0, metric_lag_ms: 2_000_000, ..Physics::default() };
        let settings = Settings { physics, interval_ms: Some(1_000), ..Settings::default() };
        let outcome = fluid(&Name::parse("target:50").unwrap(), &trace, &settings).unwrap();
        let first = outcome.changes.first().map(|change| change.at_ms / 1_000);
        // The load rises after 1,800 s, and is seen from 2,000 s later on.
        assert!(first.is_some_and(|at_s| (3_800..3_900).contains(&at_s)), "{first:?}");
    }
}
