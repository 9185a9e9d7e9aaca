//! Reads the configuration file again and applies what changed, service by service. What did not
//! change is not touched, and an invalid file changes nothing.

mod change;
mod difference;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::{Config, ConfigErrors, Service};
use flyball_web::{ReloadError, ReloadReport};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::registry::ReloadOrder;
use super::supervisor::Supervisor;
use difference::fixed_keys;

/// How soon it is seen that a service has ended, or that one can begin that had to wait.
const INTERVAL: Duration = Duration::from_millis(500);
/// Reloads that may wait for each other.
pub(super) const ORDERS_MAX: usize = 4;

/// Reads the file that the daemon was started with.
pub(crate) type ReadConfig = Box<dyn Fn() -> Result<Config, ConfigErrors> + Send>;

/// The configuration in force, and what changes it.
pub(super) struct Reloader {
    pub(super) read: ReadConfig,
    pub(super) config: Config,
    pub(super) supervisor: Arc<Supervisor>,
    /// Services that the file names no more and whose replicas are drained.
    pub(super) leaving: BTreeMap<String, Service>,
    /// Services of the file that could not begin yet.
    pub(super) waiting: BTreeMap<String, Service>,
}

impl Reloader {
    /// Serves `orders` until it is stopped.
    pub(super) async fn serve(
        mut self,
        mut orders: mpsc::Receiver<ReloadOrder>,
        mut stop: watch::Receiver<bool>,
    ) {
        while !*stop.borrow() {
            let busy = !(self.leaving.is_empty() && self.waiting.is_empty());
            tokio::select! {
                Some(reply) = orders.recv() => {
                    // Who asked may have given up waiting.
                    let _gone = reply.try_send(self.reload().await);
                }
                () = sleep(INTERVAL), if busy => self.go_on().await,
                _ = stop.changed() => {}
            }
        }
    }

    async fn reload(&mut self) -> Result<ReloadReport, ReloadError> {
        let registry = Arc::clone(&self.supervisor.registry);
        let wanted = match (self.read)() {
            Ok(wanted) => wanted,
            Err(errors) => {
                let text = errors.to_string().trim_end().to_owned();
                tracing::error!(
                    "the configuration file is invalid, the earlier one goes on:\n{text}"
                );
                let first = text.lines().next().unwrap_or_default();
                let first = first.strip_prefix("error: ").unwrap_or(first);
                registry.set_reload_trouble(vec![format!(
                    "the configuration file is invalid, the earlier one goes on: {first}; hint: \
                     `flyball check` shows all of it"
                )]);
                return Err(ReloadError::Invalid(text));
            }
        };
        let mut report = ReloadReport::default();
        report.not_applied.extend(fixed_keys(&self.config, &wanted).into_iter().map(|key| {
            format!("{key} cannot change while flyball runs: the old value goes on until a restart")
        }));
        registry.set_reload_trouble(report.not_applied.clone());
        self.take_permits(&wanted, &mut report);
        self.take_services(wanted.services, &mut report).await;
        self.supervisor.set_config(self.config.clone());
        say(&report);
        Ok(report)
    }

    /// What labels may do from now on.
    fn take_permits(&mut self, wanted: &Config, report: &mut ReloadReport) {
        let config = &mut self.config;
        let pairs = [
            (&mut config.docker.permits, &wanted.docker.permits, "docker"),
            (&mut config.swarm.permits, &wanted.swarm.permits, "swarm"),
            (&mut config.marathon.permits, &wanted.marathon.permits, "marathon"),
        ];
        for (ours, wanted, table) in pairs {
            if ours != wanted {
                ours.clone_from(wanted);
                report.applied.push(format!("[{table}]: what labels may do"));
            }
        }
        if config.haproxy.backends != wanted.haproxy.backends {
            config.haproxy.backends.clone_from(&wanted.haproxy.backends);
            report.applied.push("[haproxy]: backends for labels".to_owned());
        }
    }

    async fn take_services(
        &mut self,
        wanted: BTreeMap<String, Service>,
        report: &mut ReloadReport,
    ) {
        self.waiting.clear();
        let gone: Vec<String> = self
            .config
            .services
            .keys()
            .filter(|name| !wanted.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            let Some(service) = self.config.services.remove(&name) else { continue };
            self.supervisor.drain_service(&name);
            report.applied.push(format!("{name}: removed; its replicas are drained and end"));
            self.leaving.insert(name, service);
        }
        for (name, service) in wanted {
            match self.config.services.get(&name) {
                Some(own) if *own == service => self.forget_not_applied(&name),
                Some(_) => self.change(service, report),
                None => self.add(service, report).await,
            }
        }
    }

    fn forget_not_applied(&self, name: &str) {
        if let Some(slot) = self.supervisor.registry.slot(name) {
            slot.set_not_applied(Vec::new());
        }
    }

    async fn add(&mut self, service: Service, report: &mut ReloadReport) {
        let name = service.name.clone();
        if let Some(left) = self.leaving.get(&name).cloned()
            && !self.supervisor.forget(&name)
        {
            // It has not ended yet: what is left of it goes on.
            self.leaving.remove(&name);
            self.supervisor.keep(&name);
            self.config.services.insert(name.clone(), left);
            report.applied.push(format!("{name}: kept"));
            return self.change(service, report);
        }
        self.leaving.remove(&name);
        match self.supervisor.prepare(&service, None).await {
            Ok(ready) => {
                self.supervisor.begin(ready);
                report.applied.push(format!("{name}: added"));
                self.config.services.insert(name, service);
            }
            Err(failure) => {
                let hint = failure.way_out().map(|hint| format!("; hint: {hint}"));
                let why = format!("{}{}", failure.what(), hint.unwrap_or_default());
                report.not_applied.push(format!("{name}: not added yet, it is tried again: {why}"));
                self.waiting.insert(name, service);
            }
        }
    }

    /// Applies what differs of a service that runs.
    fn change(&mut self, wanted: Service, report: &mut ReloadReport) {
        let name = wanted.name.clone();
        let Some(own) = self.config.services.get(&name) else { return };
        let Some(change) = self.supervisor.change(own, wanted, None) else { return };
        report.applied.extend(change.applied);
        report.not_applied.extend(change.kept);
        self.config.services.insert(name, change.in_force);
    }

    /// Forgets what has ended, and begins what had to wait.
    async fn go_on(&mut self) {
        let supervisor = Arc::clone(&self.supervisor);
        self.leaving.retain(|name, _| !supervisor.forget(name));
        for (name, service) in std::mem::take(&mut self.waiting) {
            match self.supervisor.prepare(&service, None).await {
                Ok(ready) => {
                    self.supervisor.begin(ready);
                    tracing::info!("{name}: added");
                    self.config.services.insert(name, service);
                    self.supervisor.set_config(self.config.clone());
                }
                Err(failure) => {
                    tracing::debug!("{name}: not added yet: {}", failure.what());
                    self.waiting.insert(name, service);
                }
            }
        }
    }
}

fn say(report: &ReloadReport) {
    if report.applied.is_empty() && report.not_applied.is_empty() {
        tracing::info!("the configuration file was read again: nothing changed");
    }
    for line in &report.applied {
        tracing::info!("reload: {line}");
    }
    for line in &report.not_applied {
        tracing::warn!("reload: {line}");
    }
}
