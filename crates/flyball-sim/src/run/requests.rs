//! A trace, request by request. Demand and supply are compared by the minute, since below that
//! counts of requests are noise. Whether a count comes to rest is judged after the trace, under its
//! last load in equal gaps, which enters no other figure.

use flyball_core::decision::Decision;
use flyball_core::units::seconds;

use super::notes::Notes;
use super::{
    Outcome, RunError, Settings, broken, check, foresight, impossible, policy, settle_interval_ms,
    settle_ms,
};
use crate::contender::{Contender, Name};
use crate::score::{Score, ScoreSpan, ScoreTotals};
use crate::seed::Seed;
use crate::trace::{Trace, Unit};
use crate::world::fluid::Supply;
use crate::world::requests::arrivals::{Arrivals, MS, nanos};
use crate::world::requests::run::{Refused, drive, drive_paced, work_off};
use crate::world::requests::service::{Spread, Times};
use crate::world::requests::{Setup, World};
use crate::world::{ORIGIN, Overload};

/// More requests than this that wait at once are refused: 30 s of 30,000/s, in 16 MB.
pub const WAITING_MAX: usize = 1_000_000;
/// More requests than this are not followed: a day or two at a million in a second.
const REQUESTS_MAX: f64 = 1e11;
/// More requests than this are not worked on at once: they take 128 MB.
const AT_ONCE_MAX: f64 = 4e6;
/// Work on one request takes no longer than this on average: a day.
const WORK_MAX_MS: f64 = 86_400_000.0;

/// What requests are like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Requests {
    /// How the work of requests spreads around its mean.
    pub work: Spread,
    /// CPU time of one request, in seconds, where the trace is in cores; above 0.
    pub core_s: f64,
}

impl Requests {
    /// Requests per second that are `load` in the unit of the trace.
    fn per_s(&self, load: f64, unit: Unit) -> f64 {
        match unit {
            Unit::RequestsPerSecond => load,
            Unit::Cores => load / self.core_s,
        }
    }

    /// Whether following so many requests, each that long, comes to an end within the memory there
    /// is.
    fn check(&self, trace: &Trace, settings: &Settings) -> Result<(), RunError> {
        let good = self.core_s.is_finite() && self.core_s > 0.0;
        if !good && trace.unit == Unit::Cores {
            let what = format!("a request cannot take {} s of CPU", self.core_s);
            return impossible(what, "a time above 0");
        }
        let work_ms = self.work_ms(trace, settings);
        if work_ms > WORK_MAX_MS {
            return impossible(
                format!("a request of {work_ms:.3e} ms is longer than a day"),
                "what one replica serves must be in the trace's unit",
            );
        }
        let settle_s = seconds(settle_ms(settings.interval_ms.unwrap_or(0)));
        let last = trace.values.last().copied().unwrap_or(0.0) * settle_s;
        let count = trace.values.iter().sum::<f64>() * seconds(trace.step_ms) + last;
        let count = self.per_s(count, trace.unit);
        if count > REQUESTS_MAX {
            return impossible(
                format!("{count:.1e} requests, with the time to settle, are too many to follow"),
                "take --mode fluid, or divide the load and --replica-capacity by one number",
            );
        }
        let busy = trace.values.iter().copied().fold(0.0, f64::max)
            / settings.physics.replica_capacity
            * f64::from(settings.physics.slots);
        if busy > AT_ONCE_MAX {
            return impossible(
                format!("{busy:.1e} requests would be worked on at once, over {AT_ONCE_MAX:.0e}"),
                "take --mode fluid, fewer --slots, or divide the load",
            );
        }
        Ok(())
    }

    /// Time that a replica takes for one request, in milliseconds, on average.
    pub fn work_ms(&self, trace: &Trace, settings: &Settings) -> f64 {
        let physics = settings.physics;
        f64::from(physics.slots) * 1000.0 / self.per_s(physics.replica_capacity, trace.unit)
    }
}

