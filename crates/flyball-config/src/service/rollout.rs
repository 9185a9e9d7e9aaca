//! How replicas of a new generation take the place of others.

use flyball_core::policy::{RolloutPolicy, Surge, Update};

use super::ServiceKeys;
use crate::reader::{ConfigError, Given, Kind, REPLICAS_MAX, Value};
use crate::share::parse_share;

pub(super) const SURGE: Kind<Surge> =
    Kind::plain("a number of replicas, or a share such as \"25%\"", surge);

fn surge(given: Given<'_>) -> Result<Surge, ConfigError> {
    const WANTED: &str = "a number of replicas or a share";
    match &given.node.value {
        Value::Whole(number) => match u32::try_from(*number) {
            Ok(surge @ 1..=REPLICAS_MAX) => Ok(Surge::Count(surge)),
            _ => Err(given.out_of_range(&format!("within 1 and {REPLICAS_MAX}"))),
        },
        Value::Text(text) => {
            let share = parse_share(text).map_err(|error| given.not_a(WANTED, error.hint()))?;
            if share <= 0.0 || share > 1.0 {
                return Err(given.out_of_range("above 0% and at most 100%"));
            }
            Ok(Surge::Share(share))
        }
        _ => Err(given.not_like(WANTED, "1")),
    }
}

pub(super) fn rollout(keys: &ServiceKeys) -> Option<RolloutPolicy> {
    let update = if keys.update.value? == "manual" { Update::Manual } else { Update::Auto };
    let (surge, abort_after) = (keys.surge.value?, keys.abort_after.value?);
    Some(RolloutPolicy { surge, abort_after, update })
}
