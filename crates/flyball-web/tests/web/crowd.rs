//! More clients than places: who gets in, who makes room, and whom a token protects.

use std::net::SocketAddr;
use std::time::Duration;

use crate::scripted::{Mood, Scripted, Site, settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

const LIMIT: Duration = Duration::from_secs(20);

/// A connection from 127.0.0.`host`, each of which is another client.
async fn connect_from(host: usize, site: &Site) -> TcpStream {
    let (host, socket) = (u8::try_from(host).unwrap(), TcpSocket::new_v4().unwrap());
    socket.bind(SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
    socket.connect(SocketAddr::from(([127, 0, 0, 1], site.port))).await.unwrap()
}

async fn ask_to_follow(stream: &mut TcpStream, header: &str) -> String {
    let head = format!("GET /api/v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\n{header}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut read = String::new();
    while !read.contains("event: begin") && !read.contains("urn:flyball:problem:") {
        let mut bytes = [0; 4096];
        let count = timeout(LIMIT, stream.read(&mut bytes)).await.unwrap().unwrap();
        assert!(count > 0, "it was cut off: {read}");
        read += &String::from_utf8_lossy(&bytes[..count]);
    }
    read
}

/// Whether the server has closed a connection that waits.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = timeout(Duration::from_millis(5), stream.read(&mut [0; 4096])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn silent_connections_shut_no_one_out() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let mut silent = Vec::new();
    for n in 0..700 {
        silent.push(connect_from(2 + n % 50, &site).await);
    }
    let started = Instant::now();
    assert_eq!(site.get("/healthz").await.status, 200);
    assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
    for _ in 0..300 {
        silent.push(connect_from(1, &site).await);
    }
    assert_eq!(site.get("/healthz").await.status, 200, "its own address is full of them");
    site.close().await;
}

#[tokio::test]
async fn a_reader_with_a_token_is_shut_out_by_none_without() {
    let site =
        Site::open_at(settings("127.0.0.1:0", Some("s3cret")), Scripted::new(Mood::Works)).await;
    let mut strangers = Vec::new();
    for n in 0..256 {
        let mut stranger = connect_from(2 + n / 64, &site).await;
        assert!(ask_to_follow(&mut stranger, "").await.contains("event: begin"), "{n}");
        strangers.push(stranger);
    }
    let mut late = connect_from(9, &site).await;
    assert!(ask_to_follow(&mut late, "").await.contains("already 256 event streams"));
    let token = "authorization: Bearer s3cret\r\n";
    let mut known = connect_from(9, &site).await;
    assert!(ask_to_follow(&mut known, token).await.contains("event: begin"));
    for n in 0..600 {
        strangers.push(connect_from(20 + n % 100, &site).await);
    }
    let header = ["authorization: Bearer s3cret"];
    let paused = site.request("POST /api/v1/services/web/pause", &header, "").await;
    assert_eq!(paused.status, 200);
    assert!(!is_closed(&mut known).await, "it goes on");
    // Each that makes room may still present a token for a moment.
    let (mut closed, expected, began) = (0, 256 + 600 - 512, Instant::now());
    while closed < expected && began.elapsed() < LIMIT {
        closed = 0;
        for stranger in &mut strangers {
            closed += usize::from(is_closed(stranger).await);
        }
    }
    assert!(closed >= expected, "{closed} strangers made room");
    site.close().await;
}
