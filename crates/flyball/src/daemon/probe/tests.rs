//! The prober against a replica with scripted answers.

use std::sync::atomic::{AtomicU16, Ordering};

use flyball_core::observation::ReplicaReport;
use flyball_core::units::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::*;

/// Says nothing at all.
const SILENT: u16 = 0;

/// A replica that answers each request with the status that is set.
async fn replica(status: Arc<AtomicU16>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let status = status.load(Ordering::Relaxed);
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                if status == SILENT {
                    sleep(Duration::from_secs(60)).await;
                }
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

fn report(address: SocketAddr, phase: Phase) -> EngineReport {
    report_of(Some(address), phase)
}

fn report_of(address: Option<SocketAddr>, phase: Phase) -> EngineReport {
    let at = Timestamp::from_ms(0);
    let replica =
        ReplicaReport { address, ..ReplicaReport::new(ReplicaId::new("web-1"), phase, at) };
    EngineReport { replicas: vec![replica], ..EngineReport::default() }
}

fn default_ready() -> Ready {
    Ready::Http { path: "/".to_owned(), any_but_failure: true }
}

/// Waits until what fails is `wanted`.
async fn until_failing(prober: &Prober, wanted: impl Fn(Option<&ProbeFailure>) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !wanted(prober.failing().get(&ReplicaId::new("web-1"))) {
        assert!(Instant::now() < deadline, "{:?}", prober.failing());
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn by_default_any_reply_but_a_server_error_is_ready() {
    for (status, ready) in [(200, true), (302, true), (404, true), (501, true), (500, false)] {
        let address = replica(Arc::new(AtomicU16::new(status))).await;
        let asked = default_ready();
        let question = Question { ready: &asked, address };
        let outcome = question.ask().await;
        assert_eq!(question.is_met_by(&outcome), ready, "{status}: {outcome:?}");
    }
}

#[tokio::test]
async fn one_that_answers_5xx_to_everything_never_becomes_ready() {
    let status = Arc::new(AtomicU16::new(503));
    let address = replica(Arc::clone(&status)).await;
    let mut prober = Prober::new(default_ready(), 0);
    prober.watch(&report(address, Phase::Starting));
    let waited = timeout(Duration::from_millis(300), prober.next_ready()).await;
    assert!(waited.is_err(), "{waited:?}");
    status.store(200, Ordering::Relaxed);
    timeout(Duration::from_secs(10), prober.next_ready()).await.unwrap();
}

#[tokio::test]
async fn a_ready_one_that_fails_three_probes_fails_until_it_passes_one() {
    let status = Arc::new(AtomicU16::new(200));
    let address = replica(Arc::clone(&status)).await;
    let mut prober = Prober::new(default_ready(), 20);
    prober.watch(&report(address, Phase::Ready));
    sleep(Duration::from_millis(100)).await;
    assert!(prober.failing().is_empty());
    status.store(500, Ordering::Relaxed);
    let answered = |failure: Option<&ProbeFailure>| {
        failure.is_some_and(|f| {
            !f.silent && f.why.starts_with("GET / at ") && f.why.ends_with(" answers 500")
        })
    };
    until_failing(&prober, answered).await;
    status.store(204, Ordering::Relaxed);
    until_failing(&prober, |failure| failure.is_none()).await;
}

#[tokio::test]
async fn one_that_does_not_answer_fails_silently() {
    let address = replica(Arc::new(AtomicU16::new(SILENT))).await;
    let mut prober = Prober::new(default_ready(), 1);
    prober.watch(&report(address, Phase::Ready));
    let silent = |failure: Option<&ProbeFailure>| {
        failure.is_some_and(|f| f.silent && f.why.ends_with(": no answer within 2 s"))
    };
    until_failing(&prober, silent).await;
    // One that is gone fails no longer.
    prober.watch(&EngineReport::default());
    assert!(prober.failing().is_empty());
}

#[tokio::test]
async fn ready_ones_are_not_asked_where_that_is_off() {
    let address = replica(Arc::new(AtomicU16::new(500))).await;
    let mut prober = Prober::new(default_ready(), 0);
    prober.watch(&report(address, Phase::Ready));
    assert!(prober.asking.is_empty());
}

#[tokio::test]
async fn a_replica_that_comes_back_at_another_address_is_asked_there() {
    let mut prober = Prober::new(Ready::Tcp, 0);
    let id = ReplicaId::new("web-1");
    let nowhere = report_of(None, Phase::Starting);
    prober.watch(&nowhere);
    assert_eq!(prober.not_ready(&nowhere)[&id], "its address is not known yet");
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        report(listener.local_addr().unwrap(), Phase::Starting)
    };
    prober.watch(&closed);
    while prober.last(&id).is_none() {
        tokio::task::yield_now().await;
    }
    assert!(prober.not_ready(&closed)[&id].ends_with("nothing listens there"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let moved = report(listener.local_addr().unwrap(), Phase::Starting);
    prober.watch(&moved);
    let ready = timeout(Duration::from_secs(20), prober.next_ready()).await.unwrap();
    assert_eq!((ready, prober.last(&id)), (id.clone(), Some(Outcome::Connected)));
    let said = &prober.not_ready(&moved)[&id];
    assert!(said.ends_with("is accepted, but its own health check has not passed yet"));
}
