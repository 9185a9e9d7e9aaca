//! A candidate for leadership, of which ZooKeeper picks one. Two terms never overlap, and each has
//! a higher number than the one before; [`crate::lease`] explains why.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use zookeeper_client::{
    Acls, Client, CreateMode, Error, LockClient, LockOptions, LockPrefix, Stat,
};

use crate::leader_store::LeaderStore;
use crate::lease::{Lease, Moment};
use crate::{Ensemble, ZookeeperError};

/// What candidates are called in ZooKeeper, beside a number.
const NAME: &str = "flyball-";
/// Between two tries to get a session.
const PAUSE: Duration = Duration::from_millis(200);

/// Where and how to stand.
#[derive(Clone, Debug)]
pub struct CandidateSettings {
    /// All candidates at this path compete for one leadership.
    pub ensemble: Ensemble,
    /// How long ZooKeeper waits for word from a leader, in milliseconds: what is gained by a
    /// shorter one is a quicker takeover, what is lost is patience with a slow network.
    pub session_ms: u64,
    /// What others see of the leader, such as the address of its dashboard.
    pub word: String,
}

/// A stretch of leading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    /// Higher than that of every term before, of any leader (ZooKeeper's transaction number).
    pub number: i64,
}

/// The leader, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Its identity, see [`CandidateSettings::word`].
    pub word: String,
    /// Its term.
    pub term: Term,
    /// When that began, by ZooKeeper's clock, in milliseconds since 1970-01-01 UTC.
    pub since_wall_ms: i64,
}

/// Stands for election until dropped; a leader that is dropped makes room at once.
///
/// ```text
///            session            lock                    lock gone, session expired
///  connect --------> stand ------------> lead --------------------------------------> connect
///                                         |  an answer from ZooKeeper renews the lease
///                                         |  none for 2/3 of a session: no term, until there is
/// ```
pub struct Candidate {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    term: Option<(Term, Lease)>,
    leader: Option<Leader>,
    /// While the lock is held.
    store: Option<LeaderStore>,
    silent: Option<ZookeeperError>,
}

impl Candidate {
    /// Begins to stand.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn stand(settings: CandidateSettings) -> Self {
        let shared: Arc<Shared> = Arc::default();
        let task = tokio::spawn(run(settings, Arc::clone(&shared)));
        Self { shared, task }
    }

    /// The term, while this one may act. To be asked right before each action: an action may take
    /// a third of a session from then on.
    pub fn term(&self) -> Option<Term> {
        let now = Moment::now();
        self.shared.state().term.and_then(|(term, lease)| lease.holds(now).then_some(term))
    }

    /// The leader that was last seen; [`Self::silent`] says whether that may be old.
    pub fn leader(&self) -> Option<Leader> {
        self.shared.state().leader.clone()
    }

    /// Why ZooKeeper cannot be asked, while it cannot.
    pub fn silent(&self) -> Option<ZookeeperError> {
        self.shared.state().silent.clone()
    }

    /// What was last written down under `name`, by whichever leader; `None` if nothing was.
    ///
    /// # Errors
    /// This one does not lead, or ZooKeeper does not answer.
    pub async fn noted(&self, name: &str) -> Result<Option<String>, ZookeeperError> {
        self.store()?.read(name).await
    }

    /// Stores `text` under `name`, unless another flyball leads by now.
    ///
    /// # Errors
    /// This one does not lead, or ZooKeeper does not answer.
    pub async fn note(&self, name: &str, text: &str) -> Result<(), ZookeeperError> {
        self.store()?.write(name, text).await
    }

    fn store(&self) -> Result<LeaderStore, ZookeeperError> {
        let store = self.shared.state().store.clone();
        store.filter(|_| self.term().is_some()).ok_or(ZookeeperError::NotLeading)
    }

    /// Waits until a term began or ended since the last call, as far as that was an event: the end
    /// of a lease comes with time alone. For one caller at a time.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.shared.leave();
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the lock is released: then others may lead. Nothing holds on to the session, either.
    fn leave(&self) {
        let mut state = self.state();
        (state.term, state.store) = (None, None);
    }

    fn lost(&self, why: &ZookeeperError) {
        self.leave();
        let mut state = self.state();
        if state.silent.as_ref() != Some(why) {
            tracing::warn!("{why}");
        }
        state.silent = Some(why.clone());
        drop(state);
        self.changed.notify_one();
    }
}

async fn run(settings: CandidateSettings, shared: Arc<Shared>) {
    let wanted = Duration::from_millis(settings.session_ms);
    loop {
        let client = match settings.ensemble.connect(wanted).await {
            Ok(client) => client,
            Err(why) => {
                shared.lost(&why);
                sleep(PAUSE).await;
                continue;
            }
        };
        shared.state().silent = None;
        let Err(why) = stand(&settings, &client, &shared).await;
        shared.lost(&why);
        sleep(PAUSE).await;
    }
}

/// From a session to its end, or to that of a term.
async fn stand(
    settings: &CandidateSettings,
    client: &Client,
    shared: &Shared,
) -> Result<Infallible, ZookeeperError> {
    let mut states = client.state_watcher();
    let ended = async { while !states.changed().await.is_terminated() {} };
    let standing = async {
        let lock = tokio::select! {
            lock = lock(settings, client) => lock?,
            never = watch_leader(settings, client, shared) => match never? {},
        };
        lead(settings, client, &lock, shared).await
    };
    tokio::select! {
        standing = standing => standing,
        () = ended => {
            let (servers, why) = (settings.ensemble.servers.clone(), "the session ended".into());
            Err(ZookeeperError::Unreachable { servers, why })
        }
    }
}

