//! Real and scripted systems for tests: Docker, HAProxy, Mesos, Marathon and ZooKeeper. Each runs
//! on 127.0.0.1 in a directory of its own and ends with its test.
#![expect(
    missing_docs,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test kit: what it cannot have ends the test"
)]

pub mod compose;
pub mod docker;
pub mod haproxy;
pub mod labels;
pub mod marathon;
pub mod mesos;
pub mod zookeeper;