/// Runs the policy called `name` over `trace`, request by request. `passed` is told the
/// milliseconds of the trace that have passed since it was last told.
///
/// A trace in steps of a second holds counts, which are placed within their second; coarser ones
/// are rates.
///
/// # Errors
///
/// As [`super::fluid`].
pub fn requests(
    name: &Name,
    trace: &Trace,
    settings: &Settings,
    requests: &Requests,
    passed: &dyn Fn(u64),
) -> Result<Outcome, RunError> {
    check(trace, settings)?;
    requests.check(trace, settings)?;
    let physics = settings.physics;
    let seed = Seed(settings.seed);
    let minutes = trace.by_minute();
    let demand = minutes.demand(physics.replica_capacity);
    let ahead = foresight(&demand, minutes.step_ms, settings);
    let contender = name.contender(&policy(settings), ahead);
    let first = contender.settled(minutes.values[0], physics.replica_capacity);
    let arrivals = Arrivals::of_trace(trace, 1.0, requests.core_s, seed);
    let setup = setup(requests.work_ms(trace, settings), requests, settings);
    let mut run = Run {
        world: World::running(setup, arrivals, seed, &contender.policy().service, first),
        contender,
        trace,
        settings,
        book: Book::new(minutes.step_ms, &demand, trace.duration_ms(), first),
    };
    let last_per_s = requests.per_s(minutes.values[minutes.values.len() - 1], trace.unit);
    run.all_of_it(passed)?;
    run.come_to_rest(last_per_s)?;
    run.outcome(requests.per_s(physics.replica_capacity, trace.unit))
}

fn setup(work_ms: f64, requests: &Requests, settings: &Settings) -> Setup {
    let physics = settings.physics;
    let (waiting_max, patience_ms) = match physics.overload {
        Overload::Lost => (0, 0),
        Overload::Waits { patience_s } if whole_ms(patience_s) > 0 => {
            (WAITING_MAX, whole_ms(patience_s))
        }
        // To the world, patience of 0 is without end.
        Overload::Waits { .. } => (0, 0),
    };
    Setup {
        work: Times { mean_ms: work_ms, spread: requests.work },
        workers: physics.slots,
        slots: Some(physics.slots),
        waiting_max,
        patience_ms,
        limit_ms: physics.wait_limit_ms,
        start_lag: physics.start_lags(),
        metric_lag_ms: physics.metric_lag_ms,
        // As live: who asked for an interval wants to know what comes of that alone.
        wakes: settings.interval_ms.is_none(),
        ..Setup::default()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time of at least 0; the cast saturates"
)]
fn whole_ms(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

/// Time since the trace began.
fn since_ns(world: &World) -> u64 {
    world.now_ns() - ORIGIN.as_ms() * MS
}

struct Run<'a> {
    contender: Contender,
    world: World,
    trace: &'a Trace,
    settings: &'a Settings,
    book: Book<'a>,
}

impl Run<'_> {
    /// Looks until the trace is over.
    fn all_of_it(&mut self, passed: &dyn Fn(u64)) -> Result<(), RunError> {
        let book = &mut self.book;
        let end_ns = self.world.end_ns();
        let driven = drive(&mut self.contender, &mut self.world, end_ns, |world, decision| {
            let before_ns = book.now_ns;
            book.look(world, decision);
            passed(book.now_ns / MS - before_ns / MS);
        });
        driven.map_err(|refused| self.broken(&self.world, *refused))
    }

    /// Lets `per_s` requests go on to arrive, to see whether the count comes to rest: in another
    /// world, so that this one can be summed up.
    fn come_to_rest(&mut self, per_s: f64) -> Result<(), RunError> {
        let mut contender = self.contender.clone();
        let mut world = self.world.clone();
        let settle_ms = settle_ms(self.settings.interval_ms.unwrap_or(0));
        world.go_on_evenly(per_s, settle_ms);
        let book = &mut self.book;
        let begin_ns = world.now_ns();
        let end_ns = world.end_ns();
        let pace = |now_ns: u64, interval_ms| {
            settle_interval_ms((now_ns - begin_ns) / MS, interval_ms, settle_ms)
        };
        let watch = |world: &World, decision: &Decision| {
            book.notes.note(since_ns(world) / MS, decision, &mut book.ledger);
        };
        let driven = drive_paced(&mut contender, &mut world, end_ns, pace, watch);
        driven.map_err(|refused| self.broken(&world, *refused))
    }

    /// What waits when the trace is over is worked off: it arrived, so it counts.
    fn outcome(mut self, capacity_per_s: f64) -> Result<Outcome, RunError> {
        let worked_off = work_off(&mut self.contender, &mut self.world, |_, _| ());
        worked_off.map_err(|refused| self.broken(&self.world, *refused))?;
        let Self { contender, world, trace, settings, mut book } = self;
        let rest = book.counts(&world);
        book.ledger.add(&rest);
        let turned_away = world.turned_away();
        let sum = world.sum_up();
        let score = Score {
            p50_ms: sum.p50_ms,
            p99_ms: sum.p99_ms,
            worst_p99_ms: sum.worst_p99_ms,
            longest_wait_s: sum.longest_wait_s,
            ..book.ledger.score(capacity_per_s)
        };
        let outcome = Outcome::new(&contender, trace, settings, book.notes, score, book.supply);
        Ok(Outcome { turned_away, ..outcome })
    }

    fn broken(&self, world: &World, refused: Refused) -> RunError {
        let Refused { broken: what, decision } = refused;
        broken(&self.contender, self.trace, self.settings, since_ns(world) / MS, what, decision)
    }
}

