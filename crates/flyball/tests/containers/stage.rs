//! Docker, HAProxy, and a place for flyball's own files. Everything on it ends with it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bollard::errors::Error::DockerResponseServerError;
use bollard::models::{HostConfig, PortBinding};
use bollard::query_parameters::{
    KillContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    StopContainerOptions,
};
use futures_util::future::join_all;
use tokio::runtime::Runtime;

use crate::load::get;
use crate::support::{Place, until};
use flyball_testkit::docker::{IMAGE, Lab};
use flyball_testkit::haproxy::{LINES, Rig};

/// A Docker daemon, a HAProxy and a place.
pub(crate) struct Stage {
    pub(crate) place: Place,
    pub(crate) rig: Rig,
    pub(crate) lab: Lab,
    pub(crate) runtime: Runtime,
}

impl Stage {
    /// With a backend `web` of HAProxy's own; `None` where Docker or HAProxy is not to be had,
    /// which has been noted then.
    pub(crate) fn set() -> Option<Self> {
        Self::set_with("")
    }

    /// The same with `lines` more in the backend.
    pub(crate) fn set_with(lines: &str) -> Option<Self> {
        let runtime = runtime();
        let rig = runtime.block_on(Rig::start(lines))?;
        let lab = runtime.block_on(Lab::up())?;
        Some(Self { place: Place::new(), rig, lab, runtime })
    }

    /// The same with the backend in the file that flyball owns; [`Self::launch`] starts HAProxy.
    pub(crate) fn set_with_owned_file() -> Option<Self> {
        let runtime = runtime();
        let rig = Rig::with_owned_file()?;
        let lab = runtime.block_on(Lab::up())?;
        Some(Self { place: Place::new(), rig, lab, runtime })
    }

    /// What identifies a service of that file.
    pub(crate) fn owned_file(&self) -> String {
        let path = self.rig.path("flyball.cfg");
        let lines: Vec<&str> = LINES.lines().collect();
        format!("[services.web.haproxy]\nfile = {path:?}\nlines = {lines:?}\n")
    }

    /// Starts HAProxy.
    pub(crate) fn launch(&mut self) {
        self.runtime.block_on(self.rig.launch());
    }

    /// Starts dockerd.
    pub(crate) fn start_docker(&mut self) {
        self.runtime.block_on(self.lab.start_daemon());
    }

    /// Waits for what is asked of Docker or HAProxy.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Where requests go.
    pub(crate) fn front(&self) -> SocketAddr {
        self.rig.front
    }

    /// Returns once requests are served.
    #[track_caller]
    pub(crate) fn until_served(&self) {
        until("an answer", || get(self.front(), "/").ok());
    }

    /// The running containers of a service, by their ids, with their names.
    pub(crate) fn containers(&self, service: &str) -> BTreeMap<String, String> {
        self.labelled(&format!("flyball.service={service}"))
    }

    /// The running containers with a label, by their ids, with their names.
    pub(crate) fn labelled(&self, label: &str) -> BTreeMap<String, String> {
        let filters = HashMap::from([("label", vec![label.to_owned()])]);
        let options = ListContainersOptionsBuilder::new().filters(&filters).build();
        let all = self.wait(async { self.lab.client().await.list_containers(Some(options)).await });
        let name = |names: Option<Vec<String>>| names.unwrap_or_default().concat();
        all.unwrap().into_iter().map(|c| (c.id.unwrap(), name(c.names))).collect()
    }

    pub(crate) fn is_running(&self, id: &str) -> bool {
        let seen = self.wait(async { self.lab.client().await.inspect_container(id, None).await });
        seen.unwrap().state.unwrap().running == Some(true)
    }

    /// `docker kill`. One that has ended or gone since it was listed is as dead as it should be.
    pub(crate) fn kill<'a>(&self, ids: impl IntoIterator<Item = &'a String>) {
        self.wait(async {
            let docker = self.lab.client().await;
            let kill = |id: &'a String| docker.kill_container(id, None::<KillContainerOptions>);
            for done in join_all(ids.into_iter().map(kill)).await {
                match done {
                    Err(DockerResponseServerError { status_code: 404 | 409, .. }) => {}
                    done => done.unwrap(),
                }
            }
        });
    }

    /// What Docker itself needs to start this many containers at once, until each of them answers.
    pub(crate) fn bare_start(&self, count: u32) -> Duration {
        let began = Instant::now();
        let names: Vec<String> = (0..count).map(|n| format!("bare-{n}")).collect();
        self.wait(join_all(names.iter().map(|name| self.lab.run(name, &[], published()))));
        for name in &names {
            let port = self.port_of(name);
            until("an answer", || get(SocketAddr::from(([127, 0, 0, 1], port)), "/").ok());
        }
        let took = began.elapsed();
        names.iter().for_each(|name| self.remove(name));
        took
    }

    /// `docker rm -f`.
    pub(crate) fn remove(&self, name: &str) {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        let removed = async { self.lab.client().await.remove_container(name, Some(options)).await };
        self.wait(removed).unwrap();
    }

    /// `docker stop`.
    pub(crate) fn stop(&self, id: &str) {
        let options = None::<StopContainerOptions>;
        let stopped = async { self.lab.client().await.stop_container(id, options).await };
        self.wait(stopped).unwrap();
    }

    /// `text` with what differs from run to run taken out.
    pub(crate) fn plain(&self, text: &str) -> String {
        let text = self.place.plain(text).replace(&self.lab.host(), "DOCKER");
        let text = text.replace(&self.lab.socket().display().to_string(), "DOCKER");
        text.replace(&self.rig.folder.path().display().to_string(), "HAPROXY")
    }

    /// The port of 127.0.0.1 that leads to a container.
    pub(crate) fn port_of(&self, name: &str) -> u16 {
        let seen = self.wait(async { self.lab.client().await.inspect_container(name, None).await });
        let ports = seen.unwrap().network_settings.unwrap().ports.unwrap();
        let bindings = ports["8080/tcp"].as_ref().unwrap();
        bindings[0].host_port.as_ref().unwrap().parse().unwrap()
    }

    /// The tables of a configuration with the addresses of Docker and HAProxy.
    pub(crate) fn tables(&self) -> String {
        let (socket, folder) = (self.rig.path("admin.sock"), self.rig.folder.path());
        format!(
            "[docker]\nhost = {:?}\n[haproxy]\nsocket = {socket:?}\ndirectory = {folder:?}\n\
             backends = [\"web\"]\n",
            self.lab.host()
        )
    }

    /// A service of the lab's application. `more` are further lines of its table.
    pub(crate) fn service(&self, name: &str, more: &str) -> String {
        let mut text = self.tables();
        let table = format!("[services.{name}]\nengine = \"docker\"\nbalancer = \"haproxy\"\n");
        write!(text, "{table}image = \"{IMAGE}\"\nport = 8080\ngrace = \"2s\"\n{more}\n").unwrap();
        text
    }
}

/// The application's port at a free one of 127.0.0.1.
pub(crate) fn published() -> HostConfig {
    let here = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some("0".into()) };
    let bindings = HashMap::from([("8080/tcp".to_owned(), Some(vec![here]))]);
    HostConfig { port_bindings: Some(bindings), ..Default::default() }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
