//! Whether history is being kept, for the log and for whoever was asked by hand before.
//!
//! The journal says nothing by itself; here its trouble is said when it begins and when it is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_journal::{Aside, Journal};
use tokio::sync::watch;
use tokio::time::sleep;

use super::crew::Crew;

/// How soon trouble is said.
const INTERVAL: Duration = Duration::from_secs(1);
/// Trouble is over when there was none for so long: a disk that is nearly full takes some records
/// and not others.
const CALM: Duration = Duration::from_secs(60);

/// Tells of `journal` until told to stop. What it held of services of `crew` and could not be read
/// at the start is put in force.
pub(super) async fn follow(
    journal: Arc<Journal>,
    crew: Arc<Crew>,
    mut stop: watch::Receiver<bool>,
) {
    let mut trouble = Trouble::default();
    while !*stop.borrow() {
        if let Some(aside) = journal.take_aside() {
            warn_of(&aside);
        }
        for service in journal.take_unreadable_manuals() {
            tracing::warn!(
                "{service}: what was asked by hand before is not known: another version wrote it"
            );
        }
        crew.take_in(journal.take_late_manuals());
        match trouble.see(journal.fault(), Instant::now()) {
            Some(Change::Begins(why)) => {
                tracing::warn!("history is not being kept, all else goes on: {why}");
            }
            Some(Change::Ends) => {
                tracing::info!("history is kept again; {} records were lost", journal.lost());
            }
            None => {}
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            _ = stop.changed() => {}
        }
    }
}

fn warn_of(aside: &Aside) {
    match aside {
        Aside::Damaged { moved_to, why } => tracing::warn!(
            "the journal was damaged ({why}) and begins anew; the old one is {}",
            moved_to.display()
        ),
        Aside::Newer { path, found, known, instead, .. } => tracing::warn!(
            "{} is of a newer flyball (version {found}, and this one knows up to {known}): it stays \
             as it is, and history is kept in {}",
            path.display(),
            instead.display()
        ),
    }
}

/// What was said of trouble.
#[derive(Debug, Default)]
struct Trouble {
    /// When it was seen last, once it was said to have begun.
    seen: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq)]
enum Change {
    Begins(String),
    Ends,
}

impl Trouble {
    fn see(&mut self, fault: Option<String>, now: Instant) -> Option<Change> {
        match (fault, self.seen) {
            (Some(why), seen) => {
                self.seen = Some(now);
                seen.is_none().then_some(Change::Begins(why))
            }
            (None, Some(seen)) if now.saturating_duration_since(seen) >= CALM => {
                self.seen = None;
                Some(Change::Ends)
            }
            (None, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_said_when_it_begins_and_once_it_is_surely_over() {
        let (mut trouble, begin) = (Trouble::default(), Instant::now());
        let fault = |second: u64| (second < 200 && second % 10 == 3).then(|| "full".to_owned());
        let said: Vec<(u64, Change)> = (0..600)
            .filter_map(|second| {
                let now = begin + Duration::from_secs(second);
                Some((second, trouble.see(fault(second), now)?))
            })
            .collect();
        assert_eq!(said, [(3, Change::Begins("full".to_owned())), (253, Change::Ends)]);
    }
}
