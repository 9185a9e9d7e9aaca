//! What reporting 5,000 replicas every 5 s costs: `cargo xtask bench report`.
//!
//! Reports to a trapper on a thread of its own that takes everything, and counts the CPU time of
//! the reporting thread alone. Invariant: every value arrives, or there is no figure.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flyball_zabbix::{Moments, Peer, Replica, Reporter, Sender, Value};
use rustix::time::{ClockId, clock_gettime};

const REPLICAS: usize = 5_000;
const INTERVAL: Duration = Duration::from_secs(5);
const ROUNDS: u32 = 4;

/// The largest packet and all packets, as the trapper counted.
#[derive(Default)]
struct Counted {
    largest: AtomicUsize,
    packets: AtomicUsize,
}

fn main() {
    let counted = Arc::new(Counted::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    let counting = Arc::clone(&counted);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            take(stream, &counting);
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let busy_s = runtime.block_on(report(peer));
    let share = busy_s / (INTERVAL * ROUNDS).as_secs_f64() * 100.0;
    let packets = counted.packets.load(Ordering::Relaxed);
    let largest = counted.largest.load(Ordering::Relaxed);
    if std::env::args().any(|word| word == "--json") {
        println!(
            "{{\"replicas\":{REPLICAS},\"core_percent\":{share:.3},\"packets\":{packets},\"largest_bytes\":{largest}}}"
        );
    } else {
        println!("{REPLICAS} replicas each {} s: {share:.2} % of a core", INTERVAL.as_secs());
        println!("{packets} packets, the largest {largest} bytes");
    }
    assert!(share <= 3.0, "more than 3 % of a core");
}

/// Reports for some rounds; gives the CPU seconds that took.
async fn report(peer: Peer) -> f64 {
    let reporter = Reporter::start(Sender::new(peer, None).unwrap(), || 0);
    let host: Arc<str> = "web".into();
    let names: Vec<String> = (0..REPLICAS).map(|n| format!("web-{n}")).collect();
    let replicas: Vec<Replica<'_>> =
        names.iter().map(|name| Replica { name, host: name }).collect();
    let keys: Vec<Arc<str>> = names.iter().map(|n| format!("flyball.cpu[{n}]").into()).collect();
    let mut moments = Moments::default();
    let began = cpu_s();
    for round in 0..ROUNDS {
        reporter.set_replicas(&host, &replicas);
        let wall_ms = 1_700_000_000_000 + i64::from(round) * 5_000;
        let values = keys.iter().filter_map(|key| {
            Value::number(&host, Arc::clone(key), 21.5 + f64::from(round), moments.at(wall_ms))
        });
        reporter.push(values.collect::<Vec<_>>());
        tokio::time::sleep(INTERVAL).await;
    }
    let busy = cpu_s() - began;
    assert_eq!(reporter.standing().waiting, 0, "{:?}", reporter.standing());
    busy
}

/// CPU time of this thread, in seconds.
fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "seconds of a benchmark")]
    let (seconds, ns) = (time.tv_sec as f64, time.tv_nsec as f64);
    seconds + ns / 1e9
}

/// Takes a packet of any size and says that all of it was processed.
fn take(mut stream: TcpStream, counted: &Counted) {
    let mut head = [0; 13];
    stream.read_exact(&mut head).unwrap();
    let len = u32::from_le_bytes(head[5..9].try_into().unwrap()) as usize;
    std::io::copy(&mut (&stream).take(len as u64), &mut std::io::sink()).unwrap();
    counted.largest.fetch_max(len + head.len(), Ordering::Relaxed);
    counted.packets.fetch_add(1, Ordering::Relaxed);
    let answer = br#"{"response":"success","info":"processed: 1; failed: 0; total: 1"}"#;
    let mut frame = b"ZBXD\x01".to_vec();
    frame.extend_from_slice(&(answer.len() as u64).to_le_bytes());
    frame.extend_from_slice(answer);
    stream.write_all(&frame).unwrap();
}
