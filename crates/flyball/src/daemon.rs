//! The daemon: everything that runs while services are looked after, and the order of its coming
//! and going.
//!
//! Decides that order and nothing else. Invariant: it starts whole or not at all, and it ends
//! bounded: first no new requests, then no replicas, last the history.

mod balancer;
mod board;
mod engine;
mod home;
mod look;
mod probe;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::{Config, parse_duration};
use flyball_core::observation::Manual;
use flyball_journal::{Journal, Retention, StoredManual};
use flyball_process::{Launcher, LauncherSettings};
use flyball_web::{Server, Token, WebSettings, serve};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clock;
use crate::failure::Failure;
use balancer::Balancer;
pub(crate) use board::{Board, Slot, Tally};
use engine::Engine;
use home::Home;
use look::Look;
use probe::Prober;

/// History is kept for so long...
const RETENTION_MS: u64 = 14 * 24 * 3_600_000;
/// ...and within so many bytes.
const RETENTION_BYTES: u64 = 1 << 30;
/// A stop that takes longer is cut short: the longest drain and grace that make sense, twice over.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A running daemon.
pub(crate) struct Daemon {
    board: Arc<Board>,
    web: Server,
    loops: JoinSet<()>,
    journal: Arc<Journal>,
    stop: watch::Sender<bool>,
    /// Where each service takes requests.
    addresses: BTreeMap<String, SocketAddr>,
    /// Dropped last: while it lives no other daemon runs on the same state directory.
    _home: Home,
}

impl Daemon {
    /// Starts everything that `config` names.
    ///
    /// # Errors
    /// The first thing that cannot be had; nothing is left running then.
    pub(crate) async fn start(config: &Config) -> Result<Self, Failure> {
        let home = Home::take(&config.daemon.state_dir)?;
        let token = read_token(config)?;
        let journal = open_journal(config)?;
        let launcher = Arc::new(Launcher::start(launcher_settings(&home)?)?);
        let manuals = journal.manuals()?;
        let (stop, stopped) = watch::channel(false);
        let (mut looks, mut slots) = (Vec::new(), BTreeMap::new());
        let mut addresses = BTreeMap::new();
        for (name, service) in &config.services {
            let engine = Engine::build(service, &launcher)?;
            let balancer = Balancer::build(service).await?;
            let address = balancer.address();
            addresses.extend(address.map(|address| (name.clone(), address)));
            let slot = Arc::new(slot(service, address));
            slot.set_manual(manuals.get(name).and_then(still_holds));
            slots.insert(name.clone(), Arc::clone(&slot));
            let prober = Prober::new(service.ready.clone());
            let (policy, journal) = (service.policy.clone(), Arc::clone(&journal));
            looks.push(Look { policy, engine, balancer, prober, slot, journal });
        }
        let board = Arc::new(Board::new(slots, Arc::clone(&journal), journal.reader()?));
        let web = serve_web(config, token, Arc::clone(&board), stopped.clone()).await?;
        let mut loops = JoinSet::new();
        for look in looks {
            loops.spawn(look.run(stopped.clone()));
        }
        Ok(Self { board, web, loops, journal, stop, addresses, _home: home })
    }

    /// Where the API and the page are.
    pub(crate) fn address(&self) -> SocketAddr {
        self.web.address
    }

    /// Where `service` takes requests, if a balancer of ours does.
    pub(crate) fn address_of(&self, service: &str) -> Option<SocketAddr> {
        self.addresses.get(service).copied()
    }

    /// All services as they are now.
    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Ends everything, in order, within [`STOP_LIMIT`].
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = timeout(STOP_LIMIT, async {
            while let Some(ended) = self.loops.join_next().await {
                if let Err(error) = ended {
                    tracing::error!("the loop of a service failed: {error}");
                }
            }
            self.web.finished().await;
        });
        if ended.await.is_err() {
            tracing::warn!(
                "stopping took longer than {} s and was cut short",
                STOP_LIMIT.as_secs()
            );
        }
        drop(self.board);
        match Arc::try_unwrap(self.journal) {
            Ok(journal) => {
                if let Err(error) = journal.close() {
                    tracing::warn!("the last second of history may be lost: {error}");
                }
            }
            Err(_) => tracing::warn!("the journal is still in use: its last second may be lost"),
        }
    }
}

fn slot(service: &flyball_config::Service, address: Option<SocketAddr>) -> Slot {
    let engine = match service.engine {
        flyball_config::Engine::Process(_) => "process",
    };
    let balancer = match service.balancer {
        flyball_config::Balancer::Proxy { .. } => "proxy",
        flyball_config::Balancer::None => "none",
    };
    let address = address.map(|address| format!("http://{address}"));
    Slot::new(service.policy.clone(), engine, balancer, address)
}

/// A wish from before a restart, unless it ended meanwhile.
fn still_holds(stored: &StoredManual) -> Option<Manual> {
    if stored.until_wall_ms.is_some_and(|until| until <= clock::wall_ms()) {
        return None;
    }
    let until = stored.until_wall_ms.map(clock::moment_of);
    Some(Manual { ask: stored.ask, until, by: stored.by.clone() })
}

fn read_token(config: &Config) -> Result<Option<Token>, Failure> {
    let Some(path) = &config.daemon.token_file else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    let token = Token::new(text.trim());
    token.map(Some).ok_or_else(|| {
        Failure::new(format!("{} holds no usable token", path.display()))
            .hint("put one line of at least 16 letters and digits into it")
    })
}

fn open_journal(config: &Config) -> Result<Arc<Journal>, Failure> {
    let retention = Retention { age_ms: RETENTION_MS, bytes_max: RETENTION_BYTES };
    let (journal, damaged) = Journal::open(&config.daemon.state_dir, retention)?;
    if let Some(damaged) = damaged {
        tracing::warn!(
            "the journal was damaged ({}) and begins anew; the old one is {}",
            damaged.why,
            damaged.moved_to.display()
        );
    }
    Ok(Arc::new(journal))
}

fn launcher_settings(home: &Home) -> Result<LauncherSettings, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find flyball's own program: {error}")))?;
    Ok(LauncherSettings {
        run_mark: home.run_mark(),
        home_mark: home.mark(),
        watchdog: Some(vec![program.into(), crate::cli::WATCHDOG.into()]),
        cgroup_mount: Some("/sys/fs/cgroup".into()),
    })
}

async fn serve_web(
    config: &Config,
    token: Option<Token>,
    board: Arc<Board>,
    mut stopped: watch::Receiver<bool>,
) -> Result<Server, Failure> {
    let settings = WebSettings {
        listen: config.daemon.listen.to_string(),
        token,
        parse_duration_ms: |text| parse_duration(text).map_err(|error| error.to_string()),
    };
    let stop = async move {
        // A closed channel means that the daemon is gone: stop, too.
        let _gone = stopped.wait_for(|stop| *stop).await;
    };
    Ok(serve(settings, board, stop).await?)
}
