//! A process id identifies a process only together with its start time.

use crate::CgroupError;
use crate::counter_file::CounterFile;

/// One process at the moment of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessStat {
    /// Its id.
    pub pid: u32,
    /// The id of its parent; 0 for the first process.
    pub parent: u32,
    /// The id of its session, which is that of the process that began the session.
    pub session: u32,
    /// Whether it has ended and only waits to be collected by its parent.
    pub ended: bool,
    /// How many threads it has.
    pub threads: u32,
    /// When it started, in clock ticks since the machine did. Ids are used again, this is not.
    pub started_ticks: u64,
    /// CPU time of the children (and theirs) that ended and were collected by it, in clock ticks.
    pub collected_ticks: u64,
}

impl ProcessStat {
    /// Reads process `pid` now.
    ///
    /// # Errors
    /// [`CgroupError::is_gone`] if there is no such process.
    pub fn of(pid: u32) -> Result<Self, CgroupError> {
        Self::read(&Self::open(pid)?)
    }

    pub(crate) fn open(pid: u32) -> Result<CounterFile, CgroupError> {
        CounterFile::open(format!("/proc/{pid}/stat").into())
    }

    pub(crate) fn read(file: &CounterFile) -> Result<Self, CgroupError> {
        file.parse("a field", Self::parse)
    }

    /// The name, second and in parentheses, may hold anything, parentheses and blanks included.
    fn parse(text: &str) -> Option<Self> {
        let (pid, _) = text.split_once(' ')?;
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |place: usize| fields.get(place - FIRST_AFTER_NAME)?.parse::<u64>().ok();
        let small = |place| u32::try_from(number(place)?).ok();
        Some(Self {
            pid: pid.parse().ok()?,
            parent: small(4)?,
            session: small(6)?,
            ended: matches!(*fields.first()?, "Z" | "X"),
            threads: small(20)?,
            started_ticks: number(22)?,
            collected_ticks: number(16)?.saturating_add(number(17)?),
        })
    }
}

/// Fields are numbered as in `proc_pid_stat(5)`; the state, behind the name, is the third.
const FIRST_AFTER_NAME: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_blanks_and_parentheses() {
        let line = "42 (a) b (c) S 7 42 41 0 -1 0 0 0 0 0 1 2 30 4 20 0 5 0 999 0 0\n";
        let stat = ProcessStat::parse(line).unwrap();
        assert_eq!((stat.pid, stat.parent, stat.session), (42, 7, 41));
        assert_eq!((stat.threads, stat.started_ticks), (5, 999));
        assert_eq!((stat.collected_ticks, stat.ended), (34, false));
    }

    #[test]
    fn a_line_cut_short_is_nothing() {
        assert_eq!(ProcessStat::parse("42 (sh) S 7 42 41"), None);
        assert_eq!(ProcessStat::parse(""), None);
    }

    #[test]
    fn this_process_is_found() {
        let stat = ProcessStat::of(std::process::id()).unwrap();
        assert_eq!(stat.pid, std::process::id());
        assert!(!stat.ended && stat.threads >= 1 && stat.started_ticks > 0);
    }
}
