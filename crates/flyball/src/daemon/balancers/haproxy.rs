//! HAProxy as a balancer: built and checked from the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use flyball_config as config;
use flyball_config::{Backend, Config, Service};
use flyball_core::observation::{BalancerReport, EngineReport, Phase, Reading, Route};
use flyball_core::units::ReplicaId;
use flyball_engine::Hint as _;
use flyball_haproxy::{
    Checks, Haproxy, HaproxySettings, Level, OwnedFile, OwnedFiles, ServerOptions, Socket,
    TemplateServers,
};
use flyball_proxy::Proxy;

use super::activator::Sum;
use super::proxy::Served;
use crate::clock;
use crate::failure::Failure;
use crate::finding::Finding;

/// A backend of HAProxy, with what takes its requests while no replica is ready.
pub(crate) struct BehindHaproxy {
    haproxy: Haproxy,
    activator: Option<Served>,
    sum: Mutex<Sum>,
}

impl BehindHaproxy {
    pub(crate) fn new(haproxy: Haproxy, activator: Option<Served>) -> Self {
        Self { haproxy, activator, sum: Mutex::default() }
    }

    pub(super) fn activator(&self) -> Option<&Proxy> {
        self.activator.as_ref().map(|served| &served.proxy)
    }

    /// What both saw. The requests that are at the activator are none of HAProxy's servers'.
    pub(super) async fn observe(&self) -> Reading<BalancerReport> {
        let reading = self.haproxy.observe().await;
        match (reading, self.activator()) {
            (Reading::Taken { at, value }, Some(activator)) => {
                let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
                Reading::Taken { at, value: sum.of(value, activator) }
            }
            (reading, _) => reading,
        }
    }

    /// Lets the activator know of replicas that HAProxy has from an earlier run.
    pub(super) fn acquaint(&self, report: &BalancerReport, engine: &EngineReport) {
        let Some(activator) = self.activator() else { return };
        let is_routed = |id: &ReplicaId| {
            report.servers.get(id).is_some_and(|server| server.route == Route::Routed)
        };
        for replica in engine.replicas.iter().filter(|replica| is_routed(&replica.id)) {
            if let (Phase::Ready, Some(address)) = (replica.phase, replica.address) {
                activator.route(&replica.id, address);
            }
        }
    }

    pub(super) async fn node(&self) -> Option<String> {
        self.haproxy.node().await
    }

    /// First the activator: requests that wait there are to be answered at once.
    pub(super) fn route(&self, replica: &ReplicaId, address: SocketAddr) {
        if let Some(activator) = self.activator() {
            activator.route(replica, address);
        }
        self.haproxy.route(replica, address);
    }

    pub(super) fn drain(&self, replica: &ReplicaId) {
        self.haproxy.drain(replica);
        if let Some(activator) = self.activator() {
            activator.drain(replica);
        }
    }

    pub(super) async fn changed(&self) {
        match self.activator() {
            None => self.haproxy.changed().await,
            Some(activator) => tokio::select! {
                () = self.haproxy.changed() => {}
                () = activator.changed() => {}
            },
        }
    }

    /// HAProxy forgets the activator before that takes no more requests.
    pub(super) async fn shutdown(self) {
        self.haproxy.shutdown().await;
        if let Some(activator) = self.activator {
            activator.shutdown().await;
        }
    }
}

/// Where HAProxy is, and what of its files are flyball's.
pub(super) struct HaproxyHost {
    /// Where it takes commands.
    socket: Socket,
    /// What every file is below.
    directory: PathBuf,
    /// Which service has which: one for all, so that two services with one file show.
    files: OwnedFiles,
}

impl HaproxyHost {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            socket: socket(&config.haproxy.socket),
            directory: config.haproxy.directory.clone(),
            files: OwnedFiles::default(),
        }
    }

    pub(super) async fn build(
        &self,
        service: &Service,
        backend: &Backend,
        slots: Option<u32>,
        activator: Option<SocketAddr>,
    ) -> Result<Haproxy, Failure> {
        let settings = settings(service, backend, (slots, activator), self);
        let haproxy = Haproxy::connect(settings, clock::now).await;
        haproxy.map_err(|error| Failure::of_service(&service.name, &error, error.hint()))
    }

    /// What its machine calls itself; `None` if it does not say.
    pub(super) async fn node(
        &self,
        service: &Service,
        backend: &Backend,
        slots: Option<u32>,
    ) -> Option<String> {
        Haproxy::node_at(&settings(service, backend, (slots, None), self)).await
    }

    /// Adds what follows from the keys of a service to the findings of the adapter. `files` are
    /// HAProxy's own, where they are named.
    pub(super) async fn check(
        &self,
        service: &Service,
        backend: &Backend,
        (slots, activator): (Option<u32>, Option<SocketAddr>),
        files: &[PathBuf],
    ) -> Vec<Finding> {
        let settings = settings(service, backend, (slots, activator), self);
        let found = Haproxy::check(&settings, files).await;
        let key = format!("services.{}.haproxy", service.name);
        let finding = |f: flyball_haproxy::Finding| Finding {
            key: key.clone(),
            ok: f.level != Level::Wrong,
            text: f.what,
            hint: f.hint,
        };
        found.into_iter().map(finding).collect()
    }
}

fn settings(
    service: &Service,
    backend: &config::Backend,
    (slots, activator): (Option<u32>, Option<SocketAddr>),
    haproxy: &HaproxyHost,
) -> HaproxySettings {
    let checks = match backend.check {
        None => Checks::WhereHttp,
        Some(true) => Checks::Always,
        Some(false) => Checks::Never,
    };
    let words = backend.options.clone();
    let file = |file: &config::OwnedFile| OwnedFile {
        path: file.path.clone(),
        directory: haproxy.directory.clone(),
        lines: file.lines.iter().map(|line| format!("{line}\n")).collect(),
    };
    let template =
        |t: &config::Template| TemplateServers { prefix: t.prefix.clone(), count: t.count };
    HaproxySettings {
        service: service.name.clone(),
        server_options: ServerOptions { slots, checks, words, ..ServerOptions::default() },
        file: backend.file.as_ref().map(file),
        files: haproxy.files.clone(),
        must_ask: backend.must_ask,
        template_servers: backend.template.as_ref().map(template),
        activator,
        activator_wait_ms: service.hold.limit_ms,
        drain_limit_ms: service.policy.timing.drain_limit_ms,
        ..HaproxySettings::new(haproxy.socket.clone(), backend.name.clone())
    }
}

fn socket(socket: &config::Socket) -> Socket {
    match socket {
        config::Socket::Unix(path) => Socket::Unix(path.clone()),
        config::Socket::Tcp(place) => Socket::Tcp(place.clone()),
    }
}
