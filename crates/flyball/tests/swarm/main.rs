//! Three Docker daemons in network namespaces, and a load through HAProxy on 127.0.0.1. Every test
//! leaves nothing behind: no process, namespace, interface, mount, cgroup or firewall rule. The
//! routing mesh is left out: without IPVS in the kernel it refuses connections.
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
