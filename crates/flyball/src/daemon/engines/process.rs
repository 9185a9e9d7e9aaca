//! The engine of child processes: started, built and checked from the configuration.

use std::sync::Arc;

use flyball_config as config;
use flyball_config::Config;
use flyball_core::generation::Generation;
use flyball_engine::Hint as _;
use flyball_process::{Launcher, LauncherSettings, ProcessEngine, ProcessError, ProcessSettings};

use crate::cli::WATCHDOG;
use crate::clock;
use crate::daemon::state_dir::StateDir;
use crate::failure::{Failure, with_hint};
use crate::finding::Finding;

with_hint!(ProcessError);

/// How many processes there may be, and how many files each may have open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The soft limit of descriptors that replicas start with.
    pub(crate) descriptors: u64,
    pub(crate) replicas_max: usize,
}

/// What starts processes, if a service of `config` is one.
pub(super) fn open(
    config: &Config,
    home: &StateDir,
    limits: Limits,
) -> Result<Option<Arc<Launcher>>, Failure> {
    if !config.services.values().any(|s| matches!(s.engine, config::Engine::Process(_))) {
        return Ok(None);
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find flyball's own program: {error}")))?;
    let settings = LauncherSettings {
        run_mark: home.run_mark(),
        home_mark: home.mark(),
        watchdog: Some(vec![program.into(), WATCHDOG.into()]),
        descriptors: Some(limits.descriptors),
        replicas_max: limits.replicas_max,
        cgroup_mount: Some("/sys/fs/cgroup".into()),
    };
    Ok(Some(Arc::new(Launcher::start(settings)?)))
}

pub(super) fn build(
    launcher: Arc<Launcher>,
    service: &str,
    process: &config::Process,
) -> Result<ProcessEngine, Failure> {
    Ok(ProcessEngine::new(launcher, settings(service, process), clock::now)?)
}

/// Replicas are made as `process` says from now on.
pub(super) fn reconfigure(
    engine: &ProcessEngine,
    service: &str,
    process: &config::Process,
) -> Result<Generation, Failure> {
    Ok(engine.reconfigure(settings(service, process))?)
}

fn settings(service: &str, process: &config::Process) -> ProcessSettings {
    ProcessSettings {
        service: service.to_owned(),
        command: process.command.clone(),
        env: process.env.clone(),
        directory: process.directory.clone(),
        cpu_limit_cores: process.cpus,
        grace_ms: process.grace_ms,
    }
}

/// Whether the command of a process can be run, and tells its program where to serve.
pub(super) fn check(name: &str, process: &config::Process) -> Vec<Finding> {
    let key = format!("services.{name}.command");
    let settings = settings(name, process);
    let command = match settings.find_command() {
        Ok(path) => Finding::good(&key, path.display().to_string()),
        Err(error) => Finding::failed(&key, error),
    };
    let port = settings.port_fault().map(|fault| Finding {
        key,
        ok: !fault.is_certain(),
        text: fault.to_string(),
        hint: Some(fault.hint()),
    });
    [command].into_iter().chain(port).collect()
}
