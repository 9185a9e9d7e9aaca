//! A socket that stays silent, breaks off, talks nonsense or never ends.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use flyball_core::observation::{BalancerReport, Reading, Route};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_haproxy::{Haproxy, HaproxySettings, Socket};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

const CALL_LIMIT_MS: u64 = 100;
const DEADLINE: Duration = Duration::from_secs(10);

/// How the scripted HAProxy treats every connection from now on.
#[derive(Clone, Copy, Debug)]
enum Scenario {
    /// As HAProxy would, with one server of flyball's.
    Answers,
    /// Takes the command and stays silent.
    Silence,
    /// The right answer, up to this many bytes.
    CutOff(usize),
    /// An answer of another program.
    Garbage,
    /// An answer that does not end.
    Huge,
    /// Closes without a word.
    Closes,
}

/// A scripted HAProxy.
struct Script {
    folder: TempDir,
    scenario: Arc<Mutex<Scenario>>,
    received: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Script {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scenario = Arc::new(Mutex::new(Scenario::Answers));
        let received: Arc<Mutex<Vec<String>>> = Arc::default();
        let listener = UnixListener::bind(folder.path().join("admin.sock")).unwrap();
        let (now, log) = (scenario.clone(), received.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let scenario = *now.lock().unwrap();
                tokio::spawn(play(stream, scenario, log.clone()));
            }
        });
        Self { folder, scenario, received, task }
    }

    fn play(&self, scenario: Scenario) {
        *self.scenario.lock().unwrap() = scenario;
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    /// Commands that were not questions.
    fn changes(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received.iter().filter(|line| !line.starts_with("show ")).cloned().collect()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn play(stream: UnixStream, scenario: Scenario, received: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.unwrap() == 0 {
        return; // The caller gave up before it sent anything.
    }
    let answer = answer(line.trim());
    received.lock().unwrap().push(line.trim().to_owned());
    let sent = match scenario {
        Scenario::Answers => stream.write_all(answer.as_bytes()).await,
        Scenario::Silence => return tokio::time::sleep(DEADLINE).await,
        Scenario::CutOff(bytes) => {
            stream.write_all(&answer.as_bytes()[..bytes.min(answer.len())]).await
        }
        Scenario::Garbage => stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n\x00\xff").await,
        Scenario::Huge => endless(&mut stream).await,
        Scenario::Closes => Ok(()),
    };
    // A client that has given up does not read to the end.
    assert!(sent.is_ok() || sent.is_err_and(|e| e.kind() == ErrorKind::BrokenPipe));
}

async fn endless(stream: &mut BufReader<UnixStream>) -> std::io::Result<()> {
    loop {
        stream.write_all(&[b'1'; 65_536]).await?;
    }
}

const HEAD: &str = "# pxname,svname,qcur,scur,stot,status,bck,iid,hrsp_1xx,hrsp_2xx,hrsp_3xx,\
    hrsp_4xx,hrsp_5xx,hrsp_other,srv_abrt,addr,cookie,mode,algo,\n";
const SERVER: &str = "web,fb-web-1,0,2,9,UP,0,4,0,7,0,0,0,0,0,127.0.0.1:8080,,http,,\n";
const BACKEND: &str = "web,BACKEND,3,5,12,UP,0,4,0,7,0,0,1,0,0,,,http,leastconn,\n";

fn answer(command: &str) -> String {
    match command {
        "show stat -1 2 -1" => format!("{HEAD}{BACKEND}\n"),
        "show info;show stat 4 6 -1" => {
            let info = "Name: HAProxy\nVersion: 2.6.12\nPid: 7\nStopping: 0\nStart_time_sec: 9\n";
            format!("{info}\n{HEAD}{SERVER}{BACKEND}\n")
        }
        "show cli level" => "admin\n\n".to_owned(),
        _ => "\n".to_owned(),
    }
}

fn clock() -> Timestamp {
    static START: OnceLock<Instant> = OnceLock::new();
    let ms = START.get_or_init(Instant::now).elapsed().as_millis();
    Timestamp::from_ms(1 + u64::try_from(ms).unwrap())
}

fn settings(socket: &Path) -> HaproxySettings {
    let socket = Socket::Unix(socket.to_owned());
    HaproxySettings { call_limit_ms: CALL_LIMIT_MS, ..HaproxySettings::new(socket, "web") }
}

async fn connect(script: &Script) -> Haproxy {
    Haproxy::connect(settings(&script.socket()), clock).await.unwrap()
}

fn value(reading: Reading<BalancerReport>) -> BalancerReport {
    let Reading::Taken { value, .. } = reading else { panic!("{reading:?}") };
    value
}

const BROKEN: [Scenario; 7] = [
    Scenario::Silence,
    Scenario::CutOff(40),
    Scenario::CutOff(260),
    Scenario::CutOff(380),
    Scenario::Garbage,
    Scenario::Huge,
    Scenario::Closes,
];

#[tokio::test]
async fn an_answer_is_read_by_the_names_of_its_columns() {
    let script = Script::start();
    let report = value(connect(&script).await.observe().await);
    assert_eq!((report.arrivals, report.errors, report.waiting), (12, 1, 3));
    let server = &report.servers[&ReplicaId::new("web-1")];
    assert_eq!((server.route, server.in_flight, server.served), (Route::Routed, 2, 7));
    assert_eq!(report.epoch, (9 << 32) + 7);
    assert_eq!(report.latency, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_it_answers_instead_nothing_is_removed_and_the_next_good_look_counts() {
    let script = Script::start();
    let haproxy = connect(&script).await;
    let good = haproxy.observe().await;
    for scenario in BROKEN {
        script.play(scenario);
        let (began, began_at) = (Instant::now(), clock());
        let reading = haproxy.observe().await;
        assert!(began.elapsed() < DEADLINE / 2, "{scenario:?} took {:?}", began.elapsed());
        assert_eq!(reading.value(), good.value(), "{scenario:?}: what was seen last");
        script.play(Scenario::Answers);
        let again = haproxy.observe().await;
        assert!(
            matches!(again, Reading::Taken { at, .. } if at >= began_at),
            "{scenario:?}: {again:?}"
        );
    }
    assert_eq!(script.changes(), [""; 0]);
}

#[tokio::test]
async fn before_the_first_good_answer_there_is_no_reading_but_a_reason() {
    for (scenario, reason) in [
        (Scenario::Silence, "did not answer within 100 ms"),
        (Scenario::CutOff(40), "cannot be read: 40 bytes"),
        (Scenario::Garbage, "it is not text"),
        (Scenario::Closes, "cannot be read: 0 bytes"),
    ] {
        let script = Script::start();
        script.play(scenario);
        let haproxy = connect(&script).await;
        let Reading::Missing { why, .. } = haproxy.observe().await else { panic!("{scenario:?}") };
        assert!(why.contains(reason), "{scenario:?}: {why}");
        script.play(Scenario::Answers);
        assert_eq!(value(haproxy.observe().await).servers.len(), 1);
    }
}

#[tokio::test]
async fn every_cut_of_an_answer_is_noticed() {
    let script = Script::start();
    let haproxy = connect(&script).await;
    let whole = answer("show info;show stat 4 6 -1").len();
    let first = value(haproxy.observe().await);
    for bytes in (0..whole).step_by(7).chain([whole - 1]) {
        script.play(Scenario::CutOff(bytes));
        let before = clock();
        let Reading::Taken { at, value } = haproxy.observe().await else { panic!("{bytes}") };
        assert_eq!(value, first);
        assert!(at <= before, "{bytes} of {whole} bytes were taken for the whole");
    }
}

#[tokio::test]
async fn an_order_that_meets_a_broken_socket_is_carried_out_when_it_is_whole() {
    let script = Script::start();
    let haproxy = connect(&script).await;
    haproxy.observe().await;
    script.play(Scenario::Closes);
    haproxy.drain(&ReplicaId::new("web-1"));
    haproxy.observe().await;
    assert_eq!(script.changes(), [""; 0], "what is not seen is not changed");
    script.play(Scenario::Answers);
    haproxy.observe().await;
    let began = Instant::now();
    while script.changes().is_empty() {
        assert!(began.elapsed() < DEADLINE);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(script.changes()[0], "set server web/fb-web-1 state drain");
}

#[tokio::test]
async fn a_change_that_fails_is_not_tried_again_until_the_next_look() {
    let script = Script::start();
    let haproxy = connect(&script).await;
    haproxy.observe().await;
    // The script answers an empty line, which is no success for a new server.
    haproxy.route(&ReplicaId::new("web-2"), "127.0.0.1:8081".parse().unwrap());
    let began = Instant::now();
    while script.changes().is_empty() {
        assert!(began.elapsed() < DEADLINE);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Several times the pace of looks while a server is new.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let tried = script.changes();
    assert!(tried.len() <= 2, "one for the start and one for the order: {tried:?}");
    assert!(
        tried[0].starts_with("add server web/fb-web-2 127.0.0.1:8081 id 1001 weight 100 check ")
    );
    haproxy.observe().await;
    while script.changes().len() <= tried.len() {
        assert!(began.elapsed() < DEADLINE);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
