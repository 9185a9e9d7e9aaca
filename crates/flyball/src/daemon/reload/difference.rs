//! What differs between two configurations, in the words of the file.

use flyball_config::{Balancer, Config, Service};
use flyball_core::policy::Rule;

/// What differs beside the services and cannot change while flyball runs.
pub(super) fn fixed_keys(own: &Config, wanted: &Config) -> Vec<&'static str> {
    let mut wanted = wanted.clone();
    // What labels may do can change.
    wanted.docker.permits.clone_from(&own.docker.permits);
    wanted.swarm.permits.clone_from(&own.swarm.permits);
    wanted.marathon.permits.clone_from(&own.marathon.permits);
    wanted.haproxy.backends.clone_from(&own.haproxy.backends);
    let (daemon, other) = (&own.daemon, &wanted.daemon);
    let pairs = [
        ("listen in [flyball]", daemon.listen != other.listen),
        ("state_dir in [flyball]", daemon.state_dir != other.state_dir),
        ("token_file in [flyball]", daemon.token_file != other.token_file),
        ("read_token_file in [flyball]", daemon.read_token_file != other.read_token_file),
        ("activator in [flyball]", daemon.activator != other.activator),
        ("activator_address in [flyball]", daemon.activator_address != other.activator_address),
        ("[docker]", own.docker != wanted.docker),
        ("[swarm]", own.swarm != wanted.swarm),
        ("[mesos]", own.mesos != wanted.mesos),
        ("[marathon]", own.marathon != wanted.marathon),
        ("[ha]", own.ha != wanted.ha),
        ("[proxy]", own.proxy != wanted.proxy),
        ("[haproxy]", own.haproxy != wanted.haproxy),
        ("[notify]", own.notify != wanted.notify),
        ("[zabbix]", own.zabbix != wanted.zabbix),
    ];
    pairs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// What differs of a service beside its engine and its balancer.
pub(super) fn changed_keys(own: &Service, wanted: &Service) -> Vec<String> {
    let (from, to) = (&own.policy, &wanted.policy);
    let mut keys = Vec::new();
    if from.bounds.min != to.bounds.min {
        keys.push(format!("min {} -> {}", from.bounds.min, to.bounds.min));
    }
    if from.bounds.max != to.bounds.max {
        keys.push(format!("max {} -> {}", from.bounds.max, to.bounds.max));
    }
    let (before, after) = (&from.timing, &to.timing);
    let pairs = [
        ("policy", from.rule != to.rule),
        ("interval", before.interval_ms != after.interval_ms),
        ("start_lag", before.start_lag_prior_ms != after.start_lag_prior_ms),
        ("start_limit", before.start_limit_ms != after.start_limit_ms),
        ("drain", before.drain_limit_ms != after.drain_limit_ms),
        ("sick_after", before.sick_after_ms != after.sick_after_ms),
        ("eject_max", differs(before.eject_max, after.eject_max)),
        ("surge", from.rollout.surge != to.rollout.surge),
        ("abort_after", from.rollout.abort_after != to.rollout.abort_after),
        ("sleep.after", from.sleep != to.sleep),
        ("update", from.rollout.update != to.rollout.update),
        ("ready", own.ready != wanted.ready),
        ("liveness", own.liveness_ms != wanted.liveness_ms),
        ("error_limit", differs(own.error_limit, wanted.error_limit)),
    ];
    keys.extend(pairs.into_iter().filter(|(_, is)| *is).map(|(key, _)| key.to_owned()));
    if keys.is_empty() && from != to {
        keys.push("policy".to_owned());
    }
    keys
}

fn differs(a: f64, b: f64) -> bool {
    a.total_cmp(&b).is_ne()
}

/// The policy goes by the slots that the balancer really has.
pub(super) fn keep_slots(own: &Service, wanted: &mut Service) {
    if let Rule::Governor(governor) = &mut wanted.policy.rule {
        governor.slots = match &own.balancer {
            Balancer::Proxy { slots, .. } | Balancer::Haproxy { slots, .. } => *slots,
            Balancer::None => None,
        };
    }
}

/// What holds requests has its settings from its start. Whether they stay as they were.
pub(super) fn keep_activator(own: &Service, wanted: &mut Service) -> bool {
    let keeps =
        (own.hold, own.activator, &own.hosts) != (wanted.hold, wanted.activator, &wanted.hosts);
    (wanted.hold, wanted.activator) = (own.hold, own.activator);
    wanted.hosts.clone_from(&own.hosts);
    keeps
}

/// The embedded proxy has it from its start. Whether it stays as it was.
pub(super) fn keep_eject_max(own: &Service, wanted: &mut Service) -> bool {
    let (before, after) = (own.policy.timing.eject_max, &mut wanted.policy.timing.eject_max);
    let keeps = matches!(own.balancer, Balancer::Proxy { .. }) && differs(before, *after);
    if keeps {
        *after = before;
    }
    keeps
}
