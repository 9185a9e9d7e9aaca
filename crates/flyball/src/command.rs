//! One file per command. Only data goes to standard output.

mod agent;
mod check;
mod client;
mod completions;
mod configuration;
mod cpu;
mod decide;
mod deploy;
mod explain;
#[cfg(test)]
pub(crate) mod fixture;
mod notify;
mod overrides;
mod reload;
mod run;
mod simulate;
mod status;
mod top;
mod zabbix;

pub(crate) use agent::agent;
pub(crate) use check::check;
pub(crate) use completions::{completions, man};
use configuration::configuration;
pub(crate) use cpu::cpu;
pub(crate) use decide::decide;
pub(crate) use deploy::{deploy, rollback, rollout};
pub(crate) use explain::explain;
pub(crate) use notify::notify;
pub(crate) use overrides::{pause, resume, scale};
pub(crate) use reload::reload;
pub(crate) use run::{run, stopped_by_signal};
pub(crate) use simulate::simulate;
pub(crate) use status::status;
pub(crate) use top::top;
pub(crate) use zabbix::zabbix;
