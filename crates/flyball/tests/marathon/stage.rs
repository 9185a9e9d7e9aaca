//! A Marathon, HAProxy, and a place for flyball's own files. Everything on it ends with it.

use flyball_testkit::marathon::{Lab, LabSettings};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::support::{Daemon, FLYBALL, Place, flyball, run, until};
use flyball_testkit::haproxy::Rig;

pub(crate) const APP: &str = "/shop/web";

/// A Marathon with one app of sample replicas, a HAProxy, and a daemon that looks after it.
pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    pub(crate) lab: Lab,
    pub(crate) rig: Rig,
    pub(crate) place: Place,
    _runtime: Runtime,
}

impl Stage {
    /// With `count` tasks, each of which takes 40 ms for a request; `None` without HAProxy, which
    /// is noted.
    pub(crate) fn set(instances: usize) -> Option<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let rig = runtime.block_on(Rig::start(""))?;
        let lab = Lab::start(LabSettings::default(), None);
        let cmd = format!("{FLYBALL} sample-service --port $PORT0 --work-ms 4 --share 0.1");
        let check = json!({ "protocol": "HTTP", "path": "/healthz" });
        lab.put(json!({ "id": APP, "cmd": cmd, "cpus": 1, "healthChecks": [check] }), instances);
        let place = Place::new();
        let (socket, url) = (rig.path("admin.sock"), format!("{},{}", lab.at(0), lab.at(1)));
        place.configure(&format!(
            "[haproxy]\nsocket = {socket:?}\n[mesos]\nmaster = \"http://{}\"\n\
             [marathon]\nurl = \"http://{url}\"\n[services.web]\nengine = \"marathon\"\n\
             balancer = \"haproxy\"\napp = \"{APP}\"\nready = {{ http = \"/healthz\" }}\n\
             policy = \"external\"\nmin = 1\nmax = 8\n",
            lab.at(0)
        ));
        let checked = run(&mut flyball(["check", "-c", place.config().to_str().unwrap()]));
        assert!(checked.stdout.contains("marathon 1.11.24"), "{checked:?}");
        assert!(checked.stdout.contains("its count can be changed"), "{checked:?}");
        let daemon = Daemon::start(&place);
        Some(Self { daemon, lab, rig, place, _runtime: runtime })
    }

    pub(crate) fn settled(&self, count: u64) {
        self.daemon.until_settled("web", count);
        let tasks = || self.lab.tasks(APP).iter().filter(|task| task.runs).count();
        until("as many tasks", || (tasks() as u64 == count).then_some(()));
    }

    pub(crate) fn ask_for(&self, count: u64) {
        self.daemon.post("/api/v1/services/web/scale", &json!({ "to": count }));
    }

    pub(crate) fn scale(&self, count: u64) {
        self.ask_for(count);
        self.settled(count);
    }

    /// Why the count is held, if it is.
    pub(crate) fn busy(&self) -> bool {
        let view = self.daemon.service("web").to_string();
        view.contains("external deployment ")
    }
}
