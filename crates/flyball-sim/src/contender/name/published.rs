//! The table's rows of the rivals. Settings are called as each rival's own users know them,
//! shortened where they are long. A default stands in the row as it stands in the rival, which a
//! test compares.

use super::Kind;
use super::grammar::{Entry, Fallback, Given, Takes};
use super::own::{row, thresholds};
use crate::rival::hpa::{Behavior, Rules};
use crate::rival::kpa::Counting;
use crate::rival::{
    Amest, Aws, Hpa, Jcwimer, Kpa, MarathonLb, Nomad, Rival, Sketch, amest, aws, hpa, jcwimer, kpa,
    marathon_lb, nomad, sketch,
};
use Fallback::{Is, Otherwise};

fn rival(rival: Rival) -> Kind {
    Kind::Rival(Box::new(rival))
}

pub(super) static HPA: Entry = Entry {
    name: "hpa",
    meaning: "the Kubernetes Horizontal Pod Autoscaler; with one look for each step of the load, only \
              target, tolerance and window apply",
    short: &[&["target"], &["window", "behavior"]],
    settings: &[
        row(
            "target",
            Takes::Share(1.0),
            Is("80%"),
            "the target for mean CPU usage, as a share of the request",
        ),
        row(
            "tolerance",
            Takes::ShareOrNone(1.0),
            Is("10%"),
            "a ratio this close to 1 changes nothing",
        ),
        row("window", Takes::Duration(0), Is("5m"), "scale-in uses the largest count of this time"),
        row(
            "behavior",
            Takes::Word(&["behavior"]),
            Otherwise("none, unless one of the next five is set"),
            "the rules of an empty `behavior`",
        ),
        row(
            "up-window",
            Takes::Duration(0),
            Otherwise("0s in a behavior"),
            "scale-out uses the smallest count of this time",
        ),
        row(
            "up-pods",
            Takes::Count(1),
            Otherwise("4 in a behavior"),
            "at most this many are added within a period, or up-percent",
        ),
        row(
            "up-percent",
            Takes::ShareOrNone(100.0),
            Otherwise("100% in a behavior"),
            "see up-pods: the larger of the two applies",
        ),
        row(
            "down-percent",
            Takes::ShareOrNone(1.0),
            Otherwise("100% in a behavior"),
            "at most this share is removed within a period",
        ),
        row("period", Takes::Duration(1_000), Otherwise("15s in a behavior"), "the period"),
        row("sync", Takes::Duration(1_000), Is("15s"), "time from one decision to the next"),
        row(
            "scrape",
            Takes::Duration(1_000),
            Is("15s"),
            "time from one reading of the metrics to the next",
        ),
        row(
            "initialization",
            Takes::Duration(0),
            Is("5m"),
            "CPU usage of a pod may be skipped for this time after its start",
        ),
    ],
    build: hpa,
};

fn hpa(given: &Given) -> Result<Kind, String> {
    let preset = hpa::Settings::default();
    let settings = hpa::Settings {
        target: given.number("target").unwrap_or(preset.target),
        tolerance: given.number("tolerance").unwrap_or(preset.tolerance),
        rules: rules(given),
        sync_ms: given.ms("sync").unwrap_or(preset.sync_ms),
        scrape_ms: given.ms("scrape").unwrap_or(preset.scrape_ms),
        initialization_ms: given.ms("initialization").unwrap_or(preset.initialization_ms),
    };
    Ok(rival(Rival::Hpa(Box::new(Hpa::new(settings)))))
}

fn rules(given: &Given) -> Rules {
    let preset = Behavior::default();
    let down_window_ms = given.ms("window").unwrap_or(preset.down_window_ms);
    let behavior = Behavior {
        down_window_ms,
        up_window_ms: given.ms("up-window").unwrap_or(preset.up_window_ms),
        up_pods: given.count("up-pods").unwrap_or(preset.up_pods),
        up_share: given.number("up-percent").unwrap_or(preset.up_share),
        down_share: given.number("down-percent").unwrap_or(preset.down_share),
        period_ms: given.ms("period").unwrap_or(preset.period_ms),
    };
    let asked = given.word("behavior").is_some()
        || given.ms("up-window").or(given.ms("period")).is_some()
        || given.count("up-pods").is_some()
        || given.number("up-percent").or(given.number("down-percent")).is_some();
    if asked { Rules::Behavior(behavior) } else { Rules::Plain { down_window_ms } }
}

