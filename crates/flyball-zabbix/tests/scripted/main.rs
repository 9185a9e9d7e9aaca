//! Peers of Zabbix that stay silent, close the connection half way or answer nonsense. Every peer
//! is on 127.0.0.1 and ends with its test.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod api;
mod frontend;
mod peer;
mod reporter;
mod sender;
mod setup;
