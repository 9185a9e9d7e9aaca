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

use flyball_config::Ha;
use flyball_zookeeper::{Candidate, CandidateSettings};
use tokio::time::timeout;

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
    /// Stands by until this flyball is the one that acts.
    pub(crate) async fn enter(ha: &Ha, word: String) -> Result<Self, Failure> {
        let (ensemble, session_ms) = (ensemble(&ha.zookeeper), ha.session_ms);
        let settings = CandidateSettings { ensemble, session_ms, word };
        let candidate = Arc::new(Candidate::stand(settings));
        tracing::info!("standing by at {}{}", ha.zookeeper.servers, ha.zookeeper.path);
        let mut told = None;
        while candidate.term().is_none() {
            let leader = candidate.leader();
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

/// Replaces this program by a new run of itself; if that cannot be, ends it.
fn begin_anew() {
    tracing::error!("the term of office is over: beginning anew, standing by");
    let program = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
    tracing::error!("cannot begin anew: {error}");
    std::process::abort();
}
