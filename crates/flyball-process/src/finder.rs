//! Finds and kills every process of a replica, a run or a state directory, by session, marker or
//! descent. Each is killed through a pidfd, after its start time has been compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use flyball_cgroup::ProcessStat;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::env_markers::Environment;

/// Between two rounds: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(50);

/// A session, by the id and the start time of the process that began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: u32,
    pub(crate) started_ticks: u64,
}

/// Who is to be found.
#[derive(Debug, Default)]
pub(crate) struct ProcessFinder {
    /// Start times by the id of a session.
    sessions: BTreeMap<u32, u64>,
    /// Start times by the id of a process.
    known: BTreeMap<u32, u64>,
    marks: Vec<String>,
}

impl ProcessFinder {
    /// The processes that carry all of `marks`; none if there are no marks.
    pub(crate) fn for_marks(marks: Vec<String>) -> Self {
        Self { marks, ..Self::default() }
    }

    /// The processes that carry all of `marks`, instead of the marks so far.
    pub(crate) fn set_marks(&mut self, marks: Vec<String>) {
        self.marks = marks;
    }

    /// Members of `session` as well.
    pub(crate) fn add_session(&mut self, session: Session) {
        self.sessions.insert(session.id, session.started_ticks);
    }

    /// These processes as well, and their descendants.
    pub(crate) fn add_known(&mut self, processes: Vec<ProcessStat>) {
        self.known.extend(processes.iter().map(|process| (process.pid, process.started_ticks)));
    }

    /// Members of that session no longer.
    pub(crate) fn forget_session(&mut self, id: u32) {
        self.sessions.remove(&id);
    }

    /// A living flyball that a wanted process belongs to.
    pub(crate) fn living_owner(&self) -> Option<u32> {
        processes()
            .into_iter()
            .map(|process| Environment::of(process.pid))
            .filter(|environment| self.marked(environment))
            .find_map(|environment| environment.living_owner())
    }

    /// Kills in rounds, until a round finds no process or `limit` has passed. Gives how many are
    /// left.
    pub(crate) fn kill_all(&self, limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        let mut pause = FIRST_PAUSE;
        loop {
            let found = self.find();
            found.iter().for_each(kill);
            if found.is_empty() || Instant::now() >= deadline {
                return found.len();
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    fn find(&self) -> Vec<ProcessStat> {
        let all = processes();
        let started: BTreeMap<u32, u64> =
            all.iter().map(|process| (process.pid, process.started_ticks)).collect();
        let mut wanted: BTreeSet<u32> = all
            .iter()
            .filter(|process| {
                self.known.get(&process.pid) == Some(&process.started_ticks)
                    || self.in_session(process, &started)
                    || self.is_marked(process)
            })
            .map(|process| process.pid)
            .collect();
        add_descendants(&all, &mut wanted);
        wanted.remove(&1);
        wanted.remove(&std::process::id());
        all.into_iter().filter(|p| !p.ended && wanted.contains(&p.pid)).collect()
    }

    /// The id of a session is free for another one only when no process is left in it: if its
    /// leader lives it must be the one that was reported, and no process in it is older.
    fn in_session(&self, process: &ProcessStat, started: &BTreeMap<u32, u64>) -> bool {
        let Some(told) = self.sessions.get(&process.session) else { return false };
        let same_leader = started.get(&process.session).is_none_or(|leader| leader == told);
        same_leader && process.started_ticks >= *told
    }

    fn is_marked(&self, process: &ProcessStat) -> bool {
        !self.marks.is_empty() && !process.ended && self.marked(&Environment::of(process.pid))
    }

    fn marked(&self, environment: &Environment) -> bool {
        !self.marks.is_empty() && environment.carries(&self.marks)
    }
}

fn processes() -> Vec<ProcessStat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| ProcessStat::of(pid).ok())
        .collect()
}

fn add_descendants(all: &[ProcessStat], wanted: &mut BTreeSet<u32>) {
    loop {
        let before = wanted.len();
        for process in all {
            if wanted.contains(&process.parent) {
                wanted.insert(process.pid);
            }
        }
        if wanted.len() == before {
            return;
        }
    }
}

/// One that is gone or may not be killed is left to the next round to find, or not.
fn kill(target: &ProcessStat) {
    let Some(pid) = i32::try_from(target.pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let same = ProcessStat::of(target.pid).is_ok_and(|p| p.started_ticks == target.started_ticks);
    if same {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, session: u32, started_ticks: u64) -> ProcessStat {
        let mut any = ProcessStat::of(std::process::id()).unwrap();
        any.pid = pid;
        any.parent = parent;
        any.session = session;
        any.started_ticks = started_ticks;
        any
    }

    #[test]
    fn a_session_whose_id_was_used_again_is_left_alone() {
        let mut hunt = ProcessFinder::default();
        hunt.add_session(Session { id: 50, started_ticks: 100 });
        let member = process(51, 50, 50, 120);
        assert!(hunt.in_session(&member, &BTreeMap::from([(50, 100)])));
        assert!(hunt.in_session(&member, &BTreeMap::new()));
        assert!(!hunt.in_session(&member, &BTreeMap::from([(50, 110)])));
        assert!(!hunt.in_session(&process(51, 50, 50, 90), &BTreeMap::new()));
    }

    #[test]
    fn descendants_belong_in_whatever_order_they_are_listed() {
        let all = [process(9, 8, 9, 3), process(8, 7, 8, 2), process(7, 1, 7, 1)];
        let mut wanted = BTreeSet::from([7]);
        add_descendants(&all, &mut wanted);
        assert_eq!(wanted, BTreeSet::from([7, 8, 9]));
    }

    #[test]
    fn a_hunt_for_nothing_finds_nobody() {
        assert_eq!(ProcessFinder::default().kill_all(Duration::ZERO), 0);
        assert_eq!(ProcessFinder::for_marks(Vec::new()).find(), []);
    }
}
