//! HAProxy as a balancer: built and checked from the configuration.

use std::path::PathBuf;

use flyball_config as config;
use flyball_config::{Backend, Config, Service};
use flyball_engine::Hint as _;
use flyball_haproxy::{
    Checks, Haproxy, HaproxySettings, Level, OwnedFile, OwnedFiles, ServerOptions, Socket,
    TemplateServers,
};

use crate::clock;
use crate::failure::Failure;
use crate::finding::Finding;

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
    ) -> Result<Haproxy, Failure> {
        let haproxy = Haproxy::connect(settings(service, backend, slots, self), clock::now).await;
        haproxy.map_err(|error| Failure::of_service(&service.name, &error, error.hint()))
    }

    /// What its machine calls itself; `None` if it does not say.
    pub(super) async fn node(
        &self,
        service: &Service,
        backend: &Backend,
        slots: Option<u32>,
    ) -> Option<String> {
        Haproxy::node_at(&settings(service, backend, slots, self)).await
    }

    /// Adds what follows from the keys of a service to the findings of the adapter. `files` are
    /// HAProxy's own, where they are named.
    pub(super) async fn check(
        &self,
        service: &Service,
        backend: &Backend,
        slots: Option<u32>,
        files: &[PathBuf],
    ) -> Vec<Finding> {
        let found = Haproxy::check(&settings(service, backend, slots, self), files).await;
        let key = format!("services.{}.haproxy", service.name);
        let finding = |f: flyball_haproxy::Finding| Finding {
            key: key.clone(),
            ok: f.level != Level::Wrong,
            text: f.what,
            hint: f.hint,
        };
        found.into_iter().map(finding).chain(asleep(service, &key)).collect()
    }
}

fn settings(
    service: &Service,
    backend: &config::Backend,
    slots: Option<u32>,
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

/// HAProxy does not hold requests, so requests that arrive while there is no replica fail.
fn asleep(service: &Service, key: &str) -> Option<Finding> {
    (service.policy.bounds.min == 0).then(|| {
        Finding::good(key, "without a replica HAProxy answers 503 at once")
            .hint("set min = 1, or use balancer = \"proxy\", which holds requests")
    })
}
