//! A replica as a task of Mesos.

use std::collections::BTreeMap;

use super::ServiceKeys;
use super::engine::{GRACE_MS, container_cpus, refuse_reserved_labels};
use crate::bytes::show_bytes;
use crate::reader::{ConfigError, Reports};

/// Mesos's own least, and what a task is given where nothing is said, in bytes.
const MEMORY_MIN: u64 = 32 << 20;
const MEMORY: u64 = 256 << 20;

/// A replica as a task of Mesos. What is empty is as the image has it.
#[derive(Clone, PartialEq)]
pub struct Task {
    /// The image.
    pub image: String,
    /// The program and its arguments, or empty; `{port}` stands for the port it serves on.
    pub command: Vec<String>,
    /// Variables added to its environment; may hold secrets, so `Debug` shows names only.
    pub env: BTreeMap<String, String>,
    /// Labels added to flyball's own; none begins with `flyball.`.
    pub labels: BTreeMap<String, String>,
    /// Cores it is given, at least 0.01.
    pub cpus: f64,
    /// Memory it is given, in bytes, at least 32 MiB.
    pub memory_bytes: u64,
    /// The port it serves on inside, which one of its agent's leads to; `None` where it shares its
    /// agent's network and is told its port.
    pub port: Option<u16>,
    /// Time between SIGTERM and SIGKILL, in milliseconds; 0: at once.
    pub grace_ms: u64,
}

debug_without_values!(Task { image, command, env.keys(), labels, cpus, memory_bytes, port, grace_ms });

pub(super) fn task(keys: &ServiceKeys, reports: &mut Reports) -> Option<Task> {
    let reach = keys.reach.value;
    if reach == Some("container") {
        // No agent leads to a container's own address.
        let what = "\"container\" is not a way to reach a Mesos task";
        keys.reach.refuse(what, "write reach = \"published\" or \"host\"", reports);
    }
    if keys.image.is_absent() {
        keys.image.report_missing("\"registry.example/web:1.4\"", reports);
    }
    let in_host = reach.map(|reach| reach == "host");
    if keys.port.is_absent() && in_host == Some(false) {
        keys.port.report_missing("8080", reports);
    }
    let memory = keys.memory.value;
    if let Some(Some(bytes)) = memory
        && bytes < MEMORY_MIN
    {
        let limit = format!("at least {}", show_bytes(MEMORY_MIN));
        let fault = ConfigError::out_of_range(&keys.memory.path, &show_bytes(bytes), &limit);
        keys.memory.report(fault, reports);
    }
    refuse_reserved_labels(keys, reports);
    let cpus = container_cpus(keys, reports);
    let port = keys.port.value?.filter(|_| in_host == Some(false));
    if port.is_none() && !in_host? {
        return None;
    }
    Some(Task {
        image: keys.image.value.clone()??,
        command: keys.command.value.clone()?.unwrap_or_default(),
        env: keys.env.value.clone()?,
        labels: keys.labels.value.clone()?,
        cpus: cpus?.unwrap_or(1.0),
        memory_bytes: memory?.unwrap_or(MEMORY),
        port,
        grace_ms: keys.grace.value?.unwrap_or(GRACE_MS),
    })
}
