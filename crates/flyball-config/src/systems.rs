//! The systems that flyball works with, one file for each table of the configuration. Nothing is
//! connected to.

mod docker;
mod flyball;
mod ha;
mod haproxy;
mod marathon;
mod mesos;
mod notify;
mod permits;
mod proxy;
mod swarm;
mod zabbix;

pub use docker::Docker;
pub(crate) use docker::{DockerKeys, docker};
pub use flyball::Daemon;
pub(crate) use flyball::DaemonKeys;
pub(crate) use ha::HaKeys;
pub use ha::{Ensemble, Ha};
pub(crate) use haproxy::HaproxyKeys;
pub use haproxy::{Haproxy, Socket};
pub use marathon::{Marathon, MarathonPlace};
pub(crate) use marathon::{MarathonKeys, marathon};
pub(crate) use mesos::MesosKeys;
pub use mesos::{Mesos, MesosMaster};
pub(crate) use notify::NotifyKeys;
pub use notify::{Notify, NotifyBody, NotifyEvent, NotifyUrl};
pub use permits::Permits;
pub(crate) use permits::permission;
pub use proxy::Proxy;
pub(crate) use proxy::ProxyKeys;
pub use swarm::Swarm;
pub(crate) use swarm::{SwarmKeys, swarm};
pub(crate) use zabbix::ZabbixKeys;
pub use zabbix::{Zabbix, ZabbixApi};
