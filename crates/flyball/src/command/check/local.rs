//! Checks commands of processes, and finds out on which host the balancer of a service runs.

use flyball_config::{Balancer, Config, Process, Service};
use flyball_haproxy::Haproxy;

use super::Finding;
use crate::daemon::{HaproxyPlace, haproxy_settings, process_settings};

/// Whether the command of a process can be run, and tells its program where to serve.
pub(super) fn runnable(name: &str, process: &Process) -> Vec<Finding> {
    let key = format!("services.{name}.command");
    let settings = process_settings(name, process);
    let command = match settings.find_command() {
        Ok(path) => {
            Finding { key: key.clone(), ok: true, text: path.display().to_string(), hint: None }
        }
        Err(error) => {
            let (text, hint) = (error.to_string(), error.hint());
            Finding { key: key.clone(), ok: false, text, hint }
        }
    };
    let port = settings.port_fault().map(|fault| Finding {
        key,
        ok: !fault.is_certain(),
        text: fault.to_string(),
        hint: Some(fault.hint()),
    });
    [command].into_iter().chain(port).collect()
}

/// What the machine calls itself that the requests of `service` come from; `None` if it does not say.
pub(super) async fn balancer_host(config: &Config, service: &Service) -> Option<String> {
    match &service.balancer {
        Balancer::Proxy { .. } | Balancer::None => flyball_docker::own_host_name(),
        Balancer::Haproxy { backend, slots } => {
            let place = HaproxyPlace::of(config);
            Haproxy::node_at(&haproxy_settings(service, backend, *slots, place)).await
        }
    }
}
