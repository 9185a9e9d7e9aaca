//! Containers behind HAProxy, as people use them: the real program, a Docker daemon and a HAProxy
//! of the tests' own, and a load through it, on 127.0.0.1.
//!
//! One file for each promise. Invariant: every test waits for a condition with a deadline and
//! leaves nothing behind.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may")]

mod agent;
mod attackers;
mod attacks;
mod compose;
mod compose_shapes;
mod demo;
mod example;
mod ha;
mod kills;
#[path = "../../../flyball-docker/tests/lab/mod.rs"]
mod lab;
mod labels;
mod load;
mod mesos;
#[path = "../../../flyball-mesos/tests/lab/mod.rs"]
mod mesos_lab;
mod mistakes;
mod neighbours;
mod others_act;
#[path = "../../../flyball-haproxy/tests/rig/mod.rs"]
mod rig;
mod scaling;
#[path = "../../../flyball-zookeeper/tests/servers/mod.rs"]
#[allow(dead_code, reason = "it is shared, and this uses its own part of it")]
mod servers;
mod stage;
#[path = "../program/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it is shared, and this uses its own part of it")]
mod support;
