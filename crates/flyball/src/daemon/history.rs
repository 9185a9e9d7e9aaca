//! Reports in the log when the journal stops keeping history and when it works again, and applies
//! overrides that could not be read at the start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_journal::{Journal, UnusedFile};
use tokio::sync::watch;
use tokio::time::sleep;

use super::supervisor::Supervisor;

/// How soon trouble is logged.
const INTERVAL: Duration = Duration::from_secs(1);
/// Trouble is over when there was none for this long: a disk that is nearly full takes some records
/// and not others.
const CALM: Duration = Duration::from_secs(60);

/// Reports on `journal` until it is stopped. Overrides that could not be read at the start take
/// effect once they can.
pub(super) async fn follow(
    journal: Arc<Journal>,
    supervisor: Arc<Supervisor>,
    mut stop: watch::Receiver<bool>,
) {
    let mut trouble = Trouble::default();
    while !*stop.borrow() {
        if let Some(aside) = journal.take_aside() {
            warn_of(&aside);
        }
        let unreadable = journal.take_unreadable();
        for service in unreadable.manuals {
            tracing::warn!(
                "{service}: cannot read the earlier manual override: another version of flyball \
                 wrote it"
            );
        }
        for service in unreadable.rollouts {
            tracing::warn!(
                "{service}: cannot read the earlier order about its rollout: another version of \
                 flyball wrote it; hint: see `flyball status {service}`, and deploy again"
            );
        }
        let late = journal.take_late();
        supervisor.take_in(late.manuals);
        supervisor.take_in_orders(late.rollouts);
        match trouble.see(journal.fault(), Instant::now()) {
            Some(Change::Begins(why)) => {
                tracing::warn!("history is not being kept; everything else continues: {why}");
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

fn warn_of(aside: &UnusedFile) {
    match aside {
        UnusedFile::Damaged { moved_to, why } => tracing::warn!(
            "the journal was damaged ({why}) and a new one was started; the old one is {}",
            moved_to.display()
        ),
        UnusedFile::Newer { path, found, known, instead, .. } => tracing::warn!(
            "{} was written by a newer flyball (version {found}; this one supports up to \
             {known}): it is left unchanged, and history is kept in {}",
            path.display(),
            instead.display()
        ),
    }
}

/// What was logged about trouble.
#[derive(Debug, Default)]
struct Trouble {
    /// When it was seen last, once its beginning was logged.
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
