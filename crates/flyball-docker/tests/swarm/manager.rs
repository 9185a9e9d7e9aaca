//! A scripted manager of a Swarm: a small HTTP server on a unix socket that answers as the test
//! wants.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use flyball_core::observation::{EngineReport, Reading};
use flyball_core::units::Timestamp;
use flyball_docker::swarm::{ManagerSettings, SwarmEngine, SwarmManagers, SwarmSettings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// What the manager answers now.
pub(crate) struct Script {
    pub(crate) api: &'static str,
    pub(crate) services: Vec<Value>,
    pub(crate) tasks: Value,
    pub(crate) nodes: Value,
    /// Whether it takes requests and stays silent.
    pub(crate) silent: bool,
    /// What every answer is in place of the right one.
    pub(crate) refusal: Option<(u16, &'static str)>,
    /// A service's environment is changed externally between its reading and its writing.
    pub(crate) race: bool,
    /// Specs that were written, and the query they came with.
    pub(crate) posts: Vec<(String, Value)>,
}

pub(crate) struct Manager {
    _directory: tempfile::TempDir,
    pub(crate) host: String,
    script: Arc<Mutex<Script>>,
}

pub(crate) fn clock() -> Timestamp {
    static ORIGIN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    Timestamp::from_ms(3_600_000 + u64::try_from(ORIGIN.elapsed().as_millis()).unwrap())
}

impl Manager {
    /// One with a service `web` of two tasks on a node.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("docker.sock");
        let host = format!("unix://{}", socket.display());
        let script = Arc::new(Mutex::new(Script {
            api: "1.41",
            services: vec![service(2)],
            tasks: json!([task(1, "running"), task(2, "running")]),
            nodes: json!([{ "ID": "n1", "Status": { "State": "ready", "Addr": "10.0.0.9" } }]),
            silent: false,
            refusal: None,
            race: false,
            posts: Vec::new(),
        }));
        let listener = UnixListener::bind(&socket).unwrap();
        let shared = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { _directory: directory, host, script }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    pub(crate) fn engine(&self) -> (Arc<SwarmManagers>, SwarmEngine) {
        engine_of(vec![self.host.clone()])
    }
}

pub(crate) fn engine_of(managers: Vec<String>) -> (Arc<SwarmManagers>, SwarmEngine) {
    let managers = SwarmManagers::open(ManagerSettings { managers, clock, agents: None }).unwrap();
    let engine = SwarmEngine::new(&managers, SwarmSettings::new("web", 8080)).unwrap();
    (managers, engine)
}

pub(crate) fn service(replicas: u32) -> Value {
    json!({
        "ID": "s1", "Version": { "Index": 10 }, "UpdateStatus": null,
        "Spec": {
            "Name": "web", "Labels": {},
            "Mode": { "Replicated": { "Replicas": replicas } },
            "TaskTemplate": {
                "ContainerSpec": { "Image": "web:1", "Env": ["A=1"] },
                "Resources": { "Limits": { "NanoCPUs": 500_000_000 } }, "Unheard": [1, null],
            },
            "EndpointSpec": { "Ports": [{ "Protocol": "tcp", "TargetPort": 8080, "PublishMode": "host" }] },
        },
    })
}

pub(crate) fn task(slot: u64, desired: &str) -> Value {
    let port = json!({
        "Protocol": "tcp", "TargetPort": 8080, "PublishedPort": 30_000 + slot, "PublishMode": "host",
    });
    json!({
        "ID": format!("task{slot:05}xyz"), "ServiceID": "s1", "NodeID": "n1", "Slot": slot,
        "CreatedAt": "2026-01-02T03:04:05.678901234Z", "DesiredState": desired,
        "Status": {
            "State": "running", "ContainerStatus": { "ContainerID": "4a", "PID": 7, "ExitCode": 0 },
            "PortStatus": { "Ports": [port, port] },
        },
        "Spec": { "ContainerSpec": { "Image": "web:1", "Env": ["A=1"] }, "ForceUpdate": 0 },
        "NetworksAttachments": null,
    })
}

/// Looks again until `condition` gives something.
pub(crate) async fn until<T>(
    engine: &SwarmEngine,
    what: &str,
    mut condition: impl FnMut(&Reading<EngineReport>) -> Option<T>,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let seen = engine.observe();
        if let Some(found) = condition(&seen) {
            return found;
        }
        assert!(Instant::now() < deadline, "not within 20 s: {what}; {seen:#?}");
        let _changed = tokio::time::timeout(Duration::from_millis(5), engine.changed()).await;
    }
}

pub(crate) async fn report(engine: &SwarmEngine) -> EngineReport {
    until(engine, "a report", |seen| seen.value().cloned()).await
}

async fn serve(mut stream: UnixStream, script: Arc<Mutex<Script>>) -> Option<()> {
    let (head, body) = read(&mut stream).await?;
    let target = head.split(' ').nth(1)?.to_owned();
    // Without the version in front of it.
    let target = match target.strip_prefix("/v1.") {
        Some(rest) => rest[rest.find('/')?..].to_owned(),
        None => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    if script.lock().unwrap().silent {
        std::future::pending::<()>().await;
    }
    if path == "/events" {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.ok()?;
        std::future::pending::<()>().await;
    }
    let (status, answer) = script.lock().unwrap().answer(path, query, &body);
    let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n\r\n", answer.len());
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(answer.as_bytes()).await.ok()
}

async fn read(stream: &mut UnixStream) -> Option<(String, String)> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase().split_once("content-length: ").map(|(_, rest)| {
                rest.lines().next().unwrap_or_default().trim().parse::<usize>().unwrap()
            });
            if body.len() >= length.unwrap_or(0) {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
        request.extend_from_slice(&chunk[..length]);
    }
}

impl Script {
    fn answer(&mut self, path: &str, query: &str, body: &str) -> (u16, String) {
        if let Some((status, message)) = self.refusal {
            return (status, json!({ "message": message }).to_string());
        }
        match path {
            "/version" => (200, json!({ "ApiVersion": self.api, "Version": "20" }).to_string()),
            "/services" => (200, json!(self.services).to_string()),
            "/tasks" => (200, self.tasks.to_string()),
            "/nodes" => (200, self.nodes.to_string()),
            "/services/s1" => {
                let read = self.services[0].to_string();
                if self.race {
                    self.services[0]["Version"]["Index"] = json!(11);
                    self.services[0]["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] =
                        json!(["A=2"]);
                    self.race = false;
                }
                (200, read)
            }
            "/services/s1/update" => self.update(query, body),
            _ => (404, json!({ "message": "page not found" }).to_string()),
        }
    }

    fn update(&mut self, query: &str, body: &str) -> (u16, String) {
        let index = self.services[0]["Version"]["Index"].as_u64().unwrap();
        if query != format!("version={index}") {
            let message = "rpc error: code = Unknown desc = update out of sequence";
            return (500, json!({ "message": message }).to_string());
        }
        let spec: Value = serde_json::from_str(body).unwrap();
        self.posts.push((query.to_owned(), spec.clone()));
        self.services[0]["Spec"] = spec;
        self.services[0]["Version"]["Index"] = json!(index + 1);
        (200, "{}".to_owned())
    }
}
