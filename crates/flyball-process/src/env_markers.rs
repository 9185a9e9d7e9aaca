//! The environment markers that a replica and all its descendants carry.
//!
//! A marker matches a whole variable, never a part of one.

use std::fs::File;
use std::io::Read;

use flyball_cgroup::ProcessStat;
use flyball_core::units::ReplicaId;

use crate::{LauncherSettings, ProcessError};

/// Longer environments are read only so far: the marks are put into a fresh one early enough.
const ENVIRONMENT_LIMIT_BYTES: u64 = 4 << 20;

const OWNER: &str = "FLYBALL_OWNER";

/// What every replica of one run carries.
#[derive(Clone, Debug)]
pub(crate) struct EnvMarkers {
    run: String,
    home: String,
    owner: String,
}

impl EnvMarkers {
    pub(crate) fn new(settings: &LauncherSettings) -> Result<Self, ProcessError> {
        one_line("run", &settings.run_mark)?;
        one_line("home", &settings.home_mark)?;
        let pid = std::process::id();
        let started = ProcessStat::of(pid).map_or(0, |stat| stat.started_ticks);
        Ok(Self {
            run: settings.run_mark.clone(),
            home: settings.home_mark.clone(),
            owner: format!("{pid}:{started}"),
        })
    }

    /// The variables of one replica.
    pub(crate) fn of_replica(&self, service: &str, id: &ReplicaId) -> [(&'static str, String); 5] {
        [
            ("FLYBALL_RUN", self.run.clone()),
            ("FLYBALL_HOME", self.home.clone()),
            (OWNER, self.owner.clone()),
            ("FLYBALL_SERVICE", service.to_owned()),
            ("FLYBALL_REPLICA", id.to_string()),
        ]
    }

    /// What all descendants of one replica carry, and no other process.
    pub(crate) fn only_replica(&self, service: &str, id: &ReplicaId) -> Vec<String> {
        let [run, _, _, service, replica] = self.of_replica(service, id);
        [run, service, replica].map(|(name, value)| format!("{name}={value}")).into()
    }

    /// What every process of the run carries.
    pub(crate) fn only_run(run: &str) -> Vec<String> {
        vec![format!("FLYBALL_RUN={run}")]
    }

    /// What every process of this and earlier runs of the same state directory carries.
    pub(crate) fn only_home(&self) -> Vec<String> {
        vec![format!("FLYBALL_HOME={}", self.home)]
    }

    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    pub(crate) fn home(&self) -> &str {
        &self.home
    }
}

fn one_line(what: &'static str, mark: &str) -> Result<(), ProcessError> {
    if mark.is_empty() || mark.contains(['\n', '\0']) {
        return Err(ProcessError::Mark { what, mark: mark.to_owned() });
    }
    Ok(())
}

/// The environment that a process was started with, as far as it may be read.
pub(crate) struct Environment(Vec<u8>);

impl Environment {
    /// Empty for a process that is gone, of another user, or of the kernel.
    pub(crate) fn of(pid: u32) -> Self {
        let mut bytes = Vec::new();
        if let Ok(file) = File::open(format!("/proc/{pid}/environ")) {
            // What was read before an error still counts.
            let _ = file.take(ENVIRONMENT_LIMIT_BYTES).read_to_end(&mut bytes);
        }
        Self(bytes)
    }

    /// Whether all of `marks` are in it.
    pub(crate) fn carries(&self, marks: &[String]) -> bool {
        let has = |mark: &String| self.variables().any(|variable| variable == mark.as_bytes());
        marks.iter().all(has)
    }

    /// The flyball that it belongs to, if that still lives.
    pub(crate) fn living_owner(&self) -> Option<u32> {
        let value = self.variables().find_map(|variable| {
            std::str::from_utf8(variable).ok()?.strip_prefix(OWNER)?.strip_prefix('=')
        })?;
        let (pid, started) = value.split_once(':')?;
        let owner = ProcessStat::of(pid.parse().ok()?).ok()?;
        (!owner.ended && started.parse() == Ok(owner.started_ticks)).then_some(owner.pid)
    }

    fn variables(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&byte| byte == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> EnvMarkers {
        EnvMarkers::new(&LauncherSettings {
            run_mark: "r1".into(),
            home_mark: "/var/lib/flyball".into(),
            watchdog: None,
            descriptors: None,
            replicas_max: 1_000,
            cgroup_mount: None,
        })
        .unwrap()
    }

    #[test]
    fn a_mark_matches_whole_variables_only() {
        let environment = Environment(b"A=1\0FLYBALL_RUN=r10\0XFLYBALL_RUN=r1\0".to_vec());
        assert!(!environment.carries(&EnvMarkers::only_run("r1")));
        assert!(environment.carries(&EnvMarkers::only_run("r10")));
        assert!(Environment(Vec::new()).living_owner().is_none());
    }

    #[test]
    fn this_process_lives_and_an_earlier_one_with_its_id_does_not() {
        let of = |owner: String| Environment(format!("A=1\0{OWNER}={owner}\0").into_bytes());
        assert_eq!(of(marks().owner).living_owner(), Some(std::process::id()));
        assert_eq!(of(format!("{}:1", std::process::id())).living_owner(), None);
        assert_eq!(of("nonsense".into()).living_owner(), None);
    }

    #[test]
    fn a_replica_is_told_from_its_namesake_in_another_service() {
        let id = ReplicaId::new("a-1");
        let marks = marks();
        let carried: Vec<String> =
            marks.of_replica("a", &id).map(|(name, value)| format!("{name}={value}")).into();
        let environment = Environment(carried.join("\0").into_bytes());
        assert!(environment.carries(&marks.only_replica("a", &id)));
        assert!(!environment.carries(&marks.only_replica("b", &id)));
    }
}
