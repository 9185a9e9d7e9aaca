//! CPU usage and throttling of a cgroup, or CPU usage of a process tree. Counters are read through
//! open descriptors (1 to 2 microseconds a reading instead of 8). An unreadable counter is an error
//! or `None`, never 0, and a counter never falls.

// Three layouts are supported: v2 alone, v1 alone, and the hybrid that mounts v2 at `unified` beside
// v1. `Group` finds the groups of a process, `GroupMeter` reads them, `ContainerScan` finds those of
// every container. `TreeMeter` adds up a process and its descendants where no group is their own.
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
