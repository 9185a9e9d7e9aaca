//! Combines the answers of one node. Where two readings cannot be compared (a reboot, a counter
//! that fell or grew too fast, diverged clocks), the reported counter restarts at 0, so no reader
//! computes a false rate.

use std::collections::BTreeMap;
use std::sync::Arc;

use flyball_core::observation::{CpuCounter, ThrottleCounter};
use flyball_core::units::Timestamp;

use crate::pull::clock_offset::{ClockOffset, Span};
use crate::{Answer, Container, PullError};

/// A node is silent after this many missed answers in a row: one is lost with a connection that an
/// agent ended for its age, a second one when a node is busy. With twice as many its readings would
/// be reported for six looks after it died.
const MISSED_MAX: u32 = 3;

/// The kernel adds up what a processor used when that processor next looks at its clock, which may
/// be a while after it was used: so much may come late, for each of them.
const LATE_NS: u64 = 100_000_000;

/// What is known of one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metered {
    /// CPU time used. It falls where the counter restarted or is no longer comparable.
    pub cpu: CpuCounter,
    /// How long it was throttled; `None` without a limit or a count.
    pub throttled: Option<ThrottleCounter>,
}

/// One node.
#[derive(Debug, Default)]
pub(crate) struct Node {
    epoch: Option<Epoch>,
    containers: BTreeMap<Arc<str>, Counted>,
    missed: u32,
    silence: Option<String>,
}

/// A stretch in which all readings compare.
#[derive(Debug)]
struct Epoch {
    boot_id: String,
    offset: ClockOffset,
    newest_ns: u64,
}

/// One container's counters, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Counted {
    at: Timestamp,
    at_ns: u64,
    used: Counter,
    held: Option<Counter>,
}

/// A counter as it was read, and the offset of the reported value.
#[derive(Clone, Copy, Debug)]
struct Counter {
    read_ns: u64,
    from_ns: u64,
}

/// The clock of the node ran backwards.
#[derive(Debug)]
pub(crate) struct Backwards;

impl Node {
    pub(crate) fn reading(&self, container: &str) -> Option<Metered> {
        if self.silence.is_some() {
            return None;
        }
        let counted = self.containers.get(container)?;
        let at = counted.at;
        let throttled = counted.held.map(|it| ThrottleCounter { at, held_ns: it.reported_ns() });
        Some(Metered { cpu: CpuCounter { at, used_ns: counted.used.reported_ns() }, throttled })
    }

    /// Why it says nothing, once it has missed enough.
    pub(crate) fn silence(&self) -> Option<&str> {
        self.silence.as_deref()
    }

    /// It is not asked at all.
    pub(crate) fn never(&mut self, why: String) {
        self.silence = Some(why);
    }

    pub(crate) fn miss(&mut self, miss: &PullError) {
        self.missed = self.missed.saturating_add(1);
        if self.missed >= MISSED_MAX {
            self.silence = Some(match miss.hint() {
                Some(hint) => format!("{miss} (hint: {hint})"),
                None => miss.to_string(),
            });
        }
    }

    /// Takes an answer in that was asked for at `asked_at` and came at `answered_at`.
    pub(crate) fn take(
        &mut self,
        answer: Answer,
        asked_at: Timestamp,
        answered_at: Timestamp,
    ) -> Result<(), Backwards> {
        let span = Span { asked_at, answered_at };
        let same_boot = self.epoch.as_ref().filter(|epoch| epoch.boot_id == answer.boot_id);
        if same_boot.is_some_and(|epoch| epoch.newest_ns > answer.at_ns) {
            self.epoch = None;
            return Err(Backwards);
        }
        let kept = same_boot.map(|it| it.offset).filter(|it| it.holds(answer.at_ns, span));
        let offset = kept.unwrap_or_else(|| ClockOffset::new(answer.at_ns, span));
        let at = offset.here(answer.at_ns);
        let mut before = std::mem::take(&mut self.containers);
        let containers = answer.containers.into_iter().map(|Container(id, used_ns, held_ns)| {
            let read = Counted::new(at, answer.at_ns, used_ns, held_ns);
            let counted = match before.remove(&id) {
                None => read,
                Some(last) if kept.is_some() && read.follows(&last, answer.cores) => {
                    read.after(&last)
                }
                Some(_) => read.anew(),
            };
            (id, counted)
        });
        self.containers = containers.collect();
        self.epoch = Some(Epoch { boot_id: answer.boot_id, offset, newest_ns: answer.at_ns });
        (self.missed, self.silence) = (0, None);
        Ok(())
    }
}

impl Counted {
    fn new(at: Timestamp, at_ns: u64, used_ns: u64, held_ns: Option<u64>) -> Self {
        let counter = |read_ns| Counter { read_ns, from_ns: 0 };
        Self { at, at_ns, used: counter(used_ns), held: held_ns.map(counter) }
    }

    /// Whether a machine with `cores` cores can have reached this value from `last`.
    fn follows(&self, last: &Self, cores: u32) -> bool {
        let passed_ns = self.at_ns.saturating_sub(last.at_ns).saturating_add(LATE_NS);
        let most_ns = passed_ns.saturating_mul(cores.into());
        let grown_ns = self.used.read_ns.checked_sub(last.used.read_ns);
        let held_fell = self.held.zip(last.held).is_some_and(|(now, then)| now.fell_from(then));
        grown_ns.is_some_and(|grown_ns| grown_ns <= most_ns) && !held_fell
    }

