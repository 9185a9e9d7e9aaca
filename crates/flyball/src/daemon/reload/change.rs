//! Applies what differs of one service that runs: what the file says of it, or its labels.

use std::sync::Arc;

use flyball_config::Service;
use flyball_docker::Owner;

use super::difference::{changed_keys, keep_activator, keep_eject_max, keep_slots};
use crate::daemon::engines::{self, Reconfigured};
use crate::daemon::registry::ServiceState;
use crate::daemon::service_settings::ServiceSettings;
use crate::daemon::supervisor::Supervisor;
use crate::failure::Failure;

/// What a change came to.
pub(in crate::daemon) struct Change {
    /// The service as it is now.
    pub(in crate::daemon) in_force: Service,
    pub(in crate::daemon) applied: Vec<String>,
    /// What stays as it was, and why.
    pub(in crate::daemon) kept: Vec<String>,
}

impl Supervisor {
    /// Makes the running service `own` what is `wanted`, as far as it can change; `None` where no
    /// such service runs. `owner`: to whom it belongs, if it exists by its labels.
    pub(in crate::daemon) fn change(
        &self,
        own: &Service,
        wanted: Service,
        owner: Option<&Owner>,
    ) -> Option<Change> {
        let slot = self.registry.slot(&own.name)?;
        let mut change = Change { in_force: wanted, applied: Vec::new(), kept: Vec::new() };
        let name = &own.name;
        if own.balancer != change.in_force.balancer {
            change.kept.push(fixed(name, "balancer, with its listen, slots and backend"));
            change.in_force.balancer = own.balancer.clone();
            keep_slots(own, &mut change.in_force);
        }
        if keep_activator(own, &mut change.in_force) {
            change.kept.push(fixed(name, "activator, with wait_limit, page and host"));
        }
        if keep_eject_max(own, &mut change.in_force) {
            change.kept.push(fixed(name, "eject_max"));
        }
        if own.engine != change.in_force.engine {
            self.change_engine(&slot, own, owner, &mut change);
        }
        let rule = &mut change.in_force.policy.rule;
        if rule.is_advised() && !self.advised {
            change.kept.push(format!("{name}: policy stays: the Zabbix API is not configured"));
            rule.clone_from(&own.policy.rule);
        }
        let keys = changed_keys(own, &change.in_force);
        if !keys.is_empty() {
            slot.set_settings(ServiceSettings::from(&change.in_force));
            change.applied.push(format!("{name}: {}", keys.join(", ")));
        }
        slot.set_not_applied(change.kept.clone());
        Some(change)
    }

    fn change_engine(
        &self,
        slot: &Arc<ServiceState>,
        own: &Service,
        owner: Option<&Owner>,
        change: &mut Change,
    ) {
        let name = &own.name;
        let (from, to) = (engines::name(&own.engine), engines::name(&change.in_force.engine));
        let why_not = if from != to {
            fixed(name, &format!("engine {from} to {to}"))
        } else if let Some(engine) = slot.running_engine() {
            match engine.reconfigure(name, &own.engine, &change.in_force.engine, owner) {
                Ok(outcome) => {
                    let line = self.take_up(slot, &engine, outcome);
                    return change.applied.push(format!("{name}: {line}"));
                }
                Err(failure) => format!("{name}: {}", told(&failure)),
            }
        } else {
            format!("{name}: it is ending; reload again")
        };
        change.in_force.engine = own.engine.clone();
        change.kept.push(why_not);
    }

    /// Does what is left to do once the engine has other settings. Gives what to say of it.
    fn take_up(
        &self,
        slot: &Arc<ServiceState>,
        engine: &Arc<engines::Engine>,
        outcome: Reconfigured,
    ) -> String {
        match outcome {
            Reconfigured::Generation(generation) => {
                slot.deploys.follow_file();
                self.registry.keep_order(slot);
                format!("replicas are made as generation {generation}")
            }
            Reconfigured::Settings(generation) => {
                slot.deploys.forget_rollback();
                self.registry.keep_order(slot);
                slot.wake();
                match generation {
                    Some(generation) => format!("replicas are made as generation {generation}"),
                    None => "replicas are made with other settings".to_owned(),
                }
            }
            Reconfigured::Image(image) => {
                slot.set_configured_image(Some(image.clone()));
                self.registry.deploy(slot, engine, Some(image.clone()), "reload");
                format!("image {image}")
            }
        }
    }
}

fn told(failure: &Failure) -> String {
    let hint = failure.way_out().map(|hint| format!("; hint: {hint}"));
    format!("{}{}", failure.what(), hint.unwrap_or_default())
}

fn fixed(service: &str, key: &str) -> String {
    format!(
        "{service}: {key} cannot change while flyball runs: the old value goes on until a restart"
    )
}
