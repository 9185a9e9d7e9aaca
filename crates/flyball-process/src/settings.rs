//! Settings of the launcher and of the replicas of one service.
//!
//! Environment values may be secrets and are never shown.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use flyball_engine::command::PortFault;
use rustix::fs::{Access, access};

use crate::ProcessError;

/// How the launcher of one flyball is set.
#[derive(Clone, Debug)]
pub struct LauncherSettings {
    /// Names this run; no other run, at any time, has the same. One line of text.
    pub run_mark: String,
    /// Names what outlives runs: the state directory. Only one flyball at a time may run on it.
    pub home_mark: String,
    /// A command that calls [`crate::watchdog_main`]; without one, grandchildren outlive a
    /// `SIGKILL` of flyball until its next start.
    pub watchdog: Option<Vec<OsString>>,
    /// The bound of descriptors that replicas begin with; `None` for flyball's own. Flyball raises
    /// its own, and what uses `select` breaks beyond 1,024.
    pub descriptors: Option<u64>,
    /// Replicas at once, of all services; one more is not started, and its exit says why.
    pub replicas_max: usize,
    /// Where cgroups are mounted, for a group per replica if one can be had; `None` for never.
    pub cgroup_mount: Option<PathBuf>,
}

/// How the replicas of one service are run.
#[derive(Clone)]
pub struct ProcessSettings {
    /// The name of the service.
    pub service: String,
    /// The command and its arguments; `{port}` in any argument becomes the replica's port, which
    /// is in the environment as `PORT` as well.
    pub command: Vec<String>,
    /// Added to flyball's own environment.
    pub env: BTreeMap<String, String>,
    /// Where it runs; `None` for flyball's own directory.
    pub directory: Option<PathBuf>,
    /// Cores that one replica may use, as reported to the policy. Nothing enforces it here. Above 0.
    pub cpu_limit_cores: f64,
    /// From `SIGTERM` to `SIGKILL`, in milliseconds; 0 kills at once.
    pub grace_ms: u64,
}

impl ProcessSettings {
    /// What container engines wait as well.
    pub const DEFAULT_GRACE_MS: u64 = 10_000;

    /// Runs `command` for `service`: in flyball's directory and environment, one core, 10 s grace.
    pub fn new(service: impl Into<String>, command: Vec<String>) -> Self {
        Self {
            service: service.into(),
            command,
            env: BTreeMap::new(),
            directory: None,
            cpu_limit_cores: 1.0,
            grace_ms: Self::DEFAULT_GRACE_MS,
        }
    }

    /// Finds the file that the command names, and checks the rest of the settings.
    ///
    /// # Errors
    /// What would keep every replica from starting: no command, none that can be run, no
    /// directory, no cores.
    pub fn find_command(&self) -> Result<PathBuf, ProcessError> {
        let service = || self.service.clone();
        if !(self.cpu_limit_cores.is_finite() && self.cpu_limit_cores > 0.0) {
            return Err(ProcessError::CpuLimit { service: service(), cores: self.cpu_limit_cores });
        }
        if let Some(path) = self.directory.clone().filter(|path| !path.is_dir()) {
            return Err(ProcessError::NoDirectory { service: service(), path });
        }
        let command = self.command.first().filter(|command| !command.is_empty());
        let command = command.ok_or_else(|| ProcessError::EmptyCommand { service: service() })?;
        let found: Vec<PathBuf> =
            self.candidates(command).into_iter().filter(|path| path.is_file()).collect();
        match (found.iter().find(|path| can_run(path)), found.first()) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(path)) => {
                Err(ProcessError::NotExecutable { service: service(), path: path.clone() })
            }
            (None, None) => {
                Err(ProcessError::CommandNotFound { service: service(), command: command.clone() })
            }
        }
    }

    /// Why replicas may not learn their port from the command; `None` if they do.
    pub fn port_fault(&self) -> Option<PortFault> {
        PortFault::of(&self.command)
    }

    fn candidates(&self, command: &str) -> Vec<PathBuf> {
        let here = self.directory.clone().unwrap_or_default();
        let absolute = |path: PathBuf| std::path::absolute(here.join(&path)).unwrap_or(path);
        if command.contains('/') {
            return vec![absolute(command.into())];
        }
        let path = self.env.get("PATH").map(OsString::from).or_else(|| env::var_os("PATH"));
        env::split_paths(&path.unwrap_or_default())
            .map(|directory| absolute(directory.join(command)))
            .collect()
    }
}

fn can_run(path: &Path) -> bool {
    access(path, Access::EXEC_OK).is_ok()
}

impl fmt::Debug for ProcessSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessSettings")
            .field("service", &self.service)
            .field("command", &self.command)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("directory", &self.directory)
            .field("cpu_limit_cores", &self.cpu_limit_cores)
            .field("grace_ms", &self.grace_ms)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use flyball_engine::Hint as _;

    use super::*;

    fn settings(command: &[&str]) -> ProcessSettings {
        ProcessSettings::new("web", command.iter().map(|&part| part.to_owned()).collect())
    }

    #[test]
    fn a_name_is_looked_up_in_path_and_a_path_in_the_directory() {
        assert!(settings(&["sh"]).find_command().unwrap().ends_with("sh"));
        let mut relative = settings(&["./sh"]);
        relative.directory = Some("/bin".into());
        assert!(relative.find_command().unwrap().starts_with("/bin"));
    }

    #[test]
    fn what_cannot_run_is_said_with_a_hint() {
        let error = settings(&["no-such-server"]).find_command().unwrap_err();
        assert_eq!(error.to_string(), "service web: command not found: no-such-server");
        assert!(error.hint().unwrap().contains("PATH"));

        let error = settings(&["/etc/passwd"]).find_command().unwrap_err();
        assert_eq!(error.to_string(), "service web: command is not executable: /etc/passwd");
        assert_eq!(error.hint().unwrap(), "chmod +x /etc/passwd");

        assert!(matches!(settings(&[]).find_command(), Err(ProcessError::EmptyCommand { .. })));
        assert!(matches!(
            settings(&["/bin"]).find_command(),
            Err(ProcessError::CommandNotFound { .. })
        ));
    }

    #[test]
    fn a_limit_of_no_cores_or_of_nonsense_is_refused() {
        for cores in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut bad = settings(&["sh"]);
            bad.cpu_limit_cores = cores;
            assert!(matches!(bad.find_command(), Err(ProcessError::CpuLimit { .. })), "{cores}");
        }
    }

    #[test]
    fn debug_shows_names_of_variables_and_no_values() {
        let mut secret = settings(&["sh"]);
        secret.env.insert("DB_PASSWORD".into(), "hunter2".into());
        let shown = format!("{secret:?}");
        assert!(shown.contains("DB_PASSWORD") && !shown.contains("hunter2"));
    }
}
