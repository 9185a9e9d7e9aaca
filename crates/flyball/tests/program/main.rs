//! The real binary in a directory of its own, on 127.0.0.1; one test binary, so that it is linked
//! once. Every test waits for a condition with a deadline and leaves nothing behind.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a test may")]

mod activator;
mod agent;
mod browser;
mod clock;
mod commands;
mod configuration;
mod crowds;
mod demo;
mod deploys;
mod docker_away;
mod ha;
mod haproxy;
mod history;
mod kills;
mod limits;
mod monitors;
mod neighbours;
mod notifications;
mod readers;
mod replicas;
mod secrets;
mod sick;
mod simulate;
mod state;
mod support;
mod systemd;
mod traffic;
mod trust;
mod visible;