/// Waits, for as long as it takes, until no candidate is ahead of this one.
async fn lock<'a>(
    settings: &'a CandidateSettings,
    client: &'a Client,
) -> Result<LockClient<'a>, ZookeeperError> {
    let refused = |error: Error| ZookeeperError::Refused {
        servers: settings.ensemble.servers.clone(),
        what: "join the election",
        why: error.to_string(),
    };
    let acls = Acls::anyone_all();
    let ancestors = CreateMode::Persistent.with_acls(acls);
    let options = LockOptions::new(acls).with_ancestor_options(ancestors).map_err(refused)?;
    let prefix = LockPrefix::new_curator(&settings.ensemble.path, NAME).map_err(refused)?;
    client.lock(prefix, settings.word.as_bytes(), options).await.map_err(refused)
}

impl Leader {
    /// A word on the first line and, once its term has begun, since when on the second.
    fn read(data: &[u8], stat: &Stat) -> Option<Self> {
        let text = std::str::from_utf8(data).ok()?;
        let (word, since) = text.split_once('\n').unwrap_or((text, ""));
        let since_wall_ms = since.parse().unwrap_or(stat.mtime);
        Some(Self { word: word.to_owned(), term: Term { number: stat.czxid }, since_wall_ms })
    }

    fn written(&self) -> String {
        format!("{}\n{}", self.word, self.since_wall_ms)
    }
}

/// Keeps the identity of the leader.
async fn watch_leader(
    settings: &CandidateSettings,
    client: &Client,
    shared: &Shared,
) -> Result<Infallible, ZookeeperError> {
    let every = client.session_timeout() / 3;
    loop {
        let heard = leader(settings, client, every).await;
        {
            let mut state = shared.state();
            match heard {
                Ok(leader) => (state.leader, state.silent) = (leader, None),
                Err(why) => state.silent = Some(why),
            }
        }
        sleep(every).await;
    }
}

async fn leader(
    settings: &CandidateSettings,
    client: &Client,
    limit: Duration,
) -> Result<Option<Leader>, ZookeeperError> {
    let ensemble = &settings.ensemble;
    let names =
        ensemble.ask("list candidates", limit, client.list_children(&ensemble.path)).await?;
    match standing(names).first() {
        Some(first) => ensemble.leader_at(client, first, limit).await,
        None => Ok(None),
    }
}

/// The nodes of candidates, that of the leader first.
pub(crate) fn standing(names: Vec<String>) -> Vec<String> {
    let number = |name: &String| name.rsplit_once(NAME)?.1.parse::<u64>().ok();
    let mut names: Vec<_> = names.into_iter().filter(|name| number(name).is_some()).collect();
    names.sort_by_key(number);
    names
}

impl Ensemble {
    /// The identity of a candidate; `None` if it has gone.
    pub(crate) async fn leader_at(
        &self,
        client: &Client,
        name: &str,
        limit: Duration,
    ) -> Result<Option<Leader>, ZookeeperError> {
        let path = format!("{}/{name}", self.path);
        let read = async {
            match client.get_data(&path).await {
                Ok(read) => Ok(Some(read)),
                // It has gone since it was listed.
                Err(Error::NoNode) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let read = self.ask("read a candidate", limit, read).await?;
        Ok(read.and_then(|(data, stat)| Leader::read(&data, &stat)))
    }
}

/// Leads until the lock is gone. The lease ends by itself whenever ZooKeeper is silent.
async fn lead(
    settings: &CandidateSettings,
    client: &Client,
    lock: &LockClient<'_>,
    shared: &Shared,
) -> Result<Infallible, ZookeeperError> {
    // What the servers granted, which may be other than what was asked for.
    let session = client.session_timeout();
    let (ensemble, path) = (&settings.ensemble, lock.lock_path().to_owned());
    shared.state().store = Some(LeaderStore {
        ensemble: ensemble.clone(),
        client: client.clone(),
        lock: path.clone(),
        limit: session / 3,
    });
    let mut ticks = interval(session / 6);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut text = settings.word.clone();
    loop {
        ticks.tick().await;
        let sent = Moment::now();
        // A write, so that more than half of the servers have it; and only while the lock is there.
        let write = lock.set_data(&path, text.as_bytes(), None);
        match ensemble.ask("renew the lease", session / 3, write).await {
            Ok(stat) => {
                if let Some(leader) = Leader::read(text.as_bytes(), &stat) {
                    text = leader.written();
                    shared.renew(leader, session, sent);
                }
            }
            Err(ZookeeperError::Silent { .. }) => {
                tracing::debug!("zookeeper does not answer: the lease is not renewed");
            }
            Err(why) => {
                shared.leave();
                return Err(why);
            }
        }
    }
}

impl Shared {
    fn renew(&self, leader: Leader, session: Duration, sent: Moment) {
        let term = leader.term;
        let mut state = self.state();
        match &mut state.term {
            Some((known, lease)) if *known == term => lease.renew(sent),
            other => {
                *other = Some((term, Lease::new(session, sent)));
                (state.leader, state.silent) = (Some(leader), None);
                drop(state);
                tracing::info!(term = term.number, "this flyball is the leader");
                self.changed.notify_one();
            }
        }
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("term", &self.term()).finish_non_exhaustive()
    }
}
