//! A daemon that answers as scripted, and a client that sends bytes as scripted.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::memory::Memory;
use flyball_core::observation::{EngineReport, Observation, Reading};
use flyball_core::policy::{Bounds, Governor, Objective, Policy, RolloutPolicy, Rule, Timing};
use flyball_core::record::{DecisionFilter, Sample};
use flyball_core::units::Timestamp;
use flyball_web::{
    AskError, Counters, Daemon, Fault, Feed, LeaderStatus, ManualAsk, PolicyView, ReloadError,
    ReloadReport, RolloutAsk, ServiceView, Token, WebSettings, serve,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub(crate) const NOW_WALL_MS: i64 = 1_700_000_000_000;

/// What a test may wait for anything.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn policy(service: &str, rule: Rule) -> Policy {
    let bounds = Bounds { min: 2, max: 20 };
    Policy {
        service: service.to_owned(),
        bounds,
        rule,
        timing: Timing::default(),
        rollout: RolloutPolicy::default(),
        sleep: None,
    }
}

/// A real decision over an empty pool: the floor of 2 is started.
pub(crate) fn decision(service: &str, wall_ms: i64) -> Decision {
    let at = Timestamp::from_ms(60_000);
    let seen = Observation {
        wall_ms,
        ..Observation::new(at, Reading::Taken { at, value: EngineReport::default() })
    };
    let policy = policy(service, Rule::Governor(Governor::default()));
    decide(&policy, &mut Memory::default(), &seen)
}

pub(crate) fn view(name: &str) -> ServiceView {
    let governor = Governor { objective: Some(Objective::default()), ..Governor::default() };
    let rule = if name == "batch" { Rule::External } else { Rule::Governor(governor) };
    let policy = policy(name, rule);
    ServiceView {
        name: name.to_owned(),
        engine: "process".to_owned(),
        balancer: "none".to_owned(),
        address: None,
        bounds: policy.bounds,
        policy: PolicyView::of(&policy),
        now_wall_ms: NOW_WALL_MS,
        decision: (name != "new").then(|| decision(name, NOW_WALL_MS)),
        held: None,
        last_seen: None,
        replicas: Vec::new(),
        error_limit: 0.01,
        nodes: Vec::new(),
        manual: None,
        rollout: None,
        deploy: None,
        generations: Vec::new(),
        notices: Vec::new(),
        counters: Counters::default(),
    }
}

/// An override as it reached the daemon: service, order, time, client.
pub(crate) type Asked = (String, ManualAsk, Option<u64>, String);

/// What its reads and overrides do.
pub(crate) enum Mood {
    Works,
    Fails,
    Panics,
    /// Waits until the other end is dropped.
    Hangs(Mutex<mpsc::Receiver<()>>),
}

/// The services "batch" and "web", and "new" where wanted.
pub(crate) struct Scripted {
    pub(crate) names: Vec<&'static str>,
    pub(crate) mood: Mood,
    pub(crate) asked: Mutex<Vec<Asked>>,
    pub(crate) rolled: Mutex<Vec<(String, RolloutAsk, String)>>,
    /// The stretches and limits that the reads were asked for.
    pub(crate) read: Mutex<Vec<(i64, i64, usize)>>,
    pub(crate) feed: Feed,
    pub(crate) leader: Mutex<LeaderStatus>,
}

impl Scripted {
    pub(crate) fn new(mood: Mood) -> Arc<Self> {
        let (asked, read, rolled) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (names, feed) = (vec!["batch", "web"], Feed::start());
        let leader = Mutex::new(LeaderStatus::standalone(NOW_WALL_MS));
        Arc::new(Self { names, mood, asked, rolled, read, feed, leader })
    }

    fn work(&self) -> Result<(), String> {
        match &self.mood {
            Mood::Works => Ok(()),
            Mood::Fails => Err("the journal is closed".to_owned()),
            Mood::Panics => panic!("scripted"),
            Mood::Hangs(until) => {
                let _ = until.lock().unwrap().recv();
                Ok(())
            }
        }
    }

    fn read(&self, from: i64, to: i64, limit: usize) -> Result<(), Fault> {
        self.read.lock().unwrap().push((from, to, limit));
        self.work().map_err(Fault::Unavailable)
    }
}

impl Daemon for Scripted {
    fn leader(&self) -> LeaderStatus {
        self.leader.lock().unwrap().clone()
    }

    fn services(&self) -> Vec<ServiceView> {
        self.names.iter().map(|name| view(name)).collect()
    }

