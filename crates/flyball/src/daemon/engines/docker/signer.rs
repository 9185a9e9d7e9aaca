//! The key that signs this flyball's own containers. It is in the state directory; with several
//! flyballs it is also in ZooKeeper, where the leader writes it if it is missing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flyball_docker::Signer;
use flyball_zookeeper::Candidate;
use tokio::time::sleep;

use crate::daemon::state_dir::{self, StateDir};
use crate::failure::Failure;

/// What the file and the note are called.
const FILE: &str = state_dir::CONTAINERS_KEY;
const NOTE: &str = "containers-key";
/// Between two tries to read or write the note.
const PAUSE: Duration = Duration::from_millis(200);

/// The key, which is made where there is none.
///
/// Waits for ZooKeeper as long as the term lasts: with its own key, a new leader would not
/// recognize the replicas of the one before and would start all of them again.
pub(super) async fn signer(
    home: &StateDir,
    shared: Option<&Arc<Candidate>>,
) -> Result<Signer, Failure> {
    let file = home.file(FILE);
    let own = Signer::open(&file).map_err(|error| unusable(&file, &error))?;
    let Some(candidate) = shared else { return Ok(own) };
    loop {
        let noted = candidate.noted(NOTE).await;
        let known = noted.as_ref().is_ok_and(|text| text.as_ref().is_some_and(|t| !t.is_empty()));
        let done = match noted {
            Ok(Some(text)) if known => {
                let taken = Signer::take_over(&text, &file);
                return taken.map_err(|error| unusable(&file, &error));
            }
            Ok(_) => candidate.note(NOTE, own.key()).await,
            Err(why) => Err(why),
        };
        match done {
            Ok(()) => return Ok(own),
            Err(why) => tracing::warn!(
                "cannot share the key that signs containers through \
                                        ZooKeeper yet: {why}"
            ),
        }
        sleep(PAUSE).await;
    }
}

/// The key for read-only use.
pub(super) fn peeking(state_dir: &Path) -> Result<Signer, Failure> {
    let file = state_dir.join(FILE);
    Signer::peek(&file).map_err(|error| unusable(&file, &error))
}

fn unusable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot use the key in {}: {error}", file.display())).hint(
        "move it away to get a new key: flyball then no longer recognizes running replicas, \
         unless trust_marks = true in [docker]",
    )
}
