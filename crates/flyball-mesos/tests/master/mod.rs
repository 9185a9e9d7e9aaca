//! A scripted master that answers as a test wants, in the format of a real one. It listens on
//! 127.0.0.1, records what it receives and ends with the test.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::encrypting::encrypting;

/// Longer than anything here takes; reaching it is a failure.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// How it answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Mood {
    #[default]
    Well,
    /// It takes connections and stays silent.
    Silent,
    /// It does not lead; this one does.
    Follows(String),
    /// Every subscription is ended with these words.
    Ends(&'static str),
}

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) mood: Mood,
    /// The header without which nothing is answered.
    pub(crate) authorization: Option<&'static str>,
    /// What is listed.
    pub(crate) tasks: Vec<Value>,
    /// The address of the listed agent; nothing listens there by default.
    pub(crate) agent_at: Option<String>,
    /// What that agent counted, if it is this one.
    pub(crate) statistics: String,
    /// Bytes for the stream.
    events: VecDeque<Vec<u8>>,
    /// Subscriptions and calls, in order.
    pub(crate) calls: Vec<Value>,
    subscriptions: usize,
}

/// The master.
pub(crate) struct Master {
    pub(crate) at: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    script: Mutex<Script>,
    news: Notify,
}

impl Drop for Master {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Master {
    pub(crate) async fn start() -> Self {
        Self::listen(None).await
    }

