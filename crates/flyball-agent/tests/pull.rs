//! Agents that misbehave: each is a missing reading with its reason, never a zero.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use flyball_agent::{AgentClient, Agents, Metered, PullError, PullSettings, Token};
use flyball_core::units::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const ID: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
const DEADLINE: Duration = Duration::from_secs(10);

fn clock() -> Timestamp {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    Timestamp::from_ms(3_600_000 + u64::try_from(ORIGIN.elapsed().as_millis()).unwrap())
}

fn agents() -> Arc<Agents> {
    let token = Token::new("s3cret");
    Agents::open(PullSettings { token, interval_ms: 50, clock }).unwrap()
}

fn follow(agents: &Agents, nodes: &[(&str, SocketAddr)]) {
    let nodes = nodes.iter().map(|(name, address)| ((*name).to_owned(), *address));
    agents.follow(nodes.collect::<BTreeMap<_, _>>());
}

async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_read(agents: &Agents, node: &str) -> Metered {
    until("a reading", || agents.reading(node, ID)).await
}

async fn until_silent(agents: &Agents, node: &str) -> String {
    let why = until("silence", || agents.silence(node)).await;
    assert_eq!(agents.reading(node, ID), None);
    assert!(!why.contains("s3cret"), "{why}");
    why
}

/// What a scripted agent does with a question.
#[derive(Clone)]
enum Does {
    /// Answers like an agent: half a core busy, on the clock of the tests.
    Counts,
    Answers(String),
    /// Begins to answer and hangs up.
    HangsUp,
    /// Sends a byte now and then.
    Trickles,
    Nothing,
}

/// Answers as `does` returns at that moment, on a free port.
async fn scripted(does: impl Fn() -> Does + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let does = Arc::new(does);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let does = Arc::clone(&does);
            tokio::spawn(async move { drop(play(stream, &*does).await) });
        }
    });
    address
}

