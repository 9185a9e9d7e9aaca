//! How replicas of a new generation take the place of others.

use flyball_core::policy::{RolloutPolicy, Surge, Update};

use super::ServiceKeys;
use crate::reader::{ConfigError, Given, Kind, REPLICAS_MAX, Value};
use crate::share::parse_share;

pub(super) const SURGE: Kind<Surge> =
    Kind::plain("a number of replicas, or a share such as \"25%\"", surge);

fn surge(given: Given<'_>) -> Result<Surge, ConfigError> {
    const WANTED: &str = "a number of replicas or a share";
    // A label is always a text.
    let number = match &given.node.value {
        Value::Whole(number) => Some(*number),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    if let Some(number) = number {
        return match u32::try_from(number) {
            Ok(surge @ 1..=REPLICAS_MAX) => Ok(Surge::Count(surge)),
            _ => Err(given.out_of_range(&format!("within 1 and {REPLICAS_MAX}"))),
        };
    }
    match &given.node.value {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Env;

    fn surge_of(value: &str) -> Result<Surge, String> {
        let text = format!(
            "[flyball]\nstate_dir = \"/s\"\n[services.web]\nengine = \"process\"\n\
            command = [\"a\"]\nsurge = {value}\nlisten = \"127.0.0.1:1\"\n"
        );
        let read = crate::parse(&text, "flyball.toml", &Env::default());
        let config = read.map_err(|errors| errors.to_string())?;
        Ok(config.services["web"].policy.rollout.surge)
    }

    #[test]
    fn a_surge_is_a_number_or_a_share() {
        assert_eq!(surge_of("2"), Ok(Surge::Count(2)));
        assert_eq!(surge_of("\"2\""), Ok(Surge::Count(2)));
        assert_eq!(surge_of("\"25%\""), Ok(Surge::Share(0.25)));
        for wrong in ["0", "-1", "100001", "\"0%\"", "\"101%\"", "\"many\"", "true", "1.5"] {
            assert!(surge_of(wrong).is_err(), "{wrong}");
        }
    }
}
