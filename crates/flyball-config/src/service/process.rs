//! A replica as a child process.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::ServiceKeys;
use super::engine::GRACE_MS;
use crate::reader::Reports;

/// A replica as a child process.
#[derive(Clone, PartialEq)]
pub struct Process {
    /// The program, never empty, and its arguments; `{port}` stands for the port it is given.
    pub command: Vec<String>,
    /// Variables added to its environment; may hold secrets, so `Debug` shows names only.
    pub env: BTreeMap<String, String>,
    /// Where it runs; `None`: where flyball runs.
    pub directory: Option<PathBuf>,
    /// Cores it may use; above 0.
    pub cpus: f64,
    /// Time between SIGTERM and SIGKILL, in milliseconds; 0: at once.
    pub grace_ms: u64,
}

debug_without_values!(Process { command, env.keys(), directory, cpus, grace_ms });

pub(super) fn process(keys: &ServiceKeys, reports: &mut Reports) -> Option<Process> {
    if keys.command.is_absent() {
        let example = "[\"./server\", \"--port\", \"{port}\"]";
        keys.command.report_missing(example, reports);
    }
    Some(Process {
        command: keys.command.value.clone()??,
        env: keys.env.value.clone()?,
        directory: keys.directory.value.clone()?,
        cpus: keys.cpus.value?.unwrap_or(1.0),
        grace_ms: keys.grace.value?.unwrap_or(GRACE_MS),
    })
}
