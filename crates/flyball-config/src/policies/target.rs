//! The policy `target`.

use flyball_core::policy::{Rule, Target};

use crate::reader::{HOUR_MS, REPLICAS_MAX, count, duration, section, share, share_above_zero};

section! {
    /// Settings of the target policy. The defaults are those of Kubernetes.
    TargetKeys "services.NAME.policy.target" {
        /// The target for mean CPU usage, as a share of a replica's CPU limit.
        cpu: f64 = share_above_zero(1.0), default "\"80%\"", label Always;
        /// The count does not change while the ratio of measured to target CPU usage is this close
        /// to 1.
        tolerance: f64 = share(1.0), default "\"10%\"", label Always;
        /// Scale-in uses the largest count recommended within this time.
        in_window: u64 = duration(0, HOUR_MS), default "\"5m\"", label Always;
        /// Scale-out uses the smallest count recommended within this time.
        out_window: u64 = duration(0, HOUR_MS), default "\"0s\"", label Always;
        /// The count may grow by this many within 15 s, or by `out_share` if that is more.
        out_by: u32 = count(1, REPLICAS_MAX), default "4", label Always;
        /// The count may grow by this share of itself within 15 s, or by `out_by` if that is more.
        out_share: f64 = share(100.0), default "\"100%\"", label Always;
        /// The count may shrink by this share of itself within 15 s.
        in_share: f64 = share_above_zero(1.0), default "\"100%\"", label Always;
        /// CPU usage of a replica is averaged over this time.
        window: u64 = duration(1_000, HOUR_MS), default "\"15s\"", label Always;
    }
}

impl TargetKeys {
    pub(super) fn rule(self) -> Option<Rule> {
        Some(Rule::Target(Target {
            cpu: self.cpu.value?,
            tolerance: self.tolerance.value?,
            in_window_ms: self.in_window.value?,
            out_window_ms: self.out_window.value?,
            out_by: self.out_by.value?,
            out_share: self.out_share.value?,
            in_share: self.in_share.value?,
            cpu_window_ms: self.window.value?,
        }))
    }
}
