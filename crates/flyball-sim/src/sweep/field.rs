//! Who takes part, and which settings of each are tried. The field is the same on every load, since
//! a policy that is best on one may not be added for that one alone. Every setting's name makes a
//! runner.

use super::load::{Load, PER_S};
use super::race::Runner;
use crate::contender::name::{Kind, Name};
use crate::rival::{Fixed, Oracle, Rival};

/// One policy with the settings that are tried.
#[derive(Clone, Debug)]
pub struct Family {
    /// What it is called in the tables.
    pub name: &'static str,
    /// Names of its settings.
    pub settings: Vec<String>,
    /// Whether it competes: the oracle and fixed counts only bound the table.
    pub competes: bool,
}

/// Targets in percent: from two and a half times the needed capacity to next to none to spare.
const TARGETS: [u32; 9] = [40, 50, 60, 70, 75, 80, 85, 90, 95];

/// Everybody.
pub fn families() -> Vec<Family> {
    let swept = |name: &'static str, pattern: &str| {
        let setting = |target: &u32| pattern.replace('T', &target.to_string());
        Family { name, settings: TARGETS.iter().map(setting).collect(), competes: true }
    };
    let single =
        |name: &'static str, competes| Family { name, settings: vec![name.to_owned()], competes };
    // Requests per second are its target: in percent of what a replica serves.
    let marathon = |target: &u32| format!("marathon-lb:{}", f64::from(*target) / 100.0 * PER_S);
    let settings = TARGETS.iter().map(marathon).collect();
    vec![
        single("governor:late=0.1%", true),
        single("governor:late=1%", true),
        single("governor:late=5%", true),
        swept("governor", "governor:T"),
        swept("hpa", "hpa:T"),
        swept("hpa, window 60 s", "hpa:T:60"),
        swept("kpa", "kpa:T"),
        swept("kpa, in pods only", "kpa:T:inflight"),
        swept("aws", "aws:T"),
        swept("aws, 20-s metrics", "aws:T:20"),
        swept("nomad", "nomad:T"),
        swept("nomad, cooldown 60 s", "nomad:T:60"),
        Family { name: "marathon-lb", settings, competes: true },
        single("amest", true),
        single("jcwimer", true),
        single("seed", true),
        single("static:mean", false),
        single("static:peak", false),
        single("oracle", false),
    ]
}

/// The runner that `setting` names, for `load`; an error says what is wrong with the name.
pub fn runner(setting: &str, load: &Load, start_lag_ms: u64) -> Result<Runner, String> {
    let name = Name::parse(setting).map_err(|error| error.to_string())?;
    let rival = match name.kind() {
        Kind::Own(rule) => return Ok(Runner::Own(rule.clone())),
        Kind::Rival(rival) => (**rival).clone(),
        Kind::StaticMean => Rival::Fixed(Fixed::new(mean(&load.demand))),
        Kind::StaticPeak => {
            Rival::Fixed(Fixed::new(load.demand.iter().max().copied().unwrap_or(1)))
        }
        Kind::Oracle { ahead_ms } => {
            // The start lag, its tenth of chance, and two ticks to be seen and routed.
            let lag_ms = start_lag_ms + start_lag_ms / 10 + 2 * load.tick_ms;
            let demand = load.demand.clone();
            let ahead_ms = ahead_ms.unwrap_or(lag_ms);
            Rival::Oracle(Oracle::new(demand, load.tick_ms, ahead_ms, super::pool::BEGINS))
        }
    };
    Ok(Runner::Rival(Box::new(rival)))
}

fn mean(demand: &[u32]) -> u32 {
    let sum: u64 = demand.iter().map(|count| u64::from(*count)).sum();
    u32::try_from(sum.div_ceil(demand.len().max(1) as u64)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_makes_a_runner() {
        let demand = vec![1, 3];
        let arrivals = vec![1.0, 50.0];
        let load = Load { name: "t".into(), tick_ms: 2_000, arrivals, demand, settle: 0 };
        for family in families() {
            for setting in family.settings {
                assert!(runner(&setting, &load, 10_000).is_ok(), "{setting}");
            }
        }
        assert!(runner("hpa:none", &load, 10_000).is_err());
    }
}
