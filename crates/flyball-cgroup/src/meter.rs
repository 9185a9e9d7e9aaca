//! All files are opened once; after the group is removed every reading is an error.

use crate::counter_file::{CounterFile, number_of};
use crate::{CgroupError, Directory, Group};

/// Reads one group through descriptors that stay open: one where both counters are in one file, as
/// with v2, else two.
#[derive(Debug)]
pub struct GroupMeter {
    usage: Counter,
    throttling: Option<Counter>,
}

#[derive(Clone, Debug)]
enum Counter {
    V1(CounterFile),
    V2(CounterFile),
}

/// How often the group was throttled since it was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttling {
    /// Periods (of 100 ms, unless set otherwise) in which it was throttled.
    pub periods: u64,
    /// How long it was throttled, in nanoseconds, added up over processors.
    pub held_ns: u64,
}

/// CPU time and throttling of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuReading {
    /// As [`GroupMeter::used_ns`] gives it.
    pub used_ns: u64,
    /// As [`GroupMeter::throttling`] gives it; `None`, too, where that cannot be read.
    pub throttling: Option<Throttling>,
}

impl GroupMeter {
    /// Opens the counters of `group`.
    ///
    /// # Errors
    /// [`CgroupError::Read`] if the file with the CPU time cannot be opened. Throttling is optional:
    /// without a limit there is none.
    pub fn open(group: &Group) -> Result<Self, CgroupError> {
        let usage = Counter::open(&group.usage, "cpuacct.usage")?;
        let throttling = match (&group.usage, group.throttling.as_ref()) {
            (Directory::V2(one), Some(Directory::V2(other))) if one == other => Some(usage.clone()),
            (_, directory) => directory.and_then(|dir| Counter::open(dir, "cpu.stat").ok()),
        };
        Ok(Self { usage, throttling })
    }

    /// CPU time used since the group began, in nanoseconds, over all its processors and processes,
    /// those that have ended included.
    ///
    /// # Errors
    /// Any failure to read; [`CgroupError::is_gone`] once the group was removed.
    pub fn used_ns(&self) -> Result<u64, CgroupError> {
        match &self.usage {
            Counter::V1(file) => file.parse("usage", |text| text.trim().parse().ok()),
            Counter::V2(file) => file.parse("usage_usec", used_in),
        }
    }

    /// How often the group was throttled; `None` without a limit or a count.
    ///
    /// # Errors
    /// Any failure to read.
    pub fn throttling(&self) -> Result<Option<Throttling>, CgroupError> {
        match &self.throttling {
            None => Ok(None),
            Some(Counter::V1(file)) => {
                file.parse("nr_throttled", |text| throttling(text, "throttled_time", 1)).map(Some)
            }
            // Without the cpu controller the group has the file, but not these lines in it.
            Some(Counter::V2(file)) => {
                file.parse("nr_throttled", |text| Some(throttling(text, "throttled_usec", 1000)))
            }
        }
    }

    /// Both of the above: v2 has them in one file, which is then read once. v1 has two, and where
    /// no CPU time was used since `last` its throttling still holds: a throttled group has used up
    /// its share, and the time is added when it goes on.
    ///
    /// # Errors
    /// Any failure to read the CPU time; [`CgroupError::is_gone`] once the group was removed.
    pub fn cpu_since(&self, last: Option<CpuReading>) -> Result<CpuReading, CgroupError> {
        if let (Counter::V2(file), Some(Counter::V2(_))) = (&self.usage, &self.throttling) {
            return file.parse("usage_usec", |text| {
                let used_ns = used_in(text)?;
                Some(CpuReading { used_ns, throttling: throttling(text, "throttled_usec", 1000) })
            });
        }
        let used_ns = self.used_ns()?;
        if let Some(last) = last.filter(|last| last.used_ns == used_ns) {
            return Ok(last);
        }
        Ok(CpuReading { used_ns, throttling: self.throttling().unwrap_or(None) })
    }

