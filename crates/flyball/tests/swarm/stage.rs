//! The Swarm, HAProxy, flyball and a load. Everything on it ends with it, flyball before the Swarm.

use std::net::SocketAddr;

use serde_json::json;
use tokio::runtime::Runtime;

use crate::support::{Daemon, Place, until};
use crate::swarm::Swarm;
use flyball_testkit::docker::IMAGE;
use flyball_testkit::haproxy::Rig;

/// A Swarm, a HAProxy and a place.
pub(crate) struct Stage {
    pub(crate) place: Place,
    pub(crate) rig: Rig,
    pub(crate) swarm: Swarm,
    _runtime: Runtime,
}

impl Stage {
    /// With this many managers; `None` where it cannot be had, which is noted.
    pub(crate) fn set(managers: u32) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let rig = runtime.block_on(Rig::start(""))?;
        let swarm = Swarm::up(managers)?;
        Some(Self { place: Place::new(), rig, swarm, _runtime: runtime })
    }

    /// Where requests go.
    pub(crate) fn front(&self) -> SocketAddr {
        self.rig.front
    }

    /// Makes the service `web` of the lab's application, with what `words` add to it.
    pub(crate) fn create(&self, replicas: u32, words: &[&str]) {
        let replicas = replicas.to_string();
        let ours = [
            "service",
            "create",
            "-d",
            "--name",
            "web",
            "--no-resolve-image",
            "--publish",
            "mode=host,target=8080",
            "--limit-cpu",
            "0.5",
            // Five seconds are usual.
            "--restart-delay",
            "200ms",
            "--replicas",
            &replicas,
        ];
        self.swarm.docker(&[&ours[..], words, &[IMAGE]].concat());
    }

    /// Starts flyball, asking all managers, with `lines` of the service's table.
    pub(crate) fn fly(&self, managers: &[usize], lines: &str) -> Daemon {
        let hosts: Vec<String> = managers.iter().map(|n| self.swarm.nodes[*n].host()).collect();
        let socket = self.rig.path("admin.sock");
        self.place.configure(&format!(
            "[swarm]\nmanagers = {hosts:?}\nlabels = false\n[haproxy]\nsocket = {socket:?}\n\
             [services.web]\nengine = \"swarm\"\nbalancer = \"haproxy\"\nport = 8080\n{lines}\n"
        ));
        Daemon::start(&self.place)
    }
}

/// Wants a count and waits until exactly that many serve.
#[track_caller]
pub(crate) fn scale(daemon: &Daemon, to: u64) {
    want(daemon, to);
    daemon.until_settled("web", to);
}

#[track_caller]
pub(crate) fn want(daemon: &Daemon, to: u64) {
    daemon.post("/api/v1/services/web/scale", &json!({ "to": to }));
}

/// Waits until this many are ready, whatever else is there.
#[track_caller]
pub(crate) fn until_ready(daemon: &Daemon, count: u64) {
    until(&format!("{count} ready"), || (daemon.seen("web", "ready") == Some(count)).then_some(()));
}
