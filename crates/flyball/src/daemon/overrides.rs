//! What operators asked for, stored in ZooKeeper for the next leader (docs/design/014): manual
//! overrides, and orders about rollouts. Only the leader writes them, and what cannot be stored
//! still takes effect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_zookeeper::{Candidate, ZookeeperError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::sleep;

/// 2,000 overrides; ZooKeeper takes nodes of up to 1 MiB.
const BYTES_MAX: usize = 256 * 1024;
/// Between two tries to read or write it.
const PAUSE: Duration = Duration::from_millis(200);

type All<T> = BTreeMap<String, T>;

/// One note for the next leader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    /// What ZooKeeper calls it.
    name: &'static str,
    /// What is in it.
    what: &'static str,
}

pub(super) const MANUALS: Note = Note { name: "wishes", what: "manual overrides" };
pub(super) const ROLLOUTS: Note = Note { name: "rollouts", what: "orders about rollouts" };

/// All that a note says, by service.
pub(super) struct Overrides<T> {
    all: watch::Sender<All<T>>,
}

impl<T> Overrides<T>
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// What the leader before stored; `own` if none ever did.
    ///
    /// Waits for ZooKeeper as long as the term lasts: to act without it would undo a pause.
    pub(super) async fn take_over(
        candidate: Arc<Candidate>,
        note: Note,
        own: All<T>,
    ) -> (Self, All<T>) {
        let text = loop {
            match candidate.noted(note.name).await {
                Ok(text) => break text,
                Err(why) => tracing::warn!("{} not loaded yet: {why}", note.what),
            }
            sleep(PAUSE).await;
        };
        let known = text.map_or(own, |text| read(note, &text));
        let (all, told) = watch::channel(known.clone());
        tokio::spawn(write_down(candidate, note, told));
        (Self { all }, known)
    }

    /// Stores what was asked for `service`, or that it ended. What `is_over` is forgotten.
    pub(super) fn put(&self, service: &str, asked: Option<&T>, is_over: impl Fn(&T) -> bool) {
        self.all.send_modify(|all| {
            match asked {
                Some(asked) => all.insert(service.to_owned(), asked.clone()),
                None => all.remove(service),
            };
            all.retain(|_, asked| !is_over(asked));
        });
    }
}

fn read<T: DeserializeOwned>(note: Note, text: &str) -> All<T> {
    serde_json::from_str(text).unwrap_or_else(|error| {
        let what = note.what;
        tracing::warn!("earlier {what} are lost: their note in ZooKeeper is not JSON: {error}");
        All::new()
    })
}

/// Keeps the note up to date until this flyball is no longer the leader, or ends.
async fn write_down<T: Serialize>(
    candidate: Arc<Candidate>,
    Note { name, what }: Note,
    mut all: watch::Receiver<All<T>>,
) {
    while all.changed().await.is_ok() {
        let mut said = false;
        loop {
            let text = serde_json::to_string(&*all.borrow_and_update()).unwrap_or_default();
            if text.len() > BYTES_MAX {
                tracing::warn!(
                    "{what} will not survive a takeover: {} bytes, the limit is {BYTES_MAX}",
                    text.len()
                );
                break;
            }
            match candidate.note(name, &text).await {
                Ok(()) => break,
                Err(ZookeeperError::NotLeading) => return,
                Err(why) if !std::mem::replace(&mut said, true) => {
                    tracing::warn!("{what} would not survive a takeover yet: {why}");
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
    use flyball_journal::StoredManual;

    use super::*;

    #[test]
    fn a_note_gives_its_wishes_again_and_rubbish_gives_none() {
        let wish = StoredManual { ask: Ask::Pin(5), until_wall_ms: None, by: "cli".into() };
        let all = All::from([("web".to_owned(), wish)]);
        assert_eq!(read(MANUALS, &serde_json::to_string(&all).unwrap()), all);
        assert_eq!(read::<StoredManual>(MANUALS, "{"), All::new());
    }
}