pub(super) static KPA: Entry = Entry {
    name: "kpa",
    meaning: "Knative's pod autoscaler on concurrency",
    short: &[&["target"], &["counting"]],
    settings: &[
        row(
            "target",
            Takes::Share(1.0),
            Is("70%"),
            "requests in each pod, as a share of its slots",
        ),
        row(
            "counting",
            Takes::Word(&["all", "inflight"]),
            Is("all"),
            "inflight: requests that wait at the balancer do not count",
        ),
        row(
            "stable-window",
            Takes::Duration(1_000),
            Is("1m"),
            "requests are averaged over this time, in whole seconds",
        ),
        row(
            "panic-window",
            Takes::Share(1.0),
            Is("10%"),
            "the panic window, as a share of the stable one",
        ),
        row(
            "panic-threshold",
            Takes::Share(10.0),
            Is("200%"),
            "it panics when the panic window recommends this share of the ready pods",
        ),
        row(
            "up-rate",
            Takes::Number(1.0),
            Is("1000"),
            "the count grows to at most this many times the ready pods at once",
        ),
        row(
            "down-rate",
            Takes::Number(1.0),
            Is("2"),
            "the count falls to at least this part of the ready pods at once",
        ),
        row(
            "grace",
            Takes::Duration(0),
            Is("30s"),
            "the last pod stays for this time without requests",
        ),
    ],
    build: kpa,
};

fn kpa(given: &Given) -> Result<Kind, String> {
    let preset = kpa::Settings::default();
    let counting = match given.word("counting") {
        Some("inflight") => Counting::InFlight,
        _ => Counting::All,
    };
    Ok(rival(Rival::Kpa(Kpa::new(kpa::Settings {
        target: given.number("target").unwrap_or(preset.target),
        counting,
        stable_s: given.ms("stable-window").map_or(preset.stable_s, |ms| ms / 1_000),
        panic_window: given.number("panic-window").unwrap_or(preset.panic_window),
        panic_threshold: given.number("panic-threshold").unwrap_or(preset.panic_threshold),
        up_rate: given.number("up-rate").unwrap_or(preset.up_rate),
        down_rate: given.number("down-rate").unwrap_or(preset.down_rate),
        grace_ms: given.ms("grace").unwrap_or(preset.grace_ms),
    }))))
}

pub(super) static AWS: Entry = Entry {
    name: "aws",
    meaning: "AWS target tracking on mean CPU usage, as for ECS services",
    short: &[&["target"], &["period"]],
    settings: &[
        row("target", Takes::Share(1.0), Is("70%"), "the target for mean CPU usage"),
        row(
            "period",
            Takes::Duration(1_000),
            Is("1m"),
            "the span of a datapoint; 20s: high resolution",
        ),
        row(
            "out-cooldown",
            Takes::Duration(0),
            Is("5m"),
            "time after scaling out in which only a larger count goes through",
        ),
        row(
            "in-cooldown",
            Takes::Duration(0),
            Is("5m"),
            "time after scaling in before it may scale in again",
        ),
    ],
    build: aws,
};

fn aws(given: &Given) -> Result<Kind, String> {
    let preset = aws::Settings::default();
    Ok(rival(Rival::Aws(Aws::new(aws::Settings {
        target: given.number("target").unwrap_or(preset.target),
        period_ms: given.ms("period").unwrap_or(preset.period_ms),
        out_cooldown_ms: given.ms("out-cooldown").unwrap_or(preset.out_cooldown_ms),
        in_cooldown_ms: given.ms("in-cooldown").unwrap_or(preset.in_cooldown_ms),
    }))))
}

pub(super) static NOMAD: Entry = Entry {
    name: "nomad",
    meaning: "the Nomad autoscaler's target-value strategy on mean CPU",
    short: &[&["target"], &["cooldown"]],
    settings: &[
        row("target", Takes::Share(1.0), Is("70%"), "the target for mean CPU usage"),
        row(
            "cooldown",
            Takes::Duration(0),
            Is("5m"),
            "time after a change in which nothing is evaluated",
        ),
        row(
            "evaluation-interval",
            Takes::Duration(1_000),
            Is("10s"),
            "time from one evaluation to the next",
        ),
        row(
            "threshold",
            Takes::ShareOrNone(1.0),
            Is("1%"),
            "a factor this close to 1 changes nothing",
        ),
    ],
    build: nomad,
};

fn nomad(given: &Given) -> Result<Kind, String> {
    let preset = nomad::Settings::default();
    Ok(rival(Rival::Nomad(Nomad::new(nomad::Settings {
        target: given.number("target").unwrap_or(preset.target),
        cooldown_ms: given.ms("cooldown").unwrap_or(preset.cooldown_ms),
        evaluation_ms: given.ms("evaluation-interval").unwrap_or(preset.evaluation_ms),
        threshold: given.number("threshold").unwrap_or(preset.threshold),
    }))))
}

