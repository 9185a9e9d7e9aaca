//! CPU usage is read from v1 where the group exists there (nanoseconds, and what an engine sets
//! up), otherwise from v2. The root group never counts: its counters are the machine's.

use std::path::{Component, Path, PathBuf};

use crate::{CgroupError, Hierarchies};

/// Where the counters of one group are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its CPU time.
    pub usage: Directory,
    /// How it is throttled, if it has a CPU limit.
    pub throttling: Option<Directory>,
}

/// A directory of a group, with the version that determines how its files are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directory {
    /// v1: nanoseconds.
    V1(PathBuf),
    /// v2: microseconds.
    V2(PathBuf),
}

impl Group {
    /// The group that lives at `directory` of a v2 hierarchy.
    pub fn unified(directory: PathBuf) -> Self {
        Self { usage: Directory::V2(directory.clone()), throttling: Some(Directory::V2(directory)) }
    }

    /// The groups of process `pid`.
    ///
    /// With `owner` (a container's full id) a path counts only as far as the part that contains it:
    /// `/docker/ID`, `/system.slice/docker-ID.scope`, below a user's slice, below a parent of a
    /// free choice, or `/docker/ID/init` where the container has split itself up. Without it the
    /// process's own groups are taken as they are.
    ///
    /// # Errors
    /// [`CgroupError::Ended`] if there is no such process, [`CgroupError::NotItsOwn`] if no
    /// hierarchy that counts CPU time keeps it apart from others, [`CgroupError::OutOfView`] if
    /// its group lies above the namespace that flyball itself is in.
    pub fn of_process(
        hierarchies: &Hierarchies,
        pid: u32,
        owner: Option<&str>,
    ) -> Result<Self, CgroupError> {
        Self::from_membership(hierarchies, pid, &membership_of(pid)?, owner)
    }

    /// The groups of the container `id` (its full id) where its process is out of sight, as from
    /// another container: at the paths that both of Docker's drivers use. Under a parent of a free
    /// choice it is not found.
    ///
    /// # Errors
    /// [`CgroupError::NoContainer`] if no hierarchy that counts CPU time has it.
    pub fn of_container(hierarchies: &Hierarchies, id: &str) -> Result<Self, CgroupError> {
        let shapes = [format!("docker/{id}"), format!("system.slice/docker-{id}.scope")];
        let find = |mount: &Option<PathBuf>| {
            let mount = mount.as_deref()?;
            shapes.iter().map(|shape| mount.join(shape)).find(|directory| directory.is_dir())
        };
        let unified = find(&hierarchies.unified);
        let v2 = || unified.clone().map(Directory::V2);
        let usage = find(&hierarchies.cpuacct).map(Directory::V1).or_else(v2);
        let throttling = find(&hierarchies.cpu).map(Directory::V1).or_else(v2);
        let usage = usage.ok_or_else(|| CgroupError::NoContainer { id: id.to_owned() })?;
        Ok(Self { usage, throttling })
    }

    fn from_membership(
        hierarchies: &Hierarchies,
        pid: u32,
        membership: &str,
        owner: Option<&str>,
    ) -> Result<Self, CgroupError> {
        let directory = |mount: &Option<PathBuf>, controller: &str| {
            let path = own_part(path_in(membership, controller)?, owner)?;
            Some(mount.as_deref()?.join(path))
        };
        let unified = directory(&hierarchies.unified, "");
        let v2 = || unified.clone().map(Directory::V2);
        let cpuacct = directory(&hierarchies.cpuacct, "cpuacct").map(Directory::V1);
        if let Some(usage) = cpuacct.or_else(v2) {
            let throttling = directory(&hierarchies.cpu, "cpu").map(Directory::V1).or_else(v2);
            Ok(Self { usage, throttling })
        } else if membership.contains(":/..") {
            Err(CgroupError::OutOfView { pid })
        } else {
            Err(CgroupError::NotItsOwn { pid })
        }
    }
}

impl Hierarchies {
    /// The directory of process `pid` in cgroup v2, the root included: a place for groups below,
    /// not one to read counters from. `None` where v2 is not mounted or the place is out of view.
    ///
    /// # Errors
    /// [`CgroupError::Ended`] if there is no such process.
    pub fn unified_place_of(&self, pid: u32) -> Result<Option<PathBuf>, CgroupError> {
        let membership = membership_of(pid)?;
        Ok(path_in(&membership, "")
            .filter(|path| !path.starts_with("/.."))
            .and_then(|path| Some(self.unified.as_ref()?.join(path.trim_start_matches('/')))))
    }
}

