//! Manual overrides, stored in ZooKeeper for the next leader (docs/design/014). Only the leader
//! writes them, and an override that cannot be stored still takes effect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_journal::StoredManual;
use flyball_zookeeper::{Candidate, ZookeeperError};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::clock;

/// What the note is called.
const NOTE: &str = "wishes";
/// 2,000 overrides; ZooKeeper takes nodes of up to 1 MiB.
const BYTES_MAX: usize = 256 * 1024;
/// Between two tries to read or write it.
const PAUSE: Duration = Duration::from_millis(200);

type All = BTreeMap<String, StoredManual>;

/// All manual overrides, by service.
pub(super) struct Overrides {
    all: watch::Sender<All>,
}

impl Overrides {
    /// The overrides that the leader before stored; those in `own` if none ever did.
    ///
    /// Waits for ZooKeeper as long as the term lasts: to act without them would undo a pause.
    pub(super) async fn take_over(candidate: Arc<Candidate>, own: All) -> (Self, All) {
        let text = loop {
            match candidate.noted(NOTE).await {
                Ok(text) => break text,
                Err(why) => tracing::warn!("manual overrides not loaded yet: {why}"),
            }
            sleep(PAUSE).await;
        };
        let known = text.map_or(own, |text| read(&text));
        let (all, told) = watch::channel(known.clone());
        tokio::spawn(write_down(candidate, told));
        (Self { all }, known)
    }

    /// Stores an override, or that it ended.
    pub(super) fn put(&self, service: &str, manual: Option<&StoredManual>) {
        self.all.send_modify(|all| {
            match manual {
                Some(manual) => all.insert(service.to_owned(), manual.clone()),
                None => all.remove(service),
            };
            let now_ms = clock::wall_ms();
            all.retain(|_, manual| manual.until_wall_ms.is_none_or(|until| until > now_ms));
        });
    }
}

fn read(text: &str) -> All {
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::warn!(
            "earlier manual overrides are lost: their note in ZooKeeper is not JSON: \
                        {error}"
        );
        All::new()
    })
}

/// Keeps the note up to date until this flyball is no longer the leader, or ends.
async fn write_down(candidate: Arc<Candidate>, mut all: watch::Receiver<All>) {
    while all.changed().await.is_ok() {
        let mut said = false;
        loop {
            let text = serde_json::to_string(&*all.borrow_and_update()).unwrap_or_default();
            if text.len() > BYTES_MAX {
                tracing::warn!(
                    "manual overrides will not survive a takeover: {} bytes, the limit is \
                     {BYTES_MAX}",
                    text.len()
                );
                break;
            }
            match candidate.note(NOTE, &text).await {
                Ok(()) => break,
                Err(ZookeeperError::NotLeading) => return,
                Err(why) if !std::mem::replace(&mut said, true) => {
                    tracing::warn!("manual overrides would not survive a takeover yet: {why}");
                }
                Err(_) => {}
            }
            sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use flyball_core::observation::Ask;

    use super::*;

    #[test]
    fn a_note_gives_its_wishes_again_and_rubbish_gives_none() {
        let wish = StoredManual { ask: Ask::Pin(5), until_wall_ms: None, by: "cli".into() };
        let all = All::from([("web".to_owned(), wish)]);
        assert_eq!(read(&serde_json::to_string(&all).unwrap()), all);
        assert_eq!(read("{"), All::new());
    }
}
