//! Policies by name: `governor`, `target:70`, `step:30:15`, `hpa:70`, `static:peak`, `oracle`, ...
//!
//! Decides which names there are and what their parts mean. Does not know loads: a name that needs
//! one (`static:mean`, `oracle`) is completed when the contender is made. Invariant: a name that
//! parses can be made into a contender.

pub(crate) mod published;

use flyball_core::policy::{Governor, Policy, Rule, StepRule, Target};

use super::Contender;
use crate::rival::{Fixed, Oracle, Rival};
use crate::world::ORIGIN;

/// A parsed name.
#[derive(Clone, Debug)]
pub struct Name {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Own(Rule),
    Rival(Box<Rival>),
    StaticMean,
    StaticPeak,
    Oracle,
}

/// A name that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown policy `{name}`: {why}\nhint: {hint}")]
pub struct NameError {
    /// As it was given.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
    /// What would be right.
    pub hint: String,
}

/// What is known of the load and the world before a run begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Foresight<'a> {
    /// The least replicas that meet the load, for each step from [`ORIGIN`] on.
    pub demand: &'a [u32],
    /// The length of a step, in milliseconds.
    pub step_ms: u64,
    /// Time from asking for a replica to its first request, in milliseconds.
    pub start_lag_ms: u64,
    /// Requests that a replica works on at once, where that is known.
    pub slots: Option<u32>,
}

impl Name {
    /// Takes a name apart.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut parts = text.split(':');
        let head = parts.next().unwrap_or_default();
        let parts: Vec<&str> = parts.collect();
        let kind = match (head, parts.as_slice()) {
            ("governor", parts) => governor(parts).map(Kind::Own),
            ("target", parts) => target(parts).map(Kind::Own),
            ("step", parts) => step(parts).map(Kind::Own),
            ("static", ["mean"]) => Ok(Kind::StaticMean),
            ("static", ["peak"]) => Ok(Kind::StaticPeak),
            ("static", [count]) => fixed(count).map(Box::new).map(Kind::Rival),
            ("oracle", []) => Ok(Kind::Oracle),
            (head, parts) if published::NAMES.contains(&head) => {
                published::rival(head, parts).map(Box::new).map(Kind::Rival)
            }
            _ => Err("there is no such policy".to_owned()),
        };
        match kind {
            Ok(kind) => Ok(Self { text: text.to_owned(), kind }),
            Err(why) => Err(NameError {
                name: text.to_owned(),
                why,
                hint: "one of governor, governor:250ms, target:70, step:30:15, static:mean, static:peak, static:N, oracle, hpa:70, hpa:70:0s, kpa:80, aws:70, nomad:70, amest, jcwimer, marathon-lb, seed".to_owned(),
            }),
        }
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the load to come must be known to make it.
    pub fn needs_foresight(&self) -> bool {
        matches!(self.kind, Kind::StaticMean | Kind::StaticPeak | Kind::Oracle)
    }

    /// The contender within the bounds and times of `policy`, whose rule is replaced.
    pub fn contender(&self, policy: &Policy, ahead: Foresight<'_>) -> Contender {
        let rival = match &self.kind {
            Kind::Own(rule) => {
                let policy = Policy { rule: rule.clone(), ..policy.clone() };
                return Contender::own(self.text.clone(), policy);
            }
            Kind::Rival(rival) => (**rival).clone().for_slots(ahead.slots),
            Kind::StaticMean => Rival::Fixed(Fixed::new(mean(ahead.demand))),
            Kind::StaticPeak => {
                Rival::Fixed(Fixed::new(ahead.demand.iter().max().copied().unwrap_or(1)))
            }
            Kind::Oracle => {
                let Foresight { demand, step_ms, start_lag_ms, .. } = ahead;
                Rival::Oracle(Oracle::new(demand.to_vec(), step_ms, start_lag_ms, ORIGIN))
            }
        };
        Contender::rival(self.text.clone(), policy.clone(), rival)
    }
}

/// The whole count nearest to the mean of `demand`, at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a mean of counts, of far fewer than 2^52 steps"
)]
fn mean(demand: &[u32]) -> u32 {
    let sum: f64 = demand.iter().copied().map(f64::from).sum();
    ((sum / demand.len() as f64).round() as u32).max(1)
}

/// A whole percentage above 0, as a share.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent / 100.0),
        _ => Err(format!("`{text}` is not a percentage above 0 and at most 100")),
    }
}

fn governor(parts: &[&str]) -> Result<Rule, String> {
    let slo_ms = match parts {
        [] => None,
        // With a unit, so that nobody takes it for a percentage.
        [slo] if slo.ends_with('s') => Some(span_ms(slo)?),
        _ => return Err("governor takes the time of 99 of 100 requests, such as 250ms".to_owned()),
    };
    Ok(Rule::Governor(Governor { slo_ms, ..Governor::default() }))
}

fn target(parts: &[&str]) -> Result<Rule, String> {
    let default = Target::default();
    match parts {
        [] => Ok(Rule::Target(default)),
        [cpu] => Ok(Rule::Target(Target { cpu: percent(cpu)?, ..default })),
        _ => Err("target takes one percentage".to_owned()),
    }
}

fn step(parts: &[&str]) -> Result<Rule, String> {
    let default = StepRule::default();
    let rule = match parts {
        [] => default,
        [out_at, in_at] => StepRule { out_at: percent(out_at)?, in_at: percent(in_at)?, ..default },
        _ => return Err("step takes two percentages, out and in".to_owned()),
    };
    if rule.in_at >= rule.out_at {
        return Err("the percentage to scale in at must be below that to scale out at".to_owned());
    }
    Ok(Rule::Step(rule))
}

/// A time such as `0s`, `250ms`, `90s` or `5m`.
pub(crate) fn span_ms(text: &str) -> Result<u64, String> {
    let units = [("ms", 1), ("m", 60_000), ("s", 1_000)];
    let unit = units.iter().find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, *ms)));
    let (number, unit_ms) = unit.unwrap_or((text, 1_000));
    let number: Option<u64> = number.parse().ok();
    let ms = number.and_then(|number| number.checked_mul(unit_ms));
    ms.ok_or_else(|| format!("`{text}` is not a time such as 90s or 5m"))
}

fn fixed(count: &str) -> Result<Rival, String> {
    match count.parse() {
        Ok(count) if count > 0 => Ok(Rival::Fixed(Fixed::new(count))),
        _ => Err(format!("`{count}` is neither mean, peak nor a count above 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_slo_has_a_unit_so_that_nobody_takes_it_for_a_share() {
        let name = Name::parse("governor:250ms").unwrap();
        let kept = Governor { slo_ms: Some(250), ..Governor::default() };
        assert!(matches!(name.kind, Kind::Own(Rule::Governor(rule)) if rule == kept));
        for bad in ["governor:70", "governor:ms", "governor:250ms:1"] {
            let why = Name::parse(bad).unwrap_err().to_string();
            assert!(why.contains(bad) && why.contains("hint: "), "{why}");
        }
    }
}
