//! Docker names a container's cgroup `ID` or `docker-ID.scope`, below any parent. The walk is
//! bounded in depth, directories and results, follows no link, and stops at a container.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Directory, Group, Hierarchies};

/// A rootless Docker's containers lie six deep: `user.slice/user-1000.slice/user@1000.service/
/// user.slice/docker-ID.scope`; half would miss them, and twice finds nothing more.
const DEPTH_MAX: usize = 8;

/// A machine with a thousand services of the system has a thousand groups besides the containers.
const DIRECTORIES_MAX: usize = 20_000;

/// The containers of this machine at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerScan {
    /// Where the CPU time of each is counted, by its full id.
    pub containers: BTreeMap<String, Directory>,
    /// Whether there was room for all that there are.
    pub whole: bool,
}

/// One walk through one hierarchy.
struct Walk {
    found: BTreeMap<String, PathBuf>,
    directories: usize,
    most: usize,
    whole: bool,
}

impl ContainerScan {
    /// Walks the hierarchies that count CPU time for at most `most` containers. Those of v1 come
    /// first, as in [`Group::of_process`]; a directory that cannot be read is passed over. Costs a
    /// few microseconds for each group that is no container's, and opens no file.
    pub fn take(hierarchies: &Hierarchies, most: usize) -> Self {
        let mut walk = Walk { found: BTreeMap::new(), directories: 0, most, whole: true };
        let mut containers = BTreeMap::new();
        for (mount, version) in [
            (&hierarchies.unified, Directory::V2 as fn(PathBuf) -> Directory),
            (&hierarchies.cpuacct, Directory::V1),
        ] {
            if let Some(mount) = mount {
                walk.below(mount, DEPTH_MAX);
            }
            // The hierarchy that comes later wins: a container in both is read from v1.
            let found = std::mem::take(&mut walk.found);
            containers.extend(found.into_iter().map(|(id, place)| (id, version(place))));
        }
        let mut whole = walk.whole;
        while containers.len() > most {
            whole = false;
            containers.pop_last();
        }
        Self { containers, whole }
    }
}

impl Group {
    /// The group whose CPU time is counted at `usage`, with the throttling at the same place of the
    /// hierarchy that counts it.
    pub fn counted_at(hierarchies: &Hierarchies, usage: Directory) -> Self {
        let (mount, directory) = match &usage {
            Directory::V1(directory) => (&hierarchies.cpuacct, directory),
            Directory::V2(directory) => (&hierarchies.unified, directory),
        };
        let place = mount.as_deref().and_then(|mount| directory.strip_prefix(mount).ok());
        let beside = |mount: &Option<PathBuf>| {
            let directory = mount.as_deref()?.join(place?);
            directory.is_dir().then_some(directory)
        };
        let v1 = beside(&hierarchies.cpu).map(Directory::V1);
        let throttling = v1.or_else(|| beside(&hierarchies.unified).map(Directory::V2));
        Self { usage, throttling }
    }
}

impl Walk {
    fn below(&mut self, directory: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            self.directories += 1;
            if self.directories > DIRECTORIES_MAX {
                self.whole = false;
                return;
            }
            match container(&entry.file_name().to_string_lossy()) {
                Some(_) if self.found.len() >= self.most => self.whole = false,
                Some(id) => drop(self.found.entry(id.to_owned()).or_insert_with(|| entry.path())),
                None if depth > 1 => self.below(&entry.path(), depth - 1),
                None => {}
            }
        }
    }
}

