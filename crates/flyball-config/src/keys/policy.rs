//! Keys of a service's policy.

use super::{ByLabel, Fallback, HOUR_MS, Key, Kind, REPLICAS_MAX, Section, duration, key};

pub(crate) static POLICY: Section = Section {
    path: "services.NAME.policy",
    meaning: "Set exactly one of these keys.",
    keys: &[&GOVERNOR_TABLE, &TARGET_TABLE, &STEP_TABLE, &EXTERNAL_TABLE],
};
pub(crate) static GOVERNOR_TABLE: Key = key(
    "governor",
    Kind::Table("services.NAME.policy.governor"),
    Fallback::Otherwise("the default policy"),
    "Compares arrivals times measured work per request with the capacity that already runs.",
)
.by_label(ByLabel::Always);
pub(crate) static TARGET_TABLE: Key = key(
    "target",
    Kind::Table("services.NAME.policy.target"),
    Fallback::Otherwise("not used"),
    "Keeps mean CPU usage at a target, with the formula of the Kubernetes Horizontal Pod Autoscaler.",
)
.by_label(ByLabel::Always);
pub(crate) static STEP_TABLE: Key = key(
    "step",
    Kind::Table("services.NAME.policy.step"),
    Fallback::Otherwise("not used"),
    "Adds replicas above one threshold of mean CPU usage and removes them below another.",
)
.by_label(ByLabel::Always);

pub(crate) static EXTERNAL_TABLE: Key = key(
    "external",
    Kind::Table("services.NAME.policy.external"),
    Fallback::Otherwise("not used"),
    "Adds or removes replicas while triggers of another program are active: `\"zabbix\"`, or a table.",
)
.by_label(ByLabel::Always);

pub(crate) static GOVERNOR: Section = Section {
    path: "services.NAME.policy.governor",
    meaning: "Settings of the default policy.",
    keys: &[&BUSY_CAP, &HOLD, &SLO],
};
pub(crate) static BUSY_CAP: Key = key(
    "busy_cap",
    Kind::Share { above_zero: true, to: 1.0 },
    Fallback::Is("\"85%\""),
    "The largest share of its time that a replica should be busy.",
)
.by_label(ByLabel::Always);
pub(crate) static HOLD: Key = key(
    "hold",
    duration(0, 24 * HOUR_MS),
    Fallback::Otherwise("three start lags, within 10 s and 5 min"),
    "How long there must be a surplus before replicas are removed.",
)
.by_label(ByLabel::Always);
pub(crate) static SLO: Key = key(
    "slo",
    duration(1, HOUR_MS),
    Fallback::Otherwise("latency does not affect the count"),
    "The time within which 99 % of requests should be answered. If they are not although the replicas are no busier than planned, up to 60 % more replicas are kept. Only the embedded proxy measures latency.",
)
.by_label(ByLabel::Always);

pub(crate) static TARGET: Section = Section {
    path: "services.NAME.policy.target",
    meaning: "Settings of the target policy. The defaults are those of Kubernetes.",
    keys: &[
        &CPU,
        &TOLERANCE,
        &IN_WINDOW,
        &OUT_WINDOW,
        &OUT_BY,
        &OUT_SHARE,
        &IN_SHARE,
        &TARGET_WINDOW,
    ],
};
pub(crate) static CPU: Key = key(
    "cpu",
    Kind::Share { above_zero: true, to: 1.0 },
    Fallback::Is("\"80%\""),
    "The target for mean CPU usage, as a share of a replica's CPU limit.",
)
.by_label(ByLabel::Always);
pub(crate) static TOLERANCE: Key = key(
    "tolerance",
    Kind::Share { above_zero: false, to: 1.0 },
    Fallback::Is("\"10%\""),
    "The count does not change while the ratio of measured to target CPU usage is this close to 1.",
)
.by_label(ByLabel::Always);
pub(crate) static IN_WINDOW: Key = key(
    "in_window",
    duration(0, HOUR_MS),
    Fallback::Is("\"5m\""),
    "Scale-in uses the largest count recommended within this time.",
)
.by_label(ByLabel::Always);
pub(crate) static OUT_WINDOW: Key = key(
    "out_window",
    duration(0, HOUR_MS),
    Fallback::Is("\"0s\""),
    "Scale-out uses the smallest count recommended within this time.",
)
.by_label(ByLabel::Always);
pub(crate) static OUT_BY: Key = key(
    "out_by",
    Kind::Count { from: 1, to: REPLICAS_MAX },
    Fallback::Is("4"),
    "The count may grow by this many within 15 s, or by `out_share` if that is more.",
)
.by_label(ByLabel::Always);
pub(crate) static OUT_SHARE: Key = key(
    "out_share",
    Kind::Share { above_zero: false, to: 100.0 },
    Fallback::Is("\"100%\""),
    "The count may grow by this share of itself within 15 s, or by `out_by` if that is more.",
)
.by_label(ByLabel::Always);
pub(crate) static IN_SHARE: Key = key(
    "in_share",
    Kind::Share { above_zero: true, to: 1.0 },
    Fallback::Is("\"100%\""),
    "The count may shrink by this share of itself within 15 s.",
)
.by_label(ByLabel::Always);
pub(crate) static TARGET_WINDOW: Key = key(
    "window",
    duration(1_000, HOUR_MS),
    Fallback::Is("\"15s\""),
    "CPU usage of a replica is averaged over this time.",
)
.by_label(ByLabel::Always);

pub(crate) static STEP: Section = Section {
    path: "services.NAME.policy.step",
    meaning: "Settings of the step policy.",
    keys: &[&OUT_AT, &IN_AT, &BY, &COOLDOWN, &STEP_WINDOW],
};
pub(crate) static OUT_AT: Key = key(
    "out_at",
    Kind::Share { above_zero: true, to: 1.0 },
    Fallback::Is("\"30%\""),
    "Replicas are added while mean CPU usage is at or above this share of the limit.",
)
.by_label(ByLabel::Always);
pub(crate) static IN_AT: Key = key(
    "in_at",
    Kind::Share { above_zero: false, to: 1.0 },
    Fallback::Is("\"15%\""),
    "Replicas are removed while mean CPU usage is at or below this share of the limit. Must be less than `out_at`.",
)
.by_label(ByLabel::Always);
pub(crate) static BY: Key = key(
    "by",
    Kind::Count { from: 1, to: REPLICAS_MAX },
    Fallback::Is("1"),
    "How many replicas to add or remove at a time.",
)
.by_label(ByLabel::Always);
pub(crate) static COOLDOWN: Key = key(
    "cooldown",
    duration(0, 24 * HOUR_MS),
    Fallback::Is("\"1m\""),
    "The least time between two changes.",
)
.by_label(ByLabel::Always);
pub(crate) static STEP_WINDOW: Key = key(
    "window",
    duration(1_000, HOUR_MS),
    Fallback::Is("\"1m\""),
    "CPU usage of a replica is averaged over this time.",
)
.by_label(ByLabel::Always);
