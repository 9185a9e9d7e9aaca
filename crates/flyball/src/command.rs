//! One file for each command.
//!
//! Decides nothing. Invariant: a command takes only what it needs, and none prints to standard
//! output but data.

mod agent;
mod check;
mod configuration;
mod cpu;
mod decide;
mod door;
mod explain;
mod hand;
mod paper;
mod run;
mod simulate;
mod status;
mod top;
mod zabbix;

pub(crate) use agent::agent;
pub(crate) use check::check;
use configuration::configuration;
pub(crate) use cpu::cpu;
pub(crate) use decide::decide;
pub(crate) use explain::explain;
pub(crate) use hand::{pause, resume, scale};
pub(crate) use paper::{completions, man};
pub(crate) use run::{run, stopped_by_signal};
pub(crate) use simulate::simulate;
pub(crate) use status::status;
pub(crate) use top::top;
pub(crate) use zabbix::zabbix;
