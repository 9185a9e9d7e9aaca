//! The control loops of all services and what they share. Every service in the registry has a loop,
//! and every loop has a service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flyball_config::{self as config, Config, Service, show_duration};
use flyball_core::decision::Decision;
use flyball_core::observation::Manual;
use flyball_docker::Owner;
use flyball_journal::{Journal, StoredManual, StoredRollout};
use flyball_web::Daemon as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::balancers::{self, Balancer, BalancerHosts};
use super::control_loop::{ControlLoop, ServiceMode};
use super::deploys;
use super::engines;
use super::engines::Engine;
use super::engines::hosts::EngineHosts;
use super::event_publisher::EventPublisher;
use super::leadership_guard::LeadershipGuard;
use super::loop_log::LoopLog;
use super::probe::Prober;
use super::registry::{Registry, ServiceState};
use super::service_settings::ServiceSettings;
use super::zabbix::SampleSink;
use crate::clock;
use crate::failure::Failure;

/// All loops.
pub(super) struct Supervisor {
    pub(super) engines: EngineHosts,
    pub(super) balancers: BalancerHosts,
    pub(super) registry: Arc<Registry>,
    pub(super) journal: Arc<Journal>,
    /// Manual overrides from before the start.
    pub(super) manuals: Mutex<BTreeMap<String, StoredManual>>,
    pub(super) sink: Option<SampleSink>,
    /// Whether services can follow Zabbix triggers.
    pub(super) advised: bool,
    pub(super) guard: LeadershipGuard,
    pub(super) loops: Mutex<Loops>,
    /// The configuration in force.
    pub(super) config: Mutex<Arc<Config>>,
}

#[derive(Default)]
pub(super) struct Loops {
    running: JoinSet<()>,
    modes: BTreeMap<String, watch::Sender<ServiceMode>>,
}

/// A service that could be started, its sources open, but does not look yet.
pub(super) struct Ready {
    look: ControlLoop,
    name: String,
}

impl Supervisor {
    /// Opens what `service` needs. `owner`: to whom it belongs, if it exists by its labels.
    ///
    /// # Errors
    /// What cannot be had; nothing is left open then.
    pub(super) async fn prepare(
        &self,
        service: &Service,
        owner: Option<&Owner>,
    ) -> Result<Ready, Failure> {
        if self.loops().modes.contains_key(&service.name) {
            let what = format!("service {} is already managed", service.name);
            return Err(Failure::new(what).hint("give one of the two another flyball.service"));
        }
        if service.policy.rule.is_advised() && !self.advised {
            let what = format!(
                "services.{}.policy follows Zabbix, but the Zabbix API is not configured",
                service.name
            );
            return Err(Failure::new(what).hint("set api and token_file under [zabbix]"));
        }
        let order = self.journal.rollouts().remove(&service.name);
        let deployed = with_deployed_image(service, order.as_ref());
        let engine = Arc::new(self.engines.build(&deployed, owner)?);
        let balancer = self.balancers.build(service).await?;
        let slot = Arc::new(slot(service, &balancer, &engine));
        if let Some(order) = order {
            // Processes ended with the flyball that knew what they were made of.
            slot.deploys.take_over(&order, engine.has_images());
            slot.deploys.failed().into_iter().for_each(|why| {
                tracing::warn!("{}: {why}", service.name);
            });
        }
        slot.set_manual(self.manuals().get(&service.name).and_then(still_holds));
        let prober = Prober::new(service.ready.clone(), service.liveness_ms);
        let (settings, journal) = (slot.settings(), Arc::clone(&self.journal));
        let policy = settings.policy.clone();
        let events = EventPublisher::new(self.registry.feed().clone(), &service.name);
        let sink = self.sink.clone();
        let (guard, log) = (self.guard.clone(), LoopLog::new(&service.name));
        let earlier = self.earlier(&service.name).await;
        let look = ControlLoop {
            policy,
            settings,
            engine,
            balancer,
            prober,
            slot,
            journal,
            events,
            sink,
            guard,
            log,
            earlier,
        };
        Ok(Ready { look, name: service.name.clone() })
    }

    /// Begins to look after a service.
    pub(super) fn begin(&self, ready: Ready) {
        let Ready { look, name } = ready;
        let (mode, followed) = watch::channel(ServiceMode::Run);
        self.registry.add(&name, Arc::clone(&look.slot));
        let mut loops = self.loops();
        loops.modes.insert(name, mode);
        loops.running.spawn(look.run(followed));
    }

    /// Shows on the page of a service what must not be missed about it.
    pub(super) fn remark(&self, service: &str, texts: Vec<String>) {
        if let Some(slot) = self.registry.slot(service) {
            slot.set_remarks(texts);
        }
    }

    /// Drains and removes all replicas of a service; its loop ends with the last of them.
    pub(super) fn drain_service(&self, name: &str) {
        self.set_mode(name, ServiceMode::Drain);
    }