pub(super) static AMEST: Entry = Entry {
    name: "amest",
    meaning: "the AMEST autoscaler for Docker Swarm",
    short: &[],
    settings: &[
        row("min", Takes::Count(0), Is("2"), "its own minimum"),
        row("max", Takes::Count(1), Is("15"), "its own maximum"),
        row("out-at", Takes::Share(1.0), Is("85%"), "a median CPU over this share adds one"),
        row(
            "in-at",
            Takes::ShareOrNone(1.0),
            Is("25%"),
            "a median CPU under this share removes one",
        ),
        row("interval", Takes::Duration(1_000), Is("5m"), "time from one check to the next"),
    ],
    build: amest,
};

fn amest(given: &Given) -> Result<Kind, String> {
    let preset = amest::Settings::default();
    let (out_at, in_at) = thresholds(given, (preset.out_at, preset.in_at))?;
    let min = given.count("min").unwrap_or(preset.min);
    let max = given.count("max").unwrap_or(preset.max);
    if min > max {
        return Err(format!("min of {min} is greater than max of {max}"));
    }
    let interval_ms = given.ms("interval").unwrap_or(preset.interval_ms);
    Ok(rival(Rival::Amest(Amest::new(amest::Settings { min, max, out_at, in_at, interval_ms }))))
}

pub(super) static JCWIMER: Entry = Entry {
    name: "jcwimer",
    meaning: "jcwimer's script for Docker Swarm",
    short: &[],
    settings: &[
        row(
            "out-at",
            Takes::Share(100.0),
            Is("85%"),
            "a sum of CPU over this share of one core adds one",
        ),
        row(
            "in-at",
            Takes::ShareOrNone(100.0),
            Is("25%"),
            "a sum of CPU under this share of one core removes one",
        ),
        row("interval", Takes::Duration(1_000), Is("1m"), "time from one check to the next"),
    ],
    build: jcwimer,
};

fn jcwimer(given: &Given) -> Result<Kind, String> {
    let preset = jcwimer::Settings::default();
    let (out_at, in_at) = thresholds(given, (preset.out_at, preset.in_at))?;
    let interval_ms = given.ms("interval").unwrap_or(preset.interval_ms);
    let settings = jcwimer::Settings { out_at, in_at, interval_ms };
    Ok(rival(Rival::Jcwimer(Jcwimer::new(settings))))
}

pub(super) static MARATHON_LB: Entry = Entry {
    name: "marathon-lb",
    meaning: "marathon-lb-autoscale on HAProxy's own measurements",
    short: &[&["target-rps"]],
    settings: &[
        row(
            "target-rps",
            Takes::Number(0.001),
            Is("1000"),
            "requests per second that one replica serves",
        ),
        row("interval", Takes::Duration(1_000), Is("1m"), "time from one sample to the next"),
        row("samples", Takes::Count(1), Is("10"), "samples averaged"),
        row(
            "threshold-percent",
            Takes::ShareOrNone(100.0),
            Is("50%"),
            "it acts when the rate per replica is off by this much ...",
        ),
        row("threshold-instances", Takes::Count(1), Is("3"), "... or the count is, ..."),
        row("intervals-past-threshold", Takes::Count(1), Is("3"), "... for this many intervals"),
        row(
            "cooldown",
            Takes::Count(0),
            Is("5"),
            "intervals without action after an action, less those of the samples",
        ),
    ],
    build: marathon_lb,
};

fn marathon_lb(given: &Given) -> Result<Kind, String> {
    let preset = marathon_lb::Settings::default();
    Ok(rival(Rival::MarathonLb(MarathonLb::new(marathon_lb::Settings {
        target_per_s: given.number("target-rps").unwrap_or(preset.target_per_s),
        interval_ms: given.ms("interval").unwrap_or(preset.interval_ms),
        samples: given.count("samples").unwrap_or(preset.samples),
        off_share: given.number("threshold-percent").unwrap_or(preset.off_share),
        off_count: given.count("threshold-instances").unwrap_or(preset.off_count),
        intervals_off: given.count("intervals-past-threshold").unwrap_or(preset.intervals_off),
        cooldown: given.count("cooldown").unwrap_or(preset.cooldown),
    }))))
}

pub(super) static SEED: Entry = Entry {
    name: "seed",
    meaning: "the 2014 sketch that flyball grew from",
    short: &[],
    settings: &[
        row("out-at", Takes::Share(1.0), Is("30%"), "a mean CPU at or over this share adds one"),
        row(
            "in-at",
            Takes::ShareOrNone(1.0),
            Is("15%"),
            "a mean CPU at or under this share removes one",
        ),
        row("interval", Takes::Duration(1_000), Is("1m"), "time from one check to the next"),
    ],
    build: seed,
};

fn seed(given: &Given) -> Result<Kind, String> {
    let preset = sketch::Settings::default();
    let (out_at, in_at) = thresholds(given, (preset.out_at, preset.in_at))?;
    let interval_ms = given.ms("interval").unwrap_or(preset.interval_ms);
    Ok(rival(Rival::Sketch(Sketch::new(sketch::Settings { out_at, in_at, interval_ms }))))
}
