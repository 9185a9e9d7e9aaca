//! Replicas that are dead, silent or broken.

mod stage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flyball_core::observation::ServerHealth;
use flyball_proxy::{ProxySettings, Rejection};
use stage::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Reads the head of a request, writes `bytes` and closes.
async fn blurt(mut stream: TcpStream, bytes: &'static str) {
    read_until(&mut stream, "\r\n\r\n").await;
    let _ = stream.write_all(bytes.as_bytes()).await;
}

#[tokio::test]
async fn a_replica_that_never_answers_is_given_up_at_the_limit() {
    let proxy = proxy(ProxySettings { answer_limit_ms: 80, ..Default::default() }).await;
    let mute = scripted("mute", |mut stream| async move {
        read_until(&mut stream, "nothing ends like this").await;
    })
    .await;
    mute.route(&proxy);
    let began = Instant::now();
    assert_refused(&get(proxy.address(), "/").await, "504", "answer-limit");
    assert!(began.elapsed() >= Duration::from_millis(80));
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!((report.errors, report.servers[&id("mute")].served), (1, 0));
}

#[tokio::test]
async fn a_slow_upload_does_not_count_against_the_answer() {
    let proxy = proxy(ProxySettings { answer_limit_ms: 100, ..Default::default() }).await;
    let web = replica("web").await;
    web.route(&proxy);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 6\r\n\r\n";
    stream.write_all(head).await.unwrap();
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(b"x").await.unwrap();
    }
    assert!(read_until(&mut stream, "got 6").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stalled_upload_is_given_up_and_no_fault_of_the_service() {
    let proxy = proxy(ProxySettings { stall_limit_ms: 60, ..Default::default() }).await;
    let web = replica("web").await;
    web.route(&proxy);
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 6\r\n\r\nabc";
    assert_refused(&send(proxy.address(), head).await, "408", "upload-broken");
    assert_eq!(proxy.observe().errors, 0);
    observed(&proxy, |report| in_flight(report) == 0).await;
}

#[tokio::test]
async fn a_get_that_meets_a_broken_head_is_repeated_elsewhere_and_a_post_is_not() {
    let proxy = proxy(ProxySettings { eject_max: 0.0, ..Default::default() }).await;
    let cut = scripted("cut", |stream| blurt(stream, "HTTP/1.1 200 OK\r\ncontent-le")).await;
    let good = replica("good").await;
    cut.route(&proxy);
    good.route(&proxy);
    for _ in 0..10 {
        assert_eq!(body(&get(proxy.address(), "/").await), "good");
    }
    let posts = [post(proxy.address(), "x").await, post(proxy.address(), "x").await];
    let refused = posts.iter().find(|answer| status(answer) != "200").expect("they take turns");
    assert_refused(refused, "502", "connection-broken");
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!((report.arrivals, report.errors), (12, 1));
}

#[tokio::test]
async fn a_get_that_breaks_every_replica_is_not_repeated_for_ever() {
    let proxy = proxy(ProxySettings::default()).await;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let fragile = scripted("fragile", move |stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        blurt(stream, "")
    })
    .await;
    fragile.route(&proxy);
    assert_refused(&get(proxy.address(), "/").await, "502", "connection-broken");
    assert_eq!(tries.load(Ordering::SeqCst), 4);
    assert_eq!(proxy.refusals()[&Rejection::ConnectionBroken], 1);
}