    /// One that speaks TLS and shows a certificate for 127.0.0.1, which [`crate::encrypting::trusting`] trusts.
    pub(crate) async fn start_encrypted() -> Self {
        Self::listen(Some(encrypting())).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let shared: Arc<Shared> = Arc::default();
        let served = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, served) = (tls.clone(), Arc::clone(&served));
                connections.spawn(async move {
                    let Some(tls) = tls else { return serve(stream, served).await };
                    // A client that does not trust it closes the connection.
                    let Ok(stream) = tls.accept(stream).await else { return };
                    serve(stream, served).await;
                });
            }
        });
        Self { at, shared, task }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.shared.script.lock().unwrap()
    }

    /// Sends an event.
    pub(crate) fn send(&self, event: &Value) {
        let text = event.to_string();
        self.send_bytes(format!("{}\n{text}", text.len()).into_bytes());
    }

    /// Sends these bytes; none end the stream.
    pub(crate) fn send_bytes(&self, bytes: Vec<u8>) {
        self.script().events.push_back(bytes);
        self.shared.news.notify_waiters();
    }

    /// Waits for a call of `kind` that was not waited for yet, and gives it.
    pub(crate) async fn call(&self, kind: &str) -> Value {
        let began = Instant::now();
        loop {
            {
                let mut script = self.script();
                if let Some(at) = script.calls.iter().position(|call| call["type"] == kind) {
                    return script.calls.remove(at);
                }
                let calls = &script.calls;
                assert!(began.elapsed() < DEADLINE, "no {kind} among {calls:#?}");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An offer of 2 cores, 1 GiB and a thousand ports of this machine.
pub(crate) fn offers(id: &str) -> Value {
    let scalar = |name: &str, value: f64| {
        json!({ "name": name, "type": "SCALAR", "scalar": { "value": value },
            "allocation_info": { "role": "*" } })
    };
    json!({ "type": "OFFERS", "offers": { "offers": [{
        "id": { "value": id }, "framework_id": { "value": "F" }, "agent_id": { "value": "S0" },
        "hostname": "localhost", "url": { "scheme": "http", "path": "/slave(1)",
            "address": { "hostname": "localhost", "ip": "127.0.0.1", "port": 5051 } },
        "resources": [scalar("cpus", 2.0), scalar("mem", 1024.0), {
            "name": "ports", "type": "RANGES", "allocation_info": { "role": "*" },
            "ranges": { "range": [{ "begin": 31_000, "end": 31_999 }] } }],
    }] } })
}

pub(crate) fn update(task: &Value, state: &str) -> Value {
    json!({ "type": "UPDATE", "update": { "status": { "task_id": task, "state": state,
        "agent_id": { "value": "S0" }, "uuid": "dXVpZA==", "source": "SOURCE_EXECUTOR",
        "timestamp": 1_795_408_141.69 } } })
}

/// Requests on one connection, until one takes it for the stream.
async fn serve(mut stream: impl Stream, shared: Arc<Shared>) {
    while let Some((head, path, body)) = request(&mut stream).await {
        let mood = shared.script.lock().unwrap().mood.clone();
        match mood {
            Mood::Silent => std::future::pending().await,
            Mood::Follows(leader) => {
                let head = format!(
                    "HTTP/1.1 307 x\r\nlocation: //{leader}{path}\r\ncontent-length: 0\r\n\r\n"
                );
                let _ = stream.write_all(head.as_bytes()).await;
                continue;
            }
            Mood::Well | Mood::Ends(_) => {}
        }
        let wanted = shared.script.lock().unwrap().authorization;
        if wanted.is_some_and(|wanted| !head.contains(&format!("authorization: {wanted}\r\n"))) {
            let head = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).await;
            continue;
        }
        if body["type"] == "SUBSCRIBE" {
            return events(&mut stream, &shared, body).await;
        }
        let answer = {
            let mut script = shared.script.lock().unwrap();
            if !body.is_null() {
                script.calls.push(body);
            }
            match path.split('?').next().unwrap() {
                "/master/tasks" => json!({ "tasks": script.tasks }).to_string(),
                "/master/slaves" => {
                    let at = script.agent_at.as_deref().unwrap_or("127.0.0.1:5051");
                    let agent = json!({ "id": "S0", "hostname": "n0", "active": true,
                        "pid": format!("slave(1)@{at}") });
                    json!({ "slaves": [agent] }).to_string()
                }
                "/slave(1)/monitor/statistics" => script.statistics.clone(),
                "/version" => json!({ "version": "1.11.0" }).to_string(),
                _ => String::new(),
            }
        };
        let status = if path.ends_with("/scheduler") { 202 } else { 200 };
        let head = format!("HTTP/1.1 {status} OK\r\ncontent-length: {}\r\n\r\n", answer.len());
        if stream.write_all((head + &answer).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The stream of one subscription: SUBSCRIBED, then the scripted events.
async fn events(stream: &mut impl Stream, shared: &Shared, call: Value) {
    let (first, own) = {
        let mut script = shared.script.lock().unwrap();
        script.subscriptions += 1;
        let known = call["framework_id"]["value"].as_str();
        let framework = known.map_or(format!("F{}", script.subscriptions), str::to_owned);
        script.calls.push(call);
        let first = match script.mood {
            Mood::Ends(why) => json!({ "type": "ERROR", "error": { "message": why } }),
            _ => json!({ "type": "SUBSCRIBED", "subscribed": {
                "framework_id": { "value": framework }, "heartbeat_interval_seconds": 15.0 } }),
        };
        (first.to_string(), script.subscriptions)
    };
    let head = "HTTP/1.1 200 OK\r\nmesos-stream-id: 12-34\r\ntransfer-encoding: chunked\r\n\r\n";
    let _ = stream.write_all(head.as_bytes()).await;
    let mut next = Some(format!("{}\n{first}", first.len()).into_bytes());
    loop {
        match next {
            Some(bytes) if bytes.is_empty() => return,
            Some(bytes) => {
                let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat();
                if stream.write_all(&chunk).await.is_err() {
                    return;
                }
            }
            None => {
                let _news =
                    tokio::time::timeout(Duration::from_millis(5), shared.news.notified()).await;
            }
        }
        let mut script = shared.script.lock().unwrap();
        if script.subscriptions != own {
            return;
        }
        next = script.events.pop_front();
    }
}

async fn request(stream: &mut impl Stream) -> Option<(String, String, Value)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head).unwrap();
    let head = text.to_ascii_lowercase();
    let path = head.split(' ').nth(1)?.to_owned();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let (Some(id), Value::Object(call)) = (head.split("mesos-stream-id: ").nth(1), &mut body) {
        call.insert("stream".into(), id.lines().next().unwrap().into());
    }
    Some((text, path, body))
}