    fn after(mut self, last: &Self) -> Self {
        self.used.from_ns = last.used.from_ns;
        self.held = self.held.map(|now| match last.held {
            Some(then) => Counter { from_ns: then.from_ns, ..now },
            None => now,
        });
        self
    }

    fn anew(mut self) -> Self {
        self.used.from_ns = self.used.read_ns;
        self.held = self.held.map(|it| Counter { from_ns: it.read_ns, ..it });
        self
    }
}

impl Counter {
    fn reported_ns(self) -> u64 {
        self.read_ns.saturating_sub(self.from_ns)
    }

    fn fell_from(self, then: Self) -> bool {
        self.read_ns < then.read_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn id() -> String {
        "c".repeat(64)
    }

    fn answer(boot: &str, at_ms: u64, used_ms: u64, held_ms: u64) -> Answer {
        let container = Container(id().into(), used_ms * MS, Some(held_ms * MS));
        let containers = vec![container];
        Answer { boot_id: boot.to_owned(), at_ns: at_ms * MS, cores: 2, containers }
    }

    /// Takes an answer in that was on its way from `asked_ms` to `answered_ms`.
    fn take(node: &mut Node, answer: Answer, asked_ms: u64, answered_ms: u64) -> (u64, u64, u64) {
        let (asked, answered) = (Timestamp::from_ms(asked_ms), Timestamp::from_ms(answered_ms));
        node.take(answer, asked, answered).unwrap();
        let read = node.reading(&id()).unwrap();
        let held_ns = read.throttled.unwrap().held_ns;
        (read.cpu.at.as_ms(), read.cpu.used_ns / MS, held_ns / MS)
    }

    fn node() -> Node {
        let mut node = Node::default();
        assert_eq!(take(&mut node, answer("a", 5_000, 100, 10), 90_000, 90_010), (90_005, 100, 10));
        node
    }

    #[test]
    fn the_way_of_an_answer_does_not_show_in_the_time_between_readings() {
        let mut node = node();
        assert_eq!(take(&mut node, answer("a", 5_200, 150, 10), 90_200, 90_690), (90_205, 150, 10));
        assert_eq!(take(&mut node, answer("a", 5_900, 160, 20), 90_890, 90_901), (90_905, 160, 20));
    }

    #[test]
    fn clocks_that_came_apart_are_set_again_and_the_counter_begins_anew() {
        for asked_ms in [90_200, 99_000] {
            let mut node = node();
            let reported = take(&mut node, answer("a", 7_500, 2_000, 99), asked_ms, asked_ms);
            assert_eq!(reported, (asked_ms, 0, 0));
            let reported =
                take(&mut node, answer("a", 7_700, 2_100, 99), asked_ms + 190, asked_ms + 190);
            assert_eq!(reported, (asked_ms + 200, 100, 0));
        }
    }

    #[test]
    fn after_another_boot_the_counter_begins_anew_even_where_it_is_higher() {
        let mut node = node();
        assert_eq!(take(&mut node, answer("b", 9_000, 150, 20), 90_200, 90_200), (90_200, 0, 0));
        assert_eq!(take(&mut node, answer("b", 9_200, 170, 21), 90_400, 90_400), (90_400, 20, 1));
    }

    #[test]
    fn a_counter_that_fell_or_grew_too_fast_begins_anew() {
        // Two cores give 400 ms in 200 ms, and 200 ms may come late.
        for (used_ms, held_ms, reported) in
            [(99, 10, 0), (100, 9, 0), (900, 10, 0), (701, 10, 0), (700, 10, 700)]
        {
            let mut node = node();
            let (_, used, _) =
                take(&mut node, answer("a", 5_200, used_ms, held_ms), 90_200, 90_200);
            assert_eq!(used, reported, "{used_ms} {held_ms}");
        }
    }

    #[test]
    fn a_clock_that_ran_backwards_is_no_answer_and_the_next_one_begins_anew() {
        let mut node = node();
        let (asked, answered) = (Timestamp::from_ms(90_200), Timestamp::from_ms(90_200));
        assert!(node.take(answer("a", 4_999, 110, 10), asked, answered).is_err());
        assert_eq!(take(&mut node, answer("a", 5_100, 120, 10), 90_400, 90_400), (90_400, 0, 0));
    }

    #[test]
    fn a_container_that_is_not_in_the_newest_answer_has_no_reading() {
        let mut node = node();
        let mut empty = answer("a", 5_200, 0, 0);
        empty.containers.clear();
        node.take(empty, Timestamp::from_ms(90_200), Timestamp::from_ms(90_200)).unwrap();
        assert_eq!(node.reading(&id()), None);
    }

    #[test]
    fn three_missed_answers_are_silence_and_one_answer_ends_it() {
        let mut node = node();
        let refused = PullError::Refused { address: ([10, 0, 0, 1], 9810).into() };
        for _ in 0..2 {
            node.miss(&refused);
            assert!(node.silence().is_none() && node.reading(&id()).is_some());
        }
        node.miss(&refused);
        assert!(node.silence().unwrap().contains("refuses the token"));
        assert_eq!(node.reading(&id()), None);
        assert_eq!(take(&mut node, answer("a", 5_600, 120, 10), 90_600, 90_600).1, 120);
        assert!(node.silence().is_none());
    }
}