    /// Whether a CPU limit has been enforced on the group at any time: without one nothing can have
    /// held it back.
    ///
    /// # Errors
    /// Any failure to read.
    pub fn was_limited(&self) -> Result<bool, CgroupError> {
        let Some(Counter::V1(file) | Counter::V2(file)) = &self.throttling else {
            return Ok(false);
        };
        file.parse("nr_periods", |text| Some(number_of(text, "nr_periods").unwrap_or(0) > 0))
    }
}

impl Counter {
    /// v2 has everything in `cpu.stat`, whatever the name of the file was in v1.
    fn open(directory: &Directory, v1_name: &str) -> Result<Self, CgroupError> {
        match directory {
            Directory::V1(dir) => CounterFile::open(dir.join(v1_name)).map(Self::V1),
            Directory::V2(dir) => CounterFile::open(dir.join("cpu.stat")).map(Self::V2),
        }
    }
}

fn used_in(text: &str) -> Option<u64> {
    number_of(text, "usage_usec").map(|us| us.saturating_mul(1000))
}

fn throttling(text: &str, time_key: &str, ns_per_unit: u64) -> Option<Throttling> {
    Some(Throttling {
        periods: number_of(text, "nr_throttled")?,
        held_ns: number_of(text, time_key)?.saturating_mul(ns_per_unit),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn v1(root: &Path) -> GroupMeter {
        let directory = Directory::V1(root.to_owned());
        let throttling = Some(directory.clone());
        GroupMeter::open(&Group { usage: directory, throttling }).unwrap()
    }

    #[test]
    fn v1_counts_in_nanoseconds() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cpuacct.usage"), "123456789\n").unwrap();
        let stat = "nr_periods 10\nnr_throttled 4\nthrottled_time 250000000\n";
        fs::write(root.path().join("cpu.stat"), stat).unwrap();
        let meter = v1(root.path());
        assert_eq!(meter.used_ns().unwrap(), 123_456_789);
        let held = Throttling { periods: 4, held_ns: 250_000_000 };
        assert_eq!(meter.throttling().unwrap(), Some(held));
        let cpu = CpuReading { used_ns: 123_456_789, throttling: Some(held) };
        assert_eq!((meter.cpu_since(None).unwrap(), meter.was_limited().unwrap()), (cpu, true));
    }

    #[test]
    fn v1_throttling_is_read_again_once_cpu_time_was_used() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(root.path().join(file), text).unwrap();
        let stat = |held| format!("nr_periods 10\nnr_throttled 4\nthrottled_time {held}\n");
        write("cpuacct.usage", "5\n");
        write("cpu.stat", &stat(70));
        let meter = v1(root.path());
        let first = meter.cpu_since(None).unwrap();
        write("cpu.stat", &stat(90));
        assert_eq!(meter.cpu_since(Some(first)).unwrap(), first);
        write("cpuacct.usage", "6\n");
        let next = meter.cpu_since(Some(first)).unwrap();
        assert_eq!((next.used_ns, next.throttling.unwrap().held_ns), (6, 90));
    }

    #[test]
    fn v2_counts_in_microseconds_and_may_have_no_limit() {
        let root = tempfile::tempdir().unwrap();
        let stat = "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n";
        fs::write(root.path().join("cpu.stat"), stat).unwrap();
        let meter = GroupMeter::open(&Group::unified(root.path().to_owned())).unwrap();
        assert_eq!(meter.used_ns().unwrap(), 1_500_000);
        assert_eq!((meter.throttling().unwrap(), meter.was_limited().unwrap()), (None, false));

        let stat = "usage_usec 1500\nnr_throttled 2\nthrottled_usec 30\n";
        fs::write(root.path().join("cpu.stat"), stat).unwrap();
        let held = Throttling { periods: 2, held_ns: 30_000 };
        assert_eq!(meter.throttling().unwrap(), Some(held));
    }

    #[test]
    fn garbage_is_an_error_and_not_zero() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cpuacct.usage"), "-5\n").unwrap();
        fs::write(root.path().join("cpu.stat"), "").unwrap();
        let meter = v1(root.path());
        assert!(matches!(meter.used_ns(), Err(CgroupError::Malformed { field: "usage", .. })));
        assert!(meter.throttling().is_err());
    }
}