    fn decisions(&self, name: &str, filter: &DecisionFilter) -> Result<Vec<Decision>, Fault> {
        self.read(filter.from_wall_ms, filter.before_wall_ms, filter.limit as usize)?;
        let mut all = vec![decision(name, NOW_WALL_MS - 1), decision(name, NOW_WALL_MS - 2)];
        all.truncate(if filter.moves_only { 1 } else { filter.limit as usize });
        Ok(all)
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    fn decision_at(&self, name: &str, wall_ms: i64) -> Result<Option<Decision>, Fault> {
        self.read(wall_ms, wall_ms, 1)?;
        Ok((wall_ms >= NOW_WALL_MS - 1_000).then(|| decision(name, NOW_WALL_MS - 1_000)))
    }

    fn samples(&self, _: &str, from: i64, to: i64, max: usize) -> Result<Vec<Sample>, Fault> {
        self.read(from, to, max)?;
        Ok(vec![Sample { wall_ms: from, ready: Some(2), ..Sample::default() }])
    }

    fn ask(
        &self,
        name: &str,
        ask: ManualAsk,
        for_ms: Option<u64>,
        by: &str,
    ) -> Result<ServiceView, AskError> {
        self.work().map_err(AskError::Unavailable)?;
        let asked = match ask {
            ManualAsk::To(to) => i64::from(to),
            ManualAsk::By(by) => 2 + i64::from(by),
            ManualAsk::Pause | ManualAsk::Resume => 2,
        };
        if !(0..=20).contains(&asked) || matches!(ask, ManualAsk::To(0 | 1)) {
            let service = name.to_owned();
            return Err(AskError::OutsideBounds { service, asked, min: 2, max: 20 });
        }
        self.asked.lock().unwrap().push((name.to_owned(), ask, for_ms, by.to_owned()));
        Ok(view(name))
    }

    fn roll(&self, name: &str, ask: RolloutAsk, by: &str) -> Result<ServiceView, AskError> {
        self.work().map_err(AskError::Unavailable)?;
        if name == "batch" {
            let hint = "deploy it elsewhere".to_owned();
            return Err(AskError::NotPossible { what: "it rolls by itself".to_owned(), hint });
        }
        self.rolled.lock().unwrap().push((name.to_owned(), ask, by.to_owned()));
        Ok(view(name))
    }

    fn reload(&self) -> Result<ReloadReport, ReloadError> {
        self.work().map_err(ReloadError::Invalid)?;
        let applied = vec!["web: max = 9".to_owned()];
        Ok(ReloadReport { applied, not_applied: Vec::new() })
    }
}

pub(crate) fn parse_duration_ms(text: &str) -> Result<u64, String> {
    match text {
        "0s" => Ok(0),
        "15m" => Ok(900_000),
        "1h" => Ok(3_600_000),
        "400d" => Ok(400 * 86_400_000),
        _ => Err(format!("\"{text}\" is not a duration")),
    }
}

pub(crate) fn settings(listen: &str, token: Option<&str>) -> WebSettings {
    let token = token.and_then(Token::new);
    let connections_max = WebSettings::CONNECTIONS_MAX;
    let listen = listen.to_owned();
    WebSettings { listen, token, read_token: None, connections_max, parse_duration_ms }
}

/// A server on a free port of this machine, and what its clients need to know.
pub(crate) struct Site {
    pub(crate) port: u16,
    stop: oneshot::Sender<()>,
    server: flyball_web::Server,
}

impl Site {
    pub(crate) async fn open(daemon: Arc<Scripted>) -> Self {
        Self::open_at(settings("127.0.0.1:0", None), daemon).await
    }

    pub(crate) async fn open_at(settings: WebSettings, daemon: Arc<Scripted>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let server = serve(settings, daemon, stopped).await.unwrap();
        Self { port: server.address.port(), stop, server }
    }

    pub(crate) async fn close(self) {
        self.stop.send(()).unwrap();
        timeout(LIMIT, self.server.finished()).await.unwrap();
    }

    /// Sends these bytes and reads all that comes back until the server closes.
    pub(crate) async fn send(&self, request: &str) -> Answer {
        let exchange = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
            // A server that refuses early may close before it has read everything.
            let _ = stream.write_all(request.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            Answer::parse(&answer)
        };
        timeout(LIMIT, exchange).await.expect("the server answers in time")
    }

    /// A request with these further header lines and this body.
    pub(crate) async fn request(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let mut all = format!("{line} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|header| header.starts_with("host:")) {
            all += &format!("host: 127.0.0.1:{}\r\n", self.port);
        }
        for header in headers {
            all += &format!("{header}\r\n");
        }
        if !body.is_empty() {
            all += &format!("content-length: {}\r\n", body.len());
        }
        self.send(&format!("{all}\r\n{body}")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(&format!("GET {path}"), &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.request(&format!("POST {path}"), &["content-type: application/json"], body).await
    }
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let (head, body) = (head.to_ascii_lowercase(), body.to_owned());
        Self { status: status.expect("an answer has a status"), head, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    /// Checks that this is a problem document of that status and kind; answers with its field.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, kind: &str) -> Option<String> {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let document = self.json();
        assert_eq!(document["type"], format!("urn:flyball:problem:{kind}"), "{self:?}");
        assert_eq!(document["status"], status);
        assert!(document["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert!(document["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        document["field"].as_str().map(str::to_owned)
    }
}
