//! Turns a `[services.NAME]` table into a validated service. What two services cannot share is
//! checked by the caller.

/// `Debug` of a type with texts that may be secrets: of those, the names alone.
macro_rules! debug_without_values {
    ($type:ident { $($field:ident $(. $names:ident ())?),* }) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type))
                    $( .field(stringify!($field), &self.$field $(.$names())?) )*
                    .finish()
            }
        }
    };
}

mod activator;
mod balancer;
mod docker;
mod engine;
mod keys;
mod marathon;
mod mesos;
mod process;
mod ready;
mod rollout;
mod sleep;
mod swarm;

use std::collections::BTreeSet;

use flyball_core::policy::{Bounds, Policy, Rule, Timing};

pub use activator::{Activator, Hold};
pub use balancer::{Backend, Balancer, OwnedFile, Template};
pub use docker::{Container, ExtraRights, Log, Reach};
pub use engine::Engine;
pub(crate) use keys::ServiceKeys;
pub use marathon::MarathonApp;
pub use mesos::Task;
pub use process::Process;
pub use ready::Ready;
pub use sleep::SleepMode;
pub use swarm::{SwarmService, TaskReach};

use crate::claims::Claims;
use crate::duration::show_duration;
use crate::reader::Reports;

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Everything that deciding needs to know.
    pub policy: Policy,
    /// What runs its replicas.
    pub engine: Engine,
    /// What spreads requests over them.
    pub balancer: Balancer,
    /// When a started replica counts as ready.
    pub ready: Ready,
    /// Time from one probe of a ready replica to the next, in milliseconds; 0: it is not probed.
    pub liveness_ms: u64,
    /// The share of a minute's requests that may fail before that is said, in 0..=1.
    pub error_limit: f64,
    /// How requests wait for a replica.
    pub hold: Hold,
    /// What takes its requests behind HAProxy while no replica is ready.
    pub activator: Activator,
    /// Its host names, in lower case.
    pub hosts: BTreeSet<String>,
}

/// The service called `name` in `keys`; `None` if anything was reported. Its claims are returned
/// even if the rest is wrong, so that the same run reports a clash.
pub(crate) fn service(
    name: &str,
    keys: &ServiceKeys,
    reports: &mut Reports,
) -> (Option<Service>, Claims) {
    let (balancer, mut claims) = balancer::balancer(keys, name, reports);
    activator::claim(keys, &mut claims);
    let engine = engine::engine(keys, name, reports);
    let bounds = bounds(keys, reports);
    let timing = timing(keys, reports);
    let rollout = rollout::rollout(keys);
    let rule = rule(keys);
    let wakes = balancer != Some(Balancer::None) || rule == Some(Rule::External) || rule.is_none();
    if let (Some(Bounds { min: 0, .. }), false) = (bounds, wakes) {
        let instead = "write min = 1: without a balancer, no request can wake the service";
        keys.min.refuse("0 requires a balancer", instead, reports);
    }
    sleep::check(keys, balancer.as_ref(), reports);
    let sleep = rule.as_ref().zip(bounds).and_then(|(rule, b)| sleep::sleep(keys, rule, b));
    let any = Ready::Http { path: "/".to_owned(), any_but_failure: true };
    let service = (|| {
        let policy = Policy {
            service: name.to_owned(),
            bounds: bounds?,
            rule: rule?,
            timing: timing?,
            rollout: rollout?,
            sleep,
        };
        Some(Service {
            name: name.to_owned(),
            policy,
            engine: engine?,
            balancer: balancer?,
            ready: keys.ready.value.clone()?.unwrap_or(any),
            liveness_ms: keys.liveness.value?,
            error_limit: keys.error_limit.value?,
            hold: activator::hold(keys)?,
            activator: activator::activator(keys)?,
            hosts: keys.host.value.clone()?,
        })
    })();
    (service, claims)
}

/// 1 to 63 of a-z, 0-9 and -, no - in front: fits a host name's part, a label and a file name.
pub(crate) fn is_service_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn bounds(keys: &ServiceKeys, reports: &mut Reports) -> Option<Bounds> {
    let bounds = Bounds { min: keys.min.value?, max: keys.max.value? };
    if bounds.min > bounds.max {
        let at = if keys.min.is_absent() { &keys.max } else { &keys.min };
        let what = format!("{} is more than max = {}", bounds.min, bounds.max);
        at.report(keys.min.fault(&what, "raise max or lower min"), reports);
    }
    Some(bounds)
}

fn rule(keys: &ServiceKeys) -> Option<Rule> {
    let mut rule = keys.policy.value.clone()?;
    if let Rule::Governor(governor) = &mut rule {
        governor.slots = keys.slots.value.flatten();
    }
    Some(rule)
}

fn timing(keys: &ServiceKeys, reports: &mut Reports) -> Option<Timing> {
    let lag = keys.start_lag.value.map(|lag| lag.unwrap_or(engine::start_lag_ms(keys)));
    let limit = keys.start_limit.value;
    let given = !(keys.start_lag.is_absent() && keys.start_limit.is_absent());
    if let (Some(lag_ms), Some(limit_ms), true) = (lag, limit, given)
        && lag_ms > limit_ms
    {
        let at = if keys.start_lag.given().is_some() {
            keys.start_lag.place()
        } else {
            keys.start_limit.place()
        };
        let (lag, limit) = (show_duration(lag_ms), show_duration(limit_ms));
        let what = format!("{lag} is more than start_limit = {limit}");
        let instead = "raise start_limit, or every start is abandoned";
        reports.add(keys.start_lag.fault(&what, instead), at);
    }
    let preset = Timing::default();
    let interval_ms = keys.interval.value?;
    // Three missed looks, as the preset is for the slowest look interval that flyball chooses.
    let stale_after_ms = preset.stale_after_ms.max(interval_ms.unwrap_or(0).saturating_mul(3));
    Some(Timing {
        interval_ms,
        start_lag_prior_ms: lag?,
        start_limit_ms: limit?,
        drain_limit_ms: keys.drain.value?,
        stale_after_ms,
        sick_after_ms: keys.sick_after.value?,
        eject_max: keys.eject_max.value?,
    })
}
