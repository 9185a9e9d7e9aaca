//! Leader election. A new leader starts its daemon as after any restart, so nothing is removed
//! before the hold window is full. One that loses leadership replaces itself by a new run, a
//! standby again: that ends every start, stop and call under way within [`WATCH`].

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::{Config, Ha};
use flyball_web::{LeaderStatus, Role};
use flyball_zookeeper::{Candidate, CandidateSettings, Ensemble};
use tokio::time::timeout;

use crate::clock;
use crate::failure::Failure;

/// The term is looked at this often: a hundredth of what the shortest lease has left then.
const WATCH: Duration = Duration::from_millis(20);

/// How often the leader is looked up, to log it.
const LOOK: Duration = Duration::from_millis(500);

/// Leadership. Dropping it makes room for another flyball.
pub(crate) struct Leadership {
    candidate: Arc<Candidate>,
}

impl Leadership {
    /// Joins the election.
    pub(crate) fn stand(config: &Config, ha: &Ha) -> Arc<Candidate> {
        let (ensemble, session_ms) = (ensemble(&ha.zookeeper), ha.session_ms);
        let settings = CandidateSettings { ensemble, session_ms, word: word(config) };
        tracing::info!(
            "standby: joined the election at {}{}",
            ha.zookeeper.servers,
            ha.zookeeper.path
        );
        Arc::new(Candidate::stand(settings))
    }

    /// Waits until `candidate` is the leader.
    pub(crate) async fn enter(candidate: Arc<Candidate>) -> Result<Self, Failure> {
        let mut logged = None;
        while candidate.term().is_none() {
            let leader = candidate.leader().map(|leader| leader.word);
            if leader != logged {
                tracing::info!(
                    "{}",
                    leader.as_deref().map_or_else(
                        || "no leader".to_owned(),
                        |leader| format!("the leader is {leader}")
                    )
                );
                logged = leader;
            }
            let _looked_at_again = timeout(LOOK, candidate.changed()).await;
        }
        let watched = Arc::downgrade(&candidate);
        let watch = move || {
            while let Some(candidate) = watched.upgrade() {
                if candidate.term().is_none() {
                    restart();
                }
                drop(candidate);
                std::thread::sleep(WATCH);
            }
        };
        // Its own thread, so that busy workers cannot delay the check.
        let started = std::thread::Builder::new().name("term".into()).spawn(watch);
        started.map_err(|error| {
            Failure::new(format!(
                "cannot watch the leadership term: \
                                                      {error}"
            ))
        })?;
        Ok(Self { candidate })
    }

    /// What notes for the next leader are written with.
    pub(crate) fn candidate(&self) -> Arc<Candidate> {
        Arc::clone(&self.candidate)
    }
}

/// The servers of `at`, and the path there.
pub(crate) fn ensemble(at: &flyball_config::Ensemble) -> Ensemble {
    Ensemble { servers: at.servers.clone(), path: at.path.clone() }
}

/// How this flyball identifies itself to the others: the address of its dashboard, and its machine.
pub(crate) fn word(config: &Config) -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = Some(machine.trim()).filter(|name| !name.is_empty()).unwrap_or("localhost");
    let listen = config.daemon.listen;
    if listen.ip().is_unspecified() {
        format!("http://{machine}:{}/ on {machine}", listen.port())
    } else {
        format!("http://{listen}/ on {machine}")
    }
}

/// The leader, as `candidate` knows it; without one this flyball is standalone.
pub(crate) fn view(candidate: Option<&Candidate>) -> LeaderStatus {
    let alone = LeaderStatus::standalone(clock::wall_ms());
    let Some(candidate) = candidate else { return alone };
    let is_leader = candidate.term().is_some();
    let leader = candidate.leader();
    LeaderStatus {
        role: if is_leader { Role::Leader } else { Role::Standby },
        term: leader.as_ref().map(|leader| leader.term.number),
        since_wall_ms: leader.as_ref().map(|leader| leader.since_wall_ms),
        leader: leader.map(|leader| leader.word),
        trouble: candidate.silent().map(|why| why.to_string()),
        ..alone
    }
}

/// Replaces this process with a new run of the program; aborts if that fails.
fn restart() {
    tracing::error!("lost leadership; restarting as standby");
    let program = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
    tracing::error!("cannot restart: {error}");
    std::process::abort();
}
