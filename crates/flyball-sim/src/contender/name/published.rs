//! Names of the rivals and what their parts mean, with the published default for each that is
//! left out.
//!
//! Decides nothing else. Invariant: `NAMES` lists what [`rival`] knows.

use super::{percent, span_ms};
use crate::rival::hpa::{Behavior, DOWN_WINDOW_MS, Pace};
use crate::rival::kpa::{Counting, SLOTS};
use crate::rival::{
    Amest, Aws, Hpa, Jcwimer, Kpa, MarathonLb, Nomad, Rival, Sketch, amest, marathon_lb, nomad,
};

/// The first parts of the rivals' names.
pub(super) const NAMES: [&str; 8] =
    ["hpa", "kpa", "aws", "nomad", "amest", "jcwimer", "marathon-lb", "seed"];

/// The rival that `head` and `parts` name.
///
/// `hpa:T[:WINDOW|:behavior]` (down window), `kpa:T[:inflight]`, `aws:T[:20]` (datapoints of 20 s),
/// `nomad:T[:COOLDOWN]`, `marathon-lb[:RPS]`; T is a percentage.
pub(crate) fn rival(head: &str, parts: &[&str]) -> Result<Rival, String> {
    match (head, parts) {
        ("hpa", []) => Ok(Rival::Hpa(Hpa::plain(0.80, DOWN_WINDOW_MS))),
        ("hpa", [target]) => Ok(Rival::Hpa(Hpa::plain(percent(target)?, DOWN_WINDOW_MS))),
        ("hpa", [target, "behavior"]) => {
            Ok(Rival::Hpa(Hpa::new(percent(target)?, Pace::behavior(Behavior::default()))))
        }
        ("hpa", [target, window]) => Ok(Rival::Hpa(Hpa::plain(percent(target)?, span_ms(window)?))),
        ("kpa", []) => Ok(Rival::Kpa(Kpa::new(0.70 * SLOTS, Counting::All))),
        ("kpa", [target]) => Ok(Rival::Kpa(Kpa::new(percent(target)? * SLOTS, Counting::All))),
        ("kpa", [target, "inflight"]) => {
            Ok(Rival::Kpa(Kpa::new(percent(target)? * SLOTS, Counting::InFlight)))
        }
        ("aws", []) => Ok(Rival::Aws(Aws::new(0.70, 60_000))),
        ("aws", [target]) => Ok(Rival::Aws(Aws::new(percent(target)?, 60_000))),
        ("aws", [target, "20"]) => Ok(Rival::Aws(Aws::new(percent(target)?, 20_000))),
        ("nomad", []) => Ok(Rival::Nomad(Nomad::new(0.70, nomad::COOLDOWN_MS))),
        ("nomad", [target]) => Ok(Rival::Nomad(Nomad::new(percent(target)?, nomad::COOLDOWN_MS))),
        ("nomad", [target, cooldown]) => {
            Ok(Rival::Nomad(Nomad::new(percent(target)?, span_ms(cooldown)?)))
        }
        ("amest", []) => Ok(Rival::Amest(Amest::new(amest::BOUNDS.0, amest::BOUNDS.1))),
        ("jcwimer", []) => Ok(Rival::Jcwimer(Jcwimer::default())),
        ("seed", []) => Ok(Rival::Sketch(Sketch::default())),
        ("marathon-lb", []) => Ok(Rival::MarathonLb(MarathonLb::new(marathon_lb::TARGET_PER_S))),
        ("marathon-lb", [rate]) => Ok(Rival::MarathonLb(MarathonLb::new(per_s(rate)?))),
        _ => Err(format!("{head} does not take these parts")),
    }
}

fn per_s(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err(format!("`{text}` is not a rate above 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_head_is_a_rival_and_every_part_is_checked() {
        for head in NAMES {
            assert!(rival(head, &[]).is_ok(), "{head}");
            assert!(rival(head, &["nonsense", "20"]).is_err(), "{head}");
        }
        for (head, parts) in [
            ("hpa", ["70", "60"]),
            ("hpa", ["70", "behavior"]),
            ("kpa", ["80", "inflight"]),
            ("aws", ["70", "20"]),
            ("nomad", ["70", "60"]),
        ] {
            assert!(rival(head, &parts).is_ok(), "{head}");
        }
    }
}
