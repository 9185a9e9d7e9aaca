//! What sleep costs: a trace at several times without use, request by request, with replicas that
//! start in 2 s. The trace's file is the only argument. Prints a row for each.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use flyball_core::policy::Bounds;
use flyball_sim::contender::Name;
use flyball_sim::run::{Requests, Settings, requests};
use flyball_sim::trace::open;
use flyball_sim::world::requests::service::Spread;
use flyball_sim::world::{Overload, Physics};

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let trace = open(path.as_ref()).unwrap();
    let physics = Physics {
        replica_capacity: 20.0,
        start_lag_ms: 2_000,
        overload: Overload::Waits { patience_s: 30.0 },
        ..Physics::default()
    };
    let like = Requests { work: Spread::Same, core_s: 0.05 };
    let name = Name::parse("governor").unwrap();
    for (min, after_ms) in [(1, None), (0, Some(60_000)), (0, Some(300_000)), (0, Some(900_000))] {
        let bounds = Bounds { min, max: 10 };
        let settings =
            Settings { physics, bounds, sleep_after_ms: after_ms, ..Settings::default() };
        let run = requests(&name, &trace, &settings, &like, &|_| ()).unwrap();
        let score = run.score;
        println!(
            "min {min}, sleep after {after_ms:?} ms: {:.0} replica-seconds, {:.2} % over {} ms, \
             {} moves",
            score.paid_hours * 3_600.0,
            score.over_limit_pct,
            physics.wait_limit_ms,
            score.actions
        );
    }
}
