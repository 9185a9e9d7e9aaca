//! Whether this flyball may act, where one of several does.
//!
//! Decides when the daemon begins and what ends it: it begins with a term of office, whole and as
//! after any restart (so nothing is removed before the hold window is full), and when the term ends
//! the program is replaced by a new run of itself, which stands by again. Knows nothing of services.
//! Invariant: nothing that was begun under a term outlives it by more than [`WATCH`]: the end of
//! the program is the end of every start, stop and call that was under way.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::{Config, Ha};
use flyball_web::{OfficeView, Role};
use flyball_zookeeper::{Candidate, CandidateSettings};
use tokio::time::timeout;

use crate::clock;
use crate::daemon::ensemble;
use crate::failure::Failure;

/// The term is looked at this often: a hundredth of what the shortest lease has left then.
const WATCH: Duration = Duration::from_millis(20);

/// Who acts instead is looked at this often, to say so.
const LOOK: Duration = Duration::from_millis(500);

/// A flyball that may act. Dropping it makes room for another one.
pub(crate) struct Office {
    candidate: Arc<Candidate>,
}

impl Office {
    /// Begins to stand for election.
    pub(crate) fn stand(config: &Config, ha: &Ha) -> Arc<Candidate> {
        let (ensemble, session_ms) = (ensemble(&ha.zookeeper), ha.session_ms);
        let settings = CandidateSettings { ensemble, session_ms, word: word(config) };
        tracing::info!("standing by at {}{}", ha.zookeeper.servers, ha.zookeeper.path);
        Arc::new(Candidate::stand(settings))
    }

    /// Waits until `candidate` is the one that acts.
    pub(crate) async fn enter(candidate: Arc<Candidate>) -> Result<Self, Failure> {
        let mut told = None;
        while candidate.term().is_none() {
            let leader = candidate.leader().map(|leader| leader.word);
            if leader != told {
                tracing::info!("{} acts", leader.as_deref().unwrap_or("nobody"));
                told = leader;
            }
            let _looked_at_again = timeout(LOOK, candidate.changed()).await;
        }
        let watched = Arc::downgrade(&candidate);
        let watch = move || {
            while let Some(candidate) = watched.upgrade() {
                if candidate.term().is_none() {
                    begin_anew();
                }
                drop(candidate);
                std::thread::sleep(WATCH);
            }
        };
        // A thread of its own: whatever keeps the others busy does not keep it from looking.
        let started = std::thread::Builder::new().name("term".into()).spawn(watch);
        started.map_err(|error| Failure::new(format!("cannot watch the term: {error}")))?;
        Ok(Self { candidate })
    }

    /// What notes for the next leader are written with.
    pub(crate) fn candidate(&self) -> Arc<Candidate> {
        Arc::clone(&self.candidate)
    }
}

/// What the others are told of this one: where its page is, and on which machine.
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

/// Who acts, as `candidate` knows it; without one there is but this flyball.
pub(crate) fn view(candidate: Option<&Candidate>) -> OfficeView {
    let alone = OfficeView::alone(clock::wall_ms());
    let Some(candidate) = candidate else { return alone };
    let acts = candidate.term().is_some();
    let leader = candidate.leader();
    OfficeView {
        role: if acts { Role::Acts } else { Role::StandsBy },
        term: leader.as_ref().map(|leader| leader.term.number),
        since_wall_ms: leader.as_ref().map(|leader| leader.since_wall_ms),
        leader: leader.map(|leader| leader.word),
        trouble: candidate.silent().map(|why| why.to_string()),
        ..alone
    }
}

/// Replaces this program by a new run of itself; if that cannot be, ends it.
fn begin_anew() {
    tracing::error!("the term of office is over: beginning anew, standing by");
    let program = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
    tracing::error!("cannot begin anew: {error}");
    std::process::abort();
}
