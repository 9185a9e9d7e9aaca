//! Apps of Marathon behind HAProxy: the real program, real processes as tasks, a load through a
//! HAProxy on 127.0.0.1, and a scripted Marathon, since no real one can be had. Every test waits
//! for a condition with a deadline and leaves nothing behind.
#![expect(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout, reason = "a test may")]

mod stage;
#[path = "../program/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it is shared, and this uses its own part of it")]
mod support;
mod troubles;