/// What happened from look to look.
struct Book<'a> {
    step_ns: u64,
    demand: &'a [u32],
    notes: Notes,
    ledger: ScoreTotals,
    supply: Vec<Supply>,
    /// The last look, since the trace began.
    now_ns: u64,
    /// As the last look left it: nothing but an order changes it.
    serving: u32,
    paid_ns: u64,
    /// Arrived, served, unserved, late; as of the last look.
    counted: [u64; 4],
}

impl<'a> Book<'a> {
    fn new(step_ms: u64, demand: &'a [u32], end_ms: u64, serving: u32) -> Self {
        Self {
            step_ns: step_ms * MS,
            demand,
            notes: Notes::new(serving, end_ms),
            ledger: ScoreTotals::default(),
            supply: Vec::with_capacity(demand.len()),
            now_ns: 0,
            serving,
            paid_ns: 0,
            counted: [0; 4],
        }
    }

    /// Takes in what happened since the last look, and this one.
    fn look(&mut self, world: &World, decision: &Decision) {
        let now_ns = since_ns(world);
        let paid_s = nanos(world.replica_ns() - self.paid_ns) / 1e9;
        self.paid_ns = world.replica_ns();
        let mut piece = ScoreSpan { paid_s, ..self.counts(world) };
        while self.now_ns < now_ns {
            self.pass_to(now_ns, world.paid(), std::mem::take(&mut piece));
        }
        // Nothing is left of it but where no time has passed.
        self.ledger.add(&piece);
        self.serving = world.serving();
        self.notes.note(now_ns / MS, decision, &mut self.ledger);
    }

    /// Passes to `until_ns`, or to the end of the step if that comes first.
    fn pass_to(&mut self, until_ns: u64, paid: u32, piece: ScoreSpan) {
        let step = self.now_ns / self.step_ns;
        let serving = self.serving;
        let end_ns = ((step + 1) * self.step_ns).min(until_ns);
        let whole = end_ns == (step + 1) * self.step_ns;
        // An incomplete last step has no demand of its own.
        let last = self.demand.len() - 1;
        let demand = self.demand[usize::try_from(step).unwrap_or(last).min(last)];
        let span_s = nanos(end_ns - self.now_ns) / 1e9;
        self.ledger.add(&ScoreSpan { span_s, demand, serving, ..piece });
        if whole {
            self.ledger.end_step(demand, serving);
            self.supply.push(Supply { serving, paid });
        }
        self.now_ns = end_ns;
    }

