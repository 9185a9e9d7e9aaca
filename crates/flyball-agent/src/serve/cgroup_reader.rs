//! Reads the counters of every container on this host at one moment. Counters are read only on
//! request, at most every [`FRESH_NS`] for all callers together. One that cannot be read is left
//! out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flyball_cgroup::{CgroupError, ContainerScan, CpuReading, Group, GroupMeter, Hierarchies};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::AgentError;
use crate::answer::{Answer, CONTAINERS_MAX, Container};

/// The tree is walked again after this time: a new container is reported a second late at most,
/// which is less than it takes to start and to pass its readiness probe twice.
const WALK_NS: u64 = 1_000_000_000;

/// So long after containers were last looked at for a CPU limit they are looked at again. Only a limit
/// that is set on a running container is seen that late; each second would be a fifth more to read.
const LIMITS_NS: u64 = 10_000_000_000;

/// How long one answer serves all callers: a fifth of the shortest time between looks (100 ms).
const FRESH_NS: u64 = 20_000_000;

/// Descriptors for everything but counters: connections, logs, the runtime.
const OTHER_DESCRIPTORS: u64 = 64;

/// Names this run of the kernel; the same in every container.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The processors online, as `0-3,6`.
const ONLINE: &str = "/sys/devices/system/cpu/online";

/// Reads this machine.
#[derive(Debug)]
pub(super) struct CgroupReader {
    hierarchies: Hierarchies,
    boot_id: String,
    meters: BTreeMap<Arc<str>, Kept>,
    walked_ns: u64,
    limits_ns: u64,
    newest: Option<(u64, Bytes)>,
    said_not_whole: bool,
}

/// The open files of one container.
#[derive(Debug)]
struct Kept {
    meter: GroupMeter,
    /// Most containers of a machine have no limit, and half of the files need not be read then.
    limited: bool,
    /// Where it is limited.
    last: Option<CpuReading>,
}

impl CgroupReader {
    pub(super) fn open(mount: &Path) -> Result<Self, AgentError> {
        let hierarchies = Hierarchies::at(mount)?;
        let boot_id = read(BOOT_ID)?;
        cores()?;
        Ok(Self {
            hierarchies,
            boot_id,
            meters: BTreeMap::new(),
            walked_ns: 0,
            limits_ns: 0,
            newest: None,
            said_not_whole: false,
        })
    }

    /// The answer to a request now.
    pub(super) fn look(&mut self) -> Bytes {
        let now_ns = now_ns();
        if let Some((at_ns, answer)) = &self.newest
            && now_ns.saturating_sub(*at_ns) < FRESH_NS
        {
            return answer.clone();
        }
        if now_ns.saturating_sub(self.walked_ns) >= WALK_NS {
            self.scan();
        }
        // Reading takes a millisecond: the moment is that of the reading, not of the question.
        let at_ns = self::now_ns();
        let containers = self.read();
        let cores = cores().unwrap_or(1);
        let answer = Answer { boot_id: self.boot_id.clone(), at_ns, cores, containers };
        let body = Bytes::from(serde_json::to_vec(&answer).unwrap_or_default());
        self.newest = Some((at_ns, body.clone()));
        body
    }

    /// Walks the tree for containers that came and went; gives how many there are.
    pub(super) fn scan(&mut self) -> usize {
        self.walked_ns = now_ns();
        let most = containers_max();
        let ContainerScan { containers, whole } = ContainerScan::take(&self.hierarchies, most);
        if !whole && !self.said_not_whole {
            tracing::warn!(most, "too many containers or groups: some are left out");
        }
        self.said_not_whole = !whole;
        self.meters.retain(|id, _| containers.contains_key(&**id));
        if self.walked_ns.saturating_sub(self.limits_ns) >= LIMITS_NS {
            self.limits_ns = self.walked_ns;
            self.meters.values_mut().for_each(Kept::look_for_limit);
        }
        for (id, usage) in containers {
            let Entry::Vacant(place) = self.meters.entry(id.into()) else { continue };
            match Kept::open(&Group::counted_at(&self.hierarchies, usage)) {
                Ok(kept) => drop(place.insert(kept)),
                Err(error) if error.is_gone() => {}
                Err(error) => tracing::debug!(container = %place.key(), %error, "no CPU time"),
            }
        }
        self.meters.len()
    }

    /// Reads every counter; one that has gone may be opened again on the next walk.
    fn read(&mut self) -> Vec<Container> {
        let mut read = Vec::with_capacity(self.meters.len());
        self.meters.retain(|id, kept| match kept.read() {
            Ok(cpu) => {
                let held_ns = cpu.throttling.map(|it| it.held_ns);
                read.push(Container(Arc::clone(id), cpu.used_ns, held_ns));
                true
            }
            Err(error) => !error.is_gone(),
        });
        read
    }
}

/// As many as there are descriptors for, two for each. Without a bound here the next connection
/// would find none left.
fn containers_max() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = descriptors.saturating_sub(OTHER_DESCRIPTORS) / 2;
    usize::try_from(most).unwrap_or(usize::MAX).min(CONTAINERS_MAX)
}

impl Kept {
    fn open(group: &Group) -> Result<Self, CgroupError> {
        let mut kept = Self { meter: GroupMeter::open(group)?, limited: false, last: None };
        kept.look_for_limit();
        Ok(kept)
    }

    fn look_for_limit(&mut self) {
        self.limited = self.limited || self.meter.was_limited().unwrap_or(false);
    }

    fn read(&mut self) -> Result<CpuReading, CgroupError> {
        if !self.limited {
            return Ok(CpuReading { used_ns: self.meter.used_ns()?, throttling: None });
        }
        let read = self.meter.cpu_since(self.last)?;
        self.last = Some(read);
        Ok(read)
    }
}

fn now_ns() -> u64 {
    let time = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The processors that are online, whatever this process itself may use of them.
fn cores() -> Result<u32, AgentError> {
    let text = read(ONLINE)?;
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    let cores = text.split(',').map(count).sum::<Option<u32>>();
    cores.ok_or_else(|| {
        let source = std::io::Error::other(format!("{text:?} is no list of processors"));
        AgentError::Machine { path: PathBuf::from(ONLINE), source }
    })
}

fn read(path: &str) -> Result<String, AgentError> {
    let text = fs::read_to_string(path);
    text.map(|text| text.trim().to_owned())
        .map_err(|source| AgentError::Machine { path: PathBuf::from(path), source })
}
