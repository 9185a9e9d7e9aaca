//! The event stream: what it sends, where it resumes, and which readers it drops.

use std::time::Duration;

use crate::scripted::{Mood, NOW_WALL_MS, Scripted, Site, decision};
use flyball_core::record::Sample;
use flyball_web::{Event, ReplicaChange, ReplicaState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);

/// One client that follows, and all it has read.
struct Client {
    stream: TcpStream,
    read: String,
}

impl Client {
    async fn follow(site: &Site, query: &str, header: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", site.port)).await.unwrap();
        let head = format!("GET /api/v1/events{query} HTTP/1.1\r\nhost: 127.0.0.1\r\n{header}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut client = Self { stream, read: String::new() };
        client.until("event: begin").await;
        client
    }

    /// Reads on until `text` has come; answers with what stands behind it.
    async fn until(&mut self, text: &str) -> String {
        let reading = async {
            while !self.read.contains(text) {
                let mut bytes = [0; 4096];
                let count = self.stream.read(&mut bytes).await.unwrap();
                assert!(count > 0, "the stream ended without {text:?}: {}", self.read);
                self.read += &String::from_utf8_lossy(&bytes[..count]);
            }
        };
        let came = timeout(LIMIT, reading).await.is_ok();
        assert!(came, "{text:?} never came: {}", self.read);
        self.read.split_once(text).unwrap().1.to_owned()
    }

    fn last_id(&self) -> &str {
        let mut ids = self.read.lines().filter_map(|line| line.strip_prefix("id: "));
        ids.next_back().expect("an id")
    }
}

fn sample(wall_ms: i64) -> Event {
    Event::Sample { service: "web".to_owned(), sample: Sample { wall_ms, ..Sample::default() } }
}

#[tokio::test]
async fn decisions_replica_changes_and_samples_come_as_they_happen() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    let mut client = Client::follow(&site, "", "").await;
    assert!(client.read.to_ascii_lowercase().contains("content-type: text/event-stream"));
    assert!(client.read.contains("retry: 1000"));
    daemon.feed.publish(Event::Decision(Box::new(decision("web", NOW_WALL_MS))));
    daemon.feed.publish(Event::Replica(ReplicaChange {
        service: "web".to_owned(),
        replica: "web-1".to_owned(),
        from: None,
        to: Some(ReplicaState::Starting),
        wall_ms: 7,
    }));
    daemon.feed.publish(sample(8));
    client.until("event: decision\ndata: {\"headline\":\"web 0 -> 2 (+2)\"").await;
    client
        .until("event: replica\ndata: {\"service\":\"web\",\"replica\":\"web-1\",\"from\":null")
        .await;
    client.until("event: sample\ndata: {\"service\":\"web\",\"sample\":{\"wall_ms\":8").await;
    site.close().await;
}

#[tokio::test]
async fn a_reader_that_reconnects_misses_nothing_or_learns_of_the_gap() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    let mut client = Client::follow(&site, "?service=web", "").await;
    daemon.feed.publish(sample(1));
    client.until("\"wall_ms\":1").await;
    client.until("\n\n").await;
    let header = format!("last-event-id: {}\r\n", client.last_id());
    drop(client);
    daemon.feed.publish(sample(2));
    let mut again = Client::follow(&site, "", &header).await;
    again.until("\"resumed\":true").await;
    let rest = again.until("\"wall_ms\":2").await;
    assert!(!again.read.contains("\"wall_ms\":1,") && !rest.contains("event: gap"));
    let mut late = Client::follow(&site, "", "last-event-id: 1a-7\r\n").await;
    late.until("\"resumed\":false").await;
    late.until("event: gap\ndata: {\"missed\":null}").await;
    site.close().await;
}

#[tokio::test]
async fn only_known_services_can_be_followed_and_so_many_at_once() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let answer = site.get("/api/v1/events?service=nobody").await;
    assert_eq!(answer.problem(404, "unknown-service").as_deref(), Some("service"));
    let answer = site.get("/api/v1/events?since=1").await;
    assert_eq!(answer.problem(422, "wrong-field").as_deref(), Some("since"));
    let mut readers = Vec::new();
    // More from other clients, or with a token: see `crowd`.
    for _ in 0..64 {
        readers.push(Client::follow(&site, "", "").await);
    }
    site.get("/api/v1/events").await.problem(503, "busy");
    assert_eq!(site.get("/healthz").await.status, 200, "others get in");
    drop(readers);
    let mut last = 0;
    while last != 200 {
        let asked = timeout(Duration::from_millis(300), site.get("/api/v1/events"));
        last = asked.await.map_or(200, |answer| answer.status);
    }
    site.close().await;
}

#[tokio::test]
async fn a_reader_that_reads_nothing_is_cut_off_and_one_that_reads_is_not() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    let mut stalled = Client::follow(&site, "", "").await;
    let mut lively = Client::follow(&site, "", "").await;
    let metrics = async || site.get("/metrics").await.body;
    let publish = async {
        // 2 MB a second: what the system holds for a client is soon full.
        while !metrics().await.contains("flyball_event_readers 1\n") {
            for _ in 0..40 {
                daemon.feed.publish(Event::Decision(Box::new(decision("web", 5))));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        daemon.feed.publish(sample(99));
    };
    let read = async {
        let mut bytes = vec![0; 1 << 16];
        let mut tail = String::new();
        while !tail.contains("\"wall_ms\":99") {
            let count = lively.stream.read(&mut bytes).await.unwrap();
            assert!(count > 0, "the lively reader was cut off");
            tail = tail.split_off(tail.len() - tail.len().min(64));
            tail += &String::from_utf8_lossy(&bytes[..count]);
        }
    };
    let both = timeout(Duration::from_secs(40), async { tokio::join!(publish, read) });
    assert!(both.await.is_ok(), "the stalled reader was never cut off");
    let rest = timeout(LIMIT, stalled.stream.read_to_end(&mut Vec::new())).await;
    assert!(rest.is_ok(), "its connection has ended");
    site.close().await;
}

#[tokio::test]
async fn followers_do_not_hold_up_the_end() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let mut client = Client::follow(&site, "", "").await;
    let started = tokio::time::Instant::now();
    site.close().await;
    assert!(started.elapsed() < Duration::from_secs(2), "took {:?}", started.elapsed());
    let ended = timeout(LIMIT, client.stream.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok());
}
