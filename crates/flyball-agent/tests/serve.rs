//! The agent's server, asked by programs other than a controller.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use flyball_agent::{
    Agent, AgentClient, AgentError, Answer, CONTAINERS_MAX, Container, PullError, ServeSettings,
    Token, serve,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

/// A machine with pure v2 and `containers` containers.
fn machine(containers: usize) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("cgroup.controllers"), "cpu\n").unwrap();
    (0..containers).for_each(|n| put(root.path(), n, 1_000));
    root
}

fn id(n: usize) -> String {
    format!("{n:064x}")
}

fn put(root: &Path, n: usize, usage_us: u64) {
    let place = root.join(format!("system.slice/docker-{}.scope", id(n)));
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("cpu.stat"), format!("usage_usec {usage_us}\n")).unwrap();
}

fn settings(mount: &Path, token: Option<Token>) -> ServeSettings {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    ServeSettings { listen, token, cgroup_mount: mount.to_owned(), insecure: false }
}

async fn start(settings: ServeSettings) -> (Agent, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel();
    let agent = serve(settings, async move { drop(stopped.await) }).await.unwrap();
    (agent, stop)
}

async fn until_answer(address: SocketAddr, condition: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = AgentClient::new(address, None).ask().await.unwrap();
        if condition(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Everything that comes back before the agent ends the connection.
async fn raw(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn containers_that_come_and_go_are_followed() {
    let root = machine(1);
    let (agent, _stop) = start(settings(root.path(), None)).await;
    assert_eq!(agent.containers, 1);
    let answer = AgentClient::new(agent.address, None).ask().await.unwrap();
    assert_eq!(answer.containers, [Container(id(0).into(), 1_000_000, None)]);
    put(root.path(), 0, 3_000);
    put(root.path(), 1, 5);
    let answer = until_answer(agent.address, |answer| answer.containers.len() == 2).await;
    let wanted = [Container(id(0).into(), 3_000_000, None), Container(id(1).into(), 5_000, None)];
    assert_eq!(answer.containers, wanted);
    fs::remove_dir_all(root.path().join(format!("system.slice/docker-{}.scope", id(0)))).unwrap();
    until_answer(agent.address, |answer| answer.containers.len() == 1).await;
}

#[tokio::test]
async fn a_counter_that_cannot_be_read_is_left_out_and_not_zero() {
    let root = machine(2);
    fs::write(root.path().join(format!("system.slice/docker-{}.scope/cpu.stat", id(1))), "x\n")
        .unwrap();
    let (agent, _stop) = start(settings(root.path(), None)).await;
    let answer = AgentClient::new(agent.address, None).ask().await.unwrap();
    assert_eq!(answer.containers, [Container(id(0).into(), 1_000_000, None)]);
}

#[tokio::test]
async fn many_askers_cost_one_reading() {
    let root = machine(1);
    let (agent, _stop) = start(settings(root.path(), None)).await;
    let began = Instant::now();
    let mut moments = Vec::new();
    for _ in 0..50 {
        moments.push(AgentClient::new(agent.address, None).ask().await.unwrap().at_ns);
    }
    moments.dedup();
    let most = began.elapsed().as_millis() / 20 + 1;
    assert!(moments.len() as u128 <= most, "{} readings, at most {most}", moments.len());
}

#[tokio::test]
async fn only_the_token_opens_and_a_new_one_in_the_file_replaces_it() {
    let root = machine(1);
    let file = root.path().join("token");
    fs::write(&file, "first\n").unwrap();
    let token = Some(Token::of_file(&file).unwrap());
    let (agent, _stop) = start(settings(root.path(), token)).await;
    let refused = |outcome| matches!(outcome, Err(PullError::Refused { .. }));
    assert!(AgentClient::new(agent.address, Token::new("first")).ask().await.is_ok());
    assert!(refused(AgentClient::new(agent.address, None).ask().await));
    assert!(refused(AgentClient::new(agent.address, Token::new("firs")).ask().await));
    fs::write(&file, "second\n").unwrap();
    let deadline = Instant::now() + DEADLINE;
    while AgentClient::new(agent.address, Token::new("second")).ask().await.is_err() {
        assert!(Instant::now() < deadline, "the new token does not count");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(refused(AgentClient::new(agent.address, Token::new("first")).ask().await));
}

#[tokio::test]
async fn what_is_no_question_is_refused_and_ends_the_connection() {
    let root = machine(1);
    let (agent, _stop) = start(settings(root.path(), Token::new("s3cret"))).await;
    let question = |line: &str, header: &str| {
        format!("{line} HTTP/1.1\r\nhost: a\r\n{header}connection: close\r\n\r\n")
    };
    let right = "authorization: bearer s3cret\r\n";
    let long = format!("{right}x: {}\r\n", "y".repeat(20_000));
    let twice = format!("{right}{right}");
    for (line, header, status) in [
        ("GET /v1/cpu", right, "200"),
        ("POST /v1/cpu", right, "405"),
        ("GET /", right, "404"),
        ("GET /v1/cpu", "", "401"),
        ("GET /", "", "401"),
        ("GET /v1/cpu", "authorization: Basic s3cret\r\n", "401"),
        ("GET /v1/cpu", "authorization: Bearer\r\n", "401"),
        ("GET /v1/cpu", twice.as_str(), "401"),
        ("GET /v1/cpu", long.as_str(), "431"),
    ] {
        let answer = raw(agent.address, &question(line, header)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line} {header}: {answer}");
        assert!(!answer.contains("s3cret"), "{answer}");
    }
    assert!(raw(agent.address, "\u{1}\u{2}\r\n\r\n").await.contains("400"));
    assert!(AgentClient::new(agent.address, Token::new("s3cret")).ask().await.is_ok());
}

#[tokio::test]
async fn silent_connections_beyond_the_bound_do_not_shut_a_controller_out_that_is_in() {
    let root = machine(1);
    let (agent, stop) = start(settings(root.path(), Token::new("s3cret"))).await;
    let mut controller = TcpStream::connect(agent.address).await.unwrap();
    let mut answered = async || {
        let question = b"GET /v1/cpu HTTP/1.1\r\nhost: a\r\nauthorization: Bearer s3cret\r\n\r\n";
        controller.write_all(question).await.unwrap();
        let mut answer = [0; 4096];
        let length = timeout(DEADLINE, controller.read(&mut answer)).await.unwrap().unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{length} bytes");
    };
    answered().await;
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(TcpStream::connect(agent.address).await.unwrap());
    }
    answered().await;
    // And it ends in time with all of them open.
    stop.send(()).unwrap();
    timeout(Duration::from_secs(3), agent.finished()).await.unwrap();
}

#[tokio::test]
async fn a_machine_with_more_containers_than_the_bound_reports_as_many_as_it_may() {
    let root = machine(CONTAINERS_MAX + 1);
    let (agent, _stop) = start(settings(root.path(), None)).await;
    // There may be descriptors for fewer here, and the connection needs one, too.
    let answer = AgentClient::new(agent.address, None).ask().await.unwrap();
    assert!(!answer.containers.is_empty() && answer.containers.len() <= CONTAINERS_MAX);
    assert_eq!(answer.containers.len(), agent.containers);
}

#[tokio::test]
async fn what_keeps_an_agent_from_starting_is_named_with_a_way_out() {
    let root = machine(0);
    let mut open = settings(root.path(), None);
    open.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = serve(open.clone(), async {}).await.unwrap_err();
    assert!(matches!(error, AgentError::TokenMissing { .. }), "{error}");
    assert!(error.hint().unwrap().contains("--token-file"));
    open.insecure = true;
    serve(open, async {}).await.unwrap().finished().await;

    let (agent, _stop) = start(settings(root.path(), None)).await;
    let mut taken = settings(root.path(), None);
    taken.listen = agent.address;
    let error = serve(taken, async {}).await.unwrap_err();
    assert!(error.hint().unwrap().contains("--listen"), "{error}");

    let empty = tempfile::tempdir().unwrap();
    let error = serve(settings(empty.path(), None), async {}).await.unwrap_err();
    assert!(error.hint().unwrap().contains("/sys/fs/cgroup"), "{error}");
}

#[tokio::test]
async fn silent_connections_keep_no_controller_from_asking() {
    let root = machine(1);
    let token = Token::new("s3cret");
    let (agent, stop) = start(settings(root.path(), token.clone())).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(agent.address).await.unwrap());
    }
    let asked = Instant::now();
    let answer = AgentClient::new(agent.address, token).ask().await.unwrap();
    assert_eq!(answer.containers.len(), 1);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    drop((stop, silent));
    timeout(DEADLINE, agent.finished()).await.unwrap();
}
