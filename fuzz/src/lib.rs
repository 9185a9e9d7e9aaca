//! Random input for every parser of external data. Each target takes any bytes and panics if
//! flyball breaks a promise. libFuzzer drives them (`cargo xtask fuzz`); ordinary tests replay
//! `seeds/`. Targets read no clock and no file.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a target that panics has found something"
)]

mod configuration;
mod labels;
mod observations;
mod policies;
mod traces;

pub use configuration::configuration;
pub use flyball_haproxy::fuzzing::{answers as haproxy_answers, stat as haproxy_stat};
pub use flyball_mesos::fuzzing::{events as marathon_events, records as mesos_records};
pub use flyball_proxy::fuzzing::heads as proxy_heads;
pub use flyball_zabbix::fuzzing::frames as zabbix_frames;
pub use labels::labels;
pub use observations::observations;
pub use policies::policies;
pub use traces::traces;

/// Takes any bytes; panics if flyball breaks a promise on them.
pub type Target = fn(&[u8]);

/// All targets by name: each is a binary for libFuzzer, and a folder of seeds.
pub const TARGETS: [(&str, Target); 11] = [
    ("configuration", configuration),
    ("haproxy_answers", haproxy_answers),
    ("haproxy_stat", haproxy_stat),
    ("labels", labels),
    ("marathon_events", marathon_events),
    ("mesos_records", mesos_records),
    ("observations", observations),
    ("policies", policies),
    ("proxy_heads", proxy_heads),
    ("traces", traces),
    ("zabbix_frames", zabbix_frames),
];
