//! Containers behind HAProxy: the real program, a Docker daemon and a HAProxy of the tests' own,
//! and a load through it, on 127.0.0.1. Every test waits for a condition with a deadline and leaves
//! nothing behind.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may")]

mod agent;
mod attackers;
mod attacks;
mod bad_images;
mod bad_input;
mod compose;
mod compose_deploys;
mod compose_shapes;
mod demo;
mod deploys;
mod example;
mod ha;
mod kills;
mod labels;
mod load;
mod mesos;
mod mistakes;
mod neighbours;
mod others_act;
mod peers;
mod project;
mod rollouts;
mod scaling;
mod sleep;
mod stage;
#[path = "../program/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it is shared, and this uses its own part of it")]
mod support;
mod versions;
