//! Zabbix as it should not be: peers that stay silent, hang up half way or say something else.
//!
//! Invariant: every peer is on 127.0.0.1 and ends with its test.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod api;
mod frontend;
mod peer;
mod reporter;
mod sender;
mod setup;
