//! The latest exits of one service, in the order in which they were reported.

use std::collections::VecDeque;

use flyball_core::observation::Exit;

/// The latest exits that flyball did not ask for, oldest first.
///
/// Readers remember the time of the newest exit that they have seen and skip all that are not
/// later. An engine may report two exits in one millisecond, and it may report the one that
/// happened first as the last, because its clean-up took longer. So each exit gets a time after the
/// one before it: its own time, or 1 ms after the previous exit if that is later.
#[derive(Clone, Debug, Default)]
pub struct Exits {
    latest: VecDeque<Exit>,
}

impl Exits {
    /// How many exits are kept: as many as an engine's report may hold.
    pub const KEPT: usize = 20;

    /// Adds an exit, and moves its time behind the previous one's where it is not later already.
    pub fn push(&mut self, mut exit: Exit) {
        if let Some(last) = self.latest.back() {
            exit.at = exit.at.max(last.at.plus_ms(1));
        }
        if self.latest.len() == Self::KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(exit);
    }

    /// The exits as a report carries them: oldest first, with strictly rising times.
    pub fn to_vec(&self) -> Vec<Exit> {
        self.latest.iter().cloned().collect()
    }

    /// The exits, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Exit> {
        self.latest.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use flyball_core::units::{ReplicaId, Timestamp};

    use super::*;

    fn exit(number: u64, at_ms: u64) -> Exit {
        Exit {
            replica: ReplicaId::numbered("web", number),
            at: Timestamp::from_ms(at_ms),
            ready_ms: None,
            reason: "exit status 1".to_owned(),
        }
    }

    /// What a reader that remembers the newest time takes in, looking after each exit.
    fn read_one_by_one(times_ms: &[u64]) -> Vec<Exit> {
        let (mut exits, mut seen) = (Exits::default(), Vec::<Exit>::new());
        for (number, at_ms) in (1..).zip(times_ms) {
            exits.push(exit(number, *at_ms));
            let newest = seen.last().map(|exit| exit.at);
            let new =
                exits.to_vec().into_iter().filter(|exit| newest.is_none_or(|at| exit.at > at));
            seen.extend(new.collect::<Vec<_>>());
        }
        seen
    }

    #[test]
    fn an_exit_that_is_reported_late_or_twice_in_a_millisecond_is_not_skipped() {
        let seen = read_one_by_one(&[100, 50, 50, 101, 200]);
        let times: Vec<u64> = seen.iter().map(|exit| exit.at.as_ms()).collect();
        assert_eq!(times, [100, 101, 102, 103, 200]);
    }

    #[test]
    fn only_the_latest_are_kept() {
        let mut exits = Exits::default();
        (1..=25).for_each(|number| exits.push(exit(number, number)));
        let kept = exits.to_vec();
        assert_eq!((kept.len(), kept[0].replica.number()), (Exits::KEPT, Some(6)));
        assert_eq!(exits.newest_first().next().map(|exit| exit.at.as_ms()), Some(25));
    }
}
