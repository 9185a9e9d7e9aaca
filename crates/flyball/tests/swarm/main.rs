//! A Swarm behind HAProxy, as people use it: the real program, three Docker daemons in network
//! namespaces of the tests' own, and a load through a HAProxy on 127.0.0.1.
//!
//! One file for each promise. Invariant: every test waits for a condition with a deadline and
//! leaves nothing behind: no process, namespace, interface, mount, cgroup or firewall rule.
//! The routing mesh is left out: where the kernel has no IPVS it refuses connections.
#![expect(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout, reason = "a test may")]

mod deploys;
mod example;
mod losses;
mod node;
mod scaling;
mod stage;
#[path = "../program/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it is shared, and this uses its own part of it")]
mod support;
mod swarm;