async fn play(mut stream: TcpStream, does: &(dyn Fn() -> Does + Sync)) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await? > 0 {
        match does() {
            Does::Counts => {
                let at_ms = clock().as_ms();
                let body = counted("b", at_ms, at_ms / 2);
                stream.write_all(ok(&body).as_bytes()).await?;
            }
            Does::Answers(text) => stream.write_all(text.as_bytes()).await?,
            Does::HangsUp => {
                let half = ok(&counted("b", 1, 1)).split_at(90).0.to_owned();
                stream.write_all(half.as_bytes()).await?;
                return Ok(());
            }
            Does::Trickles => {
                for byte in ok(&counted("b", 1, 1)).bytes() {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            Does::Nothing => {}
        }
    }
    Ok(())
}

fn counted(boot_id: &str, at_ms: u64, used_ms: u64) -> String {
    let (at, used) = (at_ms * 1_000_000, used_ms * 1_000_000);
    format!(
        "{{\"boot_id\":\"{boot_id}\",\"at_ns\":{at},\"cores\":2,\"containers\":[[\"{ID}\",{used},null]]}}"
    )
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_counter_is_reported_on_the_clock_of_the_caller_and_grows_as_it_does_there() {
    let agents = agents();
    follow(&agents, &[("one", scripted(|| Does::Counts).await)]);
    let first = until_read(&agents, "one").await.cpu;
    assert!(clock().ms_since(first.at) < 1_000);
    let later = until("a later reading", || {
        let read = agents.reading("one", ID).unwrap();
        (read.cpu.at.ms_since(first.at) > 200).then_some(read.cpu)
    })
    .await;
    let (passed_ms, used_ns) = (later.at.ms_since(first.at), later.used_ns - first.used_ns);
    assert!((passed_ms * 500_000).abs_diff(used_ns) <= 1_500_000, "{passed_ms} ms, {used_ns} ns");
    assert_eq!(agents.reading("one", &"0".repeat(64)), None);
    assert_eq!(agents.reading("two", ID), None);
    let silences = ["one", "two"].map(|node| agents.silence(node));
    assert_eq!(silences, [None, Some("no agent runs there".to_owned())]);
}

#[tokio::test]
async fn each_bad_neighbour_is_silent_with_its_reason_and_delays_no_other() {
    let huge =
        format!("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{}", "x".repeat(600_000));
    let answering = |text: &str| {
        let text = text.to_owned();
        scripted(move || Does::Answers(text.clone()))
    };
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let bad = [
        (
            "refusing",
            answering("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n").await,
            "refuses the token",
        ),
        (
            "elsewhere",
            answering("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n").await,
            "status 404",
        ),
        ("garbage", answering(&ok("{\"s3cret\":1}")).await, "does not come from an agent"),
        ("no_http", answering("SSH-2.0-OpenSSH\r\n").await, "was cut off"),
        ("huge", answering(&huge).await, "was cut off"),
        ("half", scripted(|| Does::HangsUp).await, "was cut off"),
        ("slow", scripted(|| Does::Trickles).await, "within 500 ms"),
        ("mute", scripted(|| Does::Nothing).await, "within 500 ms"),
        ("closed", closed, "cannot connect"),
    ];
    let agents = agents();
    let mut nodes: Vec<_> = bad.iter().map(|(name, address, _)| (*name, *address)).collect();
    nodes.push(("good", scripted(|| Does::Counts).await));
    follow(&agents, &nodes);
    for (name, _, reason) in bad {
        let why = until_silent(&agents, name).await;
        assert!(why.contains(reason), "{name}: {why}");
    }
    assert!(clock().ms_since(until_read(&agents, "good").await.cpu.at) < 500);
    assert_eq!(agents.silence("good"), None);
}

#[tokio::test]
async fn a_node_that_dies_is_missing_and_is_back_with_its_first_answer() {
    let state = Arc::new(AtomicU64::new(0));
    let shared = Arc::clone(&state);
    let address = scripted(move || match shared.load(Ordering::Relaxed) {
        0 => Does::Counts,
        _ => Does::HangsUp,
    });
    let agents = agents();
    follow(&agents, &[("one", address.await)]);
    until_read(&agents, "one").await;
    state.store(1, Ordering::Relaxed);
    until_silent(&agents, "one").await;
    state.store(0, Ordering::Relaxed);
    until_read(&agents, "one").await;
    assert_eq!(agents.silence("one"), None);
}

#[tokio::test]
async fn another_boot_lets_the_counter_start_over_and_never_grow_by_what_was_before() {
    let state = Arc::new(AtomicU64::new(0));
    let shared = Arc::clone(&state);
    let address = scripted(move || {
        let at_ms = clock().as_ms();
        Does::Answers(ok(&match shared.load(Ordering::Relaxed) {
            0 => counted("first", at_ms, 5_000),
            _ => counted("second", at_ms - 3_000_000, 900_000),
        }))
    });
    let agents = agents();
    follow(&agents, &[("one", address.await)]);
    assert_eq!(until_read(&agents, "one").await.cpu.used_ns, 5_000_000_000);
    state.store(1, Ordering::Relaxed);
    let fell = until("the other boot", || {
        agents.reading("one", ID).filter(|read| read.cpu.used_ns != 5_000_000_000)
    });
    assert_eq!(fell.await.cpu.used_ns, 0);
}

#[tokio::test]
async fn an_agent_that_is_not_named_any_more_is_forgotten_and_not_asked() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let address = scripted(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Does::Counts
    })
    .await;
    let agents = agents();
    follow(&agents, &[("one", address)]);
    until_read(&agents, "one").await;
    // The same answer again does not restart the count.
    follow(&agents, &[("one", address), ("two", address)]);
    assert!(agents.reading("one", ID).is_some());
    until_read(&agents, "two").await;
    follow(&agents, &[]);
    assert_eq!((agents.reading("one", ID), agents.silence("one")), (None, None));
    // A question may be under way.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let settled = asked.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(asked.load(Ordering::Relaxed), settled);
}

#[tokio::test]
async fn a_single_request_reports_what_is_wrong() {
    let address = scripted(|| Does::Nothing).await;
    let miss = AgentClient::new(address, None).ask().await.unwrap_err();
    assert!(matches!(miss, PullError::Late { limit_ms: 500, .. }), "{miss}");
    assert_eq!(
        AgentClient::new(scripted(|| Does::Counts).await, None).ask().await.unwrap().cores,
        2
    );
}

#[tokio::test]
async fn a_token_that_cannot_be_sent_is_refused_at_once() {
    let token = Token::new("two\nlines");
    let error = Agents::open(PullSettings { token, interval_ms: 50, clock }).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("two"));
}