#[tokio::test]
async fn garbage_is_not_passed_on() {
    for garbage in [
        "220 smtp.example ready\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ] {
        let proxy = proxy(ProxySettings::default()).await;
        let odd = scripted("odd", move |stream| blurt(stream, garbage)).await;
        odd.route(&proxy);
        assert_refused(&get(proxy.address(), "/").await, "502", "bad-answer");
        let report = observed(&proxy, |report| in_flight(report) == 0).await;
        assert_eq!(report.errors, 1);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_cut_for_the_client_and_counted_once() {
    let proxy = proxy(ProxySettings::default()).await;
    let half = "HTTP/1.1 500 Oh\r\ncontent-length: 10\r\n\r\nhalf";
    let dying = scripted("dying", move |stream| blurt(stream, half)).await;
    dying.route(&proxy);
    let answer = get(proxy.address(), "/").await;
    assert_eq!((status(&answer), body(&answer)), ("500", "half"));
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!((report.errors, report.servers[&id("dying")].served), (1, 1));
    assert_eq!(report.latency, None, "it did not come to its end");
}

#[tokio::test]
async fn an_answer_that_goes_quiet_is_cut_at_the_limit() {
    let proxy = proxy(ProxySettings { quiet_limit_ms: 60, ..Default::default() }).await;
    let quiet = scripted("quiet", |mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
        read_until(&mut stream, "nothing ends like this").await;
    })
    .await;
    quiet.route(&proxy);
    assert_eq!(body(&get(proxy.address(), "/").await), "half");
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!(report.errors, 1);
}

#[tokio::test]
async fn requests_walk_past_dead_replicas_whatever_their_method() {
    let proxy = proxy(ProxySettings::default()).await;
    for name in ["dead-1", "dead-2", "dead-3"] {
        proxy.route(&id(name), refusing().await);
    }
    let good = replica("good").await;
    good.route(&proxy);
    for _ in 0..20 {
        assert_eq!(body(&get(proxy.address(), "/").await), "good");
        assert_eq!(body(&post(proxy.address(), "abc").await), "good got 3");
    }
    tokio::time::timeout(DEADLINE, proxy.changed()).await.expect("the loop hears of it");
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!((report.arrivals, report.errors, report.servers[&id("good")].served), (40, 0, 40));
}

#[tokio::test]
async fn requests_sit_out_the_restart_of_the_only_replica() {
    let proxy = proxy(ProxySettings::default()).await;
    let address: SocketAddr = refusing().await;
    proxy.route(&id("web"), address);
    let listening = proxy.address();
    let asked = tokio::spawn(async move { post(listening, "abc").await });
    tokio::time::timeout(DEADLINE, proxy.changed()).await.expect("a connect fails");
    let _web = replica_at("web", address).await;
    assert_eq!(body(&asked.await.unwrap()), "web got 3");
}

#[tokio::test]
async fn requests_to_a_replica_that_stays_dead_end_in_a_502() {
    let proxy = proxy(ProxySettings { wait_limit_ms: 100, ..Default::default() }).await;
    proxy.route(&id("dead"), refusing().await);
    assert_refused(&get(proxy.address(), "/").await, "502", "connect-failed");
    let report = proxy.observe();
    assert_eq!((in_flight(&report), report.waiting, report.errors), (0, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_replicas_under_load_loses_no_get() {
    let proxy = proxy(ProxySettings::default()).await;
    let steady = replica("steady").await;
    steady.route(&proxy);
    let address = proxy.address();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let stopped = stopped.clone();
            tokio::spawn(async move {
                let mut answered = 0;
                while !*stopped.borrow() {
                    assert_eq!(status(&get(address, "/slow/1").await), "200");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for round in 0..10 {
        let victim = replica(&format!("victim-{round}")).await;
        victim.route(&proxy);
        let name = victim.id.clone();
        observed(&proxy, |report| report.servers[&name].served > 20).await;
        victim.kill().await;
        let errors = proxy.observe().arrivals;
        observed(&proxy, |report| report.arrivals > errors + 20).await;
        proxy.drain(&name);
    }
    stop.send(true).unwrap();
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    assert_eq!((report.arrivals, report.errors), (answered, 0));
}

#[tokio::test]
async fn a_bad_first_chunk_is_no_answer() {
    let bad = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n";
    let cut = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for (answer, reason) in [(bad, "bad-answer"), (cut, "connection-broken")] {
        let proxy = proxy(ProxySettings::default()).await;
        let odd = scripted("odd", move |stream| blurt(stream, answer)).await;
        odd.route(&proxy);
        assert_refused(&get(proxy.address(), "/").await, "502", reason);
        let report = observed(&proxy, |report| in_flight(report) == 0).await;
        assert_eq!((report.arrivals, report.errors), (1, 1));
    }
}

#[tokio::test]
async fn chunks_that_come_late_or_with_the_head_arrive_alike() {
    for pause_ms in [0, 50] {
        let proxy = proxy(ProxySettings::default()).await;
        let web = scripted("web", move |mut stream| async move {
            read_until(&mut stream, "\r\n\r\n").await;
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head).await.unwrap();
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            stream.write_all(b"5\r\nhello\r\n0\r\n\r\n").await.unwrap();
        })
        .await;
        web.route(&proxy);
        let answer = get(proxy.address(), "/").await;
        assert_eq!(body(&answer), "5\r\nhello\r\n0\r\n\r\n", "{answer}");
        observed(&proxy, |report| in_flight(report) == 0).await;
    }
}

#[tokio::test]
async fn a_replica_that_answers_500_at_once_costs_five_requests() {
    let proxy = proxy(ProxySettings::default()).await;
    let bad =
        scripted("bad", |stream| blurt(stream, "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"));
    let bad = bad.await;
    bad.route(&proxy);
    let good = [replica("a").await, replica("b").await, replica("c").await];
    good.iter().for_each(|replica| replica.route(&proxy));
    let mut failed = 0;
    for _ in 0..200 {
        failed += usize::from(status(&get(proxy.address(), "/").await) == "500");
    }
    assert_eq!(failed, 5);
    let report = observed(&proxy, |report| in_flight(report) == 0).await;
    let why = "5 requests in a row failed, the last with status 500".to_owned();
    assert_eq!(report.servers[&id("bad")].health, ServerHealth::Down { why });
    assert_eq!(report.servers[&id("a")].health, ServerHealth::Up);
    assert_eq!(report.trouble, None);
}