fn membership_of(pid: u32) -> Result<String, CgroupError> {
    let path = PathBuf::from(format!("/proc/{pid}/cgroup"));
    std::fs::read_to_string(&path).map_err(|source| match CgroupError::read(&path, source) {
        error if error.is_gone() => CgroupError::Ended { pid },
        error => error,
    })
}

/// The path in the hierarchy of `controller`; the v2 hierarchy has the empty name.
fn path_in<'a>(membership: &'a str, controller: &str) -> Option<&'a str> {
    membership.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let _number = parts.next()?;
        let controllers = parts.next()?;
        let path = parts.next()?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    })
}

/// `path` relative to its mount, cut behind the part that names `owner`; `None` for the root, for
/// what lies outside of the namespace, and for a path that does not name the owner.
fn own_part(path: &str, owner: Option<&str>) -> Option<PathBuf> {
    let mut part = PathBuf::new();
    for component in Path::new(path.trim_start_matches('/')).components() {
        let Component::Normal(name) = component else { return None };
        part.push(name);
        if owner.is_some_and(|id| name.to_string_lossy().contains(id)) {
            return Some(part);
        }
    }
    (owner.is_none() && !part.as_os_str().is_empty()).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4a9ce1d80f";

    fn hybrid() -> Hierarchies {
        Hierarchies {
            unified: Some("/g/unified".into()),
            cpuacct: Some("/g/cpuacct".into()),
            cpu: Some("/g/cpu".into()),
        }
    }

    fn find(membership: &str, owner: Option<&str>) -> Result<Group, CgroupError> {
        Group::from_membership(&hybrid(), 7, membership, owner)
    }

    #[test]
    fn every_drivers_shape_is_cut_behind_the_container() {
        let shapes = [
            ("/docker/4a9ce1d80f", "docker/4a9ce1d80f"),
            ("/docker/4a9ce1d80f/init", "docker/4a9ce1d80f"),
            ("/system.slice/docker-4a9ce1d80f.scope", "system.slice/docker-4a9ce1d80f.scope"),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-4a9ce1d80f.scope/a/b",
                "user.slice/user-1000.slice/user@1000.service/user.slice/docker-4a9ce1d80f.scope",
            ),
            ("/batch/jobs:night/4a9ce1d80f", "batch/jobs:night/4a9ce1d80f"),
        ];
        for (path, wanted) in shapes {
            let group = find(&format!("0::{path}\n"), Some(ID)).unwrap();
            assert_eq!(group, Group::unified(Path::new("/g/unified").join(wanted)), "{path}");
        }
    }

    /// Writes what the kernel shows of one container, with these lines of membership, and reads it
    /// back both ways: CPU time and throttling, each in nanoseconds.
    fn read_back(files: &[(&str, &str)], membership: &str) -> [(u64, Option<u64>); 2] {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let hierarchies = Hierarchies::at(root.path()).unwrap();
        let by_process = Group::from_membership(&hierarchies, 7, membership, Some(ID));
        [by_process, Group::of_container(&hierarchies, ID)].map(|group| {
            let meter = crate::GroupMeter::open(&group.unwrap()).unwrap();
            let held_ns = meter.throttling().unwrap().map(|throttling| throttling.held_ns);
            (meter.used_ns().unwrap(), held_ns)
        })
    }

    const V1_STAT: &str = "nr_periods 9\nnr_throttled 2\nthrottled_time 70000\n";
    const V2_STAT: &str = "usage_usec 1500\nnr_periods 9\nnr_throttled 2\nthrottled_usec 70\n";
    /// As v2 has it where the cpu controller is on v1, or off.
    const V2_BARE: &str = "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n";

    #[test]
    fn pure_v2_is_read_with_either_driver() {
        for (place, path) in [
            ("docker/4a9ce1d80f", "/docker/4a9ce1d80f"),
            ("system.slice/docker-4a9ce1d80f.scope", "/system.slice/docker-4a9ce1d80f.scope"),
        ] {
            let stat = format!("{place}/cpu.stat");
            let root_stat = ("cpu.stat", "usage_usec 99999999\n");
            let files = [("cgroup.controllers", "cpu memory\n"), root_stat, (&stat, V2_STAT)];
            let read = read_back(&files, &format!("0::{path}\n"));
            assert_eq!(read, [(1_500_000, Some(70_000)); 2], "{place}");
        }
    }

    #[test]
    fn v1_is_read_with_either_driver() {
        for (place, path) in [
            ("docker/4a9ce1d80f", "/docker/4a9ce1d80f"),
            ("system.slice/docker-4a9ce1d80f.scope", "/system.slice/docker-4a9ce1d80f.scope"),
        ] {
            let (usage, stat) = (
                format!("cpu,cpuacct/{place}/cpuacct.usage"),
                format!("cpu,cpuacct/{place}/cpu.stat"),
            );
            let files = [
                ("cpu,cpuacct/cpuacct.usage", "1\n"),
                ("cpu,cpuacct/cpu.shares", "1024\n"),
                (&usage, "1600000\n"),
                (&stat, V1_STAT),
            ];
            let read = read_back(&files, &format!("4:cpu,cpuacct:{path}\n1:name=systemd:{path}\n"));
            assert_eq!(read, [(1_600_000, Some(70_000)); 2], "{place}");
        }
    }

    #[test]
    fn the_hybrid_layout_is_read_where_the_controllers_are() {
        for (place, path) in [
            ("docker/4a9ce1d80f", "/docker/4a9ce1d80f"),
            ("system.slice/docker-4a9ce1d80f.scope", "/system.slice/docker-4a9ce1d80f.scope"),
        ] {
            let (usage, stat) =
                (format!("cpuacct/{place}/cpuacct.usage"), format!("cpu/{place}/cpu.stat"));
            let unified = format!("unified/{place}/cpu.stat");
            let files = [
                ("unified/cgroup.controllers", ""),
                ("cpuacct/cpuacct.usage", "1\n"),
                ("cpu/cpu.shares", "1024\n"),
                (&usage, "1600000\n"),
                (&stat, V1_STAT),
                (&unified, V2_BARE),
            ];
            let membership = format!("5:cpuacct:{path}\n4:cpu:{path}\n0::{path}\n");
            assert_eq!(read_back(&files, &membership), [(1_600_000, Some(70_000)); 2], "{place}");
        }
    }

    #[test]
    fn a_container_that_is_nowhere_is_named() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("cgroup.controllers"), "").unwrap();
        let hierarchies = Hierarchies::at(root.path()).unwrap();
        let error = Group::of_container(&hierarchies, ID).unwrap_err();
        assert!(matches!(error, CgroupError::NoContainer { ref id } if id == ID), "{error}");
    }

    #[test]
    fn controllers_that_share_a_hierarchy_are_found_by_each_name() {
        let group = find("4:cpu,cpuacct:/docker/4a9ce1d80f\n0::/\n", Some(ID)).unwrap();
        assert_eq!(group.usage, Directory::V1("/g/cpuacct/docker/4a9ce1d80f".into()));
        assert_eq!(group.throttling, Some(Directory::V1("/g/cpu/docker/4a9ce1d80f".into())));
    }

    #[test]
    fn a_hierarchy_where_the_engines_own_group_stands_is_left_out() {
        let membership = "2:cpuacct:/docker/4a9ce1d80f\n0::/system.slice/containerd.service\n";
        let group = find(membership, Some(ID)).unwrap();
        assert_eq!(group.usage, Directory::V1("/g/cpuacct/docker/4a9ce1d80f".into()));
        assert_eq!(group.throttling, None);
    }

    #[test]
    fn the_root_group_is_nobodys_own() {
        assert!(matches!(
            find("2:cpuacct:/\n0::/\n", None),
            Err(CgroupError::NotItsOwn { pid: 7 })
        ));
    }

    #[test]
    fn a_group_above_the_namespace_is_out_of_view() {
        let error = find("0::/../4a9ce1d80f\n", Some(ID)).unwrap_err();
        assert!(matches!(error, CgroupError::OutOfView { .. }));
        assert!(error.hint().unwrap().contains("cgroupns"));
    }

    #[test]
    fn a_process_that_is_not_there_has_ended() {
        let error = Group::of_process(&hybrid(), u32::MAX, None).unwrap_err();
        assert!(matches!(error, CgroupError::Ended { .. }) && error.is_gone());
    }
}