    /// Manages a service again that was being drained.
    pub(super) fn keep(&self, name: &str) {
        self.set_mode(name, ServiceMode::Run);
    }

    /// Ends the loop of a service and leaves its replicas as they are.
    pub(super) fn end(&self, name: &str) {
        self.set_mode(name, ServiceMode::Stop);
    }

    /// Forgets a service whose loop has ended; false while it has not.
    pub(super) fn forget(&self, name: &str) -> bool {
        let mut loops = self.loops();
        if loops.modes.get(name).is_some_and(|mode| !mode.is_closed()) {
            return false;
        }
        loops.modes.remove(name);
        self.registry.remove(name);
        true
    }

    /// Puts in force what was asked by hand before and became known only now, unless something was
    /// asked since.
    pub(super) fn take_in(&self, late: BTreeMap<String, StoredManual>) {
        for (service, stored) in late {
            if let Some(slot) = self.registry.slot(&service)
                && slot.manual(clock::now()).is_none()
            {
                slot.set_manual(still_holds(&stored));
            }
            self.manuals().insert(service, stored);
        }
    }

    /// The same with orders about rollouts.
    pub(super) fn take_in_orders(&self, late: BTreeMap<String, StoredRollout>) {
        for (service, stored) in late {
            let Some(slot) = self.registry.slot(&service) else { continue };
            let Some(engine) = slot.running_engine() else { continue };
            if !slot.deploys.take_over_late(&stored, engine.has_images()) {
                continue;
            }
            tracing::info!("{service}: goes by the order about its rollout from before the start");
            let configured = slot.configured_image();
            let image = deploys::image_to_prepare(&stored, configured.as_deref());
            if let (Some(image), Some(deployed)) = (image, &stored.deployed) {
                self.registry.deploy(&slot, &engine, Some(image), &deployed.by);
            }
            slot.wake();
        }
    }

    /// The last decision before the restart, for what was learnt by then. Without history there is
    /// none, and learning begins anew.
    async fn earlier(&self, service: &str) -> Option<Box<Decision>> {
        let (registry, name) = (Arc::clone(&self.registry), service.to_owned());
        let read = move || registry.last_decision(&name);
        let last = tokio::task::spawn_blocking(read).await.ok().flatten()?;
        let ago = show_duration(clock::wall_ms_since(last.wall_ms));
        if last.signals.start_lag_measured {
            tracing::info!(
                "{service}: starts took {} before the restart, {ago} ago; this counts until new \
                 ones are measured",
                show_duration(last.signals.start_lag_ms)
            );
        }
        if let Some(rollout) = &last.rollout {
            tracing::info!("{service}: before the restart, {ago} ago: rollout {rollout}");
        }
        if let Some(growth) = last.learnt.and_then(|learnt| learnt.growth) {
            tracing::info!(
                "{service}: the objective goes on from {} of history that ended {ago} ago",
                show_duration(growth.learnt_ms)
            );
        }
        Some(Box::new(last))
    }

    /// The configuration in force: labels are read by it.
    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_config(&self, config: Config) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    fn manuals(&self) -> MutexGuard<'_, BTreeMap<String, StoredManual>> {
        self.manuals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_mode(&self, name: &str, to: ServiceMode) {
        if let Some(mode) = self.loops().modes.get(name) {
            mode.send_replace(to);
        }
    }

    fn loops(&self) -> MutexGuard<'_, Loops> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all loops and waits for them.
    pub(super) async fn stop(&self) {
        let mut running = {
            let mut loops = self.loops();
            for mode in loops.modes.values() {
                mode.send_replace(ServiceMode::Stop);
            }
            std::mem::take(&mut loops.running)
        };
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!("the loop of a service failed: {error}");
            }
        }
    }
}

fn slot(service: &Service, balancer: &Balancer, engine: &Arc<Engine>) -> ServiceState {
    let names = (engines::name(&service.engine), balancers::name(&service.balancer));
    let slot = ServiceState::new(ServiceSettings::from(service), names, balancer.address(), engine);
    slot.set_configured_image(engines::image(&service.engine));
    slot
}

/// `service` with the image that was deployed before a restart in the place of the one that the file
/// names. From its first look the engine must not take the file's for what is wanted.
fn with_deployed_image(service: &Service, order: Option<&StoredRollout>) -> Service {
    let mut service = service.clone();
    let named = engines::image(&service.engine);
    let deployed = order.and_then(|order| deploys::image_to_prepare(order, named.as_deref()));
    if let (config::Engine::Docker(container), Some(image)) = (&mut service.engine, deployed) {
        container.image = Some(image);
    }
    service
}

/// A manual override from before a restart, unless it ended meanwhile.
fn still_holds(stored: &StoredManual) -> Option<Manual> {
    if stored.until_wall_ms.is_some_and(|until| until <= clock::wall_ms()) {
        return None;
    }
    let until = stored.until_wall_ms.map(clock::moment_of);
    Some(Manual { ask: stored.ask, until, by: stored.by.clone() })
}