/// The id that a directory is named after. A mount of an image's layer is named after 64 digits as
/// well, and ends otherwise.
fn container(name: &str) -> Option<&str> {
    let id = match name.strip_suffix(".scope") {
        Some(scope) => scope.rsplit_once('-')?.1,
        None => name,
    };
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (id.len() == 64 && id.bytes().all(digit)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GroupMeter;

    fn id(n: usize) -> String {
        format!("{n:064x}")
    }

    /// A mount point with these files.
    fn mount(files: &[(String, &str)]) -> (tempfile::TempDir, Hierarchies) {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let hierarchies = Hierarchies::at(root.path()).unwrap();
        (root, hierarchies)
    }

    /// CPU time and throttling of each container that is found.
    fn read(hierarchies: &Hierarchies) -> Vec<(String, u64, Option<u64>)> {
        let container_scan = ContainerScan::take(hierarchies, 100);
        assert!(container_scan.whole);
        let read = container_scan.containers.into_iter().map(|(id, usage)| {
            let group = Group::counted_at(hierarchies, usage);
            let cpu = GroupMeter::open(&group).unwrap().cpu_since(None).unwrap();
            (id, cpu.used_ns, cpu.throttling.map(|it| it.held_ns))
        });
        read.collect()
    }

    #[test]
    fn v2_containers_are_found_below_any_parent_and_nothing_else() {
        let user = "user.slice/user-1000.slice/user@1000.service/user.slice";
        let layer = format!("system.slice/var-lib-docker-overlay2-{}-merged.mount", id(9));
        let bare = "usage_usec 1500\n";
        let limited = "usage_usec 1500\nnr_periods 9\nnr_throttled 2\nthrottled_usec 70\n";
        let (_root, hierarchies) = mount(&[
            ("cgroup.controllers".to_owned(), ""),
            (format!("docker/{}/cpu.stat", id(1)), limited),
            (format!("docker/{}/init/cpu.stat", id(1)), bare),
            (format!("docker/{}/docker/{}/cpu.stat", id(1), id(8)), bare),
            (format!("system.slice/docker-{}.scope/cpu.stat", id(2)), bare),
            (format!("{user}/docker-{}.scope/cpu.stat", id(3)), bare),
            (format!("batch/night/{}/cpu.stat", id(4)), bare),
            (format!("{layer}/cpu.stat"), bare),
            (format!("docker/{}/cpu.stat", "A".repeat(64)), bare),
            (format!("docker/{}/cpu.stat", "a".repeat(63)), bare),
        ]);
        let [limited, bare] = [Some(70_000), None].map(|held_ns| (1_500_000, held_ns));
        let wanted = [(1, limited), (2, bare), (3, bare), (4, bare)];
        let wanted = wanted.map(|(n, (used_ns, held_ns))| (id(n), used_ns, held_ns));
        assert_eq!(read(&hierarchies), wanted);
    }

    #[test]
    fn v1_containers_are_found_with_the_throttling_of_the_other_hierarchy() {
        let scope = format!("system.slice/docker-{}.scope", id(2));
        let stat = "nr_periods 9\nnr_throttled 2\nthrottled_time 70000\n";
        let (_root, hierarchies) = mount(&[
            ("cpuacct/cpuacct.usage".to_owned(), "1\n"),
            ("cpu/cpu.shares".to_owned(), ""),
            ("unified/cgroup.controllers".to_owned(), ""),
            (format!("cpuacct/docker/{}/cpuacct.usage", id(1)), "1600000\n"),
            (format!("cpu/docker/{}/cpu.stat", id(1)), stat),
            (format!("cpuacct/{scope}/cpuacct.usage"), "5\n"),
            (format!("unified/{scope}/cpu.stat"), "usage_usec 77\n"),
        ]);
        let wanted = [(id(1), 1_600_000, Some(70_000)), (id(2), 5, None)];
        assert_eq!(read(&hierarchies), wanted);
    }

    #[test]
    fn too_many_containers_are_cut_off_and_that_is_reported() {
        let file = |n| (format!("docker/{}/cpu.stat", id(n)), "usage_usec 1\n");
        let files: Vec<_> =
            (0..5).map(file).chain([("cgroup.controllers".to_owned(), "")]).collect();
        let (_root, hierarchies) = mount(&files);
        let container_scan = ContainerScan::take(&hierarchies, 3);
        assert_eq!((container_scan.containers.len(), container_scan.whole), (3, false));
        assert!(ContainerScan::take(&hierarchies, 5).whole);
    }
}
