//! Start and stop of the daemon. It starts completely or not at all. It stops within a limit: first
//! it takes no new requests, then it stops the replicas, and the history is closed last.

pub(crate) mod balancers;
mod claims;
mod control_loop;
mod counters;
mod deploys;
mod discovery;
pub(crate) mod engines;
mod event_publisher;
mod generations;
mod history;
#[cfg(test)]
mod hour;
pub(crate) mod labelled;
mod leadership_guard;
pub(crate) mod live;
mod loop_log;
mod notifications;
mod overrides;
mod owners;
pub(crate) mod preflight;
mod probe;
mod registry;
mod reload;
mod repeats;
#[cfg(test)]
mod rollouts;
#[cfg(test)]
mod scripted;
mod service_settings;
mod service_state;
mod sick;
mod standby;
pub(crate) mod state_dir;
mod supervisor;
mod trouble;
pub(crate) mod zabbix;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyball_config::{Config, parse_duration};
use flyball_journal::{Journal, Retention, StoredManual};
use flyball_web::{Daemon as Port, Server, Token, WebSettings, serve};
use flyball_zookeeper::Candidate;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::descriptors::{self, Budget};
use crate::failure::Failure;
use balancers::BalancerHosts;
pub(crate) use counters::LoopCounters;
use engines::hosts::EngineHosts;
use engines::process;
use leadership_guard::LeadershipGuard;
use overrides::{MANUALS, Overrides, ROLLOUTS};
use registry::HandedOn;
pub(crate) use registry::{Registry, ServiceState};
pub(crate) use reload::ReadConfig;
use reload::Reloader;
pub(crate) use standby::Standby;
use state_dir::StateDir;
use supervisor::Supervisor;
use zabbix::ZabbixExporter;

/// A stop that takes longer is cut short: the longest drain and grace that make sense, twice over.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// What follows labels may be in the middle of an answer, or of starting a service.
const FOLLOW_LIMIT: Duration = Duration::from_secs(5);

/// A running daemon.
pub(crate) struct Daemon {
    registry: Arc<Registry>,
    web: Server,
    supervisor: Arc<Supervisor>,
    journal: Arc<Journal>,
    zabbix: Option<ZabbixExporter>,
    /// Reads Zabbix triggers for services that follow them.
    advice: Option<JoinHandle<()>>,
    /// Tasks that follow labels and the journal until the daemon stops.
    following: JoinSet<()>,
    stop: watch::Sender<bool>,
    /// Dropped last: while it lives no other daemon runs on the same state directory.
    _home: StateDir,
}

impl Daemon {
    /// Starts everything that `config` names; what the next flyball must know goes through
    /// `shared`, where there are several.
    ///
    /// # Errors
    /// The first thing that cannot be had; nothing is left running then.
    pub(crate) async fn start(
        config: &Config,
        shared: Option<Arc<Candidate>>,
    ) -> Result<Self, Failure> {
        let descriptors = descriptors::raise();
        let budget = Budget::of(config, descriptors.now);
        if let Some((what, remedy)) = budget.shortage() {
            tracing::warn!("{what}; hint: {remedy}");
        }
        let home = StateDir::take(&config.daemon.state_dir)?;
        let tokens = Tokens::read(config)?;
        let journal = Arc::new(Journal::open(&config.daemon.state_dir, Retention::default()));
        let mut manuals = journal.manuals();
        let handed_on = match &shared {
            None => None,
            Some(candidate) => Some(take_over(candidate, &journal, &mut manuals).await),
        };
        let connections_max = budget.api;
        let limits =
            process::Limits { descriptors: descriptors.before, replicas_max: budget.processes };
        let engines = EngineHosts::open(config, &home, limits, shared.clone()).await?;
        let registry = Arc::new(Registry::new(Arc::clone(&journal), shared.clone(), handed_on));
        let zabbix = config.zabbix.as_ref().map(ZabbixExporter::start).transpose()?;
        let sink = zabbix.as_ref().map(ZabbixExporter::sink);
        let advised = config.zabbix.as_ref().is_some_and(|zabbix| zabbix.api.is_some());
        let supervisor = Arc::new(Supervisor {
            engines,
            balancers: BalancerHosts::open(config, &budget).await?,
            registry: Arc::clone(&registry),
            journal: Arc::clone(&journal),
            manuals: Mutex::new(manuals),
            sink,
            advised,
            guard: LeadershipGuard(shared),
            loops: Mutex::default(),
            config: Mutex::new(Arc::new(config.clone())),
        });
        let mut ready = Vec::new();
        for service in config.services.values() {
            ready.push(supervisor.prepare(service, None).await?);
        }
        let (stop, stopped) = watch::channel(false);
        let port = Arc::clone(&registry);
        let web = serve_web(config, (tokens, connections_max), port, stopped.clone()).await?;
        for service in ready {
            supervisor.begin(service);
        }
        let following = follow_all(config, &home, &supervisor, &journal, &stopped)?;
        let advised = config.zabbix.clone().filter(|zabbix| zabbix.api.is_some());
        let advice = advised.map(|settings| {
            tokio::spawn(zabbix::follow(settings, Arc::clone(&registry), stop.subscribe()))
        });
        Ok(Self {
            registry,
            web,
            supervisor,
            journal,
            zabbix,
            advice,
            following,
            stop,
            _home: home,
        })
    }

