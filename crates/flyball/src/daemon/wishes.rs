//! What was asked by hand, for whichever flyball acts next.
//!
//! Decides what is kept: every wish that still lasts, in one note at ZooKeeper (docs/design/014).
//! Does not know what a wish does. Invariant: the note is written by whoever acts and nobody else,
//! and a wish that cannot be written down counts all the same.

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
/// 2,000 wishes; ZooKeeper takes nodes of up to 1 MiB.
const BYTES_MAX: usize = 256 * 1024;
/// Between two tries to read or write it.
const PAUSE: Duration = Duration::from_millis(200);

type All = BTreeMap<String, StoredManual>;

/// All wishes, by service.
pub(super) struct Wishes {
    all: watch::Sender<All>,
}

impl Wishes {
    /// Those that whoever acted before wrote down; those of `own` if nobody ever did.
    ///
    /// Waits for ZooKeeper as long as the term lasts: acting without them would undo a pause.
    pub(super) async fn take_over(candidate: Arc<Candidate>, own: All) -> (Self, All) {
        let text = loop {
            match candidate.noted(NOTE).await {
                Ok(text) => break text,
                Err(why) => tracing::warn!("what was asked by hand is not known yet: {why}"),
            }
            sleep(PAUSE).await;
        };
        let known = text.map_or(own, |text| read(&text));
        let (all, told) = watch::channel(known.clone());
        tokio::spawn(write_down(candidate, told));
        (Self { all }, known)
    }

    /// Has a wish written down, or its end.
    pub(super) fn put(&self, service: &str, wish: Option<&StoredManual>) {
        self.all.send_modify(|all| {
            match wish {
                Some(wish) => all.insert(service.to_owned(), wish.clone()),
                None => all.remove(service),
            };
            let now_ms = clock::wall_ms();
            all.retain(|_, wish| wish.until_wall_ms.is_none_or(|until| until > now_ms));
        });
    }
}

fn read(text: &str) -> All {
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::warn!("what was asked by hand before is lost, its note is no JSON: {error}");
        All::new()
    })
}

/// Keeps the note as it should be until this one no longer acts, or ends.
async fn write_down(candidate: Arc<Candidate>, mut all: watch::Receiver<All>) {
    while all.changed().await.is_ok() {
        let mut said = false;
        loop {
            let text = serde_json::to_string(&*all.borrow_and_update()).unwrap_or_default();
            if text.len() > BYTES_MAX {
                tracing::warn!(
                    "what was asked by hand will not survive a takeover: {} bytes, {BYTES_MAX} at most",
                    text.len()
                );
                break;
            }
            match candidate.note(NOTE, &text).await {
                Ok(()) => break,
                Err(ZookeeperError::NotLeading) => return,
                Err(why) if !std::mem::replace(&mut said, true) => {
                    tracing::warn!(
                        "what was asked by hand would not survive a takeover yet: {why}"
                    );
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
