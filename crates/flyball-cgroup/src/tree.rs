//! CPU usage of a process and its descendants, where no cgroup counts it. A process once seen as a
//! descendant stays one, even after its parent ends. The total never falls and counts no time
//! twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::counter_file::CounterFile;
use crate::{CgroupError, ProcessStat};

/// Adds up one tree.
///
/// Each living process is read from its CPU clock: nanoseconds, all threads including ended ones,
/// one system call. (`schedstat` omits ended threads and lags by up to a tick; the times in `stat`
/// come in steps of 10 ms.) The usage of a child up to its last reading is kept when it ends.
/// Children too short-lived to be seen are known from what their parent collected, in steps of 10
/// ms: the larger of the two counts.
///
/// Costs one descriptor and 5 to 20 microseconds a reading for each process.
#[derive(Debug)]
pub struct TreeMeter {
    root: u32,
    members: BTreeMap<u32, Member>,
    /// Time of ended members whose parent is not a member (any more).
    ended_ns: u64,
    highest_ns: u64,
}

#[derive(Debug)]
struct Member {
    parent: u32,
    /// Bound to this very process: reading fails once it is gone, even if its id is used again.
    stat: CounterFile,
    clock: ClockId,
    own_ns: u64,
    collected_ns: u64,
    ended_children_ns: u64,
}

impl TreeMeter {
    /// Begins with process `root`, which should not have started any others yet.
    ///
    /// # Errors
    /// [`CgroupError::Ended`] if there is no such process; [`CgroupError::Read`] if the kernel
    /// does not list children (`CONFIG_PROC_CHILDREN`).
    pub fn open(root: u32) -> Result<Self, CgroupError> {
        let mut meter = Self { root, members: BTreeMap::new(), ended_ns: 0, highest_ns: 0 };
        let member = Member::open(root, 0).map_err(|error| ended_if_gone(root, error))?;
        children_of_thread(root, root).map_err(|error| ended_if_gone(root, error))?;
        meter.members.insert(root, member);
        Ok(meter)
    }

    /// CPU time used by the tree so far, in nanoseconds.
    ///
    /// # Errors
    /// [`CgroupError::Ended`] once no process of the tree is left.
    pub fn used_ns(&mut self) -> Result<u64, CgroupError> {
        let mut unseen: BTreeSet<u32> = self.members.keys().copied().collect();
        while let Some(first) = self.topmost(&unseen) {
            let mut queue = VecDeque::from([first]);
            while let Some(pid) = queue.pop_front() {
                unseen.remove(&pid);
                queue.extend(self.visit(pid));
            }
        }
        if self.members.is_empty() {
            return Err(CgroupError::Ended { pid: self.root });
        }
        let living: u64 = self.members.values().map(Member::total_ns).sum();
        self.highest_ns = self.highest_ns.max(living.saturating_add(self.ended_ns));
        Ok(self.highest_ns)
    }

    /// The members found so far that have not been collected.
    pub fn members(&self) -> Vec<ProcessStat> {
        self.members.values().filter_map(|member| ProcessStat::read(&member.stat).ok()).collect()
    }

    /// A member without a parent among the unseen. Parents are read before their children: what a
    /// parent has collected must be older than the reading of a child, or that child would count
    /// twice.
    fn topmost(&self, unseen: &BTreeSet<u32>) -> Option<u32> {
        let is_top = |pid: &&u32| {
            self.members.get(pid).is_none_or(|member| !unseen.contains(&member.parent))
        };
        // Ids that were used again can close a circle of parents. No member is on top then, but the
        // caller's loop must still end.
        unseen.iter().find(is_top).or(unseen.first()).copied()
    }

    /// Reads one member and gives its children, or files it among the ended.
    fn visit(&mut self, pid: u32) -> Vec<u32> {
        let Some(member) = self.members.get_mut(&pid) else { return Vec::new() };
        let Ok(threads) = member.update() else {
            self.record_exit(pid);
            return Vec::new();
        };
        let children = children_of(pid, threads);
        let new: Vec<u32> =
            children.iter().copied().filter(|child| !self.members.contains_key(child)).collect();
        // The children were listed by id, which may belong to another process by now. The second
        // reading, through the descriptor, fails then, and no stranger is adopted.
        if !new.is_empty() && self.members.get_mut(&pid).is_some_and(|m| m.update().is_ok()) {
            self.adopt(pid, &new);
        }
        children
    }

    fn adopt(&mut self, parent: u32, children: &[u32]) {
        for &child in children {
            if let Ok(member) = Member::open(child, parent) {
                self.members.insert(child, member);
            }
        }
    }

    fn record_exit(&mut self, pid: u32) {
        let Some(ended) = self.members.remove(&pid) else { return };
        let kept = match self.members.get_mut(&ended.parent) {
            Some(parent) => &mut parent.ended_children_ns,
            None => &mut self.ended_ns,
        };
        *kept = kept.saturating_add(ended.total_ns());
    }
}

impl Member {
    fn open(pid: u32, parent: u32) -> Result<Self, CgroupError> {
        let stat = ProcessStat::open(pid)?;
        let clock = i32::try_from(pid)
            .map_err(|_| nix::errno::Errno::ESRCH)
            .and_then(|pid| clock_getcpuclockid(Pid::from_raw(pid)))
            .map_err(|errno| CgroupError::read(stat.path(), errno))?;
        let mut member =
            Self { parent, stat, clock, own_ns: 0, collected_ns: 0, ended_children_ns: 0 };
        member.update()?;
        Ok(member)
    }

    /// Reads the clock, then proves with `stat` that it was still this process's. Gives the number
    /// of its threads.
    fn update(&mut self) -> Result<u32, CgroupError> {
        let used = clock_gettime(self.clock)
            .map_err(|errno| CgroupError::read(self.stat.path(), errno))?;
        let stat = ProcessStat::read(&self.stat)?;
        let whole_ns = u64::try_from(used.tv_sec()).unwrap_or(0).saturating_mul(1_000_000_000);
        let rest_ns = u64::try_from(used.tv_nsec()).unwrap_or(0);
        self.own_ns = self.own_ns.max(whole_ns.saturating_add(rest_ns));
        self.collected_ns = ticks_to_ns(stat.collected_ticks);
        Ok(stat.threads)
    }

    fn total_ns(&self) -> u64 {
        // Both hold the time of ended children: the kernel's count of all in ticks, and the meter's
        // of those that it saw. Their sum would count the same time twice.
        self.own_ns.saturating_add(self.collected_ns.max(self.ended_children_ns))
    }
}

fn ticks_to_ns(ticks: u64) -> u64 {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    ticks.saturating_mul(1_000_000_000 / per_second)
}

fn ended_if_gone(pid: u32, error: CgroupError) -> CgroupError {
    let process = format!("/proc/{pid}");
    if error.is_gone() && !fs::exists(process).unwrap_or(true) {
        CgroupError::Ended { pid }
    } else {
        error
    }
}

/// The children of all threads; those of a thread that just ended are found on the next reading.
fn children_of(pid: u32, threads: u32) -> Vec<u32> {
    if threads <= 1 {
        return children_of_thread(pid, pid).unwrap_or_default();
    }
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks
        .filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|thread| children_of_thread(pid, thread).ok())
        .flatten()
        .collect()
}

fn children_of_thread(pid: u32, thread: u32) -> Result<Vec<u32>, CgroupError> {
    let path = format!("/proc/{pid}/task/{thread}/children");
    let list = fs::read_to_string(&path).map_err(|e| CgroupError::read(path.as_ref(), e))?;
    Ok(list.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect())
}
