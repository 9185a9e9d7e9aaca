//! Policies with their settings, as typed after `--policy`. Parsing never panics. An accepted
//! policy runs over a load with finite figures; a refused one lists the alternatives.

use flyball_sim::contender::Name;
use flyball_sim::run::{self, RunError, Settings};
use flyball_sim::trace::{Trace, Unit};
use flyball_sim::world::Physics;

/// A rise and a fall, long enough for most windows.
const LOAD: [f64; 8] = [10.0, 10.0, 80.0, 80.0, 5.0, 0.0, 0.0, 20.0];

/// A text as the name of a policy.
pub fn policies(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let name = match Name::parse(text) {
        Ok(name) => name,
        Err(error) => {
            let message = error.to_string();
            assert!(
                message.contains("\nhint: ") && message.len() < 4_096 + 2 * text.len(),
                "{message}"
            );
            return;
        }
    };
    let (unit, values) = (Unit::RequestsPerSecond, LOAD.into());
    let trace = Trace { name: "load".to_owned(), unit, step_ms: 60_000, values };
    let physics = Physics { replica_capacity: 10.0, ..Physics::default() };
    let mut settings = Settings { physics, interval_ms: Some(60_000), ..Settings::default() };
    settings.bounds.max = 50;
    match run::fluid(&name, &trace, &settings) {
        Ok(outcome) => {
            let score = &outcome.score;
            assert!(score.cost_ratio.is_finite() && score.over_limit_pct.is_finite(), "{score:?}");
            assert!(outcome.supply.iter().all(|supply| supply.serving <= 2 * 50), "{outcome:?}");
        }
        Err(error @ RunError::Impossible { .. }) => panic!("a good load is refused: {error}"),
        Err(error @ RunError::Broken(_)) => panic!("{error}"),
    }
}
