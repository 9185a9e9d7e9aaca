//! The table's rows of flyball's own rules, of fixed counts and of the oracle. Settings are called
//! as in flyball.toml, dashes for underscores; only the governor's `busy_cap` is `cap` here. A
//! default stands in the row as it stands in the core, which a test compares.

use flyball_core::policy::{BUSY_CAP, Governor, Objective, Rule, StepRule, Target};

use super::Kind;
use super::grammar::{Entry, Fallback, Given, Setting, Takes};
use crate::rival::{Fixed, Rival};
use Fallback::{Is, Otherwise};

/// A line of a policy's settings.
pub(super) const fn row(
    name: &'static str,
    takes: Takes,
    fallback: Fallback,
    meaning: &'static str,
) -> Setting {
    Setting { name, takes, fallback, meaning }
}

pub(super) static GOVERNOR: Entry = Entry {
    name: "governor",
    meaning: "flyball's default: arrivals times measured work, compared with the capacity that already runs",
    short: &[&["cap"]],
    settings: &[
        row(
            "cap",
            Takes::Share(1.0),
            Is("85%"),
            "the largest share of its time that a replica is busy: `busy_cap` in flyball.toml",
        ),
        row(
            "late",
            Takes::Share(0.5),
            Otherwise("the cap alone counts"),
            "the share of requests that may be late: the headroom follows; see `objective` in flyball.toml",
        ),
        row(
            "within",
            Takes::Duration(1),
            Otherwise("250ms, with late"),
            "a request that waits longer is late",
        ),
        row(
            "hold",
            Takes::Duration(0),
            Otherwise("three start lags, 10s to 5m"),
            "how long there must be a surplus before replicas are removed",
        ),
        row(
            "slots",
            Takes::Count(1),
            Otherwise("learnt"),
            "the requests that a replica handles at once, if its owner declared that",
        ),
    ],
    build: governor,
};

fn governor(given: &Given) -> Result<Kind, String> {
    let preset = Governor::default();
    let objective = objective(given);
    let cap = if objective.is_some() { BUSY_CAP } else { preset.busy_cap };
    Ok(Kind::Own(Rule::Governor(Governor {
        busy_cap: given.number("cap").unwrap_or(cap),
        slots: given.count("slots"),
        hold_ms: given.ms("hold"),
        objective,
    })))
}

/// The objective, where either part of one is given.
fn objective(given: &Given) -> Option<Objective> {
    let preset = Objective::default();
    let (late, within_ms) = (given.number("late"), given.ms("within"));
    (late.is_some() || within_ms.is_some()).then_some(Objective {
        late: late.unwrap_or(preset.late),
        within_ms: within_ms.unwrap_or(preset.within_ms),
    })
}

pub(super) static TARGET: Entry = Entry {
    name: "target",
    meaning: "flyball's target for mean CPU usage, with the formula of the Kubernetes autoscaler",
    short: &[&["cpu"]],
    settings: &[
        row(
            "cpu",
            Takes::Share(1.0),
            Is("80%"),
            "the target for mean CPU usage, as a share of the limit",
        ),
        row(
            "tolerance",
            Takes::ShareOrNone(1.0),
            Is("10%"),
            "a ratio this close to 1 changes nothing",
        ),
        row(
            "in-window",
            Takes::Duration(0),
            Is("5m"),
            "scale-in uses the largest count of this time",
        ),
        row(
            "out-window",
            Takes::Duration(0),
            Is("0s"),
            "scale-out uses the smallest count of this time",
        ),
        row(
            "out-by",
            Takes::Count(1),
            Is("4"),
            "the count grows by at most this many within 15 s, or by out-share",
        ),
        row(
            "out-share",
            Takes::ShareOrNone(100.0),
            Is("100%"),
            "see out-by: the larger of the two applies",
        ),
        row(
            "in-share",
            Takes::Share(1.0),
            Is("100%"),
            "the count shrinks by at most this share within 15 s",
        ),
        row("window", Takes::Duration(1_000), Is("15s"), "CPU usage is averaged over this time"),
    ],
    build: target,
};

