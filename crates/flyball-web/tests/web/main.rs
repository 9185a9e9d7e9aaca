//! The server as its clients see it: one test program, since the tests share a scripted daemon.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests, their helpers included")]

mod api;
mod crowd;
mod door;
mod events;
mod leader;
mod metrics;
mod page;
mod schemas;
mod scripted;
mod words;
