//! A reporter whose trapper refuses, closes connections and comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_zabbix::{Replica, Reporter, ReporterStatus, Sender, Value, ValueTimes};

use crate::peer::{Act, Peer};

fn answer(processed: u32, failed: u32) -> Act {
    let info = format!("processed: {processed}; failed: {failed}; total: {}", processed + failed);
    let data = format!(r#"{{"response":"success","info":"{info}"}}"#);
    let mut frame = b"ZBXD\x01".to_vec();
    frame.extend_from_slice(&(data.len() as u64).to_le_bytes());
    frame.extend_from_slice(data.as_bytes());
    Act::Say(frame)
}

async fn started(acts: Vec<Act>) -> (Peer, Reporter) {
    let peer = Peer::start(acts).await;
    let at = flyball_zabbix::Peer::parse(&peer.address.to_string()).unwrap();
    let reporter = Reporter::start(Sender::new(at, None).unwrap(), || 1_000);
    (peer, reporter)
}

fn values(count: usize) -> Vec<Value> {
    let (host, mut moments): (Arc<str>, _) = ("web".into(), ValueTimes::default());
    (0..count).map(|n| Value::count(&host, format!("k{n}"), 1, moments.at(0))).collect()
}

async fn until(reporter: &Reporter, seen: impl Fn(&ReporterStatus) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !seen(&reporter.standing()) {
        assert!(Instant::now() < deadline, "{:?}", reporter.standing());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn refused_values_are_sent_again_until_they_are_accepted() {
    // Both are refused, then one, then that one alone is found, and later accepted.
    let acts = vec![answer(0, 2), answer(1, 1), answer(1, 0), answer(0, 1), answer(1, 0)];
    let (peer, reporter) = started(acts).await;
    reporter.push(values(2));
    until(&reporter, |s| s.packets == 5 && s.waiting == 0).await;
    let received = peer.received();
    assert!(received[2].contains("\"k0\"") && !received[2].contains("\"k1\""), "{}", received[2]);
    assert!(received[4].contains("\"k1\"") && !received[4].contains("\"k0\""), "{}", received[4]);
}

#[tokio::test]
async fn what_was_accepted_before_an_outage_is_sent_again_after_it() {
    let acts = vec![answer(1, 0), Act::HangUp, answer(1, 0), answer(1, 0)];
    let (peer, reporter) = started(acts).await;
    let all = values(2);
    reporter.push([all[0].clone()]);
    until(&reporter, |s| s.packets == 1).await;
    reporter.push([all[1].clone()]);
    until(&reporter, |s| s.fault.is_some()).await;
    until(&reporter, |s| s.fault.is_none() && s.packets >= 3 && s.waiting == 0).await;
    let received = peer.received();
    assert!(received[2].contains("\"k1\""), "{}", received[2]);
    assert!(received[3].contains("\"k0\"") && received[3].contains("\"k1\""), "{}", received[3]);
}

#[tokio::test]
async fn the_list_of_replicas_goes_first_and_again_until_it_is_taken() {
    let acts = vec![answer(0, 1), answer(1, 0), answer(1, 0)];
    let (peer, reporter) = started(acts).await;
    reporter.set_replicas(&"web".into(), &[Replica { name: "web-1", host: "web-1" }]);
    until(&reporter, |s| s.packets == 2).await;
    let received = peer.received();
    assert!(
        received[0].contains("flyball.discovery") && received[0].contains("web-1"),
        "{}",
        received[0]
    );
    assert!(received[1].contains("flyball.discovery"), "{}", received[1]);
    reporter.close(Duration::from_secs(1)).await;
}