    /// From now on `read` gives the configuration again, for SIGHUP and `flyball reload`.
    pub(crate) fn reload_by(&mut self, read: ReadConfig) {
        let (orders, ordered) = mpsc::channel(reload::ORDERS_MAX);
        let reloader = Reloader {
            read,
            config: Config::clone(&self.supervisor.config()),
            supervisor: Arc::clone(&self.supervisor),
            leaving: BTreeMap::new(),
            waiting: BTreeMap::new(),
        };
        self.following.spawn(reloader.serve(ordered, self.stop.subscribe()));
        self.registry.reload_by(orders);
    }

    /// Where the API and the page are.
    pub(crate) fn address(&self) -> SocketAddr {
        self.web.address
    }

    /// All services as they are now.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Ends everything, in order, within [`STOP_LIMIT`].
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = timeout(STOP_LIMIT, async {
            // First the tasks that could add another service.
            if timeout(FOLLOW_LIMIT, join_all(&mut self.following)).await.is_err() {
                self.following.shutdown().await;
            }
            self.supervisor.stop().await;
            self.supervisor.balancers.close().await;
            self.web.finished().await;
            if let Some(advice) = self.advice {
                // It may be waiting for an answer.
                advice.abort();
                let _ended = advice.await;
            }
            if let Some(zabbix) = self.zabbix {
                zabbix.stop().await;
            }
        });
        if ended.await.is_err() {
            tracing::warn!(
                "stopping took longer than {} s and was cut short",
                STOP_LIMIT.as_secs()
            );
        }
        let journal = self.journal;
        let closed = tokio::task::spawn_blocking(move || journal.close()).await;
        if let Ok(Err(error)) = closed {
            tracing::warn!("the last second of history may be lost: {error}");
        }
    }
}

/// What the leader before told this one, in the place of what is in `manuals` and in the journal. It
/// counts as asked for here.
async fn take_over(
    candidate: &Arc<Candidate>,
    journal: &Journal,
    manuals: &mut BTreeMap<String, StoredManual>,
) -> HandedOn {
    let own = std::mem::take(manuals);
    let (kept, known) = Overrides::take_over(Arc::clone(candidate), MANUALS, own).await;
    *manuals = known;
    let own = journal.rollouts();
    let (rollouts, known) =
        Overrides::take_over(Arc::clone(candidate), ROLLOUTS, own.clone()).await;
    let ended = own.keys().filter(|service| !known.contains_key(*service));
    for service in known.keys().chain(ended) {
        if let Err(error) = journal.set_rollout(service, known.get(service)) {
            tracing::warn!("{service}: the order about its rollout is not in the journal: {error}");
        }
    }
    HandedOn { manuals: kept, rollouts: Arc::new(rollouts) }
}

async fn join_all(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!("a task that follows labels or the journal failed: {error}");
        }
    }
}

/// Begins to follow the journal, and the labels that `config` wants followed.
fn follow_all(
    config: &Config,
    home: &StateDir,
    supervisor: &Arc<Supervisor>,
    journal: &Arc<Journal>,
    stopped: &watch::Receiver<bool>,
) -> Result<JoinSet<()>, Failure> {
    let mut following = JoinSet::new();
    if !config.notify.is_empty() {
        let registry = Arc::clone(&supervisor.registry);
        let targets = notifications::targets(config);
        following.spawn(notifications::follow(targets, registry, stopped.clone()));
    }
    following.spawn(history::follow(Arc::clone(journal), Arc::clone(supervisor), stopped.clone()));
    discovery::follow_all(config, home, supervisor, stopped, &mut following)?;
    Ok(following)
}

/// What callers must present.
struct Tokens {
    change: Option<Token>,
    read: Option<Token>,
}

impl Tokens {
    fn read(config: &Config) -> Result<Self, Failure> {
        let of_file = |path: &PathBuf| {
            Token::of_file(path).map_err(|error| {
                Failure::new(format!("cannot use the token in {}: {error}", path.display()))
                    .hint("put one line of at least 16 letters and digits into it")
            })
        };
        let daemon = &config.daemon;
        Ok(Self {
            change: daemon.token_file.as_ref().map(of_file).transpose()?,
            read: daemon.read_token_file.as_ref().map(of_file).transpose()?,
        })
    }
}

async fn serve_web(
    config: &Config,
    (tokens, connections_max): (Tokens, usize),
    port: Arc<dyn Port>,
    mut stopped: watch::Receiver<bool>,
) -> Result<Server, Failure> {
    let settings = WebSettings {
        listen: config.daemon.listen.to_string(),
        token: tokens.change,
        read_token: tokens.read,
        connections_max,
        parse_duration_ms: |text| parse_duration(text).map_err(|error| error.to_string()),
    };
    let stop = async move {
        // A closed channel means that the daemon is gone: stop, too.
        let _gone = stopped.wait_for(|stop| *stop).await;
    };
    Ok(serve(settings, port, stop).await?)
}
