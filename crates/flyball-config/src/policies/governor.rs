//! The policy `governor`.

use flyball_core::policy::{Governor, Rule};

use crate::reader::{DAY_MS, HOUR_MS, duration, section, share_above_zero};

section! {
    /// Settings of the default policy.
    GovernorKeys "services.NAME.policy.governor" {
        /// The largest share of its time that a replica should be busy.
        busy_cap: f64 = share_above_zero(1.0), default "\"85%\"", label Always;
        /// How long there must be a surplus before replicas are removed.
        hold: Option<u64> = duration(0, DAY_MS), optional
            "three start lags, within 10 s and 5 min", label Always;
        /// The time within which 99 % of requests should be answered. If they are not although the
        /// replicas are no busier than planned, up to 60 % more replicas are kept. Only the
        /// embedded proxy measures latency.
        slo: Option<u64> = duration(1, HOUR_MS), optional
            "latency does not affect the count", label Always;
    }
}

impl GovernorKeys {
    pub(super) fn rule(self) -> Option<Rule> {
        Some(Rule::Governor(Governor {
            busy_cap: self.busy_cap.value?,
            hold_ms: self.hold.value?,
            slo_ms: self.slo.value?,
            slots: None,
        }))
    }
}
