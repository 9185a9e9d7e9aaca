//! CPU usage and throttling of a cgroup, or CPU usage of a process tree.
//!
//! Counters are read through open descriptors: 1 to 2 microseconds a reading instead of 8. An
//! unreadable counter is an error or `None`, never 0, and a counter never falls.
//!
//! Three layouts are supported: cgroup v2 alone, cgroup v1 alone, and the hybrid that mounts v2 at
//! `unified` beside the v1 controllers. [`Group::of_process`] finds the groups of a process,
//! [`GroupMeter`] reads them, and [`ContainerScan`] finds those of every container. Where a process
//! has no group of its own, [`TreeMeter`] adds up the process and its descendants.

mod container_scan;
mod counter_file;
mod error;
mod group;
mod hierarchy;
mod meter;
mod process;
mod tree;

pub use container_scan::ContainerScan;
pub use error::CgroupError;
pub use group::{Directory, Group};
pub use hierarchy::Hierarchies;
pub use meter::{CpuReading, GroupMeter, Throttling};
pub use process::ProcessStat;
pub use tree::TreeMeter;
