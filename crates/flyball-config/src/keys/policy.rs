//! The keys of a service's policy.
//!
//! Decides nothing beyond the table. Invariant: that of the table of keys.

use super::{Fallback, HOUR_MS, Key, Kind, REPLICAS_MAX, Section, duration, key};

pub(crate) static POLICY: Section = Section {
    path: "services.NAME.policy",
    meaning: "One of the four.",
    keys: &[&GOVERNOR_TABLE, &TARGET_TABLE, &STEP_TABLE, &EXTERNAL_TABLE],
};
pub(crate) static GOVERNOR_TABLE: Key = key(
    "governor",
    Kind::Table("services.NAME.policy.governor"),
    Fallback::Otherwise("the default policy"),
    "Arrivals times measured work per request, against the capacity already paid for.",
);
pub(crate) static TARGET_TABLE: Key = key(
    "target",
    Kind::Table("services.NAME.policy.target"),
    Fallback::Otherwise("not used"),
    "A mean CPU to keep, by the arithmetic of Kubernetes' horizontal pod autoscaler.",
);
pub(crate) static STEP_TABLE: Key = key(
    "step",
    Kind::Table("services.NAME.policy.step"),
    Fallback::Otherwise("not used"),
    "More above one threshold of mean CPU, fewer below another.",
);

pub(crate) static EXTERNAL_TABLE: Key = key(
    "external",
    Kind::Table("services.NAME.policy.external"),
    Fallback::Otherwise("not used"),
    "More or fewer while the triggers of another program say so: `\"zabbix\"`, or a table.",
);

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
);
pub(crate) static HOLD: Key = key(
    "hold",
    duration(0, 24 * HOUR_MS),
    Fallback::Otherwise("three start lags, within 10 s and 5 min"),
    "How long a surplus must last before it is removed.",
);
pub(crate) static SLO: Key = key(
    "slo",
    duration(1, HOUR_MS),
    Fallback::Otherwise("latency changes no count"),
    "The time in which 99 of 100 requests should be answered. While they are not although the replicas are as busy as planned, more are kept, up to 60 % more. Only the embedded proxy measures it.",
);

pub(crate) static TARGET: Section = Section {
    path: "services.NAME.policy.target",
    meaning: "Settings of the target policy; the defaults are Kubernetes' own.",
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
    "The mean share of its CPU limit that a replica should use.",
);
pub(crate) static TOLERANCE: Key = key(
    "tolerance",
    Kind::Share { above_zero: false, to: 1.0 },
    Fallback::Is("\"10%\""),
    "A ratio of measured to wanted CPU this close to 1 moves nothing.",
);
pub(crate) static IN_WINDOW: Key = key(
    "in_window",
    duration(0, HOUR_MS),
    Fallback::Is("\"5m\""),
    "Removing goes by the largest count recommended within this time.",
);
pub(crate) static OUT_WINDOW: Key = key(
    "out_window",
    duration(0, HOUR_MS),
    Fallback::Is("\"0s\""),
    "Adding goes by the smallest count recommended within this time.",
);
pub(crate) static OUT_BY: Key = key(
    "out_by",
    Kind::Count { from: 1, to: REPLICAS_MAX },
    Fallback::Is("4"),
    "Within 15 s the count may grow by this many, or by `out_share` if that is more.",
);
pub(crate) static OUT_SHARE: Key = key(
    "out_share",
    Kind::Share { above_zero: false, to: 100.0 },
    Fallback::Is("\"100%\""),
    "See `out_by`.",
);
pub(crate) static IN_SHARE: Key = key(
    "in_share",
    Kind::Share { above_zero: true, to: 1.0 },
    Fallback::Is("\"100%\""),
    "Within 15 s the count may shrink by this share of itself.",
);
pub(crate) static TARGET_WINDOW: Key = key(
    "window",
    duration(1_000, HOUR_MS),
    Fallback::Is("\"15s\""),
    "CPU of a replica is its mean over this time.",
);

pub(crate) static STEP: Section = Section {
    path: "services.NAME.policy.step",
    meaning: "Settings of the step policy.",
    keys: &[&OUT_AT, &IN_AT, &BY, &COOLDOWN, &STEP_WINDOW],
};
pub(crate) static OUT_AT: Key = key(
    "out_at",
    Kind::Share { above_zero: true, to: 1.0 },
    Fallback::Is("\"30%\""),
    "Mean CPU at or over this share of the limit adds replicas.",
);
pub(crate) static IN_AT: Key = key(
    "in_at",
    Kind::Share { above_zero: false, to: 1.0 },
    Fallback::Is("\"15%\""),
    "Mean CPU at or under this share removes replicas; less than `out_at`.",
);
pub(crate) static BY: Key =
    key("by", Kind::Count { from: 1, to: REPLICAS_MAX }, Fallback::Is("1"), "How many at a time.");
pub(crate) static COOLDOWN: Key = key(
    "cooldown",
    duration(0, 24 * HOUR_MS),
    Fallback::Is("\"1m\""),
    "Time after a change in which there is no other.",
);
pub(crate) static STEP_WINDOW: Key = key(
    "window",
    duration(1_000, HOUR_MS),
    Fallback::Is("\"1m\""),
    "CPU of a replica is its mean over this time.",
);