    /// Requests since the last look.
    fn counts(&mut self, world: &World) -> ScoreSpan {
        let sum = world.latencies();
        let now = [sum.arrived, sum.served, sum.unserved, sum.late];
        let before = std::mem::replace(&mut self.counted, now);
        let [arrived, served, unserved, late] =
            std::array::from_fn(|of| nanos(now[of] - before[of]));
        ScoreSpan { arrived, served, unserved, late, ..ScoreSpan::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Physics;

    fn trace(step_ms: u64, values: Vec<f64>) -> Trace {
        let (name, unit) = ("load".to_owned(), Unit::RequestsPerSecond);
        Trace { name, unit, step_ms, values: values.into() }
    }

    fn settings(interval_ms: Option<u64>) -> Settings {
        let overload = Overload::Waits { patience_s: 30.0 };
        let physics = Physics {
            replica_capacity: 2.0,
            slots: 1,
            start_lag_ms: 20_000,
            overload,
            wait_limit_ms: 2_000,
            ..Physics::default()
        };
        Settings { physics, interval_ms, ..Settings::default() }
    }

    fn over(name: &str, trace: &Trace, settings: &Settings) -> Outcome {
        let like = Requests { work: Spread::Same, core_s: 0.05 };
        let name = Name::parse(name).unwrap();
        requests(&name, trace, settings, &like, &|_| ()).unwrap()
    }

    fn wave() -> Trace {
        trace(60_000, [3.0, 3.0, 9.0, 15.0, 15.0, 9.0, 3.0, 3.0, 3.0, 3.0].repeat(3))
    }

    #[test]
    fn both_depths_agree_on_what_a_fixed_count_costs_and_nearly_on_what_it_serves() {
        let (trace, settings) = (wave(), settings(Some(60_000)));
        let fluid = super::super::fluid(&Name::parse("static:9").unwrap(), &trace, &settings);
        let (fluid, here) = (fluid.unwrap().score, over("static:9", &trace, &settings).score);
        assert!((fluid.cost_ratio - here.cost_ratio).abs() < 1e-9, "{here:?}");
        assert_eq!((fluid.tau_u, fluid.tau_o, fluid.a_o), (here.tau_u, here.tau_o, here.a_o));
        assert_eq!(here.unserved_pct, 0.0);
        assert!((fluid.mean_util_pct - here.mean_util_pct).abs() < 3.0, "{here:?}");
    }

    #[test]
    fn a_run_has_latencies_and_comes_to_rest() {
        let outcome = over("governor", &wave(), &settings(None));
        let score = &outcome.score;
        assert!(outcome.settled);
        assert!((1.0..2.5).contains(&score.cost_ratio), "{score:?}");
        assert!(score.over_limit_pct < 20.0 && score.overload_time_pct < 50.0, "{score:?}");
        let (half, most) = (score.p50_ms.unwrap(), score.p99_ms.unwrap());
        assert!((499.0..800.0).contains(&half) && most > half, "{score:?}");
        assert!(score.worst_p99_ms.unwrap() >= most && score.longest_wait_s > 0.1, "{score:?}");
        assert_eq!(outcome.supply.len(), 30);
        assert!(!outcome.changes.is_empty() && score.actions > 2, "{score:?}");
    }

    #[test]
    fn nobody_has_the_cost_of_the_oracle_and_fewer_late_requests() {
        let oracle = over("oracle", &wave(), &settings(Some(1_000))).score;
        assert!((1.0..1.3).contains(&oracle.cost_ratio), "{oracle:?}");
        let mean = over("static:mean", &wave(), &settings(Some(1_000))).score;
        assert!(mean.over_limit_pct > oracle.over_limit_pct, "{mean:?} {oracle:?}");
    }

    #[test]
    fn a_load_too_short_for_a_minute_is_run_and_its_rest_is_scored() {
        let outcome = over("static:2", &trace(1_000, vec![2.0; 30]), &settings(None));
        assert_eq!(outcome.supply.len(), 30);
        let outcome = over("static:2", &trace(1_000, vec![2.0; 90]), &settings(None));
        assert_eq!(outcome.supply.len(), 1);
        assert!((outcome.score.paid_hours - 180.0 / 3_600.0).abs() < 1e-9, "{outcome:?}");
    }

    #[test]
    fn what_would_take_too_long_or_too_much_memory_is_refused_before_it_begins() {
        let refused = |load: f64, change: &dyn Fn(&mut Settings), words: &str| {
            let mut settings = settings(None);
            settings.physics.replica_capacity = load / 10.0;
            change(&mut settings);
            let like = Requests { work: Spread::Same, core_s: 0.05 };
            let name = Name::parse("governor").unwrap();
            let refused = requests(&name, &trace(1_000, vec![load; 3]), &settings, &like, &|_| ());
            let said = refused.unwrap_err().to_string();
            assert!(said.contains(words) && said.contains("\nhint: "), "{said}");
        };
        refused(1e9, &|_| (), "3.6e12 requests, with the time to settle, are too many");
        refused(1e15, &|_| (), "3.0e15 arrivals in all are over 1e15");
        refused(1e-9, &|_| (), "a request of 1.000e13 ms is longer than a day");
        refused(1e3, &|s| s.physics.slots = 1_000_000, "1.0e7 requests would be worked on at once");
        refused(10.0, &|s| s.bounds.max = 100_001, "a maximum of 100001 is over 100000 replicas");
    }

    #[test]
    fn requests_beyond_the_longest_line_are_counted_apart() {
        let load = trace(60_000, vec![20_000.0, 1.0]);
        let mut settings = settings(Some(60_000));
        settings.physics.overload = Overload::Waits { patience_s: 300.0 };
        let outcome = over("static:1", &load, &settings);
        assert!((150_000..250_000).contains(&outcome.turned_away), "{}", outcome.turned_away);
        settings.physics.overload = Overload::Lost;
        assert_eq!(over("static:1", &load, &settings).turned_away, 0);
    }

    #[test]
    fn what_finds_no_free_replica_waits_or_is_lost() {
        let load = trace(60_000, vec![4.0; 5]);
        let waits = settings(Some(1_000));
        let lost =
            Settings { physics: Physics { overload: Overload::Lost, ..waits.physics }, ..waits };
        let (waits, lost) = (over("static:2", &load, &waits), over("static:2", &load, &lost));
        assert!(waits.score.longest_wait_s > 1.0 && waits.score.p99_ms > Some(1_500.0));
        assert!(lost.score.unserved_pct > 20.0 && lost.score.p99_ms < Some(501.0), "{lost:?}");
    }
}
