//! The load against peers that answer, refuse, reset, stay silent and close the connection.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use tokio::sync::oneshot;

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A peer on 127.0.0.1 that answers every request with what `script` says, and counts them; it
/// hangs up where the script says nothing.
struct Peer {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

fn peer(script: impl Fn(usize) -> Option<&'static str> + Send + Sync + 'static) -> Peer {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, opened, script) = (requests.clone(), connections.clone(), Arc::new(script));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            opened.fetch_add(1, Ordering::SeqCst);
            let (counted, script) = (counted.clone(), script.clone());
            thread::spawn(move || answer_all(stream, &counted, &*script));
        }
    });
    Peer { address, requests, connections }
}

fn answer_all(
    mut stream: TcpStream,
    counted: &AtomicUsize,
    script: &dyn Fn(usize) -> Option<&'static str>,
) {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|length| length == 1) {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            let Some(answer) = script(counted.fetch_add(1, Ordering::SeqCst)) else { return };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn every(gap_ms: u64, count: u64) -> Vec<Duration> {
    (0..count).map(|number| Duration::from_millis(gap_ms * number)).collect()
}

async fn send_all(load: Load) -> LoadReport {
    send(load, std::future::pending(), |_| ()).await.unwrap()
}

#[tokio::test]
async fn every_request_is_served_once_over_kept_connections() {
    let peer = peer(|_| Some(OK));
    let report = send_all(Load::new(peer.address, every(5, 100))).await;
    assert_eq!((report.requests, report.served, report.failed), (100, 100, 0));
    assert_eq!(peer.requests.load(Ordering::SeqCst), 100);
    assert!(peer.connections.load(Ordering::SeqCst) < 50, "connections were not kept");
    assert_eq!(report.sent_per_second, [100]);
    assert!(!report.stopped && report.unfinished == 0);
    assert!(report.p50_ms <= report.p99_ms && report.p99_ms <= report.max_ms);
}

#[tokio::test]
async fn an_answer_other_than_2xx_fails_with_the_balancers_reason_and_is_not_repeated() {
    const FULL: &str =
        "HTTP/1.1 503 Unavailable\r\nx-flyball-reason: queue full\r\ncontent-length: 0\r\n\r\n";
    let peer = peer(|number| Some(if number == 1 { FULL } else { OK }));
    let report = send_all(Load::new(peer.address, every(20, 4))).await;
    assert_eq!((report.served, report.failed), (3, 1));
    assert_eq!(peer.requests.load(Ordering::SeqCst), 4);
    let failure = &report.failures[0];
    assert_eq!((failure.status, failure.reason.as_str()), (Some(503), "queue full"));
    assert!((failure.due_s - 0.02).abs() < 1e-9, "{failure:?}");
}

#[tokio::test]
async fn an_answer_that_stops_half_way_or_breaks_off_fails_and_is_not_repeated() {
    const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhalf";
    let peer = peer(|number| (number == 0).then_some(HALF));
    let mut load = Load::new(peer.address, every(1, 2));
    load.answer_within = Duration::from_millis(500);
    let report = send_all(load).await;
    assert_eq!((report.served, report.failed), (0, 2));
    assert_eq!(peer.requests.load(Ordering::SeqCst), 2);
    let mut reasons: Vec<_> = report.failures.iter().map(|it| it.reason.as_str()).collect();
    reasons.sort_unstable();
    assert!(reasons[0].starts_with("broken off: "), "{reasons:?}");
    assert_eq!(reasons[1], "no answer within 0.5 s");
    assert_eq!(report.p50_ms, None);
}

#[tokio::test]
async fn nobody_listening_is_a_failure_with_its_reason() {
    let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let report = send_all(Load::new(address, every(1, 20))).await;
    assert_eq!((report.requests, report.failed), (20, 20));
    assert_eq!(report.failures.len(), 10, "only the first few are kept");
    assert!(report.failures[0].reason.starts_with("cannot connect: "), "{:?}", report.failures);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_fails_nobody() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 1024];
            assert!(stream.read(&mut head).unwrap() > 0);
            stream.write_all(OK.as_bytes()).unwrap();
        }
    });
    let report = send_all(Load::new(address, every(50, 6))).await;
    assert_eq!((report.served, report.failed), (6, 0), "{:?}", report.failures);
}

#[tokio::test]
async fn a_wait_for_a_connection_counts_from_the_scheduled_time() {
    let peer = peer(|_| {
        thread::sleep(Duration::from_millis(30));
        Some(OK)
    });
    let mut load = Load::new(peer.address, every(0, 10));
    load.connections = 1;
    let report = send_all(load).await;
    assert_eq!((report.served, report.most_connections), (10, 1));
    assert!(report.max_ms.unwrap() >= 299.0, "{report:?}");
    assert!(report.p50_ms.unwrap() >= 149.0, "{report:?}");
}

#[tokio::test]
async fn a_load_that_is_told_to_stop_reports_what_happened_so_far() {
    let peer = peer(|number| {
        if number > 0 {
            thread::sleep(Duration::from_secs(5));
        }
        Some(OK)
    });
    let mut arrivals = every(30, 3);
    arrivals.push(Duration::from_secs(3600));
    let (stop, stopped) = oneshot::channel::<()>();
    let mut stop = Some(stop);
    let progress = move |at: &Progress| {
        if at.served == 1 && at.sent == 3 {
            drop(stop.take());
        }
    };
    let begun = Instant::now();
    let load = Load::new(peer.address, arrivals);
    let report = send(load, async { drop(stopped.await) }, progress).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(report.stopped);
    let counts = (report.requests, report.served, report.failed, report.unfinished);
    assert_eq!(counts, (3, 1, 0, 2));
}

#[tokio::test]
async fn progress_ends_where_the_report_does() {
    let peer = peer(|_| Some(OK));
    let last = Arc::new(Mutex::new(Progress::default()));
    let noted = last.clone();
    let progress = move |at: &Progress| *noted.lock().unwrap() = *at;
    let load = Load::new(peer.address, every(10, 30));
    let report = send(load, std::future::pending(), progress).await.unwrap();
    let last = *last.lock().unwrap();
    assert_eq!((last.planned, last.sent, last.served), (30, 30, report.served));
}

#[tokio::test]
async fn no_arrivals_are_a_short_load() {
    let report = send_all(Load::new(([127, 0, 0, 1], 1).into(), Vec::new())).await;
    assert_eq!((report.requests, report.p99_ms), (0, None));
}

#[tokio::test]
async fn a_path_that_is_none_is_refused() {
    let mut load = Load::new(([127, 0, 0, 1], 1).into(), Vec::new());
    load.path = "two words".to_owned();
    let error = send(load, std::future::pending(), |_| ()).await.unwrap_err();
    assert_eq!(error.to_string(), "`two words` is no path to ask for");
}

/// Measurements of time.
mod alone {
    use super::*;

    #[tokio::test]
    async fn the_schedule_is_kept_at_400_requests_per_second_while_answers_are_slow() {
        let peer = peer(|_| {
            thread::sleep(Duration::from_millis(50));
            Some(OK)
        });
        let arrivals = (0..800).map(|number| Duration::from_micros(2500 * number)).collect();
        let report = send_all(Load::new(peer.address, arrivals)).await;
        assert_eq!((report.served, report.failed), (800, 0), "{:?}", report.failures);
        assert_eq!(report.sent_per_second, [400, 400]);
        let late: u64 = report.late_per_second.iter().sum();
        assert!(late < 80, "{late} of 800 were late, the latest by {} ms", report.latest_ms);
        assert!(report.p50_ms.unwrap() < 75.0, "{report:?}");
    }
}
