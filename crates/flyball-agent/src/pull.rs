//! The client: asks the agents of all nodes again and again. No node delays another one.

mod client;
mod clock_offset;
mod node;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flyball_core::units::Timestamp;
use flyball_net::Token;
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use crate::{AgentError, Answer, PullError};
use client::bearer;
use node::Node;

pub use client::AgentClient;
pub use node::Metered;

/// The most nodes that are asked: those beyond are reported as silent. Docker recommends fewer than
/// a thousand nodes to a swarm; each costs a task and a connection.
const NODES_MAX: usize = 1_000;

/// The shortest pause between two questions to a node. Counters that lie closer together say
/// nothing, see `Busyness` in the core.
const INTERVAL_MIN_MS: u64 = 50;

/// How agents are asked.
#[derive(Clone, Debug)]
pub struct PullSettings {
    /// What is presented to them; `None` for agents that let anyone read.
    pub token: Option<Token>,
    /// The pause between two questions to a node, in milliseconds; raised to 50 where it is less.
    pub interval_ms: u64,
    /// The clock of the readings.
    pub clock: fn() -> Timestamp,
}

/// The agents of all nodes.
pub struct Agents {
    settings: PullSettings,
    runtime: Handle,
    asked: Mutex<BTreeMap<String, Asked>>,
    _token: Option<AbortOnDropHandle<()>>,
}

/// One node, and the task that asks its agent; it ends with this.
struct Asked {
    address: SocketAddr,
    node: Arc<Mutex<Node>>,
    _task: Option<AbortOnDropHandle<()>>,
}

impl Agents {
    /// Sends no request yet. Requests run on the runtime that this is called in, and the token's
    /// file is read again when it changes.
    ///
    /// # Errors
    /// [`AgentError::Token`] if the token cannot be sent, [`AgentError::Runtime`] without a runtime.
    pub fn open(mut settings: PullSettings) -> Result<Arc<Self>, AgentError> {
        settings.interval_ms = settings.interval_ms.max(INTERVAL_MIN_MS);
        let runtime = Handle::try_current()?;
        let token = settings.token.clone();
        if let Some(token) = &token {
            bearer(token).ok_or(AgentError::Token)?;
        }
        let follow = token.map(|token| AbortOnDropHandle::new(runtime.spawn(token.follow())));
        Ok(Arc::new(Self { settings, runtime, asked: Mutex::default(), _token: follow }))
    }

    /// The agents that there are now, by the names of their nodes. Those not named are forgotten,
    /// new ones and those that moved are asked at once.
    pub fn follow(&self, agents: BTreeMap<String, SocketAddr>) {
        let mut asked = held(&self.asked);
        asked.retain(|name, it| agents.get(name) == Some(&it.address));
        for (name, address) in agents {
            if !asked.contains_key(&name) {
                let full = asked.len() >= NODES_MAX;
                let it = if full { Asked::too_many(address) } else { self.begin(&name, address) };
                asked.insert(name, it);
            }
        }
    }

    /// The CPU time of a container (64 hex digits) on a node; `None` while there is no reading that
    /// can be trusted. Waits for nothing.
    pub fn reading(&self, node: &str, container: &str) -> Option<Metered> {
        let asked = held(&self.asked);
        let node = held(&asked.get(node)?.node);
        node.reading(container)
    }

    /// Why a node reports no CPU usage: it has missed enough questions, or it has no agent where
    /// others have. `None` while it reports, while it is new, and where no node is asked.
    pub fn silence(&self, node: &str) -> Option<String> {
        let asked = held(&self.asked);
        match asked.get(node) {
            Some(it) => held(&it.node).silence().map(str::to_owned),
            None => (!asked.is_empty()).then(|| "no agent runs there".to_owned()),
        }
    }

    /// Asks the agent at `address` once, with the token of these settings.
    ///
    /// # Errors
    /// Whatever kept it from an answer.
    pub async fn ask(&self, address: SocketAddr) -> Result<Answer, PullError> {
        AgentClient::new(address, self.settings.token.clone()).ask().await
    }

    fn begin(&self, name: &str, address: SocketAddr) -> Asked {
        let node = Arc::new(Mutex::new(Node::default()));
        let line = AgentClient::new(address, self.settings.token.clone());
        let task = keep_asking(name.to_owned(), line, self.settings.clone(), Arc::clone(&node));
        let task = AbortOnDropHandle::new(self.runtime.spawn(task));
        Asked { address, node, _task: Some(task) }
    }
}

impl Asked {
    fn too_many(address: SocketAddr) -> Self {
        let mut node = Node::default();
        node.never(format!("not asked: there are more than {NODES_MAX} agents"));
        Self { address, node: Arc::new(Mutex::new(node)), _task: None }
    }
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agents = held(&self.asked);
        f.debug_map().entries(agents.iter().map(|(name, it)| (name, it.address))).finish()
    }
}

async fn keep_asking(
    name: String,
    mut line: AgentClient,
    settings: PullSettings,
    node: Arc<Mutex<Node>>,
) {
    let mut turns = interval(Duration::from_millis(settings.interval_ms));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let asked_at = (settings.clock)();
        let answer = line.ask().await;
        let mut node = held(&node);
        let was_silent = node.silence().is_some();
        let outcome = answer.and_then(|answer| {
            let backwards = PullError::Backwards { address: line.address() };
            node.take(answer, asked_at, (settings.clock)()).map_err(|_| backwards)
        });
        if let Err(miss) = outcome {
            node.miss(&miss);
        }
        match (was_silent, node.silence()) {
            (false, Some(why)) => tracing::warn!("node {name}: no CPU metrics: {why}"),
            (true, None) => tracing::info!("node {name}: CPU metrics recovered"),
            _ => {}
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
