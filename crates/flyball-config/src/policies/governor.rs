//! The policy `governor`.

use flyball_core::policy::{BUSY_CAP, Governor, Objective, Rule};

use crate::reader::{DAY_MS, HOUR_MS, duration, section, share_above_zero, table};

section! {
    /// Settings of the default policy.
    GovernorKeys "services.NAME.policy.governor" {
        /// How many requests may be late. The headroom follows from it, learnt from the service's
        /// own load and from what was late.
        objective: Option<ObjectiveKeys> = table::<ObjectiveKeys>(), optional
            "lateness does not affect the count", label Always;
        /// The largest share of its time that a replica should be busy. For experts: with an
        /// objective, what is learnt comes on top of it.
        busy_cap: Option<f64> = share_above_zero(1.0), optional
            "85%, or 97% with an objective", label Always;
        /// How long there must be a surplus before replicas are removed.
        hold: Option<u64> = duration(0, DAY_MS), optional
            "three start lags, within 10 s and 5 min", label Always;
    }
}

section! {
    /// How many requests may be late: `{ late = "1%", within = "250ms" }`.
    ObjectiveKeys "services.NAME.policy.governor.objective" {
        /// The largest share of requests that may be late.
        late: f64 = share_above_zero(0.5), default "\"1%\"", label Always;
        /// A request that takes longer is late, waiting included. The embedded proxy measures it.
        /// HAProxy only shows its queue: there, a request is late that waits longer.
        within: u64 = duration(1, HOUR_MS), default "\"250ms\"", label Always;
    }
}

impl GovernorKeys {
    pub(super) fn rule(self) -> Option<Rule> {
        let objective = match self.objective.value? {
            Some(keys) => Some(keys.objective()?),
            None => None,
        };
        let cap = if objective.is_some() { BUSY_CAP } else { Governor::default().busy_cap };
        Some(Rule::Governor(Governor {
            busy_cap: self.busy_cap.value?.unwrap_or(cap),
            hold_ms: self.hold.value?,
            objective,
            slots: None,
        }))
    }
}

impl ObjectiveKeys {
    fn objective(self) -> Option<Objective> {
        Some(Objective { late: self.late.value?, within_ms: self.within.value? })
    }
}
