//! How many client connections the embedded proxies may hold. Half of the free memory stays
//! reserved, because one connection too many would end the process and everything it manages.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flyball_config as config;
use flyball_proxy::Budget;

use crate::descriptors;

/// What one connection takes at worst: the buffers of both its sides while a client reads slowly,
/// measured at 95 kB.
const CONNECTION_BYTES: u64 = 128 * 1024;
/// More are not of use to anybody on one machine, and each takes two descriptors and more.
const CONNECTIONS_MAX: u64 = 20_000;
/// As few as a daemon is of any use with.
const CONNECTIONS_MIN: u64 = 64;
/// One client gets this part.
const CLIENT_PART: usize = 4;
/// Files of the kernel that are read here are far smaller.
const FILE_MAX: u64 = 64 * 1024;

/// The client connections that all proxies share.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// Of all proxies together.
    pub(super) connections: usize,
    /// Of one proxy: none takes the descriptors of another.
    pub(super) per_proxy: usize,
    pub(super) per_client: usize,
    pub(super) budget: Arc<Budget>,
}

impl Room {
    /// What `proxy` says, and where it says nothing, what there is memory for; never more than
    /// there are descriptors for.
    pub(super) fn of(proxy: &config::Proxy, descriptors: &descriptors::Budget) -> Self {
        let wanted = proxy.connections.map_or_else(for_memory, |count| size(count.into()));
        let connections = wanted.min(descriptors.of_proxies);
        let per_proxy = connections.min(descriptors.of_a_proxy());
        let part = (connections / CLIENT_PART).max(1);
        let per_client = proxy.connections_per_client.map_or(part, |count| size(count.into()));
        Self { connections, per_proxy, per_client, budget: Budget::new(connections) }
    }
}

/// As many as half of the memory that is left can hold.
fn for_memory() -> usize {
    let left = memory_left().unwrap_or(u64::MAX);
    size((left / 2 / CONNECTION_BYTES).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX))
}

fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The least that any bound leaves: the machine's memory, the cgroup's, the process's own.
fn memory_left() -> Option<u64> {
    let machine = read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemAvailable:"));
    let own = own_bound();
    let groups = read("/proc/self/cgroup").and_then(|text| {
        text.lines().filter_map(|line| group_left(line, Path::new("/sys/fs/cgroup"))).min()
    });
    [machine, own, groups].into_iter().flatten().min()
}

/// What `ulimit -v` leaves.
fn own_bound() -> Option<u64> {
    let limits = read("/proc/self/limits")?;
    let line = limits.lines().find(|line| line.starts_with("Max address space"))?;
    let bound: u64 = line.split_whitespace().nth(3)?.parse().ok()?;
    let used = kilobytes(&read("/proc/self/status")?, "VmSize:")?;
    Some(bound.saturating_sub(used))
}

/// What the group of a line of `/proc/self/cgroup` leaves, and every group above it.
fn group_left(line: &str, mount: &Path) -> Option<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let (root, max, used): (PathBuf, _, _) = match controllers {
        "" => (mount.to_owned(), "memory.max", "memory.current"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            (mount.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes")
        }
        _ => return None,
    };
    let own = root.join(path.trim_start_matches('/'));
    let groups = own.ancestors().take_while(|group| group.starts_with(&root));
    groups.filter_map(|group| left(&group.join(max), &group.join(used))).min()
}

fn left(max: &Path, used: &Path) -> Option<u64> {
    // Version 2 says "max" where there is no bound, version 1 a number beyond any machine.
    let max: u64 = read(max)?.trim().parse().ok()?;
    let used: u64 = read(used)?.trim().parse().ok()?;
    Some(max.saturating_sub(used))
}

/// The bytes of a line such as `MemAvailable:  123 kB`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(FILE_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptors(of_proxies: usize) -> descriptors::Budget {
        descriptors::Budget {
            limit: 0,
            api: 0,
            of_proxies,
            proxies: 2,
            processes: 0,
            processes_wanted: 0,
        }
    }

    #[test]
    fn what_is_written_goes_before_what_there_is_room_for() {
        let proxy = config::Proxy { connections: Some(100), ..config::Proxy::default() };
        let room = Room::of(&proxy, &descriptors(1_000));
        assert_eq!((room.connections, room.per_client), (100, 25));
        let proxy = config::Proxy { connections_per_client: Some(7), ..proxy };
        assert_eq!(Room::of(&proxy, &descriptors(1_000)).per_client, 7);
    }

    #[test]
    fn nothing_goes_before_what_there_are_descriptors_for() {
        let proxy = config::Proxy { connections: Some(100), ..config::Proxy::default() };
        let room = Room::of(&proxy, &descriptors(40));
        assert_eq!((room.connections, room.per_proxy, room.per_client), (40, 20, 10));
    }

    #[test]
    fn this_machine_has_room_for_some() {
        let room = Room::of(&config::Proxy::default(), &descriptors(100_000));
        assert!((64..=20_000).contains(&room.connections), "{room:?}");
    }

    #[test]
    fn a_group_leaves_what_the_tightest_above_it_leaves() {
        let mount = tempfile::tempdir().unwrap();
        let group = |path: &str, max: &str, used: &str| {
            let group = mount.path().join(path);
            std::fs::create_dir_all(&group).unwrap();
            std::fs::write(group.join("memory.max"), max).unwrap();
            std::fs::write(group.join("memory.current"), used).unwrap();
        };
        group("", "max\n", "900\n");
        group("a", "1000\n", "700\n");
        group("a/b", "5000\n", "100\n");
        assert_eq!(group_left("0::/a/b", mount.path()), Some(300));
        assert_eq!(group_left("0::/", mount.path()), None, "no bound");
        assert_eq!(group_left("3:cpu:/a/b", mount.path()), None);
    }

    #[test]
    fn a_group_of_version_1_is_found_beside_the_others() {
        let mount = tempfile::tempdir().unwrap();
        let group = mount.path().join("memory/docker/x");
        std::fs::create_dir_all(&group).unwrap();
        std::fs::write(group.join("memory.limit_in_bytes"), "1000").unwrap();
        std::fs::write(group.join("memory.usage_in_bytes"), "1200").unwrap();
        assert_eq!(group_left("4:memory:/docker/x", mount.path()), Some(0));
    }
}
