//! The policy `step`, and the keys that it has in common with `external`.

use flyball_core::policy::{Rule, StepRule};

use crate::reader::{
    DAY_MS, Form, HOUR_MS, Keys, Kind, REPLICAS_MAX, Read, count, duration, section, share,
    share_above_zero,
};
use crate::share::show_share;

section! {
    /// Settings of the step policy.
    StepKeys "services.NAME.policy.step" {
        /// How much, and when.
        pace: PaceKeys = PACE, group "";
        /// CPU usage of a replica is averaged over this time.
        window: u64 = duration(1_000, HOUR_MS), default "\"1m\"", label Always;
    }
}

section! {
    /// How many replicas, at which thresholds, and how often.
    PaceKeys "" {
        /// Replicas are added while mean CPU usage is at or above this share of the limit.
        out_at: f64 = share_above_zero(1.0), default "\"30%\"", label Always;
        /// Replicas are removed while mean CPU usage is at or below this share of the limit. Must
        /// be less than `out_at`.
        in_at: f64 = share(1.0), default "\"15%\"", label Always;
        /// How many replicas to add or remove at a time.
        by: u32 = count(1, REPLICAS_MAX), default "1", label Always;
        /// The least time between two changes.
        cooldown: u64 = duration(0, DAY_MS), default "\"1m\"", label Always;
    }
}

/// Thresholds that do not meet, and what follows from them.
pub(super) const PACE: Kind<PaceKeys> = Kind {
    form: Form::Group(PaceKeys::SECTION),
    read: Read::Group(|reader| {
        let keys = PaceKeys::read(reader);
        if let (Some(out_at), Some(in_at)) = (keys.out_at.value, keys.in_at.value)
            && in_at >= out_at
        {
            let what =
                format!("{} is not less than out_at = {}", show_share(in_at), show_share(out_at));
            let instead = "set in_at to half of out_at so that the count does not oscillate";
            let at = if keys.in_at.is_absent() { keys.out_at.place() } else { keys.in_at.place() };
            reader.reports.add(keys.in_at.fault(&what, instead), at);
        }
        Some(keys)
    }),
};

impl StepKeys {
    pub(super) fn rule(self) -> Option<Rule> {
        let pace = self.pace.value?;
        Some(Rule::Step(StepRule {
            out_at: pace.out_at.value?,
            in_at: pace.in_at.value?,
            by: pace.by.value?,
            cooldown_ms: pace.cooldown.value?,
            cpu_window_ms: self.window.value?,
        }))
    }
}