fn target(given: &Given) -> Result<Kind, String> {
    let preset = Target::default();
    Ok(Kind::Own(Rule::Target(Target {
        cpu: given.number("cpu").unwrap_or(preset.cpu),
        tolerance: given.number("tolerance").unwrap_or(preset.tolerance),
        in_window_ms: given.ms("in-window").unwrap_or(preset.in_window_ms),
        out_window_ms: given.ms("out-window").unwrap_or(preset.out_window_ms),
        out_by: given.count("out-by").unwrap_or(preset.out_by),
        out_share: given.number("out-share").unwrap_or(preset.out_share),
        in_share: given.number("in-share").unwrap_or(preset.in_share),
        cpu_window_ms: given.ms("window").unwrap_or(preset.cpu_window_ms),
    })))
}

pub(super) static STEP: Entry = Entry {
    name: "step",
    meaning: "flyball's thresholds of mean CPU usage: adds above one, removes below the other",
    short: &[&["out-at"], &["in-at"]],
    settings: &[
        row("out-at", Takes::Share(1.0), Is("30%"), "mean CPU usage at or above this share adds"),
        row(
            "in-at",
            Takes::ShareOrNone(1.0),
            Is("15%"),
            "mean CPU usage at or below this share removes",
        ),
        row("by", Takes::Count(1), Is("1"), "how many to add or remove at a time"),
        row("cooldown", Takes::Duration(0), Is("1m"), "the least time between two changes"),
        row("window", Takes::Duration(1_000), Is("1m"), "CPU usage is averaged over this time"),
    ],
    build: step,
};

fn step(given: &Given) -> Result<Kind, String> {
    let preset = StepRule::default();
    let (out_at, in_at) = thresholds(given, (preset.out_at, preset.in_at))?;
    Ok(Kind::Own(Rule::Step(StepRule {
        out_at,
        in_at,
        by: given.count("by").unwrap_or(preset.by),
        cooldown_ms: given.ms("cooldown").unwrap_or(preset.cooldown_ms),
        cpu_window_ms: given.ms("window").unwrap_or(preset.cpu_window_ms),
    })))
}

/// `out-at` and `in-at`, as given or preset, in their right order.
pub(super) fn thresholds(given: &Given, preset: (f64, f64)) -> Result<(f64, f64), String> {
    let out_at = given.number("out-at").unwrap_or(preset.0);
    let in_at = given.number("in-at").unwrap_or(preset.1);
    if in_at < out_at {
        return Ok((out_at, in_at));
    }
    let out_at = out_at * 100.0;
    let in_at = in_at * 100.0;
    Err(format!("in-at of {in_at:.1} % must be below out-at of {out_at:.1} %"))
}

pub(super) static STATIC: Entry = Entry {
    name: "static",
    meaning: "a constant count",
    short: &[&["count", "of"]],
    settings: &[
        row("count", Takes::Count(1), Otherwise("none"), "the count"),
        row("of", Takes::Word(&["mean", "peak"]), Otherwise("none"), "what the coming load needs"),
    ],
    build: fixed,
};

fn fixed(given: &Given) -> Result<Kind, String> {
    match (given.count("count"), given.word("of")) {
        (Some(count), None) => Ok(Kind::Rival(Box::new(Rival::Fixed(Fixed::new(count))))),
        (None, Some("mean")) => Ok(Kind::StaticMean),
        (None, Some(_)) => Ok(Kind::StaticPeak),
        _ => Err("it takes a count, or mean or peak".to_owned()),
    }
}

pub(super) static ORACLE: Entry = Entry {
    name: "oracle",
    meaning: "knows the coming load: a bound for comparison, not a competitor",
    short: &[],
    settings: &[row(
        "ahead",
        Takes::Duration(0),
        Otherwise("the start lag"),
        "how far ahead it looks",
    )],
    build: oracle,
};

fn oracle(given: &Given) -> Result<Kind, String> {
    Ok(Kind::Oracle { ahead_ms: given.ms("ahead") })
}
