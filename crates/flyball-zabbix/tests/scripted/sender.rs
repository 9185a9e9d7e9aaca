//! Trappers that misbehave: each ends in one error with its hint.

use std::sync::Arc;

use flyball_zabbix::{Counts, PACKET_VALUES_MAX, Sender, Value, ValueTimes, ZabbixError};

use crate::peer::{Act, Peer, SHORT};

fn values(count: usize) -> Vec<Value> {
    let (host, mut moments): (Arc<str>, _) = ("web".into(), ValueTimes::default());
    (0..count).map(|n| Value::count(&host, format!("k[{n}]"), 1, moments.at(0))).collect()
}

fn frame(data: &str) -> Vec<u8> {
    let mut frame = b"ZBXD\x01".to_vec();
    frame.extend_from_slice(&(data.len() as u64).to_le_bytes());
    frame.extend_from_slice(data.as_bytes());
    frame
}

async fn sent_to(act: Act) -> Result<Counts, ZabbixError> {
    let peer = Peer::start(vec![act]).await;
    let at = flyball_zabbix::Peer::parse(&peer.address.to_string()).unwrap();
    Sender::new(at, None).unwrap().with_limits(SHORT, SHORT).send(&values(2)).await
}

/// Shows that `act` ends in an error with a hint, whose text holds `part`.
async fn fails(act: Act, part: &str) {
    let error = sent_to(act).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(part), "{text}");
    assert!(error.hint().is_some(), "{text}");
}

#[tokio::test]
async fn counts_of_an_answer_are_reported() {
    let info =
        r#"{"response":"success","info":"processed: 1; failed: 1; total: 2; seconds spent: 0.1"}"#;
    let counts = sent_to(Act::Say(frame(info))).await.unwrap();
    assert_eq!(counts, Counts { processed: 1, failed: 1 });
}

#[tokio::test]
async fn a_packet_has_a_bound() {
    let info = r#"{"response":"success","info":"processed: 9; failed: 0; total: 9"}"#;
    let peer = Peer::start(vec![Act::Say(frame(info))]).await;
    let at = flyball_zabbix::Peer::parse(&peer.address.to_string()).unwrap();
    Sender::new(at, None).unwrap().send(&values(PACKET_VALUES_MAX * 3)).await.unwrap();
    let received = peer.received();
    assert!(received[0].len() < 20_000, "{} bytes", received[0].len());
    assert!(received[0].starts_with("ZBXD\u{3}"), "compressed");
}

#[tokio::test]
async fn a_trapper_that_misbehaves_is_one_clear_error() {
    fails(Act::Silent, "did not answer within 300 ms").await;
    fails(Act::HangUp, "closed the connection without an answer").await;
    fails(Act::Say(b"ZBXD".to_vec()), "was cut off: in the frame's first bytes").await;
    fails(Act::Say(b"ZBXD\x01\x50\0\0".to_vec()), "was cut off").await;
    fails(Act::Say(frame("{}")[..14].to_vec()), "was cut off").await;
    fails(Act::SayAndWait(frame("{}")[..14].to_vec()), "did not answer within").await;
    fails(Act::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "begins with \"HTTP/\"").await;
    fails(Act::Say(b"ZBXD\xff\0\0\0\0\0\0\0\0".to_vec()), "unknown flags 0xff").await;
    fails(Act::Say(frame("hello")), "\"hello\"").await;
    fails(Act::Say(frame("{}")), "\"{}\"").await;
    let refused = r#"{"response":"failed","info":"cannot parse the data"}"#;
    fails(Act::Say(frame(refused)), "refused the values: cannot parse the data").await;
    let odd = r#"{"response":"success","info":"all fine"}"#;
    fails(Act::Say(frame(odd)), "all fine").await;
}

#[tokio::test]
async fn sixteen_gib_are_refused_before_a_byte_of_them_is_read() {
    let mut huge = b"ZBXD\x05".to_vec();
    huge.extend_from_slice(&(16_u64 << 30).to_le_bytes());
    huge.extend_from_slice(&[0; 8]);
    fails(Act::SayAndWait(huge), "announces an answer of 17179869184 bytes").await;
    let mut bomb = b"ZBXD\x03".to_vec();
    bomb.extend_from_slice(&10_u32.to_le_bytes());
    bomb.extend_from_slice(&u32::MAX.to_le_bytes());
    fails(Act::SayAndWait(bomb), "announces an answer of 4294967295 bytes").await;
}

#[tokio::test]
async fn no_listener_is_reported_with_the_address() {
    let at = flyball_zabbix::Peer::parse("127.0.0.1:1").unwrap();
    let error = Sender::new(at, None).unwrap().send(&values(1)).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot reach Zabbix at 127.0.0.1:1: "), "{error}");
    assert!(error.may_pass());
}
