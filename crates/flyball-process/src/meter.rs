//! Reads the CPU time of a replica: of its cgroup, or of the tree of its processes.

use flyball_cgroup::{CgroupError, Group, GroupMeter, ProcessStat, TreeMeter};

use crate::launcher::Spawned;

/// Where a replica's CPU time is read.
#[derive(Debug)]
pub(crate) enum Meter {
    Group(GroupMeter),
    Tree(TreeMeter),
}

impl Meter {
    pub(crate) fn of(spawned: &Spawned) -> Result<Self, CgroupError> {
        match &spawned.group {
            Some(group) => {
                GroupMeter::open(&Group::unified(group.directory().to_owned())).map(Self::Group)
            }
            None => TreeMeter::open(spawned.session.id).map(Self::Tree),
        }
    }

    pub(crate) fn used_ns(&mut self) -> Result<u64, CgroupError> {
        match self {
            Self::Group(meter) => meter.used_ns(),
            Self::Tree(meter) => meter.used_ns(),
        }
    }

    /// The processes that it adds up; none where the kernel does that.
    pub(crate) fn members(&self) -> Vec<ProcessStat> {
        match self {
            Self::Group(_) => Vec::new(),
            Self::Tree(meter) => meter.members(),
        }
    }
}
